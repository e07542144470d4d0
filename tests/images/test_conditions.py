"""Where sampling of images starts, and what is between two conditions."""

import math
from types import SimpleNamespace

import pytest
import torch

from fgs.composition import AllOf, AnyOf
from fgs.images.conditions import Condition, sample_composed, sample_rows
from fgs.noise import known_schedule
from fgs.sampling import SISA

SIDE = 8
LEVEL = 0.4  # λ, sd of the class along the image of equal pixels


def gaussian_class(x, phi=None, sigma=None):
    """σ²∇ log p_σ of images of one gray level each, N(½, λ²/d) of d pixels, with faint white noise on it."""
    gray = x.mean((2, 3), keepdim=True) - 0.5
    fine = x - 0.5 - gray
    return -(sigma**2) * (gray / (LEVEL**2 + sigma**2) + fine / (0.01**2 + sigma**2))


@pytest.mark.parametrize("around", [0.5, 0.3])
def test_a_start_around_another_mean_is_not_forgotten(around):
    """Without new noise m − m_y shrinks by √((λ² + σ_∞²)/(λ² + σ_0²)), the flow of a Gaussian, and no more."""
    sampler = SISA(h=0.02, beta=1.0, sigma_0=1.0, sigma_inf=0.01, noise_level=known_schedule)
    x = sample_rows(gaussian_class, Condition(None, torch.full((1, 1, 1, 1), around)), 400, sampler, (SIDE, SIDE))
    kept = math.sqrt((LEVEL**2 + 0.01**2) / (LEVEL**2 + 1))
    error = kept / SIDE / math.sqrt(400)  # of the mean of the grays, whose sd at the start is σ_0 ÷ side
    assert float(x.mean()) == pytest.approx(0.5 + kept * (around - 0.5), abs=4 * error)
    assert float(x.mean((2, 3, 4)).std()) == pytest.approx(kept / SIDE, rel=0.15)


def test_every_row_starts_around_its_own_mean():
    means = torch.tensor([0.2, 0.5, 0.8]).reshape(3, 1, 1, 1)
    condition = Condition(None, means)
    rows = torch.tensor([2, 0, 1])
    x = condition.start(rows, (64, 64), 0.1, torch.Generator().manual_seed(0))
    assert x.mean((1, 2, 3)).tolist() == pytest.approx([0.8, 0.2, 0.5], abs=5 * 0.1 / 64)
    assert float((x - means[rows]).std()) == pytest.approx(0.1, rel=0.05)


def test_rows_and_batches_keep_their_order(monkeypatch):
    """A score that jumps to the target tells which φ an image was given, also where batches are smaller than a row."""
    monkeypatch.setattr("fgs.images.conditions.PIXELS", 3 * 16)
    condition = Condition(torch.tensor([[0.1], [0.6]]), torch.tensor([0.3, 0.9]).reshape(2, 1, 1, 1))
    sampler = SISA(h=1.0, beta=1.0, sigma_0=1.0, sigma_inf=0.5, noise_level=known_schedule, denoise_last=True)

    def score(x, phi=None, sigma=None):
        return phi[:, :, None, None] - x

    x = sample_rows(score, condition, 4, sampler, (4, 4))
    assert x.shape == (2, 4, 1, 4, 4)
    assert x.mean((1, 2, 3, 4)).tolist() == pytest.approx([0.1, 0.6])
    sampler = SISA(h=1.0, beta=1.0, sigma_0=0.01, sigma_inf=0.005, noise_level=known_schedule)
    still = sample_rows(lambda x, phi, sigma: 0 * x, condition, 4, sampler, (4, 4))
    torch.testing.assert_close(still.mean((2, 3, 4)), condition.mean.reshape(2, 1).expand(2, 4), atol=0.015, rtol=0)


def test_between_two_rows_lie_both_means():
    ends = Condition(torch.tensor([[0.0, 2.0], [1.0, 4.0]]), torch.tensor([0.2, 0.6]).reshape(2, 1, 1, 1))
    between = ends.between(torch.tensor([0.0, 0.25, 1.0]))
    assert between.phi.tolist() == [[0.0, 2.0], [0.25, 2.5], [1.0, 4.0]]
    assert between.mean.flatten().tolist() == pytest.approx([0.2, 0.3, 0.6])
    assert between.mean.shape == (3, 1, 1, 1)


class Told(AnyOf):
    """Keeps what it is asked to start from, which is also where it ends."""

    def iterate(self, score, x, phi, generator):
        self.seen.append((score, x))
        yield SimpleNamespace(x=x)


def test_or_starts_from_the_densities_of_the_noisy_classes():
    means = torch.rand(3, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    sampler = Told(4, 1.0, 0.01)
    object.__setattr__(sampler, "seen", [])
    sample_composed(gaussian_class, Condition(None, means), 9, sampler, (SIDE, SIDE))
    ((score, x),) = sampler.seen
    exact = torch.stack([torch.distributions.Normal(m, 1.0).log_prob(x).flatten(1).sum(1) for m in means])
    torch.testing.assert_close(score.log_p - score.log_p[:1], exact - exact[:1], rtol=1e-4, atol=1e-4)
    starts = torch.stack([x[k::3].mean() for k in range(3)])  # each around the mean of one of them
    torch.testing.assert_close(starts, means.flatten(), rtol=0, atol=4 / SIDE / math.sqrt(3))


def test_and_starts_around_the_mean_of_all():
    means = torch.tensor([0.2, 0.8]).reshape(2, 1, 1, 1)
    condition = Condition(None, means)
    sampler = AllOf(1, 1e-3, 0.9e-3)
    still = sample_composed(lambda x, phi, sigma: 0 * x, condition, 6, sampler, (SIDE, SIDE))
    torch.testing.assert_close(still.mean((2, 3, 4)), torch.full((1, 6), 0.5), rtol=0, atol=1e-2)
