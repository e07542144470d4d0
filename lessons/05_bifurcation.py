"""Lesson 5: Bifurcation: when is a class chosen?

Claim: With narrow classes at ±m one basin becomes two at σ_S ≈ |m|; by half of that, at β ≥ ½, most have chosen.
"""

# %%
import math

import torch

from fgs import SISA, add_noise, draw_start, known_schedule
from fgs.figures import CLASS_COLOURS, COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, mixture_on_line

lesson = Lesson(5)
generator = torch.Generator().manual_seed(0)
m, lam = 0.5, 0.1
mixture = mixture_on_line(K=2, spacing=2 * m, std=lam)  # classes y = 0 at −m and y = 1 at +m
score = ExactScore(mixture)

# %% [markdown]
# To guide a trajectory to a class we must know when it chooses one (Section 3, "Trajectory dynamics"). Let each class
# have the sd λ. With v = λ² + σ² the noisy density of class 1 is p_{σ,1} = N(m, v), and p_σ is proportional to
# exp(−(x − m)²/2v) + exp(−(x + m)²/2v). Bayes' rule gives the class, and lesson 1 the score, the classes' scores
# −(x ∓ m)/v weighted by it:
#
#     p_σ(y = 1 | x) = 1/(1 + e^{−2mx/v}),      ∇log p_σ(x) = −x/v + (m/v) tanh(mx/v)
#
# Near 0, tanh(u) ≈ u, so ∇log p_σ ≈ (m²/v − 1) x/v. While v > m² this points to 0: there is one basin, and all
# trajectories are in it. Once v < m² it points away from 0: there are two. The change is at v = m², that is at
#
#     σ_S = √(m² − λ²) ≈ |m|          the *speciation* level.
#
# In the figure below, at β = ½, time runs to the right; trajectories have the colour of the class in which they end.

# %%
sigma_0, sigma_inf = 2.0, 0.016
sigma_s = math.sqrt(m**2 - lam**2)
x = draw_start((60, 1), mixture.centre, sigma_0, generator=generator)
sampler = SISA(0.05, 0.5, sigma_0, sigma_inf, noise_level=known_schedule)
steps = [(sigma_0, x), *((float(step.sigma), step.x) for step in sampler.iterate(score, x, generator=generator))]
levels, paths = [sigma for sigma, _ in steps], torch.stack([x[:, 0] for _, x in steps])

figure, axis = lesson.figure(width=6.4)
for path in paths.T:
    axis.plot(levels, path, color=CLASS_COLOURS[0 if path[-1] < 0 else 2], lw=0.6, alpha=0.7)
for at, text in ((sigma_s, "σ_S"), (sigma_s / 2, "σ_S/2")):
    axis.axvline(at, color=TRUTH, ls="--", lw=1)
    axis.annotate(text, (at * 0.93, 3.1))
axis.set(xscale="log", xlim=(sigma_0, sigma_inf), ylim=(-3.6, 3.6), xlabel="noise level σ (units of x)")
axis.set(ylabel="x (units of x)", title="The bundle begins to split at σ_S and has split by σ_S/2")
lesson.save(figure, "trajectories")

# %% [markdown]
# Does the sign of the slope at 0 change where we say? The library's score knows nothing of our formula.

# %%
near = torch.full((1, 1), 1e-6, dtype=torch.float64)
high, low = 2.0, 0.05
for _ in range(50):  # bisection
    middle = (high + low) / 2
    high, low = (middle, low) if float(mixture.score(near, middle)) < 0 else (high, middle)
lesson.compare("noise level where the score at 0 turns outwards", middle, sigma_s)

# %% [markdown]
# **The U-turn.** To say how much is decided at σ, take a clean sample of class 1, add noise σ, and sample back down
# from there. Does it come back to its class? At β = ½ SISA runs the noising backwards in time, so it ends in a draw
# from p(x | x_σ), which is of class 1 with the probability p_σ(y = 1 | x_σ). On average it comes back with
#
#     U(σ) = E_{x_σ ~ p_{σ,1}} [ p_σ(y = 1 | x_σ) ] = ∫ N(x_σ; m, v) / (1 + e^{−2mx_σ/v}) dx_σ
#
# an integral that we compute on a grid. Put x_σ = m + √v u and r = m/√v: the fraction is 1/(1 + e^{−2r(r + u)}), so
# that U depends on r alone. At σ_S, r = 1.
#
# At β = 1 nothing is random: x_σ > 0 goes to +m, x_σ < 0 to −m. Then U(σ) = P(x_σ > 0) = Φ(r), the normal distribution
# function. It is larger: both send half of all points to class 1, but the flow those that likeliest are of class 1.

# %%
u = torch.linspace(-8, 8, 4001, dtype=torch.float64)
weight = (-u.square() / 2).exp() / math.sqrt(2 * math.pi)


def returns(sigma, beta):
    r = m / math.sqrt(lam**2 + sigma**2)
    if beta == 1:
        return (1 + math.erf(r / math.sqrt(2))) / 2  # Φ(r)
    return float(torch.trapezoid(weight * torch.sigmoid(2 * r * (r + u)), u))


def measured_returns(sigma, beta, n=4000):
    x_sigma, _ = add_noise(mixture.sample(n, 1, generator=generator), torch.tensor(sigma), generator)
    sampler = SISA(0.05, beta, sigma, sigma_inf, noise_level=known_schedule)
    return float((sampler(score, x_sigma, generator=generator).x > 0).double().mean())


ratios = (0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5, 4.0)  # σ/σ_S
measured = {beta: [measured_returns(ratio * sigma_s, beta) for ratio in ratios] for beta in (0.5, 1.0)}
for beta in (0.5, 1.0):
    lesson.compare(f"share that comes back from σ_S, β = {beta}", measured[beta][4], returns(sigma_s, beta))
lesson.compare("share that comes back from σ_S/2, β = 0.5", measured[0.5][2], returns(sigma_s / 2, 0.5))
lesson.compare("share that comes back from 4σ_S, β = 0.5", measured[0.5][-1], returns(4 * sigma_s, 0.5))

# %%
figure, axis = lesson.figure(width=5.6, height=3.6)
fine = torch.logspace(math.log10(0.15), math.log10(5), 100).tolist()
for beta, style, marker in ((0.5, "-", "o"), (1.0, "--", "^")):
    axis.plot(fine, [returns(ratio * sigma_s, beta) for ratio in fine], style, color=TRUTH, lw=1)
    axis.plot(
        ratios, measured[beta], marker, color=COLOURS["exact"], label=f"β = {beta}", mfc="none" if beta == 1 else None
    )
axis.plot([], [], color=TRUTH, lw=1, label="exact (dashed: β = 1)")
axis.axvline(1, color=OTHER, ls="--", lw=1)
axis.axhline(0.5, color=OTHER, lw=0.8)
axis.set(xscale="log", xlabel="noise added, in σ_S", ylabel="share that comes back to its class", ylim=(0.4, 1.05))
axis.set_xticks([0.2, 0.5, 1, 2, 4], ["0.2", "0.5", "1", "2", "4"])
axis.minorticks_off()
axis.legend()
axis.set_title("From σ_S/2 nearly all come back; from 4σ_S, at β = ½, half")
lesson.save(figure, "u_turn")

# %% [markdown]
# What this is worth: to get class 1, a trajectory must be pushed while σ is above about σ_S/2, and may be let go
# below (at β ≥ ½; with more noise, later: exercise 2). A trajectory that was guided by the exact score of class 1
# down to σ has x_σ ~ p_{σ,1}, which is just what noise added to samples of class 1 gives. So U(σ) is also the share
# that ends in the class if guidance stops at σ: the paper's Fig. 13. How to push without knowing the class's score is
# lesson 6.

# %%
worst = max(
    abs(a - returns(r * sigma_s, beta)) for beta in measured for a, r in zip(measured[beta], ratios, strict=True)
)
settled = measured[0.5][2] > 0.94
assert abs(middle - sigma_s) < 1e-6 and worst < 0.03 and settled, "a class is chosen around σ_S, as the integral says"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Give class 1 the weight 0.9. Where, if anywhere, does the score at 0 turn outwards, and what is lim U(σ) for
#    large σ?
# 2. At β = 0.1, is the share that comes back above or below U(σ)? Guess from lesson 3, then measure.
# 3. In d dimensions with means ±m and λ Id: which direction decides, and what becomes of σ_S?
