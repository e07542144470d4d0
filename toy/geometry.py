"""Mixtures to order, by their geometry: where the means lie, how far apart in units of λ, and the shape of a class."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from toy.mixture import GaussianMixture, Values

LARGEST_SHORTFALL = 1 / 16  # of the residual against the noise, up to which the noise is estimated from it


def means_on_line(K: int, d: int, spacing: float) -> Tensor:
    """Place K means about 0 on the line along (1, …, 1)/√d, `spacing` apart: (K, d)."""
    u = torch.full((d,), 1 / math.sqrt(d), dtype=torch.float64)
    return spacing * (torch.arange(K, dtype=torch.float64) - (K - 1) / 2)[:, None] * u


def random_means(K: int, d: int, spacing: float, generator: Generator | None = None) -> Tensor:
    """Draw K Gaussian means, moved to have mean 0 and scaled so that the closest two are `spacing` apart: (K, d)."""
    means = torch.randn(K, d, dtype=torch.float64, generator=generator)
    means = means - means.mean(0)
    return means if K == 1 else means * spacing / torch.pdist(means).min()


def isotropic_covariances(means: Tensor, std: float) -> Tensor:
    """Return λ² Id for every class: (K, d, d)."""
    K, d = means.shape
    return (std**2 * torch.eye(d, dtype=means.dtype)).repeat(K, 1, 1)


def rank1_covariances(means: Tensor, std: float) -> Tensor:
    """Return λ² u uᵀ with u towards the nearest other mean, as in the paper's Fig. 6: (K, d, d)."""
    u = torch.stack([_towards_nearest(means, y) for y in range(means.shape[0])])
    return std**2 * u[:, :, None] * u[:, None, :]


def nearest_distance(means: Tensor, y: int) -> float:
    """Return the distance from mean y to the nearest other mean; infinite where there is none."""
    return float(torch.cat([means[:y], means[y + 1 :]]).sub(means[y]).norm(dim=1).min()) if len(means) > 1 else math.inf


def _towards_nearest(means: Tensor, y: int) -> Tensor:
    """Unit vector (d,) from mean y to the nearest other mean; the first axis where there is none, or it is the same."""
    if not 0 < nearest_distance(means, y) < math.inf:
        return torch.eye(means.shape[1], dtype=means.dtype)[0]
    offsets = means - means[y]
    distances = offsets.norm(dim=1)
    distances[y] = math.inf
    nearest = int(distances.argmin())
    towards: Tensor = offsets[nearest] / distances[nearest]
    return towards


def mixture_on_line(
    K: int = 2, spacing: float = 1.0, std: float = 0.1, d: int = 1, weights: Values | None = None
) -> GaussianMixture:
    """Make a mixture of K isotropic classes of sd λ on a line, the example of Section 3 with its K = 2 and d = 1.

    Neighbouring means are `spacing` apart; `std` is λ, both in the units of x. The K weights are positive, of sum 1;
    equal if left out.
    """
    means = means_on_line(K, d, spacing)
    shares = torch.as_tensor((1 / K,) * K if weights is None else weights).to(means)
    return GaussianMixture(shares, means, isotropic_covariances(means, std))


class ClassAxis(NamedTuple):
    """The direction in which a class is measured."""

    u: Tensor  # (d,) unit vector
    width: float  # λ = √(uᵀΣ_y u), the sd of the class along u


def class_axis(mixture: GaussianMixture, y: int) -> ClassAxis:
    """Return the leading eigenvector of Σ_y, or where Σ_y is isotropic the direction to the nearest mean, and λ.

    u points away from the other classes, so that a positive error of the mean says "pushed out".
    """
    eigenvalues, vectors = torch.linalg.eigh(mixture.covariances[y])
    u = vectors[:, -1] if eigenvalues[0] < (1 - 1e-9) * eigenvalues[-1] else _towards_nearest(mixture.means, y)
    if u @ (mixture.means[y] - mixture.centre) < 0:
        u = -u
    return ClassAxis(u, math.sqrt(float(u @ mixture.covariances[y] @ u)))


def residual_shortfall(mixture: GaussianMixture) -> float:
    """Return the share of the noise, σ = λ, that the residual of a class misses: MMSE/(dσ²) = tr Σ(Σ + λ²Id)⁻¹/d.

    By E‖s‖²/d = σ² − MMSE/d. It is ½ where a class fills its space, as it does in one dimension, and 1/2d on a line.
    Where it is large, x hardly shows its own noise level. The worst class counts.
    """
    eigenvalues = torch.linalg.eigvalsh(mixture.covariances).clamp(min=0)
    widths = torch.tensor([class_axis(mixture, y).width for y in range(mixture.K)]).to(eigenvalues)
    return float((eigenvalues / (eigenvalues + widths.square()[:, None])).mean(1).max())


def noise_range(mixture: GaussianMixture, h: float) -> tuple[float, float]:
    """Choose σ_0 and σ_∞ from the mixture: the noise must drown it at the start and show every class at the end.

    σ_0 = max(1, twice the widest sd of the mixture). σ_∞ = λ√(h/2), at most λ/5, for the narrowest λ: with step h the
    variance comes out short by h/2 of itself, which the noise σ_∞² that stays in the last x makes up for.
    """
    offsets = mixture.means - mixture.centre
    spread = torch.einsum("k,kd,ke->de", mixture.weights, offsets, offsets)
    total = spread + torch.einsum("k,kde->de", mixture.weights, mixture.covariances)
    sigma_0 = max(1.0, 2 * math.sqrt(float(torch.linalg.eigvalsh(total)[-1])))
    narrowest = min(class_axis(mixture, y).width for y in range(mixture.K))
    return sigma_0, narrowest * min(0.2, math.sqrt(h / 2))
