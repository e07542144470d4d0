"""The case of images of `sampling.py`: samples of a trained model, judged by the statistics of their texture."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from fgs.evaluation.samples import ENOUGH, fit_judge
from fgs.figures import image_grid
from fgs.images import Model
from fgs.images.conditions import sample_rows
from fgs.images.sources import patches_of, unseen_patches
from fgs.measures import TextureJudge, energy_distance
from fgs.noise import known_schedule
from fgs.sampling import SISA, StepByStep
from samplers import SAMPLERS, Counted, Task, within

END = 0.01  # σ_∞
PHOTOGRAPHS = "FGS_TEXTURES"
SHOWN = 6  # classes in the picture


class NoPhotographsError(ValueError):
    """There is nothing to hold samples of the model against; the message begins with the name of an option."""


@dataclass(frozen=True)
class ImageCase:
    """All classes of a model; the distance is the energy distance of texture statistics.

    It is averaged over the classes, as its floor is: the ratio of the means is not ruled by the one class whose floor
    happens to be small.

    Attributes:
        model: sampled.
        judge: fitted to what it was trained on.
        n: samples of each class.
        seed: of the samples.
        many: calls of the reference, SISA on the known schedule with the paper's β; None leaves it out.
    """

    model: Model
    judge: TextureJudge
    n: int
    seed: int = 0
    many: int | None = None
    group: str = "textures"
    name: str = "trained model"

    def task(self, calls: int) -> Task:
        """Say what to build a sampler for."""
        return Task(calls, 1.0, END, True)

    def reference(self) -> tuple[str, StepByStep] | None:
        """Return SISA with many calls, and its name."""
        if self.many is None:
            return None
        sampler = SISA(0.5, 0.05, 1.0, END, noise_level=known_schedule, denoise_last=True)
        return "SISA, β = 0.05", within(sampler, self.many)

    def draw(self, sampler: StepByStep) -> tuple[float, Tensor]:
        """Return the calls for each sample, and the samples (K, n, C, H, W)."""
        size = (self.model.patch, self.model.patch)
        score = Counted(self.model.network)
        x = sample_rows(score, self.model.condition(), self.n, sampler, size, self.seed)
        return score.calls / (x.shape[0] * x.shape[1]), x

    def measure(self, sampler: StepByStep) -> tuple[float, dict[str, float]]:
        """Sample and measure: calls for each sample, and the distance ÷ floor."""
        calls, x = self.draw(sampler)
        return calls, {"statistics": distance_over_floor(self.judge, x)}


def distance_over_floor(judge: TextureJudge, x: Tensor) -> float:
    """Return the mean energy distance of the samples of every class, (K, n, C, H, W), ÷ that of held-out patches."""
    distances = [energy_distance(judge.scaled(x[y]), judge.reference[y]) for y in range(len(x))]
    floors = [energy_distance(judge.held_out[y][: x.shape[1]], judge.reference[y]) for y in range(len(x))]
    return float(torch.stack(distances).mean() / torch.stack(floors).mean())


def image_case(model: Model, data: Path | None, n: int, seed: int, many: int | None) -> ImageCase:
    """Read the photographs that a model was trained on, of endless classes others, and return its case.

    Args:
        model: guided, by features or labels.
        data: their folder; None looks into that of the environment variable FGS_TEXTURES.
        n: samples of each class.
        seed: of the samples.
        many: calls of the reference; None leaves it out.

    Raises:
        NoPhotographsError: they are not there, or the model knows no classes.
    """
    if model.targets is None:
        raise NoPhotographsError("RUN: the model was trained without classes")
    if data is None and model.recipe.data:
        if not os.environ.get(PHOTOGRAPHS):
            reason = "the photographs that the model was trained on are not here"
            raise NoPhotographsError(f"data: {reason}; name their folder, or set {PHOTOGRAPHS}")
        data = Path(os.environ[PHOTOGRAPHS])
    try:
        if model.recipe.classes == "endless" and data:
            patches, _ = unseen_patches(replace(model.recipe, device="cpu"), data, model.trained_on)
            model = model.showing(patches)
        else:
            patches = patches_of(model, [data] if data else [])
        judge = fit_judge(patches, max(ENOUGH, n))
    except ValueError as error:
        raise NoPhotographsError(f"data: {str(error).partition(': ')[2]}") from None
    except OSError as error:
        raise NoPhotographsError(f"data: {error.filename}: {error.strerror}") from None
    return ImageCase(model, judge, n, seed, many)


def draw_budgets(case: ImageCase, sampler: str, budgets: Sequence[int], path: Path) -> None:
    """Draw a sample of several classes for every budget, all from one start, beside the reference if there is one.

    Raises:
        OSError: the file cannot be written.
    """
    few = torch.linspace(0, len(case.model.classes) - 1, min(SHOWN, len(case.model.classes))).round().long()
    names = tuple(case.model.classes[k] for k in few)
    model = case.model.only(names)
    small = replace(case, model=model, n=1)
    columns: dict[str, StepByStep] = {}
    for calls in budgets:
        with suppress(ValueError):  # too few for this sampler
            columns[f"{sampler}, {calls} calls"] = SAMPLERS[sampler](case.task(calls))
    reference = case.reference()
    if reference:
        columns[f"{reference[0]}, {case.many} calls"] = reference[1]
    drawn = [small.draw(built)[1][:, 0] for built in columns.values()]
    rows = {name: torch.stack([x[k] for x in drawn]) for k, name in enumerate(model.classes)}
    image_grid(rows, list(columns), "", path)
