"""Lesson 2: From noise to samples.

Claim: Steps towards the denoised signal, each with a little noise put back, turn noise into samples of the density.
"""

# %%
import math

import torch

from fgs import SISA, draw_start, known_schedule, two_sample_floor, wasserstein_1
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, mixture_on_line

lesson = Lesson(2)

# %% [markdown]
# Lesson 1 gave us s(x_σ) = x̂(x_σ) − x_σ, the way from a noisy signal to the best guess of the clean one. Jumping
# there, x_σ ← x_σ + s, does not give a sample: from pure noise the best guess is the mean of everything (last figure of
# lesson 1). But a small step in that direction is right, since after it there is less noise and the next guess is a
# better one.
#
# **A step h.** Write x_{k−1} = x + σz, x clean and σ = σ_{k−1}. Where the guess is good, s ≈ −σz, and x_{k−1} + hs ≈
# x + (1 − h)σz: a share h of the noise is gone. Then some noise is put back, γz', independent of the first. How much?
# Say that after the step there shall be the noise σ_k = (1 − βh)σ, with a number β in (0, 1]. Variances of
# independent noises add, so
#
#     (1 − h)²σ² + γ² = (1 − βh)²σ²        →        γ² = ((1 − βh)² − (1 − h)²) σ²
#
# For β = 1 nothing is put back. For β → 0 nearly all of it is, and the noise goes down slowly (lesson 3 says what
# for).
#
# That is the whole sampler, Algorithm 3: *stochastic iterative score ascent*, SISA. Here it is, with the lines of the
# paper. One line differs: the paper estimates σ from s, we take it from the schedule, since in one dimension the
# estimate is wrong (lesson 4).

# %%
mixture = mixture_on_line(K=2, spacing=1.0, std=0.1)  # m_y = ±0.5, λ = 0.1
score = ExactScore(mixture)  # s = x̂ − x_σ = σ²∇log p_σ, p_σ the density of x_σ
h, beta, sigma_0, sigma_inf, n = 0.05, 0.2, 1.0, 0.015, 5000

generator = torch.Generator().manual_seed(0)
start = draw_start((n, 1), mixture.centre, sigma_0, generator=generator)  # line 2: x_0 ~ N(m, σ_0² Id)
x, sigma, path, levels = start, torch.tensor(sigma_0, dtype=torch.float64), [start[:40]], [sigma_0]
while sigma >= sigma_inf:  # line 3
    s = score(x, None, sigma)  # None: no class is asked for
    gamma = sigma * math.sqrt((1 - beta * h) ** 2 - (1 - h) ** 2)  # line 6
    z = torch.randn(x.shape, generator=generator, dtype=torch.float64)  # line 7, the z' above
    x = x + h * s + gamma * z  # line 8
    sigma = (1 - beta * h) * sigma  # in place of line 5
    path.append(x[:40])
    levels.append(float(sigma))

# %%
figure, (left, right) = lesson.figure(columns=2, sharey=True, width_ratios=(2, 1))
for i in range(40):
    left.plot(levels, [at[i, 0] for at in path], color=COLOURS["exact"], lw=0.6, alpha=0.6)
left.set(xscale="log", xlim=(sigma_0, sigma_inf), ylim=(-2, 2))
left.set(xlabel="noise level σ (units of x)", ylabel="x (units of x)", title="40 trajectories, from noise to samples")
grid = torch.linspace(-2, 2, 801, dtype=torch.float64)[:, None]
bins = torch.linspace(-2, 2, 161).tolist()
right.hist(
    x[:, 0], bins, density=True, orientation="horizontal", color=COLOURS["exact"], alpha=0.75, label="5000 samples"
)
right.plot(mixture.log_prob(grid).exp(), grid, color=TRUTH, lw=1, label="p")
right.set(xlabel="density (1/units of x)", title="where they end")
right.legend(loc="upper right")
lesson.save(figure, "trajectories")

# %% [markdown]
# Is that the density p? A distance of two sets of numbers is W1 (Wasserstein): sort both; W1 is the mean |difference|
# of the smallest, the second, and so on. Two sets of true samples are not at distance 0 either: the distance of true
# from true is the *floor*, and a sampler is judged by its distance divided by the floor. Two things can be wrong
# here: how many samples each class gets, and how they lie within it. The share is a coin thrown 5000 times, ½ ±
# 0.007. For the rest we fold the classes onto each other by |x|. (x still carries σ_∞, which makes a class 1 % wider.)

# %%
true = [mixture.sample(n, generator=generator).abs() for _ in range(8)]
floor = two_sample_floor(wasserstein_1, true)
distance = sum(float(wasserstein_1(x.abs(), of_true)) for of_true in true) / len(true)
share = float((x > 0).double().mean())
lesson.compare("share of the class of mean +0.5", share, 0.5)
lesson.compare("W1 to true samples ÷ floor, classes folded", distance / floor, "0.6 to 1.4")

# %% [markdown]
# **How small must h be?** Take one Gaussian, p = N(0, λ²), where s = −σ²/(λ² + σ²)·x. A step multiplies x by 1 −
# hσ²/(λ² + σ²), then adds γ; so the variance v of the samples goes from step to step as
#
#     v ← (1 − hσ²/(λ² + σ²))² v + γ²                 and should be λ² + σ_k², σ_k = (1 − βh)σ.
#
# That is exact, for every h: we know what SISA does wrong before we run it. For σ ≫ λ the factor is (1 − h)² and we
# are back at the line above. At σ ≈ λ it is not: s varies less than σz, and a step leaves v short by h²σ²λ²/(λ² +
# σ²). In sum that is about hλ²/2, so that the sd is 1 − h/4 of what it should be: at h = .05 the 1 % of σ_∞. Let us
# see it in the library's sampler, `SISA`, which is the loop above.

# %%
lam = 0.1
one = ExactScore(mixture_on_line(K=1, std=lam))


def predicted_sd(h):
    v, sigma = lam**2 + sigma_0**2, sigma_0
    while sigma >= sigma_inf:
        v = (1 - h * sigma**2 / (lam**2 + sigma**2)) ** 2 * v + ((1 - beta * h) ** 2 - (1 - h) ** 2) * sigma**2
        sigma *= 1 - beta * h
    return math.sqrt(v / (lam**2 + sigma**2))


def sampled_sd(h):
    sampler = SISA(h, beta, sigma_0, sigma_inf, noise_level=known_schedule)
    x = draw_start((20_000, 1), one.mixture.centre, sigma_0, lam, generator)  # with width λ; σ_0 alone would do
    samples = sampler(one, x, generator=generator)
    return float(samples.x.std() / (lam**2 + samples.sigma[0] ** 2).sqrt())


sizes = (0.05, 0.1, 0.2, 0.4)
measured, predicted = [sampled_sd(h) for h in sizes], [predicted_sd(h) for h in sizes]
for h, sd, of_recursion in zip(sizes, measured, predicted, strict=True):
    lesson.compare(f"one Gaussian, sd at h = {h}, in the sd of p_σ (± .005)", sd, of_recursion)

figure, axis = lesson.figure(width=5.2)
fine = [0.01 * i for i in range(1, 46)]
axis.plot(fine, [predicted_sd(h) for h in fine], color=TRUTH, lw=1, label="recursion for the variance")
axis.plot(sizes, measured, "o", color=COLOURS["exact"], label="20,000 samples of SISA")
axis.axhline(1, color=OTHER, lw=0.8)
axis.set(
    xlabel="step size h", ylabel="sd of the samples, in the sd of p_σ", title="Large steps make samples too narrow"
)
axis.legend()
lesson.save(figure, "step_size")

# %%
as_predicted = all(abs(a - b) < 0.015 for a, b in zip(measured, predicted, strict=True))
assert 0.6 < distance / floor < 1.4 and abs(share - 0.5) < 0.03 and as_predicted, "SISA samples p"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Leave the noise out (`gamma = 0`) but keep σ ← (1 − βh)σ. Where do the samples end, and why?
# 2. Put β = 1. How many steps does the loop take, and how many at β = 0.2? Find the formula: it has σ_0, σ_∞, β and
#    h.
# 3. Stop at σ_∞ = 0.1 = λ instead. How wide are the classes of the samples, and which extra line narrows them?
