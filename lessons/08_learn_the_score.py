"""Lesson 8: Learn the score.

Claim: The plain loss leaves small noise unlearned and classes too narrow; drawing and weighting it more helps both.
"""

# %%
import torch

import fgs
from fgs.figures import COLOURS, OTHER, TRUTH
from lesson import Lesson
from toy import ExactScore, GaussianMixture, class_axis, means_on_line, noise_range, rank1_covariances

lesson = Lesson(8)

# %% [markdown]
# Until now the score was exact. From here on a network has to learn it, from samples alone. The data are the paper's
# mixture of two Gaussians (Section 5.3): means ±.7u in d = 64 dimensions, and within a class the width λ = .1 along u
# and nothing across. Of the 64 numbers that a network sees one matters; the others are pure noise, and tell it how much
# noise there is. That is why it may be *blind*: σ is no input (lesson 4).

# %%
d, lam = 64, 0.1
means = means_on_line(K=2, d=d, spacing=1.4)
mixture = GaussianMixture(torch.tensor([0.5, 0.5], dtype=torch.float64), means, rank1_covariances(means, std=lam))
u = class_axis(mixture, 1).u
sigma_0, sigma_inf = noise_range(mixture, h=0.05)

# %% [markdown]
# Eq. 3: draw x, σ and z, and bring s(x + σz) near −σz. (The paper prints +σz; by Tweedie's formula, Eq. 2, it is −σz.)
# The best s is then σ²∇log p_σ. But a small network after 2000 steps is not the best s. It has spent its effort where
# errors cost most, and that depends on two choices that Eq. 3 leaves open: how often each σ is drawn, and how much its
# squared error counts, here 1 or 1/(σ² + c²): relative to the noise, which c keeps finite.
#
# What does it cost to get small noise wrong? Within a class of mean m the best s along u is −σ²/(λ² + σ²)·(x_σ − m),
# and x_σ has the variance λ² + σ². With s = 0 along u the squared error is larger by σ⁴/(λ² + σ²); with s = −(x_σ −
# m), all the way to m, by λ⁴/(λ² + σ²). For σ ≪ λ these are σ⁴/λ² and λ²: little beside the errors possible at large
# σ. Yet this s is what gives the class its width.

# %%
CHOICES = {
    "plain loss, σ uniform (paper)": (fgs.uniform(0.0, sigma_0), fgs.unweighted),
    "plain loss, log σ uniform": (fgs.log_uniform(sigma_inf / 4, sigma_0), fgs.unweighted),
    "weight 1/(σ² + λ²/4), log σ uniform": (fgs.log_uniform(sigma_inf / 4, sigma_0), fgs.inverse_variance(lam / 2)),
}
shares = []
for noise_levels, weight in CHOICES.values():
    sigma = noise_levels(1_000_000, torch.Generator().manual_seed(0))
    cost = weight(sigma) * sigma**4 / (lam**2 + sigma**2)
    shares.append(float(cost[sigma < lam].sum() / cost.sum()))

# %% [markdown]
# (With s = 0; one class.) For the first choice by hand: below λ it is λ³(π/4 − 2/3), in all nearly σ_0³/3 − λ²σ_0.

# %%
by_hand = lam**3 * (torch.pi / 4 - 2 / 3) / (sigma_0**3 / 3 - lam**2 * sigma_0)
lesson.compare("share of the cost that lies below σ = λ, paper's choice", shares[0], by_hand)
for name, share in zip(list(CHOICES)[1:], shares[1:], strict=True):
    lesson.compare(f"the same share, {name}", share, "more")

# %% [markdown]
# Now train three equal networks, one for each choice: Algorithm 4 in five lines. Each x meets the noise z and −z
# (`antithetic`), which leaves the expected loss as it is and makes its gradient less noisy.


# %%
def train(noise_levels, weight):
    """Return the network after 2000 steps: the average of its weights (EMA), ready for use."""

    def loss(network, generator):
        x = mixture.sample(128, generator=generator).float()
        return fgs.denoising_loss(
            network, x, noise_levels=noise_levels, weight=weight, antithetic=True, generator=generator
        )

    torch.manual_seed(0)
    trainer = fgs.Trainer(fgs.MLP(d, bias=True), loss, fgs.Budget(steps=2000), learning_rate=4e-3)
    for _ in trainer.run():
        pass
    return trainer.ema.eval().requires_grad_(False)


networks = {name: train(*choice) for name, choice in CHOICES.items()}

# %% [markdown]
# Two questions to each. Where is its score right? It is compared with the exact one along u, at every noise level. And
# what does SISA make of it? The mixture is sampled without guidance, σ read from the residual of the batch (`pooled`,
# lesson 4); the width is measured within the nearer class.

# %%
levels = torch.logspace(0, -1.8, 12, dtype=torch.float64)
exact = ExactScore(mixture)
sampler = fgs.SISA(h=0.05, beta=0.2, sigma_0=sigma_0, sigma_inf=sigma_inf, noise_level=fgs.pooled)


def error(score, sigma):
    """√(E[(u·(s − s_exact))²]/E[(u·s_exact)²]): 0 is right, 1 is as bad as s = 0."""
    generator = torch.Generator().manual_seed(1)
    x_sigma, _ = fgs.add_noise(mixture.sample(4000, generator=generator), sigma, generator)
    s = exact(x_sigma, None, sigma) @ u
    return float(((score(x_sigma.float()).double() @ u - s).square().mean() / s.square().mean()).sqrt())


def positions(score):
    """Sample the mixture; return how far each sample lies from the mean of the nearer class, in λ."""
    generator = torch.Generator().manual_seed(2)
    x = fgs.draw_start((2000, d), mixture.centre.float(), sigma_0, generator=generator)
    x = sampler(score, x, generator=generator).x.double()
    return (x - means[fgs.nearest_mean(x, means)]) @ u / lam


errors = {name: [error(network, sigma) for sigma in levels] for name, network in networks.items()}
widths = {name: positions(network) for name, network in networks.items()}
for name, x in widths.items():
    lesson.compare(f"sd within a class in λ, {name}", x.std(), 1.0)

# %%
colours = dict(zip(CHOICES, (OTHER, COLOURS["forcing"], COLOURS["learned"]), strict=True))
figure, (left, right) = lesson.figure(columns=2, width=4.8, height=3.8)
for name, colour in colours.items():
    left.loglog(levels, errors[name], "o-", ms=4, color=colour, label=name)
    how = {"range": (-4, 4), "density": True, "histtype": "step", "lw": 1.5}
    right.hist(widths[name].clamp(-4, 4), 81, color=colour, **how)
    right.plot([], [], color=colour, lw=1.5, label=f"sd {widths[name].std():.2f} λ")
left.axvline(lam, color=TRUTH, lw=1, ls=":")
left.annotate("σ = λ", (lam, left.get_ylim()[1]), ha="center", va="bottom")
left.axhline(1, color=TRUTH, lw=1, label="s = 0")
left.set(xlabel="noise level σ (units of x)", ylabel="error of the score along u ÷ its size")
left.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
left.legend(fontsize=8)
grid = torch.linspace(-4, 4, 200)
right.plot(grid, (-grid.square() / 2).exp() / (2 * torch.pi) ** 0.5, color=TRUTH, label="true class, sd 1 λ")
right.set(xlabel="position of samples in their class (λ)", ylabel="density", ylim=(0, 2.2))
right.legend(fontsize=8)
lesson.save(figure, "effort")

# %%
sds = [float(x.std()) for x in widths.values()]
assert sds[0] < sds[1] < 0.85 < sds[2] < 1.15, "only the loss that counts small noise gives a class its width"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. The plain loss makes classes too *narrow*, not too wide. What does the left panel say of the network's pull?
# 2. In d = 1 no choice of loss saves a blind network. Why not, and what does? (`fgs toy --learned --blind` shows it.)
# 3. Train the last choice with `antithetic=False`. Which noise levels should get worse, and why just those?
