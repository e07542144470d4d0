"""Lesson 14: What the reviewers asked.

Claim: On a toy, after equal steps, features guide as well as a label; classifier-free guidance distorts the class.
"""

# %%
from dataclasses import replace

import torch

import fgs
from fgs.figures import COLOURS, TRUTH
from fgs.validate import validate
from lesson import Lesson
from toy import ExactScore, GaussianMixture, Learning, class_axis, learn, means_on_line, noise_range, rank1_covariances

lesson = Lesson(14)

# %% [markdown]
# "The paper" is Kadkhodaie, Mallat & Simoncelli (2024), "Feature-guided score diffusion for sampling conditional
# densities". It was reviewed for the conference ICLR 2025, and the reviews are public. One reviewer missed a
# comparison with the usual way: a network that is *told* the class. Another way that the reviews name is
# classifier-free guidance (CFG), which exaggerates what the class adds. This lesson compares all three, on a mixture
# of which every answer is known.

# %% [markdown]
# **Predict** before you go on. Two networks of one size are trained for equally many steps. One is told the class.
# The other must find it in the features of another sample $x'$ of the class, as in lesson 10.
#
# 1. Which of the two samples the class better?
# 2. The first network is also used with CFG. Will its samples be narrower than the class, or moved, or neither? Say
#    so for a sampler that puts much noise back on the way ($\beta = 0.2$), and for one that puts none ($\beta = 1$).

# %% [markdown]
# **The symbols so far.**
#
# - $x$ is a clean sample, $d = 64$ numbers. $x_\sigma$ is $x$ with noise of level $\sigma$, white (independent in
#   every coordinate).
# - $y$ is a class, $m_y$ its mean, $\lambda$ its sd (standard deviation) along its axis.
# - $p_\sigma(x_\sigma|y)$ is the density of noisy samples of class $y$, and $p_\sigma(y|x_\sigma)$ the probability of
#   $y$ given $x_\sigma$.
# - $s = \hat x - x_\sigma$, with $\hat x$ the best guess of $x$, is $\sigma^2$ times the score (lesson 1). Told the
#   class it is $s(x_\sigma, y) = \sigma^2 \nabla\log p_\sigma(x_\sigma|y)$. Told nothing it is $s(x_\sigma)$.
# - $\phi(x)$ are the features that a guided network has of $x$, $\phi_y$ their mean over class $y$.

# %% [markdown]
# **CFG** (lesson 7) uses
#
# $$(1 + \omega)\,s(x_\sigma, y) - \omega\,s(x_\sigma)
# = s(x_\sigma, y) + \omega\,\big[s(x_\sigma, y) - s(x_\sigma)\big].$$
#
# By Bayes' rule the bracket is $\sigma^2\nabla\log p_\sigma(y|x_\sigma)$. It points to where $y$ is more probable,
# and $\omega > 0$ says how much of it is added to the score of the class. At $\omega = 0$ nothing is.

# %% [markdown]
# **New here: errors.** Lesson 7 had exact scores. A network is off by some $e_y$ when it is told the class, and by
# some $e_0$ when it is told nothing. So CFG is off by
#
# $$(1 + \omega)\,e_y - \omega\,e_0.$$
#
# At $\omega = 4$ that is $5 e_y - 4 e_0$. If both errors were the same, they would cancel to one. If they are not,
# the difference counts four times.

# %% [markdown]
# **The data** are those of lessons 8 and 10: two classes, equally often, with means $1.4 = 14\lambda$ apart. Each has
# the sd $\lambda = 0.1$ along one axis, and no width across. In code, `means_on_line` and `rank1_covariances` make
# means and covariances, `GaussianMixture` the density. `noise_range(mixture, h)` chooses the noise levels $\sigma_0$
# and $\sigma_\infty$ where the sampler starts and ends.

# %% [markdown]
# **The two networks.** `learn(mixture, sampler, Learning(…), names)` trains one network for each name, 2500 steps
# each, with the same noise levels and weights.
#
# - "guided" is ours: channel means are matched to those of $x'$ (lessons 9 and 10).
# - "label" takes the class. Each channel $c$ of each hidden layer becomes $(1 + a)\,c + b$, with numbers $a$, $b$
#   that are learned for each class.
#
# A tenth of each batch goes without its condition. So both also learn $s(x_\sigma)$, which CFG needs.
#
# `SISA(h, beta, …)` is the sampler of lesson 2, with steps of size $h$. With `known_schedule` it takes $\sigma$ from
# its plan.

# %%
d, lam, y, N = 64, 0.1, 0, 2000  # lam is λ, the sd of a class along its axis; across it there is nothing
means = means_on_line(K=2, d=d, spacing=1.4)
mixture = GaussianMixture(torch.tensor([0.5, 0.5], dtype=torch.float64), means, rank1_covariances(means, std=lam))
sigma_0, sigma_inf = noise_range(mixture, h=0.1)
sampler = fgs.SISA(h=0.1, beta=0.2, sigma_0=sigma_0, sigma_inf=sigma_inf, noise_level=fgs.known_schedule)
learned = learn(mixture, sampler, Learning(training_steps=2500), names=("guided", "label"))

# %% [markdown]
# **Every method is a score with a condition.** So all go through one sampler. `learned.score(name)` is the score of a
# network, `learned.features(x)` gives $\phi(x)$ of the guided one. The conditions are:
#
# - for `ExactScore`, the true score of the class, and for the label network: the class as `mixture.one_hot(y)`, a 1
#   in its place and 0 elsewhere;
# - for the guided network: $\phi_y$, the mean over 1000 samples, or the $\phi$ of a single one, $n = 1$. The network
#   subtracts $\phi(x_\sigma)$ itself.
#
# `ClassifierFreeGuidance(told, untold, omega)` is the formula above. Here the label network is both.

# %%
label, guided, one_hot = learned.score("label"), learned.score("guided"), mixture.one_hot(y)
x_i = mixture.sample(1000, y, generator=torch.Generator().manual_seed(2))
METHODS = {
    "exact": ("exact conditional score", ExactScore(mixture), one_hot),
    "learned": ("features, φ_y", guided, learned.features(x_i).mean(0)),
    "learned_n1": ("features, n = 1", guided, learned.features(x_i[:1])[0]),
    "label": ("label", label, one_hot),
    "label_cfg1": ("label, CFG ω = 1", fgs.ClassifierFreeGuidance(label, label, 1.0), one_hot),
    "label_cfg4": ("label, CFG ω = 4", fgs.ClassifierFreeGuidance(label, label, 4.0), one_hot),
}

# %% [markdown]
# **Two samplers.** $\beta$ decides how much a sampler can repair (lesson 3).
#
# - At $\beta = 0.2$ noise is put back in every step. So samples forget where guidance pushed them early on.
# - At $\beta = 1$ none is put back. This is the deterministic sampler, which is usual with CFG. Nothing is forgotten.
#
# At $\beta = 0.2$ all start from noise around the mean of the mixture. At $\beta = 1$ a wrong start would not be
# forgotten either. So there the start is drawn from $p_{\sigma_0}(x_\sigma|y)$ itself.

# %% [markdown]
# **How samples are judged.** Along the axis of the class, which `class_axis` returns as a direction $u$ (away from
# the other class) and a width. `mean_and_sd` gives two numbers in units of $\lambda$: how far the mean is from $m_y$,
# and the sd. `wasserstein_1` gives W1: sort the samples, sort as many true ones, and take the mean difference. The
# *floor* is the W1 of true samples from true ones (`two_sample_floor`). At W1 ÷ floor = 1 samples cannot be told from
# true ones.


# %%
def draw(beta, score, phi):
    """Sample the class N times; every method from the same start and with the same noise."""
    generator = torch.Generator().manual_seed(1)
    start = fgs.draw_start((N, d), mixture.centre, sigma_0, generator=generator)
    if beta == 1:
        start = mixture.sample(N, y, sigma_0, generator)
    return replace(sampler, beta=beta)(score, start, phi, generator).x


axis = class_axis(mixture, y)
true = [mixture.sample(N, y, generator=torch.Generator().manual_seed(10 + k)) @ axis.u for k in range(6)]
floor = fgs.two_sample_floor(fgs.wasserstein_1, true)
found, samples = {}, {}
for beta in (0.2, 1.0):
    for name, (title, score, phi) in METHODS.items():
        x = samples[beta, name] = draw(beta, score, phi)
        mean, sd = fgs.mean_and_sd(x, means[y], *axis)
        ratio = sum(float(fgs.wasserstein_1(x @ axis.u, t)) for t in true) / len(true) / floor
        found[beta, name] = (mean, sd, ratio)
        wanted = "1, if it sampled the class" if "cfg" in name else 1.0
        lesson.compare(f"β = {beta:g}, {title}: mean − m_y, in λ", mean, 0.0)
        lesson.compare(f"β = {beta:g}, {title}: sd in λ", sd, wanted)
        lesson.compare(f"β = {beta:g}, {title}: W1 ÷ floor", ratio, wanted)

# %% [markdown]
# **Look** at the next figure: a column is a method, the row above has $\beta = 0.2$, the row below $\beta = 1$.
# Across is the position in the class, in $\lambda$ from its mean; the other class is to the left. Which histograms
# leave the black curve, the true class?

# %%
figure, axes = lesson.figure(2, len(METHODS), width=2.1, height=1.9, sharex=True, sharey=True)
grid = torch.linspace(-4, 4, 200)
for row, beta in zip(axes, (0.2, 1.0), strict=True):
    for panel, (name, (title, *_)) in zip(row, METHODS.items(), strict=True):
        x = (samples[beta, name] - means[y]) @ axis.u / axis.width
        panel.hist(x.clamp(-4, 4), 60, range=(-4, 4), density=True, color=COLOURS[name], alpha=0.8)
        panel.plot(grid, (-grid.square() / 2).exp() / (2 * torch.pi) ** 0.5, color=TRUTH, lw=1)
        mean, sd, ratio = found[beta, name]
        panel.set_title(f"{title}\nmean {mean:+.2f}, sd {sd:.2f}, W1 {ratio:.1f}", fontsize=8)
    row[0].set_ylabel(f"β = {beta:g}")
for panel in axes[1]:
    panel.set_xlabel("position in the class (λ)", fontsize=8)
title = "samples (colour; what lies beyond, at the ends) and the true class (black); W1 ÷ floor, 1 for true samples"
figure.suptitle(title, fontsize=10)
lesson.save(figure, "methods")

# %% [markdown]
# **Seen: features and label.** At both $\beta$ they are near the black curve. W1 in floors, above and below, is 1.1
# and 1.1 by $\phi_y$, 1.2 and 1.1 by one sample, 0.9 and 1.5 by a label. One set of true samples scatters about 1 by
# 0.4 (`docs/conditional.md`). So the first answer is: neither. With three seeds and equal time it was the same
# (`benchmarks/README.md`).

# %% [markdown]
# **Seen: CFG.** At $\beta = 0.2$ noise repairs what $\omega = 1$ does: 1.3 floors. At $\beta = 1$ it does not: the
# mean is off by $0.43\lambda$, away from the other class, the sd is $0.80\lambda$, and W1 is 10 floors. With
# $\omega = 4$ it is 3.5 floors above, and below the mean is off by a whole $\lambda$, with a tail. So the second
# answer is: moved and narrower without noise, nearly right with it.

# %% [markdown]
# **What is CFG, and what are errors?** Take CFG with exact scores. Then $e_y = e_0 = 0$, and what is wrong is CFG's.

# %%
for beta in (0.2, 1.0):
    for omega in (1.0, 4.0):
        score = fgs.ClassifierFreeGuidance(ExactScore(mixture), ExactScore(mixture), omega)
        mean, sd = fgs.mean_and_sd(draw(beta, score, one_hot), means[y], *axis)
        lesson.compare(f"β = {beta:g}, CFG ω = {omega:g} of exact scores: mean − m_y, in λ", mean, 0.0)
        lesson.compare(f"β = {beta:g}, CFG ω = {omega:g} of exact scores: sd in λ", sd, wanted)

# %% [markdown]
# **Seen.** At $\beta = 1$ CFG itself moves the class, by $0.38\lambda$ and $0.89\lambda$, and narrows it, to sds of
# $0.71\lambda$ and $0.47\lambda$. At $\beta = 0.2$ it does no harm to classes that lie so far apart. The rest comes
# from the networks' errors: the 3.5 floors above, and below the tail, which makes the sd $1.08\lambda$ instead of
# $0.47\lambda$.

# %% [markdown]
# **What this does not show.**
#
# - Guidance by features does *not* beat a label here. It does about as well, from one sample, and $\phi$ can be asked
#   about what has no label (lessons 11 and 13). On photographs, after equally short training, labels were better
#   (`benchmarks/README.md`).
# - *Classes that overlap.* At $4\lambda$ and $\beta = 0.1$, in $d = 16$ and 64, features are 3 to 5 floors away, a
#   label 1.2 to 1.3. With the mean $\phi$ of four $x'$ in training, features have 1.2 to 1.5 (`docs/conditional.md`).
# - *Many classes.* With 2 to 32 classes in $d = 64$ features and labels are level, or labels a little ahead. With 128,
#   features of 64 channels are nearer to the truth after equal steps, at .70 to .93 of the W1 of labels. With only 16
#   channels they lose track (`docs/sharing.md`).
# - *How large must $\phi$ be?* A reviewer asked. Seven classes whose means span six dimensions were guided by 8
#   channels about as well as by more. To embed densities took sixteen that were trained, or more than a hundred that
#   were not (`docs/dimension.md`).
# - *What is no texture?* Of samples guided to digits 98 % are told as such, as many as by labels (`docs/objects.md`).
# - *A proof.* A reviewer asked for it, too. That samples *are* those of the class nobody has proved:
#   $s(x_\sigma, \phi_y - \phi(x_\sigma))$ is not the gradient of anything known.

# %% [markdown]
# **Your own photographs.** An image file, or a folder of them, for each class; then
#
#     fgs train-images --data photos/ --out mine         half an hour on two cores
#     fgs sample mine
#     fgs evaluate mine                                  is it any good? numbers, and a page to look at
#
# In code it is Algorithm 2 of the paper, the training of lesson 10. The next cell runs it for a few steps, only to
# show that it runs. **Look** whether the loss falls.
#
# - `draw_images` draws textures, a list of images for each class. In its place put your folder:
#   `images, skipped = fgs.read_images(Path("photos"), smallest=32)`.
# - `Patches(images, patch)` cuts them up; `.pairs(n)` draws $n$ pairs $x$, $x'$ of one class, `.held_out(n)` patches
#   that are not trained on.
# - `denoising_loss` adds noise to $x$, denoises it with $\phi(x')$, and returns the mean squared error, weighted by
#   $1/(\sigma^2 + c^2)$ (`inverse_variance(c)`). `Trainer` takes the steps, and yields a record of each.
#   `trainer.ema` is the network with averaged weights.
# - `validate(network, x)` tries ten rules that a guided network must keep, one of your own too.

# %%
patches = fgs.Patches(fgs.draw_images(classes=4, size=128), patch=32)


def loss(network, generator):
    """Return the loss of a batch of pairs (x, x') of patches."""
    x, x_prime, _ = patches.pairs(8, generator)
    phi = network.features(x_prime)
    return fgs.denoising_loss(network, x, phi, weight=fgs.inverse_variance(0.1), p_drop=0.1, generator=generator)


torch.manual_seed(0)
trainer = fgs.Trainer(fgs.GuidedUNet(channels=8, levels=2), loss, fgs.Budget(steps=150), learning_rate=2e-3)
losses = torch.tensor([record.loss for record in trainer.run()])
network = trainer.ema.eval()
rules = validate(network, patches.held_out(2)[0])
lesson.compare("loss of the last 30 steps ÷ loss of the first 30", losses[-30:].mean() / losses[:30].mean(), "below 1")
lesson.compare("rules of a guided network that hold", sum(rule.holds for rule in rules), float(len(rules)))

# %% [markdown]
# **Seen.** After 150 steps the loss is half of what it was at first. All ten rules hold.
#
# **Does the claim hold?** By features and by label samples must be within 3 floors. At $\beta = 1$ CFG with
# $\omega = 1$ must have an sd below 0.9, features above it, and at least twice the W1 of features.

# %%
sd, W1 = ({key: values[k] for key, values in found.items()} for k in (1, 2))
near = max(W1[beta, name] for beta in (0.2, 1.0) for name in ("learned", "label")) < 3
narrowed = sd[1.0, "label_cfg1"] < 0.9 < sd[1.0, "learned"]
farther = W1[1.0, "label_cfg1"] > 2 * W1[1.0, "learned"]
assert near and narrowed and farther, "features and label are near true samples; at β = 1 CFG narrows the class"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. At $\beta = 1$, from which $\omega$ on would you notice the narrowing by CFG in 100 samples?
# 2. "The label network was told the class, yours had to find it in $x'$." Was the comparison fair, and to whom not?
# 3. Your classes are photographs of two kinds of wood. What would you look at before you train, and what after?
