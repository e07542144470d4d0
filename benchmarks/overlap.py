"""Why is matching too weak where classes overlap? Does φ of one sample x' mislead it, or do means say too little?

`python benchmarks/overlap.py OUT [SEED …]` trains on two Gaussians 4λ apart the feature-guided network with φ of one
x', and the mean φ of 4 and of 16; one that matches means and sds of channels; and the one with labels. OUT gets a file
a network. `python benchmarks/overlap.py draw OUT FIGURE.png` prints the table, and draws what matching adds, beside the
most that n samples x' can tell.
"""

import json
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from conditional import STEPS, added
from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.features import channel_means
from fgs.figures.style import CLASS_COLOURS, TRUTH, new_figure, save_figure
from fgs.networks.mlp import GuidedMLP
from fgs.noise import seeded
from script import run_or_draw
from toy.config import CALLS, ToyConfig
from toy.experiment import prepare, run_block
from toy.learned import training
from toy.learned.training import Learning, learn

DIMENSIONS, BETAS, LAMBDA = (16, 64), (0.1, 1.0), 0.1
WAYS = {"one x'": 1, "4 x'": 4, "16 x'": 16, "one x', means and sds": 1, "label": 1}
TINY = 1e-4  # of a variance over positions, which may be 0 behind ReLU


class MomentsMLP(GuidedMLP):
    """A second projection: the log sd of every channel over its positions is part of φ, and is matched as well."""

    def features(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Return means and log sds, (N, 2 · channels)."""
        found = []

        def record(number: int, h: Tensor) -> Tensor:
            if number in self.matched:
                found.append(torch.cat([channel_means(h), _sd(h).log()[..., 0]], 1))
            return h

        self._walk(x, sigma, record, layers=self.matched[-1] + 1)
        return torch.cat(found, 1)

    def forward(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s(x, φ), with every matched layer moved and stretched."""
        if phi is None:
            return self._score(x, sigma)
        targets = dict(zip(self.matched, phi.split(2 * self.shape[0], -1), strict=True))  # type: ignore[no-untyped-call]

        def match(number: int, h: Tensor) -> Tensor:
            if number not in targets:
                return h
            mean, log_sd = targets[number][..., None].chunk(2, -2)
            return (h - h.mean(2, keepdim=True)) * log_sd.exp() / _sd(h) + mean

        return self._score(x, sigma, match)


def _sd(h: Tensor) -> Tensor:
    return (h.var(2, correction=0, keepdim=True) + TINY).sqrt()


def run(out: Path, seeds: list[int]) -> None:
    """Make what is missing."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    for seed, d, (number, name) in product(seeds, DIMENSIONS, enumerate(WAYS)):
        path = out / f"{number}-{d}-{seed}.json"
        if not path.exists():
            found = {"way": name, "d": d, "seed": seed} | _measure(name, d, seed)
            write_text(path, json_text(found))
            print(path, name, found["W1"], file=sys.stderr, flush=True)


def _measure(name: str, d: int, seed: int) -> dict[str, Any]:
    row, networks = ("label", ("label",)) if name == "label" else ("learned", ("guided",))
    config = ToyConfig(dim=d, separation=4.0, seed=seed, covariance="rank1", methods=(row,), calls=CALLS, std=LAMBDA)
    mixture = config.build_mixture()
    network = MomentsMLP if "sds" in name else GuidedMLP
    with mock.patch.object(training, "GuidedMLP", network):  # `learn` builds what goes by this name
        learning = Learning(training_steps=STEPS, primes=WAYS[name])
        learned = learn(mixture, config.build_sampler(mixture), learning, networks, seed)
    found: dict[str, Any] = {"W1": {}, "hit": {}}
    for beta in BETAS:
        at = replace(config, beta=beta)
        measured = run_block(at, *prepare(at), learned=learned).rows[row]
        found["W1"][f"{beta:g}"], found["hit"][f"{beta:g}"] = measured.distance_over_floor, measured.class_hit
    return found if name == "label" else found | {"added": added(learned, mixture, seed)}


def draw(out: Path, path: Path) -> None:
    """Print W1 ÷ floor and hit, mean ± sd over seeds, and draw the strength of what is added in d = 64 over σ."""
    found = [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]
    print("| φ of | d | W1 ÷ floor, β = .1 | β = 1 | hit, β = .1 |\n|---|---|---|---|---|")
    for name, d in product(WAYS, DIMENSIONS):
        of = [each for each in found if (each["way"], each["d"]) == (name, d)]
        cells = [_cell([each[key][beta] for each in of]) for key, beta in (("W1", "0.1"), ("W1", "1"), ("hit", "0.1"))]
        print(f"| {name} | {d} | " + " | ".join(cells) + " |")
    figure = new_figure(5.2, 3.4)
    axis = figure.subplots()
    for number, name in enumerate(list(WAYS)[:-1]):
        of = [each["added"] for each in found if (each["way"], each["d"]) == (name, DIMENSIONS[-1])]
        sigmas = [sigma / LAMBDA for sigma in of[0]["sigma"]]
        for line, each in enumerate(of):
            ratio = [a / b for a, b in zip(each["K learned"], each["K Bayes"], strict=True)]
            axis.plot(sigmas, ratio, color=CLASS_COLOURS[number], lw=1.2, label=None if line else name)
    sigmas = torch.logspace(-0.85, 1, 60).tolist()
    axis.plot(sigmas, most(1, sigmas), "--", color=TRUTH, lw=1, label="the most that one x' can tell")
    axis.axhline(1, color=TRUTH, lw=1)
    axis.set(xscale="log", ylim=(0, 1.6), xlabel="σ / λ", ylabel="strength ÷ that of Bayes' rule")
    axis.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def most(n: int, sigmas: list[float], N: int = 200_000) -> list[float]:
    """Return strength ÷ that of Bayes' rule of the best that can be added where the class is known by n samples x'.

    Samples at m_y itself are worth n·D²/2λ² nats, D the distance of the means: 8 each at 4λ. In units of λ, along the
    axis, y at 0 and the other class at D; strength as in `conditional.added`.
    """
    D, found, z = 4.0, [], torch.randn(N, dtype=torch.float64, generator=seeded(0))
    other = D * (torch.arange(N) % 2)
    for sigma in sigmas:
        v = 1 + sigma**2
        x = other + v**0.5 * z
        nats = D * (D / 2 - x) / v  # log p(y|x) − log p(other|x)
        left, known = 1 - nats.sigmoid(), (nats + n * D**2 / 2).sigmoid() - nats.sigmoid()
        found.append(float((known * -x).sum() / (left * -x).sum()))
    return found


def _cell(values: list[float]) -> str:
    return f"{fmean(values):.3g}" + (f" ± {stdev(values):.2g}" if len(values) > 1 else "")


if __name__ == "__main__":
    run_or_draw(lambda typed: run(Path(typed[0]), [int(seed) for seed in typed[1:]] or [0, 1, 2]), draw, "OUT [SEED …]")
