"""Stage 1: sample one class of an exact mixture by every method, and measure each against the two-sample floor."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from fgs.noise import NoiseLevel, known_schedule, per_sample, pooled, seeded
from fgs.protocols import Samples
from fgs.sampling import SISA, NotConvergingError, Schedule, draw_start, fixed, growing
from toy.geometry import (
    isotropic_covariances,
    means_on_line,
    noise_range,
    random_means,
    rank1_covariances,
)
from toy.judge import Judge, Row
from toy.methods import ALL_METHODS, DEFAULT_METHODS, Method, build_method
from toy.mixture import GaussianMixture

SCHEDULES: dict[str, Schedule] = {"fixed": fixed, "growing": growing}
NOISE_LEVELS: dict[str, NoiseLevel] = {"known": known_schedule, "per-sample": per_sample, "pooled": pooled}
COVARIANCES = {"isotropic": isotropic_covariances, "rank1": rank1_covariances}
LAYOUTS = ("line", "random")

ROWS = 2**14  # samples drawn together: bounds the memory, and row i is the same for every number of samples

MEANS, TRUE, SAMPLES = range(3)  # what the seed is used for

Advance = Callable[[str, int], None]
"""(label of the method, steps done since the last call)."""


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
        unknown = [method for method in self.methods if method not in ALL_METHODS]
        if unknown or not self.methods:
            raise ValueError(f"method: must be of {', '.join(ALL_METHODS)}, got {', '.join(unknown) or 'none'}")

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


@dataclass(frozen=True)
class Block:
    """All methods at one β.

    Attributes:
        sampler: its settings.
        start: what the start was drawn from.
        samples: (N, d) by the name of the method; a method that did not converge is absent.
        rows: the measures by the same names, "true" first.
    """

    sampler: SISA
    start: str
    samples: dict[str, Tensor]
    rows: dict[str, Row]


@dataclass(frozen=True)
class ToyResult:
    """What `run_toy` found: the first block at the β asked for, the second, if any, at β = 1."""

    config: ToyConfig
    judge: Judge
    blocks: list[Block]

    def metrics(self) -> dict[str, Any]:
        """Everything measured, as plain numbers for JSON."""
        first = self.blocks[0]
        config = asdict(self.config) | {
            "weights": self.judge.mixture.weights.tolist(),
            "sigma_start": first.sampler.sigma_0,
            "sigma_end": first.sampler.sigma_inf,
            "lambda": self.judge.axis.width,
        }
        floor = {"kind": "mean distance of true to true samples", "n": self.config.samples, "w1": self.judge.floor}
        if self.judge.energy_floor is not None:
            floor |= {"energy_n": len(self.judge.smoothed[0]), "energy": self.judge.energy_floor}
        result: dict[str, Any] = {"config": config, "floor": floor, "methods": _plain(first.rows)}
        for block in self.blocks[1:]:
            result["methods_beta_1"] = _plain(block.rows)
        return result


def _plain(rows: dict[str, Row]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: value for key, value in asdict(row).items() if key == "steps" or value is not None}
        for name, row in rows.items()
    }


def run_toy(config: ToyConfig, advance: Advance = lambda label, steps: None) -> ToyResult:
    """Sample the target class by every method, at `config.beta` and then at β = 1, and measure the samples.

    Within a block every method starts from the same points and meets the same noise.

    Args:
        config: the settings.
        advance: told of the steps done, for a progress bar.
    """
    judge, sampler = prepare(config)
    samplers = [sampler] if sampler.beta == 1 else [sampler, replace(sampler, beta=1.0)]
    return ToyResult(config, judge, [run_block(config, judge, sampler, advance) for sampler in samplers])


def prepare(config: ToyConfig) -> tuple[Judge, SISA]:
    """Build the mixture with its true samples, and the sampler."""
    mixture = config.build_mixture()
    sampler = config.build_sampler(mixture)
    true = seeded(config.seed, TRUE)
    return Judge.draw(mixture, config.target, config.samples, sampler.sigma_inf, true), sampler


def planned_steps(config: ToyConfig) -> int:
    """Count the steps that `run_toy` is going to report, for the known schedule."""
    sampler = config.build_sampler(config.build_mixture())
    betas = {sampler.beta, 1.0}
    blocks = sum(replace(sampler, beta=beta).planned_steps() for beta in betas)
    return blocks * len(config.methods) * math.ceil(config.samples / ROWS)


def run_block(config: ToyConfig, judge: Judge, sampler: SISA, advance: Advance = lambda label, steps: None) -> Block:
    """Sample by every method with one sampler, and measure; arguments as in `run_toy` and from `prepare`."""
    start = "N(m, σ_0² Id)" if sampler.beta < 1 else "the exact p_{σ_0,y}"
    samples: dict[str, Tensor] = {}
    rows = {"true": judge.measure_true()}
    for name in config.methods:
        method = build_method(name, judge.mixture, config.target, sampler)
        try:
            drawn = _draw(config, judge.mixture, method, sampler, advance)
        except NotConvergingError as error:
            rows[name] = Row(method.label, error=str(error))
        else:
            samples[name] = drawn.x
            rows[name] = judge.measure(method.label, drawn.x, float(drawn.steps.double().mean()))
    return Block(sampler, start, samples, rows)


def _draw(config: ToyConfig, mixture: GaussianMixture, method: Method, sampler: SISA, advance: Advance) -> Samples:
    def watched(x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        advance(method.label, 1)
        return method.score(x, phi, sigma)

    parts = []
    for part, first in enumerate(range(0, config.samples, ROWS)):
        n = min(ROWS, config.samples - first)
        generator = seeded(config.seed, SAMPLES, part)
        x = draw_toy_start(config.target, mixture, n, sampler, generator)
        parts.append(sampler(watched, x, method.phi, generator))
    return Samples(*(torch.cat(column) for column in zip(*parts, strict=True)))


def draw_toy_start(y: int, mixture: GaussianMixture, n: int, sampler: SISA, generator: Generator) -> Tensor:
    """Draw the start (n, d): N(m, σ_0² Id) as in the paper; for β = 1, which never forgets it, the exact p_{σ_0,y}."""
    if sampler.beta < 1:
        return draw_start((n, mixture.d), mixture.centre, sampler.sigma_0, generator=generator)
    return mixture.sample(n, y, sampler.sigma_0, generator)
