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
generator = torch.Generator().manual_seed(0)  # random numbers, the same ones in every run

# %% [markdown]
# A signal reaches us with noise on it. A *denoiser* guesses what the signal was. Everything in this library is made
# of that one thing. This lesson shows what a perfect denoiser knows besides: in which direction the signals that we
# see become more likely, and how steeply. From that, lesson 2 makes new signals.
#
# **Predict** before you read on. The signal is one number. It lies near $-0.5$ or near $+0.5$, equally often. You see
# it with noise, and guess it so that your mean square error is least.
#
# 1. You see 0. What do you guess? Is that a likely signal?
# 2. You see 0.8. The noise may have the standard deviation 0.1, 0.4, or 1. With which of them is your guess farthest
#    from 0.8, and where does it lie then?
#
# Each of the two figures answers one.

# %% [markdown]
# **The words.**
#
# - $x$ is the clean signal: a list of $d$ numbers, as the pixels of a picture. In this lesson $d = 1$. But all
#   formulas hold for any $d$.
# - $p(x)$ is the density of $x$.
# - $z$ is *white noise*: $d$ normal numbers of mean 0 and variance 1, independent of each other and of $x$. We
#   write $N(m, v)$ for the normal, or Gaussian, density of mean $m$ and variance $v$.
# - $x_\sigma = x + \sigma z$ is what we see. $\sigma$ is the *noise level*: the standard deviation (sd) of the noise.
# - $p_\sigma(x_\sigma)$ is the density of what we see.

# %% [markdown]
# **The best guess is a mean.** We have seen $x_\sigma$. What $x$ was is still random: it has the density
# $p(x \mid x_\sigma)$. Call its mean $\mu$, and let our guess be some number $c$. Write the error as
# $x - c = (x - \mu) + (\mu - c)$ and square it. The mixed term $2(x - \mu)(\mu - c)$ has mean 0. So
#
# $$\mathbb{E}\big[(x - c)^2 \mid x_\sigma\big]
# = \mathbb{E}\big[(x - \mu)^2 \mid x_\sigma\big] + (\mu - c)^2 .$$
#
# ($\mathbb{E}$ is the mean.) This is least for $c = \mu$. So the best guess is the mean of all $x$ that may have led
# to what we see. It is called $\hat x$, so $\hat x(x_\sigma) = \mathbb{E}[x \mid x_\sigma]$. (For $d > 1$ take this
# for each coordinate.)

# %% [markdown]
# **The density of what we see.** Let $g_\sigma$ be the density of the noise $\sigma z$. To see $x_\sigma$, some $x$
# must have been drawn, and the noise must have been the rest, $x_\sigma - x$. Sum over all such $x$:
#
# $$p_\sigma(x_\sigma) = \int p(x)\, g_\sigma(x_\sigma - x)\,\mathrm dx .$$

# %% [markdown]
# **Its slope.** For $d = 1$ the noise has the density $g_\sigma(u) = e^{-u^2/2\sigma^2}/\sqrt{2\pi\sigma^2}$. Its
# derivative is $-(u/\sigma^2)\,g_\sigma(u)$. We write $\nabla$ for the derivative. (For $d > 1$ it is the *gradient*:
# the list of the derivatives by each coordinate.) Put $u = x_\sigma - x$ and take the derivative by $x_\sigma$, under
# the integral:
#
# $$\nabla p_\sigma(x_\sigma) = \int p(x)\, g_\sigma(x_\sigma - x)\,\frac{x - x_\sigma}{\sigma^2}\,\mathrm dx .$$

# %% [markdown]
# **Bayes' rule** says how likely each $x$ is, once $x_\sigma$ is seen:
#
# $$p(x \mid x_\sigma) = \frac{p(x)\, g_\sigma(x_\sigma - x)}{p_\sigma(x_\sigma)} .$$
#
# So divide the slope by $p_\sigma(x_\sigma)$. What remains is a mean over $p(x \mid x_\sigma)$:
#
# $$\frac{\nabla p_\sigma(x_\sigma)}{p_\sigma(x_\sigma)}
# = \int p(x \mid x_\sigma)\,\frac{x - x_\sigma}{\sigma^2}\,\mathrm dx = \frac{\hat x - x_\sigma}{\sigma^2} .$$

# %% [markdown]
# **Denoising is the score.** The left side is $\nabla\log p_\sigma$, since the derivative of $\log f$ is $f'/f$.
# Multiply by $\sigma^2$:
#
# $$s(x_\sigma) := \hat x(x_\sigma) - x_\sigma = \sigma^2\,\nabla\log p_\sigma(x_\sigma) .$$
#
# $s$ is what the denoiser adds to what it sees. $\nabla\log p_\sigma$ is called the *score*. It points to where
# signals are more likely. So who can denoise knows the score, at every noise level.
#
# The formula is Tweedie's and Miyasawa's. We call it Eq. 2, as does "the paper", which this library follows:
# Kadkhodaie, Mallat & Simoncelli (2024), "Feature-guided score diffusion for sampling conditional densities".

# %% [markdown]
# **Check it: one Gaussian.** Let $p = N(0, \lambda^2)$, so that $\lambda$ is the sd of the signal. Signal and noise
# are independent, so their variances add: $p_\sigma = N(0, \lambda^2 + \sigma^2)$. Its logarithm is
# $-x_\sigma^2/2(\lambda^2 + \sigma^2)$ plus a constant. So the score is $-x_\sigma/(\lambda^2 + \sigma^2)$, and Eq. 2
# says
#
# $$\hat x = x_\sigma - \frac{\sigma^2 x_\sigma}{\lambda^2 + \sigma^2}
# = \frac{\lambda^2}{\lambda^2 + \sigma^2}\; x_\sigma .$$
#
# That is a line through 0. No guess is better than $\hat x$. So of all lines through pairs $(x_\sigma, x)$ this one
# must have the least mean square error. The line that has it can be found from pairs alone:
# $\mathbb{E}[(x - a x_\sigma)^2]$ is least at the slope $a = \mathbb{E}[x x_\sigma]/\mathbb{E}[x_\sigma^2]$.
#
# In code, `add_noise(x, sigma, generator)` takes clean signals, and gives $x_\sigma$ and the $z$ that was used.
# `lesson.compare` prints a number beside what it should be.

# %%
lam, sigma = 0.5, 0.7  # λ and σ
x = lam * torch.randn(200_000, 1, generator=generator, dtype=torch.float64)
x_sigma, z = add_noise(x, torch.tensor(sigma), generator)
slope = float((x * x_sigma).mean() / x_sigma.square().mean())
exact_slope = lam**2 / (lam**2 + sigma**2)
lesson.compare("one Gaussian, slope of the best line through pairs (x_σ, x)", slope, exact_slope)

# %% [markdown]
# **How a network learns it.** We know the score of a Gaussian. Of pictures nobody does. But a network can be trained
# to denoise: show it $x_\sigma$, and ask for minus the noise, $-\sigma z$. If it answers $s$, then its error is
#
# $$s + \sigma z = (\hat x - x_\sigma) + (x_\sigma - x) = \hat x - x .$$
#
# That is the error of the guess. Its mean square is the *loss*. It is least for the best guess, so that
# $s = \sigma^2\nabla\log p_\sigma$. The network learns the score, and nobody has told it any density.
# (The paper's Eq. 3 prints $s - \sigma z$. With that sign $s$ would be the noise, and adding it would not remove it.)

# %% [markdown]
# **The loss is not 0.** Even the best guess errs. For one Gaussian, put $\hat x = a x_\sigma$ with the slope
# $a = \lambda^2/(\lambda^2 + \sigma^2)$. The error is $(a - 1)x + a\sigma z$. Its two parts are independent, so its
# mean square is
#
# $$(1 - a)^2\lambda^2 + a^2\sigma^2
# = \frac{\sigma^4\lambda^2 + \lambda^4\sigma^2}{(\lambda^2 + \sigma^2)^2}
# = \frac{\lambda^2\sigma^2}{\lambda^2 + \sigma^2} .$$

# %%
s = (slope - 1) * x_sigma  # x̂ − x_σ
loss = float((s + sigma * z).square().mean())
lesson.compare("one Gaussian, denoising loss E‖s + σz‖²", loss, lam**2 * sigma**2 / (lam**2 + sigma**2))

# %% [markdown]
# **Two Gaussians.** Now the signals of the prediction. There are two classes, $y = 0$ and $y = 1$, equally often, of
# means $m_y = \mp 0.5$ and of sd $\lambda = 0.1$. Let $p_{\sigma,y} = N(m_y, \lambda^2 + \sigma^2)$ be the noisy
# density of a class. Both together, the *mixture*, have the density $p_\sigma = \sum_y p(y)\, p_{\sigma,y}$. So
#
# $$\nabla\log p_\sigma = \frac{\sum_y p(y)\,\nabla p_{\sigma,y}}{p_\sigma}
# = \sum_y p(y \mid x_\sigma)\,\frac{m_y - x_\sigma}{\lambda^2 + \sigma^2} .$$
#
# (Here $\nabla p_{\sigma,y}$ is $p_{\sigma,y}$ times the score of the class, and
# $p(y)\,p_{\sigma,y}/p_\sigma = p(y \mid x_\sigma)$ by Bayes' rule.) So it is the mean of the scores of the classes,
# weighted by how likely each class is.
#
# In code, `mixture_on_line(K, spacing, std)` is the density of $K$ such classes. `mixture.sample(n)` draws $n$
# signals, and `mixture.score(x_sigma, sigma)` is the formula.

# %%
mixture = mixture_on_line(K=2, spacing=1.0, std=0.1)
sigma = 0.4
x = mixture.sample(200_000, generator=generator)
x_sigma, _ = add_noise(x, torch.tensor(sigma), generator)


def tweedie(x_sigma, sigma):  # x̂, by Eq. 2
    return x_sigma + sigma**2 * mixture.score(x_sigma, sigma)


# %% [markdown]
# **Check it without a formula.** Sort the 200,000 pairs into bins of $x_\sigma$, and average $x$ in each bin. No
# density goes into these averages. Yet Eq. 2 says where they must lie.
#
# An average of $n$ numbers is itself uncertain, by their sd divided by $\sqrt n$: its *standard error*. So we divide
# each misfit by it. The square of that should be about 1 in the mean.

# %%
width = 0.08
bins = [(low <= x_sigma) & (x_sigma < low + width) for low in torch.arange(-1.4, 1.4, width)]  # who is in the bin
at = torch.stack([x_sigma[inside].mean() for inside in bins])
mean_x = torch.stack([x[inside].mean() for inside in bins])
error = torch.stack([x[inside].std() / inside.sum().sqrt() for inside in bins])  # standard error of that mean
predicted = torch.stack([tweedie(x_sigma[inside][:, None], sigma).mean() for inside in bins])
misfit = float(((mean_x - predicted) / error).square().mean())
lesson.compare("two Gaussians, mean over bins of (misfit of Eq. 2 ÷ standard error)²", misfit, "about 1, below 2")

# %% [markdown]
# **What was printed:** 0.85. A mean of 35 such squares scatters by about $\sqrt{2/35} = 0.24$. So it is as good as 1.
#
# **Look** at the gray dots: pairs of what was seen (across) and what it was (up). They lie in two clouds. Where is
# the mean of those at $x_\sigma = 0$?

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
# **What was seen.** The averages (blue) lie on Eq. 2 (black). The first prediction: who sees 0 guesses 0. That is
# between the clouds, $5\lambda$ from either mean. Next to no signal lies there. The best guess is a mean, and need
# not be likely itself.
#
# **Look** at the same denoiser for three noise levels. Go to 0.8 on the axis below. How far is each curve under the
# thin gray line, where the guess is what was seen?

# %%
figure, axis = lesson.figure(width=5.6, height=3.6)
for sigma, style in ((0.1, "-"), (0.4, "--"), (1.0, ":")):
    axis.plot(grid, tweedie(grid, sigma), style, color=TRUTH, label=f"σ = {sigma}, Eq. 2")
axis.plot(grid, grid, color=OTHER, lw=0.8, label="x̂ = x_σ: the score is 0")
axis.set(xlabel="noisy x_σ (units of x)", ylabel="x̂(x_σ) (units of x)", xlim=(-1.4, 1.4), ylim=(-0.9, 0.9))
axis.legend(loc="upper left")
axis.set_title("Little noise: towards the nearest class. Much: to the mean of all")
lesson.save(figure, "levels")

# %% [markdown]
# **What was seen.** Who sees 0.8 guesses 0.65, 0.51 and 0.19. So the second prediction: the more noise, the farther
# from what is seen. At $\sigma = 0.1 = \lambda$ the guess is half-way to the nearest mean $m_y$. At $\sigma = 1$ the
# classes can hardly be told apart, and the guess comes near the mean of all, 0.

# %%
assert misfit < 2 and abs(slope / exact_slope - 1) < 0.02, "the mean of x given x_σ is x_σ + σ²∇log p_σ(x_σ)"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. At which $x_\sigma$ is the score of this mixture 0, at $\sigma = 0.1$ and at $\sigma = 1$? Start beside such a
#    point, and take small steps along $s$. From which of these points do they lead away?
# 2. Take $p$ = a single point at 0, in $d$ dimensions. What are $\hat x$, $s$ and the loss? What does $\|s\|^2$, the
#    sum of the squares of the entries of $s$, tell you then?
# 3. Which step of the proof needs Gaussian noise? Try Laplace noise of sd 0.4 in the averages above (`mixture.score`
#    still takes it for Gaussian).
