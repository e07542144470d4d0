"""Lesson 12: The same lines on a UNet.

Claim: φ of the right class denoises better than no φ, of a wrong class worse, also on textures never seen (Fig. 2, 3).
"""

# %%
import os
from pathlib import Path

import torch

import fgs
from fgs.figures import COLOURS, OTHER, TRUTH
from fgs.images import load_model
from fgs.images.conditions import sample_rows
from fgs.images.held_out import denoise_held_out
from lesson import Lesson

lesson = Lesson(12)

# %% [markdown]
# Lessons 9 to 11 guided small networks. Here the same lines run on images. A model comes with the library: a UNet,
# which is a large convolutional network, trained by Algorithm 2 ("Learning a projected score network", lesson 10).
# "The paper" below is Kadkhodaie, Mallat & Simoncelli 2024, "Feature-guided score diffusion for sampling conditional
# densities". We repeat two of its figures. Does it help denoising to know the features of the right class? (Its Fig.
# 3, left.) What does a wrong class do? (Its Fig. 2.)
#
# **Predict** before you go on.
#
# 1. At which noise should the right features help more: at $\sigma = 1$, or at $\sigma = .02$?
# 2. Which is larger, what the right features gain, or what wrong ones lose?
# 3. Will the right features help on textures that the model never saw?

# %% [markdown]
# **The symbols so far.**
#
# - $x$ is a clean image, numbers from 0 (black) to 1 (white), of shape (3, 32, 32): colours, rows, columns. $x'$ is
#   another image of the same class $y$.
# - $x_\sigma = x + \sigma z$ has noise of level $\sigma$: the entries of $z$ are independent normal numbers of
#   variance 1.
# - $\phi(x)$ are the features: the means of the channels of some layers, 432 numbers here. $\phi_y$ is their mean
#   over class $y$.
# - $s(x_\sigma,\; \phi - \phi(x_\sigma))$ is what the network returns when it is asked for the features $\phi$: it
#   sets the means of its channels to $\phi$ (lesson 9). In code it is `network(x_sigma, phi)`.
# - $s(x_\sigma, 0)$ is the pass without matching, `network(x_sigma, None)`. We call it "no $\phi$".
# - $\hat x = x_\sigma + s$ is the denoised image.

# %% [markdown]
# **What it was trained on.** Algorithm 2 needs of a class only that $x$ and $x'$ are two samples of it. So each group
# of pairs was a *new* class: patches of one of 1,103 pictures of textures, at a scale, turned, with gray, contrast
# and colours drawn anew. A tenth of the classes were pictures that the library draws. No label was used. (All this is
# from `docs/shipped.md`.) The model holds $\phi_y$ for 1,450 pictures by name.

# %% [markdown]
# **Images to test with.** The pictures are not in the package. So let the model draw its own: Algorithm 1 (sampling
# guided by $\phi_y$, lesson 10) for twelve names, eight images each.
#
# - `load_model()` loads the model. `model.trained_on` are names of its classes.
# - `model.condition(names)` holds what is asked for, a row for each name: $\phi_y$, and the mean colour with its
#   covariance.
# - `sample_rows(network, condition, n, sampler, size)` draws n images for each row, (12, 8, 3, 32, 32).

# %% [markdown]
# **For the curious: the mean colour.** Matching sets the channel means, and with them goes what the network knew of
# the mean colour of $x$. So it cannot correct that colour. But for a class it is known. The mean $\bar x$ over $N$
# pixels has about the mean $m_y$ and the covariance $\Sigma_y/N$, and the noise adds $\sigma^2/N$. As for the single
# Gaussian of lesson 1, the best correction is then
#
# $$\bar s = \sigma^2\,(\sigma^2\,\mathrm{Id} + \Sigma_y)^{-1}\,(m_y - \bar x),$$
#
# in which $N$ cancels. `sample_rows` starts around $m_y$, and uses this for the mean of $s$.

# %%
model = load_model()
network, K, n, names = model.network, 12, 8, model.trained_on[::119][:12]
sampler = fgs.SISA(h=0.3, beta=0.3, sigma_0=1.0, sigma_inf=0.01, denoise_last=True)
generator = torch.Generator().manual_seed(0)
drawn = sample_rows(network, model.condition(names), n, sampler, (32, 32))

# %% [markdown]
# **The test.** Take pairs $x$, $x'$ of one class. Add noise to $x$, and denoise it in three ways:
#
# - *right*: with $\phi(x')$;
# - *wrong*: with $\phi$ of an $x'$ of another class, the one five places back in the list;
# - *none*: without $\phi$.
#
# The noise is the same for all three.

# %% [markdown]
# **The measure** is the PSNR, the peak signal-to-noise ratio. It is $-10 \log_{10}$ of the mean squared error, in dB
# (decibel). Each 3 dB more halve the error. We report the *gain*: the PSNR with $\phi$ less that without.


# %%
@torch.no_grad()
def denoise(x, phi, sigma):
    """Return x_σ, the same for every φ, and x̂; the network subtracts φ(x_σ) from phi; None is s(x_σ, 0)."""
    x_sigma, _ = fgs.add_noise(x, torch.tensor(sigma), torch.Generator().manual_seed(1))
    return x_sigma, x_sigma + network(x_sigma, phi)


def psnr(x_hat, x):
    """Return the mean PSNR in dB."""
    return float(-10 * (x_hat - x).square().mean((1, 2, 3)).log10().mean())


SIGMAS = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)


@torch.no_grad()
def gains(x, x_prime):
    """Return the PSNR gained over no φ at each noise level, with right and wrong φ, from (K, n, C, H, W) pairs."""
    phi = network.features(x_prime.flatten(0, 1)).unflatten(0, x_prime.shape[:2])
    conditions = {"right": phi, "wrong": phi.roll(5, 0)}  # the φ of a class five places back
    x = x.flatten(0, 1)
    found = {}
    for name, targets in conditions.items():
        found[name] = [
            psnr(denoise(x, targets.flatten(0, 1), sigma)[1], x) - psnr(denoise(x, None, sigma)[1], x)
            for sigma in SIGMAS
        ]
    return found


curves = {"classes of the model": gains(drawn[:, : n // 2], drawn[:, n // 2 :])}

# %% [markdown]
# **Textures that it never saw.** Images of the model's own making are an easy test. So take others.
#
# - `draw_images` draws twelve textures, with a new seed. The pictures are new to the model. Their *manner* is not:
#   such textures were a tenth of its training. `Patches` cuts $x$ and $x'$ from one picture; they may overlap.
# - Photographs are harder. If you have the twelve that the model knows by $\phi$ alone, name their folder in
#   `FGS_TEXTURES`. Else the figure has no dotted curves. `denoise_held_out` runs the same three ways on them.

# %%
patches = fgs.Patches(fgs.draw_images(classes=12, size=256, color=True, seed=1), patch=32)
unseen = torch.stack([patches.held_out_crops(k, n, generator) for k in range(12)])
curves["textures never seen"] = gains(unseen[:, : n // 2], unseen[:, n // 2 :])
folder = Path(os.environ.get("FGS_TEXTURES", "textures"))
twelve = [name for name in model.classes if name not in model.trained_on]
if all((folder / f"{name}.png").exists() for name in twelve):
    images, _ = fgs.read_images(folder, 32, model.recipe.preparation._replace(downscale=2), twelve)
    psnrs = denoise_held_out(network, model.only(list(images)).targets, fgs.Patches(images, patch=32), list(SIGMAS))
    curves["photographs never seen"] = {
        name: [a - b for a, b in zip(psnrs[name], psnrs["none"], strict=True)] for name in ("right", "wrong")
    }
for data, found in curves.items():
    for k in (0, 1, 4):
        lesson.compare(f"{data}, σ = {SIGMAS[k]:g}: right φ − none, dB", found["right"][k], "above 0")
        lesson.compare(f"{data}, σ = {SIGMAS[k]:g}: wrong φ − none, dB", found["wrong"][k], "below 0")

# %% [markdown]
# **What to look for in the figure.** The noise level is on the axis below, large on the right. Above 0 a $\phi$
# helps, below 0 it harms. Is the right $\phi$ always above, and the wrong one always below? Do the dashed curves, of
# textures never seen, do the same? (The paper's Fig. 3, left, has the PSNR itself, and its "no $\phi$" is a second
# network.)

# %%
figure, axis = lesson.figure(width=6.0, height=3.8)
STYLES = {"right": {"color": COLOURS["learned"], "marker": "o"}, "wrong": {"color": COLOURS["forcing"], "marker": "s"}}
for (data, found), line in zip(curves.items(), ("-", "--", ":"), strict=False):
    for name, values in found.items():
        axis.semilogx(SIGMAS, values, line, ms=4, label=f"{name} φ, {data}", **STYLES[name])
axis.axhline(0, color=TRUTH, lw=1)
axis.set_xticks(SIGMAS, [f"{sigma:g}" for sigma in SIGMAS])
axis.minorticks_off()
axis.set(xlabel="noise level σ (1 = black to white)", ylabel="PSNR gained over no φ (dB)")
figure.legend(loc="outside right upper", fontsize=8, handlelength=5)
lesson.save(figure, "gain")

# %% [markdown]
# **Seen.** The right $\phi$ is above 0 at all seven noise levels, the wrong one below, for both sets. In dB:
#
# | gain at | $\sigma = 1$ | $\sigma = .5$ | $\sigma = .1$ |
# |---|---|---|---|
# | right, classes of the model | 2.5 | 1.3 | .6 |
# | right, textures never seen | 1.5 | 1.4 | .5 |
# | wrong, classes of the model | −9.4 | −9.0 | −1.4 |
# | wrong, textures never seen | −1.6 | −2.2 | −1.5 |
#
# So the answers: the right $\phi$ helps more at large noise, where $x_\sigma$ says little by itself. A wrong one
# loses more than the right one gains (hardly more at $\sigma = 1$ for textures never seen). And it carries to
# textures never seen. A harder test is in `docs/shipped.md`, on 60 textures of ambientCG, a public collection, and
# twelve photographs: at $\sigma = 1$, .5 and .1 the right $\phi$ gains 1.4, .7 and .2 dB, and a wrong one loses 4.3,
# 4.3 and 1.4.

# %% [markdown]
# **For the curious: why does a wrong $\phi$ lose so much from $\sigma = .5$ on?** Let $r$ be the contrast of
# $x_\sigma$, its sd around its mean colour. Round its convolutions $F$ this UNet has a linear estimate
# (`fgs/networks/unet.py`):
#
# $$\hat x = q^2\,x_\sigma + (1 - q^2)\,\tfrac12 + q\,r\,F, \qquad q = \min(1,\; .3/r).$$
#
# Up to $\sigma \approx .3$, $q$ is about 1, and the colour of $x_\sigma$ passes as it is. At $\sigma = .5$ less than
# .36 of it passes, at $\sigma = 1$ less than .09. The rest has to come from $F$, whose means are set by $\phi$: the
# wrong class brings its own gray and colour. The next pictures show it. For textures never seen the fall is missing.
# That fits, too: the mean colours of a class and its wrong one differ there by .14 (root mean square), where those of
# the model's classes differ by .27. (Computed aside; the lesson does not print it.)

# %% [markdown]
# **See it.** This is the paper's Fig. 2. Each row is an image of one class with noise. Each column is the class whose
# $\phi$ it is denoised with; frames mark the right one. Numbers are PSNR in dB. Noise beyond black and white cannot
# be shown: at $\sigma = 1$ that is most of it.

# %% [markdown]
# **What to look for.** In each row, where is the number largest? What do the pictures of one *column* have in common?

# %%
few = [1, 2, 8, 11]
x = drawn[few, 0]
for sigma in (1.0, 0.5):
    phi = network.features(drawn[few, n // 2]).detach()
    noisy, unguided = denoise(x, None, sigma)
    columns = {"drawn x": x, "noisy x_σ": noisy, "no φ": unguided}
    for k, target in zip(few, phi, strict=True):
        columns["φ of " + names[k].replace("_", "\n")] = denoise(x, target, sigma)[1]
    figure, axes = lesson.figure(4, len(columns), width=1.25, height=1.3)
    for j, (title, pictures) in enumerate(columns.items()):
        for i, picture in enumerate(pictures):
            axes[i, j].imshow(picture.clamp(0, 1).permute(1, 2, 0).numpy())
            axes[i, j].set(xticks=[], yticks=[], xlabel=f"{psnr(picture[None], x[i : i + 1]):.1f}" if j > 1 else "")
            color, lw = (COLOURS["learned"], 4) if j - 3 == i else (OTHER, 0.5)
            axes[i, j].spines[:].set(visible=True, color=color, lw=lw)
        axes[0, j].set_title(title, fontsize=8)
    figure.suptitle(f"x̂ at σ = {sigma:g}; framed: φ of the right class")
    lesson.save(figure, f"matrix-{sigma:g}")

# %% [markdown]
# **Seen.** In each of these four rows the right $\phi$ has the largest number. At $\sigma = 1$ it gains .9 to 4.8 dB
# over no $\phi$, and the wrong ones lose 3 to 16. At $\sigma = .5$ it is .7 to 2.4, and 2 to 15. The pictures of a
# column have much of their colour in common: at $\sigma = 1$ it comes from $\phi$ more than from $x_\sigma$.

# %% [markdown]
# **Four rows are no proof.** The claim is about *averages*. It does not say that the right $\phi$ wins in every row:
# two classes may be much alike (exercise 3), and a single noisy image may do better with the wrong one. The gain
# curves above carry the claim. Each point of the solid and dashed ones is a mean over 48 images, four of each of
# twelve classes. And each class met one wrong class there, not all eleven.

# %%
known, unknown = curves["classes of the model"], curves["textures never seen"]
ordered = all(min(found["right"][:4]) > 0 > max(found["wrong"][:4]) for found in (known, unknown))
assert ordered, "the right φ helps, a wrong one harms, σ = .2 to 1, also of textures never seen"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. By Eq. 8 of the paper (lesson 10) guidance at small $\sigma$ is linear in $\phi(x') - \phi(x_\sigma)$, so the
#    gain of the right $\phi$ should vanish with it. Does it in your figure? What differs between
#    $s(x_\sigma,\; \phi(x') - \phi(x_\sigma))$ and $s(x_\sigma, 0)$ beside $\phi$?
# 2. At $\sigma = 1$ the noise is five to ten times the contrast of an image. What in $\hat x$ can come from
#    $x_\sigma$, and what from $\phi$?
# 3. Which class would you expect to harm another the least? Look at `torch.cdist(model.targets, model.targets)`, the
#    distances of all $\phi_y$.
