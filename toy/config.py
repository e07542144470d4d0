"""The options of `fgs toy`, and the mixture and the sampler that they describe."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fgs.common.options import Option, at_least, check_choices, positive, require
from fgs.few_steps import MultiStep
from fgs.noise import NoiseEstimate, known_schedule, per_sample, pooled, seeded
from fgs.sampling import SISA
from fgs.velocity import ConstantVelocity
from toy.geometry import isotropic_covariances, means_on_line, noise_range, random_means, rank1_covariances
from toy.learned.scores import LEARNED_METHODS, network_of
from toy.methods import EXACT_METHODS, ToySampler
from toy.mixture import GaussianMixture

NOISE_LEVELS: dict[str, NoiseEstimate] = {"known": known_schedule, "per-sample": per_sample, "pooled": pooled}
COVARIANCES = {"isotropic": isotropic_covariances, "rank1": rank1_covariances}

CALLS = 100  # where nothing is said and networks are called: as close as SISA's 832 (benchmarks/README.md)
MEANS = 0  # what the seed is used for


_ROWS = (
    f"Rows of the table, as exact,cfg1; may be repeated. {', '.join(EXACT_METHODS)} (all of these if left out); "
    f"with networks also {', '.join(LEARNED_METHODS)} (all but self_…)."
)
_mixture, _sampler = (partial(Option, panel=panel) for panel in ("Mixture", "Sampler"))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError(f"weights: must be numbers with commas between, as .9,.1, got {text}") from None


def _names(lists: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for names in lists for name in names.split(",")))


@dataclass(frozen=True)
class ToyConfig:
    """The mixture of `fgs toy`, and how one class of it is sampled."""

    components: Annotated[int, _mixture("Number K of Gaussians.")] = 2
    dim: Annotated[int, _mixture("Dimension d of x.")] = 1
    separation: Annotated[float, _mixture("Distance of neighbouring means, in units of λ.")] = 10.0
    std: Annotated[float, _mixture("λ, the sd of one class.")] = 0.1
    weights: Annotated[tuple[float, ...] | None, _mixture("K of sum 1, as .9,.1.", typed=str, read=_numbers)] = None
    means: Annotated[str, _mixture("Means evenly on a line, or Gaussian.", "line|random")] = "line"
    covariance: Annotated[str, _mixture("λ²Id, or λ²uuᵀ, u to the nearest mean.", "isotropic|rank1")] = "isotropic"
    target: Annotated[int, _mixture("The class to sample, from 0.")] = 0
    methods: Annotated[tuple[str, ...], _sampler(_ROWS, flag="--method", read=_names)] = EXACT_METHODS
    samples: Annotated[int, _sampler("Samples of each method.")] = 5000
    seed: Annotated[int, _sampler("Seed of everything drawn.")] = 0
    h: Annotated[float, _sampler("Step size in (0, 1].")] = 0.05
    beta: Annotated[float, _sampler("Noise control in (0, 1]: 1 no noise, towards 0 Langevin dynamics.")] = 0.1
    calls: Annotated[int | None, _sampler(f"Calls, not SISA's steps; {CALLS} for networks and --sampler.")] = None
    sampler: Annotated[str, _sampler("Spends the calls; velocity has β = 1.", "multi-step|velocity")] = "multi-step"
    noise_level: Annotated[str, _sampler("σ: the schedule's, or of the residual.", "known|per-sample|pooled")] = "known"
    sigma_start: Annotated[float | None, _sampler("σ_0; from the mixture if left out.")] = None
    sigma_end: Annotated[float | None, _sampler("σ_∞; from the mixture if left out.")] = None

    def __post_init__(self) -> None:
        at_least(self, components=1, dim=1, samples=2, calls=1)
        positive(self, "separation", "std", "sigma_start", "sigma_end")
        for name in ("h", "beta"):
            require(self, name, 0 < getattr(self, name) <= 1, "must lie in (0, 1]")
        if self.weights is not None:
            weights = self.weights
            require(self, "weights", len(weights) == self.components, "must be one number for each component")
            require(self, "weights", all(0 < w < math.inf for w in weights), "must be positive and finite")
            require(self, "weights", abs(sum(weights) - 1) < 1e-6, "must sum to 1")
        at_least(self, target=0)
        require(self, "seed", 0 <= self.seed < 2**63, "must lie in [0, 2⁶³)")
        check_choices(self)
        known = (*EXACT_METHODS, *LEARNED_METHODS)
        unknown = [method for method in self.methods if method not in known]
        if unknown or not self.methods:
            raise ValueError(f"method: must be of {', '.join(known)}, got {', '.join(unknown) or 'none'}")

    @property
    def by_sisa(self) -> bool:
        """Whether the sampler is the paper's."""
        return not self.calls and self.sampler != "velocity"

    def networks(self) -> set[str]:
        """Return the names of the networks that the methods need."""
        return {network_of(method) for method in self.methods if method in LEARNED_METHODS}

    def build_mixture(self) -> GaussianMixture:
        """Build the mixture that the settings describe; random means are drawn from the seed.

        Raises:
            ValueError: it has no class `target`.
        """
        K, d, spacing = self.components, self.dim, self.separation * self.std
        require(self, "target", self.target < K, f"must lie in 0 … {K - 1} (components − 1)")
        g = seeded(self.seed, MEANS)
        means = means_on_line(K, d, spacing) if self.means == "line" else random_means(K, d, spacing, g)
        weights = self.weights or (1 / K,) * K
        return GaussianMixture(means.new_tensor(weights), means, COVARIANCES[self.covariance](means, self.std))

    def build_sampler(self, mixture: GaussianMixture) -> ToySampler:
        """Build the sampler, with σ_0 and σ_∞ from the geometry of the mixture where they are not given."""
        sigma_0, sigma_inf = noise_range(mixture, self.h)
        if self.sigma_start and not self.sigma_end and self.sigma_start <= sigma_inf:
            raise ValueError(f"sigma_start: must exceed σ_∞ = {sigma_inf:.3g} of this mixture, got {self.sigma_start}")
        sigma_0, sigma_inf = self.sigma_start or sigma_0, self.sigma_end or sigma_inf
        try:
            if self.sampler == "velocity":
                variance = mixture.covariances.diagonal(dim1=1, dim2=2) + (mixture.means - mixture.centre).square()
                size = float((mixture.weights @ variance).mean().sqrt())
                return ConstantVelocity(self.calls or CALLS, sigma_0, sigma_inf, unit=size)
            if self.calls:
                return MultiStep(self.calls, self.beta, sigma_0, sigma_inf)
            return SISA(self.h, self.beta, sigma_0, sigma_inf, noise_level=NOISE_LEVELS[self.noise_level])
        except ValueError as error:
            raise ValueError(str(error).replace("sigma_inf", "sigma_end").replace("sigma_0", "sigma_start")) from None
