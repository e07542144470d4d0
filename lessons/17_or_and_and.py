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
# Two classes, two scores s_1 and s_2. What is sampled by their *average*? Scores are gradients of log-densities, so at
# every σ it is the score of √(p_1 p_2), of noisy densities (which is in general not √(p_1 p_2) of clean ones, blurred).
# Often something else is wanted: samples of class 1 OR 2, or samples that are class 1 AND 2.
#
# Both follow Σκ_i s_i with weights that change on the way (superposition, Skreta et al. 2025). For OR the mixture's
# score is known: κ_i is the share p_i/(p_1 + p_2) at x. For AND, choose κ such that log p_1 and log p_2 change alike:
# then they end equal if they began so. Both need to know how log p_i changes along the path, and a network gives no log
# p.
#
# **Log p for nothing.** Noise takes x' at σ' to x at σ by a Gaussian N(x; x', σ² − σ'²). With score s_i a step back
# from x has the Gaussian N(x'; x + hs_i, γ²), h = 1 − (σ'/σ)², γ = σ'√h, if it is small. Bayes' rule says that both
# describe one pair: p(x')·N(x; x', …) = p(x)·N(x'; x + hs_i, γ²). So
#
#     log p_i(x') − log p_i(x) = log N(x'; x + hs_i, γ²) − log N(x; x', σ² − σ'²)
#
# for whatever step was made. The scores are there anyhow, since the step needs them. It holds for β = ½, where the
# noise on the way is that of the reversed path.

# %%
means = torch.tensor([[-0.5, 0.0], [0.5, 0.3]], dtype=torch.float64)
lam, sigma_0, sigma_inf, N = 0.25, 4.0, 0.02, 1500
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
# **OR** begins with both as likely: far out all densities are the same Gaussian. Compare with true samples of the
# mixture. **AND** ends where log p_1 = log p_2: for two Gaussians of one width on the line half-way between them, and
# anywhere on it where both are likely. The average of the scores samples a third Gaussian between the two, as wide as
# they are.

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
# **Pictures.** `fgs sample --class bricks_001 --or oak_veneer` draws bricks or oak. `--and` draws what both find as
# likely: a dull gray with a few lines, as no wall is of oak. `fgs sample --between bricks_001 oak_veneer`, half-way in
# φ, is neither but has features of both. AND is a statement about densities, which are far from each other; φ knows
# what lies between.

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

# %%
assert error[-1] < 1 and distance < 1.5 and gap["AND"] < 0.3 * gap["OR"], "OR is the mixture, AND finds both as likely"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. For two Gaussians N(m_i, λ²Id), which density has the average of their two scores at every σ? How wide is it?
# 2. Three classes, and OR of two of them. What does the guided network of the mixture of all three have to do with it?
# 3. Why must β be ½ here, and what would be missing at β = 1?
