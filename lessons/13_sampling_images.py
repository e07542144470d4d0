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
# Lesson 12 had a network that denoises textures, guided by features. This lesson lets it draw: textures that it
# knows, what lies between two of them, and pictures that it never saw. At the end it starts from a picture instead of
# from noise. "The paper" is Kadkhodaie, Mallat & Simoncelli (2024), "Feature-guided score diffusion for sampling
# conditional densities". It shows the same in Fig. 7 (classes), Fig. 8 (between two classes) and Fig. 12 (from a
# picture).

# %% [markdown]
# **Predict** before you go on.
#
# 1. Ask for the features half-way between those of rocks and those of terrazzo. Is a sample *either* rocks *or*
#    terrazzo, by a coin? Or is it something between?
# 2. Ask for rocks and for terrazzo, and start both from the same noise. Have the two images anything in common?
# 3. Add noise to a picture of rocks, and remove it while you ask for another texture. What of the picture survives
#    longest, its coarse shapes or its fine ones?

# %% [markdown]
# **The symbols so far.**
#
# - $x$ is an image. Its values lie between 0 and 1.
# - $x_\sigma = x + \sigma z$ is the image with noise. The entries of $z$ are independent normal numbers, of mean 0
#   and sd (standard deviation) 1. $\sigma$ is the noise level.
# - $\phi(x)$ are the features of $x$: 432 channels of the network, each averaged over all positions.
# - $\phi_y$ is the mean of $\phi$ over the images of a class $y$, here a texture.
# - $m_y$ and $\Sigma_y$ are the mean and the covariance, over a class, of the mean colour of an image.
# - $s = \hat x - x_\sigma$ is what the network would add to $x_\sigma$ to denoise it; $\hat x$ is its guess of $x$.
#   Guided to $\phi_y$ it is $s(x_\sigma, \phi_y - \phi(x_\sigma))$.

# %% [markdown]
# **The sampler** is Algorithm 1 of the paper, which lesson 10 goes through line by line. It starts from noise of the
# level $\sigma_0 = 1$ around $m_y$. (The paper starts around the mean of all classes.) A step is
#
# $$x \leftarrow x + h\,s + \gamma z.$$
#
# It takes away the share $h = 0.3$ of the noise, whose level $\sigma$ is read from $s$ (lesson 4). New noise,
# $\gamma z$, puts so much back that $\sigma$ falls by the factor $1 - \beta h$, with $\beta = 0.3$. Below
# $\sigma_\infty = 0.01$ it ends, and returns $\hat x$ (`denoise_last`).

# %% [markdown]
# **The functions.**
#
# - `load_model()` (above) is the model that comes with the library. It was trained on 32 × 32 pixels, and for
#   a part on $x$ of 64 × 64. Its layers are convolutions and $\phi$ is a mean over positions. So images may be of
#   other sizes.
# - `model.condition(names)` returns a `Condition`: $\phi_y$, $m_y$ and $\Sigma_y$, a row for each name.
# - `sample_rows(network, condition, n, sampler, size)` draws $n$ images for every row, (rows, n, 3, height, width).
# - `sample` below calls it row by row, so that every row has the same noise. What differs down a column is due to
#   what was asked for.
# - `correlations(x)` gives the correlation over pixels of each pair of images, without their mean colours. It is 1
#   for images that are alike, about 0 for two that have nothing in common.


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


# %% [markdown]
# **Look** at the figure that the next cell draws, of 48 × 48 pixels each. A row is a texture, a column is a noise. Is
# every row one texture? Do the four images of a row differ?

# %%
few = ("grass_005", "rocks_004", "bricks_018", "terrazzo_017", "wood_032")
large = sample(model.condition(few), 4, size=48)
show(dict(zip(few, large, strict=True)), "classes", [f"noise {k + 1}" for k in range(4)])

# %% [markdown]
# **Seen.** Each row is one texture. Its images differ: the joints of the bricks run elsewhere each time.

# %% [markdown]
# **Between two classes.** Let $a$ be rocks and $b$ be terrazzo. For a share $\alpha$ from 0 to 1,
#
# $$(1 - \alpha)\,\phi_a + \alpha\,\phi_b$$
#
# is a list of 432 numbers, too: one can ask for it. `.between(alphas)` makes a `Condition` with a row for each
# $\alpha$; colours are mixed in the same way. We draw twelve images for each of five $\alpha$.

# %% [markdown]
# **What does a sample look like, in numbers?** `texture_statistics(x)` takes images, (n, 3, H, W), and returns 75
# numbers for each: its contrast, how strongly filters of several orientations respond, and correlations (after
# Portilla & Simoncelli). They know no network. Each is counted in units of its sd within a class.

# %% [markdown]
# **The place of a sample.** Let $t$ be the statistics of a sample, and $t_a$, $t_b$ their means over the samples of
# $a$ and of $b$. The place is how far $t$ has come on the line from $t_a$ to $t_b$:
#
# $$\text{place} = \frac{(t - t_a)\cdot(t_b - t_a)}{\|t_b - t_a\|^2}.$$
#
# It is 0 at $t_a$ and 1 at $t_b$. So its mean is 0 at $\alpha = 0$ and 1 at $\alpha = 1$, by definition.

# %% [markdown]
# **What would a coin do?** Say that at $\alpha = \frac12$ each sample were one of $a$ or one of $b$, by a coin. The
# mean place would be ½ as well, so the mean does not tell. The scatter does. The coin gives 0 or 1, each ½ away from
# the mean. That is a variance of ¼. Let $v$ be the variance of places within a class. It adds, so the sd would be
# $\sqrt{1/4 + v}$.
#
# Two more numbers are printed below. The *distance from the line*, as a share of its length: is the mean of the
# samples on the way, or beside it? And the *correlation* of an image of $a$ with one of $b$, from the same noise and
# from other noise.
#
# **Look** in the figure along a row: does one texture turn into the other, or does it jump? And are there spots that
# stay where they are?

# %%
alphas = torch.linspace(0, 1, 5)
between = sample(model.condition([few[1], few[3]]).between(alphas), 12)
statistics = torch.stack([texture_statistics(x) for x in between])
unit = statistics[[0, -1]].var(1).mean(0).sqrt()  # sd within a class, of each of the 75
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
# **Seen.** At $\alpha$ = ¼, ½, ¾ the mean places are 0.24, 0.50 and 0.77. At ½ they scatter by 0.03 only, where a
# coin has 0.50. The mean lies beside the line by 7 % of its length. So the first answer is: something between. (This
# is one pair of classes. Others were not measured here.)
#
# From the same noise the images of rocks and of terrazzo correlate by 0.52, from other noise by 0.00. So the second
# answer is yes: in both, bright and dark lie in much the same places. $\phi$ says *which* texture, the noise says
# *where*.

# %% [markdown]
# **Pictures that it never saw.** A $\phi$ can be read from any picture, of whatever class. We take ten textures that
# the library draws, with a seed of which the model saw none. The network is told nothing but their $\phi$ and their
# colour.
#
# - `draw_images(classes, size, color, seed)` draws them: a list of images for each name. `write_image` saves one.
# - `look_at(model, path, downscale)` reads a picture. It cuts it into patches, `.tiles`, and takes their mean $\phi$,
#   `.phi`.
# - `like([[shown]])` makes a `Condition` of that, with the colour of the patches.
#
# **Your own photograph** can be the eleventh. Set the environment variable `FGS_PHOTO` to its path (64 pixels a side
# or more). It heads the figure, and enters nothing else. `look_at` tries it at the scales 1 to 4 (2: every 2 × 2
# pixels averaged) and takes the one whose $\phi$ is nearest to what the model knows.

# %% [markdown]
# **How is it judged?** By the 75 statistics again. Each picture has its mean over patches, its samples have theirs.
# Are the samples nearest to *their* picture, or to another of the ten? By chance one of ten is.
#
# **Look** at the figure: on the left a patch of the picture, then four samples. Which rows are like their picture,
# and which are not?

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
# **Seen.** For 8 of the 10 pictures the samples are nearest to their own. The figure shows six of the ten. Spots,
# stripes and clouds come out. The slanted bricks have become more like stones.

# %% [markdown]
# **Starting from a picture.** Take a sample of rocks for the picture. Add $\sigma z$ to it, and let the sampler begin
# at that $\sigma$, guided by the $\phi_y$ of rocks, or by another. In code the picture takes the place of $m_y$ in
# the `Condition`. It has no $\Sigma_y$: the colour is left to the network.

# %% [markdown]
# **How much of the picture is in the start?** Let $\mathrm{sd}$ be the sd of the picture over its pixels. The
# correlation of the picture with its noisy copy is (exercise 1)
#
# $$\frac{\mathrm{sd}}{\sqrt{\mathrm{sd}^2 + \sigma^2}}.$$
#
# With the sd of this picture, 0.10, that is 0.89 at $\sigma = 0.05$ and 0.24 at $\sigma = 0.4$.

# %% [markdown]
# **Coarse shapes outlive fine ones.** Average the noise over $k \times k$ pixels. The mean of $k^2$ independent
# numbers of sd $\sigma$ has the sd $\sigma/\sqrt{k^2} = \sigma/k$. The mean of a shape that is $k$ pixels wide stays
# as it is. So the wider a shape, the less the noise hides it.
#
# **Look** at the figure. The first row is guided by the picture's own $\phi_y$: it shows what the noise alone costs.
# From left to right there is more noise in the start. In the other rows, what goes first, and what can still be seen
# at $\sigma = 0.2$?

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

# %% [markdown]
# **Seen.** At $\sigma = 0.1$ the grains of terrazzo already lie on the picture, but its bright corner and dark
# patches are where they were. At 0.2 they can still be made out in grass and in wood. At 0.8 only the texture that
# was asked for is to be seen. So the third answer is: the coarse ones.

# %% [markdown]
# **The last figure** has the numbers. On the left are the places of all samples against $\alpha$: do the dots lie
# near the line from 0 to 1? On the right is the correlation with the picture against the $\sigma$ of the start. The
# dashed curve is that of the noisy start itself. Which curves lie above it?

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

# %% [markdown]
# **Seen.** Left: places grow evenly with $\alpha$, with little scatter. Right: from $\sigma = 0.05$ nearly all is
# kept, 0.95 with its own $\phi$, 0.94 with the others (mean of three). From 0.4 its own $\phi$ has 0.41, more than
# the start itself (0.24): denoising takes away more noise than picture. The others have 0.14. What they lack to 0.41
# they have overwritten.
#
# **Does the claim hold?** Places must grow with $\alpha$, and not scatter as a coin's. The samples of six pictures or
# more must be nearest to their own. A start with $\sigma = 0.05$ must keep the picture, whatever $\phi$ is asked for;
# from 0.4 its own $\phi$ must keep more than the others.

# %%
along = bool((places.mean(1).diff() > 0).all()) and places[2].std() < coin - 0.1 and off < 0.3 and same > other + 0.1
told = along and nearest >= 6 and min(own[0], foreign[0]) > 0.8 and own[3] > foreign[3]
assert told, "along a line; like pictures never seen; coarse shapes last"
lesson.end()

# %% [markdown]
# **Exercises** (answers in `answers.md`)
#
# 1. Derive $\mathrm{sd}/\sqrt{\mathrm{sd}^2 + \sigma^2}$. At which $\sigma$ is it ½? Why may a denoised start
#    correlate more with the picture than that?
# 2. No training pair had $\phi$ at $\alpha = \frac12$. Why does it work, and why is $\phi_a + 1.5\,(\phi_b - \phi_a)$
#    less safe?
# 3. `fgs.Released(model.network, model.network, level)` has no $\phi$ below $\sigma$ = level (the paper's Fig. 13).
#    Pass it to `sample` as score, with $\phi_a$, then $\phi_b$. Up to which level does the mean place stay? What does
#    it not prove?
