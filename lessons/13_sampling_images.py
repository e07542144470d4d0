"""Lesson 13: Sample, interpolate, condition on a picture of yours.

Claim: φ is a dial: samples follow it from class to class and to a new picture, and keep of a start what noise left.
"""

# %%
import os
from pathlib import Path

import torch

import fgs
from fgs.images import write_image
from fgs.lesson import Lesson
from fgs.models import load_model
from fgs.plots import COLOURS, TRUTH
from fgs.statistics import texture_statistics

lesson = Lesson(13)
model = load_model()

# %% [markdown]
# **Sampling** (Fig. 7). One function for the whole lesson: Algorithm 1 as in lesson 12, from m + σ_0z or from another
# image with noise. The network is convolutional, φ is a mean over positions: so the image may be larger than the 32 ×
# 32 pixels that it was trained on. Every row of the figure has another φ, every column other noise.


# %%
def sample(phi, n, around=model.mean, size=32, sigma_0=1.0, seed=0):
    """Draw n images for every row of φ, from the same n starts: (rows, n, C, H, W)."""
    sampler = fgs.SISA(h=0.3, beta=0.3, sigma_0=sigma_0, sigma_inf=0.01, denoise_last=True)
    generator = torch.Generator().manual_seed(seed)
    start = fgs.draw_start((n, model.colors, size, size), around, sigma_0, generator=generator)
    start = start.repeat(len(phi), 1, 1, 1)
    x = sampler(model.network, start, phi.repeat_interleave(n, 0), generator).x
    return x.clamp(0, 1).unflatten(0, (len(phi), n))


def show(rows, name, titles=None):
    """Save a figure of rows of images, by the names of the rows."""
    columns = max(len(images) for images in rows.values())
    figure, axes = lesson.figure(len(rows), columns, width=1.4, height=1.4, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, (label, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(row, images, strict=False):
            axis.imshow(image[0], cmap="gray", vmin=0, vmax=1)
        row[0].text(
            -0.08, 0.5, label.replace("_", "\n"), transform=row[0].transAxes, ha="right", va="center", fontsize=8
        )
    for axis, title in zip(axes[0], titles or [], strict=False):
        axis.set_title(title, fontsize=9)
    lesson.save(figure, name)


few = model.classes[:: max(1, len(model.classes) // 5)][:5]
phi = torch.stack([model.target(name) for name in few])
large = sample(phi, 4, size=56)
show(dict(zip(few, large, strict=True)), "classes", [f"noise {k + 1}" for k in range(4)])

# %% [markdown]
# **Between two classes** (Fig. 8). φ is a vector, so (1 − α)φ_a + αφ_b is one too. Whether samples go along is judged
# by something that knows no network: 66 texture statistics after Portilla & Simoncelli (contrast, energies of oriented
# filters, correlations). Their mean over samples moves from 0, at a, to 1, at b.

# %%
a, b = model.target(few[1]), model.target(few[3])
alphas = torch.linspace(0, 1, 5)
between = sample(fgs.interpolate(a, b, alphas), 12)
statistics = torch.stack([texture_statistics(x).mean(0) for x in between])
away = (statistics[-1] - statistics[0]) / (statistics[-1] - statistics[0]).norm()
progress = (statistics - statistics[0]) @ away / ((statistics[-1] - statistics[0]) @ away)
for alpha, place in zip(alphas[1:4], progress[1:4], strict=True):
    lesson.compare(f"place between {few[1]} and {few[3]} at α = {alpha:g}", place, "from 0 to 1, growing")
titles = [f"α = {alpha:g}" for alpha in alphas]
show({f"sample {k + 1}": between[:, k] for k in range(3)}, "between", titles)

# %% [markdown]
# **Your own photograph.** Set FGS_PHOTO to its path, and it heads the figure. `model.read` prepares a picture as those
# of the training were (gray, 2 × 2 pixels averaged), and `model.phi_of` takes φ of all its 32 × 32 patches: a class of
# one picture. Lest the lesson depend on it, the others are synthetic textures of the library, written to files.

# %%
paths = [Path(os.environ["FGS_PHOTO"])] if "FGS_PHOTO" in os.environ else []
for name, images in fgs.draw_images(classes=10, size=256).items():
    paths.append(lesson.folder / f"{name}.png")
    write_image(paths[-1], images[0])
pictures = [model.read(path, smallest=64) for path in paths]
like = sample(torch.stack([model.phi_of(path) for path in paths]), 6)
seen = list(zip(paths, pictures, like, strict=True))[:5]
titles = ["picture", *["sample"] * 4]
show({path.stem: [picture[:, :32, :32], *x[:4]] for path, picture, x in seen}, "yours", titles)

# %% [markdown]
# They are not copies of the picture, and often not even good likenesses: a model of twelve classes cannot make a
# pattern that it has never met. What does carry over is what all textures share. Over the pictures, compare their gray
# and their contrast with that of their samples.

# %%
grays = torch.tensor([[float(p.mean()), float(x.mean())] for p, x in zip(pictures, like, strict=True)])
contrasts = torch.tensor(
    [[float(p.std()), float(x.std((1, 2, 3)).mean())] for p, x in zip(pictures, like, strict=True)]
)
r_gray, r_contrast = (float(torch.corrcoef(pairs.T)[0, 1]) for pairs in (grays, contrasts))
lesson.compare("correlation of the gray of pictures and samples", r_gray, "near 1")
lesson.compare("correlation of their contrast", r_contrast, "above 0")

# %% [markdown]
# **Starting from a picture** (Fig. 12). Add noise σ to it and let SISA take that off, guided by a class. Small noise
# leaves the picture as it is but for details; large noise leaves only its coarse shape, or nothing.

# %%
picture = pictures[0][:, :64, :64]
sigmas = (0.1, 0.3, 0.6, 1.0)
kept, rows = [], {}
for name in few[:3]:
    drawn = [sample(model.target(name)[None], 2, picture, 64, sigma)[0] for sigma in sigmas]
    kept.append([float(torch.corrcoef(torch.stack([x[0].flatten(), picture.flatten()]))[0, 1]) for x in drawn])
    rows[name] = [picture, *(x[0] for x in drawn)]
kept = torch.tensor(kept)
show(rows, "start", ["picture", *(f"from σ = {sigma:g}" for sigma in sigmas)])
for sigma, correlation in zip(sigmas, kept.mean(0), strict=True):
    lesson.compare(
        f"correlation with the picture that it started from, σ = {sigma:g}", correlation, "less for larger σ"
    )

# %%
figure, (left, right) = lesson.figure(columns=2)
left.plot(*grays.T, "o", color=COLOURS["learned"], label=f"gray, r = {r_gray:.2f}")
left.plot(*contrasts.T, "s", color=COLOURS["exact"], label=f"contrast (sd), r = {r_contrast:.2f}")
left.plot([0, 1], [0, 1], color=TRUTH, lw=1)
left.set(xlabel="of the picture (0 black, 1 white)", ylabel="of samples with its φ")
left.legend()
right.plot(sigmas, kept.T, "o-", color=COLOURS["learned"], lw=1)
right.set(xlabel="noise level σ of the start", ylabel="correlation with the picture", ylim=(-0.2, 1.05))
lesson.save(figure, "kept")

# %%
on_the_way = bool((progress.diff() > -0.05).all()) and 0.05 < progress[2] < 0.95
fading = bool((kept.mean(0).diff() < 0).all()) and kept[:, 0].min() > 0.5
assert on_the_way and r_gray > 0.5 and fading, "samples go along with φ, and with a picture as far as noise left it"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. `fgs.generate.Released(model.network, model.network, level)` ends the guidance below a noise level (Fig. 13). Up to
#    which level does a sample stay in its class? Try a class that is near to another in φ, and one that is far.
# 2. Sample with φ_a + 1.5(φ_b − φ_a). Why is that not as safe as α between 0 and 1?
# 3. Two samples of one φ differ. What have they in common by construction, and what did the noise decide?
