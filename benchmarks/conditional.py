"""Does it sample the conditional? Forcing, matching and classifier-free guidance where the answer is exact.

`python benchmarks/conditional.py OUT [SEED …]` trains the feature-guided network and one with labels on two
Gaussians for every dimension, separation and seed, samples a class by all methods at three β, and measures what
matching adds to the score. OUT gets a file a mixture, so that a run that was stopped goes on.

`python benchmarks/conditional.py draw OUT FIGURE.png` prints the tables and draws them.
"""

import json
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.figures.style import COLOURS, OTHER, TRUTH, new_figure, save_figure
from fgs.noise import per_row, seeded
from script import run_or_draw
from toy.config import CALLS, ToyConfig
from toy.experiment import prepare, run_block
from toy.gains import posterior_gain, separation_gain
from toy.geometry import class_axis
from toy.learned.scores import Learned
from toy.learned.training import Learning, learn
from toy.mixture import GaussianMixture
from toy.scores import ExactScore

DIMENSIONS, SEPARATIONS, BETAS = (1, 16, 64), (4.0, 6.0, 10.0), (0.1, 0.3, 1.0)
STEPS, LEVELS, POINTS = 4000, 16, 4000
METHODS = ("exact", "forcing", "forcing_posterior", "learned", "label", "cfg1", "cfg4", "label_cfg1", "label_cfg4")
NAMES = {"exact": "exact", "forcing": "linear gain", "forcing_posterior": "posterior gain", "learned": "features"}
NAMES |= {"label": "label", "cfg1": "CFG 1, exact", "cfg4": "CFG 4, exact"}
NAMES |= {"label_cfg1": "CFG 1, learned", "label_cfg4": "CFG 4, learned"}


def run(out: Path, seeds: list[int]) -> None:
    """Make what is missing."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    for seed, d, separation in product(seeds, DIMENSIONS, SEPARATIONS):
        path = out / f"{d}-{separation:g}-{seed}.json"
        if path.exists():
            continue
        config = ToyConfig(dim=d, separation=separation, seed=seed, methods=METHODS, calls=CALLS)
        config = replace(config, covariance="isotropic" if d == 1 else "rank1")
        mixture = config.build_mixture()
        sampler = config.build_sampler(mixture)
        learned = learn(mixture, sampler, Learning(training_steps=STEPS), ("guided", "label"), seed)
        found: dict[str, Any] = {"d": d, "separation": separation, "seed": seed}
        for beta in BETAS:
            at = replace(config, beta=beta)
            rows = run_block(at, *prepare(at), learned=learned).rows
            found[f"{beta:g}"] = {name: (rows[name].distance_over_floor, rows[name].class_hit) for name in METHODS}
        write_text(path, json_text(found | {"added": added(learned, mixture, seed)}))
        print(path, {name: row[0] for name, row in found["0.1"].items()}, file=sys.stderr, flush=True)


def added(learned: Learned, mixture: GaussianMixture, seed: int) -> dict[str, list[float]]:
    """Measure what matching adds, Δ = s(x, φ_y) − s(x, None), along the axis of the class, from σ_0 down to σ_∞.

    x is drawn from the mixture at each σ. "slope" and "r" are of the regression of Δ on what Bayes' rule adds,
    σ²∇log p_σ(y|x); K(λ² + σ²), the strength of a linear forcing, of those of Δ, of Bayes' rule and of the gains of
    Section 3 on σ²(m_y − x).
    """
    low, high = learned.sigma_range
    sigmas = _levels(low, high)
    exact, guided, phi = ExactScore(mixture), learned.score("guided"), learned.centroids(mixture, seed)[0]
    axis, y = class_axis(mixture, 0), torch.tensor(0)
    gains = {"linear": separation_gain(mixture, 0.1), "posterior": posterior_gain(mixture)}
    found: dict[str, list[float]] = {"sigma": sigmas, "slope": [], "r": [], "K learned": [], "K Bayes": []}
    found |= {f"K {name}": [] for name in gains}
    for level, value in enumerate(sigmas):
        sigma = torch.tensor(value, dtype=torch.float64)
        x = mixture.sample(POINTS, sigma=value, generator=seeded(seed, 60, level))
        bayes = (exact(x, mixture.one_hot(0), sigma) - exact(x, None, sigma)) @ axis.u
        delta = (guided(x, phi, sigma) - guided(x, None, sigma)).double() @ axis.u
        towards = sigma.square() * (mixture.means[0] - x) @ axis.u
        strength = axis.width**2 + value**2
        found["slope"].append(_slope(delta, bayes))
        found["r"].append(float(torch.corrcoef(torch.stack([delta, bayes]))[0, 1]))
        for name, added in (("learned", delta), ("Bayes", bayes)):
            found[f"K {name}"].append(strength * _slope(added, towards))
        for name, gain in gains.items():
            forced = per_row(gain(x, y, sigma).expand(POINTS), towards) * towards
            found[f"K {name}"].append(strength * _slope(forced, towards))
    return found


def _levels(low: float, high: float) -> list[float]:
    """Noise levels from σ_0 down to σ_∞, which is four times the least that networks are trained on."""
    return [high * (4 * low / high) ** (k / (LEVELS - 1)) for k in range(LEVELS)]


def _slope(y: Tensor, x: Tensor) -> float:
    return float((x * y).mean() / x.square().mean())


def draw(out: Path, path: Path) -> None:
    """Print W1 ÷ floor of every method, mean ± sd over seeds, and draw it beside the strength of what is added."""
    found = [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]
    print("| d | λ apart | β | " + " | ".join(NAMES.values()) + " |\n|" + "---|" * (3 + len(NAMES)))
    for d, separation, beta in product(DIMENSIONS, SEPARATIONS, BETAS):
        of = [each[f"{beta:g}"] for each in found if (each["d"], each["separation"]) == (d, separation)]
        cells = [_cell([each[name][0] for each in of]) for name in NAMES]
        print(f"| {d} | {separation:g} | {beta:g} | " + " | ".join(cells) + " |")
    figure = new_figure(10.0, 6.0)
    axes = figure.subplots(2, 3)
    for column, separation in enumerate(SEPARATIONS):
        _draw_strength(axes[0, column], found, separation)
        _draw_distances(axes[1, column], found, BETAS[column])
    save_figure(figure, path)


def _cell(values: list[float]) -> str:
    spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{fmean(values):.1f}{spread}"


def _draw_strength(axis: Axes, found: list[dict[str, Any]], separation: float) -> None:
    """K(λ² + σ²) against σ/λ, in d = 64: what matching adds, Bayes' rule, the two gains of Section 3."""
    of = [each["added"] for each in found if (each["d"], each["separation"]) == (64, separation)]
    kinds = {
        "K Bayes": ("Bayes' rule", TRUTH),
        "K linear": ("linear gain", COLOURS["forcing"]),
        "K learned": ("matching", COLOURS["learned"]),
    }
    for name, (label, colour) in kinds.items():
        for number, each in enumerate(of[: None if name == "K learned" else 1]):
            axis.plot([s / 0.1 for s in each["sigma"]], each[name], color=colour, label=None if number else label)
    axis.set(xscale="log", ylim=(0, 3.2), title=f"{separation:g}λ apart, d = 64", xlabel="σ / λ")
    if separation == SEPARATIONS[0]:
        axis.set_ylabel("strength K·(λ² + σ²)")
        axis.legend(frameon=False, fontsize=8)


def _draw_distances(axis: Axes, found: list[dict[str, Any]], beta: float) -> None:
    """W1 ÷ floor against the separation, in d = 64."""
    for name in ("exact", "forcing", "forcing_posterior", "learned", "label", "cfg4"):
        means = [
            fmean(each[f"{beta:g}"][name][0] for each in found if (each["d"], each["separation"]) == (64, separation))
            for separation in SEPARATIONS
        ]
        style = "s--" if name == "label" else "o-"
        axis.plot(SEPARATIONS, means, style, color=COLOURS[name], label=NAMES[name])
    axis.axhline(1, color=OTHER, lw=1)
    axis.set(yscale="log", ylim=(0.6, 100), title=f"β = {beta:g}, d = 64", xlabel="distance of the means (λ)")
    axis.set_xticks(SEPARATIONS)
    if beta == BETAS[0]:
        axis.set_ylabel("W1 ÷ floor")
        axis.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    run_or_draw(lambda typed: run(Path(typed[0]), [int(seed) for seed in typed[1:]] or [0, 1, 2]), draw, "OUT [SEED …]")
