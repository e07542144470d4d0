"""Classes of a mixture that a network finds by its own features: rows `self_offline` and `self_online`."""

import warnings
from copy import deepcopy

import torch
from torch import Generator, Tensor

from fgs.measures.partitions import nmi, purity
from fgs.networks.mlp import GuidedMLP
from fgs.noise import seeded
from fgs.self_labels import Assigner
from toy.mixture import GaussianMixture

WARM_UP = 0.25  # share of its training that the offline one goes without φ (Algorithm 4), before it looks for classes
SAMPLES = 4000  # that tell how clusters and classes agree
SORTED = 12  # what the seed is used for


class SelfLabels:
    """The K clusters of a network, by φ at σ_∞, and the pairs of samples, drawn without labels, that they make.

    Clusters that are found `once` are those of φ as it is when pairs are first asked for; else they follow it.
    """

    def __init__(self, mixture: GaussianMixture, K: int, sigma_phi: float, once: bool) -> None:
        self.assigner = Assigner(lambda n, generator: mixture.sample(n, generator=generator), K, once=once)
        self.sigma_phi = torch.tensor(sigma_phi)
        self.extractor: GuidedMLP | None = None

    def pairs(self, n: int, primes: int, network: GuidedMLP, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw x, (n, d), and x', (primes · n, d)."""
        if self.extractor is None:
            self.extractor = deepcopy(network) if self.assigner.once else network
        return self.assigner.pairs(n, self.extractor, self.sigma_phi, generator, primes)

    def settle(self, network: GuidedMLP, generator: Generator) -> None:
        """Sort by the averaged network, when training is over."""
        if not self.assigner.once:
            self.extractor = network
            self.assigner.sort(network, self.sigma_phi, generator)
        if self.assigner.clusters and (empty := self.assigner.clusters.collapsed):
            what = f"{len(empty)} of {self.assigner.K} clusters hold next to nothing"
            warnings.warn(f"{what}: φ tells fewer classes apart, or some are as rare", stacklevel=2)

    @torch.no_grad()
    def assign(self, x: Tensor) -> Tensor:
        """Return the clusters of clean samples, (N, d) -> (N,)."""
        assert self.extractor and self.assigner.clusters  # noqa: PT018
        return self.assigner.clusters.assign(self.extractor.features(x.float(), self.sigma_phi))

    def sorted(self, mixture: GaussianMixture, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw samples (N, d), and return them with their classes and their clusters."""
        y = mixture.draw_labels(SAMPLES, seeded(seed, SORTED, 0))
        x = mixture.sample(SAMPLES, y, generator=seeded(seed, SORTED, 1))
        return x, y, self.assign(x)

    def metrics(self, mixture: GaussianMixture, seed: int) -> dict[str, float]:
        """Return how well the clusters agree with the classes."""
        _, y, cluster = self.sorted(mixture, seed)
        return {"clusters": self.assigner.K, "nmi": nmi(cluster, y), "purity": purity(cluster, y)}
