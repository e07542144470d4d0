"""What `fgs evaluate` does with its options: measures, figures, `report.json` and `report.html`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fgs.checkpoints import CheckpointError
from fgs.console import as_option, fail, must_be_new, step_bar, warn_of
from fgs.data import Patches
from fgs.evaluation import Found, Subject, concentration, denoising, denoising_matrix, embedding
from fgs.files import atomic, output_folder
from fgs.images import find_classes
from fgs.models import Model, load_companion, load_model
from fgs.quality import ENOUGH, TextureJudge
from fgs.report import write_report
from fgs.runs import ContradictionError, patches_of, read_config, read_patches
from fgs.sample_command import Request
from fgs.sampled import (
    ALPHAS,
    FEW,
    LARGE,
    OMEGAS,
    PAIRS,
    RELEASES,
    Judged,
    interpolation,
    release,
    samples,
    single_class,
    unseen,
    ways,
)
from fgs.sampling import NotConvergingError, StepByStep
from fgs.sections import describe, sections
from fgs.statistics import SMALLEST
from fgs.unet import GuidedUNet

FEWEST = 2  # samples of a class, which have a spread


@dataclass(frozen=True)
class Company:
    """What a model is held against, each if given.

    Attributes:
        unconditional: network of the mixture.
        label: network given labels.
        single: network of one class alone.
        unseen: images of classes that were never trained on.
    """

    unconditional: Model | None = None
    label: Model | None = None
    single: Model | None = None
    unseen: Patches | None = None


def evaluate(
    run: Path | None,
    data: Path | None,
    against: Mapping[str, Path | None],
    settings: dict[str, Any],
    out: Path,
    as_json: bool,
) -> None:
    """Measure a trained model and write a report.

    Args:
        run: folder of a run or a checkpoint; None is the model that ships.
        data: folder of the images that it was trained on; that of the run if left out.
        against: "unconditional", "label", "single": runs to compare with; "unseen": a folder of other images.
        settings: of `Request`, for the sampler.
        out: new folder.
        as_json: print `report.json` only.
    """
    try:
        request = Request(**settings)
        sampler = request.build_sampler()
        if request.n < FEWEST:
            raise ValueError(f"n: must be at least {FEWEST}, got {request.n}")
        model = load_model(run)
        if model.targets is not None and model.patch < SMALLEST:
            raise ValueError(f"RUN: has patches of {model.patch} pixels; texture statistics need {SMALLEST}")
        patches = patches_of(model, data or _folder(run, model))
        company = _company(model, against)
    except CheckpointError as error:
        fail(f"RUN: {error}", 2)
    except ValueError as error:
        fail(as_option(error), 2)
    except OSError as error:
        fail(f"--data: {error.filename}: {error.strerror}", 2)
    must_be_new(out)
    try:
        with output_folder(out):
            subject = Subject(model, patches, company.unconditional, company.label, out)
            found = _measure(subject, company, request, sampler)
            with atomic(out / "report.json") as temporary:
                temporary.write_text(json.dumps(found, indent=2) + "\n")
            title = run.name if run else "The model that ships"
            write_report(out / "report.html", title, describe(model, sampler, request.seed), sections(found, out))
    except NotConvergingError as error:
        fail(f"sampling failed: {error}", 1)
    except OSError as error:
        fail(f"--out: cannot write into {out}: {error.strerror}; name another folder", 2)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(found, out)


def _folder(run: Path | None, model: Model) -> Path | None:
    """Return where the images of a run were when it was started; None if they are synthetic."""
    if model.recipe.data is None:
        return None
    if run is None or not run.is_dir():
        raise ValueError("data: name the folder of the images that the model was trained on")
    stored = read_config(run)[0].data
    return Path(stored) if stored else None


def _company(model: Model, against: Mapping[str, Path | None]) -> Company:
    """Load what the model is held against.

    Raises:
        ContradictionError: it was trained on something else; the message begins with the option.
    """
    if against.get("single") and model.targets is None:
        raise ContradictionError("single: is sampled beside classes, and the run was trained without")
    if against.get("unseen") and not isinstance(model.network, GuidedUNet):
        raise ContradictionError("unseen: is for runs of --guidance features")
    models = {name: load_companion(name, path) for name, path in against.items() if path and name != "unseen"}
    for name, other in models.items():
        alike = set(other.hashes.items()) <= set(model.hashes.items())
        sizes = all(getattr(other.recipe, name) == getattr(model.recipe, name) for name in ("patch", "held_out"))
        if not alike or not sizes or (name == "label" and other.classes != model.classes):
            raise ContradictionError(f"{name}: was trained on other images or patches than the run")
        if name == "single" and len(other.classes) != 1:
            raise ContradictionError(f"single: was trained on {len(other.classes)} classes; name a run of one")
        if name == "unconditional" and other.targets is not None:
            raise ContradictionError("unconditional: was trained with a condition; name a run of --guidance none")
        if name == "label" and (other.targets is None or isinstance(other.network, GuidedUNet)):
            raise ContradictionError("label: was trained without labels; name a run of --guidance label")
    folder = against.get("unseen")
    return Company(**models, unseen=_unseen(model, folder) if folder else None)


def _unseen(model: Model, folder: Path) -> Patches:
    """Read images of classes that the model does not know, by name, prepared as those that it was trained on."""
    if not folder.is_dir():
        raise ValueError(f"unseen: {folder} is no folder; name one that holds images")
    try:
        names = [name for name in find_classes(folder) if name not in model.classes]
        if not names:
            raise ValueError(f"data: {folder} has no class that the model does not know")
        recipe = replace(model.recipe, data=str(folder), class_=names, guidance="none", device="cpu")
        patches, _, skipped = read_patches(recipe)
    except ValueError as error:
        raise ValueError(f"unseen: {str(error).partition(': ')[2]}") from None
    warn_of(skipped)
    return patches


def _measure(subject: Subject, company: Company, request: Request, sampler: StepByStep) -> Found:
    """Make every measure that the model and its company allow."""
    measures: dict[str, Callable[[Subject], Found]] = {"denoising": denoising}
    guided = isinstance(subject.model.network, GuidedUNet)
    if subject.model.targets is not None:
        measures["matrix"] = denoising_matrix
    if guided:
        measures |= {"concentration": concentration, "embedding": embedding}
    found: Found = {}
    with step_bar(len(measures), "measures") as advance:
        for name, measure in measures.items():
            advance(name, 0)
            found[name] = measure(subject)
            advance(name, 1)
    if subject.model.targets is None:
        return found
    images = _images(subject, company, request.n, guided)
    judge = TextureJudge.fit(subject.patches, max(ENOUGH, request.n))
    with step_bar(sampler.planned_steps() * sum(images.values()), "image steps") as advance:
        for name in images:
            judged = Judged(subject, judge, sampler, request.n, request.seed, partial(advance, name))
            found[name] = _of_samples(name, judged, company)
    return found


def _images(subject: Subject, company: Company, n: int, guided: bool) -> dict[str, int]:
    """Return how many images each measure of samples needs."""
    classes = len(subject.model.classes)
    images = {"samples": (n + LARGE) * classes}
    if guided or company.label:
        images["ways"] = n * classes * (guided + (1 + len(OMEGAS)) * bool(company.label))
    if company.single:
        images["single"] = n
    if guided:
        images["release"] = FEW * classes * (1 + len(RELEASES))
        images["interpolation"] = FEW * ALPHAS * min(PAIRS, classes * (classes - 1) // 2)
    if guided and company.unseen:
        images["unseen"] = FEW * len(company.unseen.classes)
    return images


def _of_samples(name: str, judged: Judged, company: Company) -> Found:
    if name == "ways":
        return ways(judged, company.label)
    if name == "single" and company.single:
        return single_class(judged, company.single)
    if name == "unseen" and company.unseen:
        return unseen(judged, company.unseen)
    measures = {"samples": samples, "release": release, "interpolation": interpolation}
    return measures[name](judged)


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
