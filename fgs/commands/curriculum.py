"""The lessons as files: where they lie, what they claim, and what of them has been run."""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDERS = (Path(__file__).parents[1] / "lessons", Path(__file__).parents[2] / "lessons")  # in a wheel, in a clone
RESULT = "result.json"  # what a lesson leaves in its folder of --out once its claim held


@dataclass(frozen=True)
class Heading:
    """What a lesson says of itself."""

    number: int  # from 1
    name: str  # of its file, without the suffix, as 03_one_family
    title: str  # the first line of its docstring, after "Lesson 3: "
    claim: str  # the sentence after "Claim: "
    path: Path  # its file

    def result(self, out: Path) -> dict[str, Any] | None:
        """Return what the lesson measured when it was last run into `out`, None if its claim has not been shown."""
        try:
            return dict(json.loads((out / self.name / RESULT).read_text()))
        except (OSError, ValueError):
            return None


def headings() -> list[Heading]:
    """Return the headings of all lessons, in order."""
    folder = next((folder for folder in FOLDERS if any(folder.glob("[0-9][0-9]_*.py"))), FOLDERS[0])
    return [read_heading(path) for path in sorted(folder.glob("[0-9][0-9]_*.py"))]


def find_heading(number: int) -> Heading:
    """Return the heading of lesson `number`."""
    found = {heading.number: heading for heading in headings()}
    if number not in found:
        ends = f"{min(found, default=0)} to {max(found, default=0)}"
        raise ValueError(f"NUMBER: must be a lesson from {ends}, got {number}")
    return found[number]


def read_heading(path: Path) -> Heading:
    """Read title and claim from the docstring of a lesson, without running it."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    found = re.match(r"Lesson (\d+): (.*?)\.? Claim: (.*)", text)
    if not found:
        raise ValueError(f'{path.name}: its docstring must read "Lesson N: Title. Claim: …"')
    return Heading(int(found[1]), path.stem, found[2], found[3], path)
