"""Lesson 10: Train the projected score.

Claim: Trained to denoise x with φ(x') of its class, a network samples either Gaussian: mean to .1 λ, width to 15 %.
"""

# %%
import torch

import fgs
from fgs.figures import CLASS_COLOURS, COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import GaussianMixture, class_axis, means_on_line, noise_range, rank1_covariances

lesson = Lesson(10)

# %% [markdown]
# The mixture of lesson 8 again, that of Fig. 6 in Kadkhodaie, Mallat & Simoncelli (2024): means ±.7u, width λ = .1
# along u, nothing across, d = 64.

# %%
d, lam, h = 64, 0.1, 0.05
means = means_on_line(K=2, d=d, spacing=1.4)
mixture = GaussianMixture(torch.tensor([0.5, 0.5], dtype=torch.float64), means, rank1_covariances(means, std=lam))
u = class_axis(mixture, 1).u
sigma_0, sigma_inf = noise_range(mixture, h)

# %% [markdown]
# The network is a multi-layer perceptron (ReLU) whose hidden layers are read as 16 channels × 8 positions. `features`
# returns the channel means of the middle layer, φ(x), 16 numbers; `network(x_σ, φ)` is s(x_σ, φ − φ(x_σ)): one walk
# through the layers, with `match_means` in the middle one (lesson 9). With φ = None nothing is matched. Nobody has said
# what φ should be: the denoising loss finds it. The paper's two algorithms, by their line numbers:
#
#     Algorithm 2, one step of training               Algorithm 1, sampling
#     2: draw x and x' of one class y                 2: draw x ~ N(m, σ_0² Id)
#     3: draw σ                                       4: s = s(x, φ_y − φ(x)), φ_y the mean of φ over n samples of y
#     4: draw z ~ N(0, Id)                            5: σ² = ‖s‖²/d
#     5: x_σ = x + σz                                 6: γ² = ((1 − βh)² − (1 − h)²)σ²
#     6: descend ‖s(x_σ, φ(x') − φ(x_σ)) + σz‖²       8: x ← x + hs + γz, z ~ N(0, Id); to 4 while σ ≥ σ_∞
#
# - Why φ(x') and not a vector learned for each y? Because φ is then a function that can be asked about any x. What
#   φ(x') tells of x' alone is of no use for x: what helps is what they share, the class.
# - Small noise makes φ *concentrate*. There x_σ shows x itself, and matching replaces what φ(x_σ) knew of it by what
#   φ(x') knows of x'. Layers behind might ignore the means, but at large noise the same weights need them. So the loss
#   falls if φ(x') ≈ φ(x) within a class (Section 4 of the paper; an argument, no proof).
# - Large noise keeps the centroids *apart*: there x_σ does not show its class, φ(x') does, and x̂ gains by knowing it.
#
# As in lesson 8, log σ is uniform, here from σ_∞/4, so that the sampler ends well inside of what was trained; squared
# errors count 1/(σ² + λ²/4), so that noise below λ is learned; and each x meets z and −z (`antithetic`).


# %%
def loss(network, generator):
    """Return the loss of one step of Algorithm 2."""
    y = mixture.draw_labels(128, generator)
    x, x_prime = (mixture.sample(128, y, generator=generator).float() for _ in range(2))  # 2
    phi = network.features(x_prime)  # the gradient goes through it, too
    levels, weight = fgs.log_uniform(sigma_inf / 4, sigma_0), fgs.inverse_variance(lam / 2)
    # 3 to 6; p_drop: a tenth of the batch goes without φ, so that φ = None gives the mixture's score
    return fgs.denoising_loss(network, x, phi, levels, weight, p_drop=0.1, antithetic=True, generator=generator)


torch.manual_seed(0)
trainer = fgs.Trainer(fgs.GuidedMLP(d, bias=True), loss, fgs.Budget(steps=5000), learning_rate=4e-3)
lesson.say(f"loss {[record.loss for record in trainer.run()][-1]:.4f}")
network = trainer.ema.eval().requires_grad_(False)  # the running average of the weights

# %% [markdown]
# Is φ concentrated, and are the classes apart? Eq. 5 (lesson 11): the variance of φ within a class along the line
# between the centroids, ÷ their squared distance. For a φ linear in x that is λ²/1.4² = .0051. On data of your own, if
# clouds are Gaussian, the share Φ(−1/(2√ratio)) of samples lies nearer to the wrong centroid (Φ: normal distribution
# function): 6 % at a ratio of .1. If it is that large, train longer, or match layers that see more of x.

# %%
x_i = [mixture.sample(1000, y, generator=torch.Generator().manual_seed(2)).float() for y in (0, 1)]
nets = {"untrained": fgs.GuidedMLP(d, bias=True).requires_grad_(False), "trained": network}
ratio = {name: float(fgs.separation([net.features(x) for x in x_i]).ratio.max()) for name, net in nets.items()}
lesson.compare("Eq. 5, variance ÷ distance², untrained", ratio["untrained"], (lam / 1.4) ** 2)
lesson.compare("Eq. 5, variance ÷ distance², trained", ratio["trained"], "below a fifth of that")

# %% [markdown]
# Now Algorithm 1: with φ_y from n = 1000 samples, from n = 1, which the paper says is enough, and with φ = None. β = .2
# (lesson 3); `pooled` averages line 5 over the batch (lesson 4). W1 (lesson 2) of two *true* sets of N samples is the
# *floor*: at W1 ÷ floor = 1, W1 could not tell ours from true ones. At 2 they are off as by .08 λ in the mean, or as by
# 10 % in the width. Across u a class has no width: only the noise σ_∞ at which SISA stops should be there.

# %%
sampler, N = fgs.SISA(h=h, beta=0.2, sigma_0=sigma_0, sigma_inf=sigma_inf, noise_level=fgs.pooled), 2000


def draw(phi):
    """Sample N times; the same starts and the same noise for every φ."""
    generator = torch.Generator().manual_seed(1)
    x = fgs.draw_start((N, d), mixture.centre.float(), sigma_0, generator=generator)
    return sampler(network, x, phi, generator).x.double()


samples, free = {(y, n): draw(fgs.centroid(network, x_i[y][:n])) for y in (0, 1) for n in (1000, 1)}, draw(None)
lesson.compare("φ = None: share of samples in class 1", (free @ u > 0).double().mean(), 0.5)
found = {}
for (y, n), x in samples.items():
    mean, sd = fgs.mean_and_sd(x, means[y], u, lam)
    across = float((x - (x @ u)[:, None] * u).square().sum(1).div(d - 1).mean().sqrt()) / sigma_inf
    found[y, n] = (fgs.class_hit(mixture.log_posterior(x, sigma_inf), y), mean, sd, across)
    what = ("share in the class", "error of the mean, in λ", "sd, in λ", "sd per dimension across u, in σ_∞")
    for words, value, expected in zip(what, found[y, n], (1.0, 0.0, 1.0, 1.0), strict=True):
        lesson.compare(f"class {y}, n = {n}: {words}", value, expected)
    true = [mixture.sample(N, y, generator=torch.Generator().manual_seed(10 + k)) @ u for k in range(6)]
    W1 = sum(float(fgs.wasserstein_1(x @ u, t)) for t in true) / len(true)
    lesson.compare(f"class {y}, n = {n}: W1 ÷ floor", W1 / fgs.two_sample_floor(fgs.wasserstein_1, true), "1 if true")

# %%
figure, axes = lesson.figure(2, 2, width=4.4, height=2.7)
first, second, *guided = axes.flat
place, bins = torch.linspace(-1.2, 1.2, 601, dtype=torch.float64), {"bins": 96, "range": (-1.2, 1.2), "density": True}
for (name, net), colour in zip(nets.items(), (OTHER, COLOURS["learned"]), strict=True):
    a, b = (net.features(x).mean(0) for x in x_i)
    along = (net.features((place[:, None] * u).float()) - a) @ (b - a) / (b - a).square().sum()
    first.plot(place, along, color=colour, label=f"{name}: Eq. 5 ratio {ratio[name]:.1g}")
for y, m in enumerate(means @ u):
    first.axvspan(m - 2 * lam, m + 2 * lam, color=CLASS_COLOURS[y], alpha=0.25, lw=0, label=f"class {y}, ± 2 λ")
first.set(title="φ(x) on the line of the centroids", ylabel="0: φ of class 0, 1: class 1", ylim=(-0.4, 2.2))
true = [(-((place - m @ u) ** 2) / 2 / lam**2).exp() / lam / (2 * torch.pi) ** 0.5 for m in means]
second.hist(free @ u, **bins, color=COLOURS["learned_mixture"], label="samples")
second.plot(place, sum(true) / 2, color=TRUTH, lw=1.2, label="true mixture")
second.set(title="not guided: φ = None", ylabel="density", ylim=(0, 4.6))
for y, panel in enumerate(guided):
    panel.hist(samples[y, 1000] @ u, **bins, color=COLOURS["learned"], alpha=0.4, label="samples, n = 1000")
    panel.hist(samples[y, 1] @ u, **bins, histtype="step", color=COLOURS["learned_n1"], lw=1.2, label="samples, n = 1")
    panel.plot(place, true[y], color=TRUTH, lw=1.2, label="true class")
    panel.set(title=f"guided to φ_y of class {y}", xlabel="position along u (units of x)", ylim=(0, 4.6))
for panel, side in zip(axes.flat, ("left", "left", "right", "left"), strict=True):
    panel.legend(fontsize=8, loc=f"upper {side}")
lesson.save(figure, "figure-6")

# %%
held = all(hit > 0.999 and abs(mean) < 0.1 and abs(sd - 1) < 0.15 for hit, mean, sd, _ in found.values())
assert held and ratio["trained"] < ratio["untrained"] / 5, "each class has its mean and width, n = 1 included"
lesson.end()

# %% [markdown]
# **Your own network** needs `features(x)` and `network(x, phi=None, sigma=None)`: see lesson 9, or `GuidedMLP` in
# `fgs/networks/mlp.py`; `validate(network, x)` of lesson 9 tries it. Match layers that see enough of x to know a class.
# From finite data draw x, x' as two rows of a class (of images, crops: `fgs.Patches`). Take σ_0 twice the sd of all
# data or more; σ_∞ = λ√(h/2) and weight offset λ/2 for the finest width λ that matters; h = .05, β = .2 to begin with.
#
# **Exercises** (answers in `answers.md`)
#
# 1. Replace x' by x itself in `loss`. Should the loss rise or fall? What becomes of the samples?
# 2. Give the network no biases (`bias=False`). Samples come out too wide. Why?
# 3. A constant φ would be concentrated best. What in the loss forbids it, and why does Eq. 5 divide by a distance?
