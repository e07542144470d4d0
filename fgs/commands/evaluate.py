"""`fgs evaluate`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from fgs.commands.console import results_in, step_bar, usage_errors, warn_of
from fgs.commands.interface import make_command
from fgs.common.files import write_text
from fgs.common.options import Argument, Option, at_least
from fgs.common.text import json_text, strict
from fgs.evaluation import (
    Found,
    Subject,
    describe,
    images_of,
    measure_samples,
    measures_of,
    sections,
    write_report,
)
from fgs.images import Model, Patches, load_model
from fgs.images.config import ContradictionError, read_config
from fgs.images.model import load_companion
from fgs.images.reading import find_classes
from fgs.images.run import patches_of, read_patches
from fgs.images.samplers import HowToSample
from fgs.networks import GuidedUNet
from fgs.sampling import StepByStep

_against, _output = (partial(Option, panel=panel) for panel in ("Against", "Output"))


@dataclass(frozen=True)
class Evaluate:
    """Measure a trained run: denoising, features, and samples against real patches.

    Raises:
        ValueError: an option is out of range; the message begins with its name.
    """

    run: Annotated[Path | None, Argument("Folder of a run, or a checkpoint; the model that ships if left out.")] = None
    data: Annotated[Path | None, Option("Folder with the images trained on; that of the run if left out.")] = None
    unconditional: Annotated[Path | None, _against("Run of --guidance none.")] = None
    label: Annotated[Path | None, _against("Run of --guidance label: labels and CFG.")] = None
    single: Annotated[Path | None, _against("Run of --guidance none on one class alone.")] = None
    unseen: Annotated[Path | None, _against("Folder of images; classes trained on are passed over.")] = None
    n: Annotated[int, Option("Samples of each class.", panel="How")] = 64
    how: HowToSample = field(default_factory=HowToSample)
    out: Annotated[Path, _output("New folder for report.html, report.json and figures.")] = Path("evaluation")
    json: Annotated[bool, _output("Print report.json only.")] = False

    def __post_init__(self) -> None:
        at_least(self, n=2)  # one has no spread

    def companions(self) -> dict[str, Path]:
        """Return the runs that are named, by option."""
        named = {"unconditional": self.unconditional, "label": self.label, "single": self.single}
        return {name: path for name, path in named.items() if path}


def evaluate(asked: Evaluate) -> None:
    """Measure a trained model and write a report."""
    with usage_errors():
        sampler = asked.how.build()
        model = load_model(asked.run)
        patches = patches_of(model, asked.data or _folder(asked.run, model))
        models = _companions(model, asked.companions())
        if asked.unseen and not isinstance(model.network, GuidedUNet):
            raise ContradictionError("unseen: is for runs of --guidance features")
        unseen = _unseen(model, asked.unseen) if asked.unseen else None
    with results_in(asked.out) as out:
        found = strict(_measure(Subject(model, patches, out, **models, unseen=unseen), asked, sampler))
        write_text(out / "report.json", json_text(found) + "\n")
        title = asked.run.name if asked.run else "The model that ships"
        write_report(out / "report.html", title, describe(model, sampler, asked.how.seed), sections(found, out))
    if asked.json:
        print(json_text(found))
    else:
        _print(found, out)


def _folder(run: Path | None, model: Model) -> Path | None:
    """Return where the images of a run were when it was started; None if they are synthetic."""
    if model.recipe.data is None:
        return None
    if run is None or not run.is_dir():
        raise ValueError("data: name the folder of the images that the model was trained on")
    stored = read_config(run).recipe.data
    return Path(stored) if stored else None


def _companions(model: Model, paths: Mapping[str, Path]) -> dict[str, Model]:
    """Load what the model is held against.

    Raises:
        ContradictionError: it was trained on something else; the message begins with the option.
    """
    if "single" in paths and model.targets is None:
        raise ContradictionError("single: is sampled beside classes, and the run was trained without")
    models = {name: load_companion(name, path) for name, path in paths.items()}
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
    return models


def _unseen(model: Model, folder: Path) -> Patches:
    """Read images of classes that the model does not know, by name, prepared as those that it was trained on."""
    if not folder.is_dir():
        raise ValueError(f"unseen: {folder} is no folder; name one that holds images")
    try:
        names = tuple(name for name in find_classes(folder)[0] if name not in model.classes)
        if not names:
            raise ValueError(f"data: {folder} has no class that the model does not know")
        recipe = replace(model.recipe, data=str(folder), class_=names, guidance="none", device="cpu")
        patches, _, skipped = read_patches(recipe)
    except ValueError as error:
        raise ValueError(f"unseen: {str(error).partition(': ')[2]}") from None
    warn_of(skipped)
    return patches


def _measure(subject: Subject, asked: Evaluate, sampler: StepByStep) -> Found:
    """Make every measure that the subject allows, with bars."""
    found: Found = {}
    measures = measures_of(subject)
    with step_bar(len(measures), "measures") as advance:
        for name, measure in measures.items():
            advance(name, 0)
            found[name] = measure(subject)
            advance(name, 1)
    calls = sampler.planned_steps() * sum(images_of(subject, asked.n).values())
    with step_bar(calls, "image steps") as advance:
        return found | measure_samples(subject, sampler, asked.n, asked.how.seed, advance)


def _print(found: Found, out: Path) -> None:
    """Print what matters most."""
    curves = found["denoising"]["psnr"]
    print("PSNR of held-out patches in dB, by the condition that the network is given")
    print("".join(f"{text:>15}" for text in ("σ", *curves)))
    for sigma, *values in zip(found["denoising"]["sigma"], *curves.values(), strict=True):
        print(f"{sigma:>15g}" + "".join(f"{value:>15.2f}" for value in values))
    summary = found.get("samples", {}).get("summary", {})
    if summary:
        print("samples: " + ", ".join(f"{name} {value:.2f}" for name, value in summary.items() if value is not None))
    print(f"{out / 'report.html'}")


command = make_command(Evaluate, evaluate)
