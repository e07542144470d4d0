import math

import pytest
import torch

from conftest import random_mixture
from fgs.embedding import (
    centroid,
    conditioned,
    density_distances,
    euclidean_fit,
    feature_metric,
    interpolate,
    nearest_mean,
    separation,
)
from fgs.noise import seeded
from toy import ExactScore, GaussianMixture


def shared_covariance(K, d, seed):
    """Gaussians of one covariance, full rank."""
    g = seeded(seed)
    factor = torch.randn(d, d, generator=g, dtype=torch.float64)
    covariance = factor @ factor.T / d + 0.2 * torch.eye(d, dtype=torch.float64)
    means = torch.randn(K, d, generator=g, dtype=torch.float64)
    weights = torch.full((K,), 1 / K, dtype=torch.float64)
    return GaussianMixture(weights, means, covariance.expand(K, d, d)), covariance


def exact_distances(mixture, sigma_min, sigma_max, n=400, **settings):
    scores = [conditioned(ExactScore(mixture), mixture.one_hot(y)) for y in range(mixture.K)]
    samples = [mixture.sample(n, y, generator=seeded(y)) for y in range(mixture.K)]
    return density_distances(scores, samples, sigma_min, sigma_max, generator=seeded(9), **settings)


@pytest.mark.parametrize("d", [1, 3, 8])
def test_density_distance_of_equal_covariances_is_the_squared_mahalanobis_distance(d):
    mixture, covariance = shared_covariance(4, d, seed=d)
    offsets = mixture.means[:, None] - mixture.means
    expected = torch.einsum("yzd,de,yze->yz", offsets, torch.linalg.inv(covariance), offsets)
    torch.testing.assert_close(exact_distances(mixture, 0.01, 30.0), expected, rtol=0.005, atol=1e-6)


@pytest.mark.parametrize("d", [1, 4])
def test_the_metric_of_the_mean_as_feature_is_half_the_inverse_covariance(d):
    """Of a Gaussian whose φ is its mean, d² is the squared Mahalanobis distance, and the first order is all."""
    mixture, covariance = shared_covariance(3, d, seed=d)

    def score(x, phi, sigma):
        return torch.linalg.solve(covariance / sigma**2 + torch.eye(d, dtype=torch.float64), (phi - x).T).T

    samples = [mixture.sample(4000, y, generator=seeded(y)) for y in range(3)]
    metric = feature_metric(score, mixture.means, samples, 0.01, 30.0, 48, seeded(5))
    torch.testing.assert_close(metric, torch.linalg.inv(covariance) / 2, rtol=0.05, atol=0.03)
    offsets = mixture.means[:, None] - mixture.means
    first_order = 2 * torch.einsum("yzd,de,yze->yz", offsets, metric, offsets)
    torch.testing.assert_close(first_order, exact_distances(mixture, 0.01, 30.0), rtol=0.05, atol=1e-6)


def test_the_metric_predicts_the_distances_of_classes_that_are_near_each_other():
    """s = tanh(Wφ) + x: to first order the gap of φ and φ + δ is J δ, and the rest is of order |δ|."""
    g = seeded(0)
    w, phi, offset = (torch.randn(n, 5, generator=g, dtype=torch.float64) for n in (6, 1, 1))
    x = [torch.randn(3000, 6, generator=g, dtype=torch.float64)]

    def score(x, phi, sigma):
        return torch.tanh(phi @ w.T) + x

    metric = feature_metric(score, phi, x, 0.1, 1.0, 24, seeded(1))
    for size, near in ((0.001, True), (0.1, False)):
        both = [conditioned(score, phi[0]), conditioned(score, phi[0] + size * offset[0])]
        exact = float(density_distances(both, [x[0][:9], x[0][:9]], 0.1, 1.0, 24, seeded(2))[0, 1])
        first_order = float(2 * size**2 * (offset @ metric @ offset.T))
        assert (abs(first_order / exact - 1) < 0.03) == near


def test_density_distance_of_unequal_covariances_is_the_symmetrised_divergence():
    """KL of Gaussians in closed form, both ways."""
    mixture = random_mixture(5, K=3, d=3)
    covariances = mixture.covariances + 0.5 * torch.eye(3, dtype=torch.float64)
    mixture = GaussianMixture(mixture.weights, mixture.means, covariances)
    gaussians = [torch.distributions.MultivariateNormal(m, c) for m, c in zip(mixture.means, covariances, strict=True)]
    kl = torch.tensor([[torch.distributions.kl_divergence(p, q) for q in gaussians] for p in gaussians])
    distances = exact_distances(mixture, 0.01, 200.0, n=4000, levels=96)
    torch.testing.assert_close(distances, (kl + kl.T).double(), rtol=0.05, atol=1e-6)


def test_the_tails_are_what_a_narrower_range_leaves_out():
    mixture, _ = shared_covariance(3, 2, seed=0)
    torch.testing.assert_close(
        exact_distances(mixture, 0.05, 8.0), exact_distances(mixture, 0.005, 80.0), rtol=0.02, atol=0
    )


def test_density_distance_is_a_symmetric_matrix_with_a_zero_diagonal():
    distances = exact_distances(random_mixture(1, K=3, d=2), 0.1, 10.0)
    assert torch.equal(distances, distances.T)
    assert torch.equal(distances.diagonal(), torch.zeros(3, dtype=torch.float64))


class Linear:
    """φ(x) = Mx, so that every measure follows from the moments of x."""

    def __init__(self, M):
        self.M = M

    def features(self, x, sigma=None):
        return x @ self.M.T


def test_separation_of_linear_features_follows_from_the_covariance():
    mixture, covariance = shared_covariance(3, 4, seed=2)
    M = torch.randn(6, 4, generator=seeded(1), dtype=torch.float64)
    phi = [Linear(M).features(mixture.sample(20_000, y, generator=seeded(y))) for y in range(3)]
    measured = separation(phi)
    offsets = (mixture.means[:, None] - mixture.means) @ M.T
    between = offsets.square().sum(2)
    variance = torch.einsum("yzf,fg,yzg->yz", offsets, M @ covariance @ M.T, offsets)
    expected = torch.where(between > 0, variance / between.clamp(min=1e-12) ** 2, 0)
    torch.testing.assert_close(measured.between, between, rtol=0.05, atol=0.05)
    torch.testing.assert_close(measured.ratio, expected, rtol=0.1, atol=1e-4)


def test_the_ratio_does_not_depend_on_the_scale_of_phi():
    phi = [torch.randn(50, 7, generator=seeded(y)) + y for y in range(3)]
    torch.testing.assert_close(separation(phi).ratio, separation([1000 * p for p in phi]).ratio)
    assert (separation(phi).ratio.diagonal() == 0).all()


def test_a_centroid_is_the_mean_and_one_sample_will_do():
    M = torch.randn(3, 5, generator=seeded(0))
    x = torch.randn(20, 5, generator=seeded(1))
    torch.testing.assert_close(centroid(Linear(M), x), M @ x.mean(0))
    torch.testing.assert_close(centroid(Linear(M), x[:1]), M @ x[0])


def test_nearest_mean_is_the_argmin_of_the_squared_distance():
    phi, centroids = torch.randn(100, 4, generator=seeded(0)), torch.randn(3, 4, generator=seeded(1))
    expected = (phi[:, None] - centroids).square().sum(2).argmin(1)
    assert torch.equal(nearest_mean(phi, centroids), expected)


def test_interpolation_goes_straight_from_one_to_the_other():
    a, b = torch.zeros(4), torch.arange(4.0)
    path = interpolate(a, b, torch.tensor([0.0, 0.25, 1.0]))
    torch.testing.assert_close(path, torch.stack([a, 0.25 * b, b]))


def test_euclidean_fit_of_a_line_and_of_noise():
    points = torch.randn(7, 3, generator=seeded(0), dtype=torch.float64)
    between = torch.cdist(points, points).square()
    fit = euclidean_fit(2.5 * between, between)
    assert (fit.r, fit.A, fit.B) == (pytest.approx(1), pytest.approx(2.5), pytest.approx(2.5))
    factor = torch.rand(7, 7, generator=seeded(1), dtype=torch.float64) + 0.5
    density = between * (factor + factor.T)
    pairs = torch.triu_indices(7, 7, 1)
    d2, phi2 = density[pairs[0], pairs[1]], between[pairs[0], pairs[1]]
    fit = euclidean_fit(density, between)
    covariance = float(((d2 - d2.mean()) * (phi2 - phi2.mean())).mean())
    assert fit.r == pytest.approx(covariance / math.sqrt(float(d2.var(correction=0) * phi2.var(correction=0))))
    assert fit.A <= float((d2 / phi2).median()) <= fit.B
    with pytest.raises(ValueError, match="3 classes"):
        euclidean_fit(density[:2, :2], between[:2, :2])
