"""`fgs lessons`: list the lessons, and run them."""

import runpy
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any

from rich.console import Console
from rich.table import Table

from fgs.commands.console import fail, usage_errors
from fgs.commands.curriculum import Heading, find_heading, headings
from fgs.commands.interface import make_command
from fgs.common.options import Argument, Option
from fgs.common.text import json_text

OUT = Path("fgs-lessons")


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
        TemporaryFile(dir=asked.out).close()  # or none of them can write
        with redirect_stdout(sys.stderr if summary else sys.stdout):
            records = [run_lesson(heading, asked.out) for heading in chosen]
    except OSError as error:
        fail(f"--out: cannot write into {asked.out}: {error.strerror}; name another folder", 2)
    except KeyboardInterrupt:
        fail("interrupted; lessons that ended are recorded, `fgs lessons` lists them", 130)
    if asked.json:
        print(json_text({"lessons": records}))
    elif summary:
        _print_summary(records)
    for record in (record for record in records if record["error"]):
        print(f"fgs: lesson {record['lesson']} did not show its claim: {record['error']}", file=sys.stderr)
    if not all(record["held"] for record in records):
        raise SystemExit(1)


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


def run_lesson(heading: Heading, out: Path) -> dict[str, Any]:
    """Run one lesson as a script of its own: what it is, did its claim hold, if not why, in a line, and its result."""
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
    about = {"lesson": heading.number, "title": heading.title, "claim": heading.claim}
    return {**about, "held": error is None, "error": error, **(result or {})}


def _print_summary(records: list[dict[str, Any]]) -> None:
    """Print of each lesson its claim, whether it held, its time, and the numbers beside what they should be."""
    held = [record for record in records if record["held"]]
    for record in records:
        how = f"held, {record['seconds']:.1f} s" if record["held"] else "FAILED"
        print(f"{record['lesson']:>2}  {how}: {record['claim']}")
        for number in record.get("numbers", ()):
            expected = number["expected"]
            shown = expected if isinstance(expected, str) else f"{expected:.4g}"
            print(f"      {number['what']}: {number['measured']:.4g}   expected: {shown}")
    print(f"{len(held)} of {len(records)} claims held, {sum(record['seconds'] for record in held):.0f} s")


command = make_command(Lessons, teach)
