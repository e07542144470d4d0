"""Few-step samplers against the closed-form moments of their SDE, and known distributions against the floor."""

import math

import pytest
import torch

from fgs import few_steps
from fgs.few_steps import FewSteps, MultiStep, coefficients
from fgs.measures.distances import two_sample_floor, wasserstein_1
from fgs.noise import known_schedule, per_sample
from fgs.protocols import SISASampler
from fgs.sampling import NotConvergingError, draw_start
from toy import ExactScore, GaussianMixture

WIDTH = 0.2
EVERY = (FewSteps, MultiStep)


def gaussian(width=WIDTH, d=1, mean=0.0):
    means = torch.full((1, d), mean, dtype=torch.float64)
    return ExactScore(
        GaussianMixture(torch.ones(1, dtype=torch.float64), means, width**2 * torch.eye(d, dtype=torch.float64)[None])
    )


def start(n, d=1, seed=0):
    return draw_start((n, d), torch.zeros(d, dtype=torch.float64), 1.0, 0.0, torch.Generator().manual_seed(seed))


def moments(sampler, monkeypatch, mean=0.5):
    """Mean and variance of x_{σ_∞} for the score of N(0, WIDTH²), with no chance in them.

    On a Gaussian x_{σ_∞} is linear in the start and in every z. Row 0 starts at the mean and meets no noise, row 1
    starts at 1, row k + 1 at 0 and meets z = 1 in step k alone: the squares of rows 1, 2, … are the variance.
    """
    drawn = iter(range(2, 10**6))

    def unit(like, generator=None):
        z = torch.zeros_like(like)
        z[next(drawn)] = 1
        return z

    monkeypatch.setattr(few_steps, "standard_normal", unit)
    x = torch.zeros(sampler.calls + 3, 1, dtype=torch.float64)
    x[0], x[1] = mean, 1
    end = sampler(gaussian(), x).x[:, 0]
    return float(end[0]), float(end[1:].square().sum())


def true_moments(beta, sigma_inf, mean=0.5):
    """dE[x] and dVar[x] of the SDE are linear too: what a start N(mean, 1) lacks dies out as ((λ²+σ²)/(λ²+1))^(1/β)."""
    now, first = WIDTH**2 + sigma_inf**2, WIDTH**2 + 1
    fall = (now / first) ** (1 / (2 * beta))
    return mean * fall, now + (1 - first) * fall**2


@pytest.mark.parametrize("beta", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("ratio", [0.2, 0.7, 0.95])
def test_coefficients_are_the_integrals_they_stand_for(ratio, beta):
    """By quadrature in ℓ: h and w of exp(−(L−ℓ)/β)/β times 1 and ℓ/L, γ² of the decayed noise."""
    L = -math.log(ratio)
    ell = torch.linspace(0, L, 200_001, dtype=torch.float64)
    kernel = (-(L - ell) / beta).exp() / beta
    noise = (-2 * (L - ell) / beta).exp() * (-2 * ell).exp() * 2 * (1 - beta) / beta
    h, w, gamma = coefficients(ratio, beta)
    assert h == pytest.approx(float(torch.trapezoid(kernel, ell)), rel=1e-8)
    assert w == pytest.approx(float(torch.trapezoid(kernel * ell / L, ell)), rel=1e-8)
    assert gamma**2 == pytest.approx(float(torch.trapezoid(noise, ell)), rel=1e-8, abs=1e-12)


def test_small_steps_are_those_of_sisa():
    """r = 1 − βh up to h², and the same γ for the same h and r."""
    for beta in (0.2, 0.5, 1.0):
        h, _, noise = coefficients(1 - beta * 1e-3, beta)
        assert h == pytest.approx(1e-3, rel=1e-3)
        assert noise**2 == pytest.approx((1 - beta * 1e-3) ** 2 - (1 - h) ** 2, abs=1e-15)


def test_known_special_cases():
    """β = 1 is DDIM; β = ½ is ancestral sampling with the variance σ_next²(σ² − σ_next²)/σ² of the posterior."""
    assert coefficients(0.6, 1.0)[::2] == pytest.approx((0.4, 0))
    assert coefficients(0.6, 0.5).noise ** 2 == pytest.approx(0.6**2 * (1 - 0.6**2))
    assert coefficients(0.6, 1e-3)[::2] == pytest.approx((1, 0.6))


@pytest.mark.parametrize(("kind", "order"), [(FewSteps, 1), (MultiStep, 2)])
@pytest.mark.parametrize("beta", [0.4, 0.7, 1.0])  # at β = ½ the mean has no error to converge
def test_order_of_convergence(kind, order, beta, monkeypatch):
    """Halving the step divides the error of the mean and of the variance by 2^order."""
    errors = []
    for steps in (80, 160, 320):
        found = moments(kind(steps, beta, sigma_inf=0.05), monkeypatch)
        errors.append([abs(a - b) for a, b in zip(found, true_moments(beta, 0.05), strict=True)])
    for column in zip(*errors, strict=True):
        assert math.log2(column[1] / column[2]) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("beta", [0.3, 1.0])
@pytest.mark.parametrize("denoise_last", [False, True])
def test_the_budget_is_kept(kind, beta, denoise_last):
    calls = []

    def score(x, phi=None, sigma=None):
        calls.append(float(sigma))
        return -x

    sampler = kind(9 if denoise_last else 8, beta, sigma_inf=0.05, denoise_last=denoise_last)
    drawn = sampler(score, start(5), generator=torch.Generator().manual_seed(0))
    assert len(calls) == sampler.planned_steps() == sampler.calls
    assert calls[0] == 1
    assert calls == sorted(calls, reverse=True)
    assert drawn.steps.tolist() == [sampler.updates()] * 5
    assert drawn.sigma.tolist() == pytest.approx([0.05] * 5)
    assert isinstance(sampler, SISASampler)
    if denoise_last:
        assert calls[-1] == pytest.approx(0.05)
        assert torch.equal(drawn.x, torch.zeros_like(drawn.x))  # x̂ of a point mass


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("beta", [0.3, 0.5, 1.0])
def test_a_point_mass_keeps_exactly_the_noise_of_the_schedule(kind, beta):
    """x̂ is constant there, so that every sampler is exact for steps of any size."""
    sampler = kind(6, beta, sigma_inf=0.01)
    x = start(20_000)
    for step in sampler.iterate(lambda x, phi=None, sigma=None: -x, x, generator=torch.Generator().manual_seed(2)):
        assert float(step.x.std()) == pytest.approx(float(step.sigma), rel=0.02)
    assert float(step.sigma) == pytest.approx(0.01)


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_of_the_schedule_dies_out_where_noise_is_injected(kind):
    """A blind score, told σ wrongly: the noise in x tends to the schedule's for β < 1, at β = 1 it keeps its ratio."""
    for beta, ratio in ((0.5, 1.0), (1.0, 0.7)):
        x = 0.7 * start(20_000)
        sampler = kind(10, beta, sigma_inf=0.1)
        end = sampler(lambda x, phi=None, sigma=None: -x, x, generator=torch.Generator().manual_seed(3)).x
        assert float(end.std()) / 0.1 == pytest.approx(ratio, rel=0.03)


def test_a_gaussian_reaches_the_floor_in_thirty_calls():
    score = gaussian(0.1, mean=0.5)
    end = MultiStep(30, 0.4, sigma_inf=0.01)(score, start(4000), generator=torch.Generator().manual_seed(1)).x[:, 0]
    mixture = score.mixture
    true = [mixture.sample(4000, generator=torch.Generator().manual_seed(seed))[:, 0] for seed in range(6)]
    floor = two_sample_floor(wasserstein_1, true)
    assert sum(float(wasserstein_1(end, t)) for t in true) / 6 < 1.7 * floor


def test_first_order_needs_many_more():
    score = gaussian(0.1, mean=0.5)
    true = [score.mixture.sample(4000, generator=torch.Generator().manual_seed(seed))[:, 0] for seed in range(6)]
    floor = two_sample_floor(wasserstein_1, true)
    end = FewSteps(30, 0.4, sigma_inf=0.01)(score, start(4000), generator=torch.Generator().manual_seed(1)).x[:, 0]
    assert sum(float(wasserstein_1(end, t)) for t in true) / 6 > 2 * floor


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("noise_level", [known_schedule, per_sample])
def test_a_sample_does_not_depend_on_the_batch(kind, noise_level):
    sampler = kind(10, 0.4, sigma_inf=0.05, noise_level=noise_level)
    many = sampler(gaussian(d=8), start(40, 8), generator=torch.Generator().manual_seed(5)).x
    few = sampler(gaussian(d=8), start(3, 8), generator=torch.Generator().manual_seed(5)).x
    torch.testing.assert_close(many[:3], few, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", EVERY)
def test_at_beta_one_no_noise_is_injected(kind):
    a, b = (kind(8, 1.0)(gaussian(), start(5), generator=torch.Generator().manual_seed(seed)).x for seed in (1, 2))
    assert torch.equal(a, b)


def test_guidance_is_passed_on():
    seen = []

    def score(x, phi=None, sigma=None):
        seen.append(phi)
        return -x

    phi = torch.tensor([1.0, 0.0])
    for kind in EVERY:
        kind(6)(score, start(2), phi)
    assert all(asked is phi for asked in seen)


def test_what_is_not_finite_is_an_error():
    for kind in EVERY:
        with pytest.raises(NotConvergingError, match="not finite; use more calls"):
            kind(6)(lambda x, phi=None, sigma=None: x * math.nan, start(2))


@pytest.mark.parametrize(
    ("kind", "settings", "name"),
    [
        (FewSteps, {"beta": 0.0}, "beta"),
        (FewSteps, {"sigma_inf": 1.0}, "sigma_inf"),
        (FewSteps, {"calls": 0}, "calls"),
        (FewSteps, {"calls": 1, "denoise_last": True}, "calls"),
    ],
)
def test_wrong_settings_are_named(kind, settings, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        kind(**settings)
