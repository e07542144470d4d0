"""Networks trained a minute against the floor, over mixtures and seeds: a release check.

    python benchmarks/learned.py [minutes] [seeds] [names of mixtures …]

Prints a Markdown row for each class of each mixture, means over the seeds: for the feature-guided network, at the
centroid and at n = 1, the class hit, the error of the mean and the sd in λ, and W1 along u ÷ floor. Then a line for
each seed on the embedding: the worst ratio of Eq. 5, and Pearson's r of d², exact and learned, with the features'.
"""

import sys
from dataclasses import replace
from statistics import mean

from toy.config import ToyConfig
from toy.embedding import measure_embedding
from toy.experiment import prepare, run_block
from toy.learning import Learning, learn

FIG6 = {"dim": 64, "std": 0.15, "separation": 1.4 / 0.15, "covariance": "rank1", "noise_level": "pooled"}
MIXTURES = {
    "fig6": FIG6,
    "fig6-per-sample": FIG6 | {"noise_level": "per-sample"},
    "d8": FIG6 | {"dim": 8},
    "d16": FIG6 | {"dim": 16},
    "d1": {"dim": 1},
    "line6": {"components": 6, "dim": 16, "covariance": "rank1", "noise_level": "pooled"},
    "random7": {"components": 7, "dim": 16, "means": "random"},
}


def main(minutes: float, seeds: int, names: list[str]) -> None:
    """Train, sample every class and print the table."""
    print("| mixture | class | method | class hit | mean error/λ | largest | sd/λ | W1 ÷ floor | each seed |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in names:
        configs = [
            ToyConfig(methods=("learned", "learned_n1"), beta=0.2, seed=seed, **MIXTURES[name]) for seed in range(seeds)
        ]
        trained = []
        for config in configs:
            mixture = config.build_mixture()
            trained.append(
                learn(mixture, config.build_sampler(mixture), Learning(minutes), config.networks(), config.seed)
            )
        for target in range(configs[0].components):
            tables = []
            for config, learned in zip(configs, trained, strict=True):
                at = replace(config, target=target)
                tables.append(run_block(at, *prepare(at), learned=learned).rows)
            for method in config.methods:
                rows = [table[method] for table in tables]
                errors = [row.mean_error for row in rows]
                ratios = [row.distance_over_floor for row in rows]
                print(
                    f"| {name} | {target} | {method} | {mean(row.class_hit for row in rows):.4f} | {mean(errors):+.3f} "
                    f"| {max(map(abs, errors)):.3f} | {mean(row.sd for row in rows):.3f} | {mean(ratios):.2f} "
                    f"| {', '.join(f'{ratio:.2f}' for ratio in ratios)} |",
                    flush=True,
                )
        for config, learned in zip(configs, trained, strict=True):
            embedding = measure_embedding(learned, config.build_mixture(), config.seed).metrics()
            print(
                name,
                config.seed,
                f"steps {learned.training['guided']['steps']:.0f}",
                *(f"{key} {embedding[key]:.4f}" for key in ("nearest_mean_accuracy", "separation_ratio_worst")),
                *(
                    f"{key} {embedding[key]}"
                    for key in ("euclidean_fit_exact", "euclidean_fit_learned")
                    if key in embedding
                ),
                flush=True,
            )


if __name__ == "__main__":
    minutes, seeds, *names = [*sys.argv[1:], "1", "4"][: max(2, len(sys.argv) - 1)]
    main(float(minutes), int(seeds), names or list(MIXTURES))
