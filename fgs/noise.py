"""Gaussian noise: drawing it, adding it, and estimating how much of it is there."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

NoiseEstimate = Callable[[Tensor, Tensor], Tensor]
"""(s, sigma) -> σ: from the score s (N, *shape) and the believed σ () or (N,), the noise level () or (N,) of a step."""

REMEMBERED = 2**20  # numbers of a draw that is kept for whoever asks for the same again


def standard_normal(like: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw z ~ N(0, Id) row by row, so that row i does not depend on how many rows follow it.

    One number of `generator` seeds the whole draw: a longer batch has the same first rows and leaves the generator in
    the same state. `torch.randn` promises neither. The draw is made on the CPU, by a generator of the CPU
    or torch's own: a seed means the same on every device. `like`, (N, *shape), gives shape, dtype and device.
    """
    key = int(torch.randint(2**63 - 1, (), generator=generator))
    draw = _remembered if like.numel() <= REMEMBERED else _drawn
    return torch.from_numpy(draw(key, tuple(like.shape))).to(like, copy=True)


def _drawn(key: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw the numbers of a seed, in float64: numpy's float32 stream is another one, and a seed means one stream."""
    return np.random.default_rng(key).standard_normal(shape)


_remembered = lru_cache(maxsize=1)(_drawn)  # methods that are compared step by step ask for the same noise in turn


def seeded(seed: int, *path: int) -> Generator:
    """Return a CPU generator for one use of a seed; different paths give independent streams."""
    key = np.random.SeedSequence(seed, spawn_key=path).generate_state(1, np.uint64)[0]
    return Generator().manual_seed(int(key >> np.uint64(1)))


def per_row(sigma: Tensor, x: Tensor) -> Tensor:
    """View σ, () or (N,), so that it broadcasts over x, (N, *shape)."""
    return sigma.reshape(sigma.shape + (1,) * (x.dim() - sigma.dim()))


def add_noise(x: Tensor, sigma: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """Return x_σ = x + σz and the noise z, both (N, *shape) as x, with σ, () or (N,), in the units of x (Section 2).

    The generator is one of the CPU; None is torch's own.
    """
    z = standard_normal(x, generator)
    return x + per_row(sigma.to(x), x) * z, z


def known_schedule(s: Tensor, sigma: Tensor) -> Tensor:
    """Trust the schedule σ_k = σ_0 ∏(1 − βh): the only estimate that is right in one dimension."""
    return sigma


def per_sample(s: Tensor, sigma: Tensor) -> Tensor:
    """Estimate σ² = ‖s‖²/d for each sample (line 5 of Algorithms 1 and 3).

    The residual falls short of the noise, E‖s‖²/d = σ² − MMSE/d, so this is right only where the data have few
    dimensions among d; and for small d it fluctuates, which makes log σ drift down faster than the schedule.
    """
    return s.flatten(1).square().mean(1).sqrt()


def pooled(s: Tensor, sigma: Tensor) -> Tensor:
    """Estimate one σ² = mean ‖s‖²/d for the whole batch: no fluctuation, but the same shortfall as `per_sample`."""
    return s.square().mean().sqrt()
