"""Outline first: the way of one Gaussian from noise to data, in closed form.

Under much noise only mean and covariance of a density show, and its score is that of the Gaussian N(m, Σ) which has
them, s = σ²(Σ + σ²)⁻¹(m − x). Along an axis of variance λ² the flow of β = 1 is then

    x_σ − m = √((λ² + σ²)/(λ² + σ_0²)) (x_{σ_0} − m),

so an axis settles at σ ≈ λ: the outline, which varies most, before the details (Wang & Vastola 2023). No network needs
to be asked before the density departs from its Gaussian, and `draw` starts there. A mixture of classes departs at σ_S,
where its score has more than one zero (Fig. 1); a class of textures later.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from fgs.noise import per_row, standard_normal


@dataclass(frozen=True)
class Outline:
    """The Gaussian N(m, Σ) of a density as a `ProjectedScore`, exact at every σ; φ changes nothing."""

    mean: Tensor  # m, (*shape)
    axes: Tensor  # (r, D) orthonormal, of a signal of D numbers
    variance: Tensor  # (r,) λ² along them
    rest: float = 0.0  # λ² along all others

    @classmethod
    def of(cls, x: Tensor, rank: int | None = None) -> "Outline":
        """Estimate it from samples (n, *shape).

        Args:
            x: samples, two or more.
            rank: axes to tell apart, those of largest variance; the others share what is left. All if None.
        """
        mean, D = x.mean(0), x[0].numel()
        _, values, axes = torch.linalg.svd((x - mean).flatten(1), full_matrices=False)
        variance = values.square() / (len(x) - 1)
        r = len(variance) if rank is None else rank
        return cls(mean, axes[:r], variance[:r], float(variance[r:].sum()) / max(1, D - r))

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return σ²·score, the shape of x; arguments as in `ProjectedScore`, σ required."""
        if sigma is None:
            raise ValueError("sigma: a Gaussian's score needs the noise level of x")
        noise = per_row(torch.as_tensor(sigma).to(x).square(), x.flatten(1))
        return self._stretch(self.mean - x, noise / (self.variance.to(x) + noise), noise / (self.rest + noise))

    def flow(self, x: Tensor, sigma_0: float, sigma: float) -> Tensor:
        """Return where the flow of β = 1 takes x from noise level σ_0 to σ."""
        along, rest = (((of + sigma**2) / (of + sigma_0**2)) for of in (self.variance, torch.tensor(self.rest)))
        return self.mean + self._stretch(x - self.mean, along.sqrt(), rest.sqrt())

    def draw(self, n: int, sigma: float, generator: Generator | None = None) -> Tensor:
        """Draw x_σ ~ N(m, Σ + σ²Id), (n, *shape): where a sampler may start."""
        z = standard_normal(self.mean.expand(n, *self.mean.shape), generator)
        along, rest = ((of + sigma**2).sqrt() for of in (self.variance, torch.tensor(self.rest)))
        return self.mean + self._stretch(z, along, rest)

    def _stretch(self, x: Tensor, along: Tensor, rest: Tensor) -> Tensor:
        """Multiply x by `along`, (r,) or (N, r), in the axes, and by `rest`, () or (N, 1), across them."""
        flat, axes = x.flatten(1), self.axes.to(x)
        return (rest.to(x) * flat + ((along - rest).to(x) * (flat @ axes.T)) @ axes).view_as(x)
