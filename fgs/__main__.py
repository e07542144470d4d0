"""`python -m fgs`: the command line."""

from cli import main

main()
