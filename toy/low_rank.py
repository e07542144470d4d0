"""Mixtures of low-rank Gaussians, learned from samples: a denoiser whose weights are the subspaces.

Let p = Σ_k π_k N(0, U_kU_kᵀ), U_k (d, r) orthonormal: each class fills r of d dimensions. Its denoiser is

    x̂(x) = Σ_k w_k(x) U_kU_kᵀx / (1 + σ²),   w_k ∝ π_k exp(‖U_kᵀx‖²/(2σ²(1 + σ²))).

Wang et al. (2024) learn the U_k by the denoising loss. For one class that is principal component analysis, for more it
is clustering by subspaces; either is possible once a class has about as many samples as it has dimensions, r, however
large d is.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from fgs.noise import per_row, seeded
from toy.mixture import GaussianMixture


class LowRankDenoiser(nn.Module):
    """That denoiser, of classes of equal shares, as a `ProjectedScore`; φ changes nothing.

    Args:
        K: classes.
        d: dimensions of x.
        r: of a class.
        seed: of the subspaces to begin with.
    """

    U: Tensor  # (K, d, r), orthonormal while it is trained

    def __init__(self, K: int, d: int, r: int, seed: int = 0) -> None:
        super().__init__()
        self.U = nn.Parameter(torch.linalg.qr(torch.randn(K, d, r, generator=seeded(seed)))[0])
        orthogonal(self, "U", orthogonal_map="cayley")

    def forward(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return x̂ − x, (N, d); arguments as in `ProjectedScore`, σ required."""
        if sigma is None:
            raise ValueError("sigma: the weights of the subspaces depend on it")
        U, variance = self.U, per_row(sigma.square(), x)
        along = torch.einsum("kdr,nd->nkr", U, x)  # U_kᵀx
        w = (along.square().sum(2) / (2 * variance * (1 + variance))).softmax(1)
        return torch.einsum("nk,kdr,nkr->nd", w, U, along) / (1 + variance) - x


def low_rank_mixture(K: int, d: int, r: int, seed: int = 0) -> GaussianMixture:
    """Draw K subspaces of r dimensions: the mixture of N(0, U_kU_kᵀ), in double precision."""
    U = random_subspaces(K, d, r, seed)
    return GaussianMixture(torch.full((K,), 1 / K).double(), torch.zeros(K, d).double(), U @ U.mT)


def random_subspaces(K: int, d: int, r: int, seed: int = 0) -> Tensor:
    """Draw K orthonormal bases, (K, d, r) in double precision."""
    U: Tensor = torch.linalg.qr(torch.randn(K, d, r, dtype=torch.float64, generator=seeded(seed)))[0]
    return U


def subspace_error(U: Tensor, true: Tensor) -> Tensor:
    """Return for each true subspace the distance to the nearest one found, ‖ÛÛᵀ − UUᵀ‖/√2r: 0 to 1.

    (K', d, r), (K, d, r) -> (K,).
    """
    overlap = torch.einsum("kdr,ldq->klrq", true.double(), U.double()).square().sum((2, 3))  # ‖U_kᵀÛ_l‖²
    return (1 - overlap / true.shape[2]).clamp_min(0).sqrt().amin(1)
