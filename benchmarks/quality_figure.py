"""The figure of `fgs bench sampling`: quality against network calls, a panel a group of cases and a curve a sampler."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from fgs.common.files import atomic
from fgs.figures.charts import OTHER

STYLES: Mapping[str, tuple[str, str]] = {
    "SISA": ("#000000", "-"),
    "SISA, σ estimated": ("#000000", "--"),
    "few steps": ("#56B4E9", "-"),
    "multi-step": ("#D55E00", "-"),
    "multi-step, Langevin": ("#D55E00", ":"),
    "multi-step, β = 1": ("#D55E00", "--"),
    "Heun": ("#009E73", "-"),
    "Heun, β = 1": ("#009E73", "--"),
}
"""Colour by sampler, after Okabe & Ito; dashed where it is a variant of the same."""

Curve = Sequence[tuple[float, float]]
"""(calls, distance ÷ floor) each."""


def quality_figure(
    panels: Mapping[str, tuple[Mapping[str, Curve], tuple[str, float, float] | None]], path: Path
) -> None:
    """Draw the panels in a row.

    Args:
        panels: by title, the curves by the name of the sampler, and if there is one the name of the reference, its
            calls and its distance.
        path: file to write, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    figure = Figure(figsize=(1 + 3.4 * len(panels), 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    handles = {}
    for axes, (title, (curves, reference)) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for name, curve in curves.items():
            colour, dashes = STYLES.get(name, (OTHER, "-"))
            x, quality = zip(*curve, strict=True)
            handles[name] = axes.plot(x, quality, dashes, color=colour, marker="o", lw=1.5, ms=3.5)[0]
        axes.axhline(1, color=OTHER, lw=1)
        axes.set(title=title, xlabel="network calls a sample", xscale="log", yscale="log")
        if reference:
            name, calls_of, distance = reference
            axes.axhline(distance, color="#0072B2", lw=1, ls="-.")
            label = f"–·– {name}, {calls_of:.0f} calls"
            axes.text(0.03, 0.02, label, transform=axes.transAxes, fontsize=7, color="#0072B2")
        low, high = axes.get_ylim()
        ticks = [t for t in (0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200) if low <= t <= high]
        axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
        spread: list[int] = []
        for calls in sorted({round(c) for curve in curves.values() for c, _ in curve}, reverse=True):
            if not spread or spread[-1] >= 1.35 * calls:
                spread.append(calls)
        axes.set_xticks(spread, [str(c) for c in spread])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
    figure.axes[0].set_ylabel("distance ÷ floor")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=130)
