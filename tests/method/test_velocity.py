"""The constant-velocity path: closed form for one Gaussian, orders of convergence, and the flow that it is."""

import math

import pytest
import torch

from fgs.few_steps import FewSteps
from fgs.protocols import SISASampler
from fgs.sampling import NotConvergingError
from fgs.velocity import ConstantVelocity, HeunVelocity
from toy import ExactScore, GaussianMixture

WIDTH, SIGMA_0, SIGMA_INF = 0.3, 2.0, 0.01


def gaussian():
    one = torch.ones(1, dtype=torch.float64)
    return ExactScore(GaussianMixture(one, torch.full((1, 1), 0.5).double(), WIDTH**2 * torch.eye(1)[None].double()))


def end(sampler):
    """Where x = 2 ends."""
    return float(sampler(gaussian(), torch.full((1, 1), 2.0).double()).x)


EXACT = 0.5 + 1.5 * math.sqrt((WIDTH**2 + SIGMA_INF**2) / (WIDTH**2 + SIGMA_0**2))
"""x − m keeps to the sd of p_σ on the flow of β = 1."""


@pytest.mark.parametrize(("kind", "order", "steps"), [(ConstantVelocity, 1, 1), (HeunVelocity, 2, 2)])
@pytest.mark.parametrize("unit", [1.0, 0.3])
def test_order_of_convergence_to_the_closed_form(kind, order, steps, unit):
    errors = [abs(end(kind(steps * n, SIGMA_0, SIGMA_INF, unit=unit)) - EXACT) for n in (200, 400, 800)]
    assert math.log2(errors[1] / errors[2]) == pytest.approx(order, abs=0.2)
    assert errors[2] < 2e-3


@pytest.mark.parametrize("kind", [ConstantVelocity, HeunVelocity])
def test_it_ends_where_the_flow_of_beta_1_ends(kind):
    mixture = GaussianMixture(
        torch.tensor([0.3, 0.7]).double(), [[-1.0, 0], [1, 0.5]], 0.04 * torch.eye(2).expand(2, 2, 2)
    )
    x = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * SIGMA_0
    ends = [
        sampler(ExactScore(mixture), x).x for sampler in (FewSteps(4000, 1.0, SIGMA_0, 0.01), kind(4000, SIGMA_0, 0.01))
    ]
    torch.testing.assert_close(*ends, atol=5e-3, rtol=0)


def test_levels_are_even_in_time_and_an_euler_step_is_that_of_few_steps():
    sampler = ConstantVelocity(4, 1.0, 0.25, unit=0.5)
    levels = 1.0 * torch.tensor([1.0, *sampler.ratios()]).cumprod(0)
    assert float(levels[-1]) == pytest.approx(0.25)
    times = levels / (0.5 + levels)
    torch.testing.assert_close(times.diff(), times.diff()[:1].expand(4))
    one = [
        kind(1, sigma_0=1.0, sigma_inf=0.5, **how) for kind, how in ((ConstantVelocity, {}), (FewSteps, {"beta": 1.0}))
    ]
    assert end(one[0]) == pytest.approx(end(one[1]))


@pytest.mark.parametrize("kind", [ConstantVelocity, HeunVelocity])
@pytest.mark.parametrize("denoise_last", [False, True])
def test_it_is_a_sampler_that_keeps_its_budget(kind, denoise_last):
    calls = []

    def score(x, phi=None, sigma=None):
        calls.append(float(sigma))
        return -x * sigma**2 / (1 + sigma**2)

    sampler = kind(9, 1.0, 0.1, denoise_last=denoise_last)
    assert isinstance(sampler, SISASampler)
    samples = sampler(score, torch.ones(2, 3))
    assert len(calls) == sampler.planned_steps() <= 9
    assert samples.steps.tolist() == [sampler.updates()] * 2
    assert samples.sigma.tolist() == pytest.approx([0.1] * 2)
    assert calls[-1] == pytest.approx(0.1, rel=1e-4) or not denoise_last


def test_settings_out_of_range():
    with pytest.raises(ValueError, match=r"^sigma_inf:"):
        ConstantVelocity(5, 1.0, 2.0)
    with pytest.raises(ValueError, match=r"^calls: too few"):
        HeunVelocity(2, denoise_last=True)
    with pytest.raises(NotConvergingError, match="step 1: x is not finite"):
        ConstantVelocity(5)(lambda x, phi=None, sigma=None: x * float("nan"), torch.ones(1, 2))


@pytest.mark.parametrize("unit", [0.0, -0.5])
def test_a_unit_that_is_none_is_named(unit):
    with pytest.raises(ValueError, match=r"^unit:"):
        ConstantVelocity(8, unit=unit)
