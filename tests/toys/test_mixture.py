import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal

from conftest import random_mixture
from fgs.measures.distances import wasserstein_1
from toy import ExactScore, GaussianMixture

SEEDS = st.integers(0, 2**31)
SIGMAS = st.floats(0.05, 3.0)


def noisy(mixture, n, sigma, seed=0):
    return mixture.sample(n, sigma=sigma, generator=torch.Generator().manual_seed(seed))


def eye(d):
    return torch.eye(d, dtype=torch.float64)


@given(SEEDS, SIGMAS)
def test_log_prob_is_that_of_torch_distributions(seed, sigma):
    mixture = random_mixture(seed)
    x = noisy(mixture, 20, sigma)
    components = MultivariateNormal(mixture.means, mixture.covariances + sigma**2 * eye(mixture.d))
    expected = (mixture.weights.log() + components.log_prob(x[:, None])).logsumexp(1)
    torch.testing.assert_close(mixture.log_prob(x, sigma), expected, rtol=1e-8, atol=1e-8)


@given(SEEDS, SIGMAS)
def test_score_is_the_gradient_of_log_prob(seed, sigma):
    mixture = random_mixture(seed)
    x = noisy(mixture, 20, sigma).requires_grad_()
    sigmas = torch.linspace(0.05, sigma, 20, dtype=torch.float64)  # one noise level a row
    (expected,) = torch.autograd.grad(mixture.log_prob(x, sigmas).sum(), x)
    torch.testing.assert_close(mixture.score(x.detach(), sigmas), expected, rtol=1e-5, atol=1e-5)


@given(SEEDS, SIGMAS)
def test_conditional_score_of_one_component_is_its_score(seed, sigma):
    mixture = random_mixture(seed, K=1)
    x = noisy(mixture, 20, sigma)
    torch.testing.assert_close(mixture.score(x, sigma, mixture.one_hot(0)), mixture.score(x, sigma))


@given(SEEDS, SIGMAS)
def test_conditional_score_is_that_of_the_component_alone(seed, sigma):
    mixture = random_mixture(seed, K=3)
    x = noisy(mixture, 20, sigma)
    y = torch.arange(20) % 3
    precision = torch.linalg.inv(mixture.covariances + sigma**2 * eye(mixture.d))[y]
    expected = -(precision @ (x - mixture.means[y])[:, :, None])[:, :, 0]
    torch.testing.assert_close(mixture.score(x, sigma, mixture.one_hot(y)), expected, rtol=1e-6, atol=1e-6)


@given(SEEDS, SIGMAS)
def test_bayes_rule_equation_4(seed, sigma):
    mixture = random_mixture(seed, K=3)
    x = noisy(mixture, 20, sigma).requires_grad_()
    (likelihood,) = torch.autograd.grad(mixture.log_posterior(x, sigma)[:, 1].sum(), x)
    x = x.detach()
    expected = mixture.score(x, sigma, mixture.one_hot(1))
    torch.testing.assert_close(likelihood + mixture.score(x, sigma), expected, rtol=1e-5, atol=1e-5)


@given(SEEDS, SIGMAS)
def test_posterior_sums_to_one_and_follows_the_weights(seed, sigma):
    mixture = random_mixture(seed, K=3)
    x = noisy(mixture, 20, sigma)
    torch.testing.assert_close(mixture.posterior(x, sigma).sum(1), torch.ones(20, dtype=torch.float64))
    torch.testing.assert_close(mixture.posterior(x, sigma), mixture.log_posterior(x, sigma).exp())
    one = mixture.posterior(x, sigma, weights=mixture.one_hot(2))
    torch.testing.assert_close(one, mixture.one_hot(2).expand(20, 3))


@given(SEEDS, SIGMAS)
def test_tweedie_against_monte_carlo(seed, sigma):
    """x̂ = x_σ + σ²∇log p_σ is E[x | x_σ], here by weighting draws of the prior with N(x_σ; x, σ² Id) (Eq. 2)."""
    mixture = random_mixture(seed, d=1 + seed % 2)
    sigma = max(sigma, 0.5)  # a narrow kernel would find few of the draws
    x = mixture.sample(200_000, generator=torch.Generator().manual_seed(seed))
    x_sigma = noisy(mixture, 5, sigma, seed + 1)
    x_hat = x_sigma + ExactScore(mixture)(x_sigma, sigma=torch.tensor(sigma))
    for at, expected in zip(x_sigma, x_hat, strict=True):
        weight = (-(x - at).square().sum(1) / (2 * sigma**2)).softmax(0)
        mean = weight @ x
        error = (weight.square() @ (x - mean).square()).sqrt()  # standard error of the weighted mean
        assert bool(((mean - expected).abs() < 5 * error + 1e-6).all())


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_residual_falls_short_of_the_noise_by_the_mmse(sigma, generator):
    """E‖s‖²/d = σ² − MMSE/d; for one Gaussian of rank r the MMSE is Σ λ²σ²/(λ² + σ²) over its r axes (trap 2)."""
    d, widths = 6, torch.tensor([0.3, 0.8], dtype=torch.float64)
    axes = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q[:, :2]
    covariance = axes @ torch.diag(widths**2) @ axes.T
    mixture = GaussianMixture(
        torch.ones(1, dtype=torch.float64), torch.ones(1, d, dtype=torch.float64), covariance[None]
    )
    x = mixture.sample(200_000, sigma=sigma, generator=generator)
    s = ExactScore(mixture)(x, sigma=torch.tensor(sigma))
    mmse = (widths**2 * sigma**2 / (widths**2 + sigma**2)).sum()
    assert float(s.square().mean()) == pytest.approx(sigma**2 - float(mmse) / d, rel=0.01)


@given(SEEDS)
def test_samples_have_the_mean_and_covariance(seed):
    mixture = random_mixture(seed, K=2)
    n, sigma = 50_000, 0.4
    x = mixture.sample(n, y=1, sigma=sigma, generator=torch.Generator().manual_seed(seed))
    expected = mixture.covariances[1] + sigma**2 * eye(mixture.d)
    scale = torch.linalg.eigvalsh(expected)[-1]
    assert float((x.mean(0) - mixture.means[1]).norm()) < 5 * float((mixture.d * scale / n).sqrt())
    assert float((x.T.cov() - expected).abs().max() / scale) < 0.05


def test_class_frequencies_are_the_weights(generator):
    mixture = random_mixture(3, K=3)
    frequency = mixture.draw_labels(100_000, generator).bincount() / 100_000
    torch.testing.assert_close(frequency.double(), mixture.weights, atol=0.01, rtol=0)
    torch.testing.assert_close(mixture.sample(50_000, generator=generator).mean(0), mixture.centre, atol=0.1, rtol=0)


def test_far_away_nothing_overflows():
    mixture = random_mixture(5, K=3, d=2)
    x = torch.full((1, 2), 1e6, dtype=torch.float64)
    for value in (mixture.log_prob(x, 0.01), mixture.score(x, 0.01), mixture.log_posterior(x, 0.01)):
        assert torch.isfinite(value).all()


def test_sample_of_a_class_is_the_same_however_many_follow(generator):
    mixture = random_mixture(7, K=2, d=3)
    few = mixture.sample(3, 1, 0.1, torch.Generator().manual_seed(1))
    many = mixture.sample(50, 1, 0.1, torch.Generator().manual_seed(1))
    torch.testing.assert_close(few, many[:3])


def test_sigma_zero_needs_a_density():
    line = torch.tensor([[[0.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    singular = GaussianMixture(torch.ones(1, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64), line)
    x = singular.sample(4)
    assert bool((x[:, 0] == 0).all())
    for method in (singular.log_prob, singular.score, singular.posterior):
        with pytest.raises(ValueError, match=r"^sigma: .*singular"):
            method(x)
        method(x, 1e-3)
    regular = random_mixture(0, K=2, d=1)
    if not bool((regular.covariances > 0).all()):
        regular = GaussianMixture(regular.weights, regular.means, torch.ones_like(regular.covariances))
    assert torch.isfinite(regular.log_prob(regular.sample(4))).all()


def test_marginal_of_samples_is_the_density(generator):
    """Samples of p_σ and the density p_σ agree: W1 to the quantiles of the density is at the two-sample floor."""
    mixture = random_mixture(11, K=3, d=1)
    n, sigma = 20_000, 0.3
    grid = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    cdf = (mixture.log_prob(grid[:, None], sigma).exp() * (grid[1] - grid[0])).cumsum(0)
    assert float(cdf[-1]) == pytest.approx(1, abs=1e-6)
    exact = grid[torch.searchsorted(cdf, (torch.arange(n, dtype=torch.float64) + 0.5) / n)]
    a, b = (mixture.sample(n, sigma=sigma, generator=generator)[:, 0] for _ in range(2))
    assert float(wasserstein_1(a, exact)) < 1.5 * float(wasserstein_1(a, b))


@pytest.mark.parametrize(
    ("weights", "means", "covariances", "name"),
    [
        ([0.5, 0.4], [[0.0], [1.0]], [[[1.0]], [[1.0]]], "weights"),
        ([1.0, 0.0], [[0.0], [1.0]], [[[1.0]], [[1.0]]], "weights"),
        ([1.0], [[0.0], [1.0]], [[[1.0]], [[1.0]]], "weights"),
        ([0.5, 0.5], [[0.0], [float("nan")]], [[[1.0]], [[1.0]]], "means"),
        ([0.5, 0.5], [0.0, 1.0], [[[1.0]], [[1.0]]], "means"),
        ([0.5, 0.5], [[0.0], [1.0]], [[[1.0]]], "covariances"),
        ([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[-1.0]]], "covariances"),
        ([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.0, 1.0]]], "covariances"),
    ],
)
def test_wrong_parameters_are_named(weights, means, covariances, name):
    tensors = (torch.tensor(values, dtype=torch.float64) for values in (weights, means, covariances))
    with pytest.raises(ValueError, match=f"^{name}:"):
        GaussianMixture(*tensors)


def test_lists_and_arrays_make_a_mixture_and_x_may_have_another_dtype():
    means, covariances = [[0.0, 1.0], [2.0, 0.0]], [[[0.1, 0.0], [0.0, 0.1]]] * 2
    exact = GaussianMixture(*(torch.tensor(v, dtype=torch.float64) for v in ([0.25, 0.75], means, covariances)))
    x = torch.tensor([[0.5, 0.5], [1.0, 1.0]])
    for mixture in (
        GaussianMixture([0.25, 0.75], np.array(means), np.array(covariances)),
        GaussianMixture(np.array([0.25, 0.75]), means, np.array(covariances)),
        GaussianMixture([0.25, 0.75], [[0, 1], [2, 0]], covariances),
    ):
        for dtype in (torch.float32, torch.float64):
            score = mixture.score(x.to(dtype), 0.5)
            assert score.dtype == mixture.means.dtype
            torch.testing.assert_close(score.double(), exact.score(x.double(), 0.5), rtol=1e-5, atol=1e-5)
            s = ExactScore(mixture)(x.to(dtype), mixture.one_hot(1), torch.tensor(0.5))
            assert s.dtype == dtype
    assert mixture.means.dtype == torch.float32
    assert exact.sample(3).dtype == torch.float64


def test_integers_are_numbers():
    mixture = GaussianMixture([0.5, 0.5], torch.tensor([[-1], [1]]), [[[0.01]], [[0.01]]])
    assert mixture.means.dtype == torch.get_default_dtype()
