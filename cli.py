"""The command line: which commands there are. What they do stands in `fgs.commands` and `toy.command`."""

import os
import sys
import warnings
from importlib import import_module
from typing import Annotated, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "toy": ("toy.command", "Sample one class of an exact Gaussian mixture by every kind of guidance."),
    "lessons": ("fgs.commands.lessons", "Lessons, claims of the method derived and shown: list them, or run them."),
    "textures": ("fgs.commands.textures", "Draw the library's own synthetic textures."),
    "train-images": ("fgs.commands.train_images", "Train the network on patches of images."),
    "sample": ("fgs.commands.sample", "Sample images of a class, like an image, or between two classes."),
    "explore": ("fgs.commands.explore", "Write a page that shows guided sampling live, and open it."),
    "restore": ("fgs.commands.restore", "Restore an image: noise, holes, missing pixels, blur, or too few of them."),
    "embed": ("fgs.commands.embed", "Compute the features of images, and name the nearest classes."),
    "evaluate": ("fgs.commands.evaluate", "Measure a trained run: denoising, features, samples."),
}
"""By name the module, with its `command`, and a line for the list; modules are imported when they are called for, so
that `fgs --help` answers at once, without torch."""


class _Commands(TyperGroup):
    def resolve_command(self, ctx: typer.Context, args: list[str]) -> tuple[str | None, TyperCommand, list[str]]:  # type: ignore[override]
        name, _, rest = super().resolve_command(ctx, args)
        from fgs.common.text import any_encoding

        any_encoding()
        return name, import_module(COMMANDS[str(name)][0]).command, rest


app = typer.Typer(name="fgs", cls=_Commands, rich_markup_mode="rich", pretty_exceptions_enable=False)


def main() -> NoReturn:
    """Run the command line; an error is one line on stderr, exit code 2 for wrong usage, 1 for a failed run."""
    warnings.showwarning = lambda message, *rest: print(f"fgs: warning: {message}", file=sys.stderr)
    try:
        code = app(prog_name="fgs", standalone_mode=False)
        print(end="", flush=True)  # what stdout cannot take is told of here
        sys.exit(code)
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's usage errors, in every version of it
            print(f"fgs: {' '.join(error.format_message().split())} (fgs --help lists the options)", file=sys.stderr)
            sys.exit(2)
        text = f"{type(error).__name__} {error}".lower()
        spent = isinstance(error, RuntimeError) and any(w in text for w in ("alloc", "out of memory", "linalgerror"))
        if not spent and not isinstance(error, OSError | MemoryError | OverflowError):
            raise
        print(f"fgs: failed: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        try:
            print(end="", flush=True)
        except OSError:  # what cannot be written is not tried again at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        from fgs.training.devices import best_device

        print(f"fgs {version('fgs')} (torch {version('torch')}, on {best_device()})")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Feature-guided score diffusion: sample one class by pushing features to those of the class while denoising."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for _name, (_, _line) in COMMANDS.items():
    app.command(_name, help=_line)(lambda: None)  # its place in the list; `_Commands` finds the command itself

if __name__ == "__main__":
    main()
