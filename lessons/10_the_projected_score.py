"""Lesson 10: Train the projected score.

Claim: A network trained to denoise x with φ(x') of its class samples either Gaussian as well as true samples do.
"""

# %%
import torch

import fgs
from fgs.lesson import Lesson
from fgs.plots import COLOURS, OTHER, TRUTH
from toy import GaussianMixture, class_axis, means_on_line, noise_range, rank1_covariances

lesson = Lesson(10)

# %% [markdown]
# The mixture of lesson 8 again, which is that of the paper's Fig. 6: means ±.7u, width λ = .1 along u, d = 64.

# %%
d, lam, h = 64, 0.1, 0.05
means = means_on_line(K=2, d=d, spacing=1.4)
mixture = GaussianMixture(torch.tensor([0.5, 0.5], dtype=torch.float64), means, rank1_covariances(means, std=lam))
sigma_0, sigma_inf = noise_range(mixture, h)

# %% [markdown]
# The network is a multi-layer perceptron whose hidden layers are read as 16 channels × 8 positions. `features` returns
# the channel means of the middle layer, φ(x), 16 numbers; `network(x_sigma, phi)` is s(x_σ, φ − φ(x_σ)): one walk
# through the layers, with `match_means` in the middle one (lesson 9). Nobody has said what φ should be. Algorithm 2
# makes the denoising loss find it:
#
#     ℓ(θ) = E‖s_θ(x_σ, φ_θ(x') − φ_θ(x_σ)) + σz‖²,      x and x' two samples of one class y
#
# - Why φ(x') and not a vector learned for each y? Because φ is then a function that can be asked about any x. And since
#   x' is another sample than x, what φ(x') tells of x' alone is of no use: what helps is what they share, the class.
# - Small noise makes φ *concentrate*. There x_σ shows x anyway, φ(x') − φ(x_σ) can only disturb, and the loss asks for
#   φ(x') ≈ φ(x) within a class (Section 4).
# - Large noise keeps the centroids *apart*. There x_σ does not show its class, φ(x') does, and x̂ gains by knowing it.


# %%
def loss(network, generator):
    """Return the loss of one step of Algorithm 2; the numbers are its lines."""
    y = mixture.draw_labels(128, generator)
    x = mixture.sample(128, y, generator=generator).float()  # 2: draw x …
    x_prime = mixture.sample(128, y, generator=generator).float()  # 2: … and x' of the same class
    phi = network.features(x_prime)  # a pass of the same network, with the gradient going through it
    return fgs.denoising_loss(  # 3 to 6: draw σ and z, x_σ = x + σz, ‖s + σz‖²
        network,
        x,
        phi,
        fgs.log_uniform(sigma_inf / 4, sigma_0),  # lesson 8
        fgs.inverse_variance(lam / 2),
        p_drop=0.1,  # a tenth goes without φ: then phi=None is the mixture's score
        antithetic=True,
        generator=generator,
    )


torch.manual_seed(0)
trainer = fgs.Trainer(fgs.GuidedMLP(d, bias=True), loss, fgs.Budget(steps=5000), learning_rate=4e-3)
for record in trainer.run():
    if record.step % 1000 == 0:
        print(f"  step {record.step}: loss {record.loss:.4f}", flush=True)
network = trainer.ema.eval().requires_grad_(False)

# %% [markdown]
# Algorithm 1 samples a class: φ_y is the mean of φ over samples {x_i} of it, then SISA, blind: σ is the size of s
# itself. The paper says that n = 1 sample is enough; so both.

# %%
sampler = fgs.SISA(h=h, beta=0.2, sigma_0=sigma_0, sigma_inf=sigma_inf, noise_level=fgs.pooled)
N = 2000


def draw(phi, seed=1):
    """Sample N times with φ for a target; the same starts and the same noise for every φ."""
    generator = torch.Generator().manual_seed(seed)
    x = fgs.draw_start((N, d), mixture.centre.float(), sigma_0, generator=generator)
    return sampler(network, x, phi, generator).x.double()


conditions, samples = {}, {}
for y in (0, 1):
    x_i = mixture.sample(1000, y, generator=torch.Generator().manual_seed(2)).float()
    conditions[y] = {"φ_y from 1000 samples": fgs.centroid(network, x_i), "n = 1": fgs.centroid(network, x_i[:1])}
    samples[y] = {name: draw(phi) for name, phi in conditions[y].items()}
distance = (conditions[0]["n = 1"] - conditions[1]["n = 1"]).norm()
error = max((phi["n = 1"] - phi["φ_y from 1000 samples"]).norm() for phi in conditions.values())
lesson.compare("φ of one sample: distance to its centroid ÷ distance of the classes", error / distance, "far below 1")

# %% [markdown]
# How good is that? No sample set is at distance 0 of another, not even a true one. The *floor* is the W1 of true sets
# of N samples to each other; the W1 of ours to true ones, divided by it, is 1 for samples that cannot be told from true
# ones.

# %%
ratios, hits = {}, {}
for y in (0, 1):
    axis = class_axis(mixture, y)
    true = [mixture.sample(N, y, generator=torch.Generator().manual_seed(10 + k)) @ axis.u for k in range(6)]
    floor = fgs.two_sample_floor(fgs.wasserstein_1, true)
    for name, x in samples[y].items():
        mean, sd = fgs.mean_and_sd(x, means[y], *axis)
        ratios[y, name] = sum(float(fgs.wasserstein_1(x @ axis.u, t)) for t in true) / len(true) / floor
        hits[y, name] = fgs.class_hit(mixture.log_posterior(x, sigma_inf), y)
        lesson.compare(f"class {y}, {name}: share of samples in the class", hits[y, name], 1.0)
        lesson.compare(f"class {y}, {name}: error of the mean, in λ", mean, 0.0)
        lesson.compare(f"class {y}, {name}: sd, in λ", sd, 1.0)
        lesson.compare(f"class {y}, {name}: W1 ÷ floor", ratios[y, name], 1.0)

# %%
figure, axes = lesson.figure(columns=2, sharey=True, width=4.4)
u = class_axis(mixture, 1).u
grid = torch.linspace(-1.2, 1.2, 601, dtype=torch.float64)
bumps = [(-((grid - m @ u) ** 2) / 2 / lam**2).exp() / lam / (2 * torch.pi) ** 0.5 for m in means]
for y, panel in enumerate(axes):
    panel.fill_between(grid, (bumps[0] + bumps[1]) / 2, color=OTHER, alpha=0.3, lw=0, label="mixture, trained on")
    x = samples[y]["φ_y from 1000 samples"] @ u
    panel.hist(x, 120, range=(-1.2, 1.2), density=True, color=COLOURS["learned"], label="samples")
    panel.plot(grid, bumps[y], color=TRUTH, lw=1.2, label="true class")
    panel.set(title=f"guided to φ of class {y}", xlabel="position along u (units of x)")
axes[0].set_ylabel("density")
axes[0].legend(loc="upper right")
lesson.save(figure, "figure-6")

# %%
at_centroid = [ratios[y, "φ_y from 1000 samples"] for y in (0, 1)]
held = min(hits.values()) > 0.999 and max(at_centroid) < 2
assert held, "every sample lies in its class, and W1 is that of true samples within a factor of two"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Replace x' by x itself in `loss`. Should the loss rise or fall? What becomes of the samples?
# 2. Give the network no biases (`bias=False`). Samples come out too wide. Why?
# 3. Detach φ(x') in `loss`, so that no gradient goes through it. What is no longer asked of φ?
