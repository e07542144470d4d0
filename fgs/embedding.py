"""Is φ a Euclidean embedding of the classes? Concentration and separation (Eq. 5) and the density distance (Eq. 6, 7).

φ is one flat vector a sample: a centroid is a mean over rows, and squared distances are sums of squares.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from fgs.noise import add_noise, standard_normal
from fgs.protocols import FeatureExtractor, ProjectedScore

Score = Callable[[Tensor, Tensor], Tensor]
"""(x, sigma) -> s = σ²∇log p_σ(x) of one density, the shape of x."""


def centroid(extractor: FeatureExtractor, x: Tensor, sigma: Tensor | None = None) -> Tensor:
    """Return φ_y = mean of φ over clean samples of a class, (n, *shape) -> (F,); n = 1 will do (Algorithm 1).

    `sigma`, (), is the noise level to name to an extractor that takes one: σ_∞, the lowest that it knows.
    """
    return extractor.features(x, sigma).mean(0)


def interpolate(phi_a: Tensor, phi_b: Tensor, shares: Tensor) -> Tensor:
    """Return (1 − α)φ_a + αφ_b for every share α of `shares`, (M,), to sample between two classes (Fig. 8).

    (F,) give (M, F), and the means of two classes, (C, 1, 1), give (M, C, 1, 1).
    """
    return torch.lerp(phi_a, phi_b, shares.to(phi_a).reshape(-1, *(1,) * phi_a.dim()))


def nearest_mean(phi: Tensor, centroids: Tensor) -> Tensor:
    """Return ŷ = argmin_y ‖φ(x) − φ_y‖², the classifier of Section 3: φ (N, F), centroids (K, F) -> classes (N,)."""
    return torch.cdist(phi, centroids).argmin(1)


class Separation(NamedTuple):
    """How far apart classes are in φ, and how much they spread that way (Eq. 5, Fig. 4)."""

    between: Tensor  # (K, K) ‖φ_y − φ_y'‖²
    within: Tensor  # (K, K) E_{p_y}⟨d̂, φ_y − φ(x)⟩², with d̂ the unit vector from φ_y' to φ_y

    @property
    def ratio(self) -> Tensor:
        """Eq. 5, left side over right side, both free of the scale of φ: (K, K), 0 on the diagonal."""
        return (self.within / self.between).fill_diagonal_(0)


def separation(features: Sequence[Tensor], centroids: Tensor | None = None) -> Separation:
    """Measure Eq. 5 on the features (n_y, F) of every class: φ_y are their means, or those of others (K, F)."""
    centroids = torch.stack([phi.mean(0) for phi in features]) if centroids is None else centroids
    offsets = centroids[:, None] - centroids  # (K, K, F): φ_y − φ_y'
    directions = torch.nn.functional.normalize(offsets, dim=2)
    ways = zip(centroids, features, directions, strict=True)
    within = [((mean - phi) @ d.T).square().mean(0) for mean, phi, d in ways]
    return Separation(offsets.square().sum(2), torch.stack(within))


def conditioned(score: ProjectedScore, phi: Tensor) -> Score:
    """Return the score of one class, s(x, φ): φ (F,) as a centroid, or one-hot for scores that take a label."""
    return lambda x, sigma: score(x, phi, sigma)


@torch.no_grad()
def density_distances(
    scores: Sequence[Score],
    samples: Sequence[Tensor],
    sigma_min: float,
    sigma_max: float,
    levels: int = 48,
    generator: Generator | None = None,
) -> Tensor:
    """Return d²(p_y, p_y') of Eq. 7, which is KL(p_y‖p_y') + KL(p_y'‖p_y), for all pairs of classes: (K, K).

    In log σ the integrand is E‖s_y − s_y'‖²/σ², with s = σ²∇log p_σ; the trapezoid rule takes it from σ_min to σ_max.
    Beyond the ends it is known: above σ_max only the means matter, and it falls as σ⁻²; below σ_min the scores no
    longer change, and it falls as σ². Both add half of its value at the end. (Classes that fill few dimensions, and not
    the same, have an infinite d²: the integrand goes on growing, as σ⁻², and σ_min decides what is returned.)

    Args:
        scores: of each class, exact ones or `conditioned` networks.
        samples: (n, *shape) clean samples of each class, for the expectations.
        sigma_min: well under the width of a class, in the units of x.
        sigma_max: well over the size of the whole mixture.
        levels: how many noise levels, evenly in log σ.
        generator: CPU generator of the noise; None is torch's own.
    """
    log_sigma = torch.linspace(torch.tensor(sigma_min).log(), torch.tensor(sigma_max).log(), levels).to(samples[0])
    integrand = torch.stack([_score_gaps(scores, samples, sigma, generator) for sigma in log_sigma.exp()])
    return _integral(integrand, log_sigma)


def _integral(integrand: Tensor, log_sigma: Tensor) -> Tensor:
    """Integrate (levels, …) over log σ, with the ends as `density_distances` says."""
    return torch.trapezoid(integrand, log_sigma, dim=0) + (integrand[0] + integrand[-1]) / 2


def _score_gaps(scores: Sequence[Score], samples: Sequence[Tensor], sigma: Tensor, g: Generator | None) -> Tensor:
    """E_{p_σ,y}‖s_y − s_y'‖²/σ² + E_{p_σ,y'}‖s_y − s_y'‖²/σ²: (K, K)."""
    gaps = []
    for y, x in enumerate(samples):
        x_sigma, _ = add_noise(x, sigma, g)
        s = torch.stack([score(x_sigma, sigma) for score in scores])
        gaps.append((s - s[y]).flatten(2).square().sum(2).mean(1) / sigma.square())
    one_sided = torch.stack(gaps)
    return one_sided + one_sided.T


def feature_metric(
    score: ProjectedScore,
    phi: Tensor,
    samples: Sequence[Tensor],
    sigma_min: float,
    sigma_max: float,
    levels: int = 12,
    generator: Generator | None = None,
) -> Tensor:
    """Return the metric M = ∫ E[JᵀJ]/σ² dlog σ that the score has in φ, J = ∂s/∂φ, averaged over classes: (F, F).

    To first order d²(p_y, p_y') = 2 (φ_y − φ_y')ᵀM(φ_y − φ_y'), with nothing fitted: Fig. 5 is a line in this distance,
    and in ‖φ_y − φ_y'‖² as far as M is a multiple of the identity along what tells classes apart. JᵀJ is the mean of
    Jᵀv vᵀJ over Gaussian v, one a sample. The score is differentiable in φ; centroids are (K, F), and the rest is as in
    `density_distances`.
    """
    log_sigma = torch.linspace(torch.tensor(sigma_min).log(), torch.tensor(sigma_max).log(), levels).to(phi)

    def average(sigma: Tensor) -> Tensor:
        total = phi.new_zeros(phi.shape[1], phi.shape[1])
        for phi_y, x in zip(phi, samples, strict=True):
            asked = phi_y.expand(len(x), -1).clone().requires_grad_()
            with torch.enable_grad():
                s = score(add_noise(x, sigma, generator)[0], asked, sigma)
                (slopes,) = torch.autograd.grad(s, asked, standard_normal(s, generator))
            total += slopes.T @ slopes / len(x)
        return total / (len(phi) * sigma.square())

    return _integral(torch.stack([average(sigma) for sigma in log_sigma.exp()]), log_sigma)


class EuclideanFit(NamedTuple):
    """How well d² of the densities follows the squared distance of the features (Eq. 6, Fig. 5)."""

    r: float  # Pearson's correlation over the pairs of classes
    A: float  # least d² / ‖φ_y − φ_y'‖²
    B: float  # largest; B/A = 1 would be an isometry


def euclidean_fit(density: Tensor, between: Tensor) -> EuclideanFit:
    """Compare d² with ‖φ_y − φ_y'‖², both (K, K), over the pairs of classes.

    Raises:
        ValueError: fewer than 3 classes, whose one distance correlates with anything.
    """
    pairs = list(combinations(range(len(between)), 2))
    if len(pairs) < 3:
        raise ValueError(f"between: needs 3 classes or more, got {len(between)}")
    d2, phi2 = (torch.stack([distances[pair] for pair in pairs]) for distances in (density, between))
    r = torch.corrcoef(torch.stack([d2.to(phi2), phi2]))[0, 1]
    slopes = d2 / phi2
    return EuclideanFit(float(r), float(slopes.min()), float(slopes.max()))
