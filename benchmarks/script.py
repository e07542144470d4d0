"""What the benchmarks that take options have in common: how they are run, and how wide their tables are."""

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import typer
from rich.console import Console
from typer.core import TyperCommand

from fgs.commands.console import fail
from fgs.common.text import any_encoding


def run_script(command: TyperCommand, name: str, arguments: Sequence[str] | None = None) -> None:
    """Run a command; an error is one line on stderr, exit code 2 for wrong usage.

    Args:
        command: made by `fgs.commands.interface.make_command`.
        name: of the script.
        arguments: what was typed; None takes it from the command line.
    """
    any_encoding()
    warnings.showwarning = lambda message, *rest: print(f"fgs: warning: {message}", file=sys.stderr)
    try:
        command.main(args=None if arguments is None else list(arguments), prog_name=name, standalone_mode=False)
    except typer.Abort:
        fail("interrupted", 130)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's usage errors, in every version of it
            raise
        fail(f"{error.format_message()} ({name} --help lists the options)", 2)


def wide_console() -> Console:
    """Return a console for tables, which do not break where the output is no terminal."""
    console = Console()
    if not console.is_terminal:
        console.width = 120
    return console


def run_or_draw(run: Callable[[list[str]], None], draw: Callable[[Path, Path], None], usage: str) -> None:
    """Do what was typed: `draw OUT FIGURE.png` draws, what fits `usage` runs.

    Args:
        run: takes what was typed.
        draw: takes the folder with what was found, and the file to draw.
        usage: of `run`, as "LAID OUT [NAME …]"; what stands in brackets may be left out.
    """
    typed, least = sys.argv[1:], len(usage.split("[")[0].split())
    if typed[:1] == ["draw"] and len(typed) == 3:
        draw(Path(typed[1]), Path(typed[2]))
    elif len(typed) >= least and typed[0] != "draw":
        run(typed)
    else:
        fail(f"give {usage}, or draw OUT FIGURE.png", 2)
