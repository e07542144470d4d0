"""Outline first, on textures: how long does a Gaussian explain the path, and what is saved by starting where it ends?

`python benchmarks/outline.py LAID OUT` takes the twelve photographs (LAID: see `shipped.py lay`), which the model that
ships was not trained on, and the Gaussian of each, of 2,000 windows. OUT gets `path.json`, the share of variance
that the closed form explains at every level of the flow from the same start, and `starts.json`, hit and distance of
samples that start at a level below, by the Gaussian, against those from σ_0 = 1 in as many calls.

`python benchmarks/outline.py draw OUT FIGURE.png` prints and draws both.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.corrections import Corrected
from fgs.evaluation.samples import fit_judge, summarise
from fgs.figures.style import CLASS_COLOURS, OTHER, new_figure, save_figure
from fgs.few_steps import MultiStep
from fgs.images import Model, load_model
from fgs.images.conditions import Condition
from fgs.images.held_out import class_features, class_means
from fgs.images.patches import Patches
from fgs.images.sources import unseen_patches
from fgs.noise import seeded
from fgs.outline import Outline
from script import run_or_draw
from shipped import TWELVE

WINDOWS, SAMPLES, SIGMA_END, BETA = 2000, 16, 0.01, 0.15
LEVELS = (0.5, 0.35, 0.25, 0.18, 0.12)  # to start at
CALLS = (48, 24, 16)  # from σ_0 = 1 to the end; a start below takes its share of them


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


def run(laid: Path, out: Path) -> None:
    """Make what is missing."""
    out.mkdir(parents=True, exist_ok=True)
    bench = Bench(laid)
    if not (out / "path.json").exists():
        write_text(out / "path.json", json_text(explained(bench)))
    starts = json.loads((out / "starts.json").read_text()) if (out / "starts.json").exists() else []
    for calls in CALLS:
        for level in (1.0, *LEVELS):
            some = max(
                3, round(calls * torch.tensor(level / SIGMA_END).log().item() / torch.tensor(100.0).log().item())
            )
            for kind, sigma_0 in (("outline", level), ("shorter", 1.0), ("class mean", level)):
                key = {"of": calls, "level": level, "calls": some, "kind": kind}
                if any(key.items() <= each.items() for each in starts) or (level == 1.0 and kind == "class mean"):
                    continue
                starts.append(key | bench.sample(some, sigma_0, kind == "outline"))
                print(starts[-1], file=sys.stderr, flush=True)
                write_text(out / "starts.json", json_text(starts))


def draw(out: Path, path: Path) -> None:
    """Print and draw what was found."""
    raise NotImplementedError


if __name__ == "__main__":
    run_or_draw(lambda typed: run(Path(typed[0]), Path(typed[1])), draw, "LAID OUT")
