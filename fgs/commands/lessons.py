"""`fgs lessons`: list the lessons, and run them."""

import runpy
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from rich.console import Console
from rich.table import Table

from fgs.commands.console import fail, usage_errors
from fgs.commands.curriculum import Heading, find_heading, headings
from fgs.commands.interface import make_command
from fgs.common.options import Argument, Option
from fgs.common.text import json_text

OUT = Path("fgs-lessons")


class Outcome(NamedTuple):
    """How a run of a lesson ended: what it left, or why its claim was not shown."""

    heading: Heading
    result: dict[str, Any] | None
    error: str | None

    def as_json(self) -> dict[str, Any]:
        """Return number, title, claim, whether it held, and what was measured."""
        heading = {"lesson": self.heading.number, "title": self.heading.title, "claim": self.heading.claim}
        return {**heading, "held": self.error is None, "error": self.error, **(self.result or {})}


def list_lessons(out: Path) -> None:
    """Print the lessons with their claims, and what of them has been run into `out`."""
    found = headings()
    table = Table(title="Lessons", title_justify="left")
    table.add_column("", justify="right")
    table.add_column("lesson and its claim")
    table.add_column("run", justify="right")
    for heading in found:
        result = heading.result(out)
        held = f"held, {result['seconds']:.0f} s" if result else "not yet"
        table.add_row(str(heading.number), f"{heading.title}\n[dim]{heading.claim}[/dim]", held)
    Console().print(table)
    if found:
        print(f"Read them in {found[0].path.parent}; run one by `fgs lessons {found[0].number}`. Figures: {out}")


@dataclass(frozen=True)
class Lessons:
    """List the lessons with their claims, or run some of them.

    Run, they write figures into --out, and numbers beside what they should be; exit code 1 if a claim does not hold.
    """

    numbers: Annotated[tuple[int, ...], Argument("Lessons to run; listed if none.", metavar="NUMBER")] = ()
    all: Annotated[bool, Option("Run all of them, and print a summary.")] = False
    out: Annotated[Path, Option("Folder of the figures and of what was run.")] = OUT
    json: Annotated[bool, Option("Print JSON only, of lessons that are run.")] = False

    def __post_init__(self) -> None:
        if self.all and self.numbers:
            raise ValueError("NUMBER: name lessons, or all of them by --all, not both")
        if self.json and not (self.all or self.numbers):
            raise ValueError("json: is for lessons that are run; name one, as `fgs lessons 5`, or give --all")


def teach(asked: Lessons) -> None:
    """List the lessons, or run some and say which claims held; exit code 1 if one did not."""
    if not (asked.all or asked.numbers):
        list_lessons(asked.out)
        return
    with usage_errors():
        chosen = headings() if asked.all else [find_heading(number) for number in asked.numbers]
    summary = asked.all or asked.json or len(chosen) > 1
    try:
        asked.out.mkdir(parents=True, exist_ok=True)  # not one writer's: lessons have folders of their own in it
        with redirect_stdout(sys.stderr if summary else sys.stdout):
            outcomes = [run_lesson(heading, asked.out) for heading in chosen]
    except OSError as error:
        fail(f"--out: cannot write into {asked.out}: {error.strerror}; name another folder", 2)
    except KeyboardInterrupt:
        fail("interrupted; lessons that ended are recorded, `fgs lessons` lists them", 130)
    if asked.json:
        print(json_text({"lessons": [one.as_json() for one in outcomes]}))
    elif summary:
        _print_summary(outcomes)
    failed = [one for one in outcomes if one.error]
    for one in failed:
        print(f"fgs: lesson {one.heading.number} did not show its claim: {one.error}", file=sys.stderr)
    if failed:
        raise SystemExit(1)


def run_lesson(heading: Heading, out: Path) -> Outcome:
    """Run one lesson as a script of its own; what it raises becomes an error of one line."""
    arguments, sys.argv = sys.argv, [str(heading.path), "--out", str(out)]
    sys.path.insert(0, str(heading.path.parent))  # as of a script: where `lesson` lies
    error = None
    try:
        runpy.run_path(str(heading.path), run_name="__main__")
    except AssertionError as failed:
        error = f"{failed or heading.claim} (claim: {heading.claim})"
    except Exception as failed:  # a lesson may fail in any way; the others go on
        error = f"{type(failed).__name__}: {failed} (python {heading.path} shows where)"
    finally:
        sys.argv = arguments
        sys.path.remove(str(heading.path.parent))
    result = None if error else heading.result(out)
    if error is None and result is None:
        error = "it stopped before lesson.end()"
    return Outcome(heading, result, error)


def _print_summary(outcomes: list[Outcome]) -> None:
    """Print of each lesson its claim, whether it held, its time, and the numbers beside what they should be."""
    for heading, result, error in outcomes:
        seconds = f", {result['seconds']:.1f} s" if result else ""
        print(f"{heading.number:>2}  {'FAILED' if error else 'held'}{seconds}: {heading.claim}")
        for number in result["numbers"] if result else ():
            expected = number["expected"]
            shown = expected if isinstance(expected, str) else f"{expected:.4g}"
            print(f"      {number['what']}: {number['measured']:.4g}   expected: {shown}")
    seconds = sum(result["seconds"] for _, result, _ in outcomes if result)
    held = sum(error is None for *_, error in outcomes)
    print(f"{held} of {len(outcomes)} claims held, {seconds:.0f} s")


command = make_command(Lessons, teach)
