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
# A sampler asks its network for the score at every step. Need it ask at *large* noise? There nothing shows of the data
# but where they lie and how far they spread: their mean $m$ and covariance $\Sigma$. The one density that is nothing
# but these is the Gaussian $N(m, \Sigma)$. This lesson lets it stand in for the network until the noise is small
# enough for more to show. (After Wang and Vastola, 2023: "outline first, details later".)
#
# **Its path, in closed form.** Take an axis (eigenvector) of $\Sigma$ along which the data have the variance
# $\lambda^2$. With noise added they have $\lambda^2 + \sigma^2$. The flow of $\beta = 1$ adds no noise, so it keeps
# every sample in its place within the density (lesson 3). As the density shrinks, so does the distance to $m$:
#
# $$x_\sigma - m = \sqrt{\frac{\lambda^2 + \sigma^2}{\lambda^2 + \sigma_0^2}}\;(x_{\sigma_0} - m)
#   \qquad\text{along each axis.}$$
#
# Read it for one axis at a time. While $\sigma$ is much larger than $\lambda$, the root falls with $\sigma$. Once
# $\sigma$ is much smaller it stands still: what the sample is along that axis is settled at $\sigma \approx \lambda$.
# In a picture the axes of largest $\lambda$ are light against dark over many pixels. They settle first: the outline.
#
# Our data are two classes in the plane, one unit apart. Lesson 5 says at which noise level they part:
# $\sigma_S = \sqrt{m_1^2 - \lambda^2}$, with $m_1 = .5$ half their distance.
#
# **Predict** before you look: down to which $\sigma$ will the closed form be right, and what will it miss below?

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
# What it explains is $1 - \sum\|x_\sigma - \hat x_\sigma^{\text{Gauss}}\|^2 / \sum\|x_\sigma - m\|^2$, both from the
# same start. It is right to a fifth of a percent at $\sigma_S$. Below, the true paths turn to one class or the other,
# and the Gaussian's go straight on.
#
# **So start there.** No network and no step is needed above: draw $x_\sigma \sim N(m, \Sigma + \sigma^2\mathrm{Id})$
# and sample from there on. Each line below is a $\beta$. Ten calls would take a sampler from $\sigma_0$ to the end;
# a start lower down takes only the calls that are left, at the same ratio from one $\sigma$ to the next. Quality is
# the energy distance to true samples, divided by that of true samples from one another: the floor, 1.

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
# At $.7$, above $\sigma_S$, nothing is lost, and at $\sigma_S$ little. Below it, at $\beta = 1$, the start's error
# stays, as lesson 3 told: the Gaussian puts samples between the classes. With noise on the way ($\beta = .5$) that is
# forgotten, even from $.35$; and few calls, spent where the score is needed, do better than as many spread over all
# levels.
#
# **Look for** in the figure: at the left, where the curve bends against the dashed $\sigma_S$; in the middle, which of
# the two lines leaves 1 first (the calls stand above); at the right, what comes next.

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
# **How many samples does an outline take?** A covariance has $d(d+1)/2$ entries, 528 in $d = 32$ dimensions. Yet if
# the data fill a subspace of $r = 4$ of them, $r$ samples span it. Here a *denoiser* learns it, from noisy samples and
# by the loss of lesson 8; its only weights are a basis $U$ of the subspace, and $\hat x = UU^\top x/(1 + \sigma^2)$
# (Wang et al. 2024; `toy/low_rank.py`). The error is $\|\hat U\hat U^\top - UU^\top\|/\sqrt{2r}$, 0 to 1. Of
# $n < r$ samples it cannot be less than $\sqrt{1 - n/r}$, as the rest of the subspace was never seen (dashed). From
# $n = r$ on it is nearly 0, whatever $d$ is. `docs/outline.md` has more classes, and what a network does that is not
# told of the rank: an MLP needs some fifty times as many samples to denoise fresh ones as well.

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

# %%
same = at_s > 0.98 > explained[-1] and abs(found[1.0][1] - found[1.0][0]) < 0.3  # above σ_S the path is a Gaussian's
saved = found[0.5][3] < 0.5 * min(same_calls[3], found[1.0][3])  # a start below saves calls, if errors are forgotten
assert same and saved and errors[0] > 0.5 and errors[3] < 0.1, "the outline is a Gaussian's, and r samples show r axes"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. The two classes vary along the line between them by $\lambda^2 + m_1^2$, across it by $\lambda^2$. At which noise
#    levels do the two axes settle, by the closed form? Which of the two does it get wrong, and why not the other?
# 2. At $\beta = 1$ a start at $.35$ is off by some floors. Which samples are wrong? (Draw them.)
# 3. Guided to one class, the density is that class alone, a Gaussian. Down to which $\sigma$ is the closed form right
#    then, and what is left for the network to do?
