"""Lessons as pages: prose, code, and below each cell what a run of the lesson printed and drew; and as notebooks.

Why neither sphinx-gallery nor myst-nb: both run the lessons themselves, ten minutes that the slow tests have spent
already, and sphinx-gallery wants prose in reStructuredText, and runs anew what only reads differently. Here
`fgs lessons` is the one way to run a lesson. It leaves fgs-lessons/, with record.json beside the figures, and that
folder is the cache: a record is of the present code if its fingerprint (`lessons/lesson.py`) is; prose is not in it.
"""

import ast
import json
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from fgs.commands.curriculum import Heading, headings, read_heading
from lesson import OUT, RECORD, fingerprint

ROOT = Path(__file__).parents[1]
SETUP = """# where `lesson` lies, from which all lessons import
import sys

from fgs.commands.curriculum import headings

sys.path.append(str(headings()[0].path.parent))"""
EXPLORER = re.compile(r"\[([^]]+)\]\(\.\./docs/(explorer\.html[^)]*)\)")  # a link to it from lessons/, as GitHub has it
logger = logging.getLogger(__name__)


def record_of(heading: Heading) -> list[dict[str, Any]] | None:
    """Return what a lesson showed when it was run, None if it was not, or if code has changed since."""
    try:
        record = json.loads((ROOT / OUT / heading.name / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    shown: list[dict[str, Any]] = record["shown"]
    return shown if record["code"] == fingerprint(heading.path) else None


def output(heading: Heading, shown: list[dict[str, Any]]) -> list[str]:
    """Return Markdown of what a cell showed, in order; lines that follow one another are one block."""
    blocks: list[str] = []
    for one in shown:
        if "figure" in one:
            path = f"../{OUT}/{heading.name}/{one['figure']}"
            blocks.append(f"```{{image}} {path}\n:alt: {' '.join(one['titles'].split()) or one['figure']}\n```")
            continue
        text = one["text"].removeprefix("  ") + "\n```"
        if blocks and blocks[-1].startswith("```{code-block}"):
            blocks[-1] = blocks[-1].removesuffix("```") + text
        else:
            blocks.append(f"```{{code-block}} none\n:class: printed\n\n{text}")
    return blocks


def page(heading: Heading, cells: list[Any], shown: list[dict[str, Any]]) -> str:
    """Return a lesson as Markdown. A cell is known by how many statements end with it, as in the record."""
    files = (("Notebook", f"{heading.name}.ipynb"), ("Script", heading.path.name))
    links = " · ".join(f'<a href="{file}" download>{what}</a>' for what, file in files) + " · [Answers](answers.md)"
    blocks = [f"# Lesson {heading.number}: {heading.title}", f"**{heading.claim}**", links]
    start = 0
    for cell in cells:
        if cell.cell_type == "markdown":
            blocks.append(cell.source)
            continue
        end = start + len(ast.parse(cell.source).body)
        if end > 1:  # the first is the docstring, which title and claim are of
            blocks.append(f"```python\n{cell.source}\n```")
        blocks += output(heading, [one for one in shown if start < one["statement"] <= end])
        start = end
    return "\n\n".join(blocks) + "\n"


class LessonParser(MystParser):
    """Reads a lesson as Markdown, and leaves it and its notebook beside its page."""

    supported = ("lesson",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Parse the Markdown that a lesson and its record make."""
        env = document.settings.env
        path = Path(env.doc2path(env.docname))
        heading, notebook = read_heading(path), jupytext.reads(inputstring, fmt="py:percent")
        shown = record_of(heading)
        if shown is None:
            logger.warning("no run of its present code; `python docs/build.py` runs it", location=env.docname)
        env.note_dependency(str(ROOT / OUT / heading.name / RECORD))
        super().parse(page(heading, notebook.cells, shown or []), document)
        title = f"# Lesson {heading.number}: {heading.title}\n\n**{heading.claim}**"
        notebook.cells[:1] = [nbformat.v4.new_markdown_cell(title), nbformat.v4.new_code_cell(SETUP)]
        folder = Path(env.app.outdir) / "lessons"
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, folder / f"{heading.name}.ipynb")
        (folder / path.name).write_bytes(path.read_bytes())


class Gallery(SphinxDirective):
    """All lessons: a picture of each, its title and its claim."""

    def run(self) -> list[nodes.Node]:
        """Return a grid of links."""
        return [nodes.container("", *map(self.one, headings()), classes=["gallery"])]

    def one(self, heading: Heading) -> nodes.Node:
        """Return the card of one lesson."""
        picture = nodes.image(uri=f"/docs/lessons/{heading.number:02}.png", alt=heading.title)
        page = self.env.app.builder.get_relative_uri(self.env.docname, f"lessons/{heading.name}")
        title = nodes.strong("", f"{heading.number} {heading.title}")
        link = nodes.reference("", "", picture, title, refuri=page, internal=True)
        claim, _ = self.parse_inline(heading.claim)
        return nodes.container("", nodes.paragraph("", "", link), nodes.paragraph("", "", *claim))


def open_explorer(app: Sphinx, docname: str, source: list[str]) -> None:
    """Let links from lessons/ open the explorer: of a file Sphinx makes a download, and drops the setting after #."""
    source[0] = EXPLORER.sub(r'<a href="../\2">\1</a>', source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of lessons as sources, of their gallery, and of their links to the explorer."""
    app.connect("source-read", open_explorer)
    app.add_source_suffix(".py", "lesson")
    app.add_source_parser(LessonParser)
    app.add_directive("lessons-gallery", Gallery)
    return {"parallel_read_safe": True}
