"""Lesson 7: What classifier-free guidance really samples.

Claim: With noise it samples p_y·p(y|x)^ω, the class if classes lie apart; without, a class narrowed and pushed out.
"""

# %%
import math

import torch

from fgs import SISA, ClassifierFreeGuidance, known_schedule
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, Judge, mixture_on_line, noise_range

lesson = Lesson(7)
generator = torch.Generator().manual_seed(0)
lam, h, n, y = 0.1, 0.05, 5000, 1

# %% [markdown]
# The usual way to get samples of one class is to exaggerate: to follow what sets the class apart from the rest more
# than Bayes' rule says. It is called *classifier-free guidance*, CFG. "The paper" (Kadkhodaie, Mallat & Simoncelli
# 2024, "Feature-guided score diffusion for sampling conditional densities") says in Section 2 that CFG does not
# sample the class. Here all scores are exact, so that we can see what it does sample.
#
# **Predict**, and write it down. One class has the sd $\lambda$, and its neighbour is $14\lambda$ away. CFG takes
# its score, and adds four times as much again of what sets it apart.
#
# 1. The sampler puts no noise back. Which part of its width does the class keep: nine tenths, seven tenths, a half?
# 2. Now the sampler puts back nearly all the noise that a step takes off. Is the class right?
# 3. And if the neighbour is only $4\lambda$ away?

# %% [markdown]
# **The symbols so far** (lessons 1 to 6).
#
# - $x_\sigma = x + \sigma z$ is a clean sample $x$ with noise of level $\sigma$. $p_\sigma$ is its density.
# - $y$ is a class, a Gaussian: mean $m_y$, sd $\lambda$, and $v = \lambda^2 + \sigma^2$ its variance with noise. Here
#   there are two, equally often. $D$ is the distance of their means (in code in units of $\lambda$).
# - $p_\sigma(x \mid y)$ is the density of class $y$ with noise. $p_\sigma(y \mid x)$ is the probability of the class,
#   given $x$. At $\sigma = 0$ we leave out the index. (The claim above writes $p_y$ for $p(x \mid y)$.) From here on
#   we write $x$ for noisy samples, too.
# - $\nabla\log p_\sigma$ is the score, and $s = \hat x - x_\sigma = \sigma^2\nabla\log p_\sigma(x_\sigma)$, with
#   $\hat x$ the best guess of $x$.
# - SISA is the sampler: $x \leftarrow x + hs + \gamma z'$ with new noise $z'$, and
#   $\sigma \leftarrow (1 - \beta h)\,\sigma$, from $\sigma_0$ down to $\sigma_\infty$. At $\beta = 1$ no noise is put
#   back, $\gamma = 0$. At $\beta = 0.1$ nearly all is.

# %% [markdown]
# **What CFG follows.** Bayes' rule (Eq. 4 of the paper) splits the score of a class in two:
#
# $$\nabla\log p_\sigma(x \mid y) = \nabla\log p_\sigma(x) + \nabla\log p_\sigma(y \mid x) .$$
#
# The last term is what sets the class apart. CFG adds it $\omega$ times more, with $\omega > 0$. We call the result
# $g$:
#
# $$g = \nabla\log p_\sigma(x \mid y) + \omega\,\nabla\log p_\sigma(y \mid x)
# = (1 + \omega)\,\nabla\log p_\sigma(x \mid y) - \omega\,\nabla\log p_\sigma(x) .$$
#
# The second form needs no classifier, hence the name. At $\omega = 0$ it is the score of the class.

# %% [markdown]
# **Is $g$ the score of something?** At each noise level, yes. It is the gradient of the log of
#
# $$q_\sigma(x) \;\propto\; p_\sigma(x \mid y)\;p_\sigma(y \mid x)^\omega .$$

# %% [markdown]
# **But these $q_\sigma$ do not fit together.** Lesson 3 showed that a sampler arrives at a density if each $q_\sigma$
# is that density with noise added. They are not.
#
# Classes that lie far apart show it at once. At $\sigma = 0$ no $x$ of class $y$ can be of the other, so
# $p(y \mid x) = 1$ there, and its power is 1. So $q_0$ is the class itself, and $q_0$ with noise added is
# $p_\sigma(x \mid y)$. But at a $\sigma$ where the noisy classes overlap the power is not 1. So $q_\sigma$ is
# something else.
#
# So which density comes out depends on the sampler. We compute it at both ends of the family of $\beta$.

# %% [markdown]
# **Little $\beta$: the end alone counts.** For $\beta \to 0$ SISA is Langevin dynamics (lesson 3). It has much time
# at each level, and comes to rest in the $q_\sigma$ of that level. (Its step stays at a density if it follows that
# density's score, as lesson 3 showed.) In the end that is $q_{\sigma_\infty}$.
#
# - Where classes lie far apart, this is the class, of sd $\lambda$, with the little noise $\sigma_\infty$ on top. CFG
#   is right, for any $\omega$.
# - Where they overlap, the power cuts off the side of the class that looks to the other. The mean moves away from it.
#
# The function `tilted` computes mean and sd of $q_{\sigma_\infty}$ by sums over a grid. It uses two functions of the
# mixture: `log_prob(x, sigma)` is $\log p_\sigma(x)$, `log_posterior(x, sigma)` is $\log p_\sigma(y \mid x)$, a
# column for each class. `softmax` turns the log of a density into weights of sum 1.

# %% [markdown]
# **$\beta = 1$: the way counts.** No noise is put back. A step moves $x$ by $h\sigma^2 g$, while $\sigma^2$ falls by
# $\sigma^2 - (1 - h)^2\sigma^2 \approx 2h\sigma^2$. For small steps,
#
# $$\mathrm dx = -\tfrac12\,g\;\mathrm d(\sigma^2) .$$
#
# What does the extra term do? Lesson 6 found, with $p = p_\sigma(y \mid x)$ and the other class $y'$,
#
# $$\nabla\log p_\sigma(y \mid x) = (1 - p)\,\frac{m_y - m_{y'}}{v} .$$
#
# - It points away from the other class. So it pushes the samples *out*.
# - It is the larger the nearer $x$ is to the other class, since $1 - p$ is. Who is nearest to it is pushed most. So
#   samples move together: the class gets *narrow*.

# %% [markdown]
# **And it is never undone.** Take classes that lie far apart. Later, when $\sigma$ is small, $p$ is nearly 1. Then
# $g = -(x - m_y)/v$, and $\mathrm d(\sigma^2) = \mathrm dv$. So
#
# $$\frac{\mathrm d(x - m_y)}{x - m_y} = \frac12\,\frac{\mathrm dv}{v} ,$$
#
# that is, $(x - m_y)/\sqrt v$ stays as it is. What CFG did at large $\sigma$ is only scaled down with the class.

# %% [markdown]
# **An answer without SISA.** The function `transported` follows 2001 points, each for an equal share of the start.
# (`ndtri` is the inverse of the normal distribution function, and places them.) Since
# $\mathrm d(\sigma^2) = 2\sigma^2\,\mathrm d\log\sigma$, they move by $-\sigma^2 g$ per unit of $\log\sigma$. Each of
# its 400 steps takes a mean of four slopes, the rule of Runge and Kutta of fourth order.

# %%
grid = torch.linspace(-1.5, 3, 9001, dtype=torch.float64)[:, None]  # m_y is 0.7 or 0.2, the other class at −m_y


def tilted(mixture, omega, sigma):
    """Mean and sd of q_σ ∝ p_σ(x|y) p_σ(y|x)^ω, in λ from the mean of the class."""
    log_posterior = mixture.log_posterior(grid, sigma)[:, y]
    log_q = mixture.log_prob(grid, sigma) + (1 + omega) * log_posterior  # p_σ(x) p_σ(y|x) ∝ p_σ(x|y)
    q = log_q.softmax(0)
    mean = float(q @ grid[:, 0])
    sd = math.sqrt(float(q @ (grid[:, 0] - mean).square()))
    return (mean - float(mixture.means[y])) / lam, sd / lam


def transported(score, mixture, sigma_0, sigma_end, steps=400):
    """Mean and sd of the flow's end, likewise, from the exact start N(m_y, λ² + σ_0²)."""
    quantiles = torch.special.ndtri((torch.arange(2001, dtype=torch.float64) + 0.5) / 2001)[:, None]
    x = mixture.means[y] + math.sqrt(lam**2 + sigma_0**2) * quantiles
    step = math.log(sigma_end / sigma_0) / steps

    def velocity(x, log_sigma):  # dx/d(log σ) = −σ²g
        return -score(x, mixture.one_hot(y), torch.tensor(math.exp(log_sigma), dtype=torch.float64))

    for k in range(steps):
        at = math.log(sigma_0) + k * step
        k1 = velocity(x, at)
        k2 = velocity(x + step / 2 * k1, at + step / 2)
        k3 = velocity(x + step / 2 * k2, at + step / 2)
        k4 = velocity(x + step * k3, at + step)
        x = x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return float(x.mean() - mixture.means[y]) / lam, float(x.std()) / lam


# %% [markdown]
# **Now SISA**, for classes $14\lambda$ and $4\lambda$ apart, at $\beta = 1$ and $0.1$, for $\omega = 0$, 1 and 4. All
# start from the exact noisy class, so that no error comes from the start (lesson 3). What the next cell uses:
#
# - `mixture_on_line(K, spacing, std)`: K classes on a line. `noise_range(mixture, h)`: $\sigma_0$, which drowns it in
#   noise, and $\sigma_\infty$, well below $\lambda$.
# - `ExactScore(mixture)`: $s$ in closed form. Asked with a class it is that of the class, without one that of both.
#   So it stands in both places of `ClassifierFreeGuidance(conditional, unconditional, omega)`, which is
#   $\sigma^2 g$. A class is asked for by `mixture.one_hot(y)`, a vector with a 1 at its place.
# - `known_schedule`: SISA takes $\sigma$ from $\sigma \leftarrow (1 - \beta h)\sigma$ (lesson 4 says why).
# - `Judge.draw` draws true samples of the class. `judge.measure(label, x, steps)` returns a row: the error of the
#   mean (positive is away from the other class) and the sd, both in $\lambda$, and W1 ÷ floor.
# - W1 is a distance of two sets of samples, and the floor is that of true ones from true ones (lesson 2).
#
# `lesson.compare` prints what was measured beside what was computed.

# %%
samples, rows, exact = {}, {}, {}
for D in (14, 4):
    mixture = mixture_on_line(K=2, spacing=D * lam, std=lam)
    sigma_0, sigma_inf = noise_range(mixture, h)
    judge = Judge.draw(mixture, y, n, sigma_inf, generator)  # true samples with the noise σ_∞, which ours have too
    for beta in (1.0, 0.1):
        for omega in (0.0, 1.0, 4.0):
            score = ClassifierFreeGuidance(ExactScore(mixture), ExactScore(mixture), omega)
            sampler = SISA(h, beta, sigma_0, sigma_inf, noise_level=known_schedule)
            start = mixture.sample(n, y, sigma_0, generator)
            x = sampler(score, start, mixture.one_hot(y), generator).x
            key = (D, beta, omega)
            samples[key] = (x[:, 0] - mixture.means[y]) / lam
            rows[key] = judge.measure("cfg", x, None)
            flow = beta == 1
            exact[key] = transported(score, mixture, sigma_0, sigma_inf) if flow else tilted(mixture, omega, sigma_inf)
for key in ((14, 1.0, 1.0), (14, 1.0, 4.0), (4, 1.0, 4.0), (14, 0.1, 4.0), (4, 0.1, 1.0), (4, 0.1, 4.0)):
    D, beta, omega = key
    lesson.compare(
        f"{D}λ apart, β = {beta:g}, ω = {omega:g}: error of the mean (λ)", rows[key].mean_error, exact[key][0]
    )
    lesson.compare(f"{D}λ apart, β = {beta:g}, ω = {omega:g}: sd (λ)", rows[key].sd, exact[key][1])
worst = max(row.distance_over_floor for (_, _, omega), row in rows.items() if omega == 0)
lesson.compare("ω = 0, the worst of four: W1 ÷ floor (between two true sets)", worst, "below 2")

# %% [markdown]
# **Look** at four histograms. Left classes are $14\lambda$ apart, right $4\lambda$. Above no noise is put back, below
# much. On the axis is the distance from the mean of the class (thin line), and the other class lies to the left.
# Which panels follow the black curve, the class?

# %%
figure, axes = lesson.figure(2, 2, width=4.2, height=2.6, sharex=True, sharey=True)
bins = torch.linspace(-4, 4, 81)
normal = (-bins.square() / 2).exp() / math.sqrt(2 * math.pi)
for row, beta in zip(axes, (1.0, 0.1), strict=True):
    for axis, D in zip(row, (14, 4), strict=True):
        for omega, style in ((1.0, "-"), (4.0, "--")):
            of_omega = samples[D, beta, omega]
            look = {"color": COLOURS["cfg1"], "ls": style, "lw": 1.2 if omega == 1 else 2.0}
            axis.hist(of_omega, bins.tolist(), density=True, histtype="step", **look)
            axis.plot([], [], label=f"CFG, ω = {omega:g}", **look)
        axis.plot(bins, normal, color=TRUTH, lw=1, label="the class")
        axis.axvline(0, color=OTHER, lw=0.8)
        axis.set_title(f"{D}λ apart, β = {beta:g} ({'no noise' if beta == 1 else 'much noise'})")
axes[0, 0].legend(fontsize=8)
for axis in axes[1]:
    axis.set_xlabel("distance from the mean of the class (λ); ← other class")
for axis in axes[:, 0]:
    axis.set_ylabel("density (1/λ)")
lesson.save(figure, "what_it_samples")

# %% [markdown]
# **What was seen.** One panel of four is right.
#
# 1. Without noise, at $14\lambda$ and $\omega = 4$, the class keeps a half of its width: 0.49. Its mean is pushed out
#    by $0.84\lambda$. Even $\omega = 1$ leaves 0.73 of the width.
# 2. With much noise the class is right. At $\omega = 4$ the mean is off by $0.01\lambda$, and the sd is 1.01.
# 3. At $4\lambda$ noise does not repair all. The side to the left is cut: for $\omega = 4$ the sd is 0.88, and the
#    mean $0.19\lambda$ out. (Without noise it is $1.27\lambda$ out.)
#
# The first two move in the explorer, a page for the browser:
# [guidance that is too narrow at β = 1](../docs/explorer.html#preset=narrow), and
# [noise that repairs it](../docs/explorer.html#preset=repaired).

# %% [markdown]
# **What does $\omega$ buy here?** Nothing, not even in the panel that is right. The score of the class itself,
# $\omega = 0$ (not drawn), is near the class in all four: at most 1.7 floors away.
#
# So the paper's argument, that CFG does not sample the class, holds in three of four panels. It should be told with
# the fourth: put noise back, and take classes that lie far apart, and it does.
#
# In a trained network the score of the class is an estimate, and $\omega$ multiplies its errors as well. Lesson 14
# measures that.
#
# The last cell checks that all twelve agree with what was computed. The largest misfit is $0.04\lambda$. It need
# not be 0: the values were computed for $h \to 0$, and those of the lower panels for $\beta \to 0$.

# %%
misfit = max(max(abs(rows[k].mean_error - exact[k][0]), abs(rows[k].sd - exact[k][1])) for k in rows)
lesson.compare("largest misfit of a mean or sd (λ)", misfit, "below 0.05: h and β are not 0")
right = abs(rows[14, 0.1, 4.0].sd - 1) < 0.05
wrong = rows[14, 1.0, 4.0].sd < 0.7 and rows[4, 0.1, 4.0].mean_error > 0.1
assert misfit < 0.05 and right and wrong, "both regimes as computed"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Which $\omega < 0$ gives the mixture? Try $\omega = -0.5$ at $14\lambda$: how many samples are nearest to $m_y$,
#    at both $\beta$?
# 2. For two classes at $\pm m$, of which $y$ is that at $+m$, $p(y \mid x) = 1/(1 + e^{-2mx/\lambda^2})$. Write
#    $q_0$. Where does its maximum go as $\omega$ grows?
# 3. At $14\lambda$ and $\beta = 1$, set $\omega = 4$ while $\sigma > 5\lambda$ only, and 0 below. (Any function of
#    $x$, $\phi$ and $\sigma$ may be the sampler's score.) Is the class right now? What does that say of guiding in an
#    interval of $\sigma$ only?
