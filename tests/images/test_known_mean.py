"""The mean over pixels follows the exact score of its class, whatever the network makes of it."""

import pytest
import torch

from fgs.images.conditions import Condition, sample_rows
from fgs.images.known_mean import KnownMean
from fgs.measures.distances import energy_distance, two_sample_floor
from fgs.noise import seeded
from fgs.sampling import SISA

MEAN = torch.tensor([[0.3, 0.5, 0.6]])[:, :, None, None]
COVARIANCE = torch.tensor([[[0.9, 0.5, 0.1], [0.5, 0.6, 0.2], [0.1, 0.2, 0.4]]])


def around(x, phi=None, sigma=None):
    """The score of one flat image, which needs no σ."""
    return 0.5 - x


def test_its_mean_is_the_gradient_of_the_log_density_and_the_rest_is_the_networks():
    x = torch.rand(5, 3, 4, 6, generator=seeded(0)).double().requires_grad_()
    mean, covariance = MEAN.double().expand(5, -1, -1, -1), COVARIANCE.double().expand(5, -1, -1)
    sigma = torch.tensor([0.02, 0.1, 0.3, 0.5, 1.0]).double()
    s = KnownMean(around)(x, KnownMean.target(torch.zeros(5, 7), mean, covariance), sigma)
    of_mean = torch.distributions.MultivariateNormal(
        mean[:, :, 0, 0], (covariance + sigma.square()[:, None, None] * torch.eye(3)) / 24
    )
    (gradient,) = torch.autograd.grad(of_mean.log_prob(x.mean((2, 3))).sum(), x)  # of every pixel, 1/d of the mean's
    expected = sigma.square()[:, None] * gradient.mean((2, 3))
    torch.testing.assert_close(s.mean((2, 3)), expected)
    plain = around(x, None, sigma)
    kept = (part - part.mean((2, 3), keepdim=True) for part in (s, plain))
    torch.testing.assert_close(*kept)
    with pytest.raises(ValueError, match=r"^phi: is needed"):
        KnownMean(around)(x)


def test_samples_have_the_mean_and_covariance_of_the_class():
    size, n = (12, 12), 500
    sampler = SISA(h=0.1, beta=0.3, sigma_0=1.0, sigma_inf=0.005, denoise_last=True)
    phi = torch.zeros(1, 2)
    means = {
        name: sample_rows(around, Condition(phi, MEAN, covariance), n, sampler, size, seed=3)[0].mean((2, 3))
        for name, covariance in {"held": COVARIANCE / 4, "left": None}.items()
    }
    true = torch.distributions.MultivariateNormal(MEAN[0, :, 0, 0], COVARIANCE[0] / 4 / 144)
    torch.manual_seed(1)

    sets = [true.sample((n,)) for _ in range(6)]
    floor = two_sample_floor(energy_distance, sets)
    assert energy_distance(means["held"], sets[0]) < 2.5 * floor
    assert energy_distance(means["left"], sets[0]) > 20 * floor


@pytest.mark.parametrize("sigma", [0.0, 1e-9, 0.1])
def test_of_a_gray_class_without_noise_too(sigma):
    """Σ_y of a class of gray images has rank 1, so that without noise there is nothing to divide by."""
    x = torch.rand(2, 3, 4, 4, generator=seeded(0))
    gray = torch.full((2, 3, 3), 0.25)
    phi = KnownMean.target(torch.zeros(2, 1), MEAN.expand(2, -1, -1, -1), gray)
    s = KnownMean(around)(x, phi, torch.tensor(sigma)).mean((2, 3))
    away = MEAN[:, :, 0, 0] - x.mean((2, 3))
    shared = away.mean(1, keepdim=True)  # along (1, 1, 1) the variance is .75, across it there is none but the noise's
    expected = sigma**2 / (0.75 + sigma**2) * shared + (sigma**2 > 1e-12) * (away - shared)
    torch.testing.assert_close(s, expected, atol=1e-5, rtol=1e-4)
