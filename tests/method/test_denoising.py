import math

import pytest
import torch

from conftest import random_mixture
from fgs.denoising import (
    denoising_loss,
    inverse_variance,
    log_uniform,
    squared,
    uniform,
    unweighted,
)
from fgs.noise import seeded
from toy import ExactScore


def loss_of(score, mixture, y, phi, n=4000, **settings):
    x = mixture.sample(n, y, generator=seeded(1))
    return float(denoising_loss(score, x, phi, generator=seeded(2), **settings))


@pytest.mark.parametrize("antithetic", [False, True])
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("weight", [unweighted, inverse_variance(0.3)])
def test_the_exact_score_has_the_least_loss(antithetic, conditional, weight):
    """Conditional scores for Algorithm 2, the mixture's for Algorithm 4; perturbed at random, either way."""
    mixture = random_mixture(3, K=3, d=4)
    exact = ExactScore(mixture)
    y = mixture.draw_labels(4000, seeded(0))
    phi = mixture.one_hot(y) if conditional else None
    settings = {"noise_levels": log_uniform(0.1, 3.0), "weight": weight, "antithetic": antithetic}
    least = loss_of(exact, mixture, y, phi, **settings)
    for seed in range(8):
        A = 0.3 * torch.randn(4, 4, generator=seeded(seed), dtype=torch.float64)
        b = 0.1 * torch.randn(4, generator=seeded(seed, 1), dtype=torch.float64)
        for sign in (-1, 1):
            perturbed = lambda x, phi, sigma, A=A, b=b, e=sign: exact(x, phi, sigma) + e * (x @ A + b)  # noqa: E731
            assert loss_of(perturbed, mixture, y, phi, **settings) > least
    if conditional:
        assert loss_of(lambda x, phi, sigma: exact(x, None, sigma), mixture, y, phi, **settings) > least


def test_the_loss_of_the_exact_score_is_the_mean_square_error():
    """One Gaussian, N(0, λ²Id): E‖x̂ − x‖²/d = σ²λ²/(σ² + λ²) at each σ."""
    x = 0.5 * torch.randn(100_000, 2, generator=seeded(0), dtype=torch.float64)
    for sigma in (0.1, 0.5, 2.0):
        loss = denoising_loss(
            lambda x, phi, s: -x * s[:, None] ** 2 / (s[:, None] ** 2 + 0.25),
            x,
            noise_levels=lambda n, generator, sigma=sigma: torch.full((n,), sigma),
            generator=seeded(1),
        )
        assert float(loss) == pytest.approx(sigma**2 * 0.25 / (sigma**2 + 0.25), rel=0.02)


def test_antithetic_noise_leaves_the_loss_and_takes_the_noise_out_of_its_gradient():
    """s = a + b·x at σ ≪ λ: the mean of ∂loss/∂a stays, its sd falls as σ."""
    x = torch.randn(64, 1, generator=seeded(0), dtype=torch.float64)
    a = torch.zeros((), dtype=torch.float64, requires_grad=True)

    def gradients(antithetic):
        draws = []
        for seed in range(400):
            loss = denoising_loss(
                lambda x, phi, sigma: a - 1e-4 * x,
                x,
                noise_levels=lambda n, generator: torch.full((n,), 0.01),
                antithetic=antithetic,
                generator=seeded(seed),
            )
            draws.append(torch.autograd.grad(loss, a)[0])
        return torch.stack(draws)

    plain, paired = gradients(False), gradients(True)
    assert abs(float(plain.mean() - paired.mean())) < 4 * float(plain.std()) / math.sqrt(400)
    assert float(paired.std()) < 0.01 * float(plain.std())


@pytest.mark.parametrize(("p_drop", "kept"), [(0.0, 10), (0.3, 7), (1.0, 0)])
@pytest.mark.parametrize("antithetic", [False, True])
def test_a_share_goes_without_its_condition(p_drop, kept, antithetic):
    seen = {"with": 0, "without": 0}

    def score(x, phi, sigma):
        seen["without" if phi is None else "with"] += len(x)
        assert phi is None or torch.equal(phi[:, 0], x[:, 1].round())
        assert len(sigma) == len(x)
        return -x

    x = torch.stack([torch.zeros(10), torch.arange(10.0)], 1)
    denoising_loss(score, x, x[:, 1:], lambda n, g: torch.full((n,), 1e-3), p_drop=p_drop, antithetic=antithetic)
    copies = 2 if antithetic else 1
    assert seen == {"with": copies * kept, "without": copies * (10 - kept)}


def test_without_phi_nobody_is_conditioned():
    def score(x, phi, sigma):
        assert phi is None
        return -x

    assert float(denoising_loss(score, torch.zeros(5, 3, 4, 4))) == pytest.approx(0)


@pytest.mark.parametrize(
    ("levels", "cdf"),
    [
        (uniform(0.2, 0.8), lambda s: (s - 0.2) / 0.6),
        (uniform(), lambda s: s),
        (log_uniform(), lambda s: (s / 0.003).log() / math.log(1 / 0.003)),
    ],
)
def test_noise_levels_have_their_distribution(levels, cdf):
    """Kolmogorov–Smirnov at the 0.1 % level."""
    u = cdf(levels(20_000, seeded(0))).sort().values
    assert float((u - torch.linspace(0, 1, 20_000)).abs().max()) < 1.95 / math.sqrt(20_000)


def test_weights():
    sigma = torch.tensor([0.0, 0.1, 1.0])
    assert unweighted(sigma).tolist() == [1, 1, 1]
    assert inverse_variance(0.1)(sigma).tolist() == pytest.approx([100, 50, 1 / 1.01])


def test_noise_levels_have_the_quantiles_that_they_say():
    probability = torch.tensor([0.1, 0.5, 0.9])
    for noise_levels, expected in (
        (uniform(), probability),
        (squared(), probability.square()),
        (log_uniform(0.01, 1.0), 0.01 * 100**probability),
    ):
        drawn = noise_levels(200_000, seeded(0)).quantile(probability)
        torch.testing.assert_close(drawn, expected, rtol=0.03, atol=0.002)


def test_weights_are_what_they_say():
    sigma = torch.tensor([0.0, 0.1, 1.0])
    torch.testing.assert_close(inverse_variance(0.1)(sigma), torch.tensor([100, 50, 1 / 1.01]))
    assert unweighted(sigma).tolist() == [1, 1, 1]


def test_of_a_small_batch_too_one_goes_without():
    """Else s(x, 0) would never be learned: a tenth of 4 is nothing, rounded."""
    asked = []

    def score(x, phi=None, sigma=None):
        asked.append((phi is not None, len(x)))
        return -x

    denoising_loss(score, torch.zeros(4, 3), torch.zeros(4, 2), p_drop=0.1)
    assert asked == [(True, 3), (False, 1)]
