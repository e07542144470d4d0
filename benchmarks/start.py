"""Is a network that knows many textures a better start for twelve of one's own than none?

`python benchmarks/start.py UNSEEN OUT [SEED …]` trains `medium` in colour on the twelve photographs of UNSEEN, from the
model that ships at a quarter of the learning rate, as `--from shipped` does, and from scratch, for as many steps as two
cores of an AMD EPYC take in so many minutes. OUT gets a file a training, so that
a run that was stopped goes on.

`python benchmarks/start.py draw OUT FIGURE.png` prints and draws hit and distance over the minutes.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from classes import judged, trained
from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.evaluation.samples import fit_judge
from fgs.figures.style import CLASS_COLOURS, OTHER, new_figure, save_figure
from fgs.images.model import load_model
from fgs.images.recipe import Recipe
from fgs.images.sources import read_patches
from fgs.networks import GuidedUNet
from script import run_or_draw
from shipped import TWELVE

A_MINUTE = 360  # steps of 16 pairs that two idle cores take, with two processes
MINUTES = (0, 1, 2, 5, 15)


def run(folder: Path, out: Path, seeds: list[int]) -> None:
    """Make what is missing."""
    shipped = load_model()
    asked = Recipe((str(folder),), TWELVE, "fixed", preset="medium", color=True, batch=16, steps=1).on_this_machine()
    patches = read_patches(asked)[0]
    judge = fit_judge(patches)
    out.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for minutes in MINUTES:
            for name in ("shipped", "scratch"):
                path = out / f"{name}-{minutes}-{seed}.json"
                if path.exists() or (minutes == 0 and (name == "scratch" or seed != seeds[0])):
                    continue
                rate = asked.learning_rate / (4 if name == "shipped" else 1)
                recipe = replace(asked, steps=max(1, A_MINUTE * minutes), learning_rate=rate, seed=seed)
                weights = shipped.network.state_dict() if name == "shipped" else None
                network = trained(recipe, patches, seed, weights) if minutes else shipped.network
                assert isinstance(network, GuidedUNet)
                found = {"start": name, "minutes": minutes, "seed": seed}
                found |= judged(network, patches, judge, 32, seed)["all"]
                write_text(path, json_text(found))
                print(found, file=sys.stderr, flush=True)


def draw(out: Path, path: Path) -> None:
    """Print the means over seeds, and draw them."""
    found = [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]
    figure = new_figure(9.0, 3.2)
    for axis, key in zip(figure.subplots(1, 3), ("hit", "distance_median", "distance_worst"), strict=True):
        for name, colour in (("shipped", CLASS_COLOURS[2]), ("scratch", OTHER)):
            of = {m: [each[key] for each in found if (each["start"], each["minutes"]) == (name, m)] for m in MINUTES}
            known = {m: values for m, values in of.items() if values}
            axis.plot(
                list(known), [fmean(values) for values in known.values()], "o-", color=colour, label=f"from {name}"
            )
            for m, values in known.items():
                axis.plot([m] * len(values), values, ".", ms=4, color=colour)
                print(f"{key:16} {name:8} {m:3} min: {fmean(values):6.2f}  {', '.join(f'{v:.2f}' for v in values)}")
        axis.set(xlabel="minutes on two cores", ylabel=key.replace("_", " "), xscale="symlog")
        axis.set_xticks(MINUTES, [str(m) for m in MINUTES])
        if key != "hit":
            axis.set_yscale("log")
            axis.set_yticks((1, 2, 5, 10, 20, 50), ("1", "2", "5", "10", "20", "50"))
            axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


if __name__ == "__main__":
    run_or_draw(
        lambda typed: run(Path(typed[0]), Path(typed[1]), [int(seed) for seed in typed[2:]] or [0, 1]),
        draw,
        "UNSEEN OUT [SEED …]",
    )
