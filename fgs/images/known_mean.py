"""The mean of an image over its pixels, one of its coordinates, is known for a class: there the score can be exact.

Matching erases the mean of x from the trunk of the network, so that at small noise it takes the mean of x as it comes.
The noise that a sampler adds then moves the mean as a random walk: samples of one class differ in gray, or in tint, by
.02 to .03, where patches differ by .002. But over the patches of a class the mean is about N(m_y, Σ_y/d), d pixels, and
the noise moves it by N(0, σ²/d). So its score is that of a Gaussian, s̄ = σ²(σ² + Σ_y)⁻¹(m_y − x̄): forcing (Section 3)
with the gain that follows from the variance of the class.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fgs.noise import per_row
from fgs.protocols import ProjectedScore


@dataclass(frozen=True)
class KnownMean:
    """A score of images in which the mean over pixels has the exact score of a class.

    Its φ is that of `score` with m_y and Σ_y at its end, so that a sampler hands every image its own.
    """

    score: ProjectedScore  # of the images, (N, C, H, W)

    @staticmethod
    def target(phi: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
        """Return what to ask for, (N, F + C + C²): φ (N, F) of the score, m_y (N, C, 1, 1) and Σ_y (N, C, C)."""
        return torch.cat([phi, mean.flatten(1), covariance.flatten(1)], 1)

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return the score, the shape of x; as in `ProjectedScore`, but φ is of `target` and σ is needed."""
        if phi is None or sigma is None:
            raise ValueError("phi: is needed, and sigma, to know how much of the mean is noise")
        N, C = x.shape[:2]
        own, mean, covariance = phi.split([phi.shape[1] - C - C * C, C, C * C], 1)  # type: ignore[no-untyped-call]
        s = self.score(x, own, sigma)
        variance = per_row(sigma.expand(N).square(), covariance[:, :, None])
        away = mean[..., None] - x.mean((2, 3))[..., None]
        noisy = covariance.view(N, C, C) + variance * torch.eye(C).to(x)
        exact: Tensor = variance * (torch.linalg.pinv(noisy, hermitian=True) @ away)  # σ may be 0, and a class gray
        return s - s.mean((2, 3), keepdim=True) + exact[..., None]
