"""Sphinx's settings. The sources are the repository's own files, where they lie, so links work here as on GitHub."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "lessons"), str(DOCS)]  # this clone, whatever is installed

project, author, copyright = "fgs", "The fgs developers", "The fgs developers, MIT licence"
root_doc = "docs/index"
include_patterns = ["docs/*.md", "docs/api/*.md", "docs/shipped/report.md", "lessons/*.md", "lessons/[0-9]*.py"]
include_patterns += ["benchmarks/README.md"]
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
smartquotes = False  # x' and --option mean what they say
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


MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")


def copy_mathjax(app: Sphinx, failed: Exception | None) -> None:
    """Ship what is used of MathJax, 2 MB of the 24 that the extension `sphinx-mathjax-offline` itself would copy."""
    package = find_spec("sphinx-mathjax-offline")
    if package is None or package.origin is None:
        raise ExtensionError("sphinx-mathjax-offline is not installed; pip install -e '.[docs]' brings it")
    theirs, ours = Path(package.origin).parent / "static/mathjax", Path(app.outdir) / "_static/mathjax"
    for path in () if failed else sorted(theirs.rglob("*.*")):
        target = ours / path.relative_to(theirs)
        if target.relative_to(ours).as_posix().startswith(MATHJAX):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def setup(app: Sphinx) -> None:
    """Connect what is set up here, and say which pages there are."""
    app.connect("build-finished", copy_mathjax)
    if (DOCS / "explorer.html").exists():
        app.tags.add("explorer")
