"""Do the learned features embed the classes? The measures of Section 3, with the exact densities to compare with."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import fgs.embedding as embedding
from fgs.noise import seeded
from toy.learned.scores import Learned
from toy.mixture import GaussianMixture
from toy.scores import ExactScore

MEASURED = 1000  # samples of a class
NOISY = 300  # of them in the expectations of Eq. 7
EMBEDDING = 11  # what the seed is used for


@dataclass(frozen=True)
class Embedding:
    """The classes in feature space."""

    centroids: Tensor  # (K, F) φ_y
    accuracy: float  # share of samples whose nearest centroid is that of their class
    separation: embedding.Separation  # Eq. 5
    exact: Tensor  # (K, K) d² of Eq. 7 from the exact conditional scores
    learned: Tensor  # (K, K) d² from the projected scores, each at the centroid of its class

    def fit(self) -> tuple[embedding.EuclideanFit, embedding.EuclideanFit]:
        """Return Eq. 6 for the exact and for the learned d²; three classes at the least."""
        between = self.separation.between
        return embedding.euclidean_fit(self.exact, between), embedding.euclidean_fit(self.learned, between)

    def metrics(self) -> dict[str, Any]:
        """Everything measured, as plain numbers for JSON."""
        metrics: dict[str, Any] = {"nearest_mean_accuracy": self.accuracy}
        metrics |= {"separation_ratio_worst": float(self.separation.ratio.max())}
        metrics |= {"feature_distance": self.separation.between.tolist()}
        metrics |= {"density_distance_exact": self.exact.tolist(), "density_distance_learned": self.learned.tolist()}
        if len(self.centroids) > 2:
            for name, fit in zip(("exact", "learned"), self.fit(), strict=True):
                metrics[f"euclidean_fit_{name}"] = {"r": fit.r, "A": fit.A, "B": fit.B, "B_over_A": fit.B / fit.A}
        return metrics


def measure_embedding(learned: Learned, mixture: GaussianMixture, seed: int) -> Embedding:
    """Measure the features of the guided network on samples drawn for the purpose."""
    x = [mixture.sample(MEASURED, y, generator=seeded(seed, EMBEDDING, y)) for y in range(mixture.K)]
    phi = [learned.features(x_y) for x_y in x]
    centroids = learned.centroids(mixture, seed)
    hits = [(embedding.nearest_mean(phi_y, centroids) == y).double().mean() for y, phi_y in enumerate(phi)]
    exact = [embedding.conditioned(ExactScore(mixture), mixture.one_hot(y)) for y in range(mixture.K)]
    guided = [embedding.conditioned(learned.score("guided"), centroid) for centroid in centroids]
    few = [x_y[:NOISY] for x_y in x]
    low, high = learned.sigma_range
    distances = (  # a network knows no more noise than it was trained on
        embedding.density_distances(scores, few, low, reach, generator=seeded(seed, EMBEDDING, mixture.K))
        for scores, reach in ((exact, 10 * high), (guided, high))
    )
    return Embedding(centroids, float(torch.stack(hits).mean()), embedding.separation(phi), *distances)
