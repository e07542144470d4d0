"""Pairs for Algorithm 2 without labels: x' is another sample of the cluster of x, and clusters are found by φ."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from fgs.clusters import Clusters, find_clusters
from fgs.protocols import FeatureExtractor

SIZE = 2048  # samples that are sorted at a time


class Assigner:
    """A bank of samples that are sorted into clusters by their own φ; pairs (x, x') of Algorithm 2 are drawn from it.

    A bank of `size` samples without labels is drawn, (N, generator) -> (N, *shape), and sorted into K clusters, anew
    after so many pairs, `every`: online by the φ that the network in training has then. `once` keeps to the clusters
    that were found first, for an extractor that stays as it is (offline).
    """

    def __init__(
        self,
        draw: Callable[[int, Generator | None], Tensor],
        K: int,
        size: int = SIZE,
        every: int = 8192,
        once: bool = False,
    ) -> None:
        self.draw, self.K, self.size, self.every, self.once = draw, K, size, every, once
        self.clusters: Clusters | None = None  # of the last time
        self._left = 0

    def pairs(
        self,
        n: int,
        extractor: FeatureExtractor,
        sigma: Tensor | None = None,
        generator: Generator | None = None,
        primes: int = 1,
    ) -> tuple[Tensor, Tensor]:
        """Draw n samples x, and for each `primes` others of its cluster (if it has any) in a row of x'."""
        if self._left <= 0:
            self.sort(extractor, sigma, generator)
        self._left -= n
        row = torch.randint(self.size, (n,), generator=generator)
        first, count = (part[self._of[row], None] for part in (self._first, self._count))
        step = 1 + (torch.rand(n, primes, dtype=torch.float64, generator=generator) * (count - 1)).long()
        other = first + (row[:, None] - first + step) % count
        return self._x[row], self._x[other.flatten()]

    @torch.no_grad()
    def sort(self, extractor: FeatureExtractor, sigma: Tensor | None, generator: Generator | None) -> None:
        """Draw the bank anew, and sort it."""
        x = self.draw(self.size, generator)
        phi = extractor.features(x, sigma)
        if self.clusters is None or not self.once:
            self.clusters = find_clusters(phi, self.K, self.clusters, generator)
        self._of, order = self.clusters.assign(phi).sort()
        self._x, self._count = x[order], self._of.bincount(minlength=self.K)
        self._first, self._left = self._count.cumsum(0) - self._count, self.every
