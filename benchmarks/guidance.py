"""Exact score and forcing against the floor, by separation, dimension, number of classes and weights: a release check.

    python benchmarks/guidance.py [seeds] [dimensions …]

Prints one Markdown row a mixture: W1 ÷ floor and, after the stroke, the class hit minus that of the exact score, means
over the seeds at the default settings of `fgs toy`.
"""

import sys
from dataclasses import replace
from statistics import mean

import torch

from toy.config import ToyConfig
from toy.experiment import prepare, run_block

METHODS = ("exact", "forcing", "forcing_posterior")
CLASSES = (
    {"components": 2},
    {"components": 2, "weights": (0.9, 0.1), "target": 0},
    {"components": 2, "weights": (0.9, 0.1), "target": 1},
    {"components": 3, "target": 1},
    {"components": 8, "target": 0},
)
SPACES = (
    {"dim": 1, "samples": 20_000},
    {"dim": 1},
    {"dim": 2},
    {"dim": 8},
    {"dim": 8, "covariance": "rank1"},
    {"dim": 64, "samples": 2000},
    {"dim": 64, "samples": 2000, "covariance": "rank1"},
)
SEPARATIONS = (4.0, 6.0, 9.0)


def main(seeds: int, dimensions: set[int]) -> None:
    """Print the table, means over so many seeds, for the given dimensions."""
    torch.set_num_threads(1)
    print("| d | covariance | N | K | weights, class | λ apart |", " | ".join(METHODS), "|")
    print("|---|---|---|---|---|---|" + "---|" * len(METHODS))
    for space in (space for space in SPACES if space["dim"] in dimensions):
        for classes in CLASSES:
            for separation in SEPARATIONS:
                config = ToyConfig(separation=separation, methods=METHODS, **space, **classes)
                configs = (replace(config, seed=seed) for seed in range(seeds))
                tables = [run_block(config, *prepare(config)).rows for config in configs]
                hit = mean(table["exact"].class_hit for table in tables)
                cells = (
                    f"{mean(table[name].distance_over_floor for table in tables):.2f} / "
                    f"{mean(table[name].class_hit for table in tables) - hit:+.4f}"
                    for name in METHODS
                )
                weights = "equal" if config.weights is None else ".9, .1"
                print(
                    f"| {config.dim} | {config.covariance} | {config.samples} | {config.components} "
                    f"| {weights}, {config.target} | {separation:g} | {' | '.join(cells)} |",
                    flush=True,
                )


if __name__ == "__main__":
    seeds, *dimensions = [int(argument) for argument in sys.argv[1:]] or [4]
    main(seeds, set(dimensions) or {1, 2, 8, 64})
