"""Twelve photographs as one heap of patches: is a network that finds the classes as good as one that is told them?

`python benchmarks/heap.py UNSEEN OUT STEPS [SEED …]` trains `small`, gray, on the twelve photographs of UNSEEN (see
`shipped.py lay`), told which patch is of which, and told nothing but their number, and samples each photograph: by its
φ_y, or by that of the cluster that holds most of its patches. Runs are in OUT, and resumed if they were stopped.

`python benchmarks/heap.py curve UNSEEN OUT STEPS FIGURE.png` trains with other numbers K of clusters: how well held-out
patches are denoised, by φ of the cluster that each is nearest to, tells which K is enough. The figure has the curve,
and of the run `found-0` in OUT, if it is there, the patches nearest to each centroid.

`python benchmarks/heap.py sigma UNSEEN` prints how well clusters of φ(x_σ) of the model that ships, whole and by block,
agree with the photographs, which it never saw, at every noise level.
"""

import json
import sys
from pathlib import Path

import torch

from fgs.clusters import find_clusters
from fgs.commands.console import fail
from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.evaluation.samples import fit_judge, summarise
from fgs.figures import image_grid
from fgs.figures.style import CLASS_COLOURS, OTHER, new_figure, save_figure
from fgs.images.conditions import sample_rows
from fgs.images.held_out import unit_of
from fgs.images.model import Model, load_model
from fgs.images.patches import Patches, read_images
from fgs.images.recipe import Recipe
from fgs.images.run import Run
from fgs.images.samplers import HowToSample
from fgs.measures.partitions import nmi
from fgs.networks import GuidedUNet
from fgs.noise import seeded, standard_normal
from shipped import TWELVE

NUMBERS = (2, 4, 8, 12, 18, 24)
WAYS = {"told": None, "found": len(TWELVE)}
SAMPLES, ASKED = 64, 64  # of a class: samples, and patches that say which cluster is its


def run(unseen: Path, out: Path, steps: int, seeds: list[int]) -> None:
    """Make what is missing, and print all."""
    for seed in seeds:
        for name, clusters in WAYS.items():
            folder, path = out / f"{name}-{seed}", out / f"{name}-{seed}.json"
            if not path.exists():
                settings = {"class_": TWELVE, "classes": "fixed", "batch": 16, "steps": steps, "seed": seed}
                recipe = Recipe((str(unseen),), clusters=clusters, **settings)
                training = Run.resume(folder, {}) if (folder / "last.pt").exists() else Run.start(folder, recipe)
                for _ in training.train():
                    pass
                training.save()
                found = {"way": name, "seed": seed, "steps": steps} | judged(load_model(folder), training.patches)
                found |= {key: training.metrics[-1].get(key) for key in ("nmi", "purity")}
                write_text(path, json_text(found))
    keys = ("nmi", "purity", "hit", "real_hit", "distance_median", "distance_worst", "diversity_right")
    print("| classes | seed | " + " | ".join(keys) + " |\n|" + "---|" * (2 + len(keys)))
    for path in sorted(out.glob("*.json")):
        found = json.loads(path.read_text())
        cells = ["" if found[key] is None else f"{found[key]:.3g}" for key in keys]
        print(f"| {found['way']} | {found['seed']} | " + " | ".join(cells) + " |")


@torch.no_grad()
def judged(model: Model, patches: Patches) -> dict[str, float | None]:
    """Sample every photograph by the class of the model that is nearest to most of its patches."""
    assert model.targets is not None
    unit, rows = unit_of(model.targets), []
    for y in range(len(patches.classes)):
        phi = model.features(patches.training(y, ASKED, seeded(0, y)))
        rows.append(int(torch.cdist(phi / unit, model.targets / unit).argmin(1).mode().values))
    condition = model.condition([model.classes[row] for row in rows])
    x = sample_rows(model.network, condition, SAMPLES, HowToSample().build(), (patches.patch,) * 2)
    judge = fit_judge(patches)
    return summarise({name: judge(x[y], y)._asdict() for y, name in enumerate(patches.classes)})


def curve(unseen: Path, out: Path, steps: int, figure: Path) -> None:
    """Train with every K, print and draw the PSNR of held-out patches, and draw the patches nearest to centroids."""
    lines = {}
    for K in NUMBERS:
        folder = out / f"K-{K}"
        settings = {"class_": TWELVE, "classes": "fixed", "batch": 16, "steps": steps, "seed": 0}
        recipe = Recipe((str(unseen),), clusters=K, **settings)
        training = Run.resume(folder, {}) if (folder / "last.pt").exists() else Run.start(folder, recipe)
        for _ in training.train():
            pass
        training.save()
        lines[K] = training.metrics[-1]
        found = {key: lines[K][key] for key in ("psnr", "nmi", "purity")}
        print(K, {key: round(value, 3) for key, value in found.items()}, flush=True)
    drawing = new_figure(4.4, 3.2)
    axes = drawing.subplots()
    axes.plot(NUMBERS, [lines[K]["psnr"] for K in NUMBERS], "o-", color=CLASS_COLOURS[1])
    none = sum(sum(lines[K]["psnr_none"]) / len(lines[K]["sigma"]) for K in NUMBERS) / len(NUMBERS)
    axes.axhline(none, color=OTHER, lw=1, ls="--")
    axes.annotate("no φ", (NUMBERS[0], none), fontsize=8, va="bottom")
    axes.set(xscale="log", xticks=NUMBERS, xticklabels=NUMBERS, xlabel="clusters K (there are twelve photographs)")
    axes.set_ylabel("PSNR of held-out patches (dB)")
    axes.minorticks_off()
    save_figure(drawing, figure)
    if (out / "found-0" / "network.pt").exists():
        nearest(out / "found-0", figure.with_stem(f"{figure.stem}-nearest"))


@torch.no_grad()
def nearest(folder: Path, path: Path, shown: int = 8) -> None:
    """Draw the patches whose φ is nearest to that of each cluster."""
    model, patches = load_model(folder), Run.resume(folder, {}).patches
    assert model.targets is not None
    x, _ = patches.mixed(2048, seeded(0))
    unit = unit_of(model.targets)
    away = torch.cdist(model.features(x) / unit, model.targets / unit)
    rows = {name: x[away[:, k].topk(shown, largest=False).indices] for k, name in enumerate(model.classes)}
    image_grid(rows, [""] * shown, "", path)


@torch.no_grad()
def telling(unseen: Path, each: int = 160) -> None:
    """Print a table of the NMI by σ and block."""
    model = load_model()
    assert isinstance(model.network, GuidedUNet)
    images, _ = read_images(unseen, model.patch, model.recipe.preparation, only=TWELVE)
    patches = Patches(images, model.patch)
    x = torch.cat([patches.training(k, each, seeded(k)) for k in range(len(images))])
    y = torch.arange(len(images)).repeat_interleave(each)
    names = [f"block {number + 1}" for number in range(len(model.network.widths))]
    print(f"| σ | all | {' | '.join(names)} |\n|{'---|' * (2 + len(names))}")
    for sigma in (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        phi = model.features(x + sigma * standard_normal(x, seeded(0)))
        cells = [phi, *phi.split(model.network.widths, 1)]
        found = (nmi(find_clusters(part, len(images), generator=seeded(1)).assign(part), y) for part in cells)
        print(f"| {sigma:g} | {' | '.join(f'{one:.2f}' for one in found)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["sigma"] and len(sys.argv) == 3:
        telling(Path(sys.argv[2]))
        raise SystemExit
    if sys.argv[1:2] == ["curve"] and len(sys.argv) == 6:
        curve(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
        raise SystemExit
    if len(sys.argv) < 4:
        fail("give UNSEEN OUT STEPS [SEED …]", 2)
    run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), [int(seed) for seed in sys.argv[4:]] or [0, 1])
