"""Samplers that keep a budget of network calls, of first and of second order.

They follow the same SDE as SISA, dx = (1/2β)∇log p dt + √((1−β)/β) dw in t = σ² (see `fgs.sampling`). In ℓ = −ln σ
it reads

    dx = (x̂(x, σ) − x) dℓ/β + σ√(2(1−β)/β) dw,

linear in x but for x̂. Over a step from σ to rσ the linear part and the noise have a closed form, and what is left is
how x̂ goes on within the step:

    x ← (1−h)x + ∫ x̂ + γz,   1−h = r^(1/β),   γ² = σ²(r² − (1−h)²).

With x̂ held this is SISA's own update, whose γ² it has, with the h that belongs to r and β for any size of step; SISA's
r = 1 − βh is its limit for small h. With x̂ on a straight line from x̂_0 at the begin to x̂_1 at the end of the step

    ∫ x̂ = (h − w)x̂_0 + w·x̂_1,   w = 1 − βh/ln(1/r),

the scheme is of second order in the step. `MultiStep` takes x̂_1 from the step before.

**What a blind network should be told.** Its s needs no σ, so σ enters through γ alone: at β = 1 not at all, where only
ratios count. Let σ' be the noise that is really in x. A step leaves (1−h)²σ'² + γ², which is r²σ² off by
(1−h)²(σ'² − σ²): relative to σ² an error of the schedule dies out by r^(2/β−2) a step, for any β < 1. The residual,
in contrast, misses MMSE/d of σ² at every step, on textures a third at σ = .05 and two thirds at .02; an estimate from
it injects too little noise each time and says that the end is near when it is not. So these samplers trust the
schedule. Give `per_sample` where the start is not known to carry σ_0; in samples of textures the two could not be told
apart (benchmarks/README.md).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from fgs.noise import NoiseEstimate, known_schedule, per_row, standard_normal
from fgs.protocols import ProjectedScore
from fgs.sampling import NotConvergingError, Step, StepByStep, check_range


class Coefficients(NamedTuple):
    """Of one step, the same for every sample."""

    h: float  # share of the way to x̂, SISA's step size
    w: float  # weight of x̂ at the end of the step, where x̂ goes on a straight line
    noise: float  # γ/σ, of the injected noise


def coefficients(ratio: float, beta: float) -> Coefficients:
    """Integrate the linear part of the SDE over a step from σ to ratio·σ, ratio in (0, 1), for β in (0, 1]."""
    kept = ratio ** (1 / beta)
    h = 1 - kept
    return Coefficients(h, 1 - beta * h / -math.log(ratio), math.sqrt(max(0.0, ratio**2 - kept**2)))


@dataclass(frozen=True)
class FewSteps(StepByStep):
    """SISA by budget: σ falls geometrically, by the same ratio r in every step, and h = 1 − r^(1/β).

    β = 1 is DDIM, β = ½ ancestral sampling (DDPM), small β a fresh draw of all noise at every level.

    Raises:
        ValueError: a setting is out of range; the message begins with its name.
    """

    calls: int = 50  # of the network, for each sample
    beta: float = 0.5  # noise control in (0, 1]; 1 injects none
    sigma_0: float = 1.0  # noise level of the start, in the units of x
    sigma_inf: float = 0.01  # noise level of the last x
    noise_level: NoiseEstimate = known_schedule  # where σ of the injected noise is from; above, why not the residual
    denoise_last: bool = False  # spend the last call on x̂, and return that instead of x, which still carries noise σ_∞

    def __post_init__(self) -> None:
        check_range(self, "beta")
        if self.updates() < 1:
            raise ValueError(f"calls: too few for this sampler, got {self.calls}")

    def __str__(self) -> str:
        return f"{type(self).__name__}, {self.planned_steps()} calls, β = {self.beta:g}"

    def updates(self) -> int:
        """Count the steps that the budget pays for."""
        return self.calls - self.denoise_last

    def planned_steps(self) -> int:
        """Count the calls of the network: the size of the job ahead."""
        return self.calls

    def ratios(self) -> list[float]:
        """Return σ_{k+1}/σ_k of every step."""
        return self.updates() * [(self.sigma_inf / self.sigma_0) ** (1 / self.updates())]

    def steps(self) -> list[Coefficients]:
        """Return the coefficients of every step."""
        return [coefficients(ratio, self.beta) for ratio in self.ratios()]

    @property
    def step(self) -> Coefficients:
        """The coefficients of the first step, and of every one where all ratios are the same."""
        return self.steps()[0]

    @torch.no_grad()
    def _updates(
        self, score: ProjectedScore, x: Tensor, phi: Tensor | None, generator: Generator | None
    ) -> Iterator[Step]:
        sigma, before = x.new_tensor(self.sigma_0), None
        for k, (ratio, (h, w, noise)) in enumerate(zip(self.ratios(), self.steps(), strict=True), 1):
            s = score(x, phi, sigma)
            x_hat, sigma = x + s, self.noise_level(s, sigma)
            x = x + h * s
            if self.beta < 1:
                x = x + per_row(noise * sigma, x) * standard_normal(x, generator)
            sigma = ratio * sigma
            x = x + w * (self._at_end(x_hat, before, partial(_denoised, score, x, phi, sigma)) - x_hat)
            before = x_hat
            if not x.sum().isfinite():
                raise NotConvergingError(f"step {k}: x is not finite; use more calls, or a score with weaker guidance")
            yield Step(x, x_hat, sigma, k, torch.ones_like(sigma, dtype=torch.bool))
        if self.denoise_last:
            x_hat = x + score(x, phi, sigma)
            yield Step(x_hat, x_hat, sigma, self.updates(), torch.zeros_like(sigma, dtype=torch.bool))

    def _at_end(self, x_hat: Tensor, before: Tensor | None, ahead: Callable[[], Tensor]) -> Tensor:
        """Return x̂_1, what x̂ comes to at the end of a step; held, it is x̂_0.

        It may be told by x̂_0, that of the step before, and x̂ where the step would end with it held, by another call.
        """
        return x_hat


def _denoised(score: ProjectedScore, x: Tensor, phi: Tensor | None, sigma: Tensor) -> Tensor:
    return x + score(x, phi, sigma)


@dataclass(frozen=True)
class MultiStep(FewSteps):
    """Second order by one call a step: x̂ goes on as it went from the last step to this one.

    The noise of a step changes x̂ within the step, which extrapolation cannot know; it repeats what the noise of the
    step before has changed. One stands in for the other: the variance is of second order at every β (on a Gaussian, by
    the tests), and at equal calls its error was a quarter of that of Heun's method.
    """

    def _at_end(self, x_hat: Tensor, before: Tensor | None, ahead: Callable[[], Tensor]) -> Tensor:
        return x_hat if before is None else 2 * x_hat - before
