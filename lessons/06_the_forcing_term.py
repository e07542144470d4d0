"""Lesson 6: The forcing term: how strong, and when to let go.

Claim: A push K(m_y − x), K = c/(λ² + σ²), samples the class if it ends near σ = λ and the classes lie 10λ apart.
"""

# %%
import math

import torch

from fgs import SISA, draw_start, known_schedule
from fgs.lesson import Lesson
from fgs.plots import COLOURS, OTHER, TRUTH
from toy import ForcedScore, Judge, mixture_on_line, noise_range, release_level

lesson = Lesson(6)
generator = torch.Generator().manual_seed(0)
lam, c, h, n = 0.1, 3.0, 0.05, 4000

# %% [markdown]
# We have the score of the mixture, and want one class, without its score. Section 3 of the paper pushes: with the
# mean m_y of the class for all that we know of it,
#
#     s(x_σ, m_y − x_σ) = ∇log p_σ(x_σ) + K_σ (m_y − x_σ)
#
# which is the gradient of the log of p_σ(x) exp(−K_σ|x − m_y|²/2): the mixture times a window of variance 1/K_σ round
# m_y. From lesson 5 we know when the window must be narrow enough to shut the other class out: from the start to well
# below σ_S. As the class alone has the variance v = λ² + σ², let us set K in proportion, K = c/v.
#
# **What it costs.** The window also narrows the class. Take the class alone, ∇log p_σ = −(x − m)/v. Forced, SISA
# follows (lesson 3) dx = −(1 + c)(x − m)/(2βv) dt + √((1 − β)/β) dw with dv = −dt. The variance V of x then obeys
#
#     dV/dv = (1 + c)/β · V/v − (1 − β)/β
#
# (drift −bx takes 2bV off per dt, noise adds its own). Try V = κv:  κ = (1 + c)κ/β − (1 − β)/β, so
#
#     κ = (1 − β)/(1 + c − β)
#
# While forced, the class has the share κ of its variance: 1 without force, .23 for c = 3 at β = 0.1, and 0 at β = 1,
# where the force collapses the class to its mean. (What is left of the start goes like v^{(1 + c)/β − 1}.) Now let go
# at σ_c (c = 0 below). Then V/v − 1 falls like v^{1/β − 1} (lesson 3), and at the end, with v_c = λ² + σ_c² and v_∞ =
# λ² + σ_∞²,
#
#     V/v_∞ = 1 − (1 − κ) (v_∞/v_c)^{1/β − 1}
#
# A narrow class is a wrong start; β decides whether it is forgotten. The earlier we let go, the better it is.

# %%
sigma_inf = noise_range(mixture_on_line(K=1, std=lam), h)[1]


def predicted_sd(sigma_c, beta, sigma_0=1.0):
    v_0, v_c, v_end = (lam**2 + max(sigma, sigma_inf) ** 2 for sigma in (sigma_0, sigma_c, 0))
    kappa = (1 - beta) / (1 + c - beta)
    forced = kappa + (sigma_0**2 / v_0 - kappa) * (v_c / v_0) ** ((1 + c) / beta - 1)  # V/v, from the start at σ_0²
    return math.sqrt(1 - (1 - forced) * (v_end / v_c) ** (1 / beta - 1))


def forced_samples(mixture, y, sigma_c, beta):
    """Sample with K = c/(λ² + σ²) while σ > σ_c, and K = 0 below."""

    def gain(x, y, sigma):
        return torch.where(sigma > sigma_c, c / (lam**2 + sigma**2), 0.0)

    sampler = SISA(h, beta, noise_range(mixture, h)[0], sigma_inf, noise_level=known_schedule)
    start = draw_start((n, 1), mixture.centre, sampler.sigma_0, generator=generator)
    score = ForcedScore(mixture, gain, max_pull=0.5 / h)
    return sampler(score, start, mixture.means[y], generator).x


one = mixture_on_line(K=1, std=lam)
levels = (0.02, 0.05, 0.1, 0.15, 0.25, 0.4, 0.7)
measured = {}
for beta in (0.1, 0.5, 1.0):
    width = [float(forced_samples(one, 0, sigma_c, beta).std()) for sigma_c in levels]
    measured[beta] = [sd / math.sqrt(lam**2 + sigma_inf**2) for sd in width]
    lesson.compare(f"class alone, let go at σ = λ, β = {beta}: sd", measured[beta][2], predicted_sd(lam, beta))
    lesson.compare(f"class alone, let go at λ/5, β = {beta}: sd", measured[beta][0], predicted_sd(lam / 5, beta))

# %% [markdown]
# **When may we let go?** Not too early: before the classes have parted, samples leak to the other class. So there is
# a window, if the classes part well above λ. Let us look for it with classes 10λ apart, and with classes 4λ apart. At
# each σ_c we measure the distance to true samples of the class, in floors (lesson 2); `Judge` draws the true sets.

# %%
distances = {10: [], 4: []}
hits = {10: [], 4: []}
for D in distances:
    mixture = mixture_on_line(K=2, spacing=D * lam, std=lam)
    judge = Judge.draw(mixture, 1, n, sigma_inf, generator)
    for sigma_c in levels:
        row = judge.measure("forced", forced_samples(mixture, 1, sigma_c, beta=0.1), None)
        distances[D].append(row.distance_over_floor)
        hits[D].append(row.class_hit)
best = {D: min(of_D) for D, of_D in distances.items()}
lesson.compare("10λ apart, best σ_c: W1 ÷ floor", best[10], "about 1, below 2")
lesson.compare("10λ apart, let go at 4λ: share in the class", hits[10][5], "below 0.95: it leaks")
lesson.compare("10λ apart, let go at λ/5: W1 ÷ floor", distances[10][0], "above 3: too narrow")
lesson.compare("4λ apart, best σ_c: W1 ÷ floor", best[4], "above 3: no window")

# %%
figure, (left, right) = lesson.figure(columns=2, width=4.6, height=3.5)
fine = torch.logspace(math.log10(0.016), 0, 100).tolist()
for beta, style, marker in ((0.1, "-", "o"), (0.5, "--", "s"), (1.0, ":", "^")):
    left.plot([f / lam for f in fine], [predicted_sd(f, beta) for f in fine], style, color=TRUTH, lw=1)
    left.plot([s / lam for s in levels], measured[beta], marker, color=COLOURS["forcing"], label=f"β = {beta}")
left.plot([], [], color=TRUTH, lw=1, label="formula")
left.set(xscale="log", xlabel="noise level σ_c at which to let go (λ)", ylabel="sd of the samples, in the sd of p_σ")
left.set(ylim=(-0.03, 1.1), title="One class: let go late and it stays narrow")
left.legend()
for D, style, marker in ((10, "-", "o"), (4, "--", "s")):
    label = f"classes {D}λ apart"
    right.plot([s / lam for s in levels], distances[D], style, marker=marker, color=COLOURS["forcing"], label=label)
right.axhspan(0.6, 1.4, color=OTHER, alpha=0.4, lw=0, label="as good as true samples")
right.axvline(release_level(mixture_on_line(2, 10 * lam, lam), 1, 0.1) / lam, color=TRUTH, lw=1, ls=":")
right.set(xscale="log", yscale="log", ylim=(0.03, None), ylabel="W1 to the class ÷ floor")
right.set_xlabel("noise level σ_c at which to let go (λ)")
right.set_title("Two classes: early leaks, late is narrow")
right.legend(loc="lower right")
for axis in (left, right):
    axis.set_xticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
    axis.xaxis.set_tick_params(which="minor", labelbottom=False)
lesson.save(figure, "let_go")

# %% [markdown]
# The dotted line is `release_level(mixture, y, beta)`, which balances the two costs by the formulas above; the gain
# `separation_gain` uses it. A window needs classes about 8λ apart. For closer ones what is missing of the class's
# score is (1 − p_σ(y|x)) (m_y − m_y')/v (Eq. 4): it acts near the border alone, and no K that depends on σ only can
# do that.
#
# So forcing by the mean works where classes are concentrated round their means and the means lie far apart. Images
# are not like that: the mean of a texture is gray. Their *features* can be made so, and that is the paper's idea:
# learn φ such that φ(x) concentrates round φ_y in every class, and push φ(x_σ) to φ_y. From lesson 9 on.

# %%
misfit = max(abs(measured[b][i] - predicted_sd(levels[i], b)) for b in measured for i in range(len(levels)))
assert misfit < 0.06 and best[10] < 2 and best[4] > 3 and hits[10][5] < 0.95, "a window at 10λ, none at 4λ"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Let go at σ_c = 1.5λ with c = 0.3, 3 and 9. What does a small c do, and what does a large one not cure?
# 2. Which β would you take to force, and to let go as late as σ = λ? What do you pay?
# 3. Take K = 10σ² instead, which falls as the noise does. Which of the two costs does it pay at D = 10λ, and why?
