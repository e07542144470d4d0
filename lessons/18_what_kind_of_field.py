"""Lesson 18: What kind of field?

Claim: A trained network is no gradient, guided even less so; its samples are those of the class all the same.
"""

# %%
import torch

import fgs
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, GaussianMixture, Learning, class_axis, learn, means_on_line, noise_range, rank1_covariances

lesson = Lesson(18)

# %% [markdown]
# A score is the gradient of log p_σ. Two things follow, and a network is held to neither.
#
# **It is a gradient.** So its Jacobian is symmetric, and with it J = ∂x̂/∂x. Measure ‖J − Jᵀ‖²/‖J‖²: 0 for a gradient,
# 2 for a matrix of independent numbers, 4 for a rotation by 90°. Random probes v do, since E‖Av‖² = ‖A‖² for v ~ N(0,
# Id).
#
# **Scores of different σ belong together.** Adding noise is diffusion, ∂p/∂t = ½Δp in t = σ², and for f = ∇log p that
# reads ∂f/∂t = ½∇(∇·f + ‖f‖²), the equation of Fokker and Planck. Said by x̂: it is what is expected of x, so on the
# way back from σ, E[x̂(x_σ')] = x̂(x_σ): it fluctuates, and does not drift (a martingale). Measured is the squared
# drift over the variance, for one e-fold of σ²: no derivatives, so kinks of a ReLU do no harm.
#
# Guidance by matching sets channel means on the way through the network. Nothing makes the field that comes out a
# gradient.

# %%
d, lam, y = 16, 0.1, 1
means = means_on_line(K=2, d=d, spacing=1.0)
mixture = GaussianMixture(torch.tensor([0.5, 0.5], dtype=torch.float64), means, rank1_covariances(means, std=lam))
sigma_0, sigma_inf = noise_range(mixture, h=0.1)
sampler = fgs.MultiStep(60, 0.2, sigma_0, sigma_inf)
learned = learn(mixture, sampler, Learning(training_steps=2000), names=("guided",))
guided = learned.method("learned", mixture, y, seed=0)
FIELDS = {
    "exact, class": (ExactScore(mixture), mixture.one_hot(y), y, TRUTH),
    "network, φ of the class": (guided.score, guided.phi, y, COLOURS["learned"]),
    "network, no φ": (guided.score, None, None, OTHER),
}

# %%
sigmas = torch.logspace(-1.3, 0.6, 9).tolist()
skew = {name: [] for name in FIELDS}
drift = {name: [] for name in FIELDS}
for name, (score, phi, of, _) in FIELDS.items():
    for sigma in sigmas:
        level, generator = torch.tensor(sigma).double(), torch.Generator().manual_seed(0)
        x = mixture.sample(100, of, sigma, generator=generator)
        skew[name].append(float(fgs.asymmetry(score, x, phi, level).mean()))
        drift[name].append(float(fgs.inconsistency(score, x, phi, level, draws=100, generator=generator).mean()))
lesson.compare("exact: largest ‖J − Jᵀ‖²/‖J‖²", max(skew["exact, class"]), 0.0)
for name in list(FIELDS)[1:]:
    lesson.compare(f"{name}: largest ‖J − Jᵀ‖²/‖J‖²", max(skew[name]), "above 0")
    lesson.compare(f"{name}: drift over variance, largest", max(drift[name]), "above 0")
lesson.compare("exact: drift over variance, largest", max(map(abs, drift["exact, class"])), "near 0")

# %% [markdown]
# **Does it matter?** The sampler asks for a field, not for a density. Sample the class, and compare with true samples
# along the line of the classes.

# %%
axis, N = class_axis(mixture, y), 2000
true = [mixture.sample(N, y, generator=torch.Generator().manual_seed(10 + k)) @ axis.u for k in range(6)]
floor = fgs.two_sample_floor(fgs.wasserstein_1, true)
W1 = {}
for name in ("exact, class", "network, φ of the class"):
    score, phi, *_ = FIELDS[name]
    start = fgs.draw_start((N, d), mixture.centre, sigma_0, generator=torch.Generator().manual_seed(4))
    x = sampler(score, start, phi, torch.Generator().manual_seed(5)).x
    W1[name] = sum(float(fgs.wasserstein_1(x @ axis.u, t)) for t in true) / len(true) / floor
    lesson.compare(f"{name}: W1 ÷ floor", W1[name], "1 if right")

# %% [markdown]
# Not much, here: where the field is farthest from a gradient, J is small beside the noise that is taken off, and all x
# are sent to nearly the same place. (That networks are no gradients and sample well is what others found of unguided
# ones, too.) It does matter to whoever integrates the field to get log p: round a closed path it does not come back to
# where it began. Lesson 17 never integrates it that way, and errs by what the scores err by.

# %%
figure, (left, right) = lesson.figure(columns=2)
for name, (_, _, _, colour) in FIELDS.items():
    left.plot(sigmas, skew[name], "o-", ms=4, color=colour, label=name)
    right.plot(sigmas, drift[name], "o-", ms=4, color=colour)
for panel, title in ((left, "‖J − Jᵀ‖²/‖J‖²"), (right, "drift over variance of x̂, for an e-fold of σ²")):
    panel.axvline(lam, color=OTHER, lw=1, ls=":")
    panel.set(xscale="log", xlabel="σ (dotted: λ; the classes lie 1 apart)", title=title)
left.legend()
lesson.save(figure, "field")

# %%
exact, guided_skew, free = (max(skew[name]) for name in FIELDS)
assert exact < 0.01 < free < guided_skew and W1["network, φ of the class"] < 3, "no gradient, and samples of the class"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. J of a network splits into a symmetric and an antisymmetric part. What does the latter do to x near a fixed point?
# 2. A blind network is one field for all σ. Why can it keep the Fokker-Planck equation all the same?
# 3. Is classifier-free guidance with exact scores a gradient? Does it keep the equation?
