"""Stage 2: networks trained on the mixture take the place of its exact scores, and are measured in the same table.

`toy.learned.training` trains them: the feature-guided one (Algorithm 2), one conditioned on the label, which with
label dropout serves classifier-free guidance too, and one of the mixture alone (Algorithm 4).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fgs.guidance import ClassifierFreeGuidance
from fgs.networks.mlp import MLP, GuidedMLP
from fgs.noise import seeded
from fgs.protocols import ProjectedScore
from toy.learned.self_labels import SelfLabels
from toy.methods import Method
from toy.mixture import GaussianMixture

LEARNED_METHODS = {
    "learned": "feature-guided network, at the centroid",
    "learned_n1": "feature-guided network, n = 1",
    "label": "label-conditional network",
    "label_cfg1": "learned CFG, ω = 1",
    "label_cfg4": "learned CFG, ω = 4",
    "learned_mixture": "unguided network of the mixture",
    "self_offline": "features, classes found once by φ",
    "self_online": "features, classes found while it learns",
}
CENTROID = 1000  # samples of a class for its centroid
CONDITIONS = 10  # what the seed is used for, beside the uses in `toy.experiment`


@dataclass(frozen=True)
class Learned:
    """Trained networks, with the EMA of their weights: "guided", "label", "mixture", "offline", "online", or some."""

    networks: Mapping[str, MLP]
    sigma_range: tuple[float, float]  # noise levels that they were trained on
    sigma_phi: float  # σ_∞, at which the features of clean samples are taken
    training: dict[str, dict[str, float]]  # of each the steps, the seconds and the loss, a running mean, at the end
    found: Mapping[str, SelfLabels] = field(default_factory=dict)  # clusters of those not told the classes

    @torch.no_grad()
    def features(self, x: Tensor, sigma: Tensor | None = None, name: str = "guided") -> Tensor:
        """Return φ(x) of a network, (N, d) -> (N, F); without σ, () or (N,), x is taken for clean."""
        guided = self.networks[name]
        assert isinstance(guided, GuidedMLP)
        return guided.features(x.float(), torch.tensor(self.sigma_phi) if sigma is None else sigma.float())

    def centroids(self, mixture: GaussianMixture, seed: int) -> Tensor:
        """Return φ_y of every class from `CENTROID` samples: (K, F)."""
        draws = (mixture.sample(CENTROID, y, generator=seeded(seed, CONDITIONS, y)) for y in range(mixture.K))
        return torch.stack([self.features(x).mean(0) for x in draws])

    def method(self, name: str, mixture: GaussianMixture, y: int, seed: int) -> Method:
        """Return the method `name`, one of `LEARNED_METHODS`, for class y; conditions are drawn from the seed."""
        score = self.score(network_of(name))
        if name.startswith("label_cfg"):
            score = ClassifierFreeGuidance(score, score, float(name.removeprefix("label_cfg")))
        return Method(LEARNED_METHODS[name], score, self._condition(name, mixture, y, seed))

    def _condition(self, name: str, mixture: GaussianMixture, y: int, seed: int) -> Tensor | None:
        if name == "learned":
            return self.centroids(mixture, seed)[y]
        if name == "learned_n1":  # one x' of the class for all samples
            return self.features(mixture.sample(1, y, generator=seeded(seed, CONDITIONS, mixture.K + y)))[0]
        if name.startswith("self_"):  # the cluster that holds most of class y; labels are used for that choice alone
            labels = self.found[network_of(name)]
            x, _, cluster = labels.sorted(mixture, seed)
            x_y = mixture.sample(CENTROID, y, generator=seeded(seed, CONDITIONS, y))
            own = labels.assign(x_y)
            of_y = own.mode().values
            inside = x[cluster == of_y] if bool((cluster == of_y).any()) else x_y[own == of_y]  # none of a rare class
            return self.features(inside, name=network_of(name)).mean(0)
        return None if name == "learned_mixture" else mixture.one_hot(y)

    def score(self, name: str) -> ProjectedScore:
        """Return a network as a score for samples of any precision."""
        network = self.networks[name]

        def score(x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
            s: Tensor = network(*(None if t is None else t.float() for t in (x, phi, sigma)))
            return s.to(x)

        return score


def network_of(method: str) -> str:
    """Return the name of the network that a method of `LEARNED_METHODS` needs."""
    if method.startswith("self_"):
        return method.removeprefix("self_")
    return {"learned": "guided", "learned_n1": "guided", "learned_mixture": "mixture"}.get(method, "label")


def methods_of(networks: Collection[str]) -> tuple[str, ...]:
    """Return the methods that these networks serve."""
    return tuple(method for method in LEARNED_METHODS if network_of(method) in networks)
