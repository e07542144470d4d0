"""What images are asked for, where sampling of them starts, and drawing them row by row."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from fgs.composition import AnyOf, Several, Superposition
from fgs.embedding import interpolate
from fgs.images.known_mean import KnownMean
from fgs.noise import seeded
from fgs.protocols import ProjectedScore
from fgs.sampling import StepByStep, draw_start

PIXELS = 2**16  # of the images of a batch; bounds the memory

Advance = Callable[[int], None]
"""Is told of every call of the network how many images went through it."""


class Condition(NamedTuple):
    """What images are asked for, a row each: means over the data of a class.

    Algorithm 1 starts around the mean m of the mixture. At σ_0 = 1 that is too far: noise of d pixels around m and
    around the mean m_y of a class are d(m_y − m)²/2σ_0² nats apart, 20 for a gray .2 away and 32 × 32 pixels, and the
    network takes the start at its word. Of m − m_y exact scores keep (λ²/(λ² + σ_0²))^(1/2β), along which a class has
    variance λ²: for roof tiles .25 at β = .3; the network that ships kept .35. So images start around m_y. Their
    mean over pixels is held to m_y, as `KnownMean` says, where Σ_y is given, and else left to the network.
    """

    phi: Tensor | None  # (rows, F) target features, or labels; None is one row without guidance
    mean: Tensor  # (rows, C, 1, 1) m_y, or (rows, C, H, W) images to start from (Fig. 12)
    covariance: Tensor | None = None  # (rows, C, C) Σ_y, of the mean over pixels

    def row(self, k: int) -> "Condition":
        """Ask for one of its rows."""
        return Condition(*(None if part is None else part[[k]] for part in self))  # type: ignore[arg-type]

    def several(self, score: ProjectedScore, n: int) -> Several:
        """Return the scores of its rows side by side, each for n samples: a `Superposition` makes one of them."""
        guided = [self.row(k).guide(score, torch.zeros(n, dtype=torch.long)) for k in range(len(self.mean))]
        return Several(tuple(each for each, _ in guided), tuple(phi for _, phi in guided))

    def between(self, shares: Tensor) -> "Condition":
        """Ask for what lies between its two rows, at every share α, (M,), of the way (Fig. 8)."""
        parts = (None if part is None else interpolate(part[0], part[1], shares) for part in self)
        return Condition(*parts)  # type: ignore[arg-type]

    def start(self, rows: Tensor, size: tuple[int, int], sigma_0: float, generator: Generator) -> Tensor:
        """Draw x_{σ_0} of (H, W) pixels for each of `rows`, (n,) numbers of rows: (n, C, H, W)."""
        mean = self.mean[rows].expand(-1, -1, *size)
        return draw_start(tuple(mean.shape), mean, sigma_0, generator=generator)

    def guide(self, score: ProjectedScore, rows: Tensor) -> tuple[ProjectedScore, Tensor | None]:
        """Return the score that samples of `rows`, (n,), follow, and the φ to hand to it."""
        phi = None if self.phi is None else self.phi[rows]
        if phi is None or self.covariance is None:
            return score, phi
        return KnownMean(score), KnownMean.target(phi, self.mean[rows], self.covariance[rows])


def sample_rows(
    score: ProjectedScore,
    condition: Condition,
    n: int,
    sampler: StepByStep,
    size: tuple[int, int],
    seed: int = 0,
    advance: Advance = lambda images: None,
) -> Tensor:
    """Sample n images of `size` (H, W) for every row of a condition: (rows, n, C, H, W) in [0, 1].

    In batches of bounded memory. The score is the model's network, or made of it; the seed is of the starts and of the
    noise on the way; `advance` is told of every call of the network.
    """

    def counted(x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        advance(len(x))
        return score(x, phi, sigma)

    images, at_once = [], max(1, PIXELS // math.prod(size))
    row = torch.arange(len(condition.mean)).repeat_interleave(n)
    for first in range(0, len(row), at_once):
        rows = row[first : first + at_once]
        guided, phi = condition.guide(counted, rows)
        x = condition.start(rows, size, sampler.sigma_0, seeded(seed, first, 0))
        images.append(sampler(guided, x, phi, seeded(seed, first, 1)).x.clamp(0, 1))
    together = torch.cat(images)
    return together.reshape(-1, n, *together.shape[1:])


def sample_composed(
    score: ProjectedScore,
    condition: Condition,
    n: int,
    sampler: Superposition,
    size: tuple[int, int],
    seed: int = 0,
    advance: Advance = lambda images: None,
) -> Tensor:
    """Sample n images of all rows together, (1, n, C, H, W) in [0, 1]; arguments as in `sample_rows`.

    For OR each starts around the mean of one of the rows, as in the mixture of them, for AND around the mean of all.
    """
    images, at_once, mean = [], max(1, PIXELS // math.prod(size)), condition.mean
    for first in range(0, n, at_once):
        rows = torch.arange(first, min(first + at_once, n)) % len(mean)
        together = condition.several(score, len(rows))
        x = condition.start(rows, size, sampler.sigma_0, seeded(seed, first, 0))
        if isinstance(sampler, AnyOf):
            away = (x - mean[:, None]).flatten(2).square().sum(2)
            together = replace(together, log_p=-away / (2 * sampler.sigma_0**2))
        else:
            x = x + mean.mean(0) - mean[rows]
        for step in sampler.iterate(together, x, None, seeded(seed, first, 1)):
            x = step.x
            advance(len(x))
        images.append(x.clamp(0, 1))
    return torch.cat(images)[None]
