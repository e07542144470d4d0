"""How large must φ be, and from which layers? On mixtures, where the distances of the densities are known.

`python benchmarks/dimension.py OUT [SEED …]` trains the feature-guided network on seven Gaussians at random places in
d = 16, with φ of 2 to 64 channels (of networks of one size), and of the first, middle, last, or all three hidden
layers. It samples every class, and compares the exact d² (Eq. 7) with ‖φ_y − φ_y'‖², also for some channels of a
network and for networks that are not trained. OUT gets a file a network.
`python benchmarks/dimension.py draw OUT FIGURE.png` prints and draws it.

The like on textures are the blocks of `classes.py`.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.embedding import conditioned, density_distances, euclidean_fit, nearest_mean, separation
from fgs.figures.style import COLOURS, OTHER, TRUTH, new_figure, save_figure
from fgs.networks.mlp import GuidedMLP
from fgs.noise import seeded
from script import run_or_draw
from toy.config import CALLS, ToyConfig
from toy.experiment import prepare, run_block
from toy.learned.scores import Learned
from toy.learned.training import Learning, learn
from toy.mixture import GaussianMixture
from toy.scores import ExactScore

K, D, STEPS, MEASURED = 7, 16, 4000, 1000
WIDTH, CHANNELS = (
    128,
    (2, 4, 8, 16, 32, 64),
)  # of a hidden layer: channels × positions, so that all networks are of one size
LAYERS = {"first": (0,), "middle": (1,), "last": (2,), "all": (0, 1, 2)}
CHOICES: dict[str, dict[str, Any]] = {f"{C} channels": {"channels": C, "positions": WIDTH // C} for C in CHANNELS}
CHOICES |= {f"{name} layer{'s' * (name == 'all')}": {"matched": matched} for name, matched in LAYERS.items()}
FEATURES = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
DRAWS = 8  # random choices of so many features


def run(out: Path, seeds: list[int]) -> None:
    """Make what is missing."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        config = ToyConfig(K, D, means="random", seed=seed, beta=0.2, methods=("learned",), calls=CALLS)
        mixture = config.build_mixture()
        d2 = _exact_distances(config, mixture)
        for name, sizes in CHOICES.items():
            path = out / f"{name.replace(' ', '-')}-{seed}.json"
            if path.exists():
                continue
            learning, sampler = Learning(training_steps=STEPS), config.build_sampler(mixture)
            learned = learn(mixture, sampler, learning, ("guided",), seed, sizes=sizes)
            found = {"name": name, "seed": seed} | _measure(config, learned, mixture, d2)
            write_text(path, json_text(found))
            print(path, {key: found[key] for key in ("distance", "r")}, file=sys.stderr, flush=True)
        path = out / f"untrained-{seed}.json"
        if not path.exists():
            write_text(path, json_text({"name": "untrained", "seed": seed, "subsets": _untrained(mixture, d2, seed)}))


def _exact_distances(config: ToyConfig, mixture: GaussianMixture) -> Tensor:
    sampler = config.build_sampler(mixture)
    few = [mixture.sample(300, y, generator=seeded(config.seed, 70, y)) for y in range(K)]
    scores = [conditioned(ExactScore(mixture), mixture.one_hot(y)) for y in range(K)]
    return density_distances(scores, few, sampler.sigma_inf / 4, 10 * sampler.sigma_0, generator=seeded(0, 71))


def _measure(config: ToyConfig, learned: Learned, mixture: GaussianMixture, d2: Tensor) -> dict[str, Any]:
    rows = []
    for y in range(K):
        at = replace(config, target=y)
        rows.append(run_block(at, *prepare(at), learned=learned).rows["learned"])
    phi = [learned.features(mixture.sample(MEASURED, y, generator=seeded(config.seed, 72, y))) for y in range(K)]
    centroids = torch.stack([phi_y.mean(0) for phi_y in phi])
    apart = separation(phi)
    return {
        "features": centroids.shape[1],
        "hit": fmean(row.class_hit or 0.0 for row in rows),
        "distance": fmean(row.distance_over_floor or float("inf") for row in rows),
        "energy": fmean(row.energy_over_floor or float("inf") for row in rows),
        "nearest": fmean(float((nearest_mean(p, centroids) == y).double().mean()) for y, p in enumerate(phi)),
        "eq5": float(apart.ratio.max()),
        "r": euclidean_fit(d2, apart.between).r,
        "subsets": _subsets(centroids, d2),
    }


def _subsets(centroids: Tensor, d2: Tensor) -> dict[str, list[float]]:
    """Return r of so many features, chosen at random several times."""
    found: dict[str, list[float]] = {}
    for n in (n for n in FEATURES if n <= centroids.shape[1]):
        for draw in range(DRAWS):
            chosen = centroids[:, torch.randperm(centroids.shape[1], generator=seeded(n, draw))[:n]]
            found.setdefault(str(n), []).append(euclidean_fit(d2, torch.cdist(chosen, chosen).square()).r)
    return found


def _untrained(mixture: GaussianMixture, d2: Tensor, seed: int) -> dict[str, list[float]]:
    torch.manual_seed(seed)
    network = GuidedMLP(D, channels=max(FEATURES), sigma_input=True, bias=True, layers=1)
    with torch.no_grad():
        x = [mixture.sample(MEASURED, y, generator=seeded(seed, 72, y)).float() for y in range(K)]
        centroids = torch.stack([network.features(x_y, torch.tensor(0.01)).mean(0) for x_y in x])
    return _subsets(centroids, d2)


def draw(out: Path, path: Path) -> None:
    """Print means ± sd over seeds, and draw distance and r against the number of features."""
    found = [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]
    of = {name: [each for each in found if each["name"] == name] for name in (*CHOICES, "untrained")}
    columns = ("features", "hit", "distance", "energy", "nearest", "eq5", "r")
    print("| φ of | " + " | ".join(columns) + " |\n|" + "---|" * (1 + len(columns)))
    for name in (name for name in CHOICES if of[name]):
        print(f"| {name} | " + " | ".join(_cell([each[column] for each in of[name]]) for column in columns) + " |")
    figure = new_figure(9.0, 3.4)
    left, right = figure.subplots(1, 2)
    sizes = [C for C in CHANNELS if of[f"{C} channels"]]
    for key, colour, label in (("distance", COLOURS["learned"], "W1"), ("energy", COLOURS["exact"], "energy distance")):
        for C in sizes:
            left.plot([C] * len(of[f"{C} channels"]), [e[key] for e in of[f"{C} channels"]], ".", color=colour, ms=4)
        means = [fmean(each[key] for each in of[f"{C} channels"]) for C in sizes]
        left.plot(sizes, means, "o-", color=colour, label=f"{label} ÷ floor")
    left.axhline(1, color=OTHER, lw=1)
    left.set(xscale="log", yscale="log", xlabel="channels of φ (one layer)", title="samples of seven random classes")
    left.set_xticks(sizes, [str(C) for C in sizes])
    left.minorticks_off()
    left.legend(frameon=False, fontsize=8)
    kinds = {"untrained": TRUTH, "64 channels": COLOURS["learned"]}
    for name, colour in kinds.items():
        _draw_subsets(right, [each["subsets"] for each in of[name]], colour, name)
    trained = {C: fmean(each["r"] for each in of[f"{C} channels"]) for C in sizes}
    right.plot(list(trained), list(trained.values()), "s-", color=COLOURS["exact"], label="trained with so many")
    right.set(xscale="log", ylim=(0, 1.02), xlabel="features", ylabel="r of d² with ‖Δφ‖² (Fig. 5)")
    right.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def _draw_subsets(axis: Axes, subsets: list[Mapping[str, list[float]]], colour: str, name: str) -> None:
    sizes = sorted({int(n) for each in subsets for n in each})
    values = [[r for each in subsets for r in each.get(str(n), [])] for n in sizes]
    axis.plot(sizes, [fmean(v) for v in values], "o-", color=colour, label=f"of {name}, some")
    axis.fill_between(sizes, [min(v) for v in values], [max(v) for v in values], color=colour, alpha=0.15, lw=0)


def _cell(values: list[float]) -> str:
    spread = f" ± {stdev(values):.2g}" if len(values) > 1 and stdev(values) else ""
    return f"{fmean(values):.3g}{spread}"


if __name__ == "__main__":
    run_or_draw(lambda typed: run(Path(typed[0]), [int(seed) for seed in typed[1:]] or [0, 1, 2]), draw, "OUT [SEED …]")
