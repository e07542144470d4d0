"""Which files of a built site a browser would load from another host."""

import re
from html.parser import HTMLParser
from pathlib import Path

ELSEWHERE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
LOADED = {"src", "srcset", "poster", "data", "background"}  # attributes of any element; of links see below
KEPT_LINKS = {"canonical", "alternate", "author", "license", "next", "prev", "search", "index"}  # not loaded
STYLE = re.compile(r"""(?:url\(\s*|@import\s+)['"]?((?:https?:)?//[^'")\s]+)""", re.IGNORECASE)


class Resources(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at the attributes of an element that name files."""
        values = {name: value or "" for name, value in attrs}
        loaded = [values[name] for name in LOADED & values.keys()]
        if tag == "link" and not set(values.get("rel", "").split()) & KEPT_LINKS:
            loaded.append(values.get("href", ""))
        if tag in ("image", "use", "script"):  # of SVG
            loaded += [values.get("href", ""), values.get("xlink:href", "")]
        self.found += [value for value in loaded if ELSEWHERE.match(value)]
        self.found += STYLE.findall(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Look at styles within a page."""
        if self.cdata_elem == "style":
            self.found += STYLE.findall(data)


def other_hosts(folder: Path) -> list[str]:
    """Return "file: address" of everything that pages and styles of a folder load from another host."""
    found = []
    for path in sorted(folder.rglob("*")):
        addresses: list[str] = []
        if path.suffix in (".html", ".svg"):
            page = Resources()
            page.feed(path.read_text(encoding="utf-8"))
            addresses = page.found
        elif path.suffix == ".css":
            addresses = STYLE.findall(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(folder)}: {address}" for address in addresses]
    return found
