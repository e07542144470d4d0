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
        "fgs.common.files",
        "fgs.training.processes",
        "fgs.images.fields",
        "fgs.images.synthetic",
        "fgs.images.reading",
        "fgs.images.windows",
        "fgs.teaching.curriculum",
    },
    {
        "fgs.sampling",
        "fgs.few_steps",
        "fgs.corrections",
        "fgs.guidance",
        "fgs.networks.mlp",
        "fgs.networks.unet",
        "fgs.images.patches",
        "fgs.denoising",
    },
    {
        "fgs.training.trainer",
        "fgs.training.muon",
        "fgs.measures.distances",
        "fgs.embedding",
        "fgs.validate",
        "fgs.measures.statistics",
        "fgs.images.sample",
        "fgs.measures.judge",
        "fgs.measures.copies",
    },
    {
        "fgs.figures.charts",
        "fgs.figures.images",
        "fgs.bench_plots",
        "fgs.teaching.lesson",
        "fgs.training.checkpoints",
        "fgs.commands.console",
        "fgs.images.recipe",
        "fgs.images.model",
        "fgs.evaluation.page",
    },
    {
        "fgs.images.run",
        "fgs.bench_samplers",
        "fgs.bench_images",
        "fgs.bench_training",
        "fgs.bench_command",
        "fgs.commands.train_images",
        "fgs.commands.lessons",
        "fgs.commands.sample",
        "fgs.images.held_out",
        "fgs.evaluation.denoising",
        "fgs.commands.embed",
        "fgs.commands.evaluate",
        "fgs.evaluation.samples",
        "fgs.evaluation.report",
    },
    {"toy"},
    {"cli"},
)
ROOT = Path(__file__).parents[2]
MODULES = sorted([*ROOT.glob("fgs/*.py"), *ROOT.glob("toy/*.py"), ROOT / "cli.py"])


def floor(module: str) -> int:
    for number, modules in enumerate(FLOORS):
        if module in modules or module.split(".")[0] in modules:
            return number
    raise AssertionError(f"{module} stands on no floor; give it one in FLOORS")


DRAWING = ("fgs.figures.charts", "fgs.figures.images", "fgs.bench_plots", "fgs.teaching.lesson")


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
    assert "PIL" not in external or module in ("fgs.figures.charts", "fgs.figures.images", "fgs.images.reading")
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
