"""The pictures of `fgs toy`: the true conditional density against the samples of every method, and trajectories."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from fgs.figures import COLOURS, OTHER, TRUTH, new_figure, save_figure
from toy.experiment import Block, ToyResult
from toy.geometry import ClassAxis, nearest_distance
from toy.mixture import GaussianMixture

Array = NDArray[np.float64]


class Panel(NamedTuple):
    """One histogram: title, line below it, samples (N,), colour, and a truth if it has its own."""

    title: str
    note: str
    samples: Array
    colour: str
    truth: "Truth | None" = None


class Truth(NamedTuple):
    """What the panels are compared with."""

    grid: Array  # (G,) positions along the class direction, in units of λ from the mean of the class
    target: Array  # (G,) density of the class there
    mixture: Array  # (G,) density of the whole mixture there


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
            _histogram(axis, panel, panel.truth or truth)
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


def save_panels(result: ToyResult, path: Path) -> None:
    """Write one row of panels for each block: histograms along u."""
    blocks = {
        f"β = {block.sampler.beta:g}": [_panel(result, block, name) for name in block.rows if name != "true"]
        for block in result.blocks
    }
    config, judge = result.config, result.judge
    title = (
        f"{config.components} Gaussians in d = {config.dim}, {config.separation:g}λ apart: samples of class "
        f"{config.target} (colour), its true density (black), the mixture (grey)"
    )
    truth = density(judge.mixture, judge.target, judge.axis, judge.sigma_inf)
    panel_grid(path, blocks, truth, title, "u·(x − m) / λ")


def _panel(result: ToyResult, block: Block, name: str) -> Panel:
    row, judge = block.rows[name], result.judge
    if name not in block.samples:
        return Panel(row.label, "did not converge", np.zeros(0), COLOURS[name])
    shown, ratio = along(judge.mixture, judge.target, judge.axis, block.samples[name]), row.distance_over_floor or 0.0
    note = f"sd {row.sd:.2f} λ, W1 {ratio:{'.2f' if ratio < 10 else '.0f'}}× floor"
    return Panel(row.label, note, shown.numpy(), COLOURS[name])


def along(mixture: GaussianMixture, y: int, axis: ClassAxis, x: Tensor) -> Tensor:
    """Return positions (N,) of x along u, from the mean of class y, in units of λ."""
    return (x - mixture.means[y]) @ axis.u / axis.width


def density(mixture: GaussianMixture, y: int, axis: ClassAxis, sigma: float) -> Truth:
    """Return the densities of class y, and of the mixture at noise level σ, along u, as far as the nearest classes.

    The mixture needs a σ, since another class may have no width along u.
    """
    centres = along(mixture, y, axis, mixture.means)
    reach = nearest_distance(mixture.means, y) / axis.width if mixture.K > 1 else 0.0
    edges = [side * ((reach if bool((side * centres > 0.5).any()) else 0.0) + 6.0) for side in (-1, 1)]
    grid = torch.linspace(edges[0], edges[1], 800, dtype=axis.u.dtype)
    variances = (axis.u @ mixture.covariances @ axis.u + sigma**2) / axis.width**2
    bells = (-((grid[:, None] - centres) ** 2) / (2 * variances)).exp() / (2 * math.pi * variances).sqrt()
    target = (-(grid**2) / 2).exp() / math.sqrt(2 * math.pi)
    return Truth(grid.numpy(), target.numpy(), (bells @ mixture.weights).numpy())
