"""The pictures of `fgs toy`: the true conditional density against the samples of every method, and trajectories."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fgs.common.files import atomic
from fgs.figures import COLOURS, OTHER, TRUTH, new_figure, save_figure
from fgs.noise import seeded
from toy.drawing import SAMPLES, draw_toy_start
from toy.experiment import Block, ToyResult
from toy.geometry import ClassAxis, nearest_distance
from toy.judge import Row
from toy.methods import build_method
from toy.mixture import GaussianMixture

Array = NDArray[np.float64]
SHOWN = 4000  # samples of a scatter panel
PATHS, DRAWN = 40, 250  # trajectories of the animation, and about how many steps of them are drawn


class Panel(NamedTuple):
    """One histogram or scatter: title, line below it, samples (N,) or (N, 2), colour, and a truth if it has its own."""

    title: str
    note: str
    samples: Array
    colour: str
    truth: "Truth | None" = None


class Truth(NamedTuple):
    """What the panels are compared with.

    Attributes:
        grid: (G,) positions along the class direction, in units of λ from the mean of the class.
        target: (G,) density of the class there.
        mixture: (G,) density of the whole mixture there.
        points: (N, 2) true samples for scatter panels, None for histograms.
    """

    grid: Array
    target: Array
    mixture: Array
    points: Array | None


def panel_grid(
    path: Path, blocks: Mapping[str, Sequence[Panel]], truth: Truth, title: str, xlabel: str, columns: int = 4
) -> None:
    """Write a figure of panels, true density (black) against samples (colour).

    The blocks have panels in the same order: panel i of each stands below panel i of the one before.
    """
    longest = max(len(panels) for panels in blocks.values())
    rows = [
        (name, panels[first : first + columns])
        for first in range(0, longest, columns)
        for name, panels in blocks.items()
    ]
    columns = max(len(panels) for _, panels in rows)
    figure = new_figure(max(2.5 * columns + 0.5, 5), 1.9 * len(rows) + 0.8)
    axes = figure.subplots(len(rows), columns, squeeze=False, sharex=True, sharey=True)
    for row_axes, (name, panels) in zip(axes, rows, strict=True):
        for axis in row_axes[len(panels) :]:
            axis.set_visible(False)
        for axis, panel in zip(row_axes, panels, strict=False):
            (_histogram if truth.points is None else _scatter)(axis, panel, panel.truth or truth)
            axis.set_title(f"{panel.title}\n{panel.note}", fontsize=8)
        row_axes[0].set_ylabel(name, fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel(xlabel, fontsize=8)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path, dpi=150)


def _histogram(axis: Axes, panel: Panel, truth: Truth) -> None:
    bins = np.linspace(truth.grid[0], truth.grid[-1], 81).tolist()
    weights = np.full(len(panel.samples), 1 / (max(1, len(panel.samples)) * (bins[1] - bins[0])))
    axis.fill_between(truth.grid, truth.mixture, color=OTHER, alpha=0.25, lw=0)
    axis.hist(panel.samples, bins=bins, weights=weights, color=panel.colour, alpha=0.75)
    axis.plot(truth.grid, truth.target, color=TRUTH, lw=1)
    axis.set_ylim(0, 1.8 * float(truth.target.max()))  # a sample set that collapsed to a spike is cut, and seen to be
    axis.set_xlim(truth.grid[0], truth.grid[-1])
    axis.set_yticks([])
    axis.tick_params(labelsize=7)


def _scatter(axis: Axes, panel: Panel, truth: Truth) -> None:
    assert truth.points is not None
    axis.plot(*truth.points.T, ".", ms=1.5, mew=0, color=TRUTH, alpha=0.5)
    axis.plot(*panel.samples.T, ".", ms=1.5, mew=0, color=panel.colour)
    axis.set_aspect("equal", adjustable="box")
    axis.tick_params(labelsize=7)


def save_panels(result: ToyResult, path: Path) -> None:
    """Write one row of panels for each block: histograms along u, or for d = 2 scatter plots."""
    scatter = result.judge.mixture.d == 2
    blocks = {
        f"β = {block.sampler.beta:g}": [_panel(result, block, name, scatter) for name in block.rows if name != "true"]
        for block in result.blocks
    }
    config = result.config
    title = (
        f"{config.components} Gaussians in d = {config.dim}, {config.separation:g}λ apart: samples of class "
        f"{config.target} (colour), "
        + ("true ones (black)" if scatter else "its true density (black), the mixture (grey)")
    )
    xlabel = "(x − m) / λ" if scatter else "u·(x − m) / λ"
    panel_grid(path, blocks, _truth(result, scatter), title, xlabel)


def save_animation(result: ToyResult, path: Path) -> None:
    """Write a GIF of trajectories, unguided mixture against guided, in which the classes part (Fig. 1)."""
    judge, block = result.judge, result.blocks[0]
    sampler = replace(block.sampler, denoise_last=False)
    panels = []
    sigma = np.zeros(0)
    for name in ("mixture", "forcing"):
        method = build_method(name, judge.mixture, judge.target, sampler)
        generator = seeded(result.config.seed, SAMPLES, 0)
        x = draw_toy_start(judge.target, judge.mixture, PATHS, sampler, generator)
        steps = list(sampler.iterate(method.score, x, method.phi, generator))
        steps = steps[:: max(1, len(steps) // DRAWN)]
        paths = torch.stack([_along(result, step.x) for step in steps])
        sigma = torch.stack([step.sigma.mean() for step in steps]).numpy()
        panels.append((method.label, COLOURS[name], paths.numpy()))
    means = _along(result, judge.mixture.means).numpy()
    trajectory_gif(path, sigma, panels, means, judge.target, "u·(x − m) / λ")


def _panel(result: ToyResult, block: Block, name: str, scatter: bool) -> Panel:
    row = block.rows[name]
    if name not in block.samples:
        return Panel(row.label, "did not converge", np.zeros((0, 2) if scatter else 0), COLOURS[name])
    x = block.samples[name]
    shown = _scaled(result, x[:SHOWN]) if scatter else _along(result, x).numpy()
    return Panel(row.label, _note(row), shown, COLOURS[name])


def _note(row: Row) -> str:
    ratio = row.distance_over_floor or 0.0
    return f"sd {row.sd:.2f} λ, W1 {ratio:{'.2f' if ratio < 10 else '.0f'}}× floor"


def along(mixture: GaussianMixture, y: int, axis: ClassAxis, x: Tensor) -> Tensor:
    """Return positions (N,) of x along u, from the mean of class y, in units of λ."""
    return (x - mixture.means[y]) @ axis.u / axis.width


def density(mixture: GaussianMixture, y: int, axis: ClassAxis, sigma: float, points: Array | None = None) -> Truth:
    """Return the densities of class y and of the mixture at noise level σ along u, as far as the nearest classes."""
    centres = along(mixture, y, axis, mixture.means)
    reach = nearest_distance(mixture.means, y) / axis.width if mixture.K > 1 else 0.0
    edges = [side * ((reach if bool((side * centres > 0.5).any()) else 0.0) + 6.0) for side in (-1, 1)]
    grid = torch.linspace(edges[0], edges[1], 800, dtype=axis.u.dtype)
    variances = (axis.u @ mixture.covariances @ axis.u + sigma**2) / axis.width**2
    bells = (-((grid[:, None] - centres) ** 2) / (2 * variances)).exp() / (2 * math.pi * variances).sqrt()
    target = (-(grid**2) / 2).exp() / math.sqrt(2 * math.pi)
    return Truth(grid.numpy(), target.numpy(), (bells @ mixture.weights).numpy(), points)


def _along(result: ToyResult, x: Tensor) -> Tensor:
    judge = result.judge
    return along(judge.mixture, judge.target, judge.axis, x)


def _scaled(result: ToyResult, x: Tensor) -> Array:
    scaled: Array = ((x - result.judge.mixture.means[result.judge.target]) / result.judge.axis.width).numpy()
    return scaled


def _truth(result: ToyResult, scatter: bool) -> Truth:
    judge = result.judge
    points = _scaled(result, judge.true[:SHOWN]) if scatter else None
    return density(judge.mixture, judge.target, judge.axis, judge.sigma_inf, points)


def trajectory_gif(
    path: Path,
    sigma: Array,
    panels: Sequence[tuple[str, str, Array]],
    means: Array,
    target: int,
    ylabel: str,
    seconds: float = 6.0,
) -> None:
    """Write a GIF in which paths grow from noise (left) to samples (right), one panel a method, as in Fig. 1.

    Args:
        path: where to write.
        sigma: (steps,) noise level at each step.
        panels: title and colour of each method, and its (steps, n) positions along the class direction in units of λ.
        means: (K,) class means, drawn as lines, in the units of the paths.
        target: the class that is asked for.
        ylabel: label of the paths' axis.
        seconds: how long it plays.
    """
    figure = new_figure(4.2 * len(panels), 3.6)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    low, high = means.min(), means.max()
    margin = max(6.0, 0.5 * (high - low))
    axes[0].set_ylim(low - margin, high + margin)
    axes[0].set_ylabel(ylabel, fontsize=9)
    paths, marks = [], []
    for axis, (title, colour, lines) in zip(axes, panels, strict=True):
        axis.set(xscale="log", xlim=(sigma[0], sigma[-1]))
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("noise level σ", fontsize=9)
        paths.append(axis.plot(sigma, lines, color=colour, lw=0.7, alpha=0.6, animated=True))
        for y, mean in enumerate(means):
            style = {"color": TRUTH, "ls": "-"} if y == target else {"color": OTHER, "ls": ":"}
            marks.append(axis.axhline(mean, lw=1.2, animated=True, **style))

    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(90)
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)  # axes and labels are drawn once, the paths for every frame
    frames = []
    for end in np.linspace(1, len(sigma), 50).astype(int):
        canvas.restore_region(background)
        for (*_, positions), lines in zip(panels, paths, strict=True):
            for line, path_of_one in zip(lines, positions.T, strict=True):
                line.set_data(sigma[:end], path_of_one[:end])
                figure.draw_artist(line)
        for mark in marks:
            figure.draw_artist(mark)
        frames.append(Image.fromarray(np.array(canvas.buffer_rgba())).convert("RGB"))
    durations = [1000 * seconds / len(frames)] * (len(frames) - 1) + [2000]  # ms; the last picture stays a while
    with atomic(path) as temporary:
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=durations, loop=0)
