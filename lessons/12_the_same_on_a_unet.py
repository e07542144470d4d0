"""Lesson 12: The same lines on a UNet.

Claim: On images of its classes, φ of the right class denoises better than no φ, of a wrong class worse (Fig. 2, 3).
"""

# %%
import os
from pathlib import Path

import torch

import fgs
from fgs.figures import COLOURS, OTHER, TRUTH
from fgs.images import load_model
from fgs.images.held_out import denoise_held_out
from fgs.teaching.lesson import Lesson

lesson = Lesson(12)

# %% [markdown]
# A model comes with the library: a UNet trained by Algorithm 2 on twelve photographs of textures, patches of 32 × 32
# pixels, gray in [0, 1], the faint ones stretched to a contrast of .1. Its φ is the channel means at the end of its
# blocks, hundreds of numbers; everything else is as in lessons 9 and 10. `model.targets` are the centroids φ_y, one
# for each class, and `model.mean` is m, the gray around which Algorithm 1 starts.
#
# The photographs are not in the package, so let the model draw its own: Algorithm 1, in the lines of lesson 10. With h
# = β = .3 it takes some fifty calls of the network; `denoise_last` takes off the noise that is left at σ_∞.

# %%
model = load_model()
network, K, n = model.network, len(model.classes), 8
sampler = fgs.SISA(h=0.3, beta=0.3, sigma_0=1.0, sigma_inf=0.01, denoise_last=True)
generator = torch.Generator().manual_seed(0)
y = torch.arange(K).repeat_interleave(n)
start = fgs.draw_start((K * n, model.colors, 32, 32), model.mean, sampler.sigma_0, generator=generator)
drawn = sampler(network, start, model.targets[y], generator).x.clamp(0, 1).unflatten(0, (K, n))

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
# Does it carry to textures that it never saw? The library draws some; x and x' are cut from one picture, and may
# overlap. Twelve classes are too few for φ to mean much beyond them: expect less at σ ≥ .1. The fair test is what was
# held out of the photographs it was trained on: if you have them, name their folder in FGS_TEXTURES (else no dotted
# curves). The figure is the paper's Fig. 3, left, as differences.

# %%
patches = fgs.Patches(fgs.draw_images(classes=12, size=256), patch=32)
unseen = torch.stack([patches.held_out_crops(k, n, generator) for k in range(12)])
curves["textures never seen"] = gains(unseen[:, : n // 2], unseen[:, n // 2 :])
folder = Path(os.environ.get("FGS_TEXTURES", "textures"))
if all((folder / f"{name}.png").exists() for name in model.classes):
    images, _ = fgs.read_images(folder, smallest=32, how=model.recipe.preparation, only=model.classes)
    psnrs = denoise_held_out(network, model.targets, fgs.Patches(images, patch=32), list(SIGMAS))
    curves["photographs, held out"] = {
        name: [a - b for a, b in zip(psnrs[name], psnrs["none"], strict=True)] for name in ("right", "wrong")
    }
for data, found in curves.items():
    helps = "near 0, and above that of a wrong φ" if "never" in data else "above 0"
    for k in (0, 1, 4):
        lesson.compare(f"{data}, σ = {SIGMAS[k]:g}: right φ − none, dB", found["right"][k], helps)
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
few = [k % K for k in (1, 2, 8, 11)]
x = drawn[few, 0]
for sigma in (1.0, 0.5):
    phi = network.features(drawn[few, n // 2]).detach()
    noisy, unguided = denoise(x, None, sigma)
    columns = {"drawn x": x, "noisy x_σ": noisy, "no φ": unguided}
    for k, target in zip(few, phi, strict=True):
        columns["φ of " + model.classes[k].replace("_", "\n")] = denoise(x, target, sigma)[1]
    figure, axes = lesson.figure(4, len(columns), width=1.25, height=1.3)
    for j, (title, pictures) in enumerate(columns.items()):
        for i, picture in enumerate(pictures):
            axes[i, j].imshow(picture[0].clamp(0, 1).numpy(), cmap="gray", vmin=0, vmax=1)
            axes[i, j].set(xticks=[], yticks=[], xlabel=f"{psnr(picture[None], x[i : i + 1]):.1f}" if j > 1 else "")
            color, lw = (COLOURS["learned"], 4) if j - 3 == i else (OTHER, 0.5)
            axes[i, j].spines[:].set(visible=True, color=color, lw=lw)
        axes[0, j].set_title(title, fontsize=8)
    figure.suptitle(f"x̂ at σ = {sigma:g}; framed: φ of the right class")
    lesson.save(figure, f"matrix-{sigma:g}")

# %%
known, unknown = curves["classes of the model"], curves["textures never seen"]
ordered = min(known["right"][:4]) > 0 > max(known["wrong"][:4]) and unknown["right"][1] > unknown["wrong"][1]
assert ordered, "the right φ helps, a wrong one harms, σ = .2 to 1; of new textures the right one is the better"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. By Eq. 8 guidance at small σ is linear in φ' − φ(x_σ), so the gain of the right φ should vanish with it. Does it in
#    your figure? Dashed, even a wrong φ gains at σ = .02. So what is s(x_σ, 0) there?
# 2. At σ = 1 the noise is five to ten times the contrast of an image. What in x̂ can come from x_σ, and what from φ?
# 3. Which class would you expect to harm another the least? Look at `torch.cdist(model.targets, model.targets)`.
