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
# A model comes with the library: a UNet trained by Algorithm 2 on patches of 32 × 32 pixels, in colour. Of a class
# Algorithm 2 needs only that x and x' are two samples of it. So each group of pairs was a *new* class: one of some
# 1,400 pictures of textures, at a scale, turned, with gray, contrast and colours drawn anew. No label was used. Its φ
# is 432 channel means. `model.targets` are the centroids φ_y of the pictures that have a name.
#
# The pictures are not in the package, so let the model draw its own: Algorithm 1 for twelve names. One thing is new.
# Matching erases the mean colour of x from the network's activations, so that it cannot correct it. But for a class
# that mean is known, m_y and its covariance Σ_y, so its score is that of a Gaussian, as in lesson 1. `model.condition`
# holds φ_y, m_y and Σ_y; `sample_rows` starts around m_y and uses them all.

# %%
model = load_model()
network, K, n, names = model.network, 12, 8, model.trained_on[::119][:12]
sampler = fgs.SISA(h=0.3, beta=0.3, sigma_0=1.0, sigma_inf=0.01, denoise_last=True)
generator = torch.Generator().manual_seed(0)
drawn = sample_rows(network, model.condition(names), n, sampler, (32, 32))

# %% [markdown]
# Now pairs as in training: x and x' are two images of one class, drawn from different noise. Add noise to x and take it
# off again, x̂ = x_σ + s(x_σ, φ' − φ(x_σ)), with three kinds of φ': of x' (right), of the x' of another class (wrong),
# and with no φ, the pass s(x_σ, 0). What is reported is the PSNR, −10 log₁₀ of the mean squared error, in dB: each 3 dB
# halve the error.


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
# Does it carry to textures that it never saw? The library draws some, with a new seed; x and x' are cut from one
# picture, and may overlap. A harder test is photographs: if you have the twelve that the model knows by φ alone, name
# their folder in FGS_TEXTURES (else no dotted curves). The figure is the paper's Fig. 3, left, as differences.

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
# The paper's Fig. 2: rows are noisy images of four classes, columns the class of the φ that they are denoised with.
# Black and white are 0 and 1: at σ = 1 most of the noise lies beyond. Numbers are PSNR in dB.

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

# %%
known, unknown = curves["classes of the model"], curves["textures never seen"]
ordered = all(min(found["right"][:4]) > 0 > max(found["wrong"][:4]) for found in (known, unknown))
assert ordered, "the right φ helps, a wrong one harms, σ = .2 to 1, also of textures never seen"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. By Eq. 8 guidance at small σ is linear in φ' − φ(x_σ), so the gain of the right φ should vanish with it. Does it in
#    your figure? What differs between s(x_σ, φ') and s(x_σ, 0) beside φ?
# 2. At σ = 1 the noise is five to ten times the contrast of an image. What in x̂ can come from x_σ, and what from φ?
# 3. Which class would you expect to harm another the least? Look at `torch.cdist(model.targets, model.targets)`.
