"""The reference from docstrings: a page a room, and names in backticks that lead to what they name."""

import re
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[1]
MAP = "lessons/README"  # its names of code are links
LINKED = ("class", "exception", "function", "data", "module", "type")  # of a short name; a field is found in its class


class Room(SphinxDirective):
    """All modules of a folder, as `fgs/networks`, each under a heading of its own."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what autodoc says of them."""
        text = []
        for path in sorted((ROOT / self.arguments[0]).glob("[!_]*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            text.append(f"## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n```\n")
        return self.parse_text_to_nodes("\n".join(text), allow_section_headings=True)


class PublicNames(SphinxDirective):
    """What a package exports, `__all__`, each name a link."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return one paragraph of links."""
        package = import_module(self.arguments[0])
        line = nodes.paragraph("", "", nodes.literal("", f"from {package.__name__} import "))
        for name in sorted(package.__all__, key=str.lower):
            thing = getattr(package, name)
            where = {"refdomain": "py", "reftype": "obj", "reftarget": f"{thing.__module__}.{name}", "refwarn": True}
            line += [
                addnodes.pending_xref("", nodes.literal("", name), **where, refdoc=self.env.docname),
                nodes.Text(" "),
            ]
        return [line]


def options_of(of: type) -> list[str]:
    """Return what a dataclass of options says of its fields, as a section of its docstring."""
    hints = get_type_hints(of, include_extras=True) if is_dataclass(of) else {}
    said = {name: word.help for name, hint in hints.items() for word in get_args(hint) if hasattr(word, "help")}
    return ["", "Attributes:", *(f"    {name}: {text}" for name, text in said.items())] if said else []


def plain_types(app: Sphinx, function: Any, bound: bool) -> None:  # noqa: ANN401 of any kind
    """Take the words for the command line out of the types of a signature; they stand below it."""
    if any(get_origin(hint) is Annotated for hint in getattr(function, "__annotations__", {}).values()):
        function.__annotations__ = get_type_hints(function)


def plain_defaults(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Write defaults of a signature as they would be typed."""
    plain = (signature or "").replace("PosixPath(", "Path(").replace("<factory>", "...")
    return re.sub(r"<class '(\w+)'>", r"\1", plain) or None, returns


def as_rst(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Take what our docstrings say in plain text for text: |x|, x_, 2*3, and an indented formula or example."""
    if isinstance(obj, type):
        lines += options_of(obj)
    before = ""
    for i, line in enumerate(lines):
        parts = re.split(r"(``.*?``|`[^`]*`)", line)
        parts[::2] = [re.sub(r"([*|\\]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
        indented = line.startswith(" ") and i > 1 and not lines[i - 1].strip() and before[:1] not in (" ", "")
        if indented and not before.endswith("::"):
            lines[i - 1] = "\n::\n"
        if line.strip():
            before = line
        lines[i] = "".join(parts)
    lines[:] = "\n".join(lines).split("\n")
    if what in ("attribute", "data", "property"):
        lines.insert(0, "\\ ")  # an empty word, or napoleon takes what stands before a colon for a type


def link(code: str, env: BuildEnvironment, module: str | None = None) -> nodes.Node:
    """Return code that leads to what it names, if it can be a name: of `module`, or of where it stands."""
    literal = nodes.literal("", code, classes=["code"])
    target = code.removesuffix("()")
    if not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", target):
        return literal
    context = {"py:module": module or env.ref_context.get("py:module"), "py:class": env.ref_context.get("py:class")}
    kind = {"refdomain": "py", "reftype": "obj", "reftarget": target, "refdoc": env.docname}
    return addnodes.pending_xref("", literal, **kind, **context, refwarn=False, of_backticks=True)


def backtick(
    name: str, rawtext: str, text: str, lineno: int, inliner: Inliner, options: object = None, content: object = None
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Read `text` of a docstring, as Markdown would: as code."""
    return [link(text.replace("\x00", "\\"), inliner.document.settings.env)], []


def find(app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Node) -> nodes.Node | None:
    """Resolve a name that another module has, or leave it as code; a full name of ours must be found."""
    if not node.get("of_backticks"):
        return None
    name, domain = node["reftarget"], env.domains["py"]
    found = [full for full, entry in domain.objects.items() if f".{full}".endswith(f".{name}") and entry[2] in LINKED]
    if len(found) != 1:
        return None if name.startswith(("fgs.", "toy.")) else content
    node = addnodes.pending_xref("", **{**node.attributes, "reftarget": found[0]})
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, content)


def link_the_map(app: Sphinx, document: nodes.document) -> None:
    """Make links of the functions, files and lessons that the map from paper to code names."""
    if app.env.docname != MAP:
        return
    module = None
    for literal in reversed(list(document.findall(nodes.literal))):  # "`name` in `file`": the file first
        code = literal.astext()
        if re.fullmatch(r"\d\d_\w+\.py", code):
            kind = {"refdomain": "std", "reftype": "doc", "reftarget": f"/lessons/{code.removesuffix('.py')}"}
            new: nodes.Node = addnodes.pending_xref("", literal.deepcopy(), **kind, refdoc=MAP, refexplicit=True)
        elif re.fullmatch(r"(?:fgs|toy)/[\w/]+\.py", code):
            module = code.removesuffix(".py").replace("/", ".")
            new = link(module, app.env)
            new.children = [literal.deepcopy()]
        else:
            new = link(code, app.env, module)
        literal.replace_self(new)


def dashes(app: Sphinx, document: nodes.document) -> None:
    """Draw the dash between a parameter and its description, which Sphinx leaves to the smart quotes we do without."""
    for text in [text for text in document.findall(nodes.Text) if text == " -- "]:
        text.parent.replace(text, nodes.Text(" – "))


def skip(app: Sphinx, what: str, name: str, obj: object, skipped: bool, options: object) -> bool | None:
    """Leave out fields of named tuples, whose docstrings say no more than that: the class describes them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of rooms and backticks."""
    app.add_directive("room", Room)
    app.add_directive("public-names", PublicNames)
    app.add_role("backtick", backtick)
    app.config.default_role = "backtick"
    app.connect("autodoc-before-process-signature", plain_types)
    app.connect("autodoc-process-signature", plain_defaults)
    app.connect("autodoc-process-docstring", as_rst, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", skip)
    app.connect("missing-reference", find)
    app.connect("doctree-read", link_the_map)
    app.connect("doctree-read", dashes)
    return {"parallel_read_safe": True}
