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
# Sampling starts in noise and ends in a class. To guide a sample to the class that we want, we must know *when* it
# chooses one. "The paper" (Kadkhodaie, Mallat & Simoncelli 2024, "Feature-guided score diffusion for sampling
# conditional densities") tells of this choice in its Section 3, under "Trajectory dynamics". Here we compute it.
#
# **Predict**, and write it down. Take a clean sample of one class. Add just so much noise that the density of
# both classes together has one peak and no longer two. Then let the sampler take the noise off again.
#
# 1. Which share comes back to its class: nearly all, three quarters, or half (a coin)?
# 2. How much more noise does it take until it is a coin?
# 3. The sampler may put noise back in every step, or none. With which of the two do more come back?

# %% [markdown]
# **The symbols so far** (lessons 1 to 3), here in one dimension.
#
# - $x$ is a clean sample and $x_\sigma = x + \sigma z$ a noisy one: $z$ is a normal number of variance 1, $\sigma$
#   the *noise level*.
# - $y$ is the class. Class 0 has the mean $-m$, class 1 the mean $+m$, both have the sd $\lambda$ and the weight one
#   half. In code $m = 0.5$ and $\lambda = 0.1$.
# - $p_\sigma$ is the density of $x_\sigma$ of both classes together, $p_{\sigma,1}$ that of class 1 alone.
# - $\nabla\log p_\sigma$ is the *score*: the direction in which the log of the density grows.
# - $\hat x$ is the best guess of $x$ from $x_\sigma$, and
#   $s = \hat x - x_\sigma = \sigma^2\nabla\log p_\sigma(x_\sigma)$.
#
# The sampler is SISA (lesson 2). Its step is
#
# $$x \leftarrow x + h\,s + \gamma z', \qquad \sigma \leftarrow (1 - \beta h)\,\sigma, \qquad
# \gamma^2 = \bigl((1 - \beta h)^2 - (1 - h)^2\bigr)\sigma^2 ,$$
#
# with the step size $h$ and new noise $z'$. $\beta$ says how much noise is put back: none at $\beta = 1$, more the
# smaller it is.
#
# In the cell above, `mixture_on_line` makes the two classes (`spacing` is the distance of their means, `std` is
# $\lambda$), and `ExactScore` their $s$ in closed form.

# %% [markdown]
# **Which class is it?** Signal and noise are independent, so their variances add. A class with noise has the variance
# $v = \lambda^2 + \sigma^2$. For both together
#
# $$p_\sigma(x) \;\propto\; e^{-(x - m)^2/2v} + e^{-(x + m)^2/2v} .$$
#
# By Bayes' rule the probability of class 1 is the share of the first term. Divide both terms by the first:
#
# $$p_\sigma(y = 1 \mid x) = \frac{1}{1 + e^{-2mx/v}} .$$

# %% [markdown]
# **The score.** It is the mean of the scores of the classes, $-(x - m)/v$ and $-(x + m)/v$, weighted by these
# probabilities (lesson 1). Write $p$ for $p_\sigma(y = 1 \mid x)$. Then
#
# $$\nabla\log p_\sigma(x) = -\frac xv + \frac mv\,(2p - 1), \qquad 2p - 1 = \tanh\frac{mx}{v} .$$

# %% [markdown]
# **One basin becomes two.** Near 0, $\tanh u \approx u$. So there
#
# $$\nabla\log p_\sigma(x) \approx \Bigl(\frac{m^2}{v} - 1\Bigr)\frac xv .$$
#
# - While $v > m^2$ this points to 0. (And so it does far from 0, since $\tanh u < u$ for all $u > 0$.) There is one
#   basin, and all trajectories are in it.
# - Once $v < m^2$ it points away from 0. There are two basins.
#
# The change is at $v = m^2$. Since $v = \lambda^2 + \sigma^2$, that is at
#
# $$\sigma_S = \sqrt{m^2 - \lambda^2} \approx |m| \quad\text{for narrow classes.}$$
#
# It is called the *speciation* level.

# %% [markdown]
# **Look** at 60 trajectories at $\beta = \frac12$. The noise level *falls* to the right, so time runs to the right. A
# trajectory has the colour of the class in which it ends. Dashed lines are at $\sigma_S$ and at half of it. Where do
# the colours part?
#
# The next cell uses `draw_start(shape, mean, sigma_0)`, noise of level $\sigma_0$ round a mean. `SISA(h, beta,
# sigma_0, sigma_inf, noise_level)` is the sampler, which ends below $\sigma_\infty$. With `known_schedule` it goes by
# $\sigma \leftarrow (1 - \beta h)\sigma$. `.iterate` yields every step, with its `.sigma` and its `.x`.

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
# **What was seen.** At first all colours are mixed. Near $\sigma_S$ they begin to part. At half of it there are two
# bundles.
#
# **Does the score turn where we say?** `mixture.score` knows nothing of our formula. Just beside 0, the next cell
# halves an interval of noise levels fifty times, and keeps the half in which the sign of the score changes.

# %%
near = torch.full((1, 1), 1e-6, dtype=torch.float64)
high, low = 2.0, 0.05
for _ in range(50):  # bisection
    middle = (high + low) / 2
    high, low = (middle, low) if float(mixture.score(near, middle)) < 0 else (high, middle)
lesson.compare("noise level where the score at 0 turns outwards", middle, sigma_s)

# %% [markdown]
# It turns at 0.4899, as the formula says.
#
# **The U-turn.** A bundle in a picture is no number. Here is one. Take a clean sample of class 1, add noise of level
# $\sigma$, and sample back down from there. Does it come back to its class? Call the share that does $U(\sigma)$.

# %% [markdown]
# **At $\beta = \frac12$ SISA undoes the noise step by step.** Noise of level $\sigma$ can be added in many small
# portions. Let the last portion lead from $x'$, at the level $\sigma'$, to $x$. Its variance is
# $\delta = \sigma^2 - \sigma'^2$. Where may $x$ have come from? By Bayes' rule,
#
# $$p(x' \mid x) \;\propto\; p_{\sigma'}(x')\; e^{-(x' - x)^2/2\delta} .$$
#
# For a small $\delta$ only $x'$ close to $x$ count, and $\sigma'$ is nearly $\sigma$. So
# $\log p_{\sigma'}(x') \approx \log p_{\sigma'}(x) + (x' - x)\,\nabla\log p_\sigma(x)$. Put this in, and complete the
# square: a Gaussian is left, of mean $x + \delta\,\nabla\log p_\sigma(x)$ and variance $\delta$.
#
# Now look at a step of SISA. At $\beta = \frac12$ it takes the variance
# $\delta = \sigma^2 - (1 - h/2)^2\sigma^2 \approx h\sigma^2$ off the noise. It moves $x$ by
# $hs = h\sigma^2\,\nabla\log p_\sigma = \delta\,\nabla\log p_\sigma$. And it adds noise of variance
# $\gamma^2 \approx h\sigma^2 = \delta$. So each step is a draw from $p(x' \mid x)$.
# Portions of noise are independent. So once $x'$ is known, the steps before it do not matter, and the next step can
# be drawn in the same way.

# %% [markdown]
# **So what is $U$ at $\beta = \frac12$?** All steps together end in a draw of a clean signal that may have led to
# $x_\sigma$. It is of class 1 with the probability $p_\sigma(y = 1 \mid x_\sigma)$. The mean over the starts, which
# are from $p_{\sigma,1}$, the Gaussian of mean $m$ and variance $v$, is
#
# $$U(\sigma) = \int p_{\sigma,1}(x_\sigma)\;\frac{1}{1 + e^{-2mx_\sigma/v}}\;\mathrm dx_\sigma .$$
#
# Put $x_\sigma = m + \sqrt v\,u$, with $u$ a normal number of variance 1, and $r = m/\sqrt v$. The exponent becomes
# $-2r(r + u)$. So $U$ depends on $r$ alone. At $\sigma_S$, $r = 1$. The next cell computes the integral on a grid.

# %% [markdown]
# **And at $\beta = 1$?** Nothing is random. The score at 0 is 0, and no path crosses another. So who starts above 0
# ends in class 1, and who starts below ends in class 0. With $\Phi$, the normal distribution function,
#
# $$U(\sigma) = P(x_\sigma > 0) = \Phi(r) .$$

# %% [markdown]
# **For the curious: it is the larger of the two.** By symmetry $U$ is the same for class 0. So it is the chance that
# the sampler is right about the class, whichever it was. At $\beta = 1$ the sampler takes the class that is more
# probable, given $x_\sigma$. It is right with the probability $\max(p, 1 - p)$. At $\beta = \frac12$ it takes each
# class with its probability, and is right with the probability $p^2 + (1 - p)^2$. That is a mean of $p$ and $1 - p$,
# with the weights $p$ and $1 - p$, so never more than the larger.

# %% [markdown]
# **The next cell** computes both integrals (`returns`) and makes the U-turn with 4000 samples (`measured_returns`),
# at eight noise levels. `mixture.sample(n, 1)` draws clean samples of class 1. `add_noise(x, sigma)` returns
# $x_\sigma$ and the noise. `sampler(score, x_sigma)` returns the samples as `.x`. `lesson.compare` prints a number
# beside what it should be. A share of 4000 scatters by less than 0.01.

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

# %% [markdown]
# **Look** at the share against the noise that was added. The lines are the integrals, the marks are samples. Where do
# nearly all come back, and where does the share come near the gray line at one half, a coin?

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
# **What was seen.** The marks lie on the lines. So the answers are:
#
# 1. From $\sigma_S$, where the basins become one, about three quarters come back at $\beta = \frac12$: 0.78.
# 2. For a coin it takes much more noise. Even from $4\sigma_S$ it is 0.53. And from $\sigma_S/2$ nearly all come
#    back: 0.96. So a class is chosen little by little: at $4\sigma_S$ next to nothing is decided, at $\sigma_S/2$
#    nearly all.
# 3. More come back without noise, at $\beta = 1$: from $\sigma_S$ it is 0.84.

# %% [markdown]
# **What this is worth.** To get class 1, a trajectory must be pushed while $\sigma$ is above about $\sigma_S/2$.
# Below it may be let go. (That holds for $\beta \ge \frac12$. With more noise it is later: exercise 2.)
#
# Say that the push is exact, the score of class 1. Then $x_\sigma$ is distributed as $p_{\sigma,1}$, just as if noise
# was added to samples of class 1. So $U(\sigma)$ is also the share that ends in the class if guidance stops at
# $\sigma$. The paper's Fig. 13 does that with images: it ends guidance on the way, and shows which image comes out.
#
# How to push if only the mean of the class is known is lesson 6.
# [Watch such a push to a rare class, and its end, in the explorer](../docs/explorer.html#preset=rare).

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
# 1. Give class 1 the weight 0.9. Where, if anywhere, does the score at 0 turn outwards? And where does $U(\sigma)$ go
#    as $\sigma$ grows?
# 2. At $\beta = 0.1$, is the share that comes back above or below the $U(\sigma)$ of $\beta = \frac12$? Guess from
#    lesson 3, then measure.
# 3. Take $d$ dimensions, with means $\pm m$ (vectors) and the covariance $\lambda^2\,\mathrm{Id}$ in each class.
#    Which direction decides, and what becomes of $\sigma_S$?
