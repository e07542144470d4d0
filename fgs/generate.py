"""Sampling images from a trained model: what to ask for, where to start, when to let go."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fgs.noise import per_row, seeded
from fgs.protocols import ProjectedScore
from fgs.sampling import StepByStep, draw_start

PIXELS = 2**16  # of the images of a batch; bounds the memory

Advance = Callable[[int], None]
"""Is told of every call of the network how many images went through it."""


@dataclass(frozen=True)
class Released:
    """A score whose guidance ends below a noise level (Fig. 13).

    Attributes:
        guided: followed above, with the φ that is given, or None.
        free: followed below, with φ = None; it may be the same object.
        level: σ at which it lets go.
    """

    guided: ProjectedScore
    free: ProjectedScore
    level: float

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s, the shape of x; arguments as in `ProjectedScore`, but σ must be given.

        Raises:
            ValueError: σ is not given.
        """
        if sigma is None:
            raise ValueError("sigma: needed to know when to let go")
        below = (sigma < self.level).expand(len(x))
        if bool(below.all()):
            return self.free(x, None, sigma)
        s = self.guided(x, phi, sigma)
        if not bool(below.any()):
            return s
        return torch.where(per_row(below, x), self.free(x, None, sigma), s)


@dataclass(frozen=True)
class Start:
    """Where sampling starts: at noise around the mean of the mixture, or at an image with noise added (Fig. 12).

    Attributes:
        mean: (C, 1, 1) m, or (C, H, W) an image.
        size: (H, W) of the samples.
    """

    mean: Tensor
    size: tuple[int, int]

    def draw(self, n: int, sigma_0: float, seed: int, *path: int) -> Tensor:
        """Draw n starts x_{σ_0}, (n, C, H, W)."""
        x = self.mean.expand(n, len(self.mean), *self.size)
        return draw_start(tuple(x.shape), x, sigma_0, generator=seeded(seed, *path))


def sample_rows(
    score: ProjectedScore,
    phi: Tensor | None,
    n: int,
    sampler: StepByStep,
    start: Start,
    seed: int = 0,
    advance: Advance = lambda images: None,
) -> Tensor:
    """Sample n images for every target, in batches of bounded memory.

    Args:
        score: the model's network, or one made of it.
        phi: (rows, F) targets; None is one row without guidance.
        n: images of each row.
        sampler: SISA, or one of few steps.
        start: where it starts.
        seed: of the starts and of the noise on the way.
        advance: told of every call of the network.

    Returns:
        (rows, n, C, H, W) in [0, 1].
    """

    def counted(x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        advance(len(x))
        return score(x, phi, sigma)

    targets = None if phi is None else phi.repeat_interleave(n, 0)
    images = []
    total, at_once = n if phi is None else len(phi) * n, max(1, PIXELS // math.prod(start.size))
    for first in range(0, total, at_once):
        of_batch = None if targets is None else targets[first : first + at_once]
        count = min(at_once, total - first)
        x = start.draw(count, sampler.sigma_0, seed, first, 0)
        for step in sampler.iterate(counted, x, of_batch, seeded(seed, first, 1)):
            x = step.x
        images.append(x.clamp(0, 1))
    together = torch.cat(images)
    return together.reshape(-1, n, *together.shape[1:])


def trajectory(
    score: ProjectedScore, phi: Tensor | None, sampler: StepByStep, start: Start, frames: int, seed: int = 0
) -> Iterator[Tensor]:
    """Yield x_σ of one image for every target on its way, about `frames` times: (rows, C, H, W) in [0, 1]."""
    x = start.draw(1 if phi is None else len(phi), sampler.sigma_0, seed, 0, 0)
    every = max(1, sampler.planned_steps() // frames)
    for number, step in enumerate(sampler.iterate(score, x, phi, seeded(seed, 0, 1))):
        if number % every == 0:
            yield x.clamp(0, 1)
        x = step.x
    yield x.clamp(0, 1)
