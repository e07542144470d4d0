"""Lesson 1: Denoising is the score.

Claim: The best guess of a clean signal, minus the noisy one, is σ² times the gradient of the log density.
"""

# %%
import torch

from fgs import add_noise
from fgs.lesson import Lesson
from fgs.plots import COLOURS, TRUTH

lesson = Lesson(1)

# %% [markdown]
# A draft: one Gaussian.

# %%
lam, sigma = 0.5, 0.7
generator = torch.Generator().manual_seed(0)
x = lam * torch.randn(100_000, 1, generator=generator, dtype=torch.float64)
x_sigma, z = add_noise(x, torch.tensor(sigma), generator)
slope = float((x * x_sigma).sum() / x_sigma.square().sum())

figure, axis = lesson.figure()
axis.plot(x_sigma[:500], x[:500], ".", color=COLOURS["exact"], ms=2, label="pairs (x_σ, x)")
axis.plot([-2, 2], [-2 * slope, 2 * slope], color=TRUTH, label="best line")
axis.set(xlabel="noisy x_σ", ylabel="clean x")
axis.legend()
lesson.save(figure, "pairs")

# %%
lesson.compare("slope of the best line", slope, lam**2 / (lam**2 + sigma**2))
assert abs(slope - lam**2 / (lam**2 + sigma**2)) < 0.01, "the best line has the slope λ²/(λ² + σ²)"
lesson.end()
