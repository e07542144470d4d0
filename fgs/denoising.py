"""The denoising loss of Algorithms 2 and 4, and the choices it leaves open: which noise levels, and how they count."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from fgs.noise import per_row, standard_normal
from fgs.protocols import ProjectedScore

NoiseLevels = Callable[[int, Generator | None], Tensor]
"""(N, generator) -> (N,) noise levels."""

Weight = Callable[[Tensor], Tensor]
"""(N,) noise levels -> (N,) factors of the squared error."""


def uniform(low: float = 0.0, high: float = 1.0) -> NoiseLevels:
    """Draw σ ~ Uniform[low, high]; [0, 1] is the paper's (Algorithms 2 and 4, line 3)."""
    return lambda n, generator: low + (high - low) * torch.rand(n, generator=generator)


def log_uniform(low: float = 0.003, high: float = 1.0) -> NoiseLevels:
    """Draw log σ ~ Uniform[log low, log high]: every octave of noise has the same share, small noise included."""
    return lambda n, generator: low * (math.log(high / low) * torch.rand(n, generator=generator)).exp()


def squared(high: float = 1.0) -> NoiseLevels:
    """Draw √σ ~ Uniform[0, √high]: between uniform and log-uniform, with no least noise level."""
    return lambda n, generator: high * torch.rand(n, generator=generator).square()


DEFAULT_NOISE_LEVELS = log_uniform()
WHOLE = slice(None)


def unweighted(sigma: Tensor) -> Tensor:
    """Count every squared error as it is: the paper's loss, in which small noise hardly counts."""
    return torch.ones_like(sigma)


def inverse_variance(offset: float) -> Weight:
    """Weight by 1/(σ² + offset²), so that errors count relative to the noise, down to noise of that level."""
    return lambda sigma: 1 / (sigma.square() + offset**2)


def denoising_loss(
    score: ProjectedScore,
    x: Tensor,
    phi: Tensor | None = None,
    noise_levels: NoiseLevels = DEFAULT_NOISE_LEVELS,
    weight: Weight = unweighted,
    p_drop: float = 0.0,
    antithetic: bool = False,
    share: slice = WHOLE,
    generator: Generator | None = None,
) -> Tensor:
    """Return the mean of ‖s(x_σ, φ) + σz‖²/d over the batch, with x_σ = x + σz (Eq. 3).

    With φ = φ(x'), x' another sample of the class of x, it is Algorithm 2; with None, Algorithm 4. The paper prints the
    target as +σz; by Eq. 2 it is −σz.

    Args:
        score: the network.
        x: (N, *shape) clean samples.
        phi: (N, F) what each of those in the share is conditioned on, or None.
        noise_levels: how σ is drawn.
        weight: how the squared errors count.
        p_drop: share of the batch, to whole samples and one at the least of two, that goes without its φ, so that
            s(x, 0) is learned too.
        antithetic: give every x the noise −z as well as z. The expected loss is the same, but the gradient's noise, of
            order σ, cancels in each pair; what is left to learn at σ is of order σ², so small σ is learned sooner.
        share: rows to compute. The noise of all is drawn, so that processes with a share each do together what one
            would do alone.
        generator: CPU generator; None is torch's own.
    """
    sigma = noise_levels(len(x), generator).to(x)
    z = standard_normal(x, generator)
    most = len(x) - (p_drop > 0 and len(x) > 1)  # of a small batch, too, one goes without
    kept = 0 if phi is None else len(range(min(most, round((1 - p_drop) * len(x))))[share])
    x, sigma, z = x[share], sigma[share], z[share]
    if antithetic:
        x, sigma, kept = x.repeat_interleave(2, 0), sigma.repeat_interleave(2), 2 * kept
        z = torch.stack([z, -z], 1).flatten(0, 1)
        phi = None if phi is None else phi.repeat_interleave(2, 0)
    noise = per_row(sigma, x) * z
    x_sigma = x + noise
    with_phi = score(x_sigma[:kept], phi[:kept], sigma[:kept]) if phi is not None and kept else x[:0]
    without = score(x_sigma[kept:], None, sigma[kept:]) if kept < len(x) else x[:0]
    error = torch.cat([with_phi, without]) + noise
    return (weight(sigma) * error.flatten(1).square().mean(1)).mean()
