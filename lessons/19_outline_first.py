"""Lesson 19: Outline first.

Claim: While the noise hides the classes, sampling follows one Gaussian in closed form; start below and save the calls.
"""

# %%
import math

import torch

import fgs
from fgs.figures import CLASS_COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import (
    ExactScore,
    GaussianMixture,
    LowRankDenoiser,
    isotropic_covariances,
    low_rank_mixture,
    means_on_line,
    noise_range,
    random_subspaces,
    subspace_error,
)

lesson = Lesson(19)
N, lam = 2000, 0.1

# %% [markdown]
# A sampler asks its network for the score at every step. Need it ask at *large* noise? Little shows there of the
# data: where they lie, and how far they spread. The one density that is nothing but a mean and a covariance is a
# Gaussian. This lesson lets it stand in for the network, until the noise is small enough for more to show. (After
# Wang and Vastola, 2023: "outline first, details later".)
#
# **Predict** before you look. The data are two classes, one unit apart, each of sd 0.1.
#
# 1. Down to which noise level will one Gaussian be right? What will it miss below?
# 2. A sampler starts by the Gaussian at too small a noise. Can it still come out right?

# %% [markdown]
# **The symbols so far.**
#
# - $x_\sigma = x + \sigma z$ is a clean signal $x$ with white noise $z$ (independent normal numbers of variance 1).
#   $\sigma$ is the noise level. A sampler comes from $\sigma_0$ down to $\sigma_\infty$.
# - $\beta$ says how much noise it puts back: none for $\beta = 1$, nearly all for $\beta \to 0$ (lesson 3).
# - $m$ is the mean of the data, $\Sigma$ their covariance, and $N(m, \Sigma)$ the Gaussian which has these.
# - $\lambda$ is an sd: of a class, or below of the data along an axis.

# %% [markdown]
# **The Gaussian's path, in closed form.** Take an axis (eigenvector) of $\Sigma$, along which the data have the
# variance $\lambda^2$. With noise they have $\lambda^2 + \sigma^2$. At $\beta = 1$ a sampler adds no noise. So every
# sample keeps its place within the density, in units of the sd (lesson 3). As the sd shrinks, so does the distance to
# $m$:
#
# $$x_\sigma - m = \sqrt{\frac{\lambda^2 + \sigma^2}{\lambda^2 + \sigma_0^2}}\;(x_{\sigma_0} - m)
#   \qquad\text{along each axis.}$$

# %% [markdown]
# **Why "outline first".** While $\sigma$ is much larger than $\lambda$, the root falls as $\sigma$ does. Once
# $\sigma$ is much smaller, it stands still. So what a sample is along an axis is settled at $\sigma \approx \lambda$.
# In a picture the axes of largest $\lambda$ are light against dark, over many pixels. They settle first: the outline.

# %% [markdown]
# **When more shows.** Two classes part at the noise level of lesson 5,
#
# $$\sigma_S = \sqrt{m_1^2 - \lambda^2},$$
#
# with $m_1 = 0.5$, half their distance. Here it is 0.49. Above it the density with noise has one hump.
#
# Next, we follow 400 samples twice from the same start: by the exact score, to $x_\sigma$, and by the closed form, to
# $x_\sigma^{\text{Gauss}}$. The share that the closed form explains is
#
# $$1 - \frac{\sum\|x_\sigma - x_\sigma^{\text{Gauss}}\|^2}{\sum\|x_\sigma - m\|^2}.$$

# %% [markdown]
# **In code:**
#
# - `means_on_line` and `isotropic_covariances` give means and covariances of the classes. `GaussianMixture` takes
#   them and is the density. `ExactScore` gives its score. `noise_range` returns $\sigma_0$ (here 1.02) and
#   $\sigma_\infty$.
# - `Outline.of(samples)` estimates $m$ and $\Sigma$. Its method `draw(n, sigma)` draws from
#   $N(m, \Sigma + \sigma^2\mathrm{Id})$. `flow(x, sigma_0, sigma)` is the closed form.
# - `MultiStep(calls, beta, sigma_0, sigma_inf)` is a sampler that calls the score so often. `iterate` yields its
#   steps.
# - `lesson.compare` prints a number beside what it should be.

# %%
means = means_on_line(K=2, d=2, spacing=1.0)
mixture = GaussianMixture(torch.tensor([0.5, 0.5]).double(), means, isotropic_covariances(means, std=lam))
sigma_0, sigma_inf = noise_range(mixture, h=0.1)
sigma_s = math.sqrt(0.5**2 - lam**2)
outline = fgs.Outline.of(mixture.sample(4000, generator=torch.Generator().manual_seed(0)))  # m and Σ of 4,000 samples
score = ExactScore(mixture)

start = outline.draw(400, sigma_0, torch.Generator().manual_seed(1))  # draws from N(m, Σ + σ_0²Id)
levels, explained, path = [], [], [start]
for step in fgs.MultiStep(120, 1.0, sigma_0, sigma_inf).iterate(score, start):
    x, closed = step.x, outline.flow(start, sigma_0, float(step.sigma))
    levels.append(float(step.sigma))
    explained.append(1 - float((x - closed).square().sum() / (x - outline.mean).square().sum()))
    path.append(x)
at_s = explained[min(range(len(levels)), key=lambda k: abs(levels[k] - sigma_s))]
lesson.compare("variance of x that the closed form explains, at σ_S", at_s, "near 1")
lesson.compare("the same at the end", explained[-1], "less: it knows of no classes")

# %% [markdown]
# **What was printed.** At $\sigma_S$ the closed form explains 99.8 %. At the end it is 82 %. So the answer to the
# first question is: down to about $\sigma_S$. Below, the true paths turn to one class or the other. Those of the
# Gaussian go straight on.

# %% [markdown]
# **So start there.** No network and no step is needed above: draw $x_\sigma \sim N(m, \Sigma + \sigma^2\mathrm{Id})$,
# and sample from there on. From $\sigma_0$ to the end we spend ten calls. A lower start takes only the calls that are
# left, at the same ratio from one $\sigma$ to the next. For comparison: as few calls, but from $\sigma_0$.
#
# `energy_distance` takes our samples and true ones, and returns a distance of their densities. `two_sample_floor` is
# what true sets have among each other. We divide by it: 1 is right.

# %%
true = [mixture.sample(N, sigma=sigma_inf, generator=torch.Generator().manual_seed(10 + k)) for k in range(4)]
floor = fgs.two_sample_floor(fgs.energy_distance, true)
starts = (sigma_0, 0.7, sigma_s, 0.35, 0.25)


def quality(calls, beta, sigma):  # the mean of four runs
    distance, sampler = 0.0, fgs.MultiStep(calls, beta, sigma, sigma_inf)
    for seed in range(4):
        x = outline.draw(N, sigma, torch.Generator().manual_seed(20 + seed))
        x = sampler(score, x, None, torch.Generator().manual_seed(30 + seed)).x
        distance += sum(float(fgs.energy_distance(x, t)) for t in true) / len(true) / 4
    return distance / floor


calls = [max(3, round(10 * math.log(sigma / sigma_inf) / math.log(sigma_0 / sigma_inf))) for sigma in starts]
found = {beta: [quality(n, beta, sigma) for n, sigma in zip(calls, starts, strict=True)] for beta in (1.0, 0.5)}
same_calls = [quality(n, 0.5, sigma_0) for n in calls]
for beta in found:
    lesson.compare(f"β = {beta:g}, 10 calls from σ_0: distance ÷ floor", found[beta][0], "1 to 2")
    lesson.compare(f"β = {beta:g}, {calls[1]} calls from σ = {starts[1]:g}", found[beta][1], "the same")
    lesson.compare(f"β = {beta:g}, {calls[2]} calls from σ_S", found[beta][2], "not much more")
lesson.compare(f"β = 0.5, {calls[3]} calls from σ = {starts[3]:g}", found[0.5][3], "1 to 2")
lesson.compare(f"β = 0.5, as many from σ_0 = {sigma_0:.2g}", same_calls[3], "more")
lesson.compare(f"β = 1, {calls[3]} calls from σ = {starts[3]:g}", found[1.0][3], "more")

# %% [markdown]
# **What was printed,** in floors, by the start. (The last row is printed for 0.35
# alone; the figure has it for all.)
#
# | start at $\sigma$ = | 1.02 | 0.7 | $\sigma_S$ | 0.35 |
# |---|---|---|---|---|
# | calls | 10 | 9 | 8 | 7 |
# | $\beta = 1$ | 1.3 | 1.4 | 1.9 | 4.2 |
# | $\beta = 0.5$ | 1.5 | 1.1 | 1.4 | 1.1 |
# | $\beta = 0.5$, all from $\sigma_0$ | 1.5 | | | 4.2 |
#
# Above $\sigma_S$ nothing is lost, and at $\sigma_S$ little. Below it, at $\beta = 1$, the error of the start stays:
# the Gaussian puts samples between the classes, and $\beta = 1$ forgets no start (lesson 3). Noise on the way forgets
# it, even from 0.35. So the answer to the second question is: yes, with noise on the way.
#
# And seven calls do better where the score is needed (1.1) than spread over all levels (4.2).

# %% [markdown]
# **How many samples does an outline take?** A covariance in $d$ dimensions has $d(d + 1)/2$ entries. In $d = 32$ that
# is 528. But let the data fill a subspace of $r = 4$ dimensions only, with variance 1 in all its directions. Then $r$
# samples span it. Can a *denoiser* find it from so few?

# %% [markdown]
# **The denoiser.** Its only weights are a basis $U$ of the subspace, a matrix of $d$ rows and $r$ columns. It returns
#
# $$\hat x = \frac{U U^\top x_\sigma}{1 + \sigma^2} .$$
#
# ($U^\top$ is $U$ with rows and columns swapped.) That is the best guess if $U$ is right: $UU^\top$ drops the noise
# outside of the subspace, and $1/(1 + \sigma^2)$ is the best factor for a variance of 1 (lesson 1). It learns by the
# loss of lesson 8: add noise, take it off, compare (Wang et al. 2024).

# %% [markdown]
# **How wrong is a subspace?** Let $\hat U$ be the basis found. The error is
#
# $$\frac{\|\hat U\hat U^\top - UU^\top\|}{\sqrt{2r}},$$
#
# where $\|\cdot\|$ is the root of the sum of all squared entries. It is 0 if both subspaces are one, and 1 if they
# are perpendicular. From $n < r$ samples, $n$ dimensions can be known. If the rest is perpendicular to the truth, the
# error is $\sqrt{1 - n/r}$.
#
# In code: `low_rank_mixture` is the density. `LowRankDenoiser` is the denoiser. `denoising_loss` takes it and clean
# signals, and returns the loss, for noise levels drawn by `log_uniform`, from 0.1 to 1. `Trainer(network, loss,
# budget)` trains it. `random_subspaces` returns the true $U$. `subspace_error` takes $\hat U$ and $U$.

# %%
d, r = 32, 4
ratios, errors = (0.5, 0.75, 1.0, 1.5, 3.0), []
for ratio in ratios:
    few = low_rank_mixture(1, d, r, seed=1).sample(int(ratio * r), generator=torch.Generator().manual_seed(4)).float()

    def loss(network, generator, few=few):
        x = few[torch.randint(len(few), (256,), generator=generator)]
        return fgs.denoising_loss(network, x, noise_levels=fgs.log_uniform(0.1), generator=generator)

    trainer = fgs.Trainer(LowRankDenoiser(1, d, r), loss, fgs.Budget(steps=400), learning_rate=0.03)
    *_, last = trainer.run()
    errors.append(float(subspace_error(trainer.network.U.detach(), random_subspaces(1, d, r, seed=1))))
lesson.compare(f"subspace of r = {r} of {d} dimensions, of r/2 samples: error", errors[0], math.sqrt(0.5))
lesson.compare("of 3r/2 samples", errors[3], "near 0")

# %% [markdown]
# **What was printed.** From two samples ($r/2$) the error is 0.68. The formula has 0.71. The rest is a guess, and a
# guess is not quite perpendicular. (In the mean it gains $(r - n)^2/(d - n)$ of a dimension. That makes 0.71
# into 0.68.) From six samples the error is 0.01.

# %% [markdown]
# **What to look for.** On the left and in the middle the noise falls from right to left. Left: what the closed form
# explains. Where does the curve bend? Middle: floors, by the $\sigma$ of the start. The number of calls stands at the
# bottom. Which line leaves 1 as the start is lower? Right: the error of the subspace, by samples.

# %%
figure, (left, middle, right) = lesson.figure(columns=3, width=3.6)
left.plot(levels, explained, color=TRUTH)
left.axvline(sigma_s, color=OTHER, ls="--", lw=1)
left.annotate("σ_S", (sigma_s, 0.82))
left.set(xscale="log", xlabel="noise level σ (time runs to the left)", title="variance of x that the Gaussian explains")
left.set_xticks((0.02, 0.1, 0.5, 1.0), ("0.02", "0.1", "0.5", "1"))
left.minorticks_off()
for beta, colour in ((1.0, CLASS_COLOURS[0]), (0.5, CLASS_COLOURS[2])):
    middle.plot(starts, found[beta], "o-", ms=4, color=colour, label=f"β = {beta:g}, start by the Gaussian")
middle.plot(starts, same_calls, "s:", ms=3, color=OTHER, label="β = 0.5, as many calls from σ_0")
for sigma, n in zip(starts, calls, strict=True):
    middle.annotate(str(n), (sigma, 0.55), fontsize=8, ha="center")
middle.axvline(sigma_s, color=OTHER, ls="--", lw=1)
middle.set(xscale="log", yscale="log", xlabel="σ to start at (numbers: calls)", ylim=(0.5, 60))
middle.set(title="energy distance ÷ floor")
middle.set_xticks((0.25, 0.35, 0.5, 0.7, 1.0), ("0.25", "0.35", "0.5", "0.7", "1"))
middle.minorticks_off()
middle.legend(fontsize=8)
right.plot(ratios, errors, "o-", ms=4, color=CLASS_COLOURS[2], label="learned")
right.plot(
    below := [k / 50 for k in range(25, 51)], [math.sqrt(1 - k) for k in below], "--", color=TRUTH, label="√(1 − n/r)"
)
right.set(xlabel="samples ÷ r", title=f"error of a subspace, r = {r}, d = {d}")
right.legend()
lesson.save(figure, "outline")

# %% [markdown]
# **What was seen.** Left: the curve is flat down to about $\sigma_S$, and bends below. Middle: at $\beta = 1$
# (orange) the line rises below $\sigma_S$, about as the gray one does, which is $\beta = 0.5$ with its few calls
# spread over all levels. At $\beta = 0.5$ with a start by the Gaussian (blue) it stays below 2. Right: from $n = r$
# on the error is nearly 0.

# %%
same = at_s > 0.98 > explained[-1] and abs(found[1.0][1] - found[1.0][0]) < 0.3  # above σ_S the path is a Gaussian's
saved = found[0.5][3] < 0.5 * min(same_calls[3], found[1.0][3])  # a start below saves calls, if errors are forgotten
assert same and saved and errors[0] > 0.5 and errors[3] < 0.1, "the outline is a Gaussian's, and r samples show r axes"
lesson.end()

# %% [markdown]
# **For the curious.** `docs/outline.md` follows the outline of textures, and finds subspaces of more classes. It also
# has a network that is not told of the rank. For one class it needs some fifty times as many samples, to come within
# 5 % of the least error.

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. The two classes vary along the line between them by $\lambda^2 + m_1^2$, across it by $\lambda^2$. At which noise
#    levels do the two axes settle, by the closed form? Which of the two does it get wrong, and why not the other?
# 2. At $\beta = 1$ a start at $.35$ is off by some floors. Which samples are wrong? (Draw them.)
# 3. Guided to one class, the density is that class alone, a Gaussian. Down to which $\sigma$ is the closed form right
#    then, and what is left for the network to do?
