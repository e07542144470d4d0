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
# Lesson 8 learned a score, but only that of all classes together. Lesson 9 had two functions, one that reads the
# means of a network's channels and one that sets them. This lesson joins the two. One small network learns from two
# classes. Then we ask it for samples of one class, and measure whether they are samples of that class. "The paper" is
# Kadkhodaie, Mallat & Simoncelli (2024), "Feature-guided score diffusion for sampling conditional densities". Its
# Algorithm 2 says how to train, its Algorithm 1 how to sample. Both are told here line by line.

# %% [markdown]
# **Predict** before you read on. The network is never told a class. Beside a noisy $x$ it is shown the features
# $\phi(x')$ of another sample $x'$ of the same class.
#
# - Will the features learn to tell where *in* its class a sample lies, or to overlook it?
# - Guided by the features of a *single* $x'$, will samples fill the class, or crowd round $x'$?
# - In lesson 6 a push that stayed on to the end made the class too narrow. Here guidance stays on to the end. Will
#   the class be too narrow?
#
# The figure answers all three.

# %% [markdown]
# **The data.** A sample $x$ is $d = 64$ numbers. There are two classes, $y = 0$ and $y = 1$, equally often. The mean
# $m_y$ of class 0 is $-.7\,u$, that of class 1 is $+.7\,u$, where $u$ is a vector of length 1. Within its class a
# sample has the sd (standard deviation) $\lambda = .1$ along $u$, and no width across $u$. So the means are $D = 1.4$
# apart, which is $14\lambda$. This is the mixture of lesson 8. The paper's Fig. 6 has one of the same kind.

# %% [markdown]
# **In code:** `means_on_line` places the means, `rank1_covariances` returns covariances $\lambda^2 u u^\top$, and a
# `GaussianMixture` of weights, means and covariances draws samples and knows their exact density.
# `class_axis(mixture, y).u` is the axis of a class, pointing away from the other class. `noise_range(mixture, h)`
# chooses where the sampler starts and ends: $\sigma_0 = 1.41$, twice the sd of the mixture along $u$, and
# $\sigma_\infty = \lambda\sqrt{h/2} = .016$.

# %%
d, lam, h = 64, 0.1, 0.05
means = means_on_line(K=2, d=d, spacing=1.4)
mixture = GaussianMixture(torch.tensor([0.5, 0.5], dtype=torch.float64), means, rank1_covariances(means, std=lam))
u = class_axis(mixture, 1).u
sigma_0, sigma_inf = noise_range(mixture, h)

# %% [markdown]
# **The words.** $z$ is white noise, 64 independent numbers of variance 1. $x_\sigma = x + \sigma z$ is a sample with
# noise of level $\sigma$. $\hat x$ is a guess at $x$, made from $x_\sigma$. The network returns
# $s = \hat x - x_\sigma$. For the best guess this is $\sigma^2 \nabla \log p_\sigma(x_\sigma)$, the score of the
# noisy density $p_\sigma$ times $\sigma^2$ (lesson 1).

# %% [markdown]
# **The network** is a multi-layer perceptron with three hidden layers and ReLU, `GuidedMLP`. Each hidden layer has
# 128 numbers. They are read as 16 channels of 8 positions. It is blind: $\sigma$ is no input, and has to be seen in
# the 63 directions across $u$.
#
# - `network.features(x)` takes samples, (N, 64). It returns $\phi(x)$, (N, 16): the means of the 16 channels of the
#   middle layer.
# - `network(x_sigma, phi)` takes noisy samples and target features. It returns $s(x_\sigma, \phi - \phi(x_\sigma))$,
#   (N, 64). This is one walk through the layers. In the middle one `match_means` (lesson 9) adds to all 8 positions
#   of a channel what its mean lacks to the target. What varies along the positions stays.
# - `network(x_sigma, None)` matches nothing. It is $s(x_\sigma, 0)$.
#
# The second argument of $s$ is the *deviation* of the features, $e = \phi - \phi(x_\sigma)$. Nobody has said what
# $\phi$ should be. It is whatever the denoising loss makes of the middle layer.

# %% [markdown]
# **Algorithm 2** is the training. Its line 1 says "while not converged". One step is:
#
# - line 2: draw $x$ and $x'$ of one class $y$, independently of each other;
# - line 3: draw a noise level $\sigma$;
# - line 4: draw the noise $z$;
# - line 5: make $x_\sigma = x + \sigma z$;
# - line 6: change the weights so as to make the following smaller.
#
# $$\left\| s\big(x_\sigma, \phi(x') - \phi(x_\sigma)\big) + \sigma z \right\|^2$$
#
# The sign: $s = \hat x - x_\sigma$ should come near $x - x_\sigma = -\sigma z$. (The paper prints
# $\|\sigma z - s\|^2$, with the other sign.)

# %% [markdown]
# **What is the best answer to this loss?** Adding and taking away $x_\sigma$ turns it into $\|\hat x - x\|^2$. A
# squared error is least for the mean of $x$, given all that the network sees. It sees $x_\sigma$ and $\phi(x')$:
#
# $$\hat x = E\big[x \mid x_\sigma, \phi(x')\big]$$
#
# Suppose that $\phi(x')$ shows the class $y$ beyond doubt. Once $y$ is known, $x'$ says nothing more of $x$, since
# the two were drawn independently. Then $\hat x = E[x \mid x_\sigma, y]$, and by lesson 1
#
# $$s = \sigma^2 \nabla \log p_{\sigma,y}(x_\sigma),$$
#
# where $p_{\sigma,y}$ is the noisy density of class $y$ alone. So a loss that never names a class asks for the score
# of each class.

# %% [markdown]
# **How surely does one $x'$ show its class?** Take $x' = m_y$. Its density along $u$ is larger under its own class
# than under the other, by the factor $e^{D^2/2\lambda^2}$. For $D = 14\lambda$ that is $e^{98}$: no doubt at all. For
# $D = 4\lambda$ it is only $e^8$, which will matter below.

# %% [markdown]
# **Why $\phi(x')$, and not a vector learned for each class?** Because $\phi$ is then a function. It can be asked
# about any $x$, also about one of a class that was not trained on. The price is that $\phi(x')$ may also tell what is
# true of $x'$ alone. That is of no use for $x$. What helps to denoise $x$ is what both share, the class.

# %% [markdown]
# **Small noise makes $\phi$ concentrate**: within a class $\phi$ comes to be nearly the same everywhere. The paper
# argues so in Section 4. It is an argument, not a proof.
#
# - At small noise $x_\sigma$ shows $x$ itself.
# - Matching removes what $\phi(x_\sigma)$ knew of $x$. In its place it puts what $\phi(x')$ knows of $x'$.
# - That is a disturbance, unless $\phi(x') \approx \phi(x)$.
# - The layers behind might overlook the means. But they need them at large noise, and the weights are the same.
#
# So the loss falls if $\phi$ is nearly constant within a class.

# %% [markdown]
# **Large noise keeps the classes apart in $\phi$.** There $x_\sigma$ does not show its class. $\phi(x')$ does, if the
# centroids $\phi_y$ (the mean of $\phi$ over class $y$) differ. Then $\hat x$ is better. A $\phi$ that is constant
# over *all* classes would concentrate best, but it tells nothing.

# %% [markdown]
# **Does the gradient pass through $\phi(x')$?** Yes. `loss` below hands on what `network.features(x_prime)` returned.
# Nothing is detached, neither there nor in `denoising_loss`. So the weights change in two ways at once: to make
# better use of $\phi(x')$ where $x_\sigma$ is denoised, and to make $\phi(x')$ more useful. The paper says the same
# in Section 4: both depend on the weights and "are thus simultaneously optimized". $\phi(x')$ itself is read from a
# clean $x'$, in a pass without matching.

# %% [markdown]
# **The library functions of the training.** `denoising_loss(network, x, phi, levels, weight, …)` does lines 3 to 6.
# It takes clean samples, (N, 64), and the features to condition them on, (N, 16). It returns one number, the mean of
# $\|s + \sigma z\|^2/d$, each counted by its weight. As in lesson 8,
#
# - `log_uniform(low, high)` draws $\log\sigma$ uniformly. We begin at $\sigma_\infty/4$, so that the sampler ends
#   well inside of what was trained;
# - `inverse_variance(c)` counts squared errors by $1/(\sigma^2 + c^2)$. With $c = \lambda/2$ noise below $\lambda$ is
#   learned, too;
# - `antithetic=True` lets each $x$ meet the noise $z$ and the noise $-z$;
# - `p_drop=0.1` sends a tenth of each batch through with $\phi$ = None. Algorithm 2 has no such line. Without it
#   nothing would teach $s(x_\sigma, 0)$ to be the score of the mixture.
#
# `Trainer(network, loss, budget, learning_rate)` takes the steps, by Adam. `trainer.run()` yields a record of every
# step. `trainer.ema` is the network with the running average of the weights. The loss that is printed is that of the
# last batch.


# %%
def loss(network, generator):
    """Return the loss of one step of Algorithm 2."""
    y = mixture.draw_labels(128, generator)
    x, x_prime = (mixture.sample(128, y, generator=generator).float() for _ in range(2))  # line 2
    phi = network.features(x_prime)  # the gradient goes through it, too
    levels, weight = fgs.log_uniform(sigma_inf / 4, sigma_0), fgs.inverse_variance(lam / 2)
    # lines 3 to 6; p_drop: a tenth of the batch goes without φ, so that φ = None gives the mixture's score
    return fgs.denoising_loss(network, x, phi, levels, weight, p_drop=0.1, antithetic=True, generator=generator)


torch.manual_seed(0)
trainer = fgs.Trainer(fgs.GuidedMLP(d, bias=True), loss, fgs.Budget(steps=5000), learning_rate=4e-3)
lesson.say(f"loss {[record.loss for record in trainer.run()][-1]:.4f}")
network = trainer.ema.eval().requires_grad_(False)  # the running average of the weights

# %% [markdown]
# **Is $\phi$ concentrated, and are the classes apart?** Eq. 5 of the paper compares two squared lengths on the line
# through the centroids $\phi_y$ and $\phi_{y'}$. With $\hat d$ for the unit vector along that line,
#
# $$\text{ratio} = \frac{E\,\langle \hat d,\; \phi(x) - \phi_y \rangle^2}{\|\phi_y - \phi_{y'}\|^2}.$$
#
# The mean $E$ is over samples $x$ of class $y$. Above is the variance of $\phi$ within the class, along the line.
# Below is the squared distance of the centroids. The ratio should be far below 1.
#
# What would it be for a $\phi$ that is linear in $x$? Such a $\phi$ stretches all lengths along $u$ alike, the width
# $\lambda$ and the distance 1.4. So the ratio is $\lambda^2/1.4^2 = .0051$.
#
# `separation` takes the features of every class, a list of (n, 16), and returns `.ratio`, a number for each pair of
# classes. We take the larger of the two.

# %% [markdown]
# **For the curious: what ratio is too large, on data of your own?** Let clouds be Gaussian. The border between two
# centroids is half their distance away. In sd of a cloud that is $1/(2\sqrt{\text{ratio}})$. The share of samples
# beyond it is $\Phi(-1/(2\sqrt{\text{ratio}}))$, with $\Phi$ the normal distribution function. At a ratio of .1 it is
# 6 %. If yours is that large, train longer, or match layers that see more of $x$.

# %%
x_i = [mixture.sample(1000, y, generator=torch.Generator().manual_seed(2)).float() for y in (0, 1)]
nets = {"untrained": fgs.GuidedMLP(d, bias=True).requires_grad_(False), "trained": network}
ratio = {name: float(fgs.separation([net.features(x) for x in x_i]).ratio.max()) for name, net in nets.items()}
lesson.compare("Eq. 5, variance ÷ distance², untrained", ratio["untrained"], (lam / 1.4) ** 2)
lesson.compare("Eq. 5, variance ÷ distance², trained", ratio["trained"], "below a fifth of that")

# %% [markdown]
# Seen: before training the ratio is .0049, about that of a linear $\phi$. After it, .00019. Take roots, to compare
# lengths: the spread of a class has shrunk from 7 % to 1.4 % of the distance of the centroids. In $x$ it is
# $\lambda/1.4$, 7 %. So $\phi$ has learned to overlook where in its class a sample lies, fivefold.

# %% [markdown]
# **Algorithm 1** is the sampling. It takes samples $x_1, \dots, x_n$ of the class that is wanted. Their mean $\phi$
# is $\phi_y$. It counts its steps (lines 1 and 4), and goes on while $\sigma \ge \sigma_\infty$ (line 3).
#
# - line 2: start at $x \sim N(m, \sigma_0^2\,\mathrm{Id})$, with $m$ the mean of the *mixture*;
# - at each step: compute $s = s(x, \phi_y - \phi(x))$;
# - line 5: read the noise level from it, $\sigma^2 = \|s\|^2/d$ (lesson 4);
# - line 6: $\gamma^2 = ((1 - \beta h)^2 - (1 - h)^2)\,\sigma^2$;
# - line 7: draw new noise $z$;
# - line 8: $x \leftarrow x + h s + \gamma z$.
#
# Line 6 again, from lesson 2: the step $hs$ takes away the share $h$ of the noise and leaves $(1 - h)\sigma$. The
# noise that is put back is independent, so variances add: $(1 - h)^2\sigma^2 + \gamma^2 = (1 - \beta h)^2\sigma^2$.
# Each step thus lowers $\sigma$ by the factor $1 - \beta h$. Here $h = .05$ and $\beta = .2$ (lesson 3).

# %% [markdown]
# **Three ways to choose $\phi$.** $\phi_y$ from $n = 1000$ samples. $\phi_y$ from $n = 1$ sample, which the paper
# (Appendix B) says is enough. And $\phi$ = None, no guidance, for the mixture. All start from the same noise.

# %% [markdown]
# **In code:** `centroid(network, x)` is the mean of $\phi$ over samples $x$, (16,). `SISA(…)` is the sampler. Its
# setting `pooled` reads one $\sigma$ from the whole batch in line 5 (lesson 4). `draw_start(shape, mean, sigma_0)` is
# line 2. `sampler(network, x, phi, generator).x` are the samples, (N, 64).

# %% [markdown]
# **How samples are judged.** By numbers of which the true value is known. `lesson.compare` prints each beside it.
#
# - `class_hit` is the share of samples that are most probably of the class asked for, by the exact probability
#   $p(y|x)$ at noise $\sigma_\infty$, which is still in the samples (`log_posterior`).
# - `mean_and_sd` returns how far the mean is off along $u$, and the sd along $u$, both in $\lambda$.
# - *Across* $u$ a class has no width. Only the noise at which SISA stops, $\sigma_\infty$, should be there.
# - `wasserstein_1` is the distance W1 of two sets of numbers: sort both, and take the mean difference (lesson 2). We
#   take it along $u$, to six sets of true samples.
# - `two_sample_floor` is the mean W1 of one *true* set from another. That is the *floor*. At W1 ÷ floor = 1, W1
#   cannot tell our samples from true ones.

# %% [markdown]
# **How bad is 2?** For N = 2000 the floor is about $.04\lambda$. So 2 means $.08\lambda$: a mean that is off by
# $.08\lambda$, or a width that is off by 10 %. (A Gaussian that is wider by the share $\varepsilon$ has W1 =
# $\varepsilon\lambda\,E|z| = .8\,\varepsilon\lambda$.)

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

# %% [markdown]
# **What to look for.** Above on the left: $\phi$ along the line from class to class, before training and after. The
# curve is 0 at the centroid $\phi_0$ of class 0, and 1 at $\phi_1$. Where is it flat, and where steep? Above on the
# right: samples without guidance, both classes. Below: samples guided to one class. Do they fill the black curve, the
# true class? Does the outline, $n = 1$, differ from the filled histogram, $n = 1000$?

# %%
figure, axes = lesson.figure(2, 2, width=4.4, height=2.7)
first, second, *guided = axes.flat
place, bins = torch.linspace(-1.2, 1.2, 601, dtype=torch.float64), {"bins": 96, "range": (-1.2, 1.2), "density": True}
for (name, net), colour in zip(nets.items(), (OTHER, COLOURS["learned"]), strict=True):
    a, b = (net.features(x).mean(0) for x in x_i)
    along = (net.features((place[:, None] * u).float()) - a) @ (b - a) / (b - a).square().sum()
    first.plot(
        place, along, "--" if name == "untrained" else "-", color=colour, label=f"{name}: Eq. 5 ratio {ratio[name]:.1g}"
    )
for y, m in enumerate(means @ u):
    first.axvspan(m - 2 * lam, m + 2 * lam, color=CLASS_COLOURS[y], alpha=0.25, lw=0, label=f"class {y}, ± 2 λ")
first.set(title="φ(x) on the line of the centroids", ylabel="from φ_0 (0) to φ_1 (1)", ylim=(-0.4, 2.2))
true = [(-((place - m @ u) ** 2) / 2 / lam**2).exp() / lam / (2 * torch.pi) ** 0.5 for m in means]
second.hist(free @ u, **bins, color=COLOURS["learned_mixture"], label="samples")
second.plot(place, sum(true) / 2, color=TRUTH, lw=1.2, label="true mixture")
second.set(title="not guided: φ = None", ylabel="density", ylim=(0, 4.6))
for y, panel in enumerate(guided):
    panel.hist(samples[y, 1000] @ u, **bins, color=COLOURS["learned"], alpha=0.4, label="samples, n = 1000")
    panel.hist(samples[y, 1] @ u, **bins, histtype="step", color=COLOURS["learned_n1"], lw=1.2, label="samples, n = 1")
    panel.plot(place, true[y], color=TRUTH, lw=1.2, label="true class")
    panel.set(title=f"guided to φ_y of class {y}", ylim=(0, 4.6))
for panel, side in zip(axes.flat, ("left", "left", "right", "left"), strict=True):
    panel.set_xlabel("position along u (units of x)")
    panel.legend(fontsize=8, loc=f"upper {side}")
lesson.save(figure, "figure-6")

# %% [markdown]
# **Seen: the features.** The trained $\phi$ is nearly flat across each class and steep between them. The untrained
# one rises all the way.

# %% [markdown]
# **Seen: the samples.** Every one of the 2000 samples is in the class that was asked for, in all four runs. Means are
# off by $.016\lambda$ or less. The sd is 1.05 to 1.07 $\lambda$. W1 is 1.05 to 1.44 floors. (One set of *true*
# samples scatters about 1 by ±.4: `docs/conditional.md`.) With $n = 1$ it is hardly different from $n = 1000$. That
# is the use of a $\phi$ that concentrates: one sample shows about the same $\phi$ as the mean of a thousand. Without
# guidance 48 % fall to class 1, of 50 %.

# %% [markdown]
# **So the answers are:** $\phi$ overlooks the place within the class; samples fill the class; and they are not too
# narrow, rather 5 to 7 % too wide, although guidance stayed on to the end. Why not?

# %% [markdown]
# **What becomes of $K_\sigma$?** Lesson 6 added a push to the score of the mixture:
#
# $$\sigma^2 K_\sigma\,(m_y - x_\sigma), \qquad K_\sigma = \frac{c}{\lambda^2 + \sigma^2}, \quad c = 3.$$
#
# Below a noise level $\sigma_c$ it let go: $K_\sigma = 0$.
#
# What matching adds is the difference of two passes of one network:
#
# $$\Delta(x_\sigma) = s(x_\sigma, e) - s(x_\sigma, 0), \qquad e = \phi_y - \phi(x_\sigma).$$
#
# Eq. 8 of the paper takes the first order in $e$:
#
# $$\Delta(x_\sigma) \approx J\,e, \qquad J = \frac{\partial s}{\partial e}\Big|_{e = 0}.$$
#
# So $m_y - x_\sigma$ has become $\phi_y - \phi(x_\sigma)$. And the number $\sigma^2 K_\sigma$ has become a matrix
# $J$, of 64 rows and 16 columns here. Nobody sets it: it is learned. It depends on $\sigma$, since the network sees
# the noise in $x_\sigma$.

# %% [markdown]
# **Its effective gain.** One can still ask which $K_\sigma$ would come nearest. Draw $x_\sigma$ from the noisy
# mixture. Fit what is added along $u$ by $K\sigma^2(m_y - x_\sigma)$, least squares. The *strength* is
# $K(\lambda^2 + \sigma^2)$, which is $c$ for the push of lesson 6. `docs/conditional.md` did this, for classes 4, 6
# and 10 $\lambda$ apart, with three networks for each. The other side of the comparison is what Bayes' rule adds
# (lesson 6):
#
# $$\sigma^2 \nabla \log p_\sigma(y|x_\sigma)
#   = \sigma^2\,\big(1 - p_\sigma(y|x_\sigma)\big)\,\frac{m_y - m_{y'}}{\lambda^2 + \sigma^2}.$$
#
# Here $y'$ is the other class, and $p_\sigma(y|x_\sigma)$ the probability of $y$ given $x_\sigma$. At $10\lambda$ in
# $d = 64$ was found (that page has the figure):
#
# - The strength of Bayes' rule rises from about .3 at $\sigma_0$ to nearly 1 at $\sigma = \lambda$ and below.
# - That of matching follows it down to $\sigma \approx \lambda$. Regressed on what Bayes' rule adds, what matching
#   adds has the slope .96 and the correlation .98, over noise levels $\sigma \ge \lambda$.
# - The linear push has 3 all the way, three to ten times as much, and then must end.
#
# So $K_\sigma$ is there, but nobody chose it. The loss did, and came near Bayes' rule.

# %% [markdown]
# **What becomes of $\sigma_c$, of letting go?** Nothing is left of it. First recall why lesson 6 needed it. Well
# inside a class, at small noise, the score of the mixture *is* that of the class,
# $-\sigma^2(x_\sigma - m_y)/(\lambda^2 + \sigma^2)$. The linear push adds $c$ times as much again. Everything that is
# added there is an error, and it narrows the class. On to the end it would leave the share
# $\kappa = (1 - \beta)/(1 + c - \beta)$ of the variance (lesson 6). At $\beta = .2$ that is .21, an sd of .46 of the
# true one. So it had to end.
#
# With matching two things are different.
#
# - **The push saturates.** It is made of $\phi_y - \phi(x_\sigma)$, not of $m_y - x_\sigma$. At small noise
#   $\phi(x_\sigma) \approx \phi_y$ *everywhere* in the class, not only at its mean: the flat parts of the curve in
#   the figure. There the linear push still pulls, and $e$ is small. Where $e = 0$, nothing is added.
# - **The sum is what was trained.** At small noise lesson 6 added its push to a score that was right already. Here
#   the loss judged $s(x_\sigma, e)$ as a whole, at every noise level, with the push in it. The best whole is the
#   score of the class (above). Where $e$ is small and not 0, the rest of the network can make up for it.
#
# The second reason is the stronger: $e$ is small in the class, but not nothing. The next cell measures both, at
# $\sigma = \lambda/2$. It fits what is added along $u$, and each of the two passes, by
# $c\,\sigma^2(m_0 - x_\sigma)/(\lambda^2 + \sigma^2)$, least squares, and prints the $c$: the strength.


# %%
def strengths(y):
    """Return c of s(x, φ_0) − s(x, None), of s(x, None) and of s(x, φ_0): for x of class y, or of both (None)."""
    generator = torch.Generator().manual_seed(3)
    x, _ = fgs.add_noise(mixture.sample(20_000, y, generator=generator), torch.tensor(lam / 2), generator)
    unit = (means[0] - x) @ u / 5  # σ²/(λ² + σ²) = 1/5
    free, guided = network(x.float()).double() @ u, network(x.float(), fgs.centroid(network, x_i[0])).double() @ u
    return [float((s * unit).mean() / unit.square().mean()) for s in (guided - free, free, guided)]


lesson.compare("what matching adds, x of both classes: strength", strengths(None)[0], "3 for the push of lesson 6")
inside = dict(zip(("what matching adds", "without matching", "with matching"), strengths(0), strict=True))
for (what, c), expected in zip(inside.items(), ("3 for that push, 0 by Bayes' rule", 1.0, 1.0), strict=True):
    lesson.compare(f"{what}, x of class 0: strength", c, expected)

# %% [markdown]
# Over the whole mixture, mostly from points of the other class, matching is as strong as the push of lesson 6 was.
# Inside the class it has .25, since $\phi$ is flat there. The push has 3 at both places, and Bayes' rule has 0
# inside. And the pass without matching has less than the 1 of the class's score there, so that the sum of both is
# near 1. The linear push would make it 4.

# %% [markdown]
# **For the curious: one may let go, too.** `Released` ends guidance below a noise level, as in the paper's Fig. 13.
# It is a choice, no need. In `docs/shipped.md` 58 textures were followed: for 21 of them guidance had to go on to the
# end, else fewer samples were of their class.

# %% [markdown]
# **What guidance that never ends costs.** The hardest test is $\beta = 1$: no noise is put back, so that nothing can
# widen a class that was made too narrow (lesson 6). W1 ÷ floor for classes $10\lambda$ apart in $d = 64$, from
# `docs/conditional.md` (means of three seeds, 100 calls of another sampler):
#
# | | exact score of the class | linear push, let go at σ_c | matching, to the end |
# |---|---|---|---|
# | β = .1 | 1.1 | 1.1 | 1.4 |
# | β = 1 | 1.0 | 27.9 | 1.9 |
#
# The linear push is as good as the truth where noise repairs what it does, and fails where none does. Matching loses
# a little at both, and nothing like the linear push: at β = 1 a network that is given the label has 1.7.

# %% [markdown]
# **Where the effective gain is not that of Bayes' rule** (the same page):
#
# - *Below $\sigma \approx \lambda$ it goes on growing.* At $10\lambda$ matching pulls a point of the *other* class up
#   to twelve times as hard as Bayes' rule does. It does no harm, since no guided sample is there at such a $\sigma$.
# - *Where classes overlap it is too weak.* At $4\lambda$ it is too weak by half at $\sigma \approx \lambda/2$.
#   Samples are 2 to 5 floors away there, at $\beta = .1$. One $x'$ is weak evidence, $e^8$ (above), and the best
#   answer to Algorithm 2 gives in to an $x_\sigma$ that speaks for the other class.
# - *The cure* is to train on the mean $\phi$ of four $x'$, and to guide by centroids: 1.5 floors instead of 5.1 in
#   $d = 64$.

# %% [markdown]
# **For the curious: why the strength of Bayes' rule is near 1 at small noise.** Write $t$ for the distance of
# $x_\sigma$ from $m_y$ towards $m_{y'}$, and $v = \lambda^2 + \sigma^2$. What is added is $\sigma^2(1 - p)D/v$
# towards $m_y$. The linear form is $K\sigma^2 t$. Least squares gives
#
# $$K v = D\;\frac{E[(1 - p)\,t]}{E[t^2]}.$$
#
# At small noise $1 - p$ is 0 in class $y$, half of all samples. It is 1 in the other, where $t$ has the mean $D$. So
# the numerator is $D \cdot D/2$. In class $y$, $E[t^2] = v$; in the other, $D^2 + v$. Together
#
# $$K v = \frac{D^2/2}{D^2/2 + v} = \frac{1}{1 + 2v/D^2}.$$
#
# At $D = 10\lambda$ and $\sigma = \lambda$, $v = 2\lambda^2$, this is .96. Only points of the *other* class were
# counted here. That is why a strength of 1 narrows no class when it comes from Bayes' rule, and does when it comes
# from a linear push.

# %%
held = all(hit > 0.999 and abs(mean) < 0.1 and abs(sd - 1) < 0.15 for hit, mean, sd, _ in found.values())
assert held and ratio["trained"] < ratio["untrained"] / 5, "each class has its mean and width, n = 1 included"
lesson.end()

# %% [markdown]
# **Is a denoiser guidable that was not trained with $\phi(x')$?** Nothing in such a training asks that other means in
# a layer lead to better denoising. `docs/uses.md` warns that it need not be guidable. With this lesson you can try
# it: set `p_drop=1` in `loss`, so that no pair is conditioned. The assertion at the end then fails, and the numbers
# are printed before it. We did so. The network has features, too, and its ratio of Eq. 5 is .015, far below 1. But of
# the samples guided to class 0 and to class 1 only .49 and .50 were in the class that was asked for (another seed:
# .43 and .57). That is next to no guidance. So a small ratio alone does not make a network guidable. This is one
# small network and one mixture; for images nothing of the kind was measured.

# %% [markdown]
# **Your own network** needs `features(x)` and `network(x, phi=None, sigma=None)`. See lesson 9, or `GuidedMLP` in
# `fgs/networks/mlp.py`. `validate(network, x)` of lesson 9 tries it.
#
# - Match layers that see enough of $x$ to know a class.
# - From finite data draw $x$ and $x'$ as two rows of a class (of images, crops: `fgs.Patches`).
# - Take $\sigma_0$ twice the sd of all data, or more.
# - Take $\sigma_\infty = \lambda\sqrt{h/2}$ and the weight offset $\lambda/2$, for the finest width $\lambda$ that
#   matters.
# - Begin with $h = .05$ and $\beta = .2$.
#
# **Exercises** (answers in `answers.md`)
#
# 1. Replace x' by x itself in `loss`. Should the loss rise or fall? What becomes of the samples?
# 2. Give the network no biases (`bias=False`). Samples come out too wide. Why?
# 3. A constant φ would be concentrated best. What in the loss forbids it, and why does Eq. 5 divide by a distance?
