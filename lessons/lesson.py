"""What a lesson is written with: figures in one style, numbers beside what they should be, and a record of both."""

import argparse
import ast
import base64
import hashlib
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import fgs
from fgs.commands.curriculum import RESULT, find_heading
from fgs.common.files import atomic, write_text
from fgs.common.text import any_encoding, json_text

OUT = Path("fgs-lessons")
RECORD = "record.json"  # what a lesson printed and drew, and where: the site shows it below the cell that did
STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.8,
}


def code_of(path: Path) -> str:
    """Return what a file does: without comments, and without what its functions and classes say of themselves."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.unparse(tree)


def fingerprint(lesson: Path) -> str:
    """Return a hash of all code that the numbers of a lesson come from: its own, this file's and the library's."""
    library = Path(fgs.__file__).parent
    files = sorted([*library.rglob("*.py"), *library.with_name("toy").rglob("*.py")])
    files = [path for path in files if path.parent.name not in ("commands", "lessons")]
    return hashlib.sha256("\n".join(map(code_of, [lesson, Path(__file__), *files])).encode()).hexdigest()


class Picture:
    """A figure that was saved. A notebook shows it where it is the last line of a cell."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Picture({str(self.path)!r})"

    def _repr_html_(self) -> str:
        return f'<img src="data:image/png;base64,{base64.b64encode(self.path.read_bytes()).decode()}" width="90%">'


class Lesson:
    """One run of one lesson.

        lesson = Lesson(3)
        figure, axes = lesson.figure(columns=2)
        …
        lesson.save(figure, "spread")
        lesson.compare("sd of the samples, in λ", sd, 1.0)
        assert abs(sd - 1) < 0.03, "the samples are as wide as the class"
        lesson.end()

    --out is read from the command line. The docstring of the lesson's file gives title and claim.

    Args:
        number: of the lesson, from 1.

    Raises:
        ValueError: there is no such lesson.
    """

    def __init__(self, number: int) -> None:
        any_encoding()
        self.heading = find_heading(number)
        parser = argparse.ArgumentParser(prog=self.heading.path.name, description=self.heading.claim)
        parser.add_argument("--out", type=Path, default=OUT, help="folder for the figures (default %(default)s)")
        notebook = "ipykernel" in sys.modules  # whose command line is not ours
        options = parser.parse_args([] if notebook else None)
        self.folder: Path = options.out / self.heading.name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in (RESULT, RECORD):  # what is not shown again is not shown
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            parser.error(f"--out: cannot write into {options.out}: {error.strerror}; name another folder")
        self._numbers: list[dict[str, Any]] = []
        self._figures: list[str] = []
        self._shown: list[dict[str, Any]] = []
        self._statements = [node.lineno for node in ast.parse(self.heading.path.read_text(encoding="utf-8")).body]
        self._code = fingerprint(self.heading.path)
        self._start = time.perf_counter()
        matplotlib.rcParams.update(STYLE)
        print(f"Lesson {number}: {self.heading.title}", flush=True)

    def figure(
        self, rows: int = 1, columns: int = 1, width: float = 4.2, height: float = 3.2, **how: Any
    ) -> tuple[Figure, Any]:
        """Make a figure in the house style.

        Args:
            rows: of panels.
            columns: of panels.
            width: of a panel, in inches.
            height: of a panel, in inches.
            how: for `Figure.subplots`, as sharey=True.

        Returns:
            The figure and its axes: one if there is one panel, else an array as from `subplots`.
        """
        size = (width * columns, height * rows)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.subplots(rows, columns, **how)

    def save(self, figure: Figure, name: str) -> Picture:
        """Write the figure as NAME.png into the lesson's folder."""
        path = self.folder / f"{name}.png"
        with atomic(path) as temporary:
            figure.savefig(temporary, dpi=120)
        self._figures.append(path.name)
        titles = "; ".join(filter(None, (axis.get_title() for axis in figure.axes)))
        self._record(figure=path.name, titles=titles)
        print(f"  figure: {path}", flush=True)
        return Picture(path)

    def say(self, text: object) -> None:
        """Print a text, and keep it for the site."""
        print(text, flush=True)
        self._record(text=str(text))

    def _record(self, **shown: str) -> None:
        """Keep what is shown, and by which statement of the lesson: a place that prose does not move."""
        of_lesson = [
            line
            for frame, line in traceback.walk_stack(None)
            if frame.f_code.co_name == "<module>" and Path(frame.f_code.co_filename).name == self.heading.path.name
        ]
        line = of_lesson[0] if of_lesson else 0  # 0: in a notebook
        self._shown.append({"statement": sum(start <= line for start in self._statements), **shown})

    def compare(self, what: str, measured: float, expected: float | str) -> None:
        """Print a number beside what it should be, and keep both for the summary.

        Args:
            what: the quantity and its unit.
            measured: as it came out.
            expected: the exact or expected value, or words where it is a range, as "below 1.4".
        """
        shown = expected if isinstance(expected, str) else f"{expected:.4g}"
        self.say(f"  {what}: {float(measured):.4g}   expected: {shown}")
        self._numbers.append({"what": what, "measured": float(measured), "expected": expected})

    def end(self) -> None:
        """Say that the claim held, and leave a record of it in the lesson's folder. The last line of a lesson."""
        seconds = time.perf_counter() - self._start
        result = {
            "lesson": self.heading.number,
            "title": self.heading.title,
            "claim": self.heading.claim,
            "numbers": self._numbers,
            "figures": self._figures,
            "seconds": round(seconds, 1),
        }
        self.say(f"  held: {self.heading.claim} ({seconds:.1f} s)")
        record = {"code": self._code, "shown": self._shown}
        write_text(self.folder / RECORD, json_text(record) + "\n")
        write_text(self.folder / RESULT, json_text(result) + "\n")
