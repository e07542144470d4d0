"""The look of every figure.

A method has one colour throughout, from the palette of Okabe & Ito, which colour-blind readers can tell apart.
"""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fgs.common.files import atomic

TRUTH = "#000000"
OTHER = "#9a9a9a"
COLOURS: Mapping[str, str] = {
    "exact": "#0072B2",
    "forcing": "#D55E00",
    "forcing_posterior": "#E69F00",
    "cfg1": "#56B4E9",
    "cfg4": "#56B4E9",
    "classifier": "#009E73",
    "mixture": OTHER,
    "learned": "#CC79A7",
    "learned_n1": "#CC79A7",
    "label": "#0072B2",
    "label_cfg1": "#56B4E9",
    "label_cfg4": "#56B4E9",
    "learned_mixture": OTHER,
    "self_offline": "#E69F00",
    "self_online": "#009E73",
}
CLASS_COLOURS = ("#E69F00", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#56B4E9", "#A0522D", "#F0E442")


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of so many inches that is drawn without a display, whatever the user's backend."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path, **how: object) -> None:
    """Write a figure, atomically; `how` is for `Figure.savefig`."""
    with atomic(path) as temporary:
        figure.savefig(temporary, **{"dpi": 130} | how)  # type: ignore[arg-type]
