"""Lesson 8: Learn the score.

Claim: The plain loss leaves small noise unlearned and classes too narrow; drawing and weighting it more helps both.
"""

# %%
import torch

import fgs
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, GaussianMixture, class_axis, means_on_line, noise_range, rank1_covariances

lesson = Lesson(8)

# %% [markdown]
# Until now the score was exact. From here on a network has to learn it, from samples alone. "The paper" (Kadkhodaie,
# Mallat & Simoncelli 2024, "Feature-guided score diffusion for sampling conditional densities") gives a loss for it,
# and leaves two things open. This lesson shows that they decide whether a class gets its width.
#
# **Predict**, and write it down. The data are two narrow classes. A small network is trained for 2000 steps.
#
# 1. Which share of what training can gain lies at noise smaller than the width of a class: a tenth, a hundredth, a
#    ten-thousandth?
# 2. Which part of the width do its samples then have: nine tenths, a half, a quarter?
# 3. One can *draw* small noise more often, or *count* its errors more. Does the first alone suffice?

# %% [markdown]
# **The symbols so far** (lessons 1 to 4).
#
# - $x$ is a clean sample, $d$ numbers. $x_\sigma = x + \sigma z$ is the sample with noise: $z$ is white noise, $d$
#   independent normal numbers of variance 1, and $\sigma$ is the noise level.
# - $\hat x$ is a guess of $x$, made from $x_\sigma$. $s = \hat x - x_\sigma$ is what the denoiser adds. For the best
#   guess it is $\sigma^2\nabla\log p_\sigma(x_\sigma)$, with $p_\sigma$ the density of $x_\sigma$. Then it is the
#   score, times $\sigma^2$.
# - $\lambda$ is the sd of a class.
# - $\sigma_0$ and $\sigma_\infty$ are the noise levels at which the sampler begins and ends.

# %% [markdown]
# **The data** are a mixture of two Gaussians, as in Section 5.3 of the paper. They have $d = 64$ dimensions. The
# means are $\pm 0.7\,u$, with a vector $u$ of length 1. Within a class the sd is $\lambda = 0.1$ along $u$, and 0
# across.
#
# So one direction of 64 matters. In the others there is only noise, which tells the network how much noise there is.
# That is why it may be *blind*: $\sigma$ is no input (lesson 4).
#
# In code, `means_on_line` places the means and `rank1_covariances` has the classes narrow across. `GaussianMixture`
# takes weights, means and covariances, and draws samples. `class_axis(mixture, 1).u` is $u$. `noise_range` chooses
# $\sigma_0 = 1.41$, which drowns the mixture in noise, and $\sigma_\infty = 0.016$, well below $\lambda$.

# %%
d, lam = 64, 0.1
means = means_on_line(K=2, d=d, spacing=1.4)
mixture = GaussianMixture(torch.tensor([0.5, 0.5], dtype=torch.float64), means, rank1_covariances(means, std=lam))
u = class_axis(mixture, 1).u
sigma_0, sigma_inf = noise_range(mixture, h=0.05)

# %% [markdown]
# **The loss** (Eq. 3 of the paper). Draw $x$, $\sigma$ and $z$, and make
#
# $$\|s(x + \sigma z) + \sigma z\|^2$$
#
# small in the mean. With $s = \hat x - x_\sigma$ this is $\|\hat x - x\|^2$, the error of the guess. So the best $s$
# is that of the best guess. (The paper prints $s - \sigma z$. By its own Eq. 2,
# $\hat x - x_\sigma = \sigma^2\nabla\log p_\sigma$, the sign is a plus, as in lesson 1.)

# %% [markdown]
# **Two things are left open.** A small network after 2000 steps is not the best $s$. It has spent its effort where
# errors cost most. That depends on two choices.
#
# - *How often is each $\sigma$ drawn?* The paper draws it uniformly. One can draw $\log\sigma$ uniformly, so that
#   every octave of noise has the same share.
# - *How much does its squared error count?* In the paper all count 1. One can count by $1/(\sigma^2 + c^2)$, that is,
#   relative to the noise. The $c$ keeps it finite. We take $c = \lambda/2$.

# %% [markdown]
# **What does it cost to get small noise wrong?** Look at one class of mean $m$, along $u$. There $x_\sigma - m$ has
# the variance $\lambda^2 + \sigma^2$, and the best $s$ is (lesson 1)
#
# $$s = -\frac{\sigma^2}{\lambda^2 + \sigma^2}\,(x_\sigma - m) .$$
#
# An $s$ that differs from it has a squared error that is larger by the mean square of the difference. (What the best
# guess misses is uncorrelated with any function of $x_\sigma$: lesson 4.) Take two wrong answers:
#
# - $s = 0$, to leave $x_\sigma$ as it is. The difference is the best $s$ itself. Its mean square is
#   $\sigma^4/(\lambda^2 + \sigma^2)^2$ times $\lambda^2 + \sigma^2$, which is $\sigma^4/(\lambda^2 + \sigma^2)$.
# - $s = -(x_\sigma - m)$, to go all the way to the mean. It goes too far, by $\lambda^2/(\lambda^2 + \sigma^2)$ of
#   the way. That costs $\lambda^4/(\lambda^2 + \sigma^2)$.
#
# For $\sigma \ll \lambda$ these are about $\sigma^4/\lambda^2$ and $\lambda^2$. For large $\sigma$ the first is about
# $\sigma^2$. So at small noise there is little to gain. Yet it is the $s$ at small noise that gives a class its
# width. (The sampler puts noise back, and mostly forgets what was before: lesson 6.)

# %% [markdown]
# **Which share of the cost lies below $\sigma = \lambda$?** Take the cost of $s = 0$, one class, and three choices.
# `uniform(low, high)` and `log_uniform(low, high)` draw $\sigma$ and $\log\sigma$ uniformly. (The paper has 0 to 1;
# here it is 0 to $\sigma_0$. The log cannot begin at 0, and begins at $\sigma_\infty/4$.) `unweighted` counts all
# errors 1, and `inverse_variance(c)` by $1/(\sigma^2 + c^2)$. The next cell draws a million $\sigma$ of each.

# %%
CHOICES = {
    "plain loss, σ uniform (paper)": (fgs.uniform(0.0, sigma_0), fgs.unweighted),
    "plain loss, log σ uniform": (fgs.log_uniform(sigma_inf / 4, sigma_0), fgs.unweighted),
    "weight 1/(σ² + λ²/4), log σ uniform": (fgs.log_uniform(sigma_inf / 4, sigma_0), fgs.inverse_variance(lam / 2)),
}
shares = []
for noise_levels, weight in CHOICES.values():
    sigma = noise_levels(1_000_000, torch.Generator().manual_seed(0))
    cost = weight(sigma) * sigma**4 / (lam**2 + sigma**2)
    shares.append(float(cost[sigma < lam].sum() / cost.sum()))

# %% [markdown]
# **By hand**, for the first choice. All $\sigma$ are equally frequent, so the cost is an integral over $\sigma$:
#
# $$\int\!\frac{\sigma^4}{\lambda^2 + \sigma^2}\,\mathrm d\sigma
# = \int\!\Bigl(\sigma^2 - \lambda^2 + \frac{\lambda^4}{\lambda^2 + \sigma^2}\Bigr)\mathrm d\sigma
# = \frac{\sigma^3}{3} - \lambda^2\sigma + \lambda^3\arctan\frac\sigma\lambda .$$
#
# From 0 to $\lambda$ it is $\lambda^3\,(\pi/4 - 2/3)$. From 0 to $\sigma_0$ it is nearly
# $\sigma_0^3/3 - \lambda^2\sigma_0$.

# %%
by_hand = lam**3 * (torch.pi / 4 - 2 / 3) / (sigma_0**3 / 3 - lam**2 * sigma_0)
lesson.compare("share of the cost that lies below σ = λ, paper's choice", shares[0], by_hand)
for name, share in zip(list(CHOICES)[1:], shares[1:], strict=True):
    lesson.compare(f"the same share, {name}", share, "more")

# %% [markdown]
# **What was printed.** With the paper's choice the share is 0.00013, about a ten-thousandth. With $\log\sigma$
# uniform it is 0.0016. With the weight it is 0.08.

# %% [markdown]
# **Train** three equal networks, one for each choice. The paper's Algorithm 4 says how: draw $x$, draw $\sigma$, draw
# $z$, make $x_\sigma$, take a step against the gradient of the loss.
#
# - `MLP(d)` is a network of three hidden layers of 128 numbers. $x_\sigma$ goes in, $s$ comes out.
# - `denoising_loss` takes the network and clean samples, draws $\sigma$ and $z$, and returns the loss. With
#   `antithetic`, each $x$ meets the noise $z$ and the noise $-z$. The expected loss stays the same, and its gradient
#   is less noisy.
# - `Trainer` takes the steps. `trainer.ema` is the network with the running average of its weights.


# %%
def train(noise_levels, weight):
    """Return the network after 2000 steps: the average of its weights (EMA), ready for use."""

    def loss(network, generator):
        x = mixture.sample(128, generator=generator).float()
        return fgs.denoising_loss(
            network, x, noise_levels=noise_levels, weight=weight, antithetic=True, generator=generator
        )

    torch.manual_seed(0)
    trainer = fgs.Trainer(fgs.MLP(d, bias=True), loss, fgs.Budget(steps=2000), learning_rate=4e-3)
    for _ in trainer.run():
        pass
    return trainer.ema.eval().requires_grad_(False)


networks = {name: train(*choice) for name, choice in CHOICES.items()}

# %% [markdown]
# **Two questions to each network.**
#
# *Where is its score right?* The function `error` compares $s$ with the exact one along $u$, at one noise level:
#
# $$\sqrt{\;\mathbb{E}\,(u \cdot s - u \cdot s_\star)^2 \;\big/\; \mathbb{E}\,(u \cdot s_\star)^2\;}$$
#
# Here $s_\star$ is the exact one, and $\mathbb{E}$ the mean over 4000 $x_\sigma$. 0 is right, and 1 is as bad as
# $s = 0$.
#
# *What does the sampler make of it?* `positions` samples the mixture, and takes the place of each sample along $u$,
# seen from the nearer mean (`nearest_mean`), in $\lambda$. The sampler is `SISA` (lesson 2), with the step $h = 0.05$
# and the noise control $\beta = 0.2$. It starts in noise round the mean of all (`draw_start`). With `pooled` it reads
# one $\sigma$ from the residuals $s$ of the batch (lesson 4).

# %%
levels = torch.logspace(0, -1.8, 12, dtype=torch.float64)
exact = ExactScore(mixture)
sampler = fgs.SISA(h=0.05, beta=0.2, sigma_0=sigma_0, sigma_inf=sigma_inf, noise_level=fgs.pooled)


def error(score, sigma):
    """√(E[(u·(s − s_exact))²]/E[(u·s_exact)²]): 0 is right, 1 is as bad as s = 0."""
    generator = torch.Generator().manual_seed(1)
    x_sigma, _ = fgs.add_noise(mixture.sample(4000, generator=generator), sigma, generator)
    s = exact(x_sigma, None, sigma) @ u
    return float(((score(x_sigma.float()).double() @ u - s).square().mean() / s.square().mean()).sqrt())


def positions(score):
    """Sample the mixture; return how far each sample lies from the mean of the nearer class, in λ."""
    generator = torch.Generator().manual_seed(2)
    x = fgs.draw_start((2000, d), mixture.centre.float(), sigma_0, generator=generator)
    x = sampler(score, x, generator=generator).x.double()
    return (x - means[fgs.nearest_mean(x, means)]) @ u / lam


errors = {name: [error(network, sigma) for sigma in levels] for name, network in networks.items()}
widths = {name: positions(network) for name, network in networks.items()}
for name, x in widths.items():
    lesson.compare(f"sd within a class in λ, {name}", x.std(), 1.0)

# %% [markdown]
# **Look.** On the left is the error of the score against the noise level, both axes logarithmic. Which curves go over
# the line of $s = 0$, and where? On the right are the samples within their class. Which are as wide as the black
# curve?

# %%
colours = dict(zip(CHOICES, (OTHER, COLOURS["forcing"], COLOURS["learned"]), strict=True))
figure, (left, right) = lesson.figure(columns=2, width=4.8, height=3.8)
for name, colour in colours.items():
    left.loglog(levels, errors[name], "o-", ms=4, color=colour, label=name)
    how = {"range": (-4, 4), "density": True, "histtype": "step", "lw": 1.5}
    right.hist(widths[name].clamp(-4, 4), 81, color=colour, **how)
    right.plot([], [], color=colour, lw=1.5, label=f"sd {widths[name].std():.2f} λ")
left.axvline(lam, color=TRUTH, lw=1, ls=":")
left.annotate("σ = λ", (lam, left.get_ylim()[1]), ha="center", va="bottom")
left.axhline(1, color=TRUTH, lw=1, label="s = 0")
left.set(xlabel="noise level σ (units of x)", ylabel="error of the score along u ÷ its size")
left.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
left.legend(fontsize=8)
grid = torch.linspace(-4, 4, 200)
right.plot(grid, (-grid.square() / 2).exp() / (2 * torch.pi) ** 0.5, color=TRUTH, label="true class, sd 1 λ")
right.set(xlabel="position of samples in their class (λ)", ylabel="density", ylim=(0, 2.2))
right.legend(fontsize=8)
lesson.save(figure, "effort")

# %% [markdown]
# **What was seen.** Left: above $\sigma = \lambda$ all three have errors below 0.4. Below it the plain losses get
# worse and worse. With $\sigma$ uniform, the error is larger than that of $s = 0$ from about 0.07 down, and some 26
# times as large at $\sigma_\infty$. With $\log\sigma$ uniform it is so from about $0.045$ down. With the weight it
# stays below it.
#
# Right: the samples have 0.25, 0.80 and 1.05 of the width. So the answers are: a ten-thousandth, a quarter, and no.
# In this run (one seed) drawing small noise more often does most of it, and the weight does the rest.

# %%
sds = [float(x.std()) for x in widths.values()]
assert sds[0] < sds[1] < 0.85 < sds[2] < 1.15, "only the loss that counts small noise gives a class its width"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. The plain loss makes classes too *narrow*, not too wide. What does the left panel say of the network's pull?
# 2. In $d = 1$ no choice of loss saves a blind network. Why not, and what does? (`fgs toy --learned --blind` shows
#    it.)
# 3. Train the last choice with `antithetic=False`. Which noise levels should get worse, and why just those?
