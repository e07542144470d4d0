"""Lesson 7: What classifier-free guidance really samples.

Claim: With noise it samples p_y·p(y|x)^ω, the class if classes lie apart; without, a class narrowed and pushed out.
"""

# %%
import math

import torch

from fgs import SISA, ClassifierFreeGuidance, known_schedule
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, Judge, mixture_on_line, noise_range

lesson = Lesson(7)
generator = torch.Generator().manual_seed(0)
lam, h, n, y = 0.1, 0.05, 5000, 1

# %% [markdown]
# The usual way to get a class is to exaggerate its score (Section 2). Bayes' rule, Eq. 4, splits the score of a class
# in
#
#     ∇log p_σ(x|y) = ∇log p_σ(x) + ∇log p_σ(y|x)
#
# and *classifier-free guidance* (CFG) weights the second term more: with ω > 0,
#
#     g = (1 + ω) ∇log p_σ(x|y) − ω ∇log p_σ(x) = ∇log p_σ(x|y) + ω ∇log p_σ(y|x)
#
# Is it the score of something? At each σ, yes: of q_σ ∝ p_σ(x|y) p_σ(y|x)^ω. But lesson 3 wanted more. For a sampler
# to go from q_{σ_0} down to q_0, q_σ must be q_0 with noise added, and it is not: the power does not go through the
# integral. So which density comes out depends on the sampler. The two ends of the family of β can be computed.
#
# **Little β** (Langevin): the sampler rests in balance with the q_σ of its moment, so in the end with q_{σ_∞}. Its
# mean and sd are integrals over a grid. Where the classes lie far apart, p(y|x) = 1 all over class y when σ is small,
# and q is p_y = p(x|y), of sd λ, with σ_∞ on top: CFG is then right, for any ω. Where they overlap, q loses the side of
# p_y towards the other class, which shifts its mean.
#
# **β = 1**: no noise. Points move along dx = −½ g d(σ²). Once p(y|x) ≈ 1 that keeps (x − m_y)/√(λ² + σ²): what CFG did
# at large σ stays, to scale. We integrate 2001 quantiles of the start, by the fourth-order Runge-Kutta rule in log σ,
# to have an answer that does not use SISA.

# %%
grid = torch.linspace(-1.5, 3, 9001, dtype=torch.float64)[:, None]


def tilted(mixture, omega, sigma):
    """Mean and sd of q_σ ∝ p_σ(x|y) p_σ(y|x)^ω, in λ from the mean of the class."""
    log_posterior = mixture.log_posterior(grid, sigma)[:, y]
    log_q = mixture.log_prob(grid, sigma) + (1 + omega) * log_posterior  # p_σ(x) p_σ(y|x) ∝ p_σ(x|y)
    q = log_q.softmax(0)
    mean = float(q @ grid[:, 0])
    sd = math.sqrt(float(q @ (grid[:, 0] - mean).square()))
    return (mean - float(mixture.means[y])) / lam, sd / lam


def transported(score, mixture, sigma_0, sigma_end, steps=400):
    """Mean and sd of the flow's end, likewise, from the exact start N(m_y, λ² + σ_0²)."""
    quantiles = torch.special.ndtri((torch.arange(2001, dtype=torch.float64) + 0.5) / 2001)[:, None]
    x = mixture.means[y] + math.sqrt(lam**2 + sigma_0**2) * quantiles
    step = math.log(sigma_end / sigma_0) / steps

    def velocity(x, log_sigma):  # dx/d(log σ) = −σ²g
        return -score(x, mixture.one_hot(y), torch.tensor(math.exp(log_sigma), dtype=torch.float64))

    for k in range(steps):
        at = math.log(sigma_0) + k * step
        k1 = velocity(x, at)
        k2 = velocity(x + step / 2 * k1, at + step / 2)
        k3 = velocity(x + step / 2 * k2, at + step / 2)
        k4 = velocity(x + step * k3, at + step)
        x = x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return float(x.mean() - mixture.means[y]) / lam, float(x.std()) / lam


# %% [markdown]
# Now SISA, with the library's `ClassifierFreeGuidance`, for classes 14λ and 4λ apart, at both ends of β. All start
# from the exact noisy class, so that no error comes from there (lesson 3).

# %%
samples, rows, exact = {}, {}, {}
for D in (14, 4):
    mixture = mixture_on_line(K=2, spacing=D * lam, std=lam)
    sigma_0, sigma_inf = noise_range(mixture, h)
    judge = Judge.draw(mixture, y, n, sigma_inf, generator)
    for beta in (1.0, 0.1):
        for omega in (0.0, 1.0, 4.0):
            score = ClassifierFreeGuidance(ExactScore(mixture), ExactScore(mixture), omega)
            sampler = SISA(h, beta, sigma_0, sigma_inf, noise_level=known_schedule)
            start = mixture.sample(n, y, sigma_0, generator)
            x = sampler(score, start, mixture.one_hot(y), generator).x
            key = (D, beta, omega)
            samples[key] = (x[:, 0] - mixture.means[y]) / lam
            rows[key] = judge.measure("cfg", x, None)
            flow = beta == 1
            exact[key] = transported(score, mixture, sigma_0, sigma_inf) if flow else tilted(mixture, omega, sigma_inf)
for key in ((14, 1.0, 1.0), (14, 1.0, 4.0), (4, 1.0, 4.0), (14, 0.1, 4.0), (4, 0.1, 1.0), (4, 0.1, 4.0)):
    D, beta, omega = key
    lesson.compare(
        f"{D}λ apart, β = {beta:g}, ω = {omega:g}: error of the mean (λ)", rows[key].mean_error, exact[key][0]
    )
    lesson.compare(f"{D}λ apart, β = {beta:g}, ω = {omega:g}: sd (λ)", rows[key].sd, exact[key][1])
worst = max(row.distance_over_floor for (_, _, omega), row in rows.items() if omega == 0)
lesson.compare("ω = 0, the worst of four: W1 ÷ floor (between two true sets)", worst, "below 2")

# %%
figure, axes = lesson.figure(2, 2, width=4.2, height=2.6, sharex=True, sharey=True)
bins = torch.linspace(-4, 4, 81)
normal = (-bins.square() / 2).exp() / math.sqrt(2 * math.pi)
for row, beta in zip(axes, (1.0, 0.1), strict=True):
    for axis, D in zip(row, (14, 4), strict=True):
        for omega, style in ((1.0, "-"), (4.0, "--")):
            of_omega = samples[D, beta, omega]
            look = {"color": COLOURS["cfg1"], "ls": style, "lw": 1.2 if omega == 1 else 2.0}
            axis.hist(of_omega, bins.tolist(), density=True, histtype="step", **look)
            axis.plot([], [], label=f"CFG, ω = {omega:g}", **look)
        axis.plot(bins, normal, color=TRUTH, lw=1, label="the class")
        axis.axvline(0, color=OTHER, lw=0.8)
        axis.set_title(f"{D}λ apart, β = {beta:g} ({'no noise' if beta == 1 else 'much noise'})")
axes[0, 0].legend(fontsize=8)
for axis in axes[1]:
    axis.set_xlabel("distance from the mean of the class (λ); ← other class")
for axis in axes[:, 0]:
    axis.set_ylabel("density (1/λ)")
lesson.save(figure, "what_it_samples")

# %% [markdown]
# One panel of four is right: much noise, and classes far apart. Even there ω buys nothing: ω = 0 (not drawn), the
# class's own score, is right in all four. The paper's argument holds in three; it should be told with the fourth.
#
# In a trained network the class's score is itself an estimate, and ω > 0 hides its errors by narrowing: samples look
# better and are less diverse. Lesson 14 measures that on textures.

# %%
misfit = max(max(abs(rows[k].mean_error - exact[k][0]), abs(rows[k].sd - exact[k][1])) for k in rows)
lesson.compare("largest misfit of a mean or sd (λ)", misfit, "below 0.05: h and β are not 0")
right = abs(rows[14, 0.1, 4.0].sd - 1) < 0.05
wrong = rows[14, 1.0, 4.0].sd < 0.7 and rows[4, 0.1, 4.0].mean_error > 0.1
assert misfit < 0.05 and right and wrong, "both regimes as computed"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Which ω < 0 gives the mixture? Try ω = −0.5 at 14λ: how many samples are nearest to m_y, at both β?
# 2. For two classes at ±m, write q_0 for large ω. Where is its maximum when p(y|x) = 1/(1 + e^{−2mx/λ²})?
# 3. At 14λ and β = 1, set ω = 4 while σ > 5λ only, and 0 below. Is the class right now? What does that say of guiding
#    in an interval of σ only?
