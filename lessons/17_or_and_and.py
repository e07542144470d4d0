"""Lesson 17: OR and AND.

Claim: Log p along a path costs nothing, and with it two scores sample either class, or what both find as likely.
"""

# %%
import torch

import fgs
from fgs.figures import CLASS_COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, GaussianMixture

lesson = Lesson(17)

# %% [markdown]
# There are two classes, and a score for each. We want samples of class 1 OR class 2. Or samples that are class 1 AND
# class 2: that both classes find as likely. Can they be had from the two scores, with no new training?
#
# **Predict** before you go on. The classes are two round Gaussians of one width in the plane.
#
# 1. Follow the *average* of the two scores. Where do samples come to: to both classes, or to another place?
# 2. Which points belong to AND?

# %% [markdown]
# **The symbols so far.**
#
# - $x_\sigma = x + \sigma z$ is a clean signal $x$ with white noise (entries of $z$ are independent normal numbers of
#   variance 1). $\sigma$ is the noise level. A sampler comes from $\sigma_0$ down to $\sigma_\infty$. Below we write
#   $x$ for noisy signals, too.
# - $p_i$ is the density of class $i$ with this noise, $i = 1, 2$.
# - $s_i = \sigma^2\nabla\log p_i$ is its residual, what the denoiser of class $i$ would add to $x$.
# - $\beta$ says how much noise a sampler puts back: none for $\beta = 1$, nearly all for $\beta \to 0$ (lesson 3).

# %% [markdown]
# **The average.** At every $\sigma$,
#
# $$\tfrac12(s_1 + s_2) = \sigma^2\,\nabla\log\sqrt{p_1 p_2} .$$
#
# So it is the score of $\sqrt{p_1 p_2}$, of noisy densities. (In general that is not the $\sqrt{p_1 p_2}$ of clean
# ones, with noise added.) The root is large only where *neither* density is small.

# %% [markdown]
# **OR** is the mixture $\frac12(p_1 + p_2)$. The gradient of its log is $(\nabla p_1 + \nabla p_2)/(p_1 + p_2)$.
# Write $\nabla p_i = p_i\nabla\log p_i$. So its residual is a sum with weights:
#
# $$\kappa_1 s_1 + \kappa_2 s_2, \qquad \kappa_i = \frac{p_i}{p_1 + p_2} .$$
#
# The weights change with $x$: whichever class is the likelier there has the say.

# %% [markdown]
# **AND** follows such a sum as well. In each step it takes the $\kappa_i$, of sum 1, for which $\log p_1$ and
# $\log p_2$ change alike. If they are equal at the start, they are equal at the end. (Both recipes are
# *superposition*, Skreta et al. 2025.)
#
# Both must know how $\log p_i$ changes on the way. A network gives scores, and no $\log p_i$.

# %% [markdown]
# **Log p for nothing: two ways to see one step.** Let $x'$ have the noise $\sigma'$, and $x$ the larger noise
# $\sigma$.
#
# - *There.* Noise takes $x'$ to $x$. Variances add, so $x$ is a Gaussian round $x'$ of variance
#   $\sigma^2 - \sigma'^2$.
# - *Back.* A sampler steps from $x$ to $x'$. For small steps $x'$ is a Gaussian too. Its mean is $x + h s_i$, and its
#   sd is $\gamma$ (lesson 3, at $\beta = \frac12$):
#
# $$h = 1 - \frac{\sigma'^2}{\sigma^2}, \qquad \gamma = \sigma'\sqrt h .$$

# %% [markdown]
# **Both describe one pair.** Write $N(a; b, v)$ for the density at $a$ of a Gaussian with mean $b$, and variance $v$
# in every direction. To have $x'$ and go to $x$ is as probable as to have $x$ and step back to $x'$. This is Bayes'
# rule:
#
# $$p_i(x')\;N(x; x', \sigma^2 - \sigma'^2) = p_i(x)\;N(x'; x + h s_i, \gamma^2) .$$
#
# ($p_i(x')$ is at the noise level $\sigma'$, $p_i(x)$ at $\sigma$.) Take the log:
#
# $$\log p_i(x') - \log p_i(x) = \log N(x'; x + h s_i, \gamma^2) - \log N(x; x', \sigma^2 - \sigma'^2) .$$
#
# The sampler has all of the right-hand side, since it needs the scores for its step. And $x'$ may be any point. So
# both classes can be followed along one path, whatever that path follows.

# %% [markdown]
# **Is it right?** The next cell samples OR and adds up these changes. Beside them it computes the exact $\log p_i$.
# The unit is the *nat*: 1 nat is a factor of $e$ in $p$. What it uses:
#
# - `GaussianMixture(weights, means, covariances)` is a density made of Gaussians. `log_posterior(x, sigma)` returns
#   the log probabilities of its classes at $x$, `log_prob` the log of its density. Their sum is $\log p_i$, but for
#   $\log\frac12$, the same for both.
# - `ExactScore(mixture)` is the residual in closed form. With `mixture.one_hot(i)` for its condition it is $s_i$.
# - `Several(scores, phis, log_p)` holds two scores, each with its class as condition, and $\log p_i$ at the start. (0
#   if left out. That will do: at a large $\sigma_0$ both classes are nearly one Gaussian.)
# - `AnyOf(calls, sigma_0, sigma_inf)` is the sampler of OR, `AllOf` that of AND. Their method `densities` yields
#   every step, and with it the $\log p_i$ found.
# - `draw_start` draws the start, noise round a mean. `lesson.compare` prints a number beside what it should be.

# %%
means = torch.tensor([[-0.5, 0.0], [0.5, 0.3]], dtype=torch.float64)
lam, sigma_0, sigma_inf, N = 0.25, 4.0, 0.02, 1500  # lam: λ, the sd of a class
mixture = GaussianMixture(torch.tensor([0.5, 0.5]).double(), means, lam**2 * torch.eye(2).expand(2, 2, 2).double())
score = fgs.Several((ExactScore(mixture), ExactScore(mixture)), tuple(mixture.one_hot(torch.arange(2))))


def log_p(x, sigma):
    """Exact log p_i, (2, N)."""
    return (mixture.log_posterior(x, sigma) + mixture.log_prob(x, sigma)[:, None]).T


start = fgs.draw_start((N, 2), mixture.centre, sigma_0, lam, torch.Generator().manual_seed(0))
sampler = fgs.AnyOf(200, sigma_0, sigma_inf)
error, levels = [], []
known = fgs.Several(score.scores, score.phis, log_p(start, torch.tensor(sigma_0).double()))
for step, found in sampler.densities(known, start, torch.Generator().manual_seed(1)):
    exact = log_p(step.x, step.sigma)
    error.append(float((found - exact).square().mean().sqrt()))
    levels.append(float(step.sigma))
lesson.compare("log p along the path: error in nats (rms), at the end", error[-1], "below 1")
lesson.compare("log p_1 − log p_2 at the end: sd in nats", (exact[0] - exact[1]).std(), "far more than the error")

# %% [markdown]
# **What was printed.** After 200 steps $\log p_i$ is off by 0.5 nats (root of the mean square). From sample to sample
# $\log p_1 - \log p_2$ has an sd of 9.5 nats. So the error hardly matters for which class a sample belongs to.

# %% [markdown]
# **Now sample.** The next cell draws samples of the average, of OR, and of AND, all from one start. OR is compared
# with true samples of the mixture, by the energy distance ÷ floor of lesson 16: 1 is right. For all three it
# prints the median of $|\log p_1 - \log p_2|$, over samples.
#
# - `FewSteps(calls, beta, sigma_0, sigma_inf)` is a sampler. It takes a score and a start, and returns the samples as
#   `.x`. A `Several` that is called as one score is the average.
# - `energy_distance` takes two sets and returns a distance of their densities. `two_sample_floor` is what true sets
#   have among each other.

# %%
samples = {
    "average": fgs.FewSteps(200, 0.5, sigma_0, sigma_inf)(score, start, None, torch.Generator().manual_seed(1)).x
}
for name, kind in (("OR", fgs.AnyOf), ("AND", fgs.AllOf)):
    samples[name] = kind(200, sigma_0, sigma_inf)(score, start, None, torch.Generator().manual_seed(1)).x
true = [mixture.sample(N, sigma=sigma_inf, generator=torch.Generator().manual_seed(10 + k)) for k in range(6)]
floor = fgs.two_sample_floor(fgs.energy_distance, true)
distance = sum(float(fgs.energy_distance(samples["OR"], t)) for t in true) / len(true) / floor
lesson.compare("OR: energy distance to the mixture ÷ floor", distance, 1.0)
gap = {}
for name, x in samples.items():
    both = log_p(x, sigma_inf)
    gap[name] = float((both[0] - both[1]).abs().median())
    lesson.compare(
        f"{name}: |log p_1 − log p_2| in nats, median", gap[name], {"AND": "near 0", "OR": "large"}.get(name, "between")
    )

# %% [markdown]
# **What was printed.** OR is 1.2 floors from the mixture. The median of $|\log p_1 - \log p_2|$ is 8.5 nats for OR,
# 2.8 for the average, and 0.16 for AND.
#
# **What to look for.** First panel: the error of $\log p_i$ by noise level. Time runs from right to left. The others
# are the plane: gray are true samples of both classes, green are ours. On the black line $\log p_1 = \log p_2$. It
# stands half-way between the classes. Which of the three samples keep to it?

# %%
figure, (panel, *axes) = lesson.figure(columns=4, width=2.7, height=2.8)
panel.plot(levels, error, color=CLASS_COLOURS[0])
panel.set(xscale="log", xlabel="σ (the path runs to the left)", title="error of log p (nats)", ylim=(0, None))
for axis, (name, x) in zip(axes, samples.items(), strict=True):
    axis.scatter(*true[0][:800].T, s=2, color=OTHER, alpha=0.4)
    axis.scatter(*x[:800].T, s=2, color=CLASS_COLOURS[1])
    axis.plot([-0.36, 0.36], [1.35, -1.05], color=TRUTH, lw=1)
    axis.set(title=name, xlim=(-1.3, 1.3), ylim=(-1.1, 1.4), xticks=[], yticks=[])
axes[0].set_xlabel("gray: the classes; line: log p_1 = log p_2")
lesson.save(figure, "composed")

# %% [markdown]
# **What was seen.** The error grows as the noise falls, and stays small. The answer to the first question: the
# average samples *neither* class. It has a heap of its own between the two, as wide as each of them. To the second:
# AND lies on the line half-way, and there where both classes are still likely.

# %%
assert error[-1] < 1 and distance < 1.5 and gap["AND"] < 0.3 * gap["OR"], "OR is the mixture, AND finds both as likely"
lesson.end()

# %% [markdown]
# **For the curious: why $\beta = \frac12$.** The step back must put in as much noise as the reversed path has. Only
# then do there and back describe one pair. Exercise 3 asks what is missing at other $\beta$.

# %% [markdown]
# **For the curious: pictures.** `fgs sample --class bricks_001 --or oak_veneer` draws bricks or oak. With `--and` it
# draws what both find as likely: a dull gray with a few lines, as no wall is of oak. The command `fgs sample
# --between bricks_001 oak_veneer` goes half-way in the features $\phi$. It is neither, but has features of both.
# AND is about densities, which are far from each other. $\phi$ knows what lies between.

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. For two Gaussians $N(m_i, \lambda^2\mathrm{Id})$ of means $m_i$, which density has the average of their two
#    scores at every $\sigma$? How wide is it?
# 2. Three classes, and OR of two of them. What does the guided network of the mixture of all three have to do with
#    it?
# 3. Why must $\beta$ be $\frac12$ here, and what would be missing at $\beta = 1$?
