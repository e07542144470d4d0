"""Lesson 3: β is a family.

Claim: DDIM, DDPM and Langevin dynamics are one update with β = 1, about ½ and → 0; from ½ down it forgets its start.
"""

# %%
import math

import torch

from fgs import SISA, add_noise, draw_start, known_schedule, two_sample_floor, wasserstein_1
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, mixture_on_line

lesson = Lesson(3)
lam, m = 0.1, 0.5  # sd of a class; the means are ±m
mixture = mixture_on_line(K=2, spacing=2 * m, std=lam)
score = ExactScore(mixture)

# %% [markdown]
# DDIM, DDPM and Langevin dynamics are samplers that one reads about. This lesson shows that all three are SISA, the
# sampler of lesson 2, with another value of its number $\beta$. Then it asks what $\beta$ is good for.
#
# **Predict** before you read on.
#
# 1. At $\beta = 1$ SISA puts no noise back. For $\beta \to 0$ it puts nearly all of it back in every step. Do the two
#    sample the same density?
# 2. We start all of them wrong: from noise whose variance is 1 where it should be 1.26. Do the samples show it, at
#    $\beta = 1$, at $\frac12$, and at 0.1?

# %% [markdown]
# **The symbols so far.** They are those of lessons 1 and 2. A signal is one number here.
#
# - $x$ is the signal, with noise in it. $\sigma$ is the *noise level*: the standard deviation (sd) of that noise. It
#   goes from $\sigma_0$ down to $\sigma_\infty$.
# - $p$ is the density of clean signals, $p_\sigma$ that of signals with noise. $\nabla\log p_\sigma$, the derivative
#   of its log by $x$, is the *score*.
# - $\hat x$ is the best guess of the clean signal, and $s = \hat x - x = \sigma^2\nabla\log p_\sigma(x)$.
# - $h$ is the step size. $\beta$ is above 0 and at most 1. $z$ is a normal number of mean 0 and variance 1, drawn
#   anew in every step.
# - $\lambda = 0.1$ is the sd of a class. There are two classes, of means $\pm m$, $m = 0.5$.
#
# **A step of SISA** takes the noise level from $\sigma$ to $\sigma' = (1 - \beta h)\,\sigma$, by
#
# $$x' = x + hs + \gamma z, \qquad \gamma^2 = \sigma'^2 - (1 - h)^2\sigma^2 .$$

# %% [markdown]
# **DDIM** (denoising diffusion implicit models) goes to the guess $\hat x = x + s$. There it puts back the noise that
# it saw, $x - \hat x = -s$, but smaller, as fits the new level: $x' = \hat x - (\sigma'/\sigma)\,s$. SISA with
# $\beta = 1$ has $\sigma'/\sigma = 1 - h$ and $\gamma = 0$. So DDIM is $x + s - (1 - h)\,s = x + hs$. It is the same.

# %% [markdown]
# **DDPM** (denoising diffusion probabilistic models) takes $\hat x$ for the clean signal, and draws $x'$ from its
# density given $\hat x$ and $x$. (We leave out that it also scales $x$.) Two things are known of $x'$. It is $\hat x$
# with noise of variance $\sigma'^2$. And $x$ is $x'$ with further noise of variance $\sigma^2 - \sigma'^2$. By Bayes'
# rule the density of $x'$ is proportional to the product of these two Gaussians. That is again a Gaussian. The
# inverses of the variances add, and weight the means:
#
# $$x' = x + \Big(1 - \frac{\sigma'^2}{\sigma^2}\Big)\,s + \tau z, \qquad
# \tau^2 = \frac{\sigma'^2(\sigma^2 - \sigma'^2)}{\sigma^2} .$$
#
# For SISA to be this, it needs $h = 1 - \sigma'^2/\sigma^2$. That is $(1 - \beta h)^2 = 1 - h$, so
# $\beta = (1 - \sqrt{1 - h})/h$, which is $\frac12 + \frac h8 + \dots$ Then $\sigma'^2 = (1 - h)\,\sigma^2$. So
# $\gamma^2 = (1 - h)\,\sigma^2 - (1 - h)^2\sigma^2 = h(1 - h)\,\sigma^2$, and $\tau^2$ is the same number. It is the
# same, for every $h$.

# %% [markdown]
# **Langevin dynamics** stays at one noise level. With a small number $\varepsilon$, its step is
# $x' = x + \varepsilon\nabla\log p_\sigma + \sqrt{2\varepsilon}\,z$. SISA stays nearly at one level when
# $\beta \to 0$, $\sigma' \to \sigma$. It has $hs = h\sigma^2\nabla\log p_\sigma$, so $\varepsilon = h\sigma^2$. Its
# noise is $\gamma^2 = \sigma^2 - (1 - h)^2\sigma^2 = (2h - h^2)\,\sigma^2 = 2\varepsilon\,(1 - h/2)$. For small $h$
# it is the same.

# %% [markdown]
# **Check it:** one step of each, from the same $x$ and with the same $z$. `mixture.sample(n, sigma)` draws signals
# with noise. `score(x, None, sigma)` is $s$ (`None`: no class is asked for). `SISA(…)` is the sampler, and
# `known_schedule` says that $\sigma$ falls as planned. `.iterate(score, x)` gives its steps one by one, `next` takes
# the first, and `.x` is the signal after it. A generator with the same seed draws the same $z$, and `add_noise` shows
# us which. `lesson.compare` prints a number beside what it should be.

# %%
generator = torch.Generator().manual_seed(0)
sigma, h = torch.tensor(0.6, dtype=torch.float64), 0.1
x = mixture.sample(1000, sigma=0.6, generator=generator)
s = score(x, None, sigma)
_, z = add_noise(x, sigma, torch.Generator().manual_seed(1))  # the z that a step with this seed will draw
beta_ddpm = (1 - math.sqrt(1 - h)) / h
samplers = [SISA(h, beta, 0.6, 0.06, noise_level=known_schedule) for beta in (1.0, beta_ddpm, 1e-9)]
steps = [next(one.iterate(score, x, generator=torch.Generator().manual_seed(1))).x for one in samplers]
ddim = x + s + (1 - h) * -s
lesson.compare("β = 1 against DDIM, largest difference", (steps[0] - ddim).abs().max(), "rounding, below 1e-12")
below = (1 - beta_ddpm * h) * sigma
ddpm = x + (1 - below**2 / sigma**2) * s + (below**2 * (sigma**2 - below**2) / sigma**2).sqrt() * z
misfit = float((steps[1] - ddpm).abs().max())
lesson.compare(f"β = {beta_ddpm:.4f} against DDPM, largest difference", misfit, "rounding, below 1e-12")
epsilon = h * sigma**2
langevin = x + epsilon * mixture.score(x, sigma) + (2 * epsilon).sqrt() * z
ratio = float((steps[2] - x - h * s).std() / (langevin - x - h * s).std())
lesson.compare("β → 0: noise of a step, in that of Langevin", ratio, math.sqrt(1 - h / 2))

# %% [markdown]
# **What was printed.** DDIM and DDPM agree with SISA to all digits that a computer keeps. The noise of Langevin
# dynamics is larger, by the factor $1/\sqrt{1 - h/2}$, as was said. To see why the whole family samples $p$, we need
# two tools.

# %% [markdown]
# **First tool: a random walk.** It adds to $x$ one random number after the other. They are independent, of mean 0 and
# variance $\delta$. Variances of independent numbers *add*. After $k$ steps the variance has grown by $k\delta$. (The
# sd has grown by $\sqrt{k\delta}$ only.) Ten times as many steps, of a tenth of the variance, come to the same. So
# the variance that was added is a good clock for a walk: it does not matter how finely the steps were cut. In such a
# time $t$, a short step takes the time $\mathrm dt$. It is written $\mathrm dw$: a normal number of variance
# $\mathrm dt$, a new one in every step.

# %% [markdown]
# **The clock of SISA.** Noise of level $\sigma$ is a walk of time $\sigma^2$, from the clean signal. SISA goes back.
# So let $t$ count the variance that has been *removed*. In one step, for small $h$,
#
# $$\mathrm dt = \sigma^2 - (1 - \beta h)^2\sigma^2 \approx 2\beta h\,\sigma^2 .$$
#
# Write the two parts of a step with it. The first is
# $hs = h\sigma^2\nabla\log p_\sigma = \frac{1}{2\beta}\nabla\log p_\sigma\,\mathrm dt$. The second is noise of
# variance $\gamma^2 \approx 2h(1 - \beta)\,\sigma^2 = \frac{1 - \beta}{\beta}\,\mathrm dt$. So a step of SISA is
#
# $$\mathrm dx = \frac{1}{2\beta}\,\nabla\log p_\sigma\;\mathrm dt + \sqrt{\frac{1 - \beta}{\beta}}\;\mathrm dw .$$
#
# This is called a *stochastic differential equation*. It is a short way to write many small steps: a pull, called the
# *drift*, and noise. (For $\beta = \frac12$ it is Eq. 1 of "the paper", where $x$ is scaled besides: Kadkhodaie,
# Mallat & Simoncelli 2024, "Feature-guided score diffusion for sampling conditional densities".)

# %% [markdown]
# **Second tool: what a walk does to a density.** Take very many points of density $q(x)$. Let all walk: with a drift
# $b$, and with noise of variance $D\,\mathrm dt$. How does $q$ change? ($\partial_x$ and $\partial_t$ are the
# derivatives by $x$ and $t$.)
#
# - *The drift* moves all points near $x$ by $b\,\mathrm dt$. So in one unit of time a share $q\,b$ passes $x$: the
#   *flow*. Where more flows out than in, $q$ falls. It changes by $-\partial_x(q b)\,\mathrm dt$.
# - *The noise* adds a random number $n$. Who is at $x$ now was at $x - n$. So the new density is the mean of
#   $q(x - n) \approx q - n\,\partial_x q + \frac12 n^2\,\partial_x^2 q$. As $n$ has mean 0 and $n^2$ has mean
#   $D\,\mathrm dt$, it changes by $\frac12 D\,\partial_x^2 q\,\mathrm dt$. (That is as if $-\frac12 D\,\partial_x q$
#   flowed, from more to fewer.)
#
# Together they are the equation of Fokker and Planck. (If $x$ is several numbers, sum the right side over them.)
#
# $$\partial_t q = -\partial_x(q\,b) + \frac D2\,\partial_x^2 q .$$

# %% [markdown]
# **What $p_\sigma$ does.** Let $\sigma^2$ grow by a little. That adds noise of this variance: no drift, and $D = 1$.
# So $p_\sigma$ changes by $\frac12\partial_x^2\, p_\sigma$ per unit of $\sigma^2$. Our $t$ runs the other way:
# $\partial_t\, p_\sigma = -\frac12\,\partial_x^2\, p_\sigma$.

# %% [markdown]
# **What SISA does to $p_\sigma$.** Put its drift and its noise into the equation, with $q = p_\sigma$. Since
# $p_\sigma\,\nabla\log p_\sigma = \partial_x p_\sigma$, it changes by
#
# $$-\frac{1}{2\beta}\,\partial_x^2\, p_\sigma + \frac{1 - \beta}{2\beta}\,\partial_x^2\, p_\sigma
# = -\tfrac12\,\partial_x^2\, p_\sigma .$$
#
# $\beta$ is gone, and that is what $p_\sigma$ does by itself. So points that start with the density $p_{\sigma_0}$
# have the density $p_\sigma$ all the way down. That answers the first question: yes, for small $h$ every $\beta$
# samples the same. (The drift and noise of Langevin dynamics, $b = \varepsilon\nabla\log p_\sigma$ and
# $D = 2\varepsilon$ a step, give 0: $p_\sigma$ stays.)

# %% [markdown]
# **But what if the start is wrong?** Line 2 of the paper's Algorithm 3, which is SISA, starts from
# $N(0, \sigma_0^2)$, the Gaussian of mean 0 and variance $\sigma_0^2$. With $\sigma_0 = 1$ that has variance 1. But
# $p_{\sigma_0}$ has also the variance of the data, $m^2 + \lambda^2 = 0.26$: in all 1.26.

# %% [markdown]
# **One Gaussian.** Let the data be a single Gaussian of mean 0, and $v$ its variance with noise. Then the score is
# $-x/v$, and $v$ falls as $\sigma^2$ does: $\mathrm dv = -\mathrm dt$. Let $a$ be the mean of our samples. It should
# be 0. Let $V$ be their variance. It should be $v$. A step multiplies $x$ by $1 - \mathrm dt/2\beta v$. So it
# multiplies $V$ by the square of that, about $1 - \mathrm dt/\beta v$. Then the variance of the noise adds. So
# $\mathrm da = -\frac{a}{2\beta v}\,\mathrm dt$ and
# $\mathrm dV = -\frac{V}{\beta v}\,\mathrm dt + \frac{1 - \beta}{\beta}\,\mathrm dt$. Divide by
# $\mathrm dv = -\mathrm dt$, and in the second subtract $\mathrm dv/\mathrm dv = 1$:
#
# $$\frac{\mathrm da}{\mathrm dv} = \frac{a}{2\beta v}, \qquad
# \frac{\mathrm d(V - v)}{\mathrm dv} = \frac{V - v}{\beta v} .$$

# %% [markdown]
# **How fast it forgets.** What obeys $\mathrm dy/\mathrm dv = \kappa y/v$ is proportional to $v^\kappa$. So $a$ goes
# as $v^{1/2\beta}$, and $V - v$ as $v^{1/\beta}$. An error counts in proportion to the width. So divide the first by
# $\sqrt v$, the second by $v$:
#
# $$\frac{a}{\sqrt v} \propto v^{(1/\beta - 1)/2}, \qquad \frac Vv - 1 \propto v^{1/\beta - 1} .$$
#
# On the way down $v$ becomes small. At $\beta = 1$ the exponents are 0: nothing is forgotten. The smaller $\beta$,
# the more.

# %% [markdown]
# **Our two classes** are about one Gaussian while $\sigma > m$, and about one each below (lesson 5). Above, both
# together have $v = m^2 + \lambda^2 + \sigma^2$, which falls from 1.26 to 0.51. Their width is wrong. Below, each
# class has $v = \lambda^2 + \sigma^2$, which falls from 0.26 to 0.01. Now the mean of each is wrong: too near to 0.
# Together $(0.51/1.26)^{1/\beta - 1}\,(0.01/0.26)^{(1/\beta - 1)/2}$ of the error is left. That is all of it at
# $\beta = 1$, a thirteenth at $\frac12$, and $10^{-10}$ at 0.1.

# %% [markdown]
# **How large is the error at $\beta = 1$?** Nothing is random then. Where $x$ is decides where it goes, so no $x$
# overtakes another. Points that start right have the density $p_\sigma$ all the way. The share of them below $x$,
# call it $F_\sigma(x)$, stays the same. So an $x_0$ at the start, right or wrong, comes to the $x$ with
# $F_{\sigma_\infty}(x) = F_{\sigma_0}(x_0)$. The next cell computes from this how far the samples of the wrong start
# end from the true ones.
#
# The distance is W1 of lesson 2: sort both sets, and take the mean difference of first and first, second and second,
# and so on, with the classes folded onto each other by $|x|$. The *floor* is W1 of true samples from true ones.

# %% [markdown]
# **In code,** `r` runs over the ranks, the shares from 0 to 1. `x_0` is the $|x|$ of that rank at the wrong start.
# `Phi(…) + Phi(…) - 1` is its rank in $p_{\sigma_0}$. `quantile` says where a rank lies in a class, in $\lambda$. So
# `of_ranks` is W1 in $\lambda$. `kept` is the share that is left at $\beta = \frac12$.
# `two_sample_floor(wasserstein_1, sets)` is the floor.

# %%
n, runs, h, sigma_0, sigma_inf = 5000, 4, 0.05, 1.0, 0.016
Phi, quantile = torch.special.ndtr, torch.special.ndtri  # distribution function of N(0, 1), and its inverse
r = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
x_0, sd_0 = sigma_0 * quantile((1 + r) / 2), math.sqrt(lam**2 + sigma_0**2)
of_ranks = float((quantile(Phi((x_0 - m) / sd_0) + Phi((x_0 + m) / sd_0) - 1) - quantile(r)).abs().mean())
kept = (2 * m**2 + lam**2) / (m**2 + lam**2 + sigma_0**2) * math.sqrt((lam**2 + sigma_inf**2) / (lam**2 + m**2))
true = [mixture.sample(n, generator=generator).abs() for _ in range(8)]
floor = two_sample_floor(wasserstein_1, true)

# %% [markdown]
# **Seven values of $\beta$.** `draw_start` is the wrong start, line 2, and `mixture.sample` with `sigma` the right
# one. Each gives 4 sets of 5000 samples. `planned_steps` counts the steps. For `slow`, $\beta = 1$ gets a tenth of
# $h$, and so as many steps as $\beta = 0.1$. `at_1` is W1 by ranks, in floors. `fresh` are 20 sets of true samples,
# to see how W1 scatters.


# %%
def in_floors(sets):
    return torch.tensor([sum(float(wasserstein_1(one, x)) for x in true) / len(true) / floor for one in sets])


def distance(beta, start, h=h):  # mean of the runs, its standard error, and steps
    sampler = SISA(h, beta, sigma_0, sigma_inf, noise_level=known_schedule)
    of_runs = in_floors(sampler(score, start, generator=generator).x.abs().chunk(runs))
    return float(of_runs.mean()), float(of_runs.std()) / math.sqrt(runs), sampler.planned_steps()


paper = draw_start((runs * n, 1), mixture.centre, sigma_0, generator=generator)
noisy = mixture.sample(runs * n, sigma=sigma_0, generator=generator)
betas = (0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)
wrong, good = ([distance(beta, start) for beta in betas] for start in (paper, noisy))
slow = distance(1.0, paper, h=0.1 * h)
fresh = in_floors([mixture.sample(n, generator=generator).abs() for _ in range(20)])
at_1 = of_ranks * lam / floor
sets = f"true sets: {fresh.min():.2f} to {fresh.max():.2f}"
lesson.compare("β = 0.1, start of the paper: W1 ÷ floor", wrong[0][0], sets)
lesson.compare(f"β = ½, {kept * at_1:.2f} floors of the start's error left: W1 ÷ floor", wrong[3][0], sets)
lesson.compare("β = 1, start of the paper: W1 ÷ floor", wrong[-1][0], f"{at_1:.2f} for h → 0")
lesson.compare(f"β = 1 in {slow[2]} steps: W1 in sd of a class", slow[0] * floor / lam, of_ranks)

# %% [markdown]
# **Look** at the left panel first. The gray band is where true samples lie. Which of the red squares, the wrong
# start, lie above it? And the blue triangles, the right start? The black line is the part of the wrong start that is
# left, by the formulas. The axis on top says which sampler a $\beta$ is. On the right: what does a small $\beta$
# cost?

# %%
figure, (left, right) = lesson.figure(columns=2, width=4.8, height=3.5)
fine = [0.05 + 0.01 * i for i in range(96)]
left.axhspan(float(fresh.min()), float(fresh.max()), color=OTHER, alpha=0.3, lw=0, label="20 sets of true samples")
left.plot(fine, [kept ** (1 / b - 1) * at_1 for b in fine], color=TRUTH, lw=1, label="left of the wrong start, h → 0")
for of_start, method, marker, name in ((wrong, "forcing", "s", "N(0, σ_0²)"), (good, "exact", "^", "p_{σ_0}")):
    mean, error, steps = zip(*of_start, strict=True)
    left.errorbar(betas, mean, error, fmt=marker, color=COLOURS[method], label=f"start {name}, h = {h}")
right.plot(betas, steps, "o", color=OTHER, label=f"h = {h}")
left.errorbar(
    1, slow[0], slow[1], fmt="s", mfc="none", color=COLOURS["forcing"], label=f"start N(0, σ_0²), h = {h / 10:g}"
)
right.plot(1, slow[2], "s", mfc="none", color=COLOURS["forcing"], label=f"h = {h / 10:g}")
left.set(ylabel="W1 to true samples ÷ floor", ylim=(0, 10), title="A wrong start stays where no noise is injected")
right.plot(fine, [math.log(sigma_0 / sigma_inf) / (b * h) for b in fine], color=TRUTH, lw=1, label="ln(σ_0/σ_∞)/(βh)")
right.set(ylabel="steps (network calls)", ylim=(0, 1000), title="At the same h, small β takes more steps")
for axis, place in ((left, "upper left"), (right, "upper center")):
    axis.set(xlabel="noise control β", xlim=(0, 1.06))
    axis.legend(loc=place)
    axis.secondary_xaxis("top").set_xticks([0, 0.5 + h / 8, 1], ["Langevin", "DDPM", "DDIM"])
lesson.save(figure, "start")

# %% [markdown]
# **What was seen.** From $\beta = \frac12$ down the wrong start is forgotten: 1.1 floors there, and 1.0 at 0.1,
# within the gray band. Above, a part of it stays, and at $\beta = 1$ all: 6.5 floors. Ten times as many steps (open
# square) leave 5.6, and by the ranks $h \to 0$ leaves 5.3. That answers the second question. The right start is fine
# at every $\beta$. So noise is put back in order to forget. The price is on the right: the steps go as $1/\beta$,
# from 81 to 825.

# %%
assert misfit < 1e-12 and max(wrong[:4])[0] < 1.4 and abs(slow[0] - at_1) < 1, "one family; β = 1 forgets nothing"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. With $h = 0.01$, $\beta = 0.05$, how many steps are there from $\sigma_0 = 1$ to 0.01? And with
#    `schedule=growing`, where step $k$ has the size $h_k = hk/(1 + h(k - 1))$?
# 2. At $\beta = 1$, which of the 5000 samples changes if you change one number of the start? And at $\beta = 0.1$?
# 3. Raise $\sigma_0$ to 5, with the start of the paper and $\beta = 1$. Why does that help, and what does it cost?
