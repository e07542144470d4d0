"""Imports go down only (the floors of the house), and the command line answers without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
METHOD = {
    *("protocols", "noise", "features", "sampling", "few_steps", "corrections"),
    *("denoising", "guidance", "embedding", "validate", "clusters", "self_labels"),
    *("velocity", "restoration", "composition", "steering", "field", "outline"),
}

KNOWS = {
    "common": set(),
    "method": set(),
    "networks": {"method"},
    "training": {"common", "method", "networks"},
    "measures": {"method"},
    "figures": {"common"},
    "images": {"common", "method", "networks", "training", "figures", "measures"},
    "evaluation": {"common", "method", "networks", "training", "figures", "images", "measures"},
    "toy": {"common", "method", "networks", "training", "figures", "measures"},
    "explorer": {"figures", "images"},
    "commands": {
        *("common", "method", "networks", "training", "figures", "images", "measures", "evaluation", "explorer"),
    },
}
MODULES = sorted([*ROOT.glob("fgs/**/*.py"), *ROOT.glob("toy/**/*.py"), ROOT / "cli.py"])
LIBRARIES = {"numpy", "torch", "matplotlib", "PIL", "typer", "rich"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """The folder of `fgs` that a module lies in, "method" for those beside the folders; `toy`, whose command is one."""
    parts = module.split(".")
    if parts[0] == "toy":
        return "commands" if module == "toy.command" else "toy"
    if parts[0] == "cli" or module in ("fgs", "fgs.__main__"):
        return "door"
    return "method" if parts[1] in METHOD else parts[1]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the floors"
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_imports_go_down(path):
    module, room = module_of(path), room_of(module_of(path))
    outside = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {"fgs", "toy", "cli"}
    assert outside <= LIBRARIES
    drawing = room == "figures" or module in ("toy.figures", "toy.learned.figures")
    assert "matplotlib" not in outside or drawing
    assert "PIL" not in outside or drawing or module == "fgs.images.reading"
    assert not outside & {"typer", "rich"} or room in ("commands", "door") or module == "toy.report"
    assert room != "method" or outside <= {"torch", "numpy"}, "the method knows torch and numpy alone"
    if room == "door":
        return
    for name in imports(path):
        if name.split(".")[0] in ("fgs", "toy", "cli"):
            other = room_of(name)
            knows = KNOWS[room] | ({"toy"} if module == "toy.command" else set())
            assert other in knows | {room}, f"{module} of {room} imports {name} of {other}"


def test_no_import_cycles():
    graph = {module_of(path): {n for n in imports(path) if n.split(".")[0] in ("fgs", "toy")} for path in MODULES}
    graph = {name: needs - {name} for name, needs in graph.items() if name != "cli"}
    while graph:
        free = {name for name, needs in graph.items() if not needs & graph.keys()}
        assert free, f"a cycle among {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in free}


def in_a_new_process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def test_help_imports_neither_torch_nor_matplotlib():
    code = (
        "import sys, cli\n"
        "try:\n cli.main()\n"
        "except SystemExit as end:\n"
        " heavy = {'torch', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        " sys.exit(f'imported {heavy}' if heavy else end.code)\n"
    )
    done = in_a_new_process(code, "--help")
    assert done.returncode == 0, done.stderr
    assert "fgs" in done.stdout


def test_the_library_imports_no_plots_and_no_command_line():
    code = (
        "import sys, fgs\n"
        "missing = [name for name in fgs.__all__ if not hasattr(fgs, name)]\n"
        "above = {'matplotlib', 'typer', 'rich', 'toy', 'cli'} & set(sys.modules)\n"
        "sys.exit(str(above or missing or fgs.__version__))\n"
    )
    done = in_a_new_process(code)
    assert done.stderr.strip().startswith("0."), done.stderr


def test_every_room_says_what_it_is_for():
    for path in ROOT.glob("*/*/__init__.py"):
        if path.parts[-3] in ("fgs", "toy"):
            assert len((ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()) == 1, path
