"""OR and AND of densities against mixtures and products that are known; log p along the path against the exact one."""

import pytest
import torch

from fgs.composition import AllOf, AnyOf, Several
from fgs.measures import energy_distance, two_sample_floor
from fgs.noise import seeded
from fgs.protocols import SISASampler
from fgs.sampling import SISA, draw_start
from toy import ExactScore, GaussianMixture

WIDTH, SIGMA_0, SIGMA_INF = 0.2, 4.0, 0.02


def classes(*means, width=WIDTH):
    means = torch.tensor(means, dtype=torch.float64)
    K, d = means.shape
    return GaussianMixture(torch.full((K,), 1 / K).double(), means, width**2 * torch.eye(d).expand(K, d, d).double())


def several(mixture):
    return Several((ExactScore(mixture),) * mixture.K, tuple(mixture.one_hot(torch.arange(mixture.K))))


def start(n, mixture):
    return draw_start((n, mixture.d), mixture.centre, SIGMA_0, WIDTH, seeded(0))


def exact_log_p(mixture, x, sigma):
    return (mixture.log_posterior(x, sigma) + mixture.log_prob(x, sigma)[:, None]).T


def end_of(kind, calls, mixture, x):
    """The last step of a path, and log p_i there less the exact one, (M, N)."""
    exact = exact_log_p(mixture, x, torch.tensor(SIGMA_0).double())
    score = Several(several(mixture).scores, several(mixture).phis, exact)
    for last in kind(calls, SIGMA_0, SIGMA_INF).densities(score, x, seeded(1)):
        step, found = last
    return step, found - exact_log_p(mixture, step.x, step.sigma)


def test_log_p_along_the_path_comes_to_the_exact_one():
    """To first order in the step, and of densities that differ by tens."""
    mixture = classes([-1.0, 0], [1.0, 0.5])
    x = start(200, mixture)
    errors = [end_of(AnyOf, calls, mixture, x)[1].square().mean().sqrt() for calls in (100, 400)]
    assert errors[1] < 0.35 * errors[0]
    exact = exact_log_p(mixture, end_of(AnyOf, 400, mixture, x)[0].x, SIGMA_INF)
    assert errors[1] < 0.03 * exact.std()


def test_differences_of_log_p_are_exact_where_densities_are_of_one_width():
    mixture = classes([-1.0, 0], [1.0, 0.5])
    _, error = end_of(AllOf, 50, mixture, start(200, mixture))
    torch.testing.assert_close(error[0], error[1])


def test_or_samples_the_mixture():
    mixture = classes([-1.0, 0], [1.0, 0.5], [0.0, -1.2])
    x = AnyOf(200, SIGMA_0, SIGMA_INF, denoise_last=False)(several(mixture), start(3000, mixture), None, seeded(2)).x
    true = [mixture.sample(3000, sigma=SIGMA_INF, generator=seeded(10 + k)) for k in range(6)]
    floor = two_sample_floor(energy_distance, true)
    assert sum(float(energy_distance(x, t)) for t in true) / 6 / floor < 1.5


def test_or_of_scores_of_several_networks():
    one, two = classes([-1.0, 0]), classes([1.0, 0.5])
    score = Several((ExactScore(one), ExactScore(two)), (None, None))
    x = AnyOf(200, SIGMA_0, SIGMA_INF)(score, start(2000, classes([-1.0, 0], [1.0, 0.5])), None, seeded(2)).x
    assert float((x[:, 0] < 0).double().mean()) == pytest.approx(0.5, abs=0.04)


def test_and_comes_to_where_densities_are_equal():
    """Two Gaussians of one width: the line half way between; an average of scores comes to one point of it."""
    mixture = classes([-0.3, 0], [0.3, 0.0])
    x = AllOf(200, SIGMA_0, SIGMA_INF)(several(mixture), start(500, mixture), None, seeded(2)).x
    log_odds = mixture.log_posterior(x, SIGMA_INF)
    assert (log_odds[:, 0] - log_odds[:, 1]).abs().median() < 0.5  # at a mean of one class 4.5
    assert float(x[:, 1].std()) == pytest.approx(WIDTH, rel=0.15)


def test_and_of_one_density_twice_is_that_density():
    mixture = classes([0.3, 0.1])
    twice = Several((ExactScore(mixture),) * 2, (None, None))
    x = AllOf(100, SIGMA_0, SIGMA_INF)(twice, start(2000, mixture), None, seeded(2)).x
    assert float(x[:, 0].mean()) == pytest.approx(0.3, abs=4 * WIDTH / 2000**0.5 + 0.01)
    assert float(x.std(0).mean()) == pytest.approx(WIDTH, rel=0.05)


@pytest.mark.parametrize("kind", [AnyOf, AllOf])
def test_it_is_a_sampler_of_several_scores(kind):
    mixture = classes([-1.0, 0], [1.0, 0.5])
    sampler = kind(5, 1.0, 0.1, denoise_last=True)
    assert isinstance(sampler, SISASampler)
    samples = sampler(several(mixture), torch.zeros(3, 2).double(), None, seeded(0))
    assert samples.steps.tolist() == [4, 4, 4]
    assert sampler.planned_steps() == 5
    s = several(mixture)
    torch.testing.assert_close(s(samples.x, None, samples.sigma), s.each(samples.x, samples.sigma).mean(0))
    with pytest.raises(TypeError, match=r"^score: give Several"):
        sampler(ExactScore(mixture), torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"^calls: too few"):
        kind(1, denoise_last=True)


def test_several_may_ask_for_another_phi_in_every_sample():
    """Also where samples end at different steps."""

    def score(x, phi=None, sigma=None):
        return phi - x

    targets = torch.arange(16.0).view(8, 2).double().repeat(1, 2)
    x = targets + draw_start((8, 4), 0.0, 1.0, generator=seeded(0)).double()
    drawn = SISA(h=0.1, beta=0.3)(Several((score, score), (targets - 1, targets + 1)), x, None, seeded(1))
    assert len(set(drawn.steps.tolist())) > 1
    assert float((drawn.x - targets).abs().max()) < 0.1
