"""Figures of images and of what was measured on them: grids, films, curves."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from PIL import Image
from torch import Tensor

from fgs.files import atomic


def image_grid(rows: Mapping[str, Tensor], columns: Sequence[str], title: str, path: Path) -> None:
    """Draw rows of images under the names of their columns.

    Args:
        rows: (columns, C, H, W) in [0, 1] by the name of the row, C = 1 or 3; rows may be shorter.
        columns: names, one for each image of a row.
        title: above all.
        path: file to write, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    figure = Figure(figsize=(1.3 + 1.5 * len(columns), 0.9 + 1.5 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes_of_row, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, image in zip(axes_of_row, images.detach().clamp(0, 1).cpu().double().numpy(), strict=False):
            axes.set_axis_on()
            axes.imshow(image[0] if len(image) == 1 else image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        label = "\n".join(fill(line, 14) for line in name.replace("_", " ").split("\n"))
        axes_of_row[0].set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center")
    for axes, column in zip(grid[0], columns, strict=True):
        axes.set_title(fill(column.replace("_", " "), 18), fontsize=8)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120, bbox_inches="tight", pad_inches=0.1)  # long names reach out


def film(frames: Iterable[Tensor], path: Path, columns: int, zoom: int = 3, milliseconds: int = 80) -> None:
    """Write a GIF that shows several images side by side as they change; its last frame stays for two seconds.

    Args:
        frames: (N, C, H, W) in [0, 1] each.
        path: file to write, atomically.
        columns: images in a row.
        zoom: screen pixels of a pixel.
        milliseconds: that a frame is shown.

    Raises:
        OSError: the file cannot be written.
    """
    pictures = [Image.fromarray(_mosaic(frame, columns, zoom)) for frame in frames]
    times = [milliseconds] * (len(pictures) - 1) + [2000]
    with atomic(path) as temporary:
        pictures[0].save(temporary, save_all=True, append_images=pictures[1:], duration=times, loop=0)


def _mosaic(images: Tensor, columns: int, zoom: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """Lay (N, C, H, W) in [0, 1] out in rows with white gaps between: (height, width) or (height, width, 3)."""
    gap = 2
    rows = -(-len(images) // columns)
    C, H, W = images.shape[1:]
    canvas = torch.ones(C, rows * (H + gap) - gap, columns * (W + gap) - gap)
    for number, image in enumerate(images.cpu()):
        top, left = number // columns * (H + gap), number % columns * (W + gap)
        canvas[:, top : top + H, left : left + W] = image
    large = canvas.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)
    array = (255 * large.clamp(0, 1)).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return array[:, :, 0] if C == 1 else array


NAMES = {"right": "right class", "wrong": "wrong class", "none": "no condition"}
COLOURS = {"right": "#0072B2", "wrong": "#D55E00", "none": "#000000"}
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # after Okabe & Ito, which colour-blind readers can tell apart


def curves(found: Mapping[str, Sequence[float]], x: Sequence[float], xlabel: str, ylabel: str, path: Path) -> None:
    """Draw a curve for each name over x, on a logarithmic axis."""
    figure, axes = _axes()
    others = iter(OTHERS)
    for name, y in found.items():
        colour = COLOURS.get(name) or next(others)
        axes.plot(x, y, "o-", color=colour, lw=1.5, ms=4, label=NAMES.get(name, name))
    axes.set_xscale("log")
    axes.set_xticks(list(x), [f"{value:g}" for value in x])
    axes.minorticks_off()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(fontsize=8)
    _save(figure, path)


def dots(found: Mapping[str, Sequence[float]], names: Sequence[str], ylabel: str, path: Path) -> None:
    """Draw a dot for each name of each measure, on a logarithmic axis."""
    figure, axes = _axes()
    for (measure, values), colour, marker in zip(found.items(), ("#0072B2", "#D55E00"), "os", strict=False):
        axes.plot(range(len(names)), values, marker, color=colour, ms=6, label=measure.replace("_", ", "))
    axes.set_yscale("log")
    axes.axhline(1, color="#9a9a9a", lw=1)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.set_ylabel(ylabel)
    axes.legend(fontsize=8)
    _save(figure, path)


def scatter(
    points: Sequence[tuple[float, float]],
    slopes: Mapping[str, float],
    labels: tuple[str, str],
    path: Path,
    scale: str = "log",
) -> None:
    """Draw points, and lines of the slopes given by name.

    Args:
        points: (x, y) each.
        slopes: of lines through the origin.
        labels: of the axes.
        path: file to write, atomically.
        scale: of both axes, "log" or "linear".
    """
    figure, axes = _axes()
    x, y = np.array(points).T
    axes.plot(x, y, "o", color="#0072B2", ms=4, mec="white", mew=0.3)
    axes.set(xlabel=labels[0], ylabel=labels[1], xscale=scale, yscale=scale)
    if scale == "log":
        for axis, values in ((axes.xaxis, x), (axes.yaxis, y)):
            axis.set_ticks(_round_numbers(values.min(), values.max()))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(NullLocator())
    for name, slope in slopes.items():
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, slope * ends, color="#9a9a9a", lw=1)
        axes.annotate(name, (ends[1], slope * ends[1]), fontsize=8)
    _save(figure, path)


def _round_numbers(low: float, high: float) -> list[float]:
    """Return the numbers 1, 2 and 5 times a power of ten from low to high, or the powers alone if those are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if len(powers) <= 4 else (1,)
    return [digit * 10.0**power for power in powers for digit in digits]


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _save(figure: Figure, path: Path) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=130)
