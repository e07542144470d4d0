"""Lesson 11: The embedding is Euclidean.

Claim: φ of each class is a tight cloud (Eq. 5), and clouds lie apart about in proportion to the densities (Eq. 6, 7).
"""

# %%
import torch

import fgs
from fgs.figures import CLASS_COLOURS, COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, GaussianMixture, Learning, learn, means_on_line, noise_range, rank1_covariances

lesson = Lesson(11)


def seed(number):
    """Return a generator of its own for every use."""
    return torch.Generator().manual_seed(number)


# %% [markdown]
# Six Gaussians on a line in d = 16, ten widths λ from one to the next, each of width λ along that line and none across
# it, and the network of lesson 10: `learn` is the same training in one call. φ is the means of its 16 channels;
# nothing asks that they embed anything.

# %%
K, d, lam = 6, 16, 0.1
means = means_on_line(K=K, d=d, spacing=10 * lam)
weights = torch.full((K,), 1 / K, dtype=torch.float64)
mixture = GaussianMixture(weights, means, rank1_covariances(means, std=lam))
sigma_0, sigma_inf = noise_range(mixture, h=0.05)
sampler = fgs.SISA(h=0.05, beta=0.2, sigma_0=sigma_0, sigma_inf=sigma_inf, noise_level=fgs.pooled)
learned = learn(mixture, sampler, Learning(training_steps=3500), names=("guided",))

# %% [markdown]
# **Concentration and separation.** Eq. 5: seen along the line from φ_y' to φ_y, the features of class y spread much
# less than the centroids are apart, E⟨φ_y − φ_y', φ_y − φ(x)⟩² ≪ ‖φ_y − φ_y'‖⁴. (The paper prints the square on the
# right; only the fourth power has the units of the left.) `ratio` is the left side divided by the right. At most 4 ·
# ratio of the samples of y can lie nearer to φ_y' (Chebyshev: they are half the way from φ_y, or more).

# %%
x = [mixture.sample(1000, y, generator=seed(y)) for y in range(K)]
phi = [learned.features(x_y) for x_y in x]
centroids = torch.stack([phi_y.mean(0) for phi_y in phi])
separation = fgs.separation(phi)
hits = torch.stack([(fgs.nearest_mean(phi_y, centroids) == y).float().mean() for y, phi_y in enumerate(phi)])
lesson.compare("Eq. 5, left ÷ right, worst pair of classes", separation.ratio.max(), "far below 1")
lesson.compare("share of samples nearest to the centroid of their class", hits.mean(), 1.0)

# %% [markdown]
# **The distance of two densities** compares their scores at all noise levels (Eq. 7):
#
#     d²(p_y, p_y') = ∫_0^∞ (E_{p_{σ,y}} + E_{p_{σ,y'}}) ‖∇log p_{σ,y} − ∇log p_{σ,y'}‖² σ dσ
#                   = ∫_0^∞ 2Δ²/(λ² + σ²)² σ dσ = Δ²/λ²                     with Δ = ‖m_y − m_y'‖
#
# for two of our classes: of equal widths, their scores differ by a constant, (m_y − m_y')/(λ² + σ²).
# It is the Kullback-Leibler divergence from y to y' plus that from y' to y. `density_distances` does the same by
# drawing noisy samples and integrating over log σ; it needs only scores, so that it can be used where there is no
# formula.

# %%
low, high = learned.sigma_range
few = [x_y[:300] for x_y in x]
exact = [fgs.conditioned(ExactScore(mixture), mixture.one_hot(y)) for y in range(K)]
d2 = fgs.density_distances(exact, few, low, 10 * high, generator=seed(100))
by_hand = torch.cdist(means, means).square() / lam**2
lesson.compare("d² of neighbours (Eq. 7), from the exact scores", d2[0, 1], float(by_hand[0, 1]))
lesson.compare("d² of the two ends", d2[0, K - 1], float(by_hand[0, K - 1]))

# %% [markdown]
# **Euclidean embedding.** Eq. 6 asks for A‖φ_y − φ_y'‖² ≤ d² ≤ B‖φ_y − φ_y'‖² with B/A not too large. `euclidean_fit`
# gives A, B and the correlation r over the fifteen pairs. As in the paper's Fig. 5, d² may also be taken from the
# network's own scores, guided to each centroid. Of these it is to first order 2 ΔφᵀMΔφ, with Δφ = φ_y − φ_y' and
# M = ∫ E[JᵀJ]/σ² dlog σ, J = ∂s/∂φ: no isometry, but still a line, in the metric that the score has in φ.

# %%
fit = fgs.euclidean_fit(d2, separation.between)
own = [fgs.conditioned(learned.score("guided"), phi_y) for phi_y in centroids]
own_d2 = fgs.density_distances(own, few, low, high, generator=seed(100))
own_fit = fgs.euclidean_fit(own_d2, separation.between)
lesson.compare("correlation of d² with ‖φ_y − φ_y'‖²", fit.r, "near 1")
lesson.compare("B/A (Eq. 6)", fit.B / fit.A, "below 10 (1: isometry)")
lesson.compare("correlation, d² from the network's own scores", own_fit.r, "near 1")
lesson.compare("B/A, d² from the network's own scores", own_fit.B / own_fit.A, "larger: not exact scores")
M = fgs.feature_metric(learned.score("guided"), centroids, few, low, high, generator=seed(101))
offset = centroids[:, None] - centroids
first_order = fgs.euclidean_fit(own_d2, 2 * torch.einsum("abf,fg,abg->ab", offset, M, offset))
lesson.compare("correlation of that d² with 2 ΔφᵀMΔφ", first_order.r, "near 1")

# %% [markdown]
# The same space shows how guidance works (Fig. 1). Follow φ(x_σ) while samples are drawn, ten for each class: at large
# noise (top) classes do not lie apart; guided, each goes to its centroid; unguided, samples end (×) at any of them. The
# picture is the plane in which the centroids differ the most.

# %%
mean = centroids.mean(0)
plane = torch.linalg.svd(centroids - mean).Vh[:2].T
y = torch.arange(K).repeat_interleave(10)


def paths(targets):
    """Return φ(x_σ) on the way, (steps, samples, 2)."""
    generator = seed(200)
    start = fgs.draw_start((len(y), d), mixture.centre, sigma_0, generator=generator)
    steps = list(sampler.iterate(learned.score("guided"), start, targets, generator))[::-6][::-1]  # the last is in
    return torch.stack([(learned.features(step.x, step.sigma) - mean) @ plane for step in steps])


guided, free = paths(centroids[y]), paths(None)
end = torch.cdist(guided[-1], (centroids - mean) @ plane).argmin(1)
lesson.compare("share of guided paths that end nearest to their centroid (plane)", (end == y).float().mean(), 1.0)

# %%
figure, (left, right) = lesson.figure(columns=2, width=5.0, height=4.0)
left.plot(*free[:, ::12].permute(2, 0, 1), color=OTHER, lw=0.8)
left.plot([], [], color=OTHER, marker="x", label="unguided, one sample")
left.plot([], [], color=CLASS_COLOURS[0], label="guided, mean of ten")
for k, colour in zip(range(K), CLASS_COLOURS, strict=False):
    left.plot(*guided[:, y == k].mean(1).T, color=colour)
    left.plot(*((centroids[k] - mean) @ plane), "o", ms=9, mec=TRUTH, mfc=colour, label=f"φ of class {k}")
left.plot(*free[-1, ::12].T, "x", color=TRUTH, zorder=9)
left.set(title="φ(x_σ), from noise (top) to samples", xlabel="first axis of φ", ylabel="second axis of φ")
left.legend(fontsize=8, ncols=2)
pairs = torch.triu_indices(K, K, 1)
between = separation.between[pairs[0], pairs[1]]
reach = 1.08 * float(between.max())
for name, slope in (("A", fit.A), ("B", fit.B)):
    right.plot([0, reach], [0, slope * reach], color=OTHER, lw=1)
    right.annotate(name, (min(0.95 * reach, 2600 / slope), min(slope * 0.95 * reach, 2600)), ha="right")
right.plot(between, d2[pairs[0], pairs[1]], "o", color=COLOURS["exact"], ms=6)
right.set(title=f"pairs of classes, r = {fit.r:.3f}", xlim=(0, reach), ylim=(0, 2800))
right.set(xlabel="distance of features, ‖φ_y − φ_y′‖²", ylabel="distance of densities, d²(p_y, p_y′)")
lesson.save(figure, "embedding")

# %%
concentrated = separation.ratio.max() < 0.1 and hits.min() > 0.99
by_formula = abs(d2[0, 1] / by_hand[0, 1] - 1) < 0.02
embedded = fit.r > 0.9 and fit.B / fit.A < 10 and first_order.r > 0.9
assert concentrated and by_formula and embedded, "φ embeds the densities as Eq. 5 to 7 ask"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. In Eq. 7, which noise levels make most of d² for two of these classes? And with λ/10, the means where they are?
# 2. Put the means elsewhere, `random_means(7, 16, 1.0)`: r falls to about .87. Why is a line easier?
# 3. Could φ be a Euclidean embedding and still fail to guide?
