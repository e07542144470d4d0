"""What the commands say: on stderr errors of one line, and bars where it is a terminal; and the table of PSNR."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import rich.progress as bar
from rich.console import Console

from fgs.common.files import TakenError, output_folder
from fgs.images.reading import UnusableError
from fgs.sampling import NotConvergingError
from fgs.training import CheckpointError, Record
from fgs.training.trainer import Watch


def fail(message: str, code: int) -> NoReturn:
    """Print one line on stderr and exit: code 2 for wrong usage, 1 for a failed run."""
    print(f"fgs: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(code)


def warn_of(skipped: Iterable[object]) -> None:
    """Name the files that were left out, a line each."""
    for entry in skipped:
        print(f"fgs: warning: left out {entry}", file=sys.stderr)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Make of what is raised about the options, and what they name, one line on stderr and exit code 2."""
    try:
        yield
    except CheckpointError as error:
        fail(f"RUN: {error}", 2)
    except UnusableError as error:
        fail(str(error), 2)
    except ValueError as error:
        fail(as_option(error), 2)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", 2)


@contextmanager
def results_in(out: Path, new: bool = True, option: str = "--out") -> Iterator[Path]:
    """Give a folder to write results into; what goes wrong in it is a line on stderr, and leaves nothing empty there.

    A folder that holds anything is refused if it should be `new`; `option` named it.
    """
    begun = False
    try:
        with output_folder(out, new):
            begun = True
            yield out
    except TakenError as error:
        fail(f"{option}: {error}; name another folder", 2)
    except NotConvergingError as error:
        fail(f"sampling failed: {error}", 1)
    except OSError as error:
        if begun:
            fail(f"{option}: writing into {out} failed: {error.strerror}", 1)
        fail(f"{option}: cannot write into {out}: {error.strerror}; name another folder", 2)


def print_psnr(sigmas: Sequence[float], curves: Mapping[str, Sequence[float]], of: str = "") -> None:
    """Print a table of PSNR in dB, a row for each noise level and a column for each condition."""
    print(f"PSNR in dB of held-out patches{of}, by the condition that the network is given")
    widths = [max(9, len(text) + 2) for text in ("σ", *curves)]
    print("".join(f"{text:>{width}}" for text, width in zip(("σ", *curves), widths, strict=True)))
    for sigma, *values in zip(sigmas, *curves.values(), strict=True):
        cells = (f"{sigma:g}", *(f"{value:.2f}" for value in values))
        print("".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))


def as_option(error: ValueError) -> str:
    """Turn "name_of_setting: what is wrong" into "--name-of-setting: what is wrong", but leave arguments, as RUN."""
    name, _, what = str(error).partition(":")
    return str(error) if name.isupper() else f"--{name.rstrip('_').replace('_', '-')}:{what}"


@contextmanager
def _bars(*columns: bar.ProgressColumn) -> Iterator[bar.Progress]:
    """Bars on stderr with the time left, where that is a terminal; they are gone when the work is done."""
    console = Console(stderr=True)
    console.quiet = not console.is_terminal  # some versions of rich end disabled bars with an empty line
    columns = (*columns, bar.TimeRemainingColumn())
    with bar.Progress(*columns, console=console, transient=True, disable=console.quiet) as progress:
        yield progress


@contextmanager
def step_bar(total: int, unit: str = "steps") -> Iterator[Callable[[str, int], None]]:
    """A bar with what is done, which is told of it by what it yields."""
    with _bars(
        bar.TextColumn("{task.description}"), bar.BarColumn(), bar.MofNCompleteColumn(), bar.TextColumn(unit)
    ) as bars:
        task = bars.add_task("", total=total)
        yield lambda label, n: bars.update(task, description=label, advance=n)


@contextmanager
def training_bars(detail: Callable[[], str] = str) -> Iterator[Watch]:
    """A bar for each network with its loss, and what else there is to say."""
    loss = bar.TextColumn("step {task.fields[step]}, loss {task.fields[loss]:.4f}{task.fields[detail]}")
    with _bars(bar.TextColumn("training: {task.description}"), bar.BarColumn(), bar.TaskProgressColumn(), loss) as bars:
        tasks: dict[str, bar.TaskID] = {}

        def watch(name: str, record: Record) -> None:
            fields: dict[str, Any] = {"step": f"{record.step:,}", "loss": record.loss, "detail": detail()}
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=1.0, **fields)
            if record.step % 20 == 0:
                bars.update(tasks[name], completed=record.progress, **fields)

        yield watch
