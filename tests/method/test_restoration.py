"""Restoration against the posterior of a mixture, which is a mixture: scores in closed form, samples to the floor."""

import pytest
import torch

from conftest import random_mixture
from fgs.few_steps import MultiStep
from fgs.measures import energy_distance, two_sample_floor
from fgs.noise import seeded
from fgs.protocols import ProjectedScore
from fgs.restoration import Posterior, Projected, adjoint, estimate_noise, solve
from fgs.sampling import SISA, draw_start
from fgs.steering import Steered
from toy import ExactScore, GaussianMixture

N = 2000


def matrix(m, d, seed=0):
    return torch.randn(m, d, dtype=torch.float64, generator=seeded(seed))


def test_conjugate_gradients_solve_row_by_row():
    A = matrix(6, 6)
    A = A @ A.T + torch.eye(6)
    b = torch.cat([matrix(3, 6, 1), torch.zeros(1, 6).double()])  # a row that is solved at once stops by itself
    torch.testing.assert_close(solve(lambda u: u @ A, b, 12), torch.linalg.solve(A, b.T).T)
    assert solve(lambda u: -u, b, 3).eq(0).all()


def test_the_adjoint_is_the_transposed_matrix():
    M = matrix(2, 5)
    like, u = torch.zeros(3, 5).double(), matrix(3, 2, 1)
    torch.testing.assert_close(adjoint(lambda x: x @ M.T, like)(u), u @ M)


@pytest.mark.parametrize("seed", range(4))
def test_the_posterior_of_a_mixture_is_bayes_rule(seed):
    """Log p(x|y) and log p(x) + log p(y|x) differ by a constant."""
    thin = random_mixture(seed, d=3)  # to which a little is added, for a density
    mixture = GaussianMixture(thin.weights, thin.means, thin.covariances + 0.1 * torch.eye(3))
    M, y = matrix(2, 3, seed), matrix(1, 2, seed + 1)[0]
    posterior = mixture.given(M, y, 0.3)
    x = matrix(50, 3, seed + 2)
    log_y = -(x @ M.T - y).square().sum(1) / (2 * 0.3**2)
    difference = posterior.log_prob(x) - mixture.log_prob(x) - log_y
    torch.testing.assert_close(difference, difference[:1].expand(50), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("sigma", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("m", [1, 3])
def test_for_one_gaussian_the_covariance_aware_score_is_exact(sigma, m):
    mixture = random_mixture(5, K=1, d=4)
    M, y = matrix(m, 4), matrix(1, m, 1)[0]
    score = Posterior(ExactScore(mixture), lambda x: x @ M.T, y, 0.2, iterations=m)
    assert isinstance(score, ProjectedScore)
    x, sigma = matrix(6, 4, 2), torch.tensor(sigma).double()
    torch.testing.assert_close(score(x, None, sigma), ExactScore(mixture.given(M, y, 0.2))(x, None, sigma))
    assert not score(x, None, sigma).requires_grad


def test_projection_is_the_algorithm_of_its_paper():
    """(I − MᵀM)s + Mᵀ(y − Mx) for rows that are orthonormal; for others what M sees of x is drawn to y all the same."""
    mixture, y = random_mixture(0, d=5), matrix(1, 2, 1)[0]
    x, sigma = matrix(4, 5, 2), torch.tensor(0.4).double()
    s = ExactScore(mixture)(x, None, sigma)
    M = torch.linalg.qr(matrix(5, 2))[0].T
    expected = s - s @ M.T @ M + (y - x @ M.T) @ M
    score = Projected(ExactScore(mixture), lambda x: x @ M.T, y)
    torch.testing.assert_close(score(x, None, sigma), expected)
    L = matrix(2, 5, 3)
    score = Projected(ExactScore(mixture), lambda x: x @ L.T, y, iterations=2)
    torch.testing.assert_close((x + score(x, None, sigma)) @ L.T, y.expand(4, 2))


def test_a_posterior_must_know_sigma():
    with pytest.raises(ValueError, match=r"^sigma: the posterior needs"):
        Posterior(lambda x, phi=None, sigma=None: -x, lambda x: x, torch.zeros(1, 2), 0.1)(torch.zeros(1, 2))


def measured(d, m, noise, seed):
    """Three classes, what is seen of a sample, and the sd of the noise: a share of that of the data."""
    C = 0.1 * matrix(3 * d, d, seed).view(3, d, d)
    C = C @ C.mT / d + 0.0025 * torch.eye(d)
    mixture = GaussianMixture(torch.full((3,), 1 / 3).double(), 0.5 * matrix(3, d, seed + 1), C)
    M = torch.linalg.qr(matrix(d, m, seed + 2))[0].T
    sd = float(mixture.sample(4000, generator=seeded(9)).std(0).mean())
    x = mixture.sample(1, generator=seeded(seed, 3))
    return mixture, M, (x @ M.T + noise * sd * matrix(1, m, 4))[0], sd


class Asked:
    """A measurement of a mixture, exact samples given it, and how far others are from them."""

    def __init__(self, d, m, noise):
        self.mixture, M, self.y, sd = measured(d, m, noise, seed=10)
        self.posterior, self.noise = self.mixture.given(M, self.y, noise * sd), noise * sd
        self.true = [self.posterior.sample(N, generator=seeded(20 + k)) for k in range(4)]
        self.start = draw_start((N, d), self.mixture.centre, 3 * sd, sd, seeded(5))
        self.ends = {"sigma_0": 3 * sd, "sigma_inf": 0.1 * noise * sd}
        self.of = {"score": ExactScore(self.mixture), "measure": lambda x: x @ M.T, "y": self.y}
        self.score = Posterior(**self.of, noise=self.noise, iterations=m)

    def over_floor(self, sampler, score):
        x = sampler(score, self.start, None, seeded(6)).x
        floor = two_sample_floor(energy_distance, self.true)
        return sum(float(energy_distance(x, t)) for t in self.true) / len(self.true) / floor


@pytest.mark.slow
@pytest.mark.parametrize(("d", "m", "noise"), [(2, 1, 0.2), (16, 8, 0.05), (16, 8, 0.2)])
def test_samples_of_a_posterior_of_one_class(d, m, noise):
    """With much noise on the way: at β = .3 a few samples are stuck in classes that y excludes."""
    asked = Asked(d, m, noise)
    assert asked.posterior.weights.max() > 0.99
    sampler = MultiStep(300, 0.05, **asked.ends)
    assert asked.over_floor(sampler, asked.score) < 2
    assert asked.over_floor(sampler, Projected(**asked.of)) > 2, "it reproduces y with its noise"


@pytest.mark.slow
def test_particles_mend_the_shares_of_classes():
    """Which no noise does: one Gaussian for what is left unknown, at noise at which it is two, decides for too many."""
    asked = Asked(16, 4, 0.5)
    assert asked.posterior.weights.max() < 0.8
    width = float(asked.mixture.covariances.diagonal(dim1=1, dim2=2).mean())

    def log_y(x, x_hat, sigma):
        away = (asked.of["measure"](x_hat) - asked.y).square().sum(1)
        return -away / (2 * (asked.noise**2 + sigma**2 * width / (sigma**2 + width)))

    particles = Steered(200, 0.5, **asked.ends, potential=log_y, free=ExactScore(asked.mixture))
    assert asked.over_floor(particles, asked.score) < 2
    assert asked.over_floor(MultiStep(300, 0.05, **asked.ends), asked.score) > 10


@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_noise_of_a_signal_is_found(sigma):
    """Of a Gaussian in 400 of 500 dimensions the residual alone says 63 % of σ = .1."""
    variance = torch.cat([torch.full((400,), 0.04), torch.zeros(100)]).double()

    def score(x, phi=None, s=None):
        return -x * sigma**2 / (variance + sigma**2)

    x = (variance + sigma**2).sqrt() * matrix(20, 500)
    found = estimate_noise(score, x)
    assert float(found.mean()) == pytest.approx(sigma, rel=0.02)
    assert float(score(x).square().mean().sqrt()) < 0.95 * sigma


def test_projection_that_is_told_of_noise_is_exact_for_a_round_gaussian():
    mixture = GaussianMixture([1.0], matrix(1, 4), 0.3**2 * torch.eye(4)[None])
    M, y = torch.linalg.qr(matrix(4, 2, 1))[0].T, matrix(1, 2, 2)[0]
    x, sigma = matrix(5, 4, 3), torch.tensor(0.4).double()
    score = Projected(ExactScore(mixture), lambda x: x @ M.T, y, noise=0.2, width=0.3, iterations=2)
    torch.testing.assert_close(
        score(x, None, sigma), ExactScore(mixture.given(M, y, 0.2))(x, None, sigma), rtol=1e-5, atol=1e-5
    )
    with pytest.raises(ValueError, match=r"^sigma: is needed"):
        Projected(lambda x, phi, sigma: -x, lambda x: x @ M.T, y, noise=0.2)(x)


@pytest.mark.parametrize("iterations", [1, 2, 5])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_what_y_has_where_nothing_was_seen_does_not_count(iterations, noise):
    """Of five coordinates three were seen: rows of M that are 0 meet conjugate gradients, and must leave nothing."""
    mixture, known = random_mixture(2, d=5), torch.tensor([1.0, 1, 0, 1, 0]).double()
    x, y, sigma = matrix(4, 5), known * matrix(1, 5, 1)[0], torch.tensor(0.4).double()

    def pulled(y):
        return Projected(ExactScore(mixture), lambda x: known * x, y, noise, iterations=iterations)(x, None, sigma)

    away = y - known * (x + ExactScore(mixture)(x, None, sigma))
    expected = ExactScore(mixture)(x, None, sigma) + away / (1 + noise**2 * (sigma**-2 + 1))
    torch.testing.assert_close(pulled(y), expected)
    torch.testing.assert_close(pulled(y + 9 * (1 - known)), expected)


@pytest.mark.parametrize("kind", [Projected, Posterior])
def test_every_sample_may_have_a_measurement_of_its_own(kind):
    """Also where samples end at different steps: they come out as the first of them alone."""
    mixture, M, more = random_mixture(0, d=6), matrix(2, 6), {"noise": 0.1} if kind is Posterior else {}
    y = mixture.sample(8, generator=seeded(1)) @ M.T
    x = draw_start((8, 6), 0.0, 1.0, generator=seeded(2)).double()
    sampler = SISA(h=0.1, beta=0.3)
    drawn, first = (
        sampler(kind(ExactScore(mixture), lambda x: x @ M.T, y[:n], **more), x[:n], None, seeded(3)) for n in (8, 3)
    )
    assert len(set(drawn.steps.tolist())) > 1
    torch.testing.assert_close(drawn.x[:3], first.x)
    assert torch.equal(drawn.steps[:3], first.steps)
