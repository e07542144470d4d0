"""What `fgs evaluate` does with its options: measures, figures, `report.json` and `report.html`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fgs.checkpoints import CheckpointError
from fgs.console import as_option, fail, step_bar
from fgs.evaluation import COLUMNS, MATRIX_SIGMAS, Found, Subject, concentration, denoising, denoising_matrix
from fgs.evaluation import embedding as measure_embedding
from fgs.evaluation import samples as measure_samples
from fgs.files import atomic, output_folder
from fgs.models import load_model
from fgs.report import Section, Table, write_report
from fgs.runs import ContradictionError, patches_of
from fgs.sample_command import Request
from fgs.sampling import SISA, NotConvergingError
from fgs.unet import GuidedUNet


def evaluate(
    run: Path, data: Path | None, against: dict[str, Path], settings: dict[str, Any], out: Path, as_json: bool
) -> None:
    """Measure a trained run and write a report.

    Args:
        run: its folder.
        data: the images that it was trained on, if they have moved.
        against: runs to compare its denoising with, by name.
        settings: of `Request`, for the sampler.
        out: new folder.
        as_json: print `report.json` too.
    """
    try:
        request = Request(**settings)
        sampler = request.sampler()
        model = load_model(run)
        others = {name: load_model(path) for name, path in against.items()}
        patches = patches_of(run, data)
        if patches.classes != model.classes:
            raise ContradictionError("data: has other classes than the model")
        for name, other in others.items():
            if other.patch != model.patch or (other.targets is not None and other.classes != model.classes):
                raise ContradictionError(f"{name}: was trained on other classes or patches than the run")
    except CheckpointError as error:
        fail(f"RUN: {error}", 2)
    except ValueError as error:
        fail(as_option(error), 2)
    except OSError as error:
        fail(f"--data: {error.filename}: {error.strerror}", 2)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        fail(f"--out: {out} exists; name a new folder", 2)
    try:
        with output_folder(out):
            subject = Subject(model, patches, others, out)
            found = _measure(subject, request, sampler)
            _write_json(out / "report.json", found)
            write_report(out / "report.html", f"{run.name}", _lead(subject), _sections(found, out))
    except NotConvergingError as error:
        fail(f"sampling failed: {error}", 1)
    except OSError as error:
        fail(f"--out: cannot write into {out}: {error.strerror}; name another folder", 2)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(found, out)


def _measure(subject: Subject, request: Request, sampler: SISA) -> Found:
    """Make every measure that the model allows."""
    measures: dict[str, Callable[[Subject], Found]] = {"denoising": denoising}
    if subject.model.targets is not None:
        measures["matrix"] = denoising_matrix
    if isinstance(subject.model.network, GuidedUNet):
        measures |= {"concentration": concentration, "embedding": measure_embedding}
    found: Found = {}
    with step_bar(len(measures), "measures") as advance:
        for name, measure in measures.items():
            advance(name, 0)
            found[name] = measure(subject)
            advance(name, 1)
    if subject.model.targets is not None:
        total = sampler.planned_steps() * len(subject.model.classes) * request.n
        with step_bar(total, "image steps") as advance:
            found["samples"] = measure_samples(
                subject, sampler, request.n, request.seed, lambda images: advance("sampling", images)
            )
    return found


def _sections(found: Found, folder: Path) -> list[Section]:
    """Say what was found, in the order of the paper's figures."""
    sections = [_of_denoising(found["denoising"], folder)]
    if "matrix" in found:
        text = "Held-out patches (columns) denoised with φ of each class (rows): right on the diagonal."
        figures = {f"σ = {sigma:g}": folder / f"matrix-{sigma:g}.png" for sigma in MATRIX_SIGMAS}
        sections.append(Section("Denoising with every φ (Fig. 2)", text, [], figures))
    if "concentration" in found:
        sections.append(_of_concentration(found["concentration"], folder))
        sections.append(_of_embedding(found["embedding"], folder))
    if "samples" in found:
        sections.append(_of_samples(found["samples"], folder))
    return sections


def _of_denoising(found: Found, folder: Path) -> Section:
    rows = [[name, *curve] for name, curve in ({"noisy": found["noisy"]} | found["psnr"]).items()]
    rows.append(["residual of pure noise ÷ σ", *found["noise_residual"]])
    header = ["PSNR in dB", *(f"σ = {sigma:g}" for sigma in found["sigma"])]
    text = "Mean PSNR of held-out patches; the figure shows what each condition gains over none."
    return Section("Denoising (Fig. 3, left)", text, [Table(header, rows)], {"Gain in PSNR": folder / "denoising.png"})


def _of_concentration(found: Found, folder: Path) -> Section:
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


def _of_embedding(found: Found, folder: Path) -> Section:
    tables = [Table(["r", "A", "B"], [[found["r"], found["A"], found["B"]]])] if "r" in found else []
    text = (
        "Distance of two classes' densities (Eq. 7, from the network's own conditional scores) against the squared "
        "distance of their centroids; A and B are the slopes of Eq. 6, r is Pearson's correlation."
    )
    figures = {"Pairs of classes": folder / "embedding.png", "Closest and farthest": folder / "pairs.png"}
    return Section("Euclidean embedding (Fig. 5)", text, tables, figures)


def _of_samples(found: Found, folder: Path) -> Section:
    summary = Table(list(found["summary"]), [[f"{value:.3f}" for value in found["summary"].values()]])
    rows = [[name, *(of_class[key] for key in COLUMNS)] for name, of_class in found["classes"].items()]
    text = (
        f"{found['n']} samples a class in {found['steps']} steps. hit: share that a linear classifier on texture "
        "statistics takes for the class, beside that of held-out patches; distance: energy distance of the statistics, "
        "1 is that of held-out patches; diversity and contrast: 1 is that of real patches; memorised: 95th percentile "
        "of the largest correlation with any place trained on, beside that of held-out patches."
    )
    tables = [summary, Table(["class", *(key.replace("_", " ") for key in COLUMNS)], rows)]
    return Section("Samples", text, tables, {"Real patches and samples": folder / "samples.png"})


def _lead(subject: Subject) -> str:
    model, sizes = subject.model, subject.model.network.settings
    parameters = sum(weight.numel() for weight in model.network.parameters())
    return (
        f"{type(model.network).__name__} of {parameters:,} parameters, {sizes['channels']} channels, "
        f"{sizes['levels']} levels; "
        f"{len(model.classes)} classes, patches of {model.patch} × {model.patch}."
    )


def _write_json(path: Path, found: Found) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n")


def _print(found: Found, out: Path) -> None:
    """Print what matters most."""
    curves = found["denoising"]["psnr"]
    print("PSNR of held-out patches in dB, by the condition that the network is given")
    print("".join(f"{text:>15}" for text in ("σ", *curves)))
    for sigma, *values in zip(found["denoising"]["sigma"], *curves.values(), strict=True):
        print(f"{sigma:>15g}" + "".join(f"{value:>15.2f}" for value in values))
    if "samples" in found:
        print("samples: " + ", ".join(f"{name} {value:.2f}" for name, value in found["samples"]["summary"].items()))
    print(f"{out / 'report.html'}")
