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
# A photograph was measured: y = Mx + ςz. M hides pixels, blurs, or averages blocks; z is noise of sd ς. What was x?
# There is no one answer, but a density of answers, p(x|y). To sample it one needs its score at every noise level σ.
# With Bayes' rule, at x_σ = x + σz',
#
#     ∇log p(x_σ|y) = ∇log p(x_σ) + ∇log p(y|x_σ).
#
# The first part is what a denoiser knows: σ²∇log p = x̂ − x_σ. For the second one must know what is left unknown of x
# at x_σ. Its mean is x̂. Its covariance is known as well: differentiate Tweedie's formula once more, and
#
#     Cov[x | x_σ] = σ² ∂x̂/∂x_σ = σ²J.
#
# So the denoiser's Jacobian J says in which directions it is sure. Take what is unknown for a Gaussian of this mean and
# covariance. Then y given x_σ is a Gaussian too, with mean Mx̂ and covariance ς²Id + σ²MJMᵀ, and
#
#     σ²∇log p(y|x_σ) = σ²JᵀMᵀ(ς²Id + σ²MJMᵀ)⁻¹(y − Mx̂).
#
# That is `fgs.Posterior`. Its simple rival, `fgs.Projected`, replaces what M sees of x̂ by y, noise and all (Kadkhodaie
# & Simoncelli 2021). On a Gaussian mixture the answer is known: p(x|y) is a mixture again, `mixture.given`.

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
# The same sampler at β = 1 (no noise on the way), .3 and .05, for the exact score of the posterior and for the two that
# know the mixture's score and y alone. Distances are energy distances over the floor of samples as many.

# %%
sigma_0, sigma_inf = 3.0, 0.01


def measure(x):
    return x @ M.T


true = [posterior.sample(N, generator=torch.Generator().manual_seed(10 + k)) for k in range(6)]
floor = fgs.two_sample_floor(fgs.energy_distance, true)
exact = ExactScore(mixture)
SCORES = {
    "exact": ExactScore(posterior),
    "posterior": fgs.Posterior(exact, measure, y, noise, iterations=1),  # y is one number
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
# **What goes wrong.** Where σ is of the size of the distance of classes, what is unknown has several modes, and one
# Gaussian is a poor picture of it: some x are sent to a class that y all but excludes. Further down each class is seen
# by itself, and there the formula is exact. With β = 1 nothing comes back from a wrong class. Noise on the way (small
# β) lets x forget where it was sent while σ is still large enough to cross: it mends a part, as in lessons 4 and 6.
#
# **Particles** mend the rest. Follow the same score with N samples at once, and correct by weights what it gets wrong.
# Say at every level how likely y is, log G = −‖y − Mx̂‖²/2v; weigh each particle by what its G has grown, and by how
# likely its step would have been by the mixture's own score; and where few carry the weight, draw N anew in proportion
# to it. In the end G is the true likelihood, so that for N → ∞ the answer is right, whatever was guessed on the way (Wu
# et al. 2023).


# %%
def log_likelihood(x, x_hat, sigma):
    v = noise**2 + sigma**2 * lam**2 / (sigma**2 + lam**2)  # ς² and what is unknown of x in a class
    return -(measure(x_hat) - y).square().sum(1) / (2 * v)


particles = fgs.Steered(200, 0.3, sigma_0, sigma_inf, potential=log_likelihood, free=exact)
sample("posterior", "particles", particles)

# %% [markdown]
# **A network.** Nothing here asked how the score was made. `fgs restore photo.png --task inpaint --mask hole.png` does
# it with the model that ships, and φ of a class or of another photograph guides what is not seen.

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

# %%
at = [distance["posterior", how] for how in ("β = 1", "β = 0.3", "β = 0.05", "particles")]
assert at == sorted(at, reverse=True) and at[-1] < 3, "noise mends more and more, and particles the most"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Let x be one Gaussian N(m, λ²Id) and M = Id. What is J, and what does the formula say as ς → 0?
# 2. y = x + ςz with noise alone (M = Id). Which start makes guidance by y superfluous?
# 3. Which of the two scores would you take where y has no noise and half of the pixels are hidden?
