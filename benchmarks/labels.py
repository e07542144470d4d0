"""Features against labels at length: from how many classes on does it pay to share?

`python benchmarks/labels.py LAID OUT [NAME …]` trains `small`, gray, on K fixed classes, guided by features and by
labels, for equally many steps (LAID: see `shipped.py lay`). The K are the twelve photographs and as many more of LAID
as it takes, and all networks are judged on the twelve: features, the label, classifier-free guidance at four ω. Steps
are equal, so that each of many classes is shown less often: a NAME is `12-features-0`: K, what guides, seed, and may
end in a number of steps, as `1000-label-0-80000`, to tell the two apart. The mean colour of samples is that of the
class in all ways (`KnownMean`). OUT gets a file a network, and the state of the one in training.

`python benchmarks/labels.py draw OUT FIGURE.png` prints the table and draws it.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from classes import trained
from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.evaluation.samples import fit_judge, summarise
from fgs.figures.style import COLOURS, new_figure, save_figure
from fgs.guidance import ClassifierFreeGuidance
from fgs.images.conditions import Condition, sample_rows
from fgs.images.held_out import class_features, class_means
from fgs.images.patches import Patches
from fgs.images.recipe import Recipe
from fgs.images.samplers import HowToSample
from fgs.images.sources import flat_classes, read_patches
from fgs.networks import GuidedUNet, UNet
from fgs.protocols import ProjectedScore
from script import run_or_draw
from shipped import TWELVE

CLASSES, GUIDANCES, SEEDS = (12, 60, 400, 1000), ("features", "label"), (0, 1, 2)
STEPS, SAMPLES = 20_000, 32
OMEGAS = (0.5, 1.0, 2.0, 4.0)
SHOWN = {"features": COLOURS["learned"], "label": COLOURS["label"], "CFG 1": COLOURS["label_cfg1"]}


def read(laid: Path, K: int) -> Patches:
    """Return K classes, the twelve photographs first of all."""
    folders = tuple(str(laid / name) for name in ("unseen", "textures", "photographs"))
    recipe = Recipe(folders, classes="fixed").on_this_machine()
    every = read_patches(recipe)[0]
    left_out = {*flat_classes(every), *TWELVE, *(path.stem for path in (laid / "unseen").iterdir())}
    others = [name for name in every.classes if name not in left_out]
    chosen = [others[k * len(others) // (K - 12)] for k in range(K - 12)]
    return read_patches(replace(recipe, class_=(*TWELVE, *chosen)))[0]


def run(laid: Path, out: Path, names: list[str]) -> None:
    """Make what is missing of the networks asked for."""
    torch.set_num_threads(1)  # networks are trained side by side, a core each
    out.mkdir(parents=True, exist_ok=True)
    for name in names or [f"{K}-{guidance}-{seed}" for seed in SEEDS for K in CLASSES for guidance in GUIDANCES]:
        path, (K, guidance, seed, *longer) = out / f"{name}.json", name.split("-")
        if path.exists():
            continue
        patches = read(laid, int(K))
        steps = int(longer[0]) if longer else STEPS
        shared = 1 if guidance == "label" else 4  # sharing x' saves passes that labels do not make
        asked = Recipe(guidance=guidance, classes="fixed", batch=16, shared=shared, steps=steps, seed=int(seed))
        recipe = asked.on_this_machine()
        kept = path.with_suffix(".pt")
        network = trained(recipe, patches, int(seed), classes=len(patches.classes), kept=kept)
        found = {"K": int(K), "guidance": guidance, "seed": int(seed), "steps": steps}
        found |= judged(network, patches, read(laid, 12), int(seed))
        write_text(path, json_text(found))
        kept.unlink(missing_ok=True)
        print(name, {way: found["ways"][way]["hit"] for way in found["ways"]}, file=sys.stderr, flush=True)


@torch.no_grad()
def judged(network: UNet, patches: Patches, twelve: Patches, seed: int) -> dict[str, Any]:
    """Sample the twelve in every way that the network can be guided, and judge them among each other."""
    rows = [patches.classes.index(name) for name in twelve.classes]
    judge, guided = fit_judge(twelve), isinstance(network, GuidedUNet)
    phi = class_features(network, twelve).phi if guided else torch.eye(len(patches.classes))[rows]
    asked, how = Condition(phi, *class_means(twelve)), HowToSample(seed=seed)
    ways: dict[str, ProjectedScore] = {"features" if guided else "label": network}
    if not guided:
        ways |= {f"CFG {omega:g}": ClassifierFreeGuidance(network, network, omega) for omega in OMEGAS}
    found = {}
    for way, score in ways.items():
        x = sample_rows(how.cast(score), asked, SAMPLES, how.build(), (patches.patch,) * 2, seed)
        found[way] = summarise({name: judge(x[y], y)._asdict() for y, name in enumerate(twelve.classes)})
    return {"ways": found}


def draw(out: Path, path: Path) -> None:
    """Print hit and distance ÷ floor of every way, means ± sd over seeds, and draw some against K."""
    found = [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]
    found = [each for each in found if each["steps"] == STEPS]
    measures = ("hit", "distance_median", "distance_worst")
    print("| classes | guided by | " + " | ".join(measures) + " |\n|" + "---|" * (2 + len(measures)))
    figure = new_figure(10.0, 3.2)
    axes = figure.subplots(1, len(measures))
    for way in ("features", "label", *(f"CFG {omega:g}" for omega in OMEGAS)):
        for axis, key in zip(axes, measures, strict=True):
            of = {K: [e["ways"][way][key] for e in found if e["K"] == K and way in e["ways"]] for K in CLASSES}
            known = {K: values for K, values in of.items() if values}
            if way in SHOWN:
                axis.plot(list(known), [fmean(v) for v in known.values()], "o-", color=SHOWN[way], label=way)
                for K, values in known.items():
                    axis.plot([K] * len(values), values, ".", ms=4, color=SHOWN[way])
        for K in CLASSES:
            cells = [[e["ways"][way][key] for e in found if e["K"] == K and way in e["ways"]] for key in measures]
            if cells[0]:
                print(f"| {K} | {way} | " + " | ".join(map(_cell, cells)) + " |")
    for axis, key in zip(axes, measures, strict=True):
        axis.set(xscale="log", xlabel="classes trained on", title=f"{key.replace('_', ' ')} of the twelve")
        axis.set_xticks(CLASSES, [str(K) for K in CLASSES])
    axes[0].legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def _cell(values: list[float]) -> str:
    return f"{fmean(values):.3g}" + (f" ± {stdev(values):.2g}" if len(values) > 1 else "")


if __name__ == "__main__":
    run_or_draw(lambda typed: run(Path(typed[0]), Path(typed[1]), typed[2:]), draw, "LAID OUT [NAME …]")
