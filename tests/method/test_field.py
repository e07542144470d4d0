"""Exact scores are gradients and keep the Fokker-Planck equation; what is made up to break either shows it."""

import pytest
import torch

from conftest import random_mixture
from fgs.field import asymmetry, inconsistency
from fgs.networks import GuidedUNet
from fgs.noise import seeded
from toy import ExactScore

SIGMA = torch.tensor(0.7).double()


def points(mixture, n=6):
    return mixture.sample(n, sigma=float(SIGMA), generator=seeded(1))


@pytest.mark.parametrize("seed", range(3))
def test_an_exact_score_is_a_gradient(seed):
    mixture = random_mixture(seed)
    assert asymmetry(ExactScore(mixture), points(mixture), None, SIGMA).max() < 1e-20


def test_asymmetry_of_matrices():
    """x̂ = Ax: by definition; a rotation by 90° has 4; probes agree with the axes within their error."""
    A = torch.randn(4, 4, dtype=torch.float64, generator=seeded(0))
    rotation = torch.tensor([[0.0, -1], [1, 0]]).double()
    x = torch.zeros(2, 4).double()
    exact = float((A - A.T).square().sum() / A.square().sum())
    found = asymmetry(lambda x, phi=None, sigma=None: x @ A.T - x, x)
    torch.testing.assert_close(found, torch.full((2,), exact).double())
    many = asymmetry(lambda x, phi=None, sigma=None: x @ A.T - x, x, probes=2000, generator=seeded(1))
    torch.testing.assert_close(many, found, rtol=0.1, atol=0)
    assert asymmetry(lambda x, phi=None, sigma=None: x @ rotation.T - x, x[:, :2]).tolist() == [4, 4]


def test_it_passes_a_network_that_is_matched():
    torch.manual_seed(0)
    network = GuidedUNet(channels=4, levels=1).eval()
    x = torch.rand(2, 1, 8, 8, generator=seeded(0))
    phi = network.features(torch.rand(1, 1, 8, 8, generator=seeded(1)))[0].detach()
    assert (asymmetry(network, x, phi, probes=2, generator=seeded(2)) > 1e-4).all()


@pytest.mark.parametrize("seed", [0, 3, 4, 5])
def test_an_exact_score_keeps_the_fokker_planck_equation(seed):
    mixture = random_mixture(seed)
    x = points(mixture, 200)
    found = inconsistency(ExactScore(mixture), x, None, SIGMA, draws=200, generator=seeded(2))
    assert abs(float(found.mean())) < 0.01 + 4 * float(found.std()) / 200**0.5
    assert abs(float(found.mean())) < 0.05


def test_what_breaks_it_shows():
    """A score that is right at each σ for another mixture at each σ: its mean moves with σ."""
    mixture = random_mixture(1, K=1, d=3)
    x = points(mixture, 50)

    def score(x, phi=None, sigma=None):
        return ExactScore(mixture)(x - sigma, None, sigma)

    assert float(inconsistency(score, x, None, SIGMA, draws=200, generator=seeded(2)).mean()) > 0.1


def test_gradients_are_taken_where_they_are_needed_and_not_kept_where_not():
    mixture = random_mixture(0, d=3)
    x, sigma = mixture.sample(4, sigma=0.5, generator=seeded(0)), torch.tensor(0.5).double()
    with torch.no_grad():
        assert asymmetry(ExactScore(mixture), x, None, sigma).max() < 1e-9
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    seen = []

    def score(x, phi=None, sigma=None):
        seen.append((-weight * x).requires_grad)
        return -weight * x

    inconsistency(score, x, None, sigma, draws=2)
    assert not any(seen)
