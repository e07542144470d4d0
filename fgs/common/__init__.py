"""What every room may use: files that are written whole or not at all, and options that are written down once."""
