"""Lesson 18: What kind of field?

Claim: A trained network is no gradient, guided even less so; its samples are those of the class all the same.
"""

# %%
import torch

import fgs
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, GaussianMixture, Learning, class_axis, learn, means_on_line, noise_range, rank1_covariances

lesson = Lesson(18)

# %% [markdown]
# A score is the gradient of a log-density. Not every field of arrows is a gradient: one that turns round in a circle
# is not. A network gives an arrow for every $x$, and nothing in its training forbids it to turn. Guidance sets means
# of its channels on the way through. That makes no gradient of it either.
#
# **Predict** before you go on.
#
# 1. Is a trained network nearly a gradient? Does guidance bring it nearer or farther?
# 2. If it is not: are its samples wrong?

# %% [markdown]
# **The symbols so far.**
#
# - $x_\sigma = x + \sigma z$ is a clean signal $x$ of $d = 16$ numbers, with white noise $z$ (independent normal
#   numbers of variance 1). $\sigma$ is the noise level, $p_\sigma$ the density of $x_\sigma$.
# - $\hat x$ is the best guess of $x$: the mean of all $x$ that may have led to $x_\sigma$.
# - $s = \hat x - x_\sigma = \sigma^2\nabla\log p_\sigma(x_\sigma)$ is the residual. A network gives it.
# - $\phi$ are the features of a network, means of its channels. Guided to a class, it is asked to match those of
#   the class (lesson 10).
# - $\lambda$ is the sd of a class, here 0.1.

# %% [markdown]
# **First test: is it a gradient?** Let $J$ be the matrix of the derivatives $\partial\hat x_i/\partial x_j$. For a
# true score
#
# $$J_{ij} = \mathrm{Id}_{ij} + \sigma^2\,\frac{\partial^2 \log p_\sigma}{\partial x_i\,\partial x_j} .$$
#
# The order of two derivatives does not matter. So $J$ is symmetric, $J = J^\top$. We measure the *asymmetry*
#
# $$\frac{\|J - J^\top\|^2}{\|J\|^2},$$
#
# where $\|\cdot\|^2$ is the sum of the squares of all entries. It is 0 for a gradient. For a matrix of independent
# numbers of mean 0 it is about 2, as variances add. It is never more than 4. That is a rotation by $90^\circ$, with
# $J^\top = -J$.

# %% [markdown]
# **Second test: do the noise levels belong together?** Densities of different $\sigma$ do: one is the other with more
# noise. From $x_\sigma$ let a sampler of $\beta = \frac12$ (lesson 3) go back a little, to $x_{\sigma'}$ with
# $\sigma' < \sigma$. What should become of the guess, on average over the noise of that step? $\hat x(x_\sigma)$ is
# what is expected of $x$ at $\sigma$. At $\sigma'$ more will be known. But what one expects to expect later, one
# expects now:
#
# $$\mathbb E\bigl[\hat x(x_{\sigma'})\,\big|\,x_\sigma\bigr] = \hat x(x_\sigma) .$$
#
# ($\mathbb E[\,\cdot\,|x_\sigma]$ is the mean, given $x_\sigma$.) The guess fluctuates, and does not drift. One calls
# that a martingale.

# %% [markdown]
# **Its measure.** Let $\Delta$ be what $\hat x$ changes by in a short step. Compare the square of its mean with the
# mean of its square, $\|\mathbb E\Delta\|^2 / \mathbb E\|\Delta\|^2$. In $n$ such steps drifts add up to $n$ times as
# much, and so do variances. So the square of the drift over the variance is $n$ times as large. We give it for as
# many steps as make $\sigma^2$ fall by a factor of $e$. At 0 there is no drift. At 1 it equals the fluctuation.

# %% [markdown]
# **Train a network.** Two classes lie on one line in 16 dimensions, one unit apart. In the next cell:
#
# - `means_on_line` and `rank1_covariances` give means and covariances: sd $\lambda$ along the line, and 0 across it.
#   `GaussianMixture` takes them and is the density.
# - `noise_range` returns $\sigma_0$, where a sampler starts (here 1.02), and $\sigma_\infty$, where it ends.
# - `MultiStep(calls, beta, sigma_0, sigma_inf)` is a sampler. `beta` is how much noise it puts back: none at 1.
# - `learn` trains a guided network, as in lesson 10, for the noise levels of the sampler. `learned.method` returns it
#   as `.score`, with the mean $\phi$ of class $y$ as `.phi`. The network is not told $\sigma$.
# - `ExactScore(mixture)` is the residual in closed form. `one_hot(y)` asks it for class $y$.

# %%
d, lam, y = 16, 0.1, 1
means = means_on_line(K=2, d=d, spacing=1.0)
mixture = GaussianMixture(torch.tensor([0.5, 0.5], dtype=torch.float64), means, rank1_covariances(means, std=lam))
sigma_0, sigma_inf = noise_range(mixture, h=0.1)
sampler = fgs.MultiStep(60, 0.2, sigma_0, sigma_inf)
learned = learn(mixture, sampler, Learning(training_steps=2000), names=("guided",))
guided = learned.method("learned", mixture, y, seed=0)
FIELDS = {
    "exact, class": (ExactScore(mixture), mixture.one_hot(y), y, TRUTH),
    "network, φ of the class": (guided.score, guided.phi, y, COLOURS["learned"]),
    "network, no φ": (guided.score, None, None, OTHER),
}

# %% [markdown]
# **Measure both,** at nine noise levels, for 100 noisy signals each. `asymmetry(score, x, phi, sigma)` returns the
# first measure for each $x$, `inconsistency(…, draws)` the second, from so many draws of the noise of a step. (It
# takes off what is due to chance. So single values may lie a little below 0.)

# %%
sigmas = torch.logspace(-1.3, 0.6, 9).tolist()
skew = {name: [] for name in FIELDS}
drift = {name: [] for name in FIELDS}
for name, (score, phi, of, _) in FIELDS.items():
    for sigma in sigmas:
        level, generator = torch.tensor(sigma).double(), torch.Generator().manual_seed(0)
        x = mixture.sample(100, of, sigma, generator=generator)
        skew[name].append(float(fgs.asymmetry(score, x, phi, level).mean()))
        drift[name].append(float(fgs.inconsistency(score, x, phi, level, draws=100, generator=generator).mean()))
lesson.compare("exact: largest ‖J − Jᵀ‖²/‖J‖²", max(skew["exact, class"]), 0.0)
for name in list(FIELDS)[1:]:
    lesson.compare(f"{name}: largest ‖J − Jᵀ‖²/‖J‖²", max(skew[name]), "above 0")
    lesson.compare(f"{name}: drift over variance, largest", max(drift[name]), "above 0")
lesson.compare("exact: drift over variance, largest", max(map(abs, drift["exact, class"])), "near 0")

# %% [markdown]
# **What was printed.** The exact score has no asymmetry, but for rounding, and a drift of 0.03, which is chance. The
# network has an asymmetry of up to 1.0, and up to 1.5 with $\phi$. Its drift goes up to 1.7, and to 2.9 with
# $\phi$. So the answer to the first question is: it is far from a gradient, and farther when guided.

# %% [markdown]
# **Does it matter?** A sampler asks for a field, not for a density. Sample the class, by the exact score and by the
# network. Compare with true samples, along the line of the classes. What the next cell uses:
#
# - `class_axis(mixture, y).u` is the unit vector along that line. `draw_start` draws the start, noise round a mean.
# - `wasserstein_1` is the distance W1 of two sets of numbers: sort both, and take the mean difference.
# - `two_sample_floor` is the mean W1 of true sets from each other. W1 divided by this floor is 1 if all is right.

# %%
axis, N = class_axis(mixture, y), 2000
true = [mixture.sample(N, y, generator=torch.Generator().manual_seed(10 + k)) @ axis.u for k in range(6)]
floor = fgs.two_sample_floor(fgs.wasserstein_1, true)
W1 = {}
for name in ("exact, class", "network, φ of the class"):
    score, phi, *_ = FIELDS[name]
    start = fgs.draw_start((N, d), mixture.centre, sigma_0, generator=torch.Generator().manual_seed(4))
    x = sampler(score, start, phi, torch.Generator().manual_seed(5)).x
    W1[name] = sum(float(fgs.wasserstein_1(x @ axis.u, t)) for t in true) / len(true) / floor
    lesson.compare(f"{name}: W1 ÷ floor", W1[name], "1 if right")

# %% [markdown]
# **What was printed.** The exact score is at 0.7 floors, the network at 0.9. So the answer to the second question is:
# no, not here. (Others found of networks without guidance, too, that they are no gradients and sample well.)

# %% [markdown]
# **What to look for.** Left is the asymmetry, right the drift, by noise level. A sampler comes from the right, at
# $\sigma_0 = 1.02$. The three dots beyond are at levels that neither the training nor the sampler has. What do the
# curves do on the way down to the dotted line, $\sigma = \lambda$, where the width of the class is made?

# %%
figure, (left, right) = lesson.figure(columns=2)
for name, (_, _, _, colour) in FIELDS.items():
    left.plot(sigmas, skew[name], "o-", ms=4, color=colour, label=name)
    right.plot(sigmas, drift[name], "o-", ms=4, color=colour)
for panel, title in ((left, "‖J − Jᵀ‖²/‖J‖²"), (right, "drift over variance of x̂, for an e-fold of σ²")):
    panel.axvline(lam, color=OTHER, lw=1, ls=":")
    panel.set(xscale="log", xlabel="σ (dotted: λ; the classes lie 1 apart)", title=title)
left.legend()
lesson.save(figure, "field")

# %% [markdown]
# **What was seen.** All four curves of the network are low in the end: 0.2 to 0.3 at $\sigma = \lambda$, with
# $\phi$ or without. Guidance takes it farther at larger $\sigma$, within the levels of the training as well: at
# 0.8 the asymmetry is 1.4 with $\phi$, and 0.7 without.

# %% [markdown]
# **Why it hardly matters.** Where the asymmetry is large, $J$ is small: $\hat x$ hardly depends on $x_\sigma$. At
# $\sigma = 0.77$, guided, $\|J\|$ was 0.13, where that of $\mathrm{Id}$ is $\sqrt{16} = 4$. Noisy signals that spread
# by 3.0 (root of the summed variances) had guesses that spread by 0.025. All are sent to nearly the same place,
# whichever way a small $J$ turns. (Measured with this network; the lesson does not print it.)

# %%
exact, guided_skew, free = (max(skew[name]) for name in FIELDS)
assert exact < 0.01 < free < guided_skew and W1["network, φ of the class"] < 3, "no gradient, and samples of the class"
lesson.end()

# %% [markdown]
# **Where it does matter.** You may want $\log p_\sigma$, and add up the score along a path. If the field is no
# gradient, the sum depends on the path: once round and back it is not 0. The $\log p$ of lesson 17 is such a sum.
# Write out its two Gaussians, in its symbols, with $\gamma^2 \approx \sigma^2 - \sigma'^2 = h\sigma^2$. But for terms
# that are small in the mean, a step adds
#
# $$\frac{s}{\sigma^2}\cdot(x' - x) - \frac{h\,\|s\|^2}{2\sigma^2} .$$
#
# So with a network it depends on the way that was taken.

# %% [markdown]
# **For the curious: other networks.** `docs/uses.md` has both measures for the image network that ships. It is nearer
# to a gradient (an asymmetry of 0.1 to 0.4), and matching does not take it farther.

# %% [markdown]
# **For the curious: the equation of Fokker and Planck.** Let time be $t = \sigma^2$. To add noise is diffusion,
# $\partial p/\partial t = \frac12\sum_i \partial^2 p/\partial x_i^2$. Divide by $p$. With $f = \nabla\log p$ and
# $\nabla\cdot f = \sum_i \partial f_i/\partial x_i$, the right-hand side becomes $\frac12(\nabla\cdot f + \|f\|^2)$.
# The left is $\partial\log p/\partial t$. Take the gradient of both:
#
# $$\frac{\partial f}{\partial t} = \tfrac12\,\nabla\bigl(\nabla\cdot f + \|f\|^2\bigr) .$$
#
# Of scores of different $\sigma$ this says what the second test says. The test takes no derivatives, so it does not
# mind the kinks of a network.

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. $J$ of a network splits into a symmetric and an antisymmetric part. What does the latter do to $x$ near a fixed
#    point?
# 2. A blind network (not told $\sigma$) is one field for all $\sigma$. Why can it keep the Fokker-Planck equation all
#    the same?
# 3. Is classifier-free guidance (lesson 7) with exact scores a gradient? Does it keep the equation?
