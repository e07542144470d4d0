"""Lesson 9: Channel means and matching.

Claim: Two functions make a denoiser guidable: one reads its channels' means, one sets them to another signal's.
"""

# %%

import torch
from torch import nn

import fgs
from fgs.figures import CLASS_COLOURS, OTHER
from fgs.validate import validate
from lesson import Lesson
from toy import means_on_line

lesson = Lesson(9)
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# Lesson 6 pulled samples towards the mean of a class. Images do not lie close round the mean of their class (that of
# a texture is gray). So the paper pulls *features* instead. ("The paper" is Kadkhodaie, Mallat & Simoncelli 2024,
# "Feature-guided score diffusion for sampling conditional densities".) Its features are means of the channels of a
# network. This lesson shows the two functions that this takes, and guides a small network with them.
#
# **Predict** before you go on. There are two classes of waves, of a long and of a short period, at any phase.
#
# 1. All waves have the mean 0. Can the mean of *something else* tell the two classes apart, and overlook the phase?
# 2. To guide, we shall set nothing but means. Will that give waves of one phase only, or of many?

# %% [markdown]
# **The symbols so far.**
#
# - $x$ is a clean signal. $x_\sigma = x + \sigma z$ is $x$ with noise: $\sigma$ is the noise level, and the entries
#   of $z$ are independent normal numbers of variance 1.
# - $\hat x$ is the network's guess of $x$, made from $x_\sigma$. The network returns $s = \hat x - x_\sigma$.
# - For the best guess $s = \sigma^2 \nabla \log p_\sigma(x_\sigma)$, where $p_\sigma$ is the density of noisy signals
#   (lesson 1). $\nabla \log p_\sigma$ is its *score*.
# - $m_y$ is the mean of class $y$.
# - $K_\sigma \ge 0$ is the strength of the push of lesson 6.

# %% [markdown]
# **The push of lesson 6** adds $K_\sigma (m_y - x)$ to the score. $s$ is $\sigma^2$ times a score. So to $s$ the push
# adds
#
# $$g\,(m_y - x), \qquad g = \sigma^2 K_\sigma.$$
#
# The number $g$ is called its *gain*.

# %% [markdown]
# **Channels and positions.** A layer of a convolutional network gives several channels, and each channel has a value
# at every position. So its output is an array $h$ of shape (N, C, positions): N signals, C channels. Two functions
# are all that we need.
#
# - `channel_means(h)` takes such an array. It returns the mean of each channel over its positions, (N, C).
# - `match_means(h, target, g)` returns $h + g\,(\text{target} - \text{mean of } h)$. In each channel one number is
#   added, the same at every position. So what varies along the positions stays.

# %% [markdown]
# **The push is a matching of means.** Take means $m_y$ along $u = (1, \dots, 1)/\sqrt d$. Read $x$ as *one* channel
# with $d$ positions, and let $\bar x$ be its mean over them. Then $u \cdot x = \sqrt d\,\bar x$.
#
# - Matching adds $g\,(\bar m_y - \bar x)$ at each of $d$ positions. Along $u$ that is
#   $g \sqrt d\,(\bar m_y - \bar x)$.
# - The push adds $g\,u \cdot (m_y - x)$ along $u$. That is the same number.
#
# Only along $u$ are they the same. Across $u$ the push pulls, too, and matching does nothing.
#
# The next cell tries it, on 1000 random signals. `means_on_line(K, d, spacing)` places K means on that line.

# %%
means = means_on_line(K=2, d=64, spacing=1.4)
x, gain = torch.randn(1000, 64, dtype=torch.float64, generator=generator), 0.3
u = means[1] / means[1].norm()
forcing = gain * (means[1] - x) @ u
matched = (fgs.match_means(x[:, None], fgs.channel_means(means[1:, None]), gain)[:, 0] - x) @ u
lesson.compare("largest difference of matching and forcing along u", (matched - forcing).abs().max(), 0.0)

# %% [markdown]
# **A mean of pixels is a poor feature.** Take waves with 32 positions, of amplitude 1, at any phase. Class 0 has the
# period 16, class 1 the period 8. Each wave goes up and down two or four whole times. So its mean is 0, in both
# classes, and $m_0 = m_1 = 0$. There is nothing to pull towards.

# %%
PERIODS = torch.tensor([16.0, 8.0])


def waves(y):
    """Draw a wave of every class in y, (N, 1, 32)."""
    phase = torch.rand(len(y), 1, generator=generator)
    return torch.sin(2 * torch.pi * (torch.arange(32) / PERIODS[y][:, None] + phase))[:, None]


# %% [markdown]
# **So take the means elsewhere**: in a hidden layer, after convolutions and ReLU. (ReLU is $\max(0, \cdot)$.) Why
# should they tell more there?
#
# - A convolution can be tuned to a period. It makes of a wave of that period a wave of large amplitude $A$, and of
#   other waves small ones. But the mean is still 0. (The bias, a constant that is added, aside.)
# - ReLU cuts off the lower half of the wave. What is left has the mean
#
# $$\frac{1}{2\pi}\int_0^{\pi} A \sin t\;\mathrm dt = \frac{A}{\pi}.$$
#
# So the mean after ReLU tells the amplitude, and with it the period. A shift by whole positions only moves the
# numbers along, and their mean stays. (The convolutions are *circular*: behind the last position the first one
# follows.)

# %% [markdown]
# **The network.** `encode` makes 16 channels of 32 positions, and `decode` makes a wave of them. The *features*
# $\phi(x)$ are the 16 means of the channels between the two. `forward` sets these means to those that are asked for,
# by `match_means` with gain 1, at the very place where $\phi$ was read.
#
# So `network(x_sigma, phi)` is what Section 3 of the paper ("Feature-guided score diffusion") calls the *projected
# score*, $s(x_\sigma,\; \phi - \phi(x_\sigma))$. Its second argument is what the means lack to the target.
# `network(x_sigma, None)` matches nothing: it is $s(x_\sigma, 0)$.

# %%
RING = {"kernel_size": 9, "padding": 4, "padding_mode": "circular"}  # no position is special


class Denoiser(nn.Module):
    def __init__(self, channels=16):
        super().__init__()
        first, second = nn.Conv1d(1, channels, **RING), nn.Conv1d(channels, channels, **RING)
        third, last = nn.Conv1d(channels, channels, **RING), nn.Conv1d(channels, 1, **RING)
        self.encode = nn.Sequential(first, nn.ReLU(), second, nn.ReLU())
        self.decode = nn.Sequential(third, nn.ReLU(), last)

    def features(self, x, sigma=None):
        """Return φ(x), (N, channels)."""
        return fgs.channel_means(self.encode(x))

    def forward(self, x, phi=None, sigma=None):
        """Return s = x̂ − x, x̂ being x denoised; not told σ, it is blind, as in the paper."""
        h = self.encode(x)  # (N, channels, positions)
        if phi is not None:
            h = fgs.match_means(h, phi)  # gain 1: the means are phi's now; what varies along the positions is x's own
        return self.decode(h) - x


# %% [markdown]
# **Training** is Algorithm 2 of the paper ("Learning a projected score network"): denoise $x$ of a class, and show
# the network $\phi(x')$, where $x'$ is *another* wave of that class. Lesson 10 says why this is right.
#
# - `denoising_loss(network, x, phi, levels, weight, …)` adds noise to clean $x$. It returns one number, the weighted
#   mean square error of $\hat x$.
# - `log_uniform` draws the noise levels, `inverse_variance` weighs the errors, both as in lesson 8. `p_drop=0.1` lets
#   a tenth of the waves go without $\phi$.
# - `Trainer` takes the steps. `trainer.ema` is the network with a running average of its weights.


# %%
def loss(network, g):
    """Return the loss of one batch, half of it of either class."""
    x, x_prime = (waves(torch.arange(64) % 2) for _ in range(2))
    levels, weight = fgs.log_uniform(0.02, 1.5), fgs.inverse_variance(0.1)
    return fgs.denoising_loss(network, x, network.features(x_prime), levels, weight, p_drop=0.1, generator=g)


torch.manual_seed(0)
trainer = fgs.Trainer(Denoiser(), loss, fgs.Budget(steps=1000), learning_rate=4e-3)
lesson.say(f"loss {[record.loss for record in trainer.run()][-1]:.3f}")
network = trainer.ema.eval().requires_grad_(False)

# %% [markdown]
# **What must hold of such a network?** `validate(network, x)` tries ten laws, on this network or on yours. Remember
# the fifth. Matched to its own features, a signal has its unguided score, because $\phi - \phi(x_\sigma) = 0$ then.

# %% [markdown]
# **Does $\phi$ overlook the phase, and tell the classes apart?** We shift each wave by five positions, and see how
# much $\phi$ changes. Then we compare two squared lengths, as Eq. 5 of the paper does ("concentration and
# separation"):
#
# $$\text{ratio} = \frac{\text{variance of } \phi \text{ within a class}}
# {\text{squared distance of the class means of } \phi}.$$
#
# Both are taken along the line through the two class means of $\phi$. `separation` takes the features of each class,
# and gives the ratio for each pair of classes. We print the larger one.

# %%
y = torch.arange(400) % 2
x = waves(y)
lesson.say("\n".join(map(str, validate(network, x[:8]))))
phi = network.features(x)
moved = network.features(x.roll(5, dims=2))
lesson.compare("change of φ when the wave is shifted, ÷ φ", (moved - phi).norm() / phi.norm(), 0.0)
ratio = fgs.separation([phi[y == 0], phi[y == 1]]).ratio.max()
lesson.compare("Eq. 5: variance of φ within a class ÷ squared distance of the centroids", ratio, "far below 1")

# %% [markdown]
# **Seen:** all ten laws hold. The shift changes $\phi$ by less than a millionth. The ratio is about two millionths.
# So the first answer is yes: means *after* ReLU tell the period, and overlook the phase.

# %% [markdown]
# **Guide it.** What the next cell uses:
#
# - `centroid(network, x)`: the mean of $\phi$ over waves of one class, (16,). It is the target.
# - `SISA`: the sampler of lesson 2. `sigma_0` and `sigma_inf` are the noise levels of start and end. `pooled` reads
#   the level from the whole batch (lesson 4). `denoise_last` returns $\hat x$ at the end.
# - `draw_start`: the start, pure noise.

# %% [markdown]
# **How samples are judged.** The Fourier transform `rfft` splits a wave into frequencies. A true wave has *all* of
# its energy at the frequency of its class, and the amplitude 1.

# %%
centroids = torch.stack([fgs.centroid(network, x[y == k]) for k in (0, 1)])
sampler = fgs.SISA(h=0.1, beta=0.2, sigma_0=1.5, sigma_inf=0.03, noise_level=fgs.pooled, denoise_last=True)
start = fgs.draw_start(tuple(x.shape), 0.0, sampler.sigma_0, generator=generator)
guided = sampler(network, start, centroids[y], generator).x
free = sampler(network, start, None, generator).x
energy = torch.fft.rfft(guided[:, 0]).abs().square()
purity = energy[torch.arange(400), (32 / PERIODS).long()[y]] / energy.sum(1)
pure = (purity > 0.95).float().mean()
lesson.compare("share of guided samples with 95 % of their energy at their class's frequency", pure, 1.0)
lesson.compare("mean amplitude of guided samples", guided.square().mean(2).mul(2).sqrt().mean(), 1.0)

# %% [markdown]
# **Seen:** all 400 guided samples have at least 95 % of their energy at the frequency of the class that was asked
# for. Their mean amplitude is 1.000.

# %% [markdown]
# **What to look for in the figure.** Each row is a class. On the left are four true waves, in the middle four guided
# samples, on the right (in both rows) four samples without $\phi$. Do the guided ones have the right period? Do their
# phases differ?

# %%
figure, axes = lesson.figure(2, 3, width=3.4, height=2.3, sharey=True, sharex=True)
for k, row in enumerate(axes):
    shown = {f"true waves of class {k}": x[y == k], f"guided to φ of class {k}": guided[y == k]}
    shown["no φ: either class"] = free[4 * k :]
    for axis, (title, signals) in zip(row, shown.items(), strict=True):
        axis.plot(signals[:4, 0].T, color=OTHER if title.startswith("no φ") else CLASS_COLOURS[k], lw=1.2)
        axis.set_title(title)
figure.supxlabel("position (samples)", fontsize=10)
figure.supylabel("x", fontsize=10)
lesson.save(figure, "waves")

# %% [markdown]
# **Seen:** each guided wave has the period of its class, and they lie at several phases. So the second answer: many
# phases. The means say which period. What varies along the positions is the signal's own, so that the phase can come
# from the noise of the start. Without $\phi$ both periods appear.

# %% [markdown]
# **What becomes of $K_\sigma$ and of $\sigma_c$?** In lesson 6 we chose the strength $K_\sigma$. And below a noise
# level $\sigma_c$ we had to let go, else samples became too narrow. Look for both in `forward`: there is neither. The
# gain is 1 at every noise level, to the end.
#
# - *No $K_\sigma$ to choose.* How far a shift of the means moves $\hat x$ is up to `decode`, and that is trained.
# - *No $\sigma_c$.* Within a class $\phi(x)$ is nearly the same everywhere, the target. Near the end there is little
#   to shift. And the network was trained with matching in it: the loss judged the score and the push together.
#
# Here these are only words. Lesson 10 measures both, where the true density is known.

# %%
assert purity.min() > 0.9, "every sample has the period of the class whose φ guided it"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. What is left of $\phi - \phi(x_\sigma)$ after `match_means` with a gain of ½? Section 3 of the paper asks for
#    gains smaller than 2. Why?
# 2. Replace `"circular"` by `"zeros"`. Which printed number is then no longer 0 up to rounding, and why?
# 3. Why does `match_means` refuse activations with a single position?
