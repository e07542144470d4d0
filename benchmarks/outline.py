"""Outline first, on textures: how long does a Gaussian explain the path, and what is saved by starting where it ends?

`python benchmarks/outline.py LAID OUT` takes the twelve photographs (LAID: see `shipped.py lay`), which the model that
ships was not trained on, and the Gaussian of each, of 2,000 windows. OUT gets `path.json`, the share of variance
that the closed form explains at every level of the flow from the same start; `starts.json`, hit and distance of samples
that start at a level below, by the Gaussian, against those from σ_0 = 1 in as many calls; and `shown.json`, the same of
all 72 textures of LAID/unseen by the Gaussian of a picture of them, as spot noise.

`python benchmarks/outline.py draw OUT FIGURE.png` prints and draws both.
"""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.corrections import Corrected
from fgs.evaluation.samples import fit_judge, summarise
from fgs.few_steps import MultiStep
from fgs.figures.style import CLASS_COLOURS, OTHER, new_figure, save_figure
from fgs.images import Model, load_model
from fgs.images.conditions import Condition
from fgs.images.held_out import class_features, class_means
from fgs.images.patches import Patches
from fgs.images.samplers import HowToSample
from fgs.images.sources import unseen_patches
from fgs.noise import seeded
from fgs.outline import Outline
from script import run_or_draw
from shipped import TWELVE
from spot_noise import spot_noise

WINDOWS, SAMPLES, SIGMA_END, BETA = 2000, 16, 0.01, 0.15
LEVELS = (0.5, 0.35, 0.25, 0.18, 0.12)  # to start at
SHOWN = {  # by name σ_0 and calls; 0 is the Gaussian alone, without a network
    **{"noise, σ = 1, 48 calls": (1.0, 48), "the picture's Gaussian alone": (0.0, 0)},
    **{f"picture, σ = {level:g}, 48 calls": (level, 48) for level in (0.5, 0.35, 0.25, 0.18)},
    "picture, σ = 0.25, 34 calls": (0.25, 34),
}
BATCH = 64  # images at a time
CALLS = (48, 24)  # from σ_0 = 1 to the end; a start below takes its share of them


class Bench:
    """The model, the classes, what samples of them are judged by, and their Gaussians."""

    def __init__(self, laid: Path) -> None:
        self.model: Model = load_model()
        self.patches: Patches = unseen_patches(self.model.recipe, laid / "unseen", ())[0]
        self.judge = fit_judge(self.patches)
        network = self.model.network
        self.asked = Condition(class_features(network, self.patches).phi, *class_means(self.patches))
        twelve = [y for y, name in enumerate(self.patches.classes) if name in TWELVE]
        self.outlines = {y: Outline.of(self.patches.training(y, WINDOWS, seeded(y))) for y in twelve}

    @torch.no_grad()
    def sample(self, calls: int, level: float, by_outline: bool) -> dict[str, float]:
        """Sample every class from noise level `level` on, and judge: means over the classes."""
        sampler = Corrected(calls, BETA, level, SIGMA_END, denoise_last=True)
        found = {}
        for y, outline in self.outlines.items():
            rows = torch.full((SAMPLES,), y)
            score, phi = self.asked.guide(self.model.network, rows)
            x = self.asked.start(rows, tuple(outline.mean.shape[1:]), level, seeded(y, 1))  # type: ignore[arg-type]
            x = outline.draw(SAMPLES, level, seeded(y, 1)) if by_outline else x
            samples = sampler(score, x, phi, seeded(y, 2)).x.clamp(0, 1)
            found[self.patches.classes[y]] = self.judge(samples, y)._asdict()
        return summarise(found)


@torch.no_grad()
def explained(bench: Bench, n: int = 4, steps: int = 60) -> list[dict[str, Any]]:
    """Return by noise level the shares of variance of x_σ and of x̂ on the network's flow that the Gaussian explains."""
    network, rows = bench.model.network, []
    sampler = MultiStep(steps, 1.0, 1.0, SIGMA_END)
    for y, outline in bench.outlines.items():
        start = outline.draw(n, 1.0, seeded(y, 3))
        asked = torch.full((n,), y)
        score, phi = bench.asked.guide(network, asked)
        sigma = 1.0
        for step in sampler.iterate(score, start, phi):
            there = outline.flow(start, 1.0, sigma)
            x_hat = there + outline(there, None, torch.tensor(sigma))
            rows.append({"y": y, "sigma": sigma, "x_hat": share(step.x_hat, x_hat, outline.mean)})
            sigma = float(step.sigma)
            rows[-1] |= {"after": sigma, "x": share(step.x, outline.flow(start, 1.0, sigma), outline.mean)}
    return rows


def share(x: Tensor, by: Tensor, mean: Tensor) -> float:
    """Return 1 − ‖x − by‖²/‖x − m‖², over a batch."""
    return 1 - float((x - by).square().sum() / (x - mean).square().sum())


@torch.no_grad()
def shown(laid: Path, rows: dict[str, Any], path: Path) -> None:
    """Sample all textures of LAID/unseen from the Gaussian of the part that is not held out, and from noise."""
    model = load_model()
    patches = unseen_patches(model.recipe, laid / "unseen", ())[0]
    model, judge = model.showing(patches), fit_judge(patches)
    asked, how, size = model.condition(), HowToSample(), (model.patch, model.patch)
    every = torch.arange(len(patches.classes)).repeat_interleave(SAMPLES)
    pictures = [patches.training_regions(y) for y in range(len(patches.classes))]
    outlines = torch.cat([spot_noise(each[0], SAMPLES, size, seeded(y, 7)) for y, each in enumerate(pictures)])
    for name, (level, calls) in SHOWN.items():
        if name in rows:
            continue
        x = asked.start(every, size, level, seeded(0)) + ("picture" in name) * outlines
        if level:
            score, phi = asked.guide(how.cast(model.network), every)
            sampler = replace(how, steps=calls).build(level)
            assert phi is not None
            batches = zip(x.split(BATCH), phi.split(BATCH), strict=True)
            x = torch.cat([sampler(score, *batch, seeded(k, 1)).x for k, batch in enumerate(batches)])
        x = x.clamp(0, 1).unflatten(0, (-1, SAMPLES))
        found = {of: judge(x[y], y)._asdict() for y, of in enumerate(patches.classes)}
        parts = {"all": found, "twelve": {of: each for of, each in found.items() if of in TWELVE}}
        rows[name] = {part: summarise(of) for part, of in parts.items()}
        print(name, rows[name], file=sys.stderr, flush=True)
        write_text(path, json_text(rows))


def run(laid: Path, out: Path) -> None:
    """Make what is missing."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "shown.json"
    shown(laid, json.loads(path.read_text()) if path.exists() else {}, path)
    bench = Bench(laid)
    if not (out / "path.json").exists():
        write_text(out / "path.json", json_text(explained(bench)))
    starts = json.loads((out / "starts.json").read_text()) if (out / "starts.json").exists() else []
    for calls in CALLS:
        for level in (1.0, *LEVELS):
            some = round(calls * math.log(level / SIGMA_END) / math.log(1 / SIGMA_END))
            for kind, sigma_0 in (("outline", level), ("shorter", 1.0), ("class mean", level)):
                key = {"of": calls, "level": level, "calls": some, "kind": kind}
                if any(key.items() <= each.items() for each in starts) or (level == 1.0 and kind == "class mean"):
                    continue
                starts.append(key | bench.sample(some, sigma_0, kind == "outline"))
                print(starts[-1], file=sys.stderr, flush=True)
                write_text(out / "starts.json", json_text(starts))


def draw(out: Path, path: Path) -> None:
    """Print the tables, and draw the share that the Gaussian explains, and class hit by the level of the start."""
    rows = json.loads((out / "path.json").read_text())
    figure = new_figure(9.0, 3.3)
    left, right = figure.subplots(1, 2)
    for key, of, colour in (("x", "after", CLASS_COLOURS[2]), ("x_hat", "sigma", CLASS_COLOURS[0])):
        levels = sorted({row[of] for row in rows})
        values = torch.tensor([[row[key] for row in rows if row[of] == level] for level in levels])
        label = "x" if key == "x" else "x̂"
        left.plot(levels, values.quantile(0.5, 1), color=colour, label=f"{label}, median of 12 textures")
        left.fill_between(levels, values.quantile(0.1, 1), values.quantile(0.9, 1), color=colour, alpha=0.2, lw=0)
        print(
            label, [f"{level:.2f}: {float(v.quantile(0.5)):.3f}" for level, v in zip(levels, values, strict=True)][::6]
        )
    left.set(xscale="log", ylim=(0, 1.02), xlabel="σ", ylabel="share explained by the closed form")
    left.legend(frameon=False, fontsize=8)
    starts = json.loads((out / "starts.json").read_text())
    print("| from 1 in | start at | calls | Gaussian | class mean | from 1, as many |\n|---|---|---|---|---|---|")
    for calls in CALLS:
        found = {(row["level"], row["kind"]): row for row in starts if row["of"] == calls}
        levels = sorted({level for level, _ in found}, reverse=True)
        for level in levels:
            cells = [found.get((level, kind)) for kind in ("outline", "class mean", "shorter")]
            texts = ["" if c is None else f"{c['hit']:.2f}, {c['distance_median']:.1f}" for c in cells]
            print(f"| {calls} | {level:g} | {found[level, 'outline']['calls']} | {' | '.join(texts)} |")
        for kind, style, colour in (("outline", "o-", CLASS_COLOURS[2]), ("shorter", "s:", OTHER)):
            hits = [found[level, kind]["hit"] for level in levels if (level, kind) in found]
            how = f"{'start by the Gaussian' if kind == 'outline' else 'as many calls from σ = 1'} ({calls})"
            right.plot(levels[: len(hits)], hits, style, ms=4, color=colour, alpha=calls / CALLS[0], label=how)
    right.set(xscale="log", ylim=(0, 1), xlabel="σ to start at (in brackets: calls from 1)", ylabel="class hit")
    for panel, ticks in ((left, (0.01, 0.03, 0.1, 0.3, 1)), (right, (0.12, 0.18, 0.25, 0.35, 0.5, 1))):
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.minorticks_off()
    right.legend(frameon=False, fontsize=8)
    save_figure(figure, path)
    print("| | hit | distance median / 90 % / worst | of the twelve: hit | distance |\n|---|---|---|---|---|")
    for name, found in json.loads((out / "shown.json").read_text()).items():
        cells = []
        for part in found.values():
            three = [part[f"distance_{each}"] for each in ("median", "nine_tenths", "worst")]
            cells += [f"{part['hit']:.2f}", " / ".join(f"{value:.2f}" for value in three)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    run_or_draw(lambda typed: run(Path(typed[0]), Path(typed[1])), draw, "LAID OUT")
