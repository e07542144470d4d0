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
    "learned": "#CC79A7",
    "learned_n1": "#CC79A7",
    "label": "#0072B2",
    "label_cfg1": "#56B4E9",
    "label_cfg4": "#56B4E9",
    "learned_mixture": OTHER,
}
FEW = 3  # single paths drawn of each class
CLASS_COLOURS = ("#E69F00", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#56B4E9", "#A0522D", "#F0E442")


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
    figure = _figure(max(2.5 * columns + 0.5, 5), 1.9 * len(rows) + 0.8)
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


class FeaturePaths(NamedTuple):
    """Sampling seen in a plane of the feature space (Fig. 1, right).

    Attributes:
        unguided: (steps, n, 2) paths of φ(x_σ) without guidance.
        guided: for each class (steps, n, 2), guided towards it.
        centroids: (K, 2).
        clean: for each class (n, 2), φ(x) of its samples.
    """

    unguided: Array
    guided: Sequence[Array]
    centroids: Array
    clean: Sequence[Array]


class Distances(NamedTuple):
    """d² of pairs of densities against ‖φ_y − φ_y'‖² (Fig. 5): a title, both (pairs,), the slopes A and B, a colour."""

    title: str
    features: Array
    densities: Array
    slopes: tuple[float, float]
    colour: str


def embedding_figure(path: Path, paths: FeaturePaths, distances: Sequence[Distances]) -> None:
    """Write the trajectories in feature space, and beside them the distances of the densities."""
    figure = _figure(5.2 + 3.6 * len(distances), 4.4)
    axes = figure.subplots(1, 1 + len(distances), squeeze=False, width_ratios=[5.2, *[3.6] * len(distances)])[0]
    _draw_paths(axes[0], paths)
    for axis, pairs in zip(axes[1:], distances, strict=True):
        _draw_distances(axis, pairs)
    _save(figure, path)


def _draw_paths(axis: Axes, paths: FeaturePaths) -> None:
    """Draw the mean path of each class thick, some paths thin."""
    for y, (guided, clean) in enumerate(zip(paths.guided, paths.clean, strict=True)):
        colour = CLASS_COLOURS[y % len(CLASS_COLOURS)]
        axis.plot(*guided[:, :FEW].transpose(2, 0, 1), color=colour, lw=0.5, alpha=0.5)
        axis.plot(*guided.mean(1).T, color=colour, lw=2)
        axis.plot(*clean.T, ".", ms=2, mew=0, color=colour)
        axis.plot(*paths.centroids[y], "o", ms=8, mec=TRUTH, mfc=colour, label=f"class {y}", zorder=5)
    axis.plot(*paths.unguided[:, :FEW].transpose(2, 0, 1), color=TRUTH, lw=0.5, alpha=0.6, zorder=4)
    axis.plot([], [], color=TRUTH, lw=0.8, label="unguided")
    axis.legend(fontsize=7, ncols=3)
    axis.set_title("φ(x_σ) on the way from noise to the centroids (discs)\nthick: mean over samples", fontsize=9)
    axis.set_xlabel("first axis of the centroids", fontsize=8)
    axis.set_ylabel("second axis", fontsize=8)
    axis.tick_params(labelsize=7)


def _draw_distances(axis: Axes, pairs: Distances) -> None:
    reach = 1.08 * float(pairs.features.max())
    for slope, name in zip(pairs.slopes, "AB", strict=True):
        axis.plot([0, reach], [0, slope * reach], color=OTHER, lw=1)
        axis.annotate(name, (0.9 * reach, slope * 0.9 * reach), fontsize=8, ha="center", annotation_clip=True)
    axis.plot(pairs.features, pairs.densities, "o", ms=5, mec="white", mew=0.5, color=pairs.colour)
    axis.set(xlim=(0, reach), ylim=(0, 1.15 * float(pairs.densities.max())))
    axis.set_title(pairs.title, fontsize=9)
    axis.set_xlabel("‖φ_y − φ_y′‖²", fontsize=8)
    axis.set_ylabel("d²(p_y, p_y′)", fontsize=8)
    axis.tick_params(labelsize=7)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # draw without a display, whatever the user's backend
    return figure


def _save(figure: Figure, path: Path) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=150)
