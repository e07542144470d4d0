"""The settings of `fgs toy`, and the mixture and the sampler that they describe."""

import math
from dataclasses import dataclass

import torch

from fgs.noise import NoiseLevel, known_schedule, per_sample, pooled, seeded
from fgs.sampling import SISA, Schedule, fixed, growing
from toy.geometry import isotropic_covariances, means_on_line, noise_range, random_means, rank1_covariances
from toy.learned import LEARNED_METHODS, network_of
from toy.methods import ALL_METHODS, DEFAULT_METHODS
from toy.mixture import GaussianMixture

SCHEDULES: dict[str, Schedule] = {"fixed": fixed, "growing": growing}
NOISE_LEVELS: dict[str, NoiseLevel] = {"known": known_schedule, "per-sample": per_sample, "pooled": pooled}
COVARIANCES = {"isotropic": isotropic_covariances, "rank1": rank1_covariances}
LAYOUTS = ("line", "random")

MEANS = 0  # what the seed is used for


@dataclass(frozen=True)
class ToyConfig:
    """The settings of `fgs toy`, by the names of its options.

    Raises:
        ValueError: a setting is out of range; the message begins with its name.
    """

    components: int = 2
    dim: int = 1
    separation: float = 10.0
    std: float = 0.1
    weights: tuple[float, ...] | None = None
    means: str = "line"
    covariance: str = "isotropic"
    target: int = 0
    methods: tuple[str, ...] = DEFAULT_METHODS
    samples: int = 5000
    seed: int = 0
    h: float = 0.05
    beta: float = 0.1
    schedule: str = "fixed"
    noise_level: str = "known"
    sigma_start: float | None = None
    sigma_end: float | None = None

    def __post_init__(self) -> None:
        def require(holds: bool, name: str, what: str) -> None:
            if not holds:
                raise ValueError(f"{name}: {what}, got {getattr(self, name)}")

        for name in ("components", "dim"):
            require(getattr(self, name) >= 1, name, "must be at least 1")
        for name in ("separation", "std"):
            require(0 < getattr(self, name) < math.inf, name, "must be positive and finite")
        for name in ("h", "beta"):
            require(0 < getattr(self, name) <= 1, name, "must lie in (0, 1]")
        for name in ("sigma_start", "sigma_end"):
            value = getattr(self, name)
            require(value is None or 0 < value < math.inf, name, "must be positive and finite")
        if self.weights is not None:
            require(len(self.weights) == self.components, "weights", "must be one number for each component")
            require(all(0 < w < math.inf for w in self.weights), "weights", "must be positive and finite")
            require(abs(sum(self.weights) - 1) < 1e-6, "weights", "must sum to 1")
        require(0 <= self.target < self.components, "target", f"must lie in 0 … {self.components - 1} (components − 1)")
        require(self.samples >= 2, "samples", "must be at least 2")
        require(0 <= self.seed < 2**63, "seed", "must lie in [0, 2⁶³)")
        for name, known in (
            ("means", LAYOUTS),
            ("covariance", COVARIANCES),
            ("schedule", SCHEDULES),
            ("noise_level", NOISE_LEVELS),
        ):
            require(getattr(self, name) in known, name, f"must be one of {', '.join(known)}")
        unknown = [method for method in self.methods if method not in (*ALL_METHODS, *LEARNED_METHODS)]
        if unknown or not self.methods:
            names = ", ".join((*ALL_METHODS, *LEARNED_METHODS))
            raise ValueError(f"method: must be of {names}, got {', '.join(unknown) or 'none'}")

    def networks(self) -> set[str]:
        """Return the names of the networks that the methods need."""
        return {network_of(method) for method in self.methods if method in LEARNED_METHODS}

    def build_mixture(self) -> GaussianMixture:
        """Build the mixture that the settings describe; random means are drawn from the seed."""
        K, d, spacing = self.components, self.dim, self.separation * self.std
        if self.means == "line":
            means = means_on_line(K, d, spacing)
        else:
            means = random_means(K, d, spacing, seeded(self.seed, MEANS))
        weights = self.weights or (1 / K,) * K
        return GaussianMixture(torch.tensor(weights).to(means), means, COVARIANCES[self.covariance](means, self.std))

    def build_sampler(self, mixture: GaussianMixture) -> SISA:
        """Build the sampler, with σ_0 and σ_∞ from the geometry of the mixture where they are not given."""
        sigma_0, sigma_inf = noise_range(mixture, self.h)
        if self.sigma_start and not self.sigma_end and self.sigma_start <= sigma_inf:
            raise ValueError(f"sigma_start: must exceed σ_∞ = {sigma_inf:.3g} of this mixture, got {self.sigma_start}")
        try:
            return SISA(
                h=self.h,
                beta=self.beta,
                sigma_0=self.sigma_start or sigma_0,
                sigma_inf=self.sigma_end or sigma_inf,
                schedule=SCHEDULES[self.schedule],
                noise_level=NOISE_LEVELS[self.noise_level],
            )
        except ValueError as error:
            raise ValueError(str(error).replace("sigma_inf", "sigma_end").replace("sigma_0", "sigma_start")) from None
