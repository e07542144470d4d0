"""What was found, in words and tables, in the order of the paper's figures: the sections of a report."""

from pathlib import Path

from fgs.evaluation.denoising import Found
from fgs.evaluation.page import Section, Table
from fgs.evaluation.samples import COLUMNS, FEW
from fgs.images.model import Model
from fgs.images.samplers import HowToSample
from fgs.measures.statistics import SMALLEST


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


def sections(found: Found, folder: Path, of: str) -> list[Section]:
    """Make the sections of what was measured of some classes; the figures are in the folder."""
    makers = {"denoising": _denoising, "concentration": _concentration, "embedding": _embedding}
    makers |= {"samples": _samples, "interpolation": _interpolation}
    made = [make(found[name], folder) for name, make in makers.items() if name in found]
    return [section._replace(title=f"{section.title}: {of}") for section in made]


def _denoising(found: Found, folder: Path) -> Section:
    rows = [[name, *curve] for name, curve in ({"noisy": found["noisy"]} | found["psnr"]).items()]
    header = ["PSNR in dB", *(f"σ = {sigma:g}" for sigma in found["sigma"])]
    text = "Mean PSNR of held-out patches; the figure shows what each condition gains over none."
    return Section("Denoising (Fig. 3, left)", text, [Table(header, rows)], {"Gain in PSNR": folder / "denoising.png"})


def _concentration(found: Found, folder: Path) -> Section:
    header = ["block", "ratio, median pair", "ratio, worst pair", "nearest centroid"]
    rows = [
        [name, layer["ratio_median"], layer["ratio_worst"], layer["nearest_centroid"]]
        for name, layer in found["layers"].items()
    ]
    text = (
        "Variance of φ(x) within a class, along the line to another class, over the squared distance of the centroids: "
        "under 1, they are apart. Last column: share of held-out patches whose φ is nearest to that of their class."
    )
    figures = {"Eq. 5 by block": folder / "concentration.png"}
    return Section("Concentration and separation (Fig. 4)", text, [Table(header, rows)], figures)


def _embedding(found: Found, folder: Path) -> Section:
    fits = {"‖Δφ‖²": found, "2 ΔφᵀMΔφ": found["metric"]} if "metric" in found else {}
    rows = [[name, *(f"{fit[key]:.3g}" for key in ("r", "A", "B"))] for name, fit in fits.items()]
    tables = [Table(["distance", "r", "A", "B"], rows)] if rows else []
    text = (
        "Distance of two classes' densities (Eq. 7, from the network's own conditional scores) against the squared "
        "distance of their centroids; A and B are the slopes of Eq. 6, r is Pearson's correlation. M is the metric "
        "that the score has in φ (`fgs.feature_metric`), which predicts d² to first order."
    )
    figures = {"Pairs of classes": folder / "embedding.png"}
    return Section("Euclidean embedding (Fig. 5)", text, tables, figures)


def _samples(found: Found, folder: Path) -> Section:
    rows = [[name, *map(of_class.get, COLUMNS)] for name, of_class in found["classes"].items()]
    text = (
        f"{found['n']} samples a class in {found['steps']} steps. {_left_out(found)}"
        "hit: share that a linear classifier on texture "
        "statistics takes for the class, beside that of held-out patches; distance: energy distance of the statistics "
        "to patches trained on, ÷ that of held-out patches, so that 1 is as good as these; "
        "diversity and contrast: 1 is that of real patches; "
        "memorised: 95th percentile of the largest correlation with any place trained on, beside that of held-out "
        "patches; elsewhere: that of places trained on with others, which share no pixel with them."
    )
    tables = [
        Table(["over all classes", *map(_words, found["summary"])], [["", *found["summary"].values()]]),
        Table(["class", *map(_words, COLUMNS)], rows),
    ]
    figures = {"Real patches and samples": folder / "samples.png"}
    return Section("Samples (Fig. 7)", text, tables, figures)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _left_out(found: Found) -> str:
    """Say why there are dashes."""
    if "hit" not in found["summary"]:
        return f"Texture statistics are left out: they need {SMALLEST} pixels a side, and the patches have fewer. "
    flat = [name for name, of_class in found["classes"].items() if of_class["distance"] is None]
    if not flat:
        return ""
    return f"{', '.join(flat)}: real patches are all alike there, so that there is nothing to divide a distance by. "


def _interpolation(found: Found, folder: Path) -> Section:
    header = ["from", "to", "distance of φ", *(f"α = {alpha:.2g}" for alpha in found["alphas"]), "monotone"]
    rows = [
        [*line["pair"], line["distance"], *line["progress"], "yes" if line["monotone"] else "no"]
        for line in found["pairs"]
    ]
    text = (
        f"{FEW} samples at each place between two classes: how far the mean of their texture statistics has come from "
        "the one (0) to the other (1). Pairs by their distance in φ."
    )
    figures = {"Between two classes": folder / "interpolation.png"}
    return Section("Interpolation (Fig. 8)", text, [Table(header, rows)], figures)
