"""Steering by particles: the class that the exact posterior asks for, to the floor; resampling by its law."""

import pytest
import torch

from fgs.measures import energy_distance, two_sample_floor
from fgs.noise import seeded
from fgs.protocols import SISASampler
from fgs.sampling import NotConvergingError, draw_start
from fgs.steering import Steered, near, systematic
from toy import ExactScore, GaussianMixture

N = 4096


@pytest.mark.parametrize("seed", range(5))
def test_particles_are_drawn_as_often_as_they_weigh(seed):
    w = torch.rand(50, generator=seeded(seed)).double().softmax(0)
    counts = systematic(w, seeded(seed)).bincount(minlength=50)
    assert ((counts - 50 * w).abs() < 1).all()
    assert counts.sum() == 50
    drawn = torch.stack([systematic(w, seeded(seed, k)).bincount(minlength=50) for k in range(2000)]).double()
    error = drawn.std(0) / 2000**0.5
    assert ((drawn.mean(0) - 50 * w).abs() < 5 * error + 1e-9).all()


def test_a_particle_without_weight_is_not_drawn():
    w = torch.tensor([0.0, *([1 / 3] * 3), 0.0]) * (1 - 1e-6)
    assert all(set(systematic(w, seeded(k)).tolist()) <= {1, 2, 3} for k in range(200))


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 16])
def test_the_posterior_as_potential_samples_the_class(d):
    means = torch.randn(3, d, dtype=torch.float64, generator=seeded(d))
    mixture = GaussianMixture(torch.full((3,), 1 / 3).double(), means, 0.04 * torch.eye(d).expand(3, d, d).double())
    how = {"calls": 400, "beta": 0.3, "sigma_0": 5.0, "sigma_inf": 0.02}
    sampler = Steered(potential=lambda x, x_hat, sigma: mixture.log_posterior(x, sigma)[:, 1], **how)
    assert isinstance(sampler, SISASampler)
    start = draw_start((N, d), mixture.centre, 5.0, 0.9, seeded(0))
    x = sampler(ExactScore(mixture), start, None, seeded(1)).x
    true = [mixture.sample(N, 1, sigma=0.02, generator=seeded(10 + k)) for k in range(6)]
    floor = two_sample_floor(energy_distance, true)
    assert sum(float(energy_distance(x, t)) for t in true) / 6 / floor < 1.5
    freed = Steered(potential=lambda x, x_hat, sigma: torch.zeros(len(x)), **how)
    x = freed(ExactScore(mixture), start, None, seeded(1)).x
    assert float((mixture.log_posterior(x, 0.02).argmax(1) == 1).double().mean()) == pytest.approx(1 / 3, abs=0.05)


def test_the_potential_of_features_is_a_gaussian_in_them():
    class Doubled:
        def features(self, x, sigma=None):
            return 2 * x

    log_g = near(Doubled(), torch.tensor([2.0, 0.0]), 0.5)(torch.zeros(2, 2), torch.tensor([[1.0, 0], [0, 0]]), 0.1)
    assert log_g.tolist() == [0, -8]


def test_settings_and_what_is_returned():
    free = Steered(5, 0.5, 1.0, 0.1, denoise_last=True, potential=lambda x, x_hat, sigma: torch.zeros(len(x)))
    samples = free(lambda x, phi=None, sigma=None: -x, torch.ones(3, 2), None, seeded(0))
    assert samples.x.eq(0).all()
    assert samples.steps.tolist() == [4, 4, 4]
    with pytest.raises(ValueError, match=r"^beta: must lie in"):
        Steered(potential=None, beta=0)
    with pytest.raises(ValueError, match=r"^beta: must lie below 1"):
        Steered(potential=None, beta=1.0)
    with pytest.raises(ValueError, match=r"^least: must lie in"):
        Steered(potential=None, least=0.0)
    with pytest.raises(ValueError, match=r"^calls: too few"):
        Steered(potential=None, calls=1)
    bad = Steered(5, potential=lambda x, x_hat, sigma: x[:, 0] * float("nan"))
    with pytest.raises(NotConvergingError, match="step 1: the potential is not finite"):
        bad(lambda x, phi=None, sigma=None: -x, torch.ones(3, 2))


def test_a_potential_may_rule_particles_out():
    """G is 1 where x̂ > −½ and else 0: of N(0, 1) what lies beyond −½, and no NaN on the way."""
    mixture = GaussianMixture(torch.ones(1).double(), torch.zeros(1, 1).double(), torch.ones(1, 1, 1).double())
    sampler = Steered(
        200, 0.3, 4.0, 0.02, potential=lambda x, x_hat, sigma: torch.where(x_hat[:, 0] > -0.5, 0.0, -torch.inf)
    )
    x = sampler(ExactScore(mixture), draw_start((N, 1), mixture.centre, 4.0, 1.0, seeded(0)), None, seeded(1)).x[:, 0]
    tail = torch.distributions.Normal(0.0, 1.0)
    at = torch.tensor(-0.5)
    expected = float(tail.log_prob(at).exp() / (1 - tail.cdf(at)))  # E[x | x > −½]
    assert float(x.min()) > -0.6
    assert float(x.mean()) == pytest.approx(expected, abs=0.05)
