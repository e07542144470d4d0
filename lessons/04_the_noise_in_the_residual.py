"""Lesson 4: The noise level, read from the residual.

Claim: ‖s‖²/d misses the noise by MMSE/d: right where data have few dimensions among many, fatal in one dimension.
"""

# %%
import math
import warnings

import torch

from fgs import SISA, add_noise, draw_start, known_schedule, per_sample, pooled, two_sample_floor, wasserstein_1
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, GaussianMixture, class_axis, rank1_covariances

lesson = Lesson(4)
generator = torch.Generator().manual_seed(0)
warnings.filterwarnings("ignore", message=".*from the residual")  # the library warns of what this lesson shows
dims = (1, 2, 4, 8, 16, 64)

# %% [markdown]
# Line 5 of the algorithms does not know σ. It takes σ_k² = ‖s(x_{σ_{k−1}})‖²/d, the size of the residual s = x̂ − x_σ
# in one of its d coordinates. Then no schedule need be chosen, and a network need not be told σ (here the exact score
# is told the σ that was read). Is it right? Split the noise σz = x_σ − x at the guess:
#
#     x_σ − x = (x_σ − x̂) + (x̂ − x) = −s + (error of the guess)
#
# The error of the best guess is uncorrelated with every function of x_σ (else that function would improve the guess),
# so with s, and the squares add:
#
#     σ²d = E‖s‖² + E‖x − x̂‖²          →          E‖s‖²/d = σ² − MMSE/d
#
# The residual falls short of the noise by the part of it that the denoiser cannot tell from signal. How much is that?
# Let the data be Gaussian on a line in d dimensions: sd λ along u, nothing across, as in the paper's Fig. 6. Across
# the line all noise is seen. Along it, lesson 1 has MMSE = λ²σ²/(λ² + σ²). At σ = λ that is half of σ². So at d = 1
# half of the noise is missed, at d = 64 one part in 128.

# %%
lam = 0.1


def line(d):
    mean = torch.zeros(1, d, dtype=torch.float64)
    return GaussianMixture(torch.ones(1, dtype=torch.float64), mean, rank1_covariances(mean, lam))


sigma = torch.tensor(lam, dtype=torch.float64)
shares = []
for d in dims:
    x_sigma, _ = add_noise(line(d).sample(20_000, generator=generator), sigma, generator)
    s = ExactScore(line(d))(x_sigma, None, sigma)
    shares.append(float(s.square().mean() / sigma**2))
lesson.compare("‖s‖²/d in σ², at σ = λ and d = 1", shares[0], 0.5)

# %% [markdown]
# **What the sampler makes of it.** Put line 5 into the recursion of lesson 2. Along the line s = −ax with a = σ²/(λ²
# + σ²) of the σ believed, across it s = −x. With v and w for the variances of a coordinate along and across,
#
#     σ_k² = (a²v + (d − 1)w)/d,     v ← (1 − ha)²v + γ²,     w ← (1 − h)²w + γ²,     σ ← (1 − βh)σ_k
#
# and γ² = ((1 − βh)² − (1 − h)²)σ_k². At d = 1, h = .1, from σ = λ and v = 2λ², σ_k is .71λ, then .44λ, .21λ, .06λ: the
# sampler believes that it is done, while √v is still 1.3λ. `SISA` has three sources of σ: `per_sample` is line 5,
# `pooled` its mean over the batch (so the recursion is exact), `known_schedule` trusts σ_0(1 − βh)^k. At d = 1
# `per_sample` gets the sd about right, but each sample ends when it likes: the shape is wrong (W1, 1 floor if true).

# %%
h, beta, sigma_inf, n = 0.1, 0.2, 0.02, 3000
sources = {"per sample (line 5)": per_sample, "pooled": pooled, "known schedule": known_schedule}
colours = ("forcing", "forcing_posterior", "exact")


def predicted_sd(d):
    v, w, sigma = 1.0, 1.0, 1.0
    while sigma >= sigma_inf:
        a = sigma**2 / (lam**2 + sigma**2)
        sigma = math.sqrt((a**2 * v + (d - 1) * w) / d)
        gamma2 = ((1 - beta * h) ** 2 - (1 - h) ** 2) * sigma**2
        v, w, sigma = (1 - h * a) ** 2 * v + gamma2, (1 - h) ** 2 * w + gamma2, (1 - beta * h) * sigma
    return math.sqrt(v) / lam


def sample_along(d, source):
    sampler = SISA(h, beta, sigma_0=1.0, sigma_inf=sigma_inf, noise_level=source)
    start = draw_start((n, d), 0.0, 1.0, generator=generator).double()
    x = sampler(ExactScore(line(d)), start, generator=generator).x
    return x @ class_axis(line(d), 0).u / lam  # along the line


samples = {name: [sample_along(d, source) for d in dims] for name, source in sources.items()}
true = [torch.randn(n, generator=generator, dtype=torch.float64) for _ in range(8)]
floor = two_sample_floor(wasserstein_1, true)
for name, of_source in samples.items():
    distance = sum(float(wasserstein_1(of_source[0], one)) for one in true) / len(true) / floor
    lesson.compare(f"{name}, d = 1: W1 ÷ floor", distance, "about 1" if "known" in name else "over 3 (wrong)")
pooled_sd = [float(along.std()) for along in samples["pooled"]]
lesson.compare("pooled, d = 1: sd of the samples, in λ", pooled_sd[0], predicted_sd(1))
lesson.compare("pooled, d = 64: sd of the samples, in λ", pooled_sd[-1], predicted_sd(64))

# %%
figure, (left, right) = lesson.figure(columns=2)
left.plot(dims, [1 - 0.5 / d for d in dims], color=TRUTH, lw=1, label="1 − MMSE/(dσ²)")
left.plot(dims, shares, "o", color=COLOURS["forcing_posterior"], label="measured, at σ = λ")
left.set(xscale="log", xlabel="dimension d", ylabel="‖s‖²/d, in σ²", ylim=(0, 1.1), title="The residual misses MMSE/d")
left.legend(loc="lower right")
for (name, of_source), marker, colour in zip(samples.items(), "s^o", colours, strict=True):
    right.plot(dims, [along.std() for along in of_source], marker, color=COLOURS[colour], label=name)
right.plot(dims, [predicted_sd(d) for d in dims], color=TRUTH, lw=1, label="recursion for pooled")
right.axhline(1, color=OTHER, lw=0.8)
right.set(xscale="log", xlabel="dimension d", ylabel="sd of samples (λ)", ylim=(0, 1.7), title="Small d keeps noise")
right.legend(loc="lower right")
lesson.save(figure, "residual")

# %% [markdown]
# **And too fast.** Even where MMSE = 0 a sample takes fewer steps than βh plans, and so forgets less. Take a single
# point for data: s = −(x − m) is the noise itself, and ‖s‖²/d fluctuates. A step multiplies ‖s‖² (= d, say) by
#
#     r = ‖(1 − h)s + γz‖²/‖s‖²,     with mean (1 − βh)² and, for small h, variance 4γ²/d ≈ 8h(1 − β)/d
#
# and it is log σ that must come down by ln(σ_0/σ_∞). To second order E[½ log r] ≈ ½ log E r − ¼ Var r = −βh − 2h(1 −
# β)/d. So the number of steps is not ln(σ_0/σ_∞)/(βh) but that divided by 1 + 2(1 − β)/(βd).

# %%
h, beta, counted = 0.05, 0.1, []
planned = math.log(100) / (beta * h)
for d in dims:
    sampler = SISA(h, beta, sigma_0=1.0, sigma_inf=0.01, noise_level=per_sample)
    samples = sampler(lambda x, phi, sigma: -x, draw_start((200, d), 0.0, 1.0, generator=generator).double())
    counted.append(float(samples.steps.double().mean()))
fewer = [planned / (1 + 2 * (1 - beta) / (beta * d)) for d in dims]
lesson.compare("a point in d = 64: steps, σ read per sample", counted[-1], fewer[-1])
figure, axis = lesson.figure(width=5)
axis.axhline(planned, color=COLOURS["exact"], label="known schedule, ln(σ_0/σ_∞)/(βh)")
axis.plot(dims, fewer, color=TRUTH, lw=1, label="divided by 1 + 2(1 − β)/(βd)")
axis.plot(dims, counted, "s", color=COLOURS["forcing"], label="counted, σ read per sample")
axis.set(xscale="log", xlabel="dimension d", ylabel="steps", ylim=(0, 1.35 * planned), title="Per sample, fewer steps")
axis.legend(loc="upper left")
lesson.save(figure, "steps")

# %%
misfit = max(abs(share - (1 - 0.5 / d)) for share, d in zip(shares, dims, strict=True))
assert misfit < 0.02 and pooled_sd[0] > 1.4 and abs(pooled_sd[-1] - 1) < 0.05, "right at d = 64, too wide at d = 1"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Give the Gaussian sd λ in all d directions (`isotropic_covariances`). What is ‖s‖²/d at σ = λ, and does d help?
# 2. Add the missing: σ² = ‖s‖²/d + MMSE/d, per sample and pooled (`noise_level` may be any function). Is d = 1 right?
# 3. A photograph of 64 × 64 pixels has d = 4096. Why may its residual still fall short at small σ?
