import pytest
import torch

from fgs.corrections import Chain, Langevin, corrected
from fgs.few_steps import MultiStep
from fgs.noise import known_schedule
from fgs.protocols import SISASampler
from fgs.sampling import SISA, draw_start
from toy import ExactScore, GaussianMixture

WIDTH, SIGMA = 0.3, 0.2


def gaussian():
    return ExactScore(
        GaussianMixture(
            torch.ones(1, dtype=torch.float64),
            torch.zeros(1, 1, dtype=torch.float64),
            WIDTH**2 * torch.ones(1, 1, 1, dtype=torch.float64),
        )
    )


def start(n, sigma_0):
    return draw_start((n, 1), torch.zeros(1, dtype=torch.float64), sigma_0, 0.0, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("h", [0.05, 0.3, 1.0])
def test_langevin_relaxes_to_its_stationary_variance(h):
    """V ← (1 − hκ)²V + (2h − h²)σ², κ = σ²/(λ² + σ²): the recursion and its fixed point, both in closed form."""
    kappa = SIGMA**2 / (WIDTH**2 + SIGMA**2)
    variance = 1.0
    for _ in range(6):
        variance = (1 - h * kappa) ** 2 * variance + (2 * h - h**2) * SIGMA**2
    some = Langevin(6, h, SIGMA)(gaussian(), start(100_000, 1.0), generator=torch.Generator().manual_seed(1)).x
    assert float(some.var()) == pytest.approx(variance, rel=0.02)
    fixed_point = (WIDTH**2 + SIGMA**2) * (2 - h) / (2 - h * kappa)
    many = Langevin(round(12 / (h * kappa)), h, SIGMA)
    end = many(gaussian(), start(20_000, 1.0), generator=torch.Generator().manual_seed(1)).x
    assert float(end.var()) == pytest.approx(fixed_point, rel=0.05)


def test_langevin_is_sisa_whose_noise_does_not_fall():
    """β = 10⁻⁹ changes σ by nothing to speak of: the first update is the same."""
    x = start(50, 0.2)
    a = next(iter(Langevin(1, 0.3, 0.2).iterate(gaussian(), x, generator=torch.Generator().manual_seed(1))))
    sisa = SISA(0.3, 1e-9, 0.2, 0.1, noise_level=known_schedule)
    b = next(iter(sisa.iterate(gaussian(), x, generator=torch.Generator().manual_seed(1))))
    torch.testing.assert_close(a.x, b.x, rtol=1e-6, atol=1e-8)


def test_a_chain_goes_on_where_its_parts_end():
    parts = (MultiStep(8, 0.5, 1.0, 0.1), Langevin(3, 0.2, 0.1), MultiStep(5, 0.5, 0.1, 0.01, denoise_last=True))
    chain, calls = Chain(parts), []

    def score(x, phi=None, sigma=None):
        calls.append(float(sigma))
        return -x

    steps = list(chain.iterate(score, start(4, 1.0), generator=torch.Generator().manual_seed(2)))
    assert len(calls) == chain.planned_steps() == 16
    assert calls[8:11] == pytest.approx([0.1] * 3)
    assert [step.step for step in steps[:-1]] == list(range(1, 16))
    x = start(4, 1.0)
    generator = torch.Generator().manual_seed(2)
    for part in parts:
        x = part(score, x, generator=generator).x
    drawn = chain(score, start(4, 1.0), generator=torch.Generator().manual_seed(2))
    assert torch.equal(drawn.x, x)
    assert drawn.steps.tolist() == [15] * 4
    assert isinstance(chain, SISASampler)
    assert isinstance(parts[1], SISASampler)


def test_parts_must_fit():
    with pytest.raises(ValueError, match=r"^parts: one ends at 0.1, the next begins at 0.2"):
        Chain((MultiStep(8, 0.5, 1.0, 0.1), Langevin(3, 0.2, 0.2)))
    with pytest.raises(ValueError, match=r"^parts: one ends at σ = 0"):
        Chain((MultiStep(8, 0.5, 1.0, 0.1, denoise_last=True), Langevin(3, 0.2, 0.1)))


@pytest.mark.parametrize(("settings", "name"), [((0, 0.1, 1.0), "calls"), ((1, 0.0, 1.0), "h"), ((1, 1.5, 1.0), "h")])
def test_wrong_settings_are_named(settings, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        Langevin(*settings)


@pytest.mark.parametrize("calls", [7, 12, 30, 48])
@pytest.mark.parametrize("sigma_0", [1.0, 0.02])
@pytest.mark.parametrize("denoise_last", [False, True])
def test_corrected_keeps_its_budget_and_its_noise_levels(calls, sigma_0, denoise_last):
    sampler, seen = corrected(calls, 0.3, sigma_0, 0.01, denoise_last), []

    def score(x, phi=None, sigma=None):
        seen.append(float(sigma))
        return -x

    drawn = sampler(score, start(2000, sigma_0), generator=torch.Generator().manual_seed(3))
    assert len(seen) == sampler.planned_steps() == calls
    assert seen[0] == pytest.approx(sigma_0)
    assert seen == sorted(seen, reverse=True)
    assert sampler.sigma_inf == 0.01
    assert float(drawn.x.std()) == pytest.approx(0 if denoise_last else 0.01, rel=0.06)


def test_a_budget_too_small_for_corrections_is_refused():
    with pytest.raises(ValueError, match=r"^calls: must be at least 7 with corrections"):
        corrected(4, 0.3, 1.0, 0.01)


def test_corrected_begins_where_the_class_is():
    """The first call moves a start around 0 to x̂ + σ_0·z, and the calls asked for are those made."""
    calls = []

    def score(x, phi=None, sigma=None):
        calls.append(len(x))
        return 3.0 - x  # a point mass at 3: x̂ = 3

    steps = list(
        corrected(20, 0.3, 1.0, 0.01).iterate(score, start(4000, 1.0), generator=torch.Generator().manual_seed(3))
    )
    assert len(calls) == 20 == corrected(20, 0.3, 1.0, 0.01).planned_steps()
    assert float(steps[0].x.mean()) == pytest.approx(3, abs=5 / 4000**0.5)
    assert float(steps[0].x.std()) == pytest.approx(1, rel=0.05)
    assert torch.equal(steps[0].sigma, torch.tensor(1.0, dtype=torch.float64))
