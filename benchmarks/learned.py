"""Networks trained for some seconds each against the floor, over mixtures and seeds: a release check.

    python benchmarks/learned.py [minutes] [seeds] [names of mixtures …]

Prints a Markdown row for each class and method of each mixture, means ± sd over the seeds: class hit, error of the mean
and sd in λ, W1 along u ÷ floor; then a line for each seed on the embedding: the worst ratio of Eq. 5, and Pearson's r
and B/A of d², exact and learned, against the squared distance of the features. "baselines" has every learned method, at
β = .2 and at β = 1, each network trained for the same time.
"""

import sys
from dataclasses import replace
from statistics import mean, stdev

from toy.config import ToyConfig
from toy.experiment import prepare, run_block
from toy.judge import Row
from toy.learned.embedding import measure_embedding
from toy.learned.scores import LEARNED_METHODS, Learned
from toy.learned.training import Learning, learn

FIG6 = {"dim": 64, "std": 0.15, "separation": 1.4 / 0.15, "covariance": "rank1", "calls": 100}
MIXTURES = {
    "fig6": FIG6,
    "fig6-per-sample": FIG6 | {"noise_level": "per-sample", "calls": None},
    "d16": FIG6 | {"dim": 16},
    "d8": FIG6 | {"dim": 8},
    "d1": {"dim": 1, "calls": 100},
    "line6": {"components": 6, "dim": 16, "covariance": "rank1", "calls": 100},
    "random7": {"components": 7, "dim": 16, "means": "random", "calls": 100},
    "baselines": FIG6 | {"methods": tuple(LEARNED_METHODS)},
}


def main(minutes: float, seeds: int, names: list[str]) -> None:
    """Train, sample every class and print the table."""
    print("| mixture | β | class | method | class hit | mean error/λ | sd/λ | W1 ÷ floor | W1 ÷ floor of each seed |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in names:
        settings = {"methods": ("learned", "learned_n1"), "beta": 0.2} | MIXTURES[name]
        configs = [ToyConfig(seed=seed, **settings) for seed in range(seeds)]
        trained = [train(config, minutes) for config in configs]
        for beta in (0.2, 1.0) if name == "baselines" else (0.2,):
            for target in range(configs[0].components):
                print_class(name, [replace(config, target=target, beta=beta) for config in configs], trained)
        for config, learned in zip(configs, trained, strict=True):
            print_embedding(name, config, learned)


def train(config: ToyConfig, minutes: float) -> Learned:
    """Train the networks that the methods need."""
    mixture = config.build_mixture()
    return learn(mixture, config.build_sampler(mixture), Learning(minutes), config.networks(), config.seed)


def print_class(name: str, configs: list[ToyConfig], trained: list[Learned]) -> None:
    """Print a row for each method, over the seeds."""
    pairs = zip(configs, trained, strict=True)
    tables = [run_block(config, *prepare(config), learned=learned).rows for config, learned in pairs]
    for method in configs[0].methods:
        rows: list[Row] = [table[method] for table in tables if not table[method].error]
        if len(rows) < len(tables):
            print(f"| {name} | {configs[0].beta} | {configs[0].target} | {method} | did not converge |", flush=True)
            continue
        columns = (
            [row.mean_error for row in rows],
            [row.sd for row in rows],
            [row.distance_over_floor for row in rows],
        )
        spread = (f"{mean(column):.3f} ± {stdev(column) if len(column) > 1 else 0:.3f}" for column in columns)
        print(
            f"| {name} | {configs[0].beta:g} | {configs[0].target} | {method} "
            f"| {mean(row.class_hit for row in rows):.4f} | {' | '.join(spread)} "
            f"| {', '.join(f'{row.distance_over_floor:.2f}' for row in rows)} |",
            flush=True,
        )


def print_embedding(name: str, config: ToyConfig, learned: Learned) -> None:
    """Print what the features of one seed are like."""
    embedding = measure_embedding(learned, config.build_mixture(), config.seed).metrics()
    fits = {kind: embedding.get(f"euclidean_fit_{kind}") for kind in ("exact", "learned")}
    print(
        f"{name}, seed {config.seed}: {learned.training['guided']['steps']:.0f} steps,",
        f"nearest mean {embedding['nearest_mean_accuracy']:.4f}, Eq. 5 {embedding['separation_ratio_worst']:.4f}",
        *(f"{kind} r {fit['r']:.3f} B/A {fit['B_over_A']:.2f}" for kind, fit in fits.items() if fit),
        flush=True,
    )


if __name__ == "__main__":
    minutes, seeds, *names = [*sys.argv[1:], *("0.25", "4")[len(sys.argv) - 1 :]]
    main(float(minutes), int(seeds), list(names) or list(MIXTURES))
