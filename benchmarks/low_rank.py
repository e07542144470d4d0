"""Low rank: how many samples teach a mixture of low-rank Gaussians, by its subspaces and by an MLP?

`python benchmarks/low_rank.py OUT` trains denoisers on n samples of K subspaces of r in d dimensions, several n.
OUT gets a file of results, to which what is missing is added. Of eight starts that of the least training loss
counts; nothing but the samples is used to choose.

`python benchmarks/low_rank.py draw OUT FIGURE.png` prints the table and draws it.
"""

import json
import math
import sys
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from torch import Generator, Tensor, nn

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.denoising import denoising_loss, log_uniform
from fgs.figures.style import CLASS_COLOURS, new_figure, save_figure
from fgs.networks import MLP
from fgs.noise import seeded
from fgs.training.trainer import Budget, Trainer
from script import run_or_draw
from toy import ExactScore
from toy.low_rank import LowRankDenoiser, low_rank_mixture, random_subspaces, subspace_error
from toy.mixture import GaussianMixture

CASES = ((1, 32, 4), (2, 32, 4), (3, 32, 4), (2, 32, 8), (2, 64, 4))  # K, d, r
RATIOS, SEEDS, STARTS, STEPS = (0.5, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0), (0, 1, 2), 8, 400
MLP_RATIOS, MLP_STEPS = (1, 4, 16, 64, 256, 1024), 3000  # of the first two cases
LOW, HIGH, AT, FRESH = 0.1, 1.0, 0.3, 4000  # σ in training, and where the error is measured, on so many fresh samples


def trained(network: nn.Module, x: Tensor, steps: int, rate: float) -> float:
    """Train on samples; return the mean loss of the last tenth."""

    def loss(network: nn.Module, generator: Generator) -> Tensor:
        some = x[torch.randint(len(x), (256,), generator=generator)]
        return denoising_loss(
            network, some, None, log_uniform(LOW, HIGH), lambda s: 1 / s.square(), generator=generator
        )

    losses = [record.loss for record in Trainer(network, loss, Budget(steps=steps), rate).run()]
    return mean(losses[-steps // 10 :])


def excess(network: nn.Module, mixture: GaussianMixture) -> float:
    """Return the mean squared error of denoising fresh samples ÷ the least that is possible, by the exact score."""
    x, sigma = mixture.sample(FRESH, generator=seeded(99)), torch.full((FRESH,), AT).double()
    noise = AT * torch.randn(x.shape, generator=seeded(98)).double()
    with torch.no_grad():
        learned = network((x + noise).float(), None, sigma.float()) + noise
    return float(learned.square().mean() / (ExactScore(mixture)(x + noise, None, sigma) + noise).square().mean())


def by_subspaces(K: int, d: int, r: int, x: Tensor) -> LowRankDenoiser:
    """Learn subspaces, of several starts the one that fits the samples best."""
    found = []
    for start in range(STARTS if K > 1 else 1):
        network = LowRankDenoiser(K, d, r, start)
        found.append((trained(network, x, STEPS, 0.03), start, network))
    return min(found)[2]


def run(out: Path) -> None:
    """Measure what is missing."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "low-rank.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    asked = []
    for seed in SEEDS:
        asked += [("mlp", case, float(ratio), seed) for case in CASES[:2] for ratio in MLP_RATIOS]
        asked += [("subspaces", case, ratio, seed) for case in CASES for ratio in RATIOS]
    for kind, (K, d, r), ratio, seed in asked:
        key = {"kind": kind, "K": K, "d": d, "r": r, "ratio": ratio, "seed": seed}
        if any(key.items() <= row.items() for row in rows):
            continue
        mixture, n = low_rank_mixture(K, d, r, seed), round(ratio * K * r)
        x = mixture.sample(n, torch.arange(n) % K, generator=seeded(seed, 1)).float()
        row: dict[str, Any] = key | {"n": n}
        if kind == "subspaces":
            network: nn.Module = by_subspaces(K, d, r, x)
            assert isinstance(network, LowRankDenoiser)
            row["error"] = subspace_error(network.U.detach(), random_subspaces(K, d, r, seed)).tolist()
        else:
            network = MLP(d, sigma_input=True)
            trained(network, x, MLP_STEPS, 1e-3)
        rows.append(row | {"excess": excess(network.eval(), mixture)})
        print(rows[-1], file=sys.stderr, flush=True)
        write_text(path, json_text(rows))


def draw(out: Path, path: Path) -> None:
    """Print medians over seeds, and draw the error of the subspaces and the excess of both over n ÷ Kr."""
    rows = json.loads((out / "low-rank.json").read_text())
    figure = new_figure(9.0, 3.4)
    left, right = figure.subplots(1, 2)
    print(f"| K, d, r | {' | '.join(f'{ratio:g}' for ratio in RATIOS)} |\n|{'---|' * (len(RATIOS) + 1)}")
    for number, (K, d, r) in enumerate(CASES):
        of = [row for row in rows if (row["kind"], row["K"], row["d"], row["r"]) == ("subspaces", K, d, r)]
        errors = [[math.fsum(row["error"]) / K for row in of if row["ratio"] == ratio] for ratio in RATIOS]
        print(f"| {K}, {d}, {r} | {' | '.join(f'{median(each):.3f}' for each in errors)} |")
        colour = CLASS_COLOURS[number % len(CLASS_COLOURS)]
        left.plot(RATIOS, [median(each) for each in errors], "o-", ms=3, color=colour, label=f"{K}, {d}, {r}")
    left.plot(below := [k / 50 for k in range(25, 51)], [math.sqrt(1 - k) for k in below], "k--", lw=1)
    left.set(xlabel="samples ÷ (K·r)", ylabel="error of the subspaces", xscale="log")
    left.set_xticks(RATIOS, [f"{ratio:g}" for ratio in RATIOS])
    left.legend(title="K, d, r", frameon=False, fontsize=8)
    for number, (K, d, r) in enumerate(CASES[:2]):
        for kind, style in (("subspaces", "o-"), ("mlp", "s--")):
            of = [row for row in rows if (row["kind"], row["K"], row["d"], row["r"]) == (kind, K, d, r)]
            ratios = sorted({row["ratio"] for row in of})
            middle = [median(row["excess"] for row in of if row["ratio"] == ratio) for ratio in ratios]
            print(kind, K, d, r, [f"{ratio:g}: {value:.2f}" for ratio, value in zip(ratios, middle, strict=True)])
            right.plot(ratios, middle, style, ms=3, color=CLASS_COLOURS[number], label=f"{kind}, K = {K}")
    right.set(xscale="log", yscale="log", xlabel="samples ÷ (K·r)", ylabel=f"error at σ = {AT} ÷ the least possible")
    right.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_or_draw(lambda typed: run(Path(typed[0])), draw, "OUT")
