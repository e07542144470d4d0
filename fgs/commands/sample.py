"""`fgs sample`."""

import re
import sys
import time
import webbrowser
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from fgs.commands.console import results_in, step_bar, usage_errors
from fgs.commands.interface import make_command
from fgs.common.files import atomic
from fgs.common.options import Argument, Option, at_least, require
from fgs.common.text import json_text
from fgs.composition import AllOf, AnyOf, Superposition
from fgs.figures import contact_sheet, image_grid
from fgs.guidance import Released
from fgs.images import Model, load_model
from fgs.images.conditions import Condition, sample_composed, sample_rows
from fgs.images.model import LARGEST
from fgs.images.reading import write_image
from fgs.images.samplers import HowToSample
from fgs.images.shown import Shown, is_no_texture, like, look_at
from fgs.protocols import ProjectedScore
from fgs.sampling import SISA, StepByStep

COLUMNS = 8  # of the grid
SMALLEST = 16  # pixels a side
LONGEST = 200  # bytes of a file's name, to which more is added
AT_ONCE = 16  # classes that are sampled where none is named
COMPOSED = 96  # calls of --or and --and: they follow log p along the path, by steps that must be small
FEW_CALLS = 12  # of the network, for a sample of every class

_what, _output = (partial(Option, panel=panel) for panel in ("What", "Output"))


@dataclass(frozen=True)
class Sample:
    """Sample images of a class, like an image, or between two classes (Algorithm 1).

    Raises:
        ValueError: an option is out of range, or two exclude each other; the message begins with its name.
    """

    run: Annotated[Path | None, Argument("Folder of a run, or a checkpoint; the model that ships if left out.")] = None
    class_: Annotated[tuple[str, ...], _what("A class; may be repeated. All, or some, if unsaid.", flag="--class")] = ()
    like: Annotated[tuple[Path, ...], _what("An image to sample the like of; may be repeated: φ is averaged.")] = ()
    like_each: Annotated[tuple[Path, ...], _what("An image to sample the like of; each has its own row.")] = ()
    or_: Annotated[tuple[str, ...], _what("With --class: samples of either; may be repeated.", flag="--or")] = ()
    and_: Annotated[tuple[str, ...], _what("With --class: samples as likely of both.", flag="--and")] = ()
    between: Annotated[tuple[str, str] | None, _what("Go from a class to another (Fig. 8).", metavar="A B")] = None
    alphas: Annotated[int, _what("Places on the way of --between, both ends included.")] = 5
    unguided: Annotated[bool, _what("Sample the mixture (Algorithm 3).")] = False
    list_: Annotated[bool, _what("Name the classes, and draw one sample of each in 12 calls.", flag="--list")] = False
    n: Annotated[int, _what("Images of each.")] = 4
    size: Annotated[int | None, _what("Pixels a side; as trained on if left out.")] = None
    start: Annotated[Path | None, _what("Start at this image with noise --sigma added (Fig. 12).")] = None
    sigma: Annotated[float | None, _what("Noise level to start --start at.")] = None
    downscale: Annotated[int | None, _what("Average blocks of --like and --start; as known best if unsaid.")] = None
    release_at: Annotated[float | None, Option("Noise level below which guidance ends (Fig. 13).", panel="How")] = None
    how: HowToSample = field(default_factory=HowToSample)
    out: Annotated[Path, _output("New folder for grid.png, the images and samples.npz.")] = Path("samples")
    open: Annotated[bool, _output("Show the grid when it is drawn.")] = False
    json: Annotated[bool, _output("Print JSON only.")] = False

    def __post_init__(self) -> None:
        asked = [name for name in ("class_", "like", "like_each", "between", "unguided") if getattr(self, name)]
        if len(asked) > 1:
            raise ValueError(f"{asked[1]}: give only one of --class, --like, --like-each, --between and --unguided")
        if composed := [name for name in ("or_", "and_") if getattr(self, name)]:
            if len(self.class_) != 1 or len(composed) == 2 or self.release_at:
                raise ValueError(f"{composed[0]}: give one --class, and --or or --and, and no --release-at")
            if self.how.beta is not None or self.how.sampler != HowToSample.sampler:
                raise ValueError(f"{composed[0]}: has a sampler of its own, of β = .5; leave out --sampler and --beta")
        if self.list_ and (asked or self.start):
            raise ValueError("list_: is of all classes; leave out what to sample")
        at_least(self, n=1, alphas=2, downscale=1)
        if (self.start is None) != (self.sigma is None):
            raise ValueError(f"{'sigma' if self.sigma else 'start'}: --start and --sigma go together; give both")
        for name in ("sigma", "release_at"):
            value, end = getattr(self, name), self.how.sigma_end
            require(self, name, value is None or end < value <= 1, f"must lie in (sigma_end = {end}, 1]")
        if self.downscale is not None and not (self.like or self.like_each or self.start):
            raise ValueError("downscale: is for the pictures of --like and --start; leave it out")


def sample(asked: Sample) -> None:
    """Sample a model, and write a grid, single images and an array."""
    with usage_errors():
        sampler = _sampler(asked)
        model = load_model(asked.run)
        if asked.list_ and not asked.how.steps and asked.how.sampler != "sisa":
            sampler = replace(asked.how, steps=FEW_CALLS).build()
        labels, condition = rows_of(model, asked)
        condition, size = _start(model, asked, condition)
        score: ProjectedScore = model.network
        if asked.release_at is not None:
            if condition.phi is None:
                raise ValueError("release_at: there is no guidance that could end; leave it out")
            score = Released(score, score, asked.release_at)
            condition = condition._replace(covariance=None)  # the mean would go on guiding
        score = asked.how.cast(score)
    begin, n = time.perf_counter(), 1 if asked.list_ else asked.n
    with results_in(asked.out) as out:
        with step_bar(sampler.planned_steps() * len(labels) * n, "image steps") as advance:
            told = partial(advance, "sampling")
            if isinstance(sampler, Superposition):
                x = sample_composed(score, condition, n, sampler, size, asked.how.seed, told)
            else:
                x = sample_rows(score, condition, n, sampler, size, asked.how.seed, told)
        seconds = time.perf_counter() - begin
        if asked.list_:
            contact_sheet(dict(zip(labels, x[:, 0], strict=True)), out / "classes.png")
        else:
            _write(out, labels, x)
    if asked.open:
        webbrowser.open((asked.out / ("classes.png" if asked.list_ else "grid.png")).resolve().as_uri())
    if asked.json:
        about = {"folder": str(out), "model": str(asked.run or "shipped"), "seed": asked.how.seed, "rows": labels}
        name = "superposition" if isinstance(sampler, Superposition) else asked.how.sampler
        about |= {"n": n, "size": list(size), "sampler": name}
        about |= {"beta": getattr(sampler, "beta", asked.how.chosen_beta)}
        about |= {"h": sampler.h if isinstance(sampler, SISA) else None, "precision": asked.how.precision_on("cpu")}
        print(json_text(about | {"steps": sampler.planned_steps(), "seconds": seconds}))
    elif asked.list_:
        print(*labels, sep="\n")
        print(f"{out / 'classes.png'}: a sample of each", file=sys.stderr)
    else:
        print(f"{out}: {len(labels)} × {n} images of {size[1]} × {size[0]} in {seconds:.0f} s")


def _sampler(asked: Sample) -> StepByStep:
    """Build what is asked for, from the noise of --sigma on."""
    if not (asked.or_ or asked.and_):
        return asked.how.build(asked.sigma or 1.0)
    kind, calls = AnyOf if asked.or_ else AllOf, asked.how.steps or COMPOSED
    require(asked.how, "steps", calls > 1, "must be at least 2")
    return kind(calls, asked.sigma or 1.0, asked.how.sigma_end, denoise_last=True)


def rows_of(model: Model, asked: Sample) -> tuple[list[str], Condition]:
    """Return the names of the rows that are asked for, and what they ask for.

    Raises:
        ValueError: the model cannot be asked for them; the message begins with the option.
        UnusableError: an image cannot be used.
    """
    if asked.like or asked.like_each:
        seen = [look_at(model, path, asked.downscale) for path in asked.like or asked.like_each]
        for shown in seen:
            _tell(model, shown, asked.downscale is None)
        together = [seen] if asked.like else [[shown] for shown in seen]
        labels = _unique([f"like {' and '.join(shown.path.stem for shown in row[:3])}" for row in together])
        return labels, like(together)
    if asked.between:
        ends = model.condition(asked.between, "between")
        alphas = torch.linspace(0, 1, asked.alphas)
        first, last = asked.between
        labels = [first, *(f"α = {alpha:.2g}" for alpha in alphas[1:-1].tolist()), last]
        return _unique(labels), ends.between(alphas)
    if asked.unguided or (model.targets is None and not asked.class_):
        return ["unguided"], model.unguided
    if asked.or_ or asked.and_:
        others, option, word = (asked.or_, "or_", " or ") if asked.or_ else (asked.and_, "and_", " and ")
        names = (*asked.class_, *others)
        model.condition(asked.class_)  # the error of one that is not known names the option that it came by
        model.condition(others, option)
        return [word.join(names)], model.condition(names)
    names = asked.class_ or model.classes[:: 1 if asked.list_ else -(-len(model.classes) // AT_ONCE)]
    if len(names) < len(model.classes) and not asked.class_:
        print(f"fgs: {len(names)} of {len(model.classes):,} classes (--list names all)", file=sys.stderr)
    return _unique(list(names)), model.condition(names)


def _tell(model: Model, shown: Shown, chosen: bool) -> None:
    """Say at which scale a picture was looked at, if that was chosen for it, and whether it is a texture."""
    if chosen and shown.downscale != model.recipe.downscale:
        size = f"averaged by {shown.downscale} × {shown.downscale} pixels, at which its like is known best"
        print(f"fgs: {shown.path}: {size} (--downscale otherwise)", file=sys.stderr)
    if is_no_texture(model, shown):
        reason = "its parts differ in φ more than those of a texture do; samples show their mean"
        print(f"fgs: warning: {shown.path}: {reason}", file=sys.stderr)


def _unique(names: list[str]) -> list[str]:
    """Number names whose files would have the name of another's."""
    labels: dict[str, str] = {}
    for name in names:
        label, number = name, 1
        while _file_name(label).casefold() in labels:  # there are systems on which a.png is A.png
            number += 1
            label = f"{name} {number}"
        labels[_file_name(label).casefold()] = label
    return list(labels.values())


def _file_name(label: str) -> str:
    """Return a name that a file may have: of one that is too long the middle is left out, as a number ends it."""
    name = re.sub(r"[^\w.-]+", "_", label).encode()
    return (name if len(name) <= LONGEST else name[: LONGEST // 2] + name[-LONGEST // 2 :]).decode(errors="ignore")


def _start(model: Model, asked: Sample, condition: Condition) -> tuple[Condition, tuple[int, int]]:
    """Return the condition, starting from the picture that is asked for if any, and the size of the samples."""
    least = min(SMALLEST, model.patch)
    if asked.size is not None and asked.size < least:
        raise ValueError(f"size: must be at least {least}, got {asked.size}")
    if (asked.size or 0) ** 2 > LARGEST:
        raise ValueError(f"size: must be at most {int(LARGEST**0.5)}, got {asked.size}")
    if asked.start is None:
        size = asked.size or model.patch
        return condition, (size, size)
    size = asked.size or least
    image = model.read(asked.start, size, asked.downscale)
    if asked.size:
        top, left = ((length - size) // 2 for length in image.shape[1:])
        image = image[:, top : top + size, left : left + size]
    if image[0].numel() > LARGEST:
        raise ValueError(f"start: has {image[0].numel():,} pixels, more than {LARGEST:,}; give --size or --downscale")
    around = image.expand(len(condition.mean), -1, -1, -1)
    return condition._replace(mean=around, covariance=None), (image.shape[1], image.shape[2])


def _write(out: Path, labels: list[str], x: Tensor) -> None:
    """Write everything that was sampled."""
    shown = {label: row[:COLUMNS] for label, row in zip(labels, x, strict=True)}
    image_grid(shown, [""] * min(COLUMNS, x.shape[1]), "", out / "grid.png")
    for label, row in zip(labels, x, strict=True):
        for number, image in enumerate(row):
            with atomic(out / f"{_file_name(label)}-{number:03d}.png") as temporary:
                write_image(temporary, (255 * image).round().to(torch.uint8))
    with atomic(out / "samples.npz") as temporary:
        of_row = np.arange(len(labels)).repeat(x.shape[1])
        np.savez(temporary, samples=x.flatten(0, 1).numpy(), labels=of_row, classes=np.array(labels))


command = make_command(Sample, sample)
