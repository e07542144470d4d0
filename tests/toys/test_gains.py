import math

import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar

from conftest import random_mixture
from fgs.protocols import FeatureExtractor, ProjectedScore
from toy import (
    ExactScore,
    ForcedScore,
    GaussianMixture,
    isotropic_covariances,
    means_on_line,
    mixture_on_line,
    posterior_gain,
    separation_gain,
)
from toy.gains import relative_variance, release_level

WIDTH = 0.1


def line(separation, K=2, d=1, weights=None):
    means = means_on_line(K, d, separation * WIDTH)
    weights = torch.full((K,), 1 / K, dtype=torch.float64) if weights is None else torch.tensor(weights).double()
    return GaussianMixture(weights, means, isotropic_covariances(means, WIDTH))


def scalar(value):
    return torch.tensor(value, dtype=torch.float64)


def test_forcing_is_the_gradient_of_the_confined_density():
    """s + K(m_y − x) is the gradient of log p_σ(x)·exp(−K|x − m_y|²/2), Section 3."""
    mixture, K, sigma = random_mixture(4, K=3, d=2), 0.7, scalar(0.5)
    x = mixture.sample(10, sigma=0.5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    m_y = mixture.means[1]
    confined = mixture.log_prob(x, sigma) - K * (x - m_y).square().sum(1) / 2
    (gradient,) = torch.autograd.grad(confined.sum(), x)
    forced = ForcedScore(mixture, lambda x, y, sigma: scalar(K), max_pull=10)
    torch.testing.assert_close(forced(x.detach(), m_y, sigma), sigma**2 * gradient)


def test_forcing_is_a_projected_score_whose_features_are_x():
    mixture = line(9, d=3)
    forced = ForcedScore(mixture, posterior_gain(mixture), max_pull=10)
    assert isinstance(forced, ProjectedScore)
    assert isinstance(forced, FeatureExtractor)
    x = mixture.sample(6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(forced.features(x), x)
    sigma = scalar(0.3)
    torch.testing.assert_close(forced(x, None, sigma), ExactScore(mixture)(x, None, sigma))
    torch.testing.assert_close(forced(x, forced.features(x), sigma), forced(x, None, sigma))  # no deviation, no force
    with pytest.raises(ValueError, match=r"^sigma:"):
        forced(x)


def test_a_mean_a_row_is_a_class_a_row():
    mixture = line(6, K=3)
    forced = ForcedScore(mixture, separation_gain(mixture, 0.1), max_pull=10)
    x, y = mixture.sample(9, sigma=0.3, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 3
    each = forced(x, mixture.means[y], scalar(0.3))
    for label in range(3):
        torch.testing.assert_close(each[y == label], forced(x, mixture.means[label], scalar(0.3))[y == label])


def test_the_pull_is_clamped():
    mixture = line(6)
    forced = ForcedScore(mixture, lambda x, y, sigma: scalar(1e6), max_pull=10)
    x, sigma = torch.tensor([[1.0]], dtype=torch.float64), scalar(0.3)
    pull = forced(x, mixture.means[0], sigma) - forced(x, None, sigma)
    torch.testing.assert_close(pull, 10 * (mixture.means[0] - x))


def test_posterior_gain_is_bayes_rule_on_a_line():
    """Along m̄ − m_y the posterior gain is the likelihood's gradient: in one dimension the exact conditional score."""
    mixture = line(4, K=3, weights=[0.7, 0.2, 0.1])
    forced = ForcedScore(mixture, posterior_gain(mixture), max_pull=1e9)
    for sigma in (0.02, 0.1, 0.5):
        x = torch.linspace(-1, 1, 41, dtype=torch.float64)[:, None]
        x = x[(x - mixture.means[1]).abs()[:, 0] > 0.05]  # at m_y itself K is capped
        exact = ExactScore(mixture)(x, mixture.one_hot(1), scalar(sigma))
        torch.testing.assert_close(forced(x, mixture.means[1], scalar(sigma)), exact, rtol=1e-6, atol=1e-8)


def test_posterior_gain_half_way_between_equal_classes():
    """Half-way between two equal classes K = 2(1 − p)/(λ² + σ²) with p = ½."""
    mixture = line(6, d=4)
    half_way = mixture.centre[None] + torch.tensor([[0.3, -0.3, 0.0, 0.0]], dtype=torch.float64)
    gain = posterior_gain(mixture)(half_way, torch.tensor(0), scalar(0.2))
    assert float(gain) == pytest.approx(2 * 0.5 / (WIDTH**2 + 0.04))


def test_gains_of_a_single_class_vanish():
    mixture = line(6, K=1)
    x, y, sigma = mixture.sample(3), torch.tensor(0), scalar(0.5)
    for gain in (posterior_gain(mixture), separation_gain(mixture, 0.1)):
        assert float(gain(x, y, sigma)) == 0


def test_separation_gain_lets_go_at_the_release_level():
    mixture = line(9)
    level = release_level(mixture, 0, 0.1)
    gain = separation_gain(mixture, 0.1)
    x, y = mixture.sample(3), torch.tensor(0)
    assert float(gain(x, y, scalar(0.99 * level))) == 0
    assert float(gain(x, y, scalar(1.01 * level))) == pytest.approx(3 / (WIDTH**2 + (1.01 * level) ** 2))


@pytest.mark.parametrize("beta", [0.1, 0.3, 0.6])
def test_the_variance_after_the_release(beta):
    """The formula for h → 0 against SISA's own recursion for the variance of a Gaussian, K = 3/v until σ = 2λ."""
    h, sigma, V = 0.0005, 3.0, 9.0 + WIDTH**2
    release = 2 * WIDTH
    while sigma > 0.2 * WIDTH:
        v = WIDTH**2 + sigma**2
        pull = h * sigma**2 * (1 + (3 if sigma > release else 0)) / v
        V = (1 - pull) ** 2 * V + ((1 - beta * h) ** 2 - (1 - h) ** 2) * sigma**2
        sigma *= 1 - beta * h
        if abs(math.log(sigma / release)) < beta * h or sigma <= 0.2 * WIDTH:
            v = WIDTH**2 + sigma**2
            ratio = min(1.0, v / (WIDTH**2 + release**2))
            assert V / v == pytest.approx(float(relative_variance(scalar(ratio), beta)), rel=0.01)


def test_release_level_follows_the_geometry():
    """Later (lower σ) for close classes, for a light class among heavy ones, and for a sampler that mixes more."""
    levels = [release_level(line(separation), 0, 0.15) for separation in (4, 6, 9, 14)]
    assert levels == sorted(levels)
    light, heavy = (release_level(line(6, weights=[0.9, 0.1]), y, 0.15) for y in (1, 0))
    assert light < levels[1] < heavy
    assert release_level(line(6), 0, 0.05) < levels[1]
    scaled = GaussianMixture(line(6).weights, 7 * line(6).means, 49 * line(6).covariances)
    assert release_level(scaled, 0, 0.15) == pytest.approx(7 * levels[1])


def test_posterior_gain_between_equal_rivals():
    """Where the rivals' mean is m_y itself there is no direction to push in, and K is a number all the same."""
    mixture = line(6, K=3)
    forced = ForcedScore(mixture, posterior_gain(mixture), max_pull=10)
    x = mixture.means[[1]]
    torch.testing.assert_close(forced(x, x[0], scalar(0.4)), torch.zeros_like(x), atol=1e-9, rtol=0)


def test_forcing_keeps_the_precision_of_x():
    mixture = mixture_on_line()
    score = ForcedScore(mixture, separation_gain(mixture, 0.5), 10.0)
    x = torch.zeros(3, 1)
    assert score(x, mixture.means[0], torch.tensor(0.5)).dtype == x.dtype


def cost(mixture, released, beta):
    """W1 lost by a release at σ = `released`, in λ, by quadrature and with borders by root finding."""
    D = float((mixture.means[1] - mixture.means[0]).norm())

    def variance(sigma):  # of the class within the mixture's flow, by its differential equation
        v, v_c = WIDTH**2 + sigma**2, WIDTH**2 + released**2
        kept = (1 - beta) / (4 - beta)
        return v * (1 - (1 - kept) * (v / v_c) ** (1 / beta - 1))

    def border(sigma):  # where p(0|x) = p(1|x), on the way from m_0 to m_1
        v = WIDTH**2 + sigma**2
        odds = float((mixture.weights[0] / mixture.weights[1]).log())
        return brentq(lambda t: ((D - t) ** 2 - t**2) / (2 * v) + odds, -50 * D, 50 * D)

    def rate(sigma):  # of crossings, ½φ(z)z a relaxation, dτ = (1/β − 1)·½dlog v
        z = max(0.0, border(sigma) / math.sqrt(variance(sigma)))
        relaxations = (1 / beta - 1) * sigma / (WIDTH**2 + sigma**2)
        return 0.5 * z * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * relaxations

    end = released / 100
    leak = D * quad(rate, end, released, limit=200)[0]
    gaussian = wasserstein_of_gaussians(math.sqrt(variance(end)), math.sqrt(WIDTH**2 + end**2))
    return (leak + gaussian) / WIDTH


def wasserstein_of_gaussians(a, b):
    """∫|F_a⁻¹ − F_b⁻¹| of N(0, a²) and N(0, b²)."""
    return quad(lambda z: abs(a - b) * abs(z) * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi), -9, 9)[0]


@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])
@pytest.mark.parametrize(("separation", "beta"), [(5, 0.15), (6, 0.3)])
def test_the_release_level_costs_the_least(separation, beta, weights):
    """Within half a step of the levels it chooses from, which are 1.5 % apart."""
    mixture = line(separation, weights=weights)
    chosen = release_level(mixture, 0, beta)
    bounds = math.log(chosen) - 0.3, math.log(chosen) + 0.3
    best = minimize_scalar(lambda level: cost(mixture, math.exp(level), beta), bounds=bounds, options={"xatol": 1e-4})
    assert chosen == pytest.approx(math.exp(best.x), rel=0.01)
