"""Sampling images from a trained model: by which sampler, what to ask for, and where to start."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

import torch
from torch import Generator, Tensor

from fgs.common.options import Option, at_least, check_choices, require
from fgs.corrections import corrected
from fgs.embedding import interpolate
from fgs.few_steps import FewSteps, Heun, MultiStep
from fgs.noise import seeded
from fgs.protocols import ProjectedScore
from fgs.sampling import SISA, StepByStep, draw_start, fixed, growing, within

CALLS, H = 48, 0.3  # of the network, and of SISA, where nothing is said
BETAS = {"sisa": 0.3, "corrected": 0.15, "multi-step": 0.2, "heun": 0.2, "few-steps": 0.2}
"""β by the name of the sampler; that of `corrected` was chosen on the model that ships (benchmarks/README.md)."""

PIXELS = 2**16  # of the images of a batch; bounds the memory

Advance = Callable[[int], None]
"""Is told of every call of the network how many images went through it."""


_how = partial(Option, panel="How")


@dataclass(frozen=True)
class HowToSample:
    """The options of the sampler, and the seed.

    Raises:
        ValueError: one is out of range, or belongs to another sampler; the message begins with its name.
    """

    sampler: Annotated[
        str, _how("The paper's; second order, corrected or not, or in two calls; first order.", "|".join(BETAS))
    ] = "corrected"
    h: Annotated[float | None, _how("Step size in (0, 1], of sisa only; 0.3 if left out.")] = None
    beta: Annotated[float | None, _how("Noise control in (0, 1]; .15 for corrected, .3 for sisa, .2 else.")] = None
    schedule: Annotated[str | None, _how("Steps of sisa: of one size, or growing to 1.", "fixed|growing")] = None
    steps: Annotated[int | None, _how("Network calls for an image, 48 if left out; of sisa at most so many.")] = None
    sigma_end: Annotated[float, _how("σ_∞, the noise level to stop at.")] = 0.01
    seed: Annotated[int, _how("Seed of everything drawn.")] = 0

    def __post_init__(self) -> None:
        check_choices(self)
        at_least(self, steps=1, seed=0)
        require(self, "sigma_end", 0 < self.sigma_end < 1, "must lie in (0, 1)")
        if self.h is not None and self.steps is not None:
            raise ValueError("h: follows from --steps; give one of the two")
        for name in ("h", "schedule"):
            if self.sampler != "sisa" and getattr(self, name) is not None:
                raise ValueError(f"{name}: belongs to --sampler sisa; give that too, or --steps instead")

    @property
    def chosen_beta(self) -> float:
        """β, that of the sampler if none is given."""
        return BETAS[self.sampler] if self.beta is None else self.beta

    def build(self, sigma_0: float = 1.0) -> StepByStep:
        """Build the sampler from the noise level σ_0 on; `steps` are calls, a budget that h of SISA is made to keep."""
        if self.sampler == "sisa":
            schedule = growing if self.schedule == "growing" else fixed
            h = H if self.h is None else self.h
            sisa = SISA(h, self.chosen_beta, sigma_0, self.sigma_end, schedule=schedule, denoise_last=True)
            return sisa if self.steps is None else within(sisa, self.steps)
        build: dict[str, Callable[..., StepByStep]] = {
            "corrected": corrected,
            "multi-step": MultiStep,
            "heun": Heun,
            "few-steps": FewSteps,
        }
        try:
            return build[self.sampler](
                self.steps or CALLS, self.chosen_beta, sigma_0, self.sigma_end, denoise_last=True
            )
        except ValueError as error:
            raise ValueError(str(error).replace("calls:", "steps:")) from None


class Condition(NamedTuple):
    """What images are asked for, a row each: two means over the data of a class.

    Algorithm 1 starts around the mean m of the mixture. At σ_0 = 1 that is too far: noise of d pixels around m and
    around the mean m_y of a class are d(m_y − m)²/2σ_0² nats apart, 20 for a gray .2 away and 32 × 32 pixels, and the
    network takes the start at its word. Of m − m_y exact scores keep (λ²/(λ² + σ_0²))^(1/2β), along which a class has
    variance λ²: for roof tiles .25 at β = .3; the network that ships kept .35. So images start around m_y.

    Attributes:
        phi: (rows, F) target features, or labels; None is one row without guidance.
        mean: (rows, C, 1, 1) m_y, or (rows, C, H, W) images to start from (Fig. 12).
    """

    phi: Tensor | None
    mean: Tensor

    def between(self, shares: Tensor) -> "Condition":
        """Ask for what lies between its two rows, at every share α, (M,), of the way (Fig. 8)."""
        assert self.phi is not None
        phi = interpolate(self.phi[0], self.phi[1], shares)
        return Condition(phi, interpolate(self.mean[0], self.mean[1], shares))

    def start(self, rows: Tensor, size: tuple[int, int], sigma_0: float, generator: Generator) -> Tensor:
        """Draw x_{σ_0} of (H, W) pixels for each of `rows`, (n,) numbers of rows: (n, C, H, W)."""
        mean = self.mean[rows].expand(-1, -1, *size)
        return draw_start(tuple(mean.shape), mean, sigma_0, generator=generator)


def sample_rows(
    score: ProjectedScore,
    condition: Condition,
    n: int,
    sampler: StepByStep,
    size: tuple[int, int],
    seed: int = 0,
    advance: Advance = lambda images: None,
) -> Tensor:
    """Sample n images for every row of a condition, in batches of bounded memory.

    Args:
        score: the model's network, or one made of it.
        condition: what is asked for.
        n: images of each row.
        sampler: SISA, or one of few steps.
        size: (H, W) of the images.
        seed: of the starts and of the noise on the way.
        advance: told of every call of the network.

    Returns:
        (rows, n, C, H, W) in [0, 1].
    """

    def counted(x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        advance(len(x))
        return score(x, phi, sigma)

    images, at_once = [], max(1, PIXELS // math.prod(size))
    row = torch.arange(len(condition.mean)).repeat_interleave(n)
    for first in range(0, len(row), at_once):
        rows = row[first : first + at_once]
        phi = None if condition.phi is None else condition.phi[rows]
        x = condition.start(rows, size, sampler.sigma_0, seeded(seed, first, 0))
        for step in sampler.iterate(counted, x, phi, seeded(seed, first, 1)):
            x = step.x
        images.append(x.clamp(0, 1))
    together = torch.cat(images)
    return together.reshape(-1, n, *together.shape[1:])


def trajectory(
    score: ProjectedScore,
    condition: Condition,
    sampler: StepByStep,
    size: tuple[int, int],
    frames: int,
    seed: int = 0,
) -> Iterator[Tensor]:
    """Yield x_σ of one image for every row on its way, about `frames` times: (rows, C, H, W) in [0, 1]."""
    x = condition.start(torch.arange(len(condition.mean)), size, sampler.sigma_0, seeded(seed, 0, 0))
    every = max(1, sampler.planned_steps() // frames)
    for number, step in enumerate(sampler.iterate(score, x, condition.phi, seeded(seed, 0, 1))):
        if number % every == 0:
            yield x.clamp(0, 1)
        x = step.x
    yield x.clamp(0, 1)
