"""Imports go down only (the floors of the layout), and the command line answers without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FLOORS = (
    {
        "fgs.protocols",
        "fgs.features",
        "fgs.noise",
        "fgs.files",
        "fgs.distributed",
        "fgs.fields",
        "fgs.textures",
        "fgs.images",
        "fgs.windows",
        "fgs.curriculum",
    },
    {
        "fgs.sampling",
        "fgs.few_steps",
        "fgs.corrections",
        "fgs.guidance",
        "fgs.networks",
        "fgs.unet",
        "fgs.data",
        "fgs.denoising",
    },
    {
        "fgs.training",
        "fgs.muon",
        "fgs.measures",
        "fgs.embedding",
        "fgs.validate",
        "fgs.statistics",
        "fgs.generate",
        "fgs.quality",
        "fgs.memorisation",
    },
    {
        "fgs.plots",
        "fgs.image_plots",
        "fgs.bench_plots",
        "fgs.lesson",
        "fgs.checkpoints",
        "fgs.console",
        "fgs.recipes",
        "fgs.models",
        "fgs.report",
    },
    {
        "fgs.runs",
        "fgs.bench_samplers",
        "fgs.bench_images",
        "fgs.bench_training",
        "fgs.bench_command",
        "fgs.commands",
        "fgs.lesson_command",
        "fgs.sample_command",
        "fgs.denoised",
        "fgs.evaluation",
        "fgs.embed_command",
        "fgs.evaluate_command",
        "fgs.sampled",
        "fgs.sections",
    },
    {"toy"},
    {"cli"},
)
ROOT = Path(__file__).parents[1]
MODULES = sorted([*ROOT.glob("fgs/*.py"), *ROOT.glob("toy/*.py"), ROOT / "cli.py"])


def floor(module: str) -> int:
    for number, modules in enumerate(FLOORS):
        if module in modules or module.split(".")[0] in modules:
            return number
    raise AssertionError(f"{module} stands on no floor; give it one in FLOORS")


DRAWING = ("fgs.plots", "fgs.image_plots", "fgs.bench_plots", "fgs.lesson")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the floors"
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: path.stem if path.parent == ROOT else f"{path.parent.name}.{path.stem}"
)
def test_imports_go_down(path):
    module = path.stem if path.parent == ROOT else f"{path.parent.name}.{path.stem}"
    external = {name.split(".")[0] for name in imports(path)}
    assert "matplotlib" not in external or module in DRAWING
    assert "PIL" not in external or module in ("fgs.plots", "fgs.image_plots", "fgs.images")
    assert external <= {"fgs", "toy", "numpy", "torch", "matplotlib", "PIL", "typer", "rich", *sys.stdlib_module_names}
    if path.stem == "__init__":
        return
    for name in imports(path):
        if name.split(".")[0] in ("fgs", "toy", "cli"):
            same_package = name.split(".")[0] == module.split(".")[0] == "toy"
            assert same_package or floor(name) <= floor(module), f"{module} imports {name} from above"


def test_no_import_cycles():
    graph = {
        path.stem: {n.split(".")[1] for n in imports(path) if n.startswith("fgs.")} for path in ROOT.glob("fgs/*.py")
    }
    graph.pop("__init__")
    while graph:
        free = {name for name, needs in graph.items() if not needs & graph.keys()}
        assert free, f"a cycle among {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in free}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_imports_neither_torch_nor_matplotlib(option):
    code = (
        "import sys, cli\n"
        "try:\n cli.main()\n"
        "except SystemExit as end:\n"
        " heavy = {'torch', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        " sys.exit(f'imported {heavy}' if heavy else end.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, option], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fgs" in done.stdout
