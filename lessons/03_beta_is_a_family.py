"""Lesson 3: β is a family.

Claim: DDIM, DDPM and Langevin dynamics are one update with β = 1, about ½ and → 0; only small β forgets its start.
"""

# %%
import math

import torch

from fgs import SISA, draw_start, known_schedule, two_sample_floor, wasserstein_1
from fgs.lesson import Lesson
from fgs.plots import COLOURS, OTHER
from toy import ExactScore, mixture_on_line

lesson = Lesson(3)
mixture = mixture_on_line(K=2, spacing=1.0, std=0.1)
score = ExactScore(mixture)

# %% [markdown]
# The samplers that one reads about are one line. SISA goes from σ to σ' = (1 − βh)σ by
#
#     x' = x + hs + γz,      γ² = σ'² − (1 − h)²σ²         (lines 6 and 8)
#
# **DDIM** takes the guess x̂ = x + s and puts back the noise that it saw, (x − x̂)/σ, at the new level: x' = x̂ +
# σ'(x − x̂)/σ. At β = 1, σ'/σ = 1 − h, and that is x + s − (1 − h)s = x + hs, while γ = 0. The same.
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
#
# We let the library's sampler make one step from the same x with the same z, and compare.

# %%
generator = torch.Generator().manual_seed(0)
sigma, h = torch.tensor(0.6, dtype=torch.float64), 0.1
x = mixture.sample(1000, sigma=0.6, generator=generator)
s = score(x, None, sigma)


def one_step(beta, score=score):
    sampler = SISA(h, beta, sigma_0=float(sigma), sigma_inf=1e-9, noise_level=known_schedule)
    return next(sampler.iterate(score, x, generator=torch.Generator().manual_seed(1))).x


# the noise that it draws: a step with a score of 0 is γz alone
z = (one_step(1e-9, lambda x, phi, sigma: torch.zeros_like(x)) - x) / (
    sigma * math.sqrt((1 - 1e-9 * h) ** 2 - (1 - h) ** 2)
)
below = (1 - h) * sigma
ddim = x + s + below / sigma * -s
lesson.compare("β = 1 against DDIM, largest difference", (one_step(1.0) - ddim).abs().max(), "rounding, below 1e-12")

beta_ddpm = (1 - math.sqrt(1 - h)) / h
below = (1 - beta_ddpm * h) * sigma
ddpm = x + (1 - below**2 / sigma**2) * s + (below**2 * (sigma**2 - below**2) / sigma**2).sqrt() * z
misfit = float((one_step(beta_ddpm) - ddpm).abs().max())
lesson.compare(f"β = {beta_ddpm:.4f} against DDPM, largest difference", misfit, "rounding, below 1e-12")

epsilon = h * sigma**2
langevin = x + epsilon * mixture.score(x, sigma) + (2 * epsilon).sqrt() * z
ratio = float((one_step(1e-9) - x - h * s).std() / (langevin - x - h * s).std())
lesson.compare("β → 0: noise of a step, in that of Langevin", ratio, math.sqrt(1 - h / 2))

# %% [markdown]
# **Why all of them sample p.** Let h be small and let t count the variance that has been removed, dt = −d(σ²) =
# 2βhσ². Then hs = hσ²∇log p_σ = (1/2β)∇log p_σ dt and γ² = 2h(1 − β)σ² = ((1 − β)/β) dt: SISA follows
#
#     dx = (1/2β) ∇log p_σ dt + √((1 − β)/β) dw
#
# (β = ½ is Eq. 1 of the paper, in the time t and with x not scaled.) The density q of such a stream of points changes
# by −∇·(q · drift) + ½ · (noise variance) · Δq (Fokker and Planck: what flows out, and what spreads). Put in q = p_σ,
# with p_σ ∇log p_σ = ∇p_σ:
#
#     −(1/2β) Δp_σ + ((1 − β)/2β) Δp_σ = −½ Δp_σ          β has gone.
#
# And p_σ, which is p blurred by a Gaussian of variance σ², obeys the heat equation, ∂p_σ/∂σ² = ½Δp_σ; in t, −½Δp_σ.
# So a stream that starts as p_{σ_0} stays p_σ all the way down, whatever β is.
#
# **If it starts as p_{σ_0}.** SISA starts from N(m, σ_0² Id) (line 2), narrower than p_{σ_0} by the variance of the
# data. What becomes of such an error e in the variance? For one Gaussian, with v = λ² + σ², the drift −x dt/(2βv)
# changes e by −e dt/(βv) = e dv/(βv), since dv = −dt. So e ∝ v^{1/β}, and relative to v it goes like v^{1/β − 1}. For
# β = 1 it stays for ever: each x is carried along its own line, and nothing pulls it back. For β = 0.1 it falls with
# the ninth power of v. The noise is what forgets.
#
# To see it, sample two classes from both starts, fold them by |x|, and measure in floors as in lesson 2.

# %%
n, h, sigma_0, sigma_inf = 5000, 0.05, 1.0, 0.016
true = [mixture.sample(n, generator=generator).abs() for _ in range(8)]
floor = two_sample_floor(wasserstein_1, true)
starts = {
    "start of the paper, N(m, σ_0² Id)": draw_start((n, 1), mixture.centre, sigma_0, generator=generator),
    "start at the noisy density p_{σ_0}": mixture.sample(n, sigma=sigma_0, generator=generator),
}
betas = (0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)
distance, steps = {name: [] for name in starts}, []
for beta in betas:
    sampler = SISA(h, beta, sigma_0, sigma_inf, noise_level=known_schedule)
    steps.append(sampler.planned_steps())
    for name, start in starts.items():
        samples = sampler(score, start, generator=generator).x.abs()
        distance[name].append(sum(float(wasserstein_1(samples, one)) for one in true) / len(true) / floor)
paper, exact = distance.values()
lesson.compare("β = 0.1, start of the paper: W1 ÷ floor", paper[0], "about 1, below 2")
lesson.compare("β = 1, start at p_{σ_0}: W1 ÷ floor", exact[-1], "about 1, below 2")
lesson.compare("β = 1, start of the paper: W1 ÷ floor", paper[-1], "above 4")
lesson.compare("β = 0.1: steps", steps[0], math.log(sigma_0 / sigma_inf) / (0.1 * h))

# %%
figure, (left, right) = lesson.figure(columns=2)
for (name, of_start), colour, marker in zip(
    distance.items(), (COLOURS["forcing"], COLOURS["exact"]), "s^", strict=True
):
    left.plot(betas, of_start, marker=marker, color=colour, label=name)
left.axhspan(0.6, 1.4, color=OTHER, alpha=0.3, lw=0, label="as good as true samples")
left.set(xlabel="noise control β", ylabel="W1 to true samples ÷ floor", ylim=(0, None))
left.set_title("A wrong start stays where no noise is injected")
left.legend(loc="upper left")
right.plot(betas, steps, "o", color=OTHER, label="counted")
right.plot(betas, [math.log(sigma_0 / sigma_inf) / (b * h) for b in betas], color=OTHER, label="ln(σ_0/σ_∞)/(βh)")
right.set(xlabel="noise control β", ylabel="steps (network calls)", ylim=(0, None), title="Forgetting takes steps")
right.legend()
lesson.save(figure, "start")

# %%
assert misfit < 1e-12 and paper[0] < 2 and exact[-1] < 2 and paper[-1] > 4, (
    "one family; β = 1 keeps a wrong start, β = 0.1 does not"
)
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. The paper has h = 0.01 and β = 0.05. How many steps are that from σ_0 = 1 to 0.01? And with `schedule=growing`?
# 2. At β = 1, which of the 5000 samples changes if you change one number of the start? And at β = 0.1?
# 3. Raise σ_0 to 5, with the start of the paper and β = 1. Why does that help, and what does it cost?
