"""Every figure of the library; nothing else but lessons imports matplotlib.

A method has one colour throughout, from the palette of Okabe & Ito, which colour-blind readers can tell apart.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from fgs.files import atomic

Array = NDArray[np.float64]

TRUTH = "#000000"
OTHER = "#9a9a9a"
COLOURS: Mapping[str, str] = {
    "exact": "#0072B2",
    "forcing": "#D55E00",
    "forcing_posterior": "#E69F00",
    "forcing_constant": "#A0522D",
    "forcing_power": "#A0522D",
    "cfg1": "#56B4E9",
    "cfg4": "#56B4E9",
    "classifier": "#009E73",
    "classifier_clean": "#009E73",
    "mixture": OTHER,
}


class Panel(NamedTuple):
    """One histogram or scatter: its title, a line below it, the samples (N,) or (N, 2), and a colour."""

    title: str
    note: str
    samples: Array
    colour: str


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
    """Write a figure of panels, true density (black) against samples (colour), a few rows for each named block."""
    rows = [
        (name, panels[first : first + columns])
        for name, panels in blocks.items()
        for first in range(0, len(panels), columns)
    ]
    columns = max(len(panels) for _, panels in rows)
    figure = _figure(max(2.5 * columns + 0.5, 5), 1.9 * len(rows) + 0.8)
    axes = figure.subplots(len(rows), columns, squeeze=False, sharex=True, sharey=True)
    for row_axes, (name, panels) in zip(axes, rows, strict=True):
        for axis in row_axes[len(panels) :]:
            axis.set_visible(False)
        for axis, panel in zip(row_axes, panels, strict=False):
            (_histogram if truth.points is None else _scatter)(axis, panel, truth)
            axis.set_title(f"{panel.title}\n{panel.note}", fontsize=8)
        row_axes[0].set_ylabel(name, fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel(xlabel, fontsize=8)
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


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


class Trajectories(NamedTuple):
    """Paths of one method: its title and colour, and (steps, n) positions along the class direction in units of λ."""

    title: str
    colour: str
    paths: Array


def trajectory_gif(
    path: Path,
    sigma: Array,
    panels: Sequence[Trajectories],
    means: Array,
    target: int,
    ylabel: str,
    seconds: float = 6.0,
) -> None:
    """Write a GIF in which paths grow from noise (left) to samples (right), one panel a method, as in Fig. 1.

    Args:
        path: where to write.
        sigma: (steps,) noise level at each step.
        panels: the methods.
        means: (K,) class means, drawn as lines, in the units of the paths.
        target: the class that is asked for.
        ylabel: label of the paths' axis.
        seconds: how long it plays.
    """
    figure = _figure(4.2 * len(panels), 3.6)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    low, high = means.min(), means.max()
    margin = max(6.0, 0.5 * (high - low))
    axes[0].set_ylim(low - margin, high + margin)
    axes[0].set_ylabel(ylabel, fontsize=9)
    paths, marks = [], []
    for axis, panel in zip(axes, panels, strict=True):
        axis.set(xscale="log", xlim=(sigma[0], sigma[-1]))
        axis.set_title(panel.title, fontsize=10)
        axis.set_xlabel("noise level σ", fontsize=9)
        paths.append(axis.plot(sigma, panel.paths, color=panel.colour, lw=0.7, alpha=0.6, animated=True))
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
        for panel, lines in zip(panels, paths, strict=True):
            for line, path_of_one in zip(lines, panel.paths.T, strict=True):
                line.set_data(sigma[:end], path_of_one[:end])
                figure.draw_artist(line)
        for mark in marks:
            figure.draw_artist(mark)
        frames.append(Image.fromarray(np.array(canvas.buffer_rgba())).convert("RGB"))
    durations = [1000 * seconds / len(frames)] * (len(frames) - 1) + [2000]  # ms; the last picture stays a while
    with atomic(path) as temporary:
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=durations, loop=0)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # draw without a display, whatever the user's backend
    return figure


def _save(figure: Figure, path: Path) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=150)
