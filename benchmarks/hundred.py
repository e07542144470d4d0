"""Many classes at once: a hundred drawn at random of those that the model was trained on, and the 72 that it was not.

`python benchmarks/hundred.py UNSEEN SEEN,SEEN OUT [SEED …]` samples them by φ of their pictures, as `fgs evaluate`
does, and asks a classifier of all of them: is the class the first of its answers, is it among the first five? Apart for
textures that are alike all over and for those that are not: by the spread of φ over a picture (Eq. 5). The same samples
of the first 72 of the hundred are asked for among 72 as well, as many as were never seen. A seed draws the hundred, of
pictures that are not flat, the patches and the noise. Of what was never seen 60 were chosen to be unlike any other
picture; of what was trained on nothing was chosen, so that some are alike.

`python benchmarks/hundred.py draw OUT FIGURE.png` prints and draws it.
"""

import json
import sys
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import torch
from torch import Tensor

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.evaluation.samples import fit_judge
from fgs.figures.style import CLASS_COLOURS, new_figure, save_figure
from fgs.images.conditions import Condition, sample_rows
from fgs.images.held_out import class_features, class_means
from fgs.images.model import load_model
from fgs.images.patches import Patches
from fgs.images.samplers import HowToSample
from fgs.images.sources import flat_classes, patches_of, unseen_patches
from fgs.measures import TextureJudge
from fgs.networks import GuidedUNet
from script import run_or_draw

KINDS = {"trained on, of 100": 100, "trained on, of 72": 72, "never seen, of 72": 72}
SAMPLES, FIRST = 32, 5
PARTS = 3  # by spread of φ


def run(unseen: Path, seen: list[Path], out: Path, seeds: list[int]) -> None:
    """Make what is missing."""
    out.mkdir(parents=True, exist_ok=True)
    model = load_model()
    network = model.network
    assert isinstance(network, GuidedUNet)
    flat = flat_classes(patches_of(model.only(model.trained_on), seen))  # which endless classes leave out
    names = [name for name in model.trained_on if name not in flat]
    for seed in seeds:
        order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
        drawn: dict[str, Tensor] = {}
        for kind, number in KINDS.items():
            path = out / f"{kind.replace(',', '').replace(' ', '-')}-{seed}.json"
            if path.exists():
                continue
            of = tuple(sorted(names[k] for k in order[:number]))
            known = kind.startswith("trained")
            patches = patches_of(model.only(of), seen) if known else unseen_patches(model.recipe, unseen, ())[0]
            if not set(patches.classes) <= set(drawn):
                drawn |= sampled(network, patches, seed)
            found = told(network, patches, torch.stack([drawn[name] for name in patches.classes]), seed)
            write_text(path, json_text({"kind": kind, "seed": seed, "classes": found}))
            print(path, fmean(each["hit"] for each in found.values()), file=sys.stderr, flush=True)


@torch.no_grad()
def sampled(network: GuidedUNet, patches: Patches, seed: int) -> dict[str, Tensor]:
    """Return samples of every class, by its name."""
    asked = Condition(class_features(network, patches, seed=seed).phi, *class_means(patches))
    how = HowToSample(seed=seed)
    x = sample_rows(how.cast(network), asked, SAMPLES, how.build(), (patches.patch,) * 2, seed)
    return dict(zip(patches.classes, x, strict=True))


@torch.no_grad()
def told(network: GuidedUNet, patches: Patches, x: Tensor, seed: int) -> dict[str, Any]:
    """Return, by class: share of samples at the first place and among the first five; the same of held-out patches."""
    judge, phi = fit_judge(patches, seed=seed), class_features(network, patches, seed=seed)
    return {
        name: {
            **_places(judge, judge.scaled(x[y]), y, ""),
            **_places(judge, judge.held_out[y], y, "real_"),
            "distance": judge(x[y], y).distance,
            "spread": float(phi.spread[y]),
        }
        for y, name in enumerate(patches.classes)
    }


def _places(judge: TextureJudge, z: Tensor, y: int, what: str) -> dict[str, float]:
    """Return the share of statistics z, in units of their sd, that are told as y first, and among the first five."""
    first = judge.classifier(z).topk(FIRST).indices == y
    return {f"{what}hit": float(first[:, 0].float().mean()), f"{what}five": float(first.any(1).float().mean())}


def draw(out: Path, path: Path) -> None:
    """Print means ± sd over seeds, by thirds of the spread of φ, and draw hits against it."""
    found = [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]
    figure = new_figure(9.0, 3.4)
    for axis, kind in zip(figure.subplots(1, len(KINDS), sharey=True), KINDS, strict=True):
        of = [list(each["classes"].values()) for each in found if each["kind"] == kind]
        if not of:
            continue
        _print(kind, "all", of)
        ordered = [sorted(classes, key=lambda each: each["spread"]) for classes in of]
        for part in range(PARTS):
            thirds = [c[part * len(c) // PARTS : (part + 1) * len(c) // PARTS] for c in ordered]
            _print(kind, f"third {part + 1} by spread", thirds)
        each = [each for classes in of for each in classes]
        axis.plot([e["spread"] for e in each], [e["hit"] for e in each], "o", ms=3, color=CLASS_COLOURS[2])
        axis.set(xscale="log", title=kind, xlabel="spread of φ over the picture", ylim=(-0.03, 1.03))
        axis.set_xticks((5, 10, 20, 40), ("5", "10", "20", "40"))
        axis.minorticks_off()
    figure.axes[0].set_ylabel("share of samples told as their class")
    save_figure(figure, path)


def _print(kind: str, part: str, of: list[list[dict[str, float]]]) -> None:
    """Print a row of the table, from the classes of every seed."""
    cells = []
    for name in ("hit", "real_hit", "five", "real_five"):
        values = [fmean(each[name] for each in classes) for classes in of]
        cells.append(f"{fmean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else ""))
    distances = [median(each["distance"] for each in classes) for classes in of]
    print(f"| {kind} | {part} | {' | '.join(cells)} | {fmean(distances):.2f} |")


def _typed(typed: list[str]) -> None:
    seen = [Path(name) for name in typed[1].split(",")]
    run(Path(typed[0]), seen, Path(typed[2]), [int(seed) for seed in typed[3:]] or [0, 1, 2])


if __name__ == "__main__":
    run_or_draw(_typed, draw, "UNSEEN SEEN,SEEN OUT [SEED …]")
