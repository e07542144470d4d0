"""Stochastic Iterative Score Ascent: Algorithm 1 (guided) and Algorithm 3 (unguided) as one sampler.

The two differ by `phi` alone. As h → 0 the update follows dx = (1/2β)∇log p dt + √((1−β)/β) dw in t = σ², so β is a
whole family: β = 1 the probability-flow ODE (DDIM), β = ½ the reverse SDE (DDPM), β → 0 annealed Langevin dynamics.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from fgs.noise import NoiseEstimate, known_schedule, per_row, per_sample, standard_normal
from fgs.protocols import ProjectedScore, Samples, require_score

Schedule = Callable[[float, int], float]
"""(h, k) -> the size of step k = 1, 2, …"""


class NotConvergingError(RuntimeError):
    """The sampler cannot reach σ_∞; the message says what to change."""


def fixed(h: float, k: int) -> float:
    """Step h throughout, as in the paper."""
    return h


def growing(h: float, k: int) -> float:
    """Step h_k = hk / (1 + h(k − 1)), from h to 1, as in Kadkhodaie & Simoncelli (2020)."""
    return h * k / (1 + h * (k - 1))


class Step(NamedTuple):
    """One update of the sampler."""

    x: Tensor  # (N, *shape) x_{σ_k}, after the update
    x_hat: Tensor  # (N, *shape) x̂(x_{σ_{k−1}}), the denoised signal that the update moved towards
    sigma: Tensor  # () or (N,) the noise level believed to be left in x
    step: int  # k = 1, 2, …
    moved: Tensor  # () or (N,) booleans, which samples the update moved; the others have reached σ_∞


class StepByStep(Protocol):
    """A `SISASampler` whose updates can be watched: what all samplers here are."""

    @property
    def sigma_0(self) -> float:
        """Noise level of the start."""

    @property
    def sigma_inf(self) -> float:
        """Noise level of the end."""

    def planned_steps(self) -> int:
        """Count the calls of the network: the size of the job ahead."""

    def _updates(
        self, score: ProjectedScore, x: Tensor, phi: Tensor | None, generator: Generator | None
    ) -> Iterator[Step]:
        """Yield every update of a batch that is not empty: what makes one sampler differ from another."""

    def iterate(
        self, score: ProjectedScore, x: Tensor, phi: Tensor | None = None, generator: Generator | None = None
    ) -> Iterator[Step]:
        """Yield every update on the way from x_{σ_0} to x_{σ_∞}, of an empty batch none.

        x, (N, *shape), is the start, see `draw_start`, and φ, (F,) or (N, F), the target features; None is Algorithm 3.
        The generator of the injected noise is one of the CPU; None is torch's own. A sample depends on its own start
        and on the seed, not on its neighbours, unless σ is `pooled`, or the sampler steers particles.

        Raises:
            TypeError: the score cannot be called as a `ProjectedScore`.
            ValueError: x is in half precision, too coarse for σ: a step would round back to what it was.
            NotConvergingError: x is no longer finite, or σ does not come down.
        """
        require_score(score)
        if x.dtype in (torch.float16, torch.bfloat16):
            raise ValueError(f"x: is of {x.dtype}; sample in float32, with the network under autocast")
        return self._updates(score, x, phi, generator) if len(x) else iter(())

    def __call__(
        self, score: ProjectedScore, x: Tensor, phi: Tensor | None = None, generator: Generator | None = None
    ) -> Samples:
        """Return what the last update leaves, and how many moved each sample; arguments and errors as in `iterate`."""
        steps, sigma = torch.zeros(len(x), dtype=torch.long, device=x.device), x.new_tensor(self.sigma_0)
        for step in self.iterate(score, x, phi, generator):
            x, sigma, steps = step.x, step.sigma, steps + step.moved
        return Samples(x, steps, sigma.expand(len(x)))


def draw_start(
    shape: tuple[int, ...],
    mean: Tensor | float,
    sigma_0: float,
    width: Tensor | float = 0.0,
    generator: Generator | None = None,
) -> Tensor:
    """Draw x_{σ_0} ~ N(m, (σ_0² + width²) Id), line 2 of Algorithms 1 and 3.

    Args:
        shape: (N, *shape).
        mean: m, of the mixture or a class, or an image, broadcast to `shape`; a tensor gives dtype and device.
        sigma_0: initial noise level, in the units of x.
        width: sd of the data about `mean`, broadcast to `shape`. The paper leaves it out (0), so its start is narrower
            than the noisy density p_{σ_0}: harmless for small β, never mended at β = 1.
        generator: CPU generator; None is torch's own.
    """
    mean = torch.as_tensor(mean)
    mean = mean if mean.is_floating_point() else mean.to(torch.get_default_dtype())
    scale = torch.as_tensor(width, dtype=mean.dtype, device=mean.device).square().add(sigma_0**2).sqrt()
    return mean + scale * standard_normal(mean.expand(shape), generator)


def _of_moving(moving: Tensor, score: ProjectedScore, x: Tensor, phi: Tensor | None, sigma: Tensor) -> Tensor:
    """Return s of the samples that still move, by a call for them alone, and 0 for the others.

    A score that holds a thing for each of N samples cannot be called for fewer, and says so by `holds_rows`.
    """
    if getattr(score, "holds_rows", False):
        return score(x, phi, sigma)
    s = torch.zeros_like(x)
    own = phi if phi is None or phi.dim() == 1 else phi.expand(len(x), -1)[moving]
    s[moving] = score(x[moving], own, sigma[moving])
    return s


def check_range(sampler: StepByStep, *shares: str) -> None:
    """Raise a ValueError that begins with the name of the setting, if one of the shares or σ_∞ is out of range."""
    for name in shares:
        if not 0 < getattr(sampler, name) <= 1:
            raise ValueError(f"{name}: must lie in (0, 1], got {getattr(sampler, name)}")
    if not 0 < sampler.sigma_0 < math.inf:
        raise ValueError(f"sigma_0: must be positive and finite, got {sampler.sigma_0}")
    if not 0 < sampler.sigma_inf < sampler.sigma_0:
        raise ValueError(f"sigma_inf: must lie in (0, sigma_0 = {sampler.sigma_0}), got {sampler.sigma_inf}")


@dataclass(frozen=True)
class SISA(StepByStep):
    """Sample by steps along the score, each followed by a little new noise (Algorithms 1 and 3).

    Raises:
        ValueError: a setting is out of range; the message begins with its name.
    """

    h: float = 0.01  # step size in (0, 1]
    beta: float = 0.05  # noise control in (0, 1]; 1 injects none
    sigma_0: float = 1.0  # noise level of the start, in the units of x
    sigma_inf: float = 0.01  # stop below this noise level
    schedule: Schedule = fixed  # how h changes with the step, `fixed` or `growing`
    noise_level: NoiseEstimate = per_sample  # where σ is taken from: this one (the paper), `pooled` or `known_schedule`
    denoise_last: bool = False  # return x̂ instead of x, which still carries noise σ_∞
    max_steps: int = 100_000  # more updates than this is an error

    def __post_init__(self) -> None:
        check_range(self, "h", "beta")

    @torch.no_grad()
    def _updates(
        self, score: ProjectedScore, x: Tensor, phi: Tensor | None, generator: Generator | None
    ) -> Iterator[Step]:
        """Yield the updates; finished samples stay as they are and cost no call, and noise is drawn for all rows.

        Warns:
            UserWarning: σ is estimated from the residual where the data can have no fewer dimensions than x has.
        """
        if self.noise_level is not known_schedule and x[0].numel() <= 2:
            name = getattr(self.noise_level, "__name__", "noise_level")
            warnings.warn(
                f"{name} estimates the noise level from the residual, which falls far short of it in "
                f"d = {x[0].numel()} (E‖s‖²/d = σ² − MMSE/d); use known_schedule",
                stacklevel=2,
            )
        sigma = x.new_tensor(self.sigma_0)  # the noise level that is believed to be in x
        moving = sigma >= self.sigma_inf
        for k in count(1):
            h = self.schedule(self.h, k)
            every = bool(moving.all())
            s = score(x, phi, sigma) if every else _of_moving(moving, score, x, phi, sigma)
            sigma_k = self.noise_level(s, sigma)
            gamma = sigma_k * math.sqrt((1 - self.beta * h) ** 2 - (1 - h) ** 2)
            x_hat = x + s
            x_next = x + h * s
            if self.beta < 1:
                x_next = x_next + per_row(gamma, x) * standard_normal(x, generator)
            self._check(x_next, sigma_k, k)
            x = x_next if every else torch.where(per_row(moving, x), x_next, x)
            sigma = torch.where(moving, (1 - self.beta * h) * sigma_k, sigma)
            yield Step(x, x_hat, sigma, k, moving)
            moving = moving & (sigma >= self.sigma_inf)
            if not moving.any():
                break
            if k >= self.max_steps:
                reached = f"sigma_inf = {self.sigma_inf:.3g} not reached in {k} steps"
                raise NotConvergingError(f"{reached}; raise h, beta or sigma_inf, or max_steps")
        if self.denoise_last:
            x_hat = x + score(x, phi, sigma)
            yield Step(x_hat, x_hat, sigma, k, moving)

    def __str__(self) -> str:
        return f"SISA, h = {self.h:.3g}, β = {self.beta:g}"

    def planned_steps(self) -> int:
        """Count the calls on the known schedule, about ln(σ_0/σ_∞)/(βh): the size of the job ahead."""
        sigma = self.sigma_0
        for k in range(1, self.max_steps + 1):
            sigma *= 1 - self.beta * self.schedule(self.h, k)
            if sigma < self.sigma_inf:
                return k + self.denoise_last
        return self.max_steps + self.denoise_last

    def _check(self, x: Tensor, sigma: Tensor, k: int) -> None:
        d = x[0].numel()
        if not x.sum().isfinite():  # one pass: what is not finite stays so in a sum
            raise NotConvergingError(f"step {k}: x is not finite; use a smaller h, or a score with weaker guidance")
        # Estimated per sample, σ of pure noise wanders: it comes to exceed a·σ_0 with probability about a^−(1 + βd)
        if sigma.max() > 2 * self.sigma_0 * 10 ** (6 / (1 + self.beta * d)):
            raise NotConvergingError(
                f"step {k}: the estimated noise level grew to {float(sigma.max()):.3g} from sigma_0 = "
                f"{self.sigma_0:.3g}; use the known schedule (guidance is part of the residual), a smaller h, "
                "weaker guidance, or a larger sigma_0"
            )
