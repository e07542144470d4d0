import math

import pytest
import torch

from toy import GaussianMixture, class_axis, isotropic_covariances, means_on_line, noise_range, random_means
from toy.geometry import mixture_on_line, nearest_distance, rank1_covariances


def mixture_of(means, covariances, weights=None):
    K = means.shape[0]
    weights = torch.full((K,), 1 / K, dtype=torch.float64) if weights is None else weights
    return GaussianMixture(weights, means, covariances)


@pytest.mark.parametrize(("K", "d"), [(1, 1), (2, 1), (3, 2), (8, 64)])
def test_means_on_a_line_are_evenly_spaced_about_zero(K, d):
    means = means_on_line(K, d, 0.7)
    torch.testing.assert_close(means.diff(dim=0).norm(dim=1), torch.full((K - 1,), 0.7, dtype=torch.float64))
    torch.testing.assert_close(means.mean(0), torch.zeros(d, dtype=torch.float64))
    assert torch.linalg.matrix_rank(means) <= 1


@pytest.mark.parametrize(("K", "d"), [(1, 3), (2, 1), (7, 16)])
def test_random_means_keep_the_distance(K, d, generator):
    means = random_means(K, d, 0.7, generator)
    nearest = min(nearest_distance(means, y) for y in range(K))
    assert nearest == pytest.approx(0.7) if K > 1 else nearest == math.inf
    torch.testing.assert_close(means.mean(0), torch.zeros(d, dtype=torch.float64), atol=1e-9, rtol=0)


def test_isotropic_class_is_measured_towards_its_nearest_mean():
    means = torch.tensor([[0.0, 0.0], [3.0, 4.0], [-10.0, 0.0]], dtype=torch.float64)
    axis = class_axis(mixture_of(means, isotropic_covariances(means, 0.2)), 0)
    assert axis.width == pytest.approx(0.2)
    assert abs(float(axis.u @ torch.tensor([0.6, 0.8], dtype=torch.float64))) == pytest.approx(1)


def test_rank1_class_is_measured_along_its_axis():
    means = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    mixture = mixture_of(means, rank1_covariances(means, 0.2))
    axis = class_axis(mixture, 1)
    assert axis.width == pytest.approx(0.2)
    torch.testing.assert_close(axis.u, torch.tensor([0.6, 0.8], dtype=torch.float64))  # away from the other class
    assert int(torch.linalg.matrix_rank(mixture.covariances[0])) == 1
    anisotropic = mixture_of(means, torch.diag(torch.tensor([0.09, 0.01], dtype=torch.float64)).repeat(2, 1, 1))
    assert class_axis(anisotropic, 0).width == pytest.approx(0.3)


def test_u_points_away_from_the_other_classes():
    means = means_on_line(5, 3, 1.0)
    mixture = mixture_of(means, isotropic_covariances(means, 0.1))
    for y in (0, 1, 3, 4):
        assert float(class_axis(mixture, y).u @ (means[y] - mixture.centre)) > 0


def test_noise_range_drowns_the_mixture_and_shows_every_class():
    narrow = means_on_line(2, 1, 0.5)
    assert noise_range(mixture_of(narrow, isotropic_covariances(narrow, 0.05)), 0.01)[0] == 1
    wide = means_on_line(8, 4, 1.0)  # sd √((8² − 1)/12) along the line
    mixture = mixture_of(wide, isotropic_covariances(wide, 0.1))
    sigma_0, sigma_inf = noise_range(mixture, 0.01)
    assert sigma_0 == pytest.approx(2 * math.sqrt(63 / 12 + 0.01))
    assert sigma_inf == pytest.approx(0.1 * math.sqrt(0.005))
    assert noise_range(mixture, 0.5)[1] == pytest.approx(0.02)  # never above λ/5


@pytest.mark.parametrize(("K", "d", "weights"), [(2, 1, None), (3, 4, (0.5, 0.3, 0.2))])
def test_a_mixture_on_a_line(K, d, weights):
    mixture = mixture_on_line(K, spacing=1.5, std=0.2, d=d, weights=weights)
    assert torch.allclose(torch.pdist(mixture.means).min(), torch.tensor(1.5, dtype=torch.float64))
    assert torch.allclose(mixture.means.mean(0), torch.zeros(d, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(mixture.weights, torch.tensor(weights or (1 / K,) * K, dtype=torch.float64))
    sample = mixture.sample(20_000, 0, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(sample.std(0), torch.full((d,), 0.2, dtype=torch.float64), rtol=0.03)


def test_classes_of_one_mean_have_an_axis():
    means = torch.zeros(2, 3, dtype=torch.float64)
    mixture = GaussianMixture(torch.tensor([0.5, 0.5]).double(), means, isotropic_covariances(means, std=0.2))
    axis = class_axis(mixture, 0)
    assert axis.u.tolist() == [1, 0, 0]
    assert axis.width == pytest.approx(0.2)
    assert all(map(math.isfinite, noise_range(mixture, 0.05)))


def test_weights_of_a_line_may_be_a_tensor():
    given = mixture_on_line(2, weights=torch.tensor([0.9, 0.1]))
    torch.testing.assert_close(given.weights, mixture_on_line(2, weights=(0.9, 0.1)).weights)
