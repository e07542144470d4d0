"""The Gaussian of a density: its score, its flow in closed form, its samples, and what it is estimated from."""

import math

import pytest
import torch

from fgs.few_steps import MultiStep
from fgs.measures import energy_distance, two_sample_floor
from fgs.noise import seeded
from fgs.outline import Outline
from fgs.protocols import ProjectedScore
from toy import ExactScore, GaussianMixture

D, RANK = 5, 2


def gaussian(rest=0.04):
    """A Gaussian with two axes of its own, as a mixture and as an outline."""
    axes = torch.linalg.qr(torch.randn(D, RANK, dtype=torch.float64, generator=seeded(0)))[0].T
    variance, mean = torch.tensor([2.0, 0.5]).double(), torch.arange(D).double()
    covariance = axes.T @ torch.diag(variance - rest) @ axes + rest * torch.eye(D)
    mixture = GaussianMixture(torch.ones(1).double(), mean[None], covariance[None])
    return mixture, Outline(mean, axes, variance, rest)


def points(n=7):
    return torch.randn(n, D, dtype=torch.float64, generator=seeded(1))


@pytest.mark.parametrize("sigma", [torch.tensor(0.3).double(), torch.linspace(0.1, 2, 7, dtype=torch.float64)])
@pytest.mark.parametrize("rest", [0.0, 0.04])
def test_its_score_is_that_of_the_gaussian(sigma, rest):
    mixture, outline = gaussian(rest)
    assert isinstance(outline, ProjectedScore)
    torch.testing.assert_close(outline(points(), None, sigma), ExactScore(mixture)(points(), None, sigma))


def test_its_flow_is_that_of_a_sampler_of_many_steps():
    mixture, outline = gaussian()
    errors = []
    for calls in (200, 400, 800):
        end = MultiStep(calls, 1.0, 3.0, 0.05)(ExactScore(mixture), points()).x
        errors.append(float((end - outline.flow(points(), 3.0, 0.05)).abs().max()))
    assert errors[-1] < 1e-3
    assert math.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.2)  # the order of the sampler: 0 is the limit


def test_its_samples_have_the_noise():
    mixture, outline = gaussian()
    x = outline.draw(2000, 0.7, seeded(2))
    true = [mixture.sample(2000, sigma=0.7, generator=seeded(3 + k)) for k in range(4)]
    distance = sum(float(energy_distance(x, each)) for each in true) / 4
    assert distance < 1.5 * two_sample_floor(energy_distance, true)


def test_estimated_of_samples_of_any_shape():
    mixture, outline = gaussian()
    x = mixture.sample(100_000, generator=seeded(5))
    found = Outline.of(x.view(-1, D, 1, 1), rank=RANK)
    torch.testing.assert_close(found.mean.flatten(), outline.mean, atol=0.03, rtol=0)
    torch.testing.assert_close(found.variance, outline.variance, rtol=0.03, atol=0)
    assert found.rest == pytest.approx(outline.rest, rel=0.03)
    assert float((found.axes @ outline.axes.T).det().abs()) == pytest.approx(1, abs=1e-3)
    s = found(points().view(-1, D, 1, 1), None, torch.tensor(0.5))
    assert s.shape == (7, D, 1, 1)
    assert found.draw(3, 0.5).shape == (3, D, 1, 1)


def test_of_all_axes_the_covariance_is_that_of_the_samples():
    x = points(40)
    outline, sigma = Outline.of(x), torch.tensor(0.4).double()
    covariance = torch.cov(x.T) + sigma**2 * torch.eye(D)
    expected = -(sigma**2) * torch.linalg.solve(covariance, (x - x.mean(0)).T).T
    torch.testing.assert_close(outline(x, None, sigma), expected)


def test_sigma_is_required():
    with pytest.raises(ValueError, match=r"^sigma:"):
        gaussian()[1](points())
