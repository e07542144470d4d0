"""Charts of what was measured: curves over the noise level, dots by name, scatter plots."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import NullLocator

from fgs.figures.style import OTHER, new_figure, save_figure

SIZE = (5.6, 3.8)  # inches
NAMES = {"right": "right class", "wrong": "wrong class", "none": "no condition"}
COLOURS = {"right": "#0072B2", "wrong": "#D55E00", "none": "#000000"}


def curves(found: Mapping[str, Sequence[float]], x: Sequence[float], xlabel: str, ylabel: str, path: Path) -> None:
    """Draw a curve for each name over x, on a logarithmic axis."""
    figure = new_figure(*SIZE)
    axes = figure.subplots()
    for name, y in found.items():
        axes.plot(x, y, "o-", color=COLOURS[name], lw=1.5, ms=4, label=NAMES[name])
    axes.set_xscale("log")
    axes.set_xticks(list(x), [f"{value:g}" for value in x])
    axes.minorticks_off()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(fontsize=8)
    save_figure(figure, path)


def dots(found: Mapping[str, Sequence[float]], names: Sequence[str], ylabel: str, path: Path) -> None:
    """Draw a dot for each name of each measure, on a logarithmic axis."""
    figure = new_figure(*SIZE)
    axes = figure.subplots()
    for (measure, values), colour, marker in zip(found.items(), ("#0072B2", "#D55E00"), "os", strict=False):
        axes.plot(range(len(names)), values, marker, color=colour, ms=6, label=measure.replace("_", ", "))
    axes.set_yscale("log")
    axes.axhline(1, color=OTHER, lw=1)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.set_ylabel(ylabel)
    axes.legend(fontsize=8)
    save_figure(figure, path)


def scatter(
    points: Sequence[tuple[float, float]], slopes: Mapping[str, float], labels: tuple[str, str], path: Path
) -> None:
    """Draw points (x, y), and lines through the origin of the slopes given by name, on logarithmic axes."""
    figure = new_figure(*SIZE)
    axes = figure.subplots()
    shown = [point for point in points if min(point) > 0]  # a logarithm has no place for 0
    x, y = np.array(shown or [(1.0, 1.0)]).T
    axes.plot(x, y, "o" if shown else "", color="#0072B2", ms=4, mec="white", mew=0.3)
    axes.set(xlabel=labels[0], ylabel=labels[1], xscale="log", yscale="log")
    for axis, values in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.set_ticks(_round_numbers(values.min(), values.max()))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    for name, slope in slopes.items():
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, slope * ends, color=OTHER, lw=1)
        axes.annotate(name, (ends[1], slope * ends[1]), fontsize=8)
    save_figure(figure, path)


def _round_numbers(low: float, high: float) -> list[float]:
    """Return the numbers 1, 2 and 5 times a power of ten from low to high, or the powers alone if those are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if len(powers) <= 4 else (1,)
    return [digit * 10.0**power for power in powers for digit in digits]
