"""The samplers that `sampling.py` compares, each as a function of the budget, and the points of their curves."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import NamedTuple, Protocol

from torch import Tensor

from fgs.corrections import Corrected
from fgs.few_steps import FewSteps, MultiStep
from fgs.noise import known_schedule, per_sample
from fgs.protocols import ProjectedScore
from fgs.sampling import SISA, NotConvergingError, StepByStep
from fgs.velocity import ConstantVelocity, HeunVelocity


class Task(NamedTuple):
    """What a sampler is built for: the calls of the network, the noise levels, and whether the last call denoises."""

    calls: int
    sigma_0: float
    sigma_inf: float
    denoise_last: bool


BETA = 0.3  # of every sampler that injects noise, where nothing else is said


def within(sampler: SISA, steps: int) -> SISA:
    """Return the sampler with the h, found by bisection, with which the known schedule makes so many calls.

    Raises:
        ValueError: β allows no so few.
    """
    low, high = 0.0, 1.0
    if replace(sampler, h=high).planned_steps() > steps:
        raise ValueError(
            f"steps: {replace(sampler, h=high).planned_steps()} at least with beta = {sampler.beta:g}; "
            "raise --steps or --beta"
        )
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if replace(sampler, h=middle).planned_steps() <= steps else (middle, high)
    return replace(sampler, h=min(1.0, high * (1 + 1e-5)))  # σ in single precision comes to the same end


def _sisa(task: Task, *, estimated: bool) -> StepByStep:
    level = per_sample if estimated else known_schedule
    sampler = SISA(0.5, BETA, task.sigma_0, task.sigma_inf, noise_level=level, denoise_last=task.denoise_last)
    return within(sampler, task.calls)


def _unit(task: Task) -> float:
    """Return a tenth of σ_0, which is 10 sd of the data or more on the mixtures, and 5 on the photographs."""
    return task.sigma_0 / 10


SAMPLERS: dict[str, Callable[[Task], StepByStep]] = {
    "SISA": lambda task: _sisa(task, estimated=False),
    "SISA, σ estimated": lambda task: _sisa(task, estimated=True),
    "few steps": lambda task: FewSteps(task.calls, BETA, *task[1:3], denoise_last=task.denoise_last),
    "multi-step": lambda task: MultiStep(task.calls, BETA, *task[1:3], denoise_last=task.denoise_last),
    "multi-step, Langevin": lambda task: Corrected(task.calls, BETA, *task[1:3], denoise_last=task.denoise_last),
    "multi-step, β = 1": lambda task: MultiStep(task.calls, 1.0, *task[1:3], denoise_last=task.denoise_last),
    "velocity, Euler": lambda task: ConstantVelocity(
        task.calls, *task[1:3], unit=_unit(task), denoise_last=task.denoise_last
    ),
    "velocity, Heun": lambda task: HeunVelocity(
        task.calls, *task[1:3], unit=_unit(task), denoise_last=task.denoise_last
    ),
}


@dataclass
class Counted:
    """A score that counts how many samples it was asked for."""

    score: ProjectedScore
    calls: int = field(default=0, init=False)

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s, the shape of x; arguments as in `ProjectedScore`."""
        self.calls += len(x)
        return self.score(x, phi, sigma)


class Point(NamedTuple):
    """One sampler with one budget on one case.

    Attributes:
        group: of cases that are drawn together.
        case: name of the case.
        sampler: one of `SAMPLERS`, or what `Case.reference` is.
        budget: calls asked for; None for the reference.
        calls: made, for each sample; None where it did not converge, like `distances`.
        distances: each ÷ its floor, by name.
    """

    group: str
    case: str
    sampler: str
    budget: int | None
    calls: float | None = None
    distances: dict[str, float] | None = None

    @property
    def worst(self) -> float:
        """The largest of the distances; infinite where it did not converge."""
        return max(self.distances.values()) if self.distances else float("inf")


class Case(Protocol):
    """A density with a judge."""

    @property
    def group(self) -> str:
        """Of cases that are drawn together."""

    @property
    def name(self) -> str:
        """What it is called."""

    def task(self, calls: int) -> Task:
        """Say what to build a sampler for."""

    def measure(self, sampler: StepByStep) -> tuple[float, dict[str, float]]:
        """Sample and measure: calls for each sample, and distances ÷ floor."""

    def reference(self) -> tuple[str, StepByStep] | None:
        """Return a sampler of many calls to compare with, and its name."""


def measure(case: Case, name: str, budget: int | None, sampler: StepByStep) -> Point:
    """Measure a sampler on a case."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that σ cannot be estimated in d = 1 is what is to be seen
            return Point(case.group, case.name, name, budget, *case.measure(sampler))
    except NotConvergingError:
        return Point(case.group, case.name, name, budget)


def points_of(case: Case, budgets: Sequence[int], watch: Callable[[str], None]) -> list[Point]:
    """Measure every sampler with every budget that it can keep, and the reference.

    Args:
        case: the density.
        budgets: calls.
        watch: told of every measurement.
    """
    points = []
    for name, build in SAMPLERS.items():
        for budget in budgets:
            watch(f"{case.name}, {name}")
            try:
                sampler = build(case.task(budget))
            except ValueError:  # too few calls for it
                continue
            points.append(measure(case, name, budget, sampler))
    reference = case.reference()
    if reference:
        points.append(measure(case, reference[0], None, reference[1]))
    return points


def over_cases(points: list[Point], group: str, sampler: str, budget: int | None) -> tuple[float, float, float] | None:
    """Return the mean calls, and the median and largest distance ÷ floor over the cases of a group; None if none."""
    found = [point for point in points if (point.group, point.sampler, point.budget) == (group, sampler, budget)]
    if not found:
        return None
    worst = [point.worst for point in found]
    return sum(point.calls or 0 for point in found) / len(found), median(worst), max(worst)
