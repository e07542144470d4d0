"""Langevin corrections: updates at one noise level, before and between the steps of `MultiStep`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from fgs.few_steps import FewSteps, MultiStep
from fgs.noise import per_row, standard_normal
from fgs.protocols import ProjectedScore
from fgs.sampling import Step

CORRECTION, FEWEST = 0.1, 7  # h of the corrections, and calls that leave some for each part


@dataclass(frozen=True)
class Corrected(FewSteps):
    """`MultiStep` with an eighth of the calls spent on corrections at 5σ_∞, and an eighth from there to the end.

    Corrections are updates x ← x + h·s + σ√(2h − h²)z at one σ: SISA's for β → 0, in which the noise level does not
    fall. They let x forget what earlier steps did wrong, over a time of hσ²/(λ² + σ²) of a relaxation in a direction in
    which the data have variance λ²: at the last levels that mends what is fine, and of the coarse nothing. What they
    leave themselves is narrower than p_σ, by a variance of (2 − h)/(2 − hσ²/(λ² + σ²)): h is better small. Blind
    networks see the noise that is there, and σ, of the schedule, only scales what is put in its place.

    The first call only finds out where to begin: x ← x̂ + σ_0·z, an update of h = 1. A start around the mean of a
    mixture is far from the class, x̂ near it, and few steps would not get all the way.
    """

    def __post_init__(self) -> None:
        if self.calls < FEWEST:
            raise ValueError(f"calls: must be at least {FEWEST} with corrections, got {self.calls}")
        super().__post_init__()

    @property
    def parts(self) -> tuple[MultiStep, MultiStep]:
        """The steps down to the level of the corrections, and those from there to the end."""
        level = min(5 * self.sigma_inf, math.sqrt(self.sigma_0 * self.sigma_inf))  # the latter where there is no room
        some = max(2, self.calls // 8)
        return (
            MultiStep(self.calls - 2 * some - 1, self.beta, self.sigma_0, level, self.noise_level),
            MultiStep(some, self.beta, level, self.sigma_inf, self.noise_level, self.denoise_last),
        )

    def ratios(self) -> list[float]:
        """Return σ_{k+1}/σ_k of the steps down to the corrections."""
        return self.parts[0].ratios()

    @torch.no_grad()
    def _updates(
        self, score: ProjectedScore, x: Tensor, phi: Tensor | None, generator: Generator | None
    ) -> Iterator[Step]:
        done, (there, end) = 0, self.parts
        for h, updates, part in ((1.0, 1, there), (CORRECTION, end.calls, end)):
            sigma = x.new_tensor(part.sigma_0)
            gamma = per_row(sigma * math.sqrt(2 * h - h**2), x)
            for _ in range(updates):
                done += 1
                s = score(x, phi, sigma)
                x_hat, x = x + s, x + h * s + gamma * standard_normal(x, generator)
                yield Step(x, x_hat, sigma, done, torch.ones_like(sigma, dtype=torch.bool))
            for step in part.iterate(score, x, phi, generator):
                x, last = step.x, step.step
                yield step._replace(step=done + last)
            done += last
