import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import random_mixture
from fgs.guidance import ClassifierFreeGuidance, ClassifierGuidance
from fgs.protocols import ProjectedScore
from toy import ExactScore

SEEDS = st.integers(0, 2**31)


def case(seed, sigma=0.7):
    mixture = random_mixture(seed, K=3)
    x = mixture.sample(20, sigma=sigma, generator=torch.Generator().manual_seed(seed))
    return mixture, ExactScore(mixture), x, torch.tensor(sigma, dtype=torch.float64)


@given(SEEDS)
def test_classifier_guidance_with_the_true_likelihood_is_the_conditional_score(seed):
    """Bayes' rule, Eq. 4."""
    mixture, score, x, sigma = case(seed)
    guided = ClassifierGuidance(score, mixture.log_posterior)
    torch.testing.assert_close(guided(x, mixture.one_hot(1), sigma), score(x, mixture.one_hot(1), sigma))
    assert torch.equal(guided(x, None, sigma), score(x, None, sigma))


@given(SEEDS, st.floats(0, 5))
def test_cfg_weights_the_likelihood_by_one_plus_omega(seed, omega):
    """(1 + ω)∇log p(y|x) + ∇log p(x), Section 2: classifier guidance of that scale, by another way."""
    mixture, score, x, sigma = case(seed)
    y = mixture.one_hot(2)
    by_likelihood = ClassifierGuidance(score, mixture.log_posterior, scale=1 + omega)(x, y, sigma)
    cfg = ClassifierFreeGuidance(score, score, omega)
    torch.testing.assert_close(cfg(x, y, sigma), by_likelihood, rtol=1e-6, atol=1e-8)
    assert torch.equal(cfg(x, None, sigma), score(x, None, sigma))


def test_guidance_takes_a_class_a_row_and_a_sigma_a_row():
    mixture, score, x, _ = case(1)
    y, sigma = torch.arange(20) % 3, torch.linspace(0.1, 2, 20, dtype=torch.float64)
    expected = score(x, mixture.one_hot(y), sigma)
    torch.testing.assert_close(ClassifierGuidance(score, mixture.log_posterior)(x, mixture.one_hot(y), sigma), expected)
    for row in (0, 7, 19):
        alone = score(x[row : row + 1], mixture.one_hot(int(y[row])), sigma[row])
        torch.testing.assert_close(alone[0], expected[row])


def test_a_clean_classifier_is_right_on_clean_data_only():
    """p_σ(y|x_σ) ≠ p(y|x_σ), Section 2."""
    mixture, score, x, sigma = case(2, sigma=1.0)
    wrong = ClassifierGuidance(score, lambda x, sigma: mixture.log_posterior(x, 0.05))  # of any σ
    right = ClassifierGuidance(score, mixture.log_posterior)
    y = mixture.one_hot(0)
    clean = torch.tensor(0.05, dtype=torch.float64)
    torch.testing.assert_close(wrong(x, y, clean), right(x, y, clean))
    assert float((wrong(x, y, sigma) - right(x, y, sigma)).norm()) > 2 * float(right(x, y, sigma).norm())


def test_guidance_is_a_projected_score_and_needs_sigma():
    mixture, score, x, _ = case(3)
    guided = ClassifierGuidance(score, mixture.log_posterior)
    for rule in (guided, ClassifierFreeGuidance(score, score, 1.0), score):
        assert isinstance(rule, ProjectedScore)
        with pytest.raises(ValueError, match=r"^sigma:"):
            rule(x, mixture.one_hot(0))
    blind = ClassifierGuidance(lambda x, phi=None, sigma=None: -x, mixture.log_posterior)
    with pytest.raises(ValueError, match=r"^sigma:"):
        blind(x, mixture.one_hot(0))


def test_the_gradient_of_guidance_is_that_of_the_conditional_score():
    """Whoever differentiates the score gets all of it, as `Posterior` and `asymmetry` do."""
    mixture, score, x, sigma = case(3)
    x, phi = x.requires_grad_(), mixture.one_hot(1)
    probe = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(0))
    guided = ClassifierGuidance(score, mixture.log_posterior)
    gradients = [torch.autograd.grad(each(x, phi, sigma), x, probe)[0] for each in (guided, score)]
    torch.testing.assert_close(*gradients)
    assert not guided(x.detach(), phi, sigma).requires_grad
