"""Lesson 16: Restoration.

Claim: A denoiser knows what is left unknown, so it can sample what a measurement allows; particles mend its errors.
"""

# %%
import torch

import fgs
from fgs.figures import CLASS_COLOURS, OTHER
from lesson import Lesson
from toy import ExactScore, GaussianMixture

lesson = Lesson(16)

# %% [markdown]
# A photograph has a hole, or it is blurred. What was there before? There is no one answer. There are many, and some
# are more likely than others. This lesson samples them, with a denoiser that was trained for nothing of the kind.
#
# **Predict** before you go on. Points lie in the plane, in three equal classes. Each is a round heap of sd 0.1. In
# the first coordinate their middles are at $-0.5$, $0.1$ and $0.4$. Of one point only this coordinate was measured:
# 0.7, with noise of sd 0.15.
#
# 1. How probable is it that the point is of the third class, at $0.4$?
# 2. We shall sample by a formula that is wrong where the noise is large. Is it then better to put noise back on the
#    way, or to put none back?

# %% [markdown]
# **The symbols so far.**
#
# - $x$ is a clean signal. $x_\sigma = x + \sigma z$ is the signal with white noise: the entries of $z$ are
#   independent normal numbers of variance 1. $\sigma$ is the noise level. $p(x_\sigma)$ is the density of noisy
#   signals.
# - $\hat x$ is the best guess of $x$: the mean of all $x$ that may have led to $x_\sigma$. A denoiser gives it.
# - $s = \hat x - x_\sigma = \sigma^2\nabla\log p(x_\sigma)$ is the residual (lesson 1). $\nabla\log p$ is the score.
# - $\beta$ says how much noise a sampler puts back in a step: none for $\beta = 1$, nearly all for $\beta \to 0$.
# - $\lambda$ is the sd of a class, here 0.1.

# %% [markdown]
# **The measurement** is
#
# $$y = Mx + \varsigma z .$$
#
# The matrix $M$ says what is seen. It hides pixels, blurs, or averages blocks. $\varsigma$ is the sd of the noise in
# the measurement, and $z$ is other white noise. It is not the noise $\sigma$ that a sampler adds and removes. We want
# samples of $p(x|y)$: all $x$, each as probable as $y$ leaves it.

# %% [markdown]
# **Bayes' rule for scores.** A sampler needs the score of $p(x_\sigma|y)$ at every noise level. Bayes' rule is
# $p(x_\sigma|y) = p(x_\sigma)\,p(y|x_\sigma)/p(y)$. Take the log and the gradient. $p(y)$ does not depend on
# $x_\sigma$, so
#
# $$\nabla\log p(x_\sigma|y) = \nabla\log p(x_\sigma) + \nabla\log p(y|x_\sigma) .$$
#
# The first part is known: it is $s/\sigma^2$. For the second we ask: if $x_\sigma$ is seen, what is still unknown of
# $x$?

# %% [markdown]
# **What is unknown has the mean $\hat x$, and a covariance that the denoiser knows.** Given $x_\sigma$, each $x$ has
# a weight, in proportion to $p(x)\,e^{-\|x_\sigma - x\|^2/2\sigma^2}$. Move $x_\sigma$ by a small $\delta$. The log
# of the weight changes by $(x - x_\sigma)\cdot\delta/\sigma^2$. Only what differs from the mean of this counts, as
# weights have the sum 1. So each is multiplied by $1 + (x - \hat x)\cdot\delta/\sigma^2$. The mean of $x$ moves by
#
# $$\frac{1}{\sigma^2}\,\mathbb E\bigl[\,x\,(x - \hat x)^\top\bigr]\,\delta
#   = \frac{1}{\sigma^2}\,\mathrm{Cov}[x|x_\sigma]\;\delta .$$
#
# ($\mathbb E$ is the mean over $x$, given $x_\sigma$.) But the mean of $x$ is $\hat x$, and its derivative is the
# Jacobian matrix $J = \partial\hat x/\partial x_\sigma$. Hence
#
# $$\mathrm{Cov}[x|x_\sigma] = \sigma^2 J .$$
#
# Where the denoiser is sure, its guess does not move with $x_\sigma$. There $J$ is small.

# %% [markdown]
# **Take the unknown for a Gaussian** of this mean and covariance. This is the guess that the lesson puts to the test.
# Then $y$, given $x_\sigma$, is a Gaussian too. Its mean is $M\hat x$. Its covariance is that of $Mx$ plus that of
# the measurement's noise:
#
# $$V = \varsigma^2\,\mathrm{Id} + \sigma^2 M J M^\top .$$
#
# So $\log p(y|x_\sigma)$ is $-\frac12 (y - M\hat x)^\top V^{-1} (y - M\hat x)$, but for a term in $V$ alone.

# %% [markdown]
# **Its gradient.** Move $x_\sigma$ by $\delta$. Then $M\hat x$ moves by $MJ\delta$. We take $V$ as fixed. (If $x$ is
# Gaussian, it is: $J$ is the same everywhere.) The derivative, times $\sigma^2$, is
#
# $$\sigma^2\,\nabla\log p(y|x_\sigma) = \sigma^2 J^\top M^\top V^{-1}\,(y - M\hat x) .$$
#
# Read it from the right. $y - M\hat x$ is what the guess gets wrong. $V^{-1}$ makes it count less where $y$ is
# uncertain. $\sigma^2 J^\top M^\top$ carries it over to $x$, and most to what is unknown. This is `fgs.Posterior`.

# %% [markdown]
# **A simple rival.** `fgs.Projected` replaces what $M$ sees of $\hat x$ by $y$, its noise included (Kadkhodaie &
# Simoncelli 2021).

# %% [markdown]
# **The truth is known on a mixture.** `GaussianMixture(weights, means, covariances)` is a density made of Gaussians.
# Its method `given` takes $M$, $y$ and $\varsigma$, and returns $p(x|y)$, which is such a mixture again.
# `lesson.compare` prints a number beside what it should be.

# %%
lam, noise, N = 0.1, 0.15, 1500
means = torch.tensor([[-0.5, 0.2], [0.1, 0.7], [0.4, -0.6]], dtype=torch.float64)
mixture = GaussianMixture(torch.ones(3).double() / 3, means, lam**2 * torch.eye(2).expand(3, 2, 2).double())
M, y = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
posterior = mixture.given(M, y, noise)  # only the first coordinate is seen, with noise of 1.5 λ
lesson.compare(
    "share of the third class in the answer",
    posterior.weights[-1],
    "near 1: of the others one is 3.3 sd from y, one 6.7",
)

# %% [markdown]
# **So the answer to the first question is 98.5 %**, as printed. Within a class $y$ has the sd
# $\sqrt{\lambda^2 + \varsigma^2} = 0.18$. The third class is 1.7 of these away from 0.7, the second 3.3, the first
# 6.7. The second is left with 1.5 %.

# %% [markdown]
# **Three scores, three $\beta$.** `SCORES` has the exact score of the answer, and the two that know no more than the
# score of the mixture and $y$. What the next cell uses:
#
# - `ExactScore(mixture)` is the residual $s$ of the best denoiser, in closed form.
# - `Posterior(score, measure, y, noise)` and `Projected(score, measure, y)` take the score of $x$, the function
#   $x \mapsto Mx$, and $y$. They return a score.
# - `MultiStep(calls, beta, sigma_0, sigma_inf)` is a sampler. It comes from $\sigma_0$ down to $\sigma_\infty$ in so
#   many calls of a score. It takes a score and a start, and returns the samples as `.x`.
# - `draw_start` draws the start, noise round a mean. Here that is the mean of the whole mixture, `mixture.centre`.
# - `energy_distance` takes two sets $X$, $Y$ and returns
#   $2\,\mathbb E\|X - Y\| - \mathbb E\|X - X'\| - \mathbb E\|Y - Y'\|$. It is 0 if they have one density.
# - `two_sample_floor` is what true sets have among each other, of as many samples: the *floor*. We divide by it, so
#   that 1 is right.
# - `mixture.posterior(x, sigma)` takes samples and returns, for each, the probabilities of the classes.

# %%
sigma_0, sigma_inf = 3.0, 0.01


def measure(x):
    return x @ M.T


true = [posterior.sample(N, generator=torch.Generator().manual_seed(10 + k)) for k in range(6)]
floor = fgs.two_sample_floor(fgs.energy_distance, true)
exact = ExactScore(mixture)
SCORES = {
    "exact": ExactScore(posterior),
    "posterior": fgs.Posterior(exact, measure, y, noise, iterations=1),  # to divide by V, which is one number here
    "projected": fgs.Projected(exact, measure, y),
}
samples, distance = {}, {}


def sample(name, how, sampler):
    start = fgs.draw_start((N, 2), mixture.centre, sigma_0, 0.5, torch.Generator().manual_seed(0))
    x = samples[name, how] = sampler(SCORES[name], start, None, torch.Generator().manual_seed(1)).x
    distance[name, how] = sum(float(fgs.energy_distance(x, t)) for t in true) / len(true) / floor
    lesson.compare(f"{name}, {how}: energy distance ÷ floor", distance[name, how], "1 if right")


for beta in (1.0, 0.3, 0.05):
    for name in SCORES:
        sample(name, f"β = {beta:g}", fgs.MultiStep(200, beta, sigma_0, sigma_inf))
wrong = mixture.posterior(samples["posterior", "β = 1"], sigma_inf).mean(0)
lesson.compare("posterior, β = 1: share of the third class", wrong[2], float(posterior.weights[-1]))

# %% [markdown]
# **What was printed.** In floors, rounded:
#
# | | $\beta = 1$ | $\beta = 0.3$ | $\beta = 0.05$ |
# |---|---|---|---|
# | exact | 15 | 1.2 | 1.6 |
# | `Posterior` | 800 | 310 | 140 |
# | `Projected` | 3000 | 2250 | 1430 |
#
# So the answer to the second question is: put noise back. It helps, and it is not enough. With `Posterior` at
# $\beta = 1$ only 73 % are of the third class, where 98.5 % should be.

# %% [markdown]
# **For the curious: why is the exact score off at $\beta = 1$?** Its start lies round the mean of the mixture, not
# round that of the answer. $\beta = 1$ forgets no start (lesson 3). Started round `posterior.centre` it has 1.2
# floors (measured by this code; the lesson does not print it).

# %% [markdown]
# **What goes wrong.** Take a $\sigma$ as large as the distance of the classes. What is unknown then has several
# heaps, and one Gaussian is a poor picture of it. Some $x$ are sent to a class that $y$ all but excludes. Further
# down, each class is seen by itself. There the formula is exact, but it is too late: with $\beta = 1$ nothing comes
# back from a wrong class. Noise on the way lets $x$ forget where it was sent, while $\sigma$ is still large enough to
# cross. It mends a part, as in lessons 3 and 6.

# %% [markdown]
# **Particles mend the rest.** Follow the same score with $N$ samples at once, the *particles*. Give each a weight
# that corrects what the score gets wrong. Say at every level how likely $y$ is, by any sensible $G$. Ours is
#
# $$\log G = -\frac{\|y - M\hat x\|^2}{2v}, \quad v = \varsigma^2 + \frac{\lambda^2\sigma^2}{\lambda^2 + \sigma^2} .$$
#
# The last term is what is unknown of a coordinate of $x$ in one class (lesson 1). In each step multiply the weight by
# two ratios:
#
# - what $G$ is now, over what it was a step before;
# - how likely the step would have been by the mixture's own score, over how likely it was by the score that was
#   followed.
#
# Where few particles carry all the weight, draw $N$ anew, each in proportion to its weight.

# %% [markdown]
# **Why that is right.** Multiply the ratios of all steps. The second kind turns the paths into those of the mixture,
# without guidance. The first kind leaves the last $G$, since all others cancel. At the end hardly anything of $x$ is
# unknown, so this $G$ is the likelihood $p(y|x)$. Mixture times likelihood is Bayes' rule. For $N \to \infty$ and
# small steps the answer is right, whatever was guessed on the way (Wu et al. 2023).
#
# `Steered(calls, beta, sigma_0, sigma_inf, potential, free)` is that sampler. `potential` takes $x_\sigma$, $\hat x$
# and $\sigma$, and returns $\log G$. `free` is the score without guidance.


# %%
def log_likelihood(x, x_hat, sigma):
    v = noise**2 + sigma**2 * lam**2 / (sigma**2 + lam**2)  # ς² and what is unknown of x in a class
    return -(measure(x_hat) - y).square().sum(1) / (2 * v)


particles = fgs.Steered(200, 0.3, sigma_0, sigma_inf, potential=log_likelihood, free=exact)
sample("posterior", "particles", particles)

# %% [markdown]
# **What was printed:** 1.8 floors, with $\beta = 0.3$. By the same score without weights it was 310.
#
# **What to look for.** Each panel is the plane of $x$. Gray is the mixture, before anything was measured. Green are
# samples. The black line is $y$. How many green points are in the upper class, which should have 1.5 % of them? How
# near to the line does each score put its samples?

# %%
figure, axes = lesson.figure(columns=4, width=2.6, height=2.8)
shown = {("posterior", how): f"posterior, {how}" for how in ("β = 1", "β = 0.05", "particles")}
shown |= {("projected", "β = 0.05"): "projected, β = 0.05"}
background = mixture.sample(600, generator=torch.Generator().manual_seed(3))
for panel, (key, title) in zip(axes, shown.items(), strict=True):
    panel.scatter(*background.T, s=2, color=OTHER, alpha=0.4)
    panel.scatter(*samples[key][:600].T, s=2, color=CLASS_COLOURS[1])
    panel.axvline(float(y), color="black", lw=1)
    panel.set(title=f"{title}\n{distance[key]:.3g} floors", xlim=(-0.9, 1.1), ylim=(-1, 1.1), xticks=[], yticks=[])
axes[0].set_xlabel("gray: the mixture; line: y")
lesson.save(figure, "posterior")

# %% [markdown]
# **What was seen.** The upper class gets too many at $\beta = 1$, fewer at $\beta = 0.05$, and next to none by
# particles. In the right class samples lie between the middle of the class and the line: $y$ is noisy, and
# `Posterior` knows it. `Projected` takes $y$ at its word and puts all on the line.

# %%
at = [distance["posterior", how] for how in ("β = 1", "β = 0.3", "β = 0.05", "particles")]
assert at == sorted(at, reverse=True) and at[-1] < 3, "noise mends more and more, and particles the most"
lesson.end()

# %% [markdown]
# **A network.** Nothing here asked how the score was made. `fgs restore photo.png --task inpaint --mask hole.png`
# does it with the model that ships: with `--careful` by `Posterior`, without by `Projected`, which is faster and is
# told of the noise. The features $\phi$ of a class, or of another photograph, guide what is not seen. Particles are
# not in the command. They do not always win: where $y$ has little noise, few survive (`docs/uses.md` has a table).

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Let $x$ be one Gaussian $N(m, \lambda^2\mathrm{Id})$ and $M = \mathrm{Id}$. What is $J$, and what does the
#    formula say as $\varsigma \to 0$?
# 2. $y = x + \varsigma z$, with noise alone ($M = \mathrm{Id}$). Which start makes guidance by $y$ superfluous?
# 3. Which of the two scores would you take where $y$ has no noise and half of the pixels are hidden?
