import math

import pytest
import torch

from fgs.corrections import Corrected
from fgs.few_steps import FewSteps, MultiStep
from fgs.measures.distances import two_sample_floor, wasserstein_1
from fgs.noise import known_schedule, per_sample, pooled
from fgs.sampling import SISA, NotConvergingError, draw_start, fixed, growing
from toy import ExactScore, GaussianMixture

pytestmark = pytest.mark.filterwarnings("ignore:.*estimates the noise level")


def point_mass(x, phi=None, sigma=None):
    """The σ²-weighted score of all mass at 0."""
    return -x


def gaussian(width, d=1, mean=0.0):
    means = torch.full((1, d), mean, dtype=torch.float64)
    return GaussianMixture(
        torch.ones(1, dtype=torch.float64), means, width**2 * torch.eye(d, dtype=torch.float64)[None]
    )


def start(n, d=1, sigma_0=1.0, seed=0, mean=0.0, width=0.0):
    mean = torch.full((d,), mean, dtype=torch.float64)
    return draw_start((n, d), mean, sigma_0, width, torch.Generator().manual_seed(seed))


def test_the_paper_s_setting_takes_9209_updates():
    """h = .01, β = .05 from σ = 1 to .01: the count of updates is the first k with (1 − βh)^k < σ_∞/σ_0."""
    sampler = SISA(h=0.01, beta=0.05, sigma_0=1.0, sigma_inf=0.01, noise_level=known_schedule)
    samples = sampler(point_mass, start(4), generator=torch.Generator().manual_seed(1))
    assert samples.steps.tolist() == [9209] * 4
    assert sampler.planned_steps() == 9209 == math.ceil(math.log(0.01) / math.log(1 - 0.05 * 0.01))


@pytest.mark.slow
def test_the_per_sample_estimate_drifts_down_in_low_dimension():
    """On a point mass log σ̂ drifts with the fluctuation of ‖z‖²/d: the fewer dimensions, the fewer steps (trap 2)."""
    steps = []
    for d in (1, 16, 64):
        sampler = SISA(h=0.01, beta=0.05, noise_level=per_sample)
        drawn = sampler(point_mass, start(64, d), generator=torch.Generator().manual_seed(1))
        steps.append(float(drawn.steps.double().mean()))
    assert steps[0] < 400 < 2000 < steps[1] < 3300 < 4500 < steps[2] < 6500


@pytest.mark.parametrize("schedule", [fixed, growing])
@pytest.mark.parametrize("beta", [0.1, 0.5, 1.0])
def test_a_point_mass_decays_as_the_product_of_the_steps(schedule, beta):
    """σ_k = σ_0 ∏(1 − βh_t), in what the sampler believes and in the samples themselves."""
    sampler = SISA(h=0.05, beta=beta, sigma_inf=0.05, schedule=schedule, noise_level=known_schedule)
    x, sigma = start(20_000), 1.0
    for step in sampler.iterate(point_mass, x, generator=torch.Generator().manual_seed(2)):
        sigma *= 1 - beta * schedule(0.05, step.step)
        assert float(step.sigma) == pytest.approx(sigma)
        assert float(step.x.std()) == pytest.approx(sigma, rel=0.03)
    assert sigma < 0.05 <= sigma / (1 - beta * schedule(0.05, step.step))
    assert step.step == sampler.planned_steps()


def test_growing_steps_start_at_h_and_tend_to_one():
    assert growing(0.01, 1) == pytest.approx(0.01)
    assert growing(0.01, 10**6) == pytest.approx(1, abs=1e-3)
    sampler = SISA(h=0.01, beta=0.01, sigma_inf=0.05, schedule=growing)
    assert sampler.planned_steps() < SISA(h=0.01, beta=0.01, sigma_inf=0.05).planned_steps() / 50


def test_at_beta_one_no_noise_is_injected():
    sampler = SISA(h=0.1, beta=1.0, noise_level=known_schedule)
    a, b = (sampler(point_mass, start(5), generator=torch.Generator().manual_seed(seed)).x for seed in (1, 2))
    assert torch.equal(a, b)
    noisy = SISA(h=0.1, beta=0.9, noise_level=known_schedule)
    a, b = (noisy(point_mass, start(5), generator=torch.Generator().manual_seed(seed)).x for seed in (1, 2))
    assert not torch.equal(a, b)


@pytest.mark.parametrize("beta", [0.05, 0.3, 0.7, 1.0])
def test_variance_follows_the_linear_recursion(beta):
    """For one Gaussian the update is linear: V ← (1 − h·σ²/(λ² + σ²))²V + γ², a closed form for any h and β."""
    width, h = 0.3, 0.1
    sampler = SISA(h=h, beta=beta, sigma_inf=0.05, noise_level=known_schedule)
    x = start(100_000)
    variance, sigma = 1.0, 1.0
    for _ in range(sampler.planned_steps()):
        keep = 1 - h * sigma**2 / (width**2 + sigma**2)
        variance = keep**2 * variance + ((1 - beta * h) ** 2 - (1 - h) ** 2) * sigma**2
        sigma *= 1 - beta * h
    drawn = sampler(ExactScore(gaussian(width)), x, generator=torch.Generator().manual_seed(3))
    assert float(drawn.x.var()) == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("noise_level", [known_schedule, per_sample])
@pytest.mark.parametrize("d", [1, 8])
def test_a_sample_does_not_depend_on_the_batch(noise_level, d):
    """The same seed gives the same sample whatever the batch size and whichever others have finished."""
    score = ExactScore(gaussian(0.2, d))
    sampler = SISA(h=0.05, beta=0.3, noise_level=noise_level)
    x = start(40, d)
    many = sampler(score, x, generator=torch.Generator().manual_seed(5))
    few = sampler(score, x[:3], generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(many.x[:3], few.x, rtol=1e-9, atol=1e-12)
    assert torch.equal(many.steps[:3], few.steps)
    if noise_level is per_sample:
        assert len(many.steps.unique()) > 1, "all finished together: freezing was not tested"


def test_a_finished_sample_is_frozen():
    sampler = SISA(h=0.05, beta=0.3, noise_level=per_sample)
    finished = {}
    for step in sampler.iterate(point_mass, start(30), generator=torch.Generator().manual_seed(5)):
        for row in (~step.moved.expand(30)).nonzero()[:, 0].tolist():
            assert torch.equal(step.x[row], finished[row])
        finished = dict(enumerate(step.x))
    assert bool((step.sigma < 0.01).all())


def test_guided_and_unguided_differ_by_phi_alone():
    mixture = GaussianMixture(
        torch.tensor([0.5, 0.5], dtype=torch.float64),
        torch.tensor([[-1.0], [1.0]], dtype=torch.float64),
        0.01 * torch.ones(2, 1, 1, dtype=torch.float64),
    )
    sampler, score, x = SISA(h=0.05, beta=0.2, noise_level=known_schedule), ExactScore(mixture), start(200)
    guided = sampler(score, x, mixture.one_hot(1), torch.Generator().manual_seed(1)).x
    unguided = sampler(score, x, None, torch.Generator().manual_seed(1)).x
    assert bool((guided > 0).all())
    assert 0.3 < float((unguided > 0).double().mean()) < 0.7
    each = sampler(score, x, mixture.one_hot(torch.arange(200) % 2), torch.Generator().manual_seed(1)).x
    assert bool(((each[:, 0] > 0) == (torch.arange(200) % 2 == 1)).all())


def test_the_iterator_gives_what_the_sampler_returns():
    sampler, score, x = SISA(h=0.1, beta=0.5, noise_level=known_schedule), ExactScore(gaussian(0.2)), start(10)
    steps = list(sampler.iterate(score, x, generator=torch.Generator().manual_seed(1)))
    drawn = sampler(score, x, generator=torch.Generator().manual_seed(1))
    assert torch.equal(steps[-1].x, drawn.x)
    assert [step.step for step in steps] == list(range(1, len(steps) + 1))
    torch.testing.assert_close(steps[0].x_hat, x + score(x, sigma=torch.tensor(1.0)))


def test_final_denoising_returns_x_hat():
    plain = SISA(h=0.1, beta=0.5, noise_level=known_schedule)
    denoised = SISA(h=0.1, beta=0.5, noise_level=known_schedule, denoise_last=True)
    a = plain(point_mass, start(10), generator=torch.Generator().manual_seed(1))
    b = denoised(point_mass, start(10), generator=torch.Generator().manual_seed(1))
    assert torch.equal(b.x, torch.zeros_like(b.x))
    assert float(a.x.abs().max()) > 0
    assert torch.equal(a.steps, b.steps)


def test_start_has_the_mean_and_the_width():
    narrow = start(100_000, sigma_0=2.0, mean=3.0)
    assert float(narrow.mean()) == pytest.approx(3, abs=0.03)
    assert float(narrow.std()) == pytest.approx(2, rel=0.01)
    assert float(start(100_000, sigma_0=2.0, width=1.5).std()) == pytest.approx(2.5, rel=0.01)


def test_only_an_exact_start_lets_beta_one_reach_the_floor():
    """At β = 1 the start N(m, σ_0² Id) leaves out λ² and the mode's offset for good (trap 4)."""
    mixture = gaussian(0.1, mean=0.7)
    sampler = SISA(h=0.02, beta=1.0, noise_level=known_schedule)
    true = [mixture.sample(20_000, generator=torch.Generator().manual_seed(seed))[:, 0] for seed in range(6)]
    floor = two_sample_floor(wasserstein_1, true)
    paper = sampler(ExactScore(mixture), start(20_000)).x[:, 0]
    exact = sampler(ExactScore(mixture), start(20_000, mean=0.7, width=0.1)).x[:, 0]
    assert sum(float(wasserstein_1(exact, t)) for t in true) / 6 < 2 * floor
    assert sum(float(wasserstein_1(paper, t)) for t in true) / 6 > 5 * floor


def test_pooled_finishes_together():
    sampler = SISA(h=0.05, beta=0.3, noise_level=pooled)
    drawn = sampler(point_mass, start(2000, 4), generator=torch.Generator().manual_seed(1))
    assert len(drawn.steps.unique()) == 1
    assert int(drawn.steps[0]) == pytest.approx(sampler.planned_steps(), rel=0.1)
    assert drawn.sigma.shape == (2000,)


@pytest.mark.parametrize(
    ("score", "sampler", "message"),
    [
        (lambda x, phi=None, sigma=None: x, SISA(h=0.5), "noise level grew.*smaller h"),
        (lambda x, phi=None, sigma=None: x * math.nan, SISA(), "not finite.*smaller h"),
        (point_mass, SISA(h=0.01, noise_level=known_schedule, max_steps=20), "not reached in 20 steps; raise h"),
    ],
)
def test_not_converging_says_what_to_change(score, sampler, message):
    with pytest.raises(NotConvergingError, match=message):
        sampler(score, start(8), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"h": 0.0}, "h"),
        ({"h": 1.1}, "h"),
        ({"beta": 0.0}, "beta"),
        ({"beta": math.nan}, "beta"),
        ({"sigma_inf": 2.0}, "sigma_inf"),
        ({"sigma_inf": 0.0}, "sigma_inf"),
        ({"sigma_0": math.inf}, "sigma_0"),
    ],
)
def test_wrong_settings_are_named(settings, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        SISA(**settings)


def test_planned_steps_stops_at_the_cap():
    assert SISA(max_steps=50).planned_steps() == 50


def test_no_gradient_is_recorded():
    x = start(4).requires_grad_()
    assert not SISA(h=0.5, beta=1.0)(point_mass, x).x.requires_grad


def test_finished_samples_leave_the_batch():
    """Each call is made for those that still move, in their order, with their own φ; the rest cost nothing."""
    seen = []
    targets = torch.arange(30.0, dtype=torch.float64)[:, None]

    def score(x, phi=None, sigma=None):
        seen.append(phi[:, 0].tolist())
        return phi - x

    sampler = SISA(h=0.05, beta=0.3, noise_level=per_sample)
    x = start(30, 1) + targets
    drawn = sampler(score, x, targets, torch.Generator().manual_seed(5))
    assert [len(rows) for rows in seen] == [int((drawn.steps >= k).sum()) for k in range(1, len(seen) + 1)]
    assert len(seen[-1]) < 30
    assert all(rows == sorted(rows) for rows in seen)
    assert float((drawn.x - targets).abs().max()) < 0.1


def test_a_start_around_a_whole_number_is_noisy():
    """Not rounded to whole numbers, as the mean is."""
    x = draw_start((1000, 1), 0, 1.0, generator=torch.Generator().manual_seed(0))
    assert x.is_floating_point()
    assert float(x.std()) == pytest.approx(1, abs=0.1)


SAMPLERS = [
    SISA(h=0.3, beta=0.2),
    SISA(h=0.3, beta=0.2, noise_level=known_schedule, denoise_last=True),
    FewSteps(8),
    MultiStep(8),
    Corrected(8, 0.3, 1.0, 0.01),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_an_empty_batch_gives_no_samples(sampler):
    samples = sampler(lambda x, phi=None, sigma=None: -x, torch.zeros(0, 3))
    assert (samples.x.shape, samples.steps.shape, samples.sigma.shape) == ((0, 3), (0,), (0,))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_a_score_that_takes_something_else_is_told_what_it_takes(sampler):
    class OfXAndT(torch.nn.Module):
        def forward(self, x, t):
            return -x

    for score in (lambda x: -x, lambda x, t: -x, OfXAndT()):
        with pytest.raises(TypeError, match=r"called as score\(x, phi, sigma\).*Wrap it"):
            sampler(score, torch.zeros(2, 3))


@pytest.mark.parametrize("sigma_0", [0.0, -1.0, math.inf, math.nan])
def test_a_start_that_is_no_noise_level_is_named(sigma_0):
    with pytest.raises(ValueError, match=r"^sigma_0: must be positive and finite"):
        SISA(sigma_0=sigma_0)


def test_one_phi_in_a_row_serves_samples_that_end_at_different_steps():
    """(1, F), as `features` of one signal gives it, is the same φ for all, to the end."""

    def score(x, phi=None, sigma=None):
        return phi - x

    sampler, phi = SISA(h=0.1, beta=0.3), torch.full((4,), 2.0, dtype=torch.float64)
    one, row = (sampler(score, start(20, 4), each, torch.Generator().manual_seed(0)) for each in (phi, phi[None]))
    assert len(set(one.steps.tolist())) > 1
    assert torch.equal(one.x, row.x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_too_coarse_to_sample_in(dtype):
    with pytest.raises(ValueError, match=rf"^x: is of {dtype}; sample in float32"):
        SISA()(point_mass, start(2).to(dtype))
