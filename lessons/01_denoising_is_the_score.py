"""Lesson 1: Denoising is the score.

Claim: The best guess of the clean signal, minus the noisy signal, is σ²∇log p_σ.
"""

# %%
import torch

from fgs import add_noise
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import mixture_on_line

lesson = Lesson(1)
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# Everything in this library is made of one thing: a function that takes noise off. Let x be drawn from a density p,
# and let all that we see be x_σ = x + σz with z ~ N(0, Id): white noise of standard deviation σ, the *noise level*.
#
# Which guess of x is the best? In mean squared error it is the mean of all x that can have led to x_σ, x̂(x_σ) = E[x
# | x_σ]. To see what that is, write down the density of what we see, with g_σ for the density of σz:
#
#     p_σ(x_σ) = ∫ p(x) g_σ(x_σ − x) dx          and for a Gaussian     ∇g_σ(u) = −(u/σ²) g_σ(u), so
#     ∇p_σ(x_σ) = ∫ p(x) g_σ(x_σ − x) · (x − x_σ)/σ² dx = p_σ(x_σ) · (E[x | x_σ] − x_σ)/σ²
#
# because p(x) g_σ(x_σ − x)/p_σ(x_σ) is p(x | x_σ), by Bayes' rule. Divide by p_σ:
#
#     s(x_σ) := x̂(x_σ) − x_σ = σ²∇log p_σ(x_σ)                                    (Eq. 2, Tweedie and Miyasawa)
#
# ∇log p_σ is called the *score*. Who can denoise knows the score, at every noise level.
#
# **One Gaussian.** For p = N(0, λ²) the noisy density is N(0, λ² + σ²), and its score −x_σ/(λ² + σ²). Eq. 2 then says
# x̂ = x_σ − σ²x_σ/(λ² + σ²) = λ²/(λ² + σ²) · x_σ: a line. The line that fits pairs (x_σ, x) best must have that
# slope.

# %%
lam, sigma = 0.5, 0.7
x = lam * torch.randn(200_000, 1, generator=generator, dtype=torch.float64)
x_sigma, z = add_noise(x, torch.tensor(sigma), generator)
slope = float((x * x_sigma).mean() / x_sigma.square().mean())
exact_slope = lam**2 / (lam**2 + sigma**2)
lesson.compare("one Gaussian, slope of the best line through pairs (x_σ, x)", slope, exact_slope)

# %% [markdown]
# In training (the paper's Eq. 3) a network sees x_σ and is asked for minus the noise, −σz. With s = x̂ − x_σ the error
# s + σz = x̂ − x_σ + (x_σ − x) = x̂ − x is that of the guess, and the least that it can be is known here:
#
#     min E‖s(x_σ) + σz‖² = E‖x − x̂‖² = λ²σ²/(λ² + σ²)
#
# (The paper prints s − σz. With that sign s would be the guessed noise, and a step along s would add noise to x.)

# %%
s = (slope - 1) * x_sigma
loss = float((s + sigma * z).square().mean())
lesson.compare("one Gaussian, denoising loss E‖s + σz‖²", loss, lam**2 * sigma**2 / (lam**2 + sigma**2))

# %% [markdown]
# **Two Gaussians.** Now a density with two classes y, of means m_y = ±0.5 and sd λ = 0.1 each. The score of p_σ is the
# mean of the classes' scores (m_y − x_σ)/(λ² + σ²), weighted by p(y | x_σ); `mixture.score` computes it. To check it,
# and Eq. 2, sort 200,000 pairs into bins of x_σ and average x in each. No formula of a density goes into these
# averages; still they must lie on x_σ + σ²∇log p_σ(x_σ), up to about one standard error of an average.

# %%
mixture = mixture_on_line(K=2, spacing=1.0, std=0.1)
sigma = 0.4
x = mixture.sample(200_000, generator=generator)
x_sigma, _ = add_noise(x, torch.tensor(sigma), generator)


def tweedie(x_sigma, sigma):
    return x_sigma + sigma**2 * mixture.score(x_sigma, sigma)


width = 0.08
bins = [(low <= x_sigma) & (x_sigma < low + width) for low in torch.arange(-1.4, 1.4, width)]
at = torch.stack([x_sigma[inside].mean() for inside in bins])
mean_x = torch.stack([x[inside].mean() for inside in bins])
error = torch.stack([x[inside].std() / inside.sum().sqrt() for inside in bins])  # standard error of that mean
predicted = torch.stack([tweedie(x_sigma[inside][:, None], sigma).mean() for inside in bins])
misfit = float(((mean_x - predicted) / error).square().mean())
lesson.compare("two Gaussians, mean over bins of (misfit of Eq. 2 ÷ standard error)²", misfit, "about 1, below 2")

# %%
figure, axis = lesson.figure(width=5.6, height=3.6)
axis.plot(x_sigma[:1500], x[:1500], ".", color=OTHER, ms=2, alpha=0.6, label="pairs (x_σ, x)")
grid = torch.linspace(-1.4, 1.4, 400, dtype=torch.float64)[:, None]
axis.plot(grid, tweedie(grid, sigma), color=TRUTH, label="x_σ + σ²∇log p_σ(x_σ), Eq. 2")
axis.plot(at, mean_x, "o", color=COLOURS["exact"], ms=4, label="mean of x, in bins of x_σ")
axis.set(xlabel="noisy x_σ, at σ = 0.4 (units of x)", ylabel="clean x (units of x)", xlim=(-1.5, 1.5), ylim=(-0.9, 1.5))
axis.legend(loc="upper left")
axis.set_title("The mean of what x may have been is given by the score")
lesson.save(figure, "tweedie")

# %% [markdown]
# The same denoiser at three noise levels. At small σ it moves x_σ towards the nearest m_y, at σ = λ half-way. At large
# σ it cannot tell the classes apart and guesses near the mean of all, 0. In between lies the noise level at which
# steps along s, the *trajectories* of lesson 2, choose a class (lesson 5).

# %%
figure, axis = lesson.figure(width=5.6, height=3.6)
for sigma, style in ((0.1, "-"), (0.4, "--"), (1.0, ":")):
    axis.plot(grid, tweedie(grid, sigma), style, color=TRUTH, label=f"σ = {sigma}, Eq. 2")
axis.plot(grid, grid, color=OTHER, lw=0.8, label="x̂ = x_σ: the score is 0")
axis.set(xlabel="noisy x_σ (units of x)", ylabel="x̂(x_σ) (units of x)", xlim=(-1.4, 1.4), ylim=(-0.9, 0.9))
axis.legend(loc="upper left")
axis.set_title("Little noise: towards the nearest class. Much: to the mean of all")
lesson.save(figure, "levels")

# %%
assert misfit < 2 and abs(slope / exact_slope - 1) < 0.02, "the mean of x given x_σ is x_σ + σ²∇log p_σ(x_σ)"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. At which x_σ is the score of this mixture 0, at σ = 0.1 and at σ = 1? From which of these points do steps along s
#    lead away, if they start beside it?
# 2. Take p = a single point at 0. What are x̂, s and the loss? What does ‖s‖² tell you then?
# 3. Which step of the proof needs Gaussian noise? Try Laplace noise of sd 0.4 in the averages above (`mixture.score`
#    still takes it for Gaussian).
