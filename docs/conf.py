"""Sphinx's settings. The sources are the repository's own files, where they lie, so links work here as on GitHub."""

import sys
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.fileutil import copy_asset

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "lessons"), str(DOCS)]  # this clone, whatever is installed

project, author, copyright = "fgs", "The fgs developers", "The fgs developers, MIT licence"
root_doc = "docs/index"
include_patterns = ["docs/*.md", "docs/api/*.md", "lessons/*.md", "lessons/[0-9]*.py", "benchmarks/README.md"]
exclude_patterns = [".*", "build", "dist", "out", "fgs", "toy", "tests", "docs/_build", "**/__pycache__", "*.egg-info"]
extensions = [
    *("myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "sphinx_copybutton"),
    *("lessons_pages", "reference"),  # beside this file
]
nitpicky = True
# Types of other libraries: their references lie on other hosts, which a build does not ask. None of ours but a TypeVar.
nitpick_ignore = [("py:class", "fgs.commands.interface.T")]
nitpick_ignore_regex = [
    (r"py:.*", r"(torch|numpy|np|nn|matplotlib|typer|click|rich|PIL|pathlib|collections|types|random|argparse)\..*"),
    (r"py:.*", r"(Tensor|Generator|Path|Axes|Figure|ndarray|optional)"),
]

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
highlight_language = "none"  # indented formulas and commands; Python is named where it is meant

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 90
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "fgs"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["redirect", *(["explorer.html"] if (DOCS / "explorer.html").exists() else [])]
html_show_sourcelink = html_show_sphinx = html_copy_source = False
mathjax_path = "mathjax/tex-chtml.js"


def copy_mathjax(app: Sphinx, failed: Exception | None) -> None:
    """Ship the two parts of MathJax that are used, 1.7 MB of the 22 that `sphinx-mathjax-offline` would copy."""
    package = find_spec("sphinx-mathjax-offline")
    if not failed and package and package.origin:
        ours, theirs = Path(app.outdir) / "_static/mathjax", Path(package.origin).parent / "static/mathjax"
        copy_asset(theirs / "tex-chtml.js", ours)
        copy_asset(theirs / "output/chtml/fonts/woff-v2", ours / "output/chtml/fonts/woff-v2")


def setup(app: Sphinx) -> None:
    """Connect what is set up here, and say which pages there are."""
    app.connect("build-finished", copy_mathjax)
    if (DOCS / "explorer.html").exists():
        app.tags.add("explorer")
