from itertools import pairwise

import pytest
import torch

from fgs.corrections import CORRECTION, Corrected
from fgs.noise import known_schedule
from fgs.protocols import SISASampler
from fgs.sampling import SISA, draw_start
from toy import ExactScore, GaussianMixture

WIDTH = 0.3


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


def drawn_by(sampler, x, score=None):
    return list(sampler.iterate(score or gaussian(), x, generator=torch.Generator().manual_seed(2)))


def test_corrections_relax_to_their_stationary_variance():
    """V ← (1 − hκ)²V + (2h − h²)σ², κ = σ²/(λ² + σ²), in closed form: at the end of the way there V is too much."""
    sampler = Corrected(64, 0.9, 4.0, 0.1)
    down, end = sampler.parts
    sigma, h, corrections, steps = down.sigma_inf, CORRECTION, end.calls, drawn_by(sampler, start(100_000, 4.0))
    assert (sigma, corrections) == (0.5, 8)
    kappa = sigma**2 / (WIDTH**2 + sigma**2)
    variances = [float(step.x.var()) for step in steps[down.calls :][: corrections + 1]]
    for before, after in pairwise(variances):
        assert after == pytest.approx((1 - h * kappa) ** 2 * before + (2 * h - h**2) * sigma**2, rel=0.01)
    assert all(float(step.sigma) == sigma for step in steps[down.calls + 1 :][:corrections])


def test_a_correction_is_sisa_whose_noise_does_not_fall():
    """β = 10⁻⁹ changes σ by nothing to speak of: the first update, of h = 1, is the same."""
    sisa = SISA(1.0, 1e-9, 0.2, 0.1, noise_level=known_schedule)
    a, b = (next(sampler.iterate(gaussian(), start(50, 0.2), generator=torch.Generator().manual_seed(1)))
            for sampler in (Corrected(7, 0.3, 0.2), sisa))  # fmt: skip
    torch.testing.assert_close(a.x, b.x, rtol=1e-6, atol=1e-8)


def test_steps_are_counted_over_the_parts():
    sampler = Corrected(16, 0.5, 1.0, 0.01, denoise_last=True)
    steps = drawn_by(sampler, start(4, 1.0), lambda x, phi=None, sigma=None: -x)
    assert [step.step for step in steps] == [*range(1, 16), 15]
    assert sampler(gaussian(), start(4, 1.0)).steps.tolist() == [15] * 4
    assert isinstance(sampler, SISASampler)
    assert sampler.step == sampler.parts[0].step


@pytest.mark.parametrize(("settings", "name"), [((0, 0.1), "calls"), ((9, 0.0), "beta"), ((9, 1, 0.1, 1), "sigma_inf")])
def test_wrong_settings_are_named(settings, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        Corrected(*settings)


@pytest.mark.parametrize("calls", [7, 12, 30, 48])
@pytest.mark.parametrize("sigma_0", [1.0, 0.02])
@pytest.mark.parametrize("denoise_last", [False, True])
def test_corrected_keeps_its_budget_and_its_noise_levels(calls, sigma_0, denoise_last):
    sampler, seen = Corrected(calls, 0.3, sigma_0, 0.01, denoise_last=denoise_last), []

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
        Corrected(4, 0.3, 1.0, 0.01)


def test_corrected_begins_where_the_class_is():
    """The first call moves a start around 0 to x̂ + σ_0·z, and the calls asked for are those made."""
    calls = []

    def score(x, phi=None, sigma=None):
        calls.append(len(x))
        return 3.0 - x  # a point mass at 3: x̂ = 3

    steps = list(
        Corrected(20, 0.3, 1.0, 0.01).iterate(score, start(4000, 1.0), generator=torch.Generator().manual_seed(3))
    )
    assert len(calls) == 20 == Corrected(20, 0.3, 1.0, 0.01).planned_steps()
    assert float(steps[0].x.mean()) == pytest.approx(3, abs=5 / 4000**0.5)
    assert float(steps[0].x.std()) == pytest.approx(1, rel=0.05)
    assert torch.equal(steps[0].sigma, torch.tensor(1.0, dtype=torch.float64))
