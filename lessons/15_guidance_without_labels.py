"""Lesson 15: Guidance without labels.

Claim: Told no class, a network that takes x' from x's own cluster of φ samples each class as well as one told them.
"""

# %%
import torch

import fgs
from fgs.clusters import find_clusters, sinkhorn
from fgs.figures import CLASS_COLOURS, COLOURS, OTHER, TRUTH
from fgs.measures.partitions import nmi, purity
from lesson import Lesson
from toy import GaussianMixture, Learning, class_axis, learn, means_on_line, noise_range, rank1_covariances

lesson = Lesson(15)

# %% [markdown]
# Algorithm 2 asks for a label in one place only: x' is another sample of the class of x. Hu et al. (2023, "Guided
# diffusion from self-supervised diffusion features") take guidance from what a denoiser knows by itself. In our words:
# sort samples into K clusters by their features φ, and let x' be another sample of the cluster of x.
#
# **A sorting that cannot collapse.** Give every sample i a score s_ik for every cluster k, high where φ(x_i) is near to
# the prototype c_k, and share it out over the clusters, P_ik ≥ 0. If each sample is shared out by itself, clusters may
# stay empty: prototypes that begin together stay together, and a φ that is still being learned may give up telling
# classes apart. So ask for even shares, Σ_i P_ik = 1/K, besides Σ_k P_ik = 1/N: *optimal transport* of N samples to K
# places. The entropy H(P) = −Σ P log P makes it smooth, strictly concave (so that what follows is the only maximum),
# and keeps P > 0. With multipliers a_i and b_k for the two constraints,
#
#     ∂/∂P_ik [ΣPs + εH(P) + Σ_i a_i(Σ_k P_ik − 1/N) + Σ_k b_k(Σ_i P_ik − 1/K)] = s_ik − ε(log P_ik + 1) + a_i + b_k = 0
#
# so P_ik = u_i exp(s_ik/ε) v_k with some u, v > 0: rows and columns of exp(s/ε), scaled. Scale the columns so that they
# sum to 1/K, then the rows to 1/N, and again: that is Sinkhorn and Knopp's algorithm, and it converges, the slower the
# smaller ε. As ε → 0, if K divides N, each sample goes to one cluster, by the best assignment with even shares.

# %%
scores = torch.randn(60, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + torch.tensor([1.0, 0, 0])
free, even = (scores / 0.3).softmax(1), sinkhorn(scores, epsilon=0.3)
lesson.compare("share of the cluster that all like best, each sample by itself", free.mean(0)[0], "over 1/2")
lesson.compare("the same by Sinkhorn's algorithm", even.mean(0)[0], 1 / 3)
lesson.compare("what a sample gives away in all, least", even.sum(1).min(), 1.0)

# %% [markdown]
# Prototypes are the means of what is assigned to them, and then everything is assigned anew. Six classes in a row, and
# six prototypes that all begin within the first class: by itself each sample chooses the nearest, so that some of the
# prototypes never leave, and others have two classes. With even shares they must go.

# %%
truth = torch.arange(6).repeat_interleave(200)
z = truth[:, None] + 0.1 * torch.randn(1200, 1, generator=torch.Generator().manual_seed(1))
ASSIGN = {
    "each by itself": lambda scores: (scores / 0.02).softmax(1),
    "even shares": lambda scores: sinkhorn(scores, 0.02, 50),
}
paths, found = {}, {}
for name, assign in ASSIGN.items():
    prototypes = z[:6].double()
    paths[name] = [prototypes]
    for _ in range(20):
        P = assign(-torch.cdist(z.double(), prototypes).square() / 2)
        prototypes = P.T @ z.double() / P.sum(0)[:, None].clamp_min(1e-9)
        paths[name].append(prototypes)
    found[name] = purity(torch.cdist(z.double(), prototypes).argmin(1), truth)
lesson.compare("purity, each by itself", found["each by itself"], "below .9: it is stuck")
lesson.compare("purity, even shares", found["even shares"], 1.0)

# %% [markdown]
# **Which φ?** Even a network that has learned nothing will do here: a random map rarely puts two clouds 14λ apart into
# one. `find_clusters` makes all channels of φ count alike, and starts from samples far from each other, several times.
# It asks for even shares first, so that no prototype is left over, and then for none, so that rare classes have room:
# a sample goes to the nearest prototype. K is told; choosing it is another matter.

# %%
d, lam, y, N = 64, 0.1, 1, 2000
means = means_on_line(K=2, d=d, spacing=1.4)
mixture = GaussianMixture(torch.tensor([0.5, 0.5], dtype=torch.float64), means, rank1_covariances(means, std=lam))
labels = mixture.draw_labels(N, torch.Generator().manual_seed(2))  # which only judge
x = mixture.sample(N, labels, generator=torch.Generator().manual_seed(3)).float()
torch.manual_seed(0)
phi = fgs.GuidedMLP(d, bias=True).features(x).detach()
clusters = find_clusters(phi, K=2, generator=torch.Generator().manual_seed(0))
lesson.compare("purity of clusters of φ before any training", purity(clusters.assign(phi), labels), "near 1")

# %% [markdown]
# **Trained.** Three networks for equally many steps: one that is told the classes; one that finds them online, by its
# own φ of a bank of 2,048 samples, drawn and sorted anew every 64 steps; and one offline: a quarter of the time without
# φ, then by the clusters of that φ for good. To sample, the mean φ of a cluster stands for the class; labels only say
# which it is.

# %%
sigma_0, sigma_inf = noise_range(mixture, h=0.1)
sampler = fgs.MultiStep(60, 0.2, sigma_0, sigma_inf)
learned = learn(mixture, sampler, Learning(training_steps=1500), names=("guided", "offline", "online"))
axis = class_axis(mixture, y)
true = [mixture.sample(N, y, generator=torch.Generator().manual_seed(10 + k)) @ axis.u for k in range(6)]
floor = fgs.two_sample_floor(fgs.wasserstein_1, true)
W1, samples = {}, {}
ROWS = {"learned": "told the classes", "self_offline": "found once", "self_online": "found while it learns"}
for name, title in ROWS.items():
    method = learned.method(name, mixture, y, seed=0)
    start = fgs.draw_start((N, d), mixture.centre, sigma_0, generator=torch.Generator().manual_seed(4))
    samples[name] = sampler(method.score, start, method.phi, torch.Generator().manual_seed(5)).x
    W1[name] = sum(float(fgs.wasserstein_1(samples[name] @ axis.u, t)) for t in true) / len(true) / floor
    lesson.compare(f"{title}: W1 ÷ floor", W1[name], "about that of the network that is told")
agreement = {name: nmi(labels_of.assign(x), labels) for name, labels_of in learned.found.items()}
lesson.compare("NMI of clusters and classes, offline", agreement["offline"], 1.0)
lesson.compare("NMI of clusters and classes, online", agreement["online"], 1.0)

# %%
figure, axes = lesson.figure(columns=3, width=3.4, height=2.8)
for panel, (name, path) in zip(axes, paths.items(), strict=False):
    panel.plot(torch.stack(path)[:, :, 0], color=OTHER, lw=1)
    panel.scatter([20] * 6, path[-1], color=CLASS_COLOURS[:6], zorder=3, s=20)
    panel.set(xlabel="round", ylim=(-0.7, 5.7), title=f"six prototypes, {name}\npurity {found[name]:.2f}")
axes[0].set_ylabel("place (classes at 0 … 5)")
grid = torch.linspace(-4, 4, 200)
for name, title in ROWS.items():
    at = (samples[name] - means[y]) @ axis.u / axis.width
    how = {"density": True, "histtype": "step", "lw": 1.4, "color": COLOURS[name]}
    axes[2].hist(at.clamp(-4, 4), 50, range=(-4, 4), label=f"{title}, W1 {W1[name]:.1f}", **how)
axes[2].plot(grid, (-grid.square() / 2).exp() / (2 * torch.pi) ** 0.5, color=TRUTH, lw=1)
axes[2].set(xlabel="position in the class (λ)", ylim=(0, 0.66), title="samples of a class, and the truth")
axes[2].legend(fontsize=7)
lesson.save(figure, "unlabelled")

# %%
collapsed = found["each by itself"] < 0.9 < found["even shares"]
alike = max(W1["self_offline"], W1["self_online"]) < max(3.0, 1.5 * W1["learned"])
assert collapsed and alike and min(agreement.values()) > 0.95, "classes are found, and sampled like those that are told"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Classes of shares .9 and .1, and even shares that are met to the last digit: where do the two prototypes go?
# 2. Ask for three clusters where there are two classes. What does guidance to one of the three sample?
# 3. For photographs of textures x' may simply be another crop of the same picture. When would you want clusters there?
