"""The figure of `sampling.py`: quality against network calls, a panel a group of cases and a curve a sampler."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from fgs.figures import OTHER, new_figure, save_figure

STYLES: Mapping[str, tuple[str, str]] = {
    "SISA": ("#000000", "-"),
    "SISA, σ estimated": ("#000000", "--"),
    "few steps": ("#56B4E9", "-"),
    "multi-step": ("#D55E00", "-"),
    "multi-step, Langevin": ("#D55E00", ":"),
    "multi-step, β = 1": ("#D55E00", "--"),
    "velocity, Euler": ("#009E73", "-"),
    "velocity, Heun": ("#009E73", "--"),
}
"""Colour by sampler, after Okabe & Ito; dashed where it is a variant of the same."""

REFERENCE = "#0072B2"
TICKS = (0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200)  # of the distances

Curve = Sequence[tuple[float, float]]
"""(calls, distance ÷ floor) each."""


class Panel(NamedTuple):
    """What is drawn of a group of cases.

    Attributes:
        curves: by the name of the sampler.
        reference: name, calls and distance ÷ floor of a sampler of many calls, if there is one.
    """

    curves: Mapping[str, Curve]
    reference: tuple[str, float, float] | None = None


def quality_figure(panels: Mapping[str, Panel], path: Path) -> None:
    """Draw the panels in a row.

    Args:
        panels: by title.
        path: file to write, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    figure = new_figure(1 + 3.4 * len(panels), 4.6)
    handles: dict[str, Line2D] = {}
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, panel) in zip(all_axes, panels.items(), strict=True):
        handles |= _draw(axes, panel)
        axes.set(title=title, xlabel="network calls a sample", xscale="log", yscale="log")
        _set_ticks(axes, panel)
    all_axes[0].set_ylabel("distance ÷ floor")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    save_figure(figure, path)


def _draw(axes: Axes, panel: Panel) -> dict[str, Line2D]:
    """Draw the curves, the floor and the reference, and return the line of each sampler."""
    lines = {}
    for name, curve in panel.curves.items():
        colour, dashes = STYLES.get(name, (OTHER, "-"))
        x, quality = zip(*curve, strict=True)
        [lines[name]] = axes.plot(x, quality, dashes, color=colour, marker="o", lw=1.5, ms=3.5)
    axes.axhline(1, color=OTHER, lw=1)
    if panel.reference:
        name, calls, distance = panel.reference
        axes.axhline(distance, color=REFERENCE, lw=1, ls="-.")
        label = f"–·– {name}, {calls:.0f} calls"
        axes.text(0.03, 0.02, label, transform=axes.transAxes, fontsize=7, color=REFERENCE)
    return lines


def _set_ticks(axes: Axes, panel: Panel) -> None:
    """Mark plain numbers, and of the calls as many as there is room for."""
    low, high = axes.get_ylim()
    ticks = [t for t in TICKS if low <= t <= high]
    axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
    spread: list[int] = []
    for calls in sorted({round(c) for curve in panel.curves.values() for c, _ in curve}, reverse=True):
        if not spread or spread[-1] >= 1.35 * calls:
            spread.append(calls)
    axes.set_xticks(spread, [str(c) for c in spread])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
