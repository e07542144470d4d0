"""`fgs evaluate`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from fgs.commands.console import print_psnr, results_in, step_bar, usage_errors, warn_of
from fgs.commands.interface import make_command
from fgs.common.files import write_text
from fgs.common.options import Argument, Option, at_least
from fgs.common.text import json_text, strict
from fgs.evaluation import samples as of
from fgs.evaluation.denoising import Found, Subject, denoising
from fgs.evaluation.features import concentration, embedding
from fgs.evaluation.report import describe, sections, write_report
from fgs.images import Model, load_model
from fgs.images.config import ContradictionError, read_config
from fgs.images.samplers import HowToSample
from fgs.images.sources import patches_of, unseen_patches
from fgs.measures.statistics import SMALLEST
from fgs.networks import GuidedUNet

TRAINED, UNSEEN = "classes trained on", "classes never trained on"
SHOWN = 12  # classes of more that are measured
MANY = 24  # classes above which what takes ten times as long as samples, or grows with their pairs, is left out

_output = partial(Option, panel="Output")


@dataclass(frozen=True)
class Evaluate:
    """Measure a trained run: denoising, features, and samples against real patches."""

    run: Annotated[Path | None, Argument("Folder of a run, or a checkpoint; the model that ships if left out.")] = None
    data: Annotated[tuple[Path, ...], Option("Folder with the images trained on; that of the run if left out.")] = ()
    class_: Annotated[tuple[str, ...], Option("A class to measure; of many, twelve if left out.", flag="--class")] = ()
    unseen: Annotated[Path | None, Option("Folder of images to measure as classes, but for those trained on.")] = None
    n: Annotated[int, Option("Samples of each class.", panel="How")] = 64
    how: HowToSample = field(default_factory=HowToSample)
    out: Annotated[Path, _output("New folder for report.md, report.json and figures.")] = Path("evaluation")
    json: Annotated[bool, _output("Print report.json only.")] = False

    def __post_init__(self) -> None:
        at_least(self, n=2)  # one has no spread


def evaluate(asked: Evaluate) -> None:
    """Measure a trained model and write a report."""
    with usage_errors():
        asked.how.build()  # what is wrong with it is said before anything is read
        model = load_model(asked.run)
        subjects = _subjects(asked, model)
    with results_in(asked.out) as out:
        found: dict[str, Found] = {}
        for title, subject in subjects.items():
            subject = replace(subject, folder=out / subject.folder)
            subject.folder.mkdir(exist_ok=True)
            found[title] = strict(_measure(subject, asked))
        everything = found.get(TRAINED, {}) | ({"unseen": found[UNSEEN]} if UNSEEN in found else {})
        write_text(out / "report.json", json_text(everything) + "\n")
        pages = [page for name, part in found.items() for page in sections(part, subjects[name].folder, name)]
        title = asked.run.name if asked.run else "The model that ships"
        write_report(out / "report.md", title, describe(model, asked.how), pages)
    if asked.json:
        print(json_text(everything))
    else:
        _print(found, out)


def _subjects(asked: Evaluate, model: Model) -> dict[str, Subject]:
    """Return what is evaluated, with folders for its figures: classes trained on, where they are, and unseen ones."""
    if model.recipe.clusters and (asked.class_ or not asked.unseen):
        raise ContradictionError("RUN: its classes were found and have no names; measure it on others, by --unseen DIR")
    data = None if model.recipe.clusters else asked.data or _folders(asked.run, model, needed=not asked.unseen)
    if asked.class_ and data is None:
        raise ValueError("class: names classes trained on; add --data DIR with their images, or leave it out")
    subjects: dict[str, Subject] = {}
    bank = None
    if data is not None:
        trained = model.only(model.trained_on)
        count = len(trained.classes)
        few = trained.classes[:: -(-count // SHOWN)] if data and count > MANY else trained.classes
        chosen = trained.only(tuple(dict.fromkeys(asked.class_)) or few)
        subjects[TRAINED] = Subject(chosen, patches_of(chosen, data), Path())
        bank = (trained, patches_of(trained, data)) if asked.unseen else None
    if asked.unseen:
        if not isinstance(model.network, GuidedUNet):
            raise ContradictionError("unseen: is for runs of --guidance features")
        unseen, skipped = unseen_patches(replace(model.recipe, device="cpu"), asked.unseen, model.trained_on)
        warn_of(skipped)
        subjects[UNSEEN] = Subject(model.showing(unseen), unseen, Path("unseen"), bank=bank)
    return subjects


def _folders(run: Path | None, model: Model, needed: bool) -> list[Path] | None:
    """Return where the images of a run were when it was started, nothing if they are synthetic, None if unknown."""
    if not model.recipe.data:
        return []
    if run is None or not run.is_dir():
        if not needed:
            return None
        raise ValueError("data: name the folder of the images that the model was trained on")
    return [Path(stored) for stored in read_config(run).recipe.data]


def _measure(subject: Subject, asked: Evaluate) -> Found:
    """Make every measure that the subject allows, with bars."""
    found: Found = {}
    guided, classes = isinstance(subject.model.network, GuidedUNet), len(subject.model.classes)
    measures: dict[str, Callable[[Subject], Found]] = {"denoising": denoising}
    measures |= {"concentration": concentration} if guided and classes > 1 else {}
    measures |= {"embedding": embedding} if guided and 1 < classes <= MANY else {}
    with step_bar(len(measures), "measures") as advance:
        for name, measure in measures.items():
            advance(name, 0)
            found[name] = measure(subject)
            advance(name, 1)
    if subject.model.targets is None:
        return found
    judged = subject.patches.patch >= SMALLEST  # smaller ones can be looked at, but not judged
    sampled: dict[str, tuple[Callable[[of.Judged], Found], int]] = {"samples": (of.samples, asked.n * classes)}
    if judged and guided and classes > 1:
        images = of.FEW * of.ALPHAS * min(of.PAIRS, classes * (classes - 1) // 2)
        sampled["interpolation"] = (of.interpolation, images)
    calls = asked.how.build().planned_steps() * sum(images for _, images in sampled.values())
    with step_bar(calls, "image steps") as advance:
        judge = of.fit_judge(subject.patches, max(of.ENOUGH, asked.n)) if judged else None
        for name, (draw, _) in sampled.items():
            found[name] = draw(of.Judged(subject, judge, asked.how, asked.n, partial(advance, name)))
    return found


def _print(found: Mapping[str, Found], out: Path) -> None:
    """Print what matters most."""
    for title, part in found.items():
        print_psnr(part["denoising"]["sigma"], part["denoising"]["psnr"], f" of {title}")
        summary = part.get("samples", {}).get("summary", {})
        if summary:
            print("samples: " + ", ".join(f"{k} {value:.2f}" for k, value in summary.items() if value is not None))
    print(f"{out / 'report.md'}")


command = make_command(Evaluate, evaluate)
