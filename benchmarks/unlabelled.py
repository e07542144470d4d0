"""Guidance without labels: are classes that networks find by themselves as good as those they are told?

`python benchmarks/unlabelled.py OUT [SEED …]` trains on mixtures networks that are told the classes, networks that find
them (once, or while they learn), and one without any, for equally many steps, and samples classes by each; also with a
wrong number of clusters. At every noise level and hidden layer it measures how well φ(x_σ) tells the classes. OUT gets
a file a mixture and seed, so that a run that was stopped goes on.

`python benchmarks/unlabelled.py draw OUT FIGURE.png` prints the tables and draws the latter.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from fgs.clusters import find_clusters
from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.embedding import nearest_mean
from fgs.figures.style import CLASS_COLOURS, new_figure, save_figure
from fgs.measures.partitions import nmi
from fgs.networks.mlp import MLP, GuidedMLP
from fgs.noise import add_noise, seeded
from script import run_or_draw
from toy.config import CALLS, ToyConfig
from toy.experiment import prepare, run_block
from toy.learned.scores import Learned
from toy.learned.training import Learning, learn
from toy.mixture import GaussianMixture

STEPS, SAMPLES, TARGETS, EACH = 4000, 1000, 3, 300  # EACH: samples of a class that φ(x_σ) is asked about
ROWS = {
    "learned": "told",
    "self_offline": "found once",
    "self_online": "found while it learns",
    "learned_mixture": "none",
}
OWN = ("offline", "online")
LINE = ToyConfig(2, 64, covariance="rank1", samples=SAMPLES, beta=0.2, calls=CALLS)
MIXTURES = {
    "two": LINE,
    "two, .9 and .1": replace(LINE, weights=(0.9, 0.1)),
    "six in a row": replace(LINE, components=6, dim=16),
    "seven at random": replace(LINE, components=7, dim=16, means="random", covariance="isotropic"),
}
WRONG = {"six in a row": (5, 7), "seven at random": (6, 8)}
LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


def run(out: Path, seeds: list[int]) -> None:
    """Make what is missing."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    for number, (name, of) in enumerate(MIXTURES.items()):
        for seed in seeds:
            config = replace(of, seed=seed, methods=tuple(ROWS))
            numbers = [config.components, *(WRONG.get(name, ()) if seed == seeds[0] else ())]
            for K in numbers:
                path = out / f"{number}-{K}-{seed}.json"
                if not path.exists():
                    found = {"mixture": name, "K": K, "right": config.components == K, "seed": seed}
                    write_text(path, json_text(found | _measure(config, K)))
                    print(path, file=sys.stderr, flush=True)


def _measure(config: ToyConfig, K: int) -> dict[str, Any]:
    right, mixture = config.components == K, config.build_mixture()
    rows = tuple(ROWS) if right else ("self_offline", "self_online")
    config = replace(config, methods=rows)
    learning = Learning(training_steps=STEPS, clusters=K)
    learned = learn(mixture, config.build_sampler(mixture), learning, config.networks(), config.seed)
    found: dict[str, Any] = {name: learned.found[name].metrics(mixture, config.seed) for name in OWN}
    found["seconds"] = {name: of["seconds"] for name, of in learned.training.items()}
    for row in rows:
        found[row] = {"W1": [], "hit": []}
    for y in torch.linspace(0, mixture.K - 1, min(mixture.K, TARGETS)).long().tolist():
        at = replace(config, target=y)
        measured = run_block(at, *prepare(at), learned=learned).rows
        for row in rows:
            found[row]["W1"].append(measured[row].distance_over_floor)
            found[row]["hit"].append(measured[row].class_hit)
    return found | ({"telling": telling(learned, mixture, config.seed)} if right else {})


@torch.no_grad()
def telling(learned: Learned, mixture: GaussianMixture, seed: int) -> dict[str, Any]:
    """Measure at every σ and layer how well φ(x_σ) tells the classes: nearest mean, and NMI of clusters."""
    found: dict[str, Any] = {}
    y = torch.arange(mixture.K).repeat_interleave(EACH)
    for name in ("guided", "mixture"):
        for layer in range(len(learned.networks[name].hidden)):
            reader, rows = _reader(learned.networks[name], layer), []
            for level, sigma in enumerate(LEVELS):
                noise = torch.tensor(sigma)
                x = mixture.sample(2 * len(y), y.repeat(2), generator=seeded(seed, 90, level)).float()
                phi = reader.features(add_noise(x, noise, seeded(seed, 91, level))[0], noise)
                known, asked = phi.chunk(2)
                centroids = torch.stack([known[y == k].mean(0) for k in range(mixture.K)])
                hit = float((nearest_mean(asked, centroids) == y).double().mean())
                clusters = find_clusters(known, mixture.K, generator=seeded(seed, 92, level))
                rows.append((hit, nmi(clusters.assign(asked), y)))
            found[f"{name} {layer + 1}"] = rows
    return found


def _reader(network: MLP, layer: int) -> GuidedMLP:
    """Return a network whose φ is the means of that hidden layer."""
    sizes = {key: network.settings[key] for key in ("d", "channels", "positions", "layers", "bias", "sigma_input")}
    reader = GuidedMLP(**sizes, matched=(layer,))
    weights: dict[str, Tensor] = {key: value for key, value in network.state_dict().items() if key != "gain"}
    reader.load_state_dict(weights | {"gain": reader.gain.detach()})
    return reader


def draw(out: Path, path: Path) -> None:
    """Print agreement, hit and W1 ÷ floor, means ± sd over seeds, and draw what φ(x_σ) tells."""
    found = [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]
    print("| mixture | K | classes | NMI | purity | hit | W1 ÷ floor |\n|---|---|---|---|---|---|---|")
    for name, K in dict.fromkeys((each["mixture"], each["K"]) for each in found):
        of = [each for each in found if (each["mixture"], each["K"]) == (name, K)]
        for row, label in ROWS.items():
            if row in of[0]:
                own = [each[row.removeprefix("self_")] for each in of] if row.startswith("self_") else []
                agree = [_cell([each[key] for each in own]) if own else "" for key in ("nmi", "purity")]
                cells = [_cell([fmean(each[row][key]) for each in of]) for key in ("hit", "W1")]
                print(f"| {name} | {K} | {label} | " + " | ".join([*agree, *cells]) + " |")
    right = [each for each in found if each["right"]]
    figure = new_figure(11.0, 3.2)
    for axis, name in zip(figure.subplots(1, len(MIXTURES), sharey=True), MIXTURES, strict=True):
        of = [each["telling"] for each in right if each["mixture"] == name]
        for number, layer in enumerate(of[0] if of else ()):
            network, depth = layer.split()
            means = [fmean(each[layer][level][1] for each in of) for level in range(len(LEVELS))]
            label = f"{'told' if network == 'guided' else 'no classes'}, layer {depth}"
            axis.plot(
                LEVELS,
                means,
                "o-" if network == "guided" else "s--",
                ms=3,
                color=CLASS_COLOURS[number % 3],
                label=label,
            )
        axis.set(xscale="log", ylim=(0, 1.05), xlabel="σ", title=name)
    figure.axes[0].set_ylabel("NMI of clusters of φ(x_σ)")
    figure.axes[0].legend(frameon=False, fontsize=7)
    save_figure(figure, path)


def _cell(values: list[float]) -> str:
    return f"{fmean(values):.3g}" + (f" ± {stdev(values):.2g}" if len(values) > 1 else "")


if __name__ == "__main__":
    run_or_draw(lambda typed: run(Path(typed[0]), [int(seed) for seed in typed[1:]] or [0, 1, 2]), draw, "OUT [SEED …]")
