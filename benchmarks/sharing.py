"""Do features share between classes what labels learn one by one? Many classes of few samples, with a known answer.

`python benchmarks/sharing.py OUT [SEED …]` trains feature-guided networks, of 16 and of 64 channels, and one with
labels on n samples of each of K Gaussians of rank 1 at random places in d = 64, for equally many steps, and samples
some classes: by φ of the n samples, by the label, by classifier-free guidance. OUT gets a file a network, so that a run
that was stopped goes on.

`python benchmarks/sharing.py draw OUT FIGURE.png` prints the table and draws it.
"""

import json
import sys
from itertools import product
from pathlib import Path
from statistics import fmean, stdev

import torch
from torch import Generator, Tensor

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.figures.style import COLOURS, OTHER, new_figure, save_figure
from fgs.noise import seeded
from script import run_or_draw
from toy.config import CALLS, ToyConfig
from toy.drawing import Drawn, draw_together
from toy.judge import Judge
from toy.learned.training import Learning, learn
from toy.mixture import GaussianMixture

CLASSES, EACH = (2, 8, 32, 128), (10, 100, 1000)
D, STEPS, SAMPLES, JUDGED = 64, 4000, 1000, 4  # classes that are sampled
WIDE = {"channels": 64, "positions": 2}  # of a layer of 128 activations, as the others have 16 of 8
NETWORKS: dict[str, tuple[str, dict[str, int], dict[str, str]]] = {
    "features": ("guided", {}, {"learned": "features"}),
    "wide": ("guided", WIDE, {"learned": "features of 64 channels"}),
    "label": ("label", {}, {"label": "label", "label_cfg1": "label, CFG ω = 1"}),
}
"""What is trained, the sizes that differ, and the methods that sample with it."""
ROWS = {f"{network}/{method}": label for network, of in NETWORKS.items() for method, label in of[2].items()}
COLOUR = {"wide/learned": "forcing_posterior"}


class Few(GaussianMixture):
    """A mixture of which n samples of every class are all that is known: what is drawn, is drawn from these."""

    def __init__(self, mixture: GaussianMixture, n: int, seed: int) -> None:
        super().__init__(mixture.weights, mixture.means, mixture.covariances)
        self.known = torch.stack([mixture.sample(n, y, generator=seeded(seed, 80, y)) for y in range(mixture.K)])

    def sample(
        self, n: int, y: Tensor | int | None = None, sigma: float = 0.0, generator: Generator | None = None
    ) -> Tensor:
        """Draw n of the known samples; without noise, as networks are trained."""
        assert y is not None
        assert not sigma
        which = torch.randint(self.known.shape[1], (n,), generator=generator)
        return self.known[torch.as_tensor(y).expand(n), which]


def run(out: Path, seeds: list[int]) -> None:
    """Make what is missing."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    for seed, K, n, network in product(seeds, CLASSES, EACH, NETWORKS):
        path = out / f"{K}-{n}-{seed}-{network}.json"
        if not path.exists():
            found = _measure(K, n, seed, network)
            write_text(path, json_text({"K": K, "n": n, "seed": seed, "network": network, "methods": found}))
            print(path, {name: fmean(of["energy"]) for name, of in found.items()}, file=sys.stderr, flush=True)


def _measure(K: int, n: int, seed: int, network: str) -> dict[str, dict[str, list[float]]]:
    """Return hit, W1 and energy distance ÷ floor of the classes that are sampled, and of the n samples themselves."""
    config = ToyConfig(K, D, means="random", covariance="rank1", seed=seed, beta=0.2, calls=CALLS)
    mixture = config.build_mixture()
    sampler, few = config.build_sampler(mixture), Few(mixture, n, seed)
    name, sizes, names = NETWORKS[network]
    learned = learn(few, sampler, Learning(training_steps=STEPS), (name,), seed, sizes=sizes)
    single = few.to(torch.float32)
    found: dict[str, dict[str, list[float]]] = {key: {"hit": [], "W1": [], "energy": []} for key in (*names, "known")}
    for y in torch.linspace(0, K - 1, min(K, JUDGED)).long().tolist():
        judge = Judge.draw(mixture, y, SAMPLES, sampler.sigma_inf, seeded(seed, 81, y))
        methods = {key: learned.method(key, single, y, seed) for key in names}
        start = mixture.to(torch.float32)
        drawn = draw_together(methods, y, start, sampler, SAMPLES, seed)
        x = {key: of.x.to(judge.true) for key, of in drawn.items() if isinstance(of, Drawn)}
        noise = sampler.sigma_inf * torch.randn(n, D, dtype=torch.float64, generator=seeded(seed, 82, y))
        for key, x_y in (x | {"known": few.known[y] + noise}).items():
            row = judge.measure(key, x_y, None)
            for measure, value in (
                ("hit", row.class_hit),
                ("W1", row.distance_over_floor),
                ("energy", row.energy_over_floor),
            ):
                found[key][measure].append(value)
    return found


def draw(out: Path, path: Path) -> None:
    """Print energy distance and W1 ÷ floor, means ± sd over seeds, and draw the former against K."""
    found: dict[tuple[int, int, str], list[dict[str, list[float]]]] = {}
    for file in sorted(out.glob("*.json")):
        each = json.loads(file.read_text())
        for method, of in each["methods"].items():
            row = "known" if method == "known" else f"{each['network']}/{method}"
            if row != "known" or each["network"] == "label":  # they are the same for all networks
                found.setdefault((each["K"], each["n"], row), []).append(of)
    names = ROWS | {"known": "the n samples themselves"}
    print("| n | K | " + " | ".join(names.values()) + " |\n|" + "---|" * (2 + len(names)))
    figure = new_figure(10.0, 3.4)
    for axis, n in zip(figure.subplots(1, 3, sharey=True), EACH, strict=True):
        for name, label in names.items():
            colour = COLOURS.get(COLOUR.get(name, name.split("/")[-1]), OTHER)
            seeds = {K: [fmean(of["energy"]) for of in found.get((K, n, name), [])] for K in CLASSES}
            known = {K: values for K, values in seeds.items() if values}
            axis.plot(list(known), [fmean(values) for values in known.values()], "o-", ms=4, color=colour, label=label)
            for K, values in known.items():
                axis.plot([K] * len(values), values, ".", ms=3, color=colour)
        for K in (K for K in CLASSES if (K, n, "label/label") in found):
            print(f"| {n} | {K} | " + " | ".join(_cell(found.get((K, n, name), [])) for name in names) + " |")
        axis.set(xscale="log", yscale="log", xlabel="classes", title=f"{n} samples of each")
        axis.set_xticks(CLASSES, [str(K) for K in CLASSES])
        axis.minorticks_off()
    figure.axes[0].set_ylabel("energy distance ÷ floor")
    figure.axes[0].legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def _cell(of: list[dict[str, list[float]]]) -> str:
    cells = []
    for measure in ("energy", "W1") if of else ():
        values = [fmean(each[measure]) for each in of]
        cells.append(f"{fmean(values):.3g}" + (f" ± {float(f'{stdev(values):.2g}'):g}" if len(values) > 1 else ""))
    return " / ".join(cells)


if __name__ == "__main__":
    run_or_draw(lambda typed: run(Path(typed[0]), [int(seed) for seed in typed[1:]] or [0, 1, 2]), draw, "OUT [SEED …]")
