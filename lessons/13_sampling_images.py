"""Lesson 13: Sample, interpolate, condition on a picture of yours.

Claim: φ says which texture, between classes and of pictures never seen; noise and start say where.
"""

# %%
import os
from pathlib import Path

import torch

import fgs
from fgs.figures import COLOURS, OTHER, TRUTH
from fgs.images import load_model
from fgs.images.conditions import Condition, sample_rows
from fgs.images.reading import write_image
from fgs.images.shown import like, look_at
from fgs.measures import texture_statistics
from lesson import Lesson

lesson = Lesson(13)
model = load_model()

# %% [markdown]
# The model is that of lesson 12. **Sampling** (Fig. 7). One function for the whole lesson: Algorithm 1. A `Condition`
# holds what is asked for: φ_y, and m_y and Σ_y, mean and covariance of the colour (lesson 12). The network is
# convolutional and φ a mean over positions, so images may be larger than in training. All noise is the same in every
# row: what differs down a column is due to what is asked for.


# %%
def sample(asked, n, size=32, sigma_0=1.0, score=model.network):
    """Draw n images for every row of what is asked for, each row from the same noise: (rows, n, C, H, W)."""
    sampler = fgs.SISA(h=0.3, beta=0.3, sigma_0=sigma_0, sigma_inf=0.01, denoise_last=True)
    rows = range(len(asked.mean))
    return torch.cat([sample_rows(score, asked.row(k), n, sampler, (size, size)) for k in rows])


def correlations(x):
    """Return the correlations of images (N, C, H, W) about their mean colours, (N, N)."""
    return torch.corrcoef((x - x.mean((2, 3), keepdim=True)).flatten(1))


def show(rows, name, titles):
    """Save a figure of rows of images, by the names of the rows."""
    figure, axes = lesson.figure(len(rows), len(titles), width=1.4, height=1.4)
    for row, (label, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(row, images, strict=True):
            axis.imshow(image.permute(1, 2, 0).numpy())
            axis.set_axis_off()
        row[0].text(-0.08, 0.5, label.replace("_", "\n"), transform=row[0].transAxes, ha="right", va="center")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    lesson.save(figure, name)


few = ("grass_005", "rocks_004", "bricks_018", "terrazzo_017", "wood_032")
large = sample(model.condition(few), 4, size=48)
show(dict(zip(few, large, strict=True)), "classes", [f"noise {k + 1}" for k in range(4)])

# %% [markdown]
# **Between two classes** (Fig. 8). (1 − α)φ_a + αφ_b is a φ, too. What a sample looks like is told by 75 texture
# statistics that know no network (after Portilla & Simoncelli: contrast, energies of oriented filters, correlations),
# in units of their sd within a class. Its *place* is that along the line from the mean of a's samples, 0, to that of
# b's, 1. A coin thrown for a or b has a mean place of ½, too, but an sd of √(¼ + variance within a class).

# %%
alphas = torch.linspace(0, 1, 5)
between = sample(model.condition([few[1], few[3]]).between(alphas), 12)
statistics = torch.stack([texture_statistics(x) for x in between])
unit = statistics[[0, -1]].var(1).mean(0).sqrt()
means = statistics.mean(1) / unit
line = means[-1] - means[0]
places = (statistics / unit - means[0]) @ line / line.square().sum()
for alpha, place in zip(alphas[1:4], places[1:4], strict=True):
    lesson.compare(f"mean place from {few[1]} to {few[3]} at α = {alpha:g}", place.mean(), "growing from 0 to 1")
coin = (0.25 + places[[0, -1]].var(1).mean()).sqrt()
lesson.compare("sd of the places at α = 0.5", places[2].std(), f"below {coin:.2f}, that of a coin")
off = (means[2] - means[0] - places[2].mean() * line).norm() / line.norm()
lesson.compare("mean at α = 0.5: distance from the line ÷ its length", off, "near 0")
alike = correlations(torch.cat([between[0], between[-1]]))[:12, 12:]
same, other = alike.trace() / 12, (alike.sum() - alike.trace()) / 132
lesson.compare("correlation, sample of a with that of b from the same noise", same, f"above {other:.2f}, other noise")
show({f"noise {k + 1}": between[:, k] for k in range(3)}, "between", [f"α = {alpha:g}" for alpha in alphas])

# %% [markdown]
# **Your own photograph.** Set FGS_PHOTO to its path (64 pixels a side or more): it heads the figure, and enters nothing
# else. `look_at` cuts it into patches, whose mean φ is asked for, at the scale of 1 to 4 at which φ is most familiar.
# Below it, ten textures that the library draws, with a seed of which the model saw none. The network is told nothing
# but φ and the colour. Do samples look like *their* picture, or like another of the ten?

# %%
new = fgs.draw_images(classes=10, size=128, color=True, seed=1)
paths = {"yours": Path(os.environ["FGS_PHOTO"])} if "FGS_PHOTO" in os.environ else {}
for name, images in new.items():
    paths[name] = lesson.folder / f"{name}.png"
    write_image(paths[name], images[0])
seen = {name: look_at(model, path, None if name == "yours" else 1) for name, path in paths.items()}
drawn = {name: sample(like([[shown]]), 4)[0] for name, shown in seen.items()}
rows = {name: [shown.tiles[len(shown.tiles) // 2], *drawn[name]] for name, shown in seen.items()}
show(dict(list(rows.items())[:6]), "yours", ["a patch of it", *(f"sample {k + 1}" for k in range(4))])
pictures = torch.stack([texture_statistics(seen[name].tiles).mean(0) / unit for name in new])
samples = torch.stack([texture_statistics(drawn[name]).mean(0) / unit for name in new])
nearest = int((torch.cdist(samples, pictures).argmin(1) == torch.arange(10)).sum())
lesson.compare("pictures (of 10) whose samples are nearest to them in statistics", nearest, "1 by chance, 10 at best")

# %% [markdown]
# **Starting from a picture** (Fig. 12). Add σz to it and let SISA take that off, guided by its own φ_y (first row) or
# by another. The start correlates with the picture, of sd over pixels, by sd/√(sd² + σ²); but means of k × k pixels
# have noise σ/k: coarse shapes outlive fine ones. The first row shows what noise costs; what the others lose beyond
# that, another φ has overwritten.

# %%
picture, sigmas, kept, rows = large[1, 3], (0.05, 0.1, 0.2, 0.4, 0.8), {}, {}  # noise 4 is in none of the starts
for name in (few[1], few[0], few[3], few[4]):
    asked = Condition(model.condition([name]).phi, picture[None])  # around the picture: the mean is its own
    x = torch.stack([sample(asked, 3, 48, sigma)[0] for sigma in sigmas])
    kept[name] = torch.stack([correlations(torch.cat([picture[None], y]))[0, 1:].mean() for y in x])
    rows[name] = [picture, *x[:, 0]]
show(rows, "start", ["picture", *(f"from σ = {sigma:g}" for sigma in sigmas)])
own, foreign = kept[few[1]], torch.stack([kept[name] for name in (few[0], few[3], few[4])]).mean(0)
for name, values, expected in (("its own φ", own, "near 1 for small σ"), ("others", foreign, "that or less")):
    for k in (0, 3):
        lesson.compare(f"correlation with the picture, from σ = {sigmas[k]:g} with {name}", values[k], expected)

# %%
figure, (left, right) = lesson.figure(columns=2, width=4.6)
left.plot(alphas, places, "o", ms=3, color=OTHER)
left.errorbar(alphas, places.mean(1), places.std(1), color=COLOURS["learned"], capsize=3)
left.set(title="twelve samples each: mean and sd", xlabel="α", ylabel=f"place (0 {few[1]}, 1 {few[3]})")
for name, values in kept.items():
    right.plot(sigmas, values, "o-", color=COLOURS["learned"] if name == few[1] else OTHER, label=f"φ of {name}")
sd = float((picture - picture.mean((1, 2), keepdim=True)).std())
right.plot(sigmas, [sd / (sd**2 + s**2) ** 0.5 for s in sigmas], "--", color=TRUTH, label="the noisy start itself")
right.set(title=f"correlation with the picture, sd {sd:.2f}", xlabel="σ of start", ylim=(0, 1.4), yticks=(0, 0.5, 1))
right.legend(fontsize=8, ncols=2, loc="upper right")
lesson.save(figure, "kept")
along = bool((places.mean(1).diff() > 0).all()) and places[2].std() < coin - 0.1 and off < 0.3 and same > other + 0.1
told = along and nearest >= 6 and min(own[0], foreign[0]) > 0.8 and own[3] > foreign[3]
assert told, "along a line; like pictures never seen; coarse shapes last"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Derive sd/√(sd² + σ²). At which σ is it ½? Why may a denoised start correlate more with the picture than that?
# 2. No training pair had φ at α = ½. Why does it work, and why is φ_a + 1.5(φ_b − φ_a) less safe?
# 3. `fgs.Released(model.network, model.network, level)` has no φ below σ = level (Fig. 13). Pass it to
#    `sample` as score, with φ_a, then φ_b. Up to which level does the mean place stay? What does it not prove?
