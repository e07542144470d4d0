"""One HTML file of everything that was found, with its figures inside; it asks for nothing from anywhere."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from fgs.common.files import write_text

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; color: #1a1a1a; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-top: 1px solid #ddd; padding-top: 1rem; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; display: block; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #eee; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
"""


class Table(NamedTuple):
    """Rows under a header; numbers are rounded to three digits after the point, None is a dash."""

    header: Sequence[str]
    rows: Iterable[Sequence[str | float | None]]


class Section(NamedTuple):
    """A title, what to see there, tables, and figures."""

    title: str
    text: str
    tables: Sequence[Table]
    figures: Mapping[str, Path]


def write_report(path: Path, title: str, lead: str, sections: Iterable[Section]) -> None:
    """Write the report, atomically; `lead` is a sentence under the title, and figures go in by their captions."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1><p>{escape(lead)}</p>",
        *(_section(section) for section in sections),
        "</body></html>",
    ]
    write_text(path, "\n".join(parts) + "\n")


def _section(section: Section) -> str:
    figures = (_figure(caption, path) for caption, path in section.figures.items())
    tables = (_table(table) for table in section.tables)
    return f"<h2>{escape(section.title)}</h2><p>{escape(section.text)}</p>{''.join(tables)}{''.join(figures)}"


def _figure(caption: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    text = escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'


def _table(table: Table) -> str:
    def row(cells: Sequence[str | float | None], tag: str) -> str:
        texts = ("—" if cell is None else cell if isinstance(cell, str) else f"{cell:.3f}" for cell in cells)
        return "<tr>" + "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts) + "</tr>"

    rows = "".join(row(cells, "td") for cells in table.rows)
    return f'<div class="wide"><table>{row(table.header, "th")}{rows}</table></div>'
