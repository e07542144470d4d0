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
# Lesson 1 told us how to get from a noisy signal to the best guess of the clean one. Now we have no signal at all,
# only noise, and want *samples*: new signals, drawn from the density of the clean ones.
#
# **Predict** before you read on.
#
# 1. Half of the signals lie near $-0.5$, half near $+0.5$. We have 5000 numbers that are pure noise, of standard
#    deviation (sd) 1, and jump from each to its best guess. Where do they land: in two heaps near $\pm 0.5$, or
#    elsewhere?
# 2. Instead we go in small steps. Each goes by a share $h$ of the way to the best guess. If $h$ is not that small, do
#    the samples come out too wide or too narrow?

# %% [markdown]
# **The symbols so far.** They are those of lesson 1.
#
# - $x$ is a clean signal, and $p$ its density. In this lesson a signal is one number.
# - $x_\sigma = x + \sigma z$ is the signal with noise. $z$ is *white noise*: normal, of mean 0 and variance 1.
#   $\sigma$ is the *noise level*, the sd of the noise.
# - $p_\sigma$ is the density of $x_\sigma$.
# - $\hat x$ is the best guess of $x$: the mean of all $x$ that may have led to $x_\sigma$.
# - $s = \hat x - x_\sigma$ is the way to it. By lesson 1, $s = \sigma^2\nabla\log p_\sigma(x_\sigma)$. ($\nabla$ is
#   the derivative by $x_\sigma$, and $\nabla\log p_\sigma$ is called the score.)
# - $N(m, v)$ is the normal, or Gaussian, density of mean $m$ and variance $v$.

# %% [markdown]
# **Why not jump?** The best guess is a mean. Under much noise it is near the mean of all signals (last figure of
# lesson 1). So the jump $x_\sigma \leftarrow x_\sigma + s$ makes one heap round 0. Most of it lies between $-0.3$ and
# 0.3, where next to no signals are. That answers the first question.
#
# But a *small* step along $s$ is right. After it there is less noise. So the next guess is a better one. (At first
# all guesses are bad. That does no harm: all that the first steps must do is bring the width down.)

# %% [markdown]
# **What a step removes.** Before the step we have $x + \sigma z$. Say that the guess is good, $\hat x \approx x$.
# Then $s \approx -\sigma z$. Go by a share $h$ of it:
#
# $$x + \sigma z + h s \approx x + (1 - h)\,\sigma z .$$
#
# So a share $h$ of the noise is gone. $h$ is called the *step size*.

# %% [markdown]
# **Some noise is put back.** We add $\gamma z'$, where $z'$ is white noise, drawn afresh. Lesson 3 says what for. How
# large is $\gamma$? We want the noise level to fall more slowly, from $\sigma$ to $(1 - \beta h)\,\sigma$. The number
# $\beta$, above 0 and at most 1, is ours to choose. Variances of independent noises add. So
#
# $$(1 - h)^2\sigma^2 + \gamma^2 = (1 - \beta h)^2\sigma^2 \qquad\text{gives}\qquad
# \gamma^2 = \big((1 - \beta h)^2 - (1 - h)^2\big)\,\sigma^2 .$$
#
# For $\beta = 1$ nothing is put back. For $\beta \to 0$ nearly all of it is, and the noise level falls slowly.

# %% [markdown]
# **That is the whole sampler.** It is Algorithm 3 of "the paper": Kadkhodaie, Mallat & Simoncelli (2024),
# "Feature-guided score diffusion for sampling conditional densities". Its name is *stochastic iterative score
# ascent*, SISA. Its lines are:
#
# - line 2: start with pure noise of level $\sigma_0$, around the mean $m$ of all signals: draw from
#   $N(m, \sigma_0^2)$ (for signals of many numbers, $N(m, \sigma_0^2\,\mathrm{Id})$: each number by itself);
# - line 3: repeat what follows while $\sigma$ is at least $\sigma_\infty$, a small noise level;
# - line 4: count the steps;
# - line 5: estimate $\sigma$ from $s$. We take it from the plan, $\sigma \leftarrow (1 - \beta h)\,\sigma$. In one
#   dimension the estimate is wrong (lesson 4);
# - line 6: compute $\gamma$. Line 7: draw $z'$. Line 8: $x \leftarrow x + hs + \gamma z'$. (So in a sampler, and from
#   here on, $x$ is what we have at the moment, the noise in it included.)

# %% [markdown]
# **In code.** `mixture_on_line(K, spacing, std)` is a density of $K$ Gaussian classes: here two, $y = 0$ and 1, of
# means $m_y = \mp 0.5$ and of sd $\lambda = 0.1$. `ExactScore(mixture)` takes $x_\sigma$, a class (`None`: no class
# is asked for) and $\sigma$, and returns $s$, by the formula of lesson 1. `draw_start` is line 2. Lists keep the path
# of 40 samples, for the figure.

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

# %% [markdown]
# **Look** at the paths. Time runs to the right, so the noise level on the axis below runs *down*, from 1 to 0.015.
# Where do the paths part? On the right: how well do the 5000 ends fill the density $p$?

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
# **What was seen.** At first the noise throws the paths about. Between 0.5 and 0.2 they part into two bundles (lesson
# 5 asks when exactly). The ends fill $p$. No path was told which class to go to.

# %% [markdown]
# **Is it really p?** We need a distance of two sets of numbers. Sort both. Take the difference of smallest and
# smallest, of second and second, and so on. The mean of these, without their signs, is called W1, the *Wasserstein
# distance*.
#
# Two sets of true samples are not at distance 0 either. Their mean distance is the *floor*. A sampler is judged by
# its W1 divided by the floor. 1 is as good as true samples.

# %% [markdown]
# **Two things can be wrong.** They are measured one by one.
#
# - *How many samples each class gets.* Even with a perfect sampler this is a coin, thrown 5000 times. The share of
#   heads is 0.5, give or take $0.5/\sqrt{5000} = 0.007$.
# - *How they lie within a class.* We fold the classes onto each other, by $|x|$, and take W1 there. So the coin does
#   not count.
#
# `wasserstein_1(a, b)` is W1 of two sets. `two_sample_floor(distance, sets)` is the mean distance of all pairs of
# sets. `lesson.compare` prints a number beside what it should be.

# %%
true = [mixture.sample(n, generator=generator).abs() for _ in range(8)]
floor = two_sample_floor(wasserstein_1, true)
distance = sum(float(wasserstein_1(x.abs(), of_true)) for of_true in true) / len(true)
share = float((x > 0).double().mean())
lesson.compare("share of the class of mean +0.5", share, 0.5)
lesson.compare("W1 to true samples ÷ floor, classes folded", distance / floor, "0.6 to 1.4")

# %% [markdown]
# **What was printed.** The share is 0.491, which a coin may well give. W1 is 0.91 floors: as good as true samples.

# %% [markdown]
# **How small must h be?** Take a single Gaussian, $p = N(0, \lambda^2)$, and write $v_\sigma = \lambda^2 + \sigma^2$
# for the variance with noise. By lesson 1, $s = -(\sigma^2/v_\sigma)\,x$. So a step multiplies $x$ by
# $1 - h\sigma^2/v_\sigma$, and then adds $\gamma z'$. Let $V$ be the variance of the samples. In a step it goes to
#
# $$V \leftarrow \Big(1 - \frac{h\sigma^2}{v_\sigma}\Big)^2 V + \gamma^2 .$$
#
# This is exact, for every $h$. So we know what SISA does wrong before we run it. The function `predicted_sd` below
# goes through these steps.

# %% [markdown]
# **What one step gets wrong.** Start right, with $V = v_\sigma$, and multiply out:
#
# $$v_\sigma - 2h\sigma^2 + \frac{h^2\sigma^4}{v_\sigma} + (1 - \beta h)^2\sigma^2 - (1 - 2h + h^2)\,\sigma^2
# = \lambda^2 + (1 - \beta h)^2\sigma^2 - \frac{h^2\sigma^2\lambda^2}{v_\sigma} .$$
#
# (We used $\sigma^4/v_\sigma - \sigma^2 = -\sigma^2\lambda^2/v_\sigma$.) The first two terms are what should come
# out. The last is a shortage. It comes from our "say that the guess is good": $\gamma$ counts on an $hs$ that varies
# as $-h\sigma z$ does, with the variance $h^2\sigma^2$. In truth $hs$ varies less, by $h^2\sigma^4/v_\sigma$.

# %% [markdown]
# **What all steps get wrong.** A step also mends. It multiplies $V$ by $(1 - h\sigma^2/v_\sigma)^2$, about
# $1 - 2h\sigma^2/v_\sigma$, and so any shortage $D$ of before. So $D$ grows until a step mends as much as it adds:
#
# $$\frac{2h\sigma^2}{v_\sigma}\,D = \frac{h^2\sigma^2\lambda^2}{v_\sigma}\,, \qquad\text{at}\qquad
# D = \frac{h\lambda^2}{2} .$$
#
# This does not depend on $\sigma$, so it stays like that. At the end the variance is $\lambda^2(1 - h/2)$ where it
# should be $\lambda^2$. The sd is then about $1 - h/4$ of what it should be. So the second answer is: too narrow.
# (Two narrow classes are such a Gaussian each, once the paths have parted.)

# %% [markdown]
# **For the curious.** At $h = 0.05$ that is 1.3 % too narrow. The noise $\sigma_\infty = 0.15\lambda$ that is left in
# the samples makes them $\sqrt{1 + 0.15^2}$, 1.1 %, too wide. In the first figure the two nearly cancel.

# %% [markdown]
# **See it in the library's sampler.** `SISA(h, beta, sigma_0, sigma_inf, noise_level)` is the loop of above. Called
# with a score and a start, it gives the samples as `.x`, and the noise level at which it ended as `.sigma`.
# `known_schedule` says that $\sigma$ follows the plan.

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


# %% [markdown]
# **Look** at how the dots, the samples, lie to the black line, which is `predicted_sd`. The gray line at 1 is where
# they should be. The sd of $n$ normal numbers is itself uncertain, by a share of $1/\sqrt{2n}$: here 0.005.

# %%
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

# %% [markdown]
# **What was seen.** The dots lie on the line as far as they are certain. It falls with about $h/4$: at $h = 0.05$ the
# samples have 0.99 of their sd, at $h = 0.4$ only 0.89.

# %%
as_predicted = all(abs(a - b) < 0.015 for a, b in zip(measured, predicted, strict=True))
assert 0.6 < distance / floor < 1.4 and abs(share - 0.5) < 0.03 and as_predicted, "SISA samples p"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Leave the noise out (`gamma = 0`) but keep $\sigma \leftarrow (1 - \beta h)\,\sigma$. Where do the samples end,
#    and why?
# 2. Put $\beta = 1$. How many steps does the loop take, and how many at $\beta = 0.2$? Find the formula: it has
#    $\sigma_0$, $\sigma_\infty$, $\beta$ and $h$.
# 3. Stop at $\sigma_\infty = 0.1 = \lambda$ instead. How wide are the classes of the samples? Which line, added after
#    the loop, narrows them, and by just so much as is needed?
