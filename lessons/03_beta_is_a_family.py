"""Lesson 3: β is a family.

Claim: DDIM, DDPM and Langevin dynamics are one update with β = 1, about ½ and → 0; from ½ down it forgets its start.
"""

# %%
import math

import torch

from fgs import SISA, add_noise, draw_start, known_schedule, two_sample_floor, wasserstein_1
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, mixture_on_line

lesson = Lesson(3)
lam, m = 0.1, 0.5  # sd of a class; the means are ±m
mixture = mixture_on_line(K=2, spacing=2 * m, std=lam)
score = ExactScore(mixture)

# %% [markdown]
# The samplers that one reads about are one line. SISA goes from σ to σ' = (1 − βh)σ by lines 6 and 8 of lesson 2,
#
#     x' = x + hs + γz,      γ² = σ'² − (1 − h)²σ²
#
# **DDIM** takes the guess x̂ = x + s and puts back the noise that it saw, x − x̂ = −s, at the new level: x' = x̂ −
# (σ'/σ)s. At β = 1, σ'/σ = 1 − h, and that is x + s − (1 − h)s = x + hs, while γ = 0. The same.
#
# **DDPM** draws x' from its exact density given x and the guess x̂ ("ancestral sampling"; here without scaling of x):
#
#     x' = x + (1 − σ'²/σ²) s + τz,     τ² = σ'²(σ² − σ'²)/σ²
#
# To be SISA it needs h = 1 − σ'²/σ², so (1 − βh)² = 1 − h, so β = (1 − √(1 − h))/h = ½ + h/8 + …. And then γ² = (1 −
# h)σ² − (1 − h)²σ² = h(1 − h)σ² = τ². The same again, to the last digit, for every h.
#
# **Langevin dynamics** at a fixed noise level is x' = x + ε∇log p_σ + √(2ε) z. As β → 0, σ' → σ, and SISA has hs =
# hσ²∇log p_σ, so ε = hσ², and γ² = (2h − h²)σ² = 2ε(1 − h/2). The same for small h.

# %%
generator = torch.Generator().manual_seed(0)
sigma, h = torch.tensor(0.6, dtype=torch.float64), 0.1
x = mixture.sample(1000, sigma=0.6, generator=generator)
s = score(x, None, sigma)
_, z = add_noise(x, sigma, torch.Generator().manual_seed(1))  # the z that a step with this seed will draw
beta_ddpm = (1 - math.sqrt(1 - h)) / h
samplers = [SISA(h, beta, 0.6, 0.06, noise_level=known_schedule) for beta in (1.0, beta_ddpm, 1e-9)]
steps = [next(one.iterate(score, x, generator=torch.Generator().manual_seed(1))).x for one in samplers]
ddim = x + s + (1 - h) * -s
lesson.compare("β = 1 against DDIM, largest difference", (steps[0] - ddim).abs().max(), "rounding, below 1e-12")
below = (1 - beta_ddpm * h) * sigma
ddpm = x + (1 - below**2 / sigma**2) * s + (below**2 * (sigma**2 - below**2) / sigma**2).sqrt() * z
misfit = float((steps[1] - ddpm).abs().max())
lesson.compare(f"β = {beta_ddpm:.4f} against DDPM, largest difference", misfit, "rounding, below 1e-12")
epsilon = h * sigma**2
langevin = x + epsilon * mixture.score(x, sigma) + (2 * epsilon).sqrt() * z
ratio = float((steps[2] - x - h * s).std() / (langevin - x - h * s).std())
lesson.compare("β → 0: noise of a step, in that of Langevin", ratio, math.sqrt(1 - h / 2))

# %% [markdown]
# **Why all of them sample p.** Let h be small and let t count the variance that has been removed, dt = −d(σ²) =
# 2βhσ². Then hs = hσ²∇log p_σ = (1/2β)∇log p_σ dt and γ² = 2h(1 − β)σ² = ((1 − β)/β) dt, so SISA follows (dw: white
# noise of variance dt; at β = ½ this is Eq. 1 of the paper, with x not scaled)
#
#     dx = (1/2β) ∇log p_σ dt + √((1 − β)/β) dw
#
# The density q of such points changes by −∇·(q · drift) + ½ · (noise variance) · Δq (Fokker and Planck: what flows
# out, and what spreads; Δ = ∇·∇). For q = p_σ, with p_σ ∇log p_σ = ∇p_σ:
#
#     −(1/2β) Δp_σ + ((1 − β)/2β) Δp_σ = −½ Δp_σ          β has gone.
#
# And p_σ, which is p blurred by a Gaussian of variance σ², obeys the heat equation, ∂p_σ/∂σ² = ½Δp_σ; in t, −½Δp_σ.
# So points that start as p_{σ_0} stay p_σ all the way down, whatever β is.
#
# **If it starts otherwise.** Line 2 starts SISA from N(0, σ_0²), narrower than p_{σ_0} by the variance of the data.
# For one Gaussian of variance v the drift is −x dt/(2βv). A mean a that should be 0 has da = −a dt/(2βv). The variance
# V of x has dV = −2V dt/(2βv) + ((1 − β)/β) dt (2, as d(x²) = 2x dx), and so has v: V − v has no noise. As dv = −dt,
#
#     a/√v ∝ v^{(1/β − 1)/2},        V/v − 1 ∝ v^{1/β − 1}
#
# Our mixture is about one Gaussian down to σ ≈ m (lesson 5), v = m² + λ² + σ², 1.26 to 0.51; its width is wrong.
# Below, each class is one, v = λ² + σ², 0.26 to 0.01; its mean is wrong, too near to 0. Together (0.51/1.26)^{1/β − 1}
# (0.01/0.26)^{(1/β − 1)/2} of the error is left: all of it at β = 1, 1/12 at ½, 10⁻¹⁰ at 0.1.
#
# How large is it at β = 1? Nothing is random, no x overtakes another, each keeps its rank: F_{σ_∞}(x) = F_{σ_0}(x_0),
# F_σ the distribution function of p_σ. The ranks r of |x_0| give W1, folded (lesson 2: the shares are a coin).

# %%
n, runs, h, sigma_0, sigma_inf = 5000, 4, 0.05, 1.0, 0.016
Phi, quantile = torch.special.ndtr, torch.special.ndtri  # distribution function of N(0, 1), and its inverse
r = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
x_0, sd_0 = sigma_0 * quantile((1 + r) / 2), math.sqrt(lam**2 + sigma_0**2)
of_ranks = float((quantile(Phi((x_0 - m) / sd_0) + Phi((x_0 + m) / sd_0) - 1) - quantile(r)).abs().mean())
kept = (2 * m**2 + lam**2) / (m**2 + lam**2 + sigma_0**2) * math.sqrt((lam**2 + sigma_inf**2) / (lam**2 + m**2))
true = [mixture.sample(n, generator=generator).abs() for _ in range(8)]
floor = two_sample_floor(wasserstein_1, true)


def in_floors(sets):
    return torch.tensor([sum(float(wasserstein_1(one, x)) for x in true) / len(true) / floor for one in sets])


def distance(beta, start, h=h):  # mean of the runs, its standard error, and steps
    sampler = SISA(h, beta, sigma_0, sigma_inf, noise_level=known_schedule)
    of_runs = in_floors(sampler(score, start, generator=generator).x.abs().chunk(runs))
    return float(of_runs.mean()), float(of_runs.std()) / math.sqrt(runs), sampler.planned_steps()


paper = draw_start((runs * n, 1), mixture.centre, sigma_0, generator=generator)
noisy = mixture.sample(runs * n, sigma=sigma_0, generator=generator)
betas = (0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)
wrong, good = ([distance(beta, start) for beta in betas] for start in (paper, noisy))
slow = distance(1.0, paper, h=0.1 * h)
fresh = in_floors([mixture.sample(n, generator=generator).abs() for _ in range(20)])
at_1 = of_ranks * lam / floor
sets = f"true sets: {fresh.min():.2f} to {fresh.max():.2f}"
lesson.compare("β = 0.1, start of the paper: W1 ÷ floor", wrong[0][0], sets)
lesson.compare(f"β = ½, {kept * at_1:.2f} floors of the start's error left: W1 ÷ floor", wrong[3][0], sets)
lesson.compare("β = 1, start of the paper: W1 ÷ floor", wrong[-1][0], f"{at_1:.2f} for h → 0")
lesson.compare(f"β = 1 in {slow[2]} steps: W1 in sd of a class", slow[0] * floor / lam, of_ranks)
figure, (left, right) = lesson.figure(columns=2, width=4.8, height=3.5)
fine = [0.05 + 0.01 * i for i in range(96)]
left.axhspan(float(fresh.min()), float(fresh.max()), color=OTHER, alpha=0.3, lw=0, label="20 sets of true samples")
left.plot(fine, [kept ** (1 / b - 1) * at_1 for b in fine], color=TRUTH, lw=1, label="left of the wrong start, h → 0")
for of_start, method, marker, name in ((wrong, "forcing", "s", "N(0, σ_0²)"), (good, "exact", "^", "p_{σ_0}")):
    mean, error, steps = zip(*of_start, strict=True)
    left.errorbar(betas, mean, error, fmt=marker, color=COLOURS[method], label=f"start {name}, h = {h}")
right.plot(betas, steps, "o", color=OTHER, label=f"h = {h}")
left.errorbar(
    1, slow[0], slow[1], fmt="s", mfc="none", color=COLOURS["forcing"], label=f"start N(0, σ_0²), h = {h / 10:g}"
)
right.plot(1, slow[2], "s", mfc="none", color=COLOURS["forcing"], label=f"h = {h / 10:g}")
left.set(ylabel="W1 to true samples ÷ floor", ylim=(0, 10), title="A wrong start stays where no noise is injected")
right.plot(fine, [math.log(sigma_0 / sigma_inf) / (b * h) for b in fine], color=TRUTH, lw=1, label="ln(σ_0/σ_∞)/(βh)")
right.set(ylabel="steps (network calls)", ylim=(0, 1000), title="At the same h, small β takes more steps")
for axis, place in ((left, "upper left"), (right, "upper center")):
    axis.set(xlabel="noise control β", xlim=(0, 1.06))
    axis.legend(loc=place)
    axis.secondary_xaxis("top").set_xticks([0, 0.5 + h / 8, 1], ["Langevin", "DDPM", "DDIM"])
lesson.save(figure, "start")

# %%
assert misfit < 1e-12 and max(wrong[:4])[0] < 1.4 and abs(slow[0] - at_1) < 1, "one family; β = 1 forgets nothing"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. With h = 0.01, β = 0.05, how many steps from σ_0 = 1 to 0.01? With `schedule=growing`, h_k = hk/(1 + h(k − 1))?
# 2. At β = 1, which of the 5000 samples changes if you change one number of the start? And at β = 0.1?
# 3. Raise σ_0 to 5, with the start of the paper and β = 1. Why does that help, and what does it cost?
