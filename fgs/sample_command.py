"""What `fgs sample` does with its options."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fgs.checkpoints import CheckpointError
from fgs.console import as_option, fail, must_be_new, step_bar
from fgs.corrections import corrected
from fgs.few_steps import FewSteps, Heun, MultiStep
from fgs.files import atomic, output_folder
from fgs.generate import Condition, Released, sample_rows, trajectory
from fgs.image_plots import film, image_grid
from fgs.images import UnusableError, write_image
from fgs.models import Model, load_companion, load_model
from fgs.protocols import ProjectedScore
from fgs.sampling import SISA, NotConvergingError, StepByStep, fixed, growing, within

FRAMES = 60  # of a trajectory
COLUMNS = 8  # of the grid
SMALLEST = 16  # pixels a side

CALLS, H = 48, 0.3  # of the network, and of SISA, where nothing is said
BETAS = {"sisa": 0.3, "corrected": 0.15, "multi-step": 0.2, "heun": 0.2, "few-steps": 0.2}
"""β by the name of the sampler; that of `corrected` was chosen on the model that ships (benchmarks/README.md)."""
SAMPLERS = tuple(BETAS)


@dataclass(frozen=True)
class Request:
    """The options of `fgs sample`, by their names.

    Raises:
        ValueError: one is out of range, or two exclude each other; the message begins with its name.
    """

    classes: tuple[str, ...] = ()
    like: tuple[Path, ...] = ()
    between: tuple[str, str] | None = None
    alphas: int = 5
    unguided: bool = False
    n: int = 4
    size: int | None = None
    start: Path | None = None
    sigma: float | None = None
    downscale: int | None = None
    release_at: float | None = None
    mixture: Path | None = None
    sampler: str = "corrected"
    h: float | None = None
    beta: float | None = None
    schedule: str | None = None
    sigma_end: float = 0.01
    steps: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        asked = [
            name for name in ("classes", "like", "between", "unguided") if getattr(self, name) not in ((), None, False)
        ]
        if len(asked) > 1:
            raise ValueError(f"{asked[1]}: give only one of --class, --like, --between and --unguided")
        for name, least in {"n": 1, "alphas": 2, "downscale": 1, "steps": 1, "size": SMALLEST}.items():
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise ValueError(f"{name}: must be at least {least}, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed: must not be negative, got {self.seed}")
        if not 0 < self.sigma_end < 1:
            raise ValueError(f"sigma_end: must lie in (0, 1), got {self.sigma_end}")
        if (self.start is None) != (self.sigma is None):
            raise ValueError(f"{'sigma' if self.sigma else 'start'}: --start and --sigma go together; give both")
        for name in ("sigma", "release_at"):
            value = getattr(self, name)
            if value is not None and not self.sigma_end < value <= 1:
                raise ValueError(f"{name}: must lie in (sigma_end = {self.sigma_end}, 1], got {value}")
        if self.mixture and self.release_at is None:
            raise ValueError("mixture: is followed below --release-at; give both")
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler: must be one of {', '.join(SAMPLERS)}, got {self.sampler}")
        if self.schedule not in (None, "fixed", "growing"):
            raise ValueError(f"schedule: must be fixed or growing, got {self.schedule}")
        if self.downscale is not None and not (self.like or self.start):
            raise ValueError("downscale: is for the pictures of --like and --start; leave it out")
        if self.h is not None and self.steps is not None:
            raise ValueError("h: follows from --steps; give one of the two")
        for name in ("h", "schedule"):
            if self.sampler != "sisa" and getattr(self, name) is not None:
                raise ValueError(f"{name}: belongs to --sampler sisa; give that too, or --steps instead")

    @property
    def chosen_beta(self) -> float:
        """β, that of the sampler if none is given."""
        return BETAS[self.sampler] if self.beta is None else self.beta

    def build_sampler(self) -> StepByStep:
        """Build the sampler; `steps` is a budget of calls, for SISA of updates, which h is chosen to keep."""
        sigma_0, beta = self.sigma or 1.0, self.chosen_beta
        if self.sampler != "sisa":
            build: dict[str, Callable[..., StepByStep]] = {
                "corrected": corrected,
                "multi-step": MultiStep,
                "heun": Heun,
                "few-steps": FewSteps,
            }
            try:
                return build[self.sampler](self.steps or CALLS, beta, sigma_0, self.sigma_end, denoise_last=True)
            except ValueError as error:
                raise ValueError(str(error).replace("calls:", "steps:")) from None
        sampler = SISA(
            H if self.h is None else self.h,
            beta,
            sigma_0,
            self.sigma_end,
            schedule=growing if self.schedule == "growing" else fixed,
            denoise_last=True,
        )
        return sampler if self.steps is None else within(sampler, self.steps)


def sample(run: Path | None, settings: dict[str, Any], out: Path, as_json: bool, gif: bool) -> None:
    """Sample a model, and write a grid, single images and an array.

    Args:
        run: folder of a run or a checkpoint; None is the model that ships.
        settings: of `Request`.
        out: new folder.
        as_json: print JSON only.
        gif: write the trajectory too.
    """
    try:
        request = Request(**settings)
        sampler = request.build_sampler()
        model = load_model(run)
        labels, condition = asked(model, request)
        condition, size = _start(model, request, condition)
        score = _score(model, request, guided=condition.phi is not None)
    except CheckpointError as error:
        fail(f"RUN: {error}", 2)
    except UnusableError as error:
        fail(str(error), 2)
    except ValueError as error:
        fail(as_option(error), 2)
    must_be_new(out)
    begin = time.perf_counter()
    try:
        with output_folder(out):
            with step_bar(sampler.planned_steps() * len(labels) * request.n, "image steps") as advance:
                x = sample_rows(
                    score, condition, request.n, sampler, size, request.seed, lambda images: advance("sampling", images)
                )
            seconds = time.perf_counter() - begin
            _write(out, labels, x)
            if gif:
                frames = trajectory(score, condition, sampler, size, FRAMES, request.seed)
                film(frames, out / "trajectory.gif", min(len(labels), COLUMNS))
    except NotConvergingError as error:
        fail(f"sampling failed: {error}", 1)
    except OSError as error:
        fail(f"--out: cannot write into {out}: {error.strerror}; name another folder", 2)
    if as_json:
        about = {"folder": str(out), "model": str(run or "shipped"), "seed": request.seed, "rows": labels}
        about |= {"n": request.n, "size": list(size), "sampler": request.sampler}
        about |= {"beta": request.chosen_beta, "h": sampler.h if isinstance(sampler, SISA) else None}
        print(json.dumps(about | {"steps": sampler.planned_steps(), "seconds": seconds}, indent=2))
    else:
        print(f"{out}: {len(labels)} × {request.n} images of {size[1]} × {size[0]} in {seconds:.0f} s")


def asked(model: Model, request: Request) -> tuple[list[str], Condition]:
    """Return the names of the rows that are asked for, and what they ask for.

    Raises:
        ValueError: the model cannot be asked for them; the message begins with the option.
        UnusableError: an image cannot be used.
    """
    if request.like:
        shown = [model.tiles(path, request.downscale) for path in request.like]
        return _unique([f"like {path.stem}" for path in request.like]), model.like(*shown)
    if request.between:
        try:
            ends = model.condition(request.between)
        except ValueError as error:
            raise ValueError(str(error).replace("class:", "between:")) from None
        alphas = torch.linspace(0, 1, request.alphas)
        first, last = request.between
        labels = [first, *(f"α = {alpha:.2g}" for alpha in alphas[1:-1].tolist()), last]
        return _unique(labels), ends.between(alphas)
    if request.unguided or (model.targets is None and not request.classes):
        return ["unguided"], model.unguided
    names = request.classes or model.classes
    return _unique(list(names)), model.condition(names)


def _unique(names: list[str]) -> list[str]:
    """Number names whose files would have the name of another's."""
    labels: dict[str, str] = {}
    for name in names:
        label, number = name, 1
        while _file_name(label) in labels:
            number += 1
            label = f"{name} {number}"
        labels[_file_name(label)] = label
    return list(labels.values())


def _file_name(label: str) -> str:
    return re.sub(r"[^\w.-]+", "_", label)


def _start(model: Model, request: Request, condition: Condition) -> tuple[Condition, tuple[int, int]]:
    """Return the condition, starting from the picture that is asked for if any, and the size of the samples."""
    if request.start is None:
        size = request.size or model.patch
        return condition, (size, size)
    size = request.size or SMALLEST
    image = model.read(request.start, size, request.downscale)
    if request.size:
        top, left = ((length - size) // 2 for length in image.shape[1:])
        image = image[:, top : top + size, left : left + size]
    around = image.expand(len(condition.mean), -1, -1, -1)
    return condition._replace(mean=around), (image.shape[1], image.shape[2])


def _score(model: Model, request: Request, guided: bool) -> ProjectedScore:
    if request.release_at is None:
        return model.network
    if request.mixture is None:
        if not guided:
            raise ValueError("release_at: there is no guidance that could end; leave it out")
        return Released(model.network, model.network, request.release_at)
    mixture = load_companion("mixture", request.mixture)
    if mixture.colors != model.colors:
        raise ValueError(f"mixture: has images of {mixture.colors} channels, RUN of {model.colors}")
    return Released(model.network, mixture.network, request.release_at)


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
