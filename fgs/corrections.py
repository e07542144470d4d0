"""Langevin corrections: updates at one noise level, put between or behind the steps of other samplers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from fgs.few_steps import MultiStep
from fgs.noise import per_row, standard_normal
from fgs.protocols import ProjectedScore
from fgs.sampling import Step, StepByStep


@dataclass(frozen=True)
class Langevin(StepByStep):
    """Updates x ← x + h·s + σ√(2h − h²)z at one σ: SISA's for β → 0, in which the noise level does not fall.

    They let x forget what earlier steps did wrong, over a time of hσ²/(λ² + σ²) of a relaxation in a direction in which
    the data have variance λ²: at the last levels that mends what is fine, and of the coarse nothing. What they leave
    themselves is narrower than p_σ, by a variance of (2 − h)/(2 − hσ²/(λ² + σ²)): h is better small. Blind networks see
    the noise that is there, and σ, of the schedule, only scales what is put in its place.

    Attributes:
        calls: updates.
        h: step size in (0, 1].
        sigma: noise level of x, in its units, before and after.

    Raises:
        ValueError: a setting is out of range; the message begins with its name.
    """

    calls: int
    h: float
    sigma: float

    def __post_init__(self) -> None:
        if not 0 < self.h <= 1:
            raise ValueError(f"h: must lie in (0, 1], got {self.h}")
        if self.calls < 1:
            raise ValueError(f"calls: must be at least 1, got {self.calls}")

    def __str__(self) -> str:
        return f"{self.calls} Langevin updates of h = {self.h:g} at σ = {self.sigma:g}"

    @property
    def sigma_0(self) -> float:
        """Noise level at the begin."""
        return self.sigma

    @property
    def sigma_inf(self) -> float:
        """Noise level at the end, the same."""
        return self.sigma

    def planned_steps(self) -> int:
        """Count the calls of the network."""
        return self.calls

    @torch.no_grad()
    def _updates(
        self, score: ProjectedScore, x: Tensor, phi: Tensor | None, generator: Generator | None
    ) -> Iterator[Step]:
        sigma = x.new_tensor(self.sigma)
        gamma = per_row(sigma * math.sqrt(2 * self.h - self.h**2), x)
        for k in range(1, self.calls + 1):
            s = score(x, phi, sigma)
            x_hat, x = x + s, x + self.h * s + gamma * standard_normal(x, generator)
            yield Step(x, x_hat, sigma, k, torch.ones_like(sigma, dtype=torch.bool))


@dataclass(frozen=True)
class Chain(StepByStep):
    """One sampler after another, each from the noise level at which the one before it ends.

    Attributes:
        parts: the samplers.

    Raises:
        ValueError: a part begins where the one before it does not end, or ends without noise before the last.
    """

    parts: tuple[StepByStep, ...]

    def __post_init__(self) -> None:
        for before, after in zip(self.parts, self.parts[1:], strict=False):
            if not math.isclose(before.sigma_inf, after.sigma_0) or getattr(before, "denoise_last", False):
                raise ValueError(
                    f"parts: one ends at {'σ = 0' if getattr(before, 'denoise_last', False) else before.sigma_inf}, "
                    f"the next begins at {after.sigma_0}"
                )

    def __str__(self) -> str:
        return "; ".join(map(str, self.parts))

    @property
    def sigma_0(self) -> float:
        """Noise level at the begin of the first."""
        return self.parts[0].sigma_0

    @property
    def sigma_inf(self) -> float:
        """Noise level at the end of the last."""
        return self.parts[-1].sigma_inf

    def planned_steps(self) -> int:
        """Count the calls of the network."""
        return sum(part.planned_steps() for part in self.parts)

    def _updates(
        self, score: ProjectedScore, x: Tensor, phi: Tensor | None, generator: Generator | None
    ) -> Iterator[Step]:
        done = 0
        for part in self.parts:
            for step in part.iterate(score, x, phi, generator):
                x, last = step.x, step.step
                yield step._replace(step=done + last)
            done += last


CORRECTION, FEWEST = 0.1, 7  # h of the corrections, and calls that leave some for each part


def corrected(calls: int, beta: float, sigma_0: float, sigma_inf: float, denoise_last: bool = False) -> Chain:
    """Return `MultiStep` with an eighth of the calls spent on corrections at 5σ_∞, and an eighth from there to the end.

    The first call only finds out where to begin: x ← x̂ + σ_0·z, a `Langevin` update of h = 1. A start around the mean
    of a mixture is far from the class, x̂ near it, and few steps would not get all the way.

    Args:
        calls: of the network, for each sample.
        beta: noise control of the steps, in (0, 1].
        sigma_0: noise level of the start, in the units of x.
        sigma_inf: noise level of the last x.
        denoise_last: return x̂.

    Raises:
        ValueError: a setting is out of range; the message begins with its name.
    """
    if calls < FEWEST:
        raise ValueError(f"calls: must be at least {FEWEST} with corrections, got {calls}")
    some = max(2, calls // 8)
    level = min(5 * sigma_inf, math.sqrt(sigma_0 * sigma_inf))  # the latter where there is little noise at the start
    begin = Langevin(1, 1.0, sigma_0)
    there = MultiStep(calls - 2 * some - 1, beta, sigma_0, level)
    end = MultiStep(some, beta, level, sigma_inf, denoise_last=denoise_last)
    return Chain((begin, there, Langevin(some, CORRECTION, level), end))
