"""What was found, in words, tables and figures, in the order of the paper's: Markdown, beside the figures it shows."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from fgs.common.files import write_text
from fgs.evaluation.denoising import Found
from fgs.evaluation.samples import COLUMNS, FEW
from fgs.images.model import Model
from fgs.images.samplers import HowToSample
from fgs.measures.statistics import SMALLEST

MARKUP = re.compile(r"[\\`*\[\]<>|&~$#]|(?<![^\W_])_|_(?![^\W_])")  # _ inside a word is none

Row = Sequence[str | float | None]
"""Cells: numbers are rounded to three digits after the point, None is a dash."""


class Section(NamedTuple):
    """A title, what to see there, the caption of its figure, and tables, the first row of each a header."""

    title: str
    text: str
    caption: str
    tables: Sequence[Sequence[Row]]


def write_report(path: Path, title: str, lead: str, sections: Iterable[str]) -> None:
    """Write the report, atomically; `lead` is a sentence under the title."""
    write_text(path, "\n\n".join([f"# {_literal(title)}", lead, *sections]) + "\n")


def describe(model: Model, how: HowToSample) -> str:
    """Say what is evaluated, and how it is sampled."""
    sizes, recipe, sampler = model.network.settings, model.recipe, how.build()
    parameters = sum(weight.numel() for weight in model.network.parameters() if weight.requires_grad)
    return (
        f"{type(model.network).__name__} of {parameters:,} parameters, {sizes['channels']} channels, "
        f"{sizes['levels']} levels; {len(model.classes)} classes, patches of {model.patch} × {model.patch} pixels, "
        f"images averaged by {recipe.downscale} × {recipe.downscale}. Samples: {sampler}, "
        f"σ from {sampler.sigma_0:g} to {sampler.sigma_inf:g}, around the mean gray or colour of what is asked for, "
        f"seed {how.seed}, products in {how.precision_on('cpu')}."
    )


def sections(found: Found, folder: Path, of: str) -> list[str]:
    """Make the sections of what was measured of some classes; `folder`, as the report sees it, holds their figures."""
    makers = {"denoising": _denoising, "concentration": _concentration, "embedding": _embedding}
    makers |= {"samples": _samples, "interpolation": _interpolation}
    pages = []
    for name in (name for name in makers if name in found):
        title, text, caption, tables = makers[name](found[name])
        figure = f"![{caption}]({(folder / name).as_posix()}.png)"
        pages.append("\n\n".join([f"## {title}: {of}", text, *map(_table, tables), figure, f"*{caption}*"]))
    return pages


def _table(rows: Sequence[Row]) -> str:
    lines = []
    for cells in rows:
        texts = ("—" if cell is None else _literal(cell) if isinstance(cell, str) else f"{cell:.3f}" for cell in cells)
        lines.append(f"| {' | '.join(texts)} |")
    return "\n".join([lines[0], "|---|" + "---:|" * (len(rows[0]) - 1), *lines[1:]])


def _literal(text: str) -> str:
    """Escape what Markdown would take for markup, as names of classes may hold anything."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def _denoising(found: Found) -> Section:
    rows = [[name, *curve] for name, curve in ({"noisy": found["noisy"]} | found["psnr"]).items()]
    header = ["PSNR in dB", *(f"σ = {sigma:g}" for sigma in found["sigma"])]
    text = "Mean PSNR of held-out patches; the figure shows what each condition gains over none."
    return Section("Denoising (Fig. 3, left)", text, "Gain in PSNR", [[header, *rows]])


def _concentration(found: Found) -> Section:
    header = ["block", "ratio, median pair", "ratio, worst pair", "nearest centroid"]
    text = (
        "Spread of φ of held-out patches about φ_y, along the line to another class, over the squared distance of the "
        "two: under 1, they are apart. Last column: share of these patches whose φ is nearest to that of their class."
    )
    rows = [[name, *layer.values()] for name, layer in found["layers"].items()]
    return Section("Concentration and separation (Fig. 4)", text, "Eq. 5 by block", [[header, *rows]])


def _embedding(found: Found) -> Section:
    fits = {"‖Δφ‖²": found, "2 ΔφᵀMΔφ": found["metric"]} if "metric" in found else {}
    rows = [[name, *(f"{fit[key]:.3g}" for key in ("r", "A", "B"))] for name, fit in fits.items()]
    text = (
        "Distance of two classes' densities (Eq. 7, from the network's own conditional scores) against the squared "
        "distance of their centroids; A and B are the slopes of Eq. 6, r is Pearson's correlation. M is the metric "
        "that the score has in φ (`fgs.feature_metric`), which predicts d² to first order."
    )
    tables = [[["distance", "r", "A", "B"], *rows]] if rows else []
    return Section("Euclidean embedding (Fig. 5)", text, "Pairs of classes", tables)


def _samples(found: Found) -> Section:
    names, summary = [name.replace("_", " ") for name in COLUMNS], found["summary"]
    text = (
        f"{found['n']} samples a class in {found['steps']} steps. {_left_out(found)}"
        "hit: share that a linear classifier on texture "
        "statistics takes for the class, beside that of held-out patches; distance: energy distance of the statistics "
        "to patches trained on, ÷ that of held-out patches, so that 1 is as good as these; "
        "diversity and contrast: 1 is that of real patches; "
        "memorised: 95th percentile of the largest correlation of a sample with any place trained on, beside that of "
        "held-out patches with the same places: much above these, look whether samples are copies, or the part held "
        "out is unlike the rest."
    )
    rows = [[name, *map(of_class.get, COLUMNS)] for name, of_class in found["classes"].items()]
    over_all = [["over all classes", *(name.replace("_", " ") for name in summary)], ["", *summary.values()]]
    return Section("Samples (Fig. 7)", text, "Real patches and samples", [over_all, [["class", *names], *rows]])


def _left_out(found: Found) -> str:
    """Say why there are dashes."""
    if "hit" not in found["summary"]:
        return f"Texture statistics are left out: they need {SMALLEST} pixels a side, and the patches have fewer. "
    flat = [name for name, of_class in found["classes"].items() if of_class["distance"] is None]
    why = "real patches are all alike there, so that there is nothing to divide a distance by. "
    return f"{', '.join(map(_literal, flat))}: {why}" if flat else ""


def _interpolation(found: Found) -> Section:
    header = ["from", "to", "distance of φ", *(f"α = {alpha:.2g}" for alpha in found["alphas"]), "monotone"]
    said = {True: "yes", False: "no"}
    rows = [[*line["pair"], line["distance"], *line["progress"], said[line["monotone"]]] for line in found["pairs"]]
    text = (
        f"{FEW} samples at each place between two classes: how far the mean of their texture statistics has come from "
        "the one (0) to the other (1). Pairs by their distance in φ."
    )
    return Section("Interpolation (Fig. 8)", text, "Between two classes", [[header, *rows]])
