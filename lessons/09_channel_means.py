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
# The forcing term of lesson 6 pulls x towards the mean of a class, σ²K_σ(m_y − x). For means along (1, …, 1)/√d it is
# an operation on *channels*. Read x as one channel with d positions, (N, 1, d). Then two lines are all there is to it:
#
#     channel_means(h)           = mean of every channel over its positions         a number for each channel
#     match_means(h, target, g)  = h + g·(target − channel_means(h))                added at every position
#
# Along that direction, match_means with the gain g = σ²K_σ does what the forcing term does; across it, nothing.

# %%
means = means_on_line(K=2, d=64, spacing=1.4)
x, gain = torch.randn(1000, 64, dtype=torch.float64, generator=generator), 0.3
u = means[1] / means[1].norm()
forcing = gain * (means[1] - x) @ u
matched = (fgs.match_means(x[:, None], fgs.channel_means(means[1:, None]), gain)[:, 0] - x) @ u
lesson.compare("largest difference of matching and forcing along u", (matched - forcing).abs().max(), 0.0)

# %% [markdown]
# But a mean of pixels is a poor feature. Take two classes of waves with 32 positions: period 16 and period 8, amplitude
# 1, any phase. Each wave has the mean 0 over its positions, and m_0 = m_1 = 0: nothing to force towards.

# %%
PERIODS = torch.tensor([16.0, 8.0])


def waves(y):
    """Draw a wave of every class in y, (N, 1, 32)."""
    phase = torch.rand(len(y), 1, generator=generator)
    return torch.sin(2 * torch.pi * (torch.arange(32) / PERIODS[y][:, None] + phase))[:, None]


# %% [markdown]
# So take the means elsewhere: in a hidden layer of the denoiser, after convolutions and ReLU have made of the wave what
# a shift does not change and the period does. This is the whole projected score s(x_σ, φ' − φ(x_σ)) of Section 3:
# `features` is φ, and `forward` matches at the very place where φ was recorded.

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
# Train it by Algorithm 2: x of a class is denoised with φ(x') of *another* wave of that class (lesson 10 says why), and
# in a tenth of the batch without (`p_drop`). Loss and noise levels are those of lesson 8.


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
# What must hold of such a network? `validate` tries it on yours. The law to remember is the fourth: matched to its own
# features, a signal has its unguided score, since the difference φ' − φ(x) is 0.

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
# Now guide it, with the sampler of lesson 2 and a centroid for φ. A sample belongs to the class at whose frequency its
# energy lies; true waves have *all* of it there, and the amplitude 1. The figure shows four of each; without φ, both
# periods appear.

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

# %%
assert purity.min() > 0.9, "every sample has the period of the class whose φ guided it"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. What is left of φ' − φ(x_σ) after `match_means` with a gain of ½? Why does Section 3 ask for gains smaller than 2?
# 2. Replace `"circular"` by `"zeros"`. Which printed number is then no longer 0 up to rounding, and why?
# 3. Why does `match_means` refuse activations with a single position?
