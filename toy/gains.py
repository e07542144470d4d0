"""How strong the forcing is and when it lets go: gains K_σ(x, y, σ), each set by the geometry of the mixture.

Forcing turns p_σ into p_σ·exp(−K|x − m_y|²/2) (Section 3). Two things are asked of K: while the noise joins the classes
it must outweigh the other ones, and it must be gone early enough for the class to regain its width λ.
"""

import math

import torch
from torch import Tensor

from toy.geometry import class_axis
from toy.mixture import GaussianMixture
from toy.scores import Gain

STRENGTH = 3.0  # c of K = c/(λ² + σ²)
TINY = 1e-9  # share of its variance left to a class that has none, so that its border has a place
NEAREST = 1 / 32  # least |t| that the posterior gain divides by
ESCAPE = 0.5  # of the visits to a border z sd away, which come at the rate φ(z)z (Kramers); the others fall back


def separation_gain(mixture: GaussianMixture, beta: float) -> Gain:
    """Return K = 3/(λ² + σ²) down to a noise level σ_c(y), then 0: the best gain that depends on σ alone.

    Where the best K ≥ 0 was searched for freely, as a function of σ (`benchmarks/best_gain.py`), it was of this form.
    β is that of the sampler: how much it mixes within a class after the release.
    """
    width = mixture.means.new_tensor([class_axis(mixture, y).width for y in range(mixture.K)])
    release = mixture.means.new_tensor([release_level(mixture, y, beta) for y in range(mixture.K)])

    def gain(x: Tensor, y: Tensor, sigma: Tensor) -> Tensor:
        K = STRENGTH / (width[y] ** 2 + sigma**2)
        return torch.where(sigma > release[y], K, 0.0)

    return gain


def release_level(mixture: GaussianMixture, y: int, beta: float) -> float:
    """Return the noise level σ_c, in the units of x, at which to end a linear forcing towards class y; ∞ for K = 1.

    Under K = c/v, with v = λ² + σ², the class is narrower than p_σ; released at σ_c it widens again, by L = (1/β − 1)·
    ln((λ² + σ_c²)/v) e-folds with the sampler's β, in which the mixture's own score also lets samples over to other
    classes. Released late, the class stays narrow; early, samples leak. σ_c is where both cost the least W1. For
    classes closer than about 8λ that least is well above the floor, and no K_σ that depends on σ alone can do better:
    what is missing of the class's score, (1 − p(y|x))·(m_y − m_y')/v, is 0 within the class, full beyond its border,
    not linear in x (lesson 6).
    """
    if mixture.K == 1:
        return math.inf
    width = class_axis(mixture, y).width
    others = torch.arange(mixture.K) != y
    D = (mixture.means[others] - mixture.means[y]).norm(dim=1) / width  # all lengths in units of λ
    log_odds = (mixture.weights[y] / mixture.weights[others]).log()
    highest = math.log10(max(1.0, float(D.min()) / 3))
    released = torch.logspace(highest, -1, 200, dtype=torch.float64)  # candidates σ_c; of equals the first
    sigma = released[:, None] * torch.logspace(0, -2, 100, dtype=torch.float64)  # from each of them down
    v = 1 + sigma**2
    L = (1 / beta - 1) * (v[:, :1] / v).log()
    variance = v * relative_variance(v / v[:, :1], beta)
    narrowing = math.sqrt(2 / math.pi) * (1 - (variance / v)[:, -1].sqrt())  # W1 of a Gaussian too narrow
    leak = torch.zeros_like(narrowing)
    for D_k, log_odds_k in zip(D, log_odds, strict=True):
        border = ((D_k / 2 + v * log_odds_k / D_k) / variance.sqrt()).clamp(min=0)  # where p(y|x) = p(k|x), in sd
        escape = ESCAPE * border * (-(border**2) / 2).exp() / math.sqrt(2 * math.pi)
        leak += D_k * torch.trapezoid(escape, L / 2)
    return width * float(released[(narrowing + leak).argmin()])


def relative_variance(ratio: Tensor, beta: float) -> Tensor:
    """Return the variance V of a class that was forced by K = c/v, in that of p_σ, v = λ² + σ², with `ratio` v/v_c.

    For h → 0 it obeys dV/dv = ((1 + c)V/v − (1 − β))/β: while forced V/v comes to κ = (1 − β)/(1 + c − β),
    and with c = 0 it goes back to 1 as (v/v_c)^{1/β − 1}. At β = 1 there is no way back.
    """
    kept = max((1 - beta) / (1 + STRENGTH - beta), TINY)
    return 1 - (1 - kept) * ratio ** (1 / beta - 1)


def posterior_gain(mixture: GaussianMixture) -> Gain:
    """Return K = (1 − p_σ(y|x)) / ((λ² + σ²)t): forcing where the class is in doubt.

    t is how far x has gone from m_y towards the rivals' mean m̄ at x: 0 at m_y, ½ half-way, 1 at m̄. With this K the
    forcing along m̄ − m_y is that of Bayes' rule, (1 − p)(m_y − m̄)/(λ² + σ²); half-way K is 2(1 − p)/(λ² + σ²).
    It uses the likelihood, so it is a relative of classifier guidance. What it gets wrong in d > 1 with an isotropic
    class is the rest: a scalar K pulls just as hard across m̄ − m_y, where Bayes' rule does not pull.
    """
    width = mixture.means.new_tensor([class_axis(mixture, y).width for y in range(mixture.K)])

    def gain(x: Tensor, y: Tensor, sigma: Tensor) -> Tensor:
        if mixture.K == 1:
            return torch.zeros_like(sigma)
        log_p = mixture.log_posterior(x, sigma).T  # (K, N)
        is_y = mixture.one_hot(y).bool().reshape(-1, mixture.K).T
        doubt = -torch.expm1(log_p.gather(0, y.expand(1, len(x)))[0])  # 1 − p(y|x)
        rivals = log_p.masked_fill(is_y, -math.inf).softmax(0).T @ mixture.means  # m̄
        away = rivals - mixture.means[y]
        nothing = torch.finfo(away.dtype).tiny  # between rivals of equal pull m̄ is m_y
        t = ((x - mixture.means[y]) * away).sum(1) / away.square().sum(1).clamp_min(nothing)
        t = torch.where(t < 0, t.clamp(max=-NEAREST), t.clamp(min=NEAREST))
        return doubt / ((width[y] ** 2 + sigma**2) * t)

    return gain
