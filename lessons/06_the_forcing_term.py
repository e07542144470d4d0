"""Lesson 6: The forcing term: how strong, and when to let go.

Claim: At β = 0.1 a push K(m_y − x), K = 3/(λ² + σ²), ended near σ = λ, samples a class 10λ from the next, but not 4λ.
"""

# %%
import math

import torch

from fgs import SISA, draw_start, known_schedule
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ForcedScore, Judge, mixture_on_line, noise_range, release_level

lesson = Lesson(6)
generator = torch.Generator().manual_seed(0)
lam, c, h, n = 0.1, 3.0, 0.05, 3000  # λ is the sd of a class, c the strength of the push

# %% [markdown]
# We have the score of the mixture, and want one class, without its score. Section 3 of the paper pushes: with the
# mean m_y of the class for all that we know of it, and for s = σ²∇log p_σ (the paper leaves σ² out here),
#
#     s(x_σ, m_y − x_σ) = σ² [ ∇log p_σ(x_σ) + K_σ (m_y − x_σ) ]
#
# In brackets: the gradient of the log of p_σ(x) exp(−K_σ|x − m_y|²/2), the mixture times a window of variance 1/K_σ. It
# must shut the other class out from the start to well below σ_S = √(D²/4 − λ²), where one basin becomes two (lesson
# 5; D: distance of the means). The class alone has the variance v = λ² + σ², so we set K = c/v.
#
# **What it costs.** The window also narrows the class. Take the class alone, ∇log p_σ = −(x − m)/v. Forced, SISA
# follows (lesson 3) dx = −(1 + c)(x − m)/(2βv) dt + √((1 − β)/β) dw with dv = −dt. The variance V of x then obeys
#
#     dV/dv = (1 + c)/β · V/v − (1 − β)/β           (drift −bx takes 2bV off per dt, noise adds its own)
#
# Try V = κv: κ = (1 + c)κ/β − (1 − β)/β, so κ = (1 − β)/(1 + c − β). With what the start left (V_0 = σ_0², v_0 = λ² +
# σ_0²), a forced class has V/v = κ + (V_0/v_0 − κ)(v/v_0)^{(1 + c)/β − 1}: soon the share κ of its variance, .23 for c
# = 3 at β = 0.1, and 0 at β = 1, where the force collapses the class to its mean. Let go at σ_c with V_c/v_c. Then c =
# 0, V/v − 1 falls like v^{1/β − 1} (lesson 3), and at the end, v_∞ = λ² + σ_∞²,
#
#     V/v_∞ = 1 − (1 − V_c/v_c) (v_∞/v_c)^{1/β − 1}
#
# For β < 1 the narrowness is forgotten, the better the larger σ_c. At β = 1 the exponent is 0: V/v stays V_c/v_c, what
# is left of the start (.12 at 7λ). This is for h → 0; V ← (1 − ha)²V + γ², a = (1 + c)σ²/v, then σ²/v, is exact.

# %%
sigma_0, sigma_inf = noise_range(mixture_on_line(1, std=lam), h)
v_0, v_end = lam**2 + sigma_0**2, lam**2 + sigma_inf**2


def forced_share(sigma_c, beta):  # V_c/v_c
    kappa = (1 - beta) / (1 + c - beta)
    return kappa + (sigma_0**2 / v_0 - kappa) * ((lam**2 + sigma_c**2) / v_0) ** ((1 + c) / beta - 1)


def predicted_sd(sigma_c, beta):  # in the sd of the class at σ_∞
    return math.sqrt(1 - (1 - forced_share(sigma_c, beta)) * (v_end / (lam**2 + sigma_c**2)) ** (1 / beta - 1))


def recursion_sd(sigma_c, beta):
    sigma, V = sigma_0, sigma_0**2
    while sigma >= sigma_inf:
        a = (1 + c * (sigma > sigma_c)) * sigma**2 / (lam**2 + sigma**2)
        V = (1 - h * a) ** 2 * V + ((1 - beta * h) ** 2 - (1 - h) ** 2) * sigma**2
        sigma *= 1 - beta * h
    return math.sqrt(V / v_end)


def forced_samples(mixture, y, levels, beta):  # n for each σ_c of the levels
    sigma_c = torch.tensor(levels, dtype=torch.float64).repeat_interleave(n)
    sampler = SISA(h, beta, noise_range(mixture, h)[0], sigma_inf, noise_level=known_schedule)
    start = draw_start((len(sigma_c), 1), mixture.centre, sampler.sigma_0, generator=generator)
    score = ForcedScore(mixture, lambda x, y, sigma: torch.where(sigma > sigma_c, c / (lam**2 + sigma**2), 0), c)
    return sampler(score, start, mixture.means[y], generator).x.chunk(len(levels))


widths, measured = (0.02, 0.05, 0.1, 0.15, 0.25, 0.4, 0.7), {}
for beta in (0.1, 0.5, 1.0):
    samples = forced_samples(mixture_on_line(1, std=lam), 0, widths, beta)
    measured[beta] = [float(x.std()) / math.sqrt(v_end) for x in samples]
    for i, where in ((2, "λ"), (6, "7λ")):
        name = f"one class, let go at {where}, β = {beta}: sd (h → 0: {predicted_sd(widths[i], beta):.3f})"
        lesson.compare(name, measured[beta][i], recursion_sd(widths[i], beta))

# %% [markdown]
# **When may we let go?** Not too early: samples leak. The border to the other class, D/2 away, is z = D/(2√V) sd away.
# In the time τ, dτ = dv/(2βv), the drift is −x and noise has the variance 2 (β → 0), and rare visits to z come at the
# rate z e^{−z²/2}/√(2π) (Kramers). Half of them fall back. As that goes back and forth, ½(1 − e^{−2I}) have left in
# the end, I = ½∫ z e^{−z²/2}/√(2π) dτ. One lost costs D of W1; a sd of √V for √v costs √(2/π)(√v − √V).


# %%
def predicted_lost(sigma_c, D, beta):
    v = lam**2 + torch.logspace(math.log10(sigma_inf), math.log10(sigma_c), 400, dtype=torch.float64) ** 2
    z = D / 2 / (v * (1 - (1 - forced_share(sigma_c, beta)) * (v / v[-1]) ** (1 / beta - 1))).sqrt()
    crossings = torch.trapezoid(z * (-(z**2) / 2).exp() / math.sqrt(2 * math.pi), v.log() / (2 * beta))  # 2I
    return float(1 - (-crossings).exp()) / 2


levels = tuple(lam * r for r in (0.2, 0.35, 0.5, 0.6, 0.7, 0.85, 1, 1.2, 1.5, 2, 2.5, 4))
fine = torch.logspace(math.log10(0.018), math.log10(0.9), 150).tolist()
narrow = {beta: [predicted_sd(sigma_c, beta) for sigma_c in fine] for beta in measured}
distances, costs, lost, leaks = {}, {}, {}, {}
for D in (10, 8, 4):
    mixture = mixture_on_line(2, spacing=D * lam, std=lam)
    judge = Judge.draw(mixture, 1, n, sigma_inf, generator)  # true sets, and their floor (lesson 2)
    rows = [judge.measure("forced", x, None) for x in forced_samples(mixture, 1, levels, 0.1)]  # None: steps
    distances[D] = [row.distance_over_floor for row in rows]
    lost[D] = [judge.measure_true().class_hit - row.class_hit for row in rows]
    leaks[D] = [predicted_lost(sigma_c, D * lam, 0.1) for sigma_c in fine]
    of_width = [math.sqrt(2 / math.pi * v_end) * (1 - sd) for sd in narrow[0.1]]
    costs[D] = [(D * lam * a + b) / judge.floor for a, b in zip(leaks[D], of_width, strict=True)]
    lesson.compare(f"{D}λ apart, best: W1 ÷ floor", min(distances[D]), f"1, and the costs {min(costs[D]):.2f}")
    lesson.compare(f"{D}λ apart, let go at 2λ: share lost", lost[D][-3], predicted_lost(2 * lam, D * lam, 0.1))
released = release_level(mixture_on_line(2, 10 * lam, lam), 1, 0.1) / lam
lesson.compare("10λ apart: release_level, in λ", released, fine[costs[10].index(min(costs[10]))] / lam)
figure, axes = lesson.figure(columns=3, width=4, height=3.5)
axes[0].set(ylabel="sd, in that of the class at σ_∞", title="One class (lines: formula): late is narrow")
axes[1].set(yscale="log", ylim=(0.3, 300), ylabel="W1 to the class ÷ floor", title="Two, β = 0.1 (lines: costs)")
axes[1].axhspan(0.7, 1.6, color=OTHER, alpha=0.4, lw=0, label="true (lesson 3)")
axes[2].set(ylabel="share lost, more than of true samples", title="β = 0.1 (lines: formula): early leaks")
panels = zip(axes, (widths, levels, levels), (measured, distances, lost), (narrow, costs, leaks), strict=True)
for axis, at, of, predicted in panels:
    for key, style, marker in zip(of, ("-", "--", ":"), "os^", strict=True):
        how = {"marker": marker, "mfc": COLOURS["forcing"], "mec": COLOURS["forcing"]}
        axis.plot([f / lam for f in fine], predicted[key], style, color=TRUTH, lw=1)
        axis.plot([s / lam for s in at], of[key], ls="", **how)
        axis.plot([], [], style, color=TRUTH, lw=1, label=f"β = {key}" if at is widths else f"{key}λ apart", **how)
    axis.set(xscale="log", xlabel="noise level σ_c at which to let go (λ)")
    axis.set_xticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
    axis.xaxis.set_tick_params(which="minor", labelbottom=False)
    axis.legend(loc="best")
lesson.save(figure, "let_go")
misfit = max(abs(measured[b][i] - recursion_sd(widths[i], b)) for b in measured for i in range(len(widths)))
assert misfit < 0.04 and min(distances[10]) < 1.6 and min(distances[4]) > 2, "a window at 10λ, none at 4λ"
lesson.end()

# %% [markdown]
# σ_c has a window at 10λ, a narrower one at 8λ, none at 4λ. (`release_level` finds it much like this; `separation_gain`
# uses it.) What is missing of the class's score is, by Bayes' rule (Eq. 4), ∇log p_σ(y|x) = (1 − p_σ(y|x)) (m_y −
# m_y')/v: 0 well inside the class, half of (m_y − m_y')/v on the border, all beyond. K_σ pulls all x alike instead.
#
# So forcing by the mean works where classes lie close round means that are far apart. Images do not: the mean of a
# texture is gray. Their *features* can be made so, the paper's idea: learn φ such that φ(x) concentrates round φ_y in
# every class, and push φ(x_σ) to φ_y. From lesson 9 on.
#
# **Exercises** (answers in `answers.md`), at D = 10λ and β = 0.1
#
# 1. Let go at σ_c = 1.5λ with c = 0.3, 3 and 9. What does a small c do, and what does a large one not cure?
# 2. Which other β, the same all the way, would do if σ_c = λ? What do you pay?
# 3. Take K = 10σ² instead, which falls as the noise does. Which of the two costs does it pay, and why?
