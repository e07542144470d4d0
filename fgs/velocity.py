"""The constant-velocity path of flow matching and stochastic interpolants, from a denoiser.

On the path x_t = (1 − t)x + ctz, from noise at t = 1 to data at t = 0, the velocity is cz − x; what is known of it at
x_t is v = E[cz − x | x_t]. With x_σ = x_t/(1 − t) and σ = ct/(1 − t), in a unit c of x, a denoiser gives x̂ and cẑ =
c(x_σ − x̂)/σ, so that the ordinary differential equation dx_t/dt = v asks for no network of its own. In σ it is the flow
of β = 1 (see `fgs.sampling`) in other steps: even in t, they are many where σ is of the size of c.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from torch import Tensor

from fgs.few_steps import Coefficients, FewSteps


@dataclass(frozen=True)
class ConstantVelocity(FewSteps):
    """Euler's method for dx_t/dt = v, of first order: a step is x ← x̂ + (σ'/σ)(x − x̂), that of `FewSteps`.

    Attributes:
        unit: c, about the sd of the data: half of the path lies above it.
    """

    beta: float = field(default=1.0, init=False)
    unit: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.unit > 0:
            raise ValueError(f"unit: must be positive, got {self.unit}")

    def times(self) -> list[float]:
        """Return t_0, …, even from that of σ_0 to that of σ_∞."""
        first, last = (sigma / (self.unit + sigma) for sigma in (self.sigma_0, self.sigma_inf))
        return [first + (last - first) * k / self.updates() for k in range(self.updates() + 1)]

    def ratios(self) -> list[float]:
        """Return σ_{k+1}/σ_k of every step."""
        return [after * (1 - t) / (t * (1 - after)) for t, after in pairwise(self.times())]


@dataclass(frozen=True)
class HeunVelocity(ConstantVelocity):
    """Heun's method: the velocity is the mean of those at both ends of a step. Of second order, by two calls a step."""

    def updates(self) -> int:
        """Count the steps that the budget pays for."""
        return (self.calls - self.denoise_last) // 2

    def planned_steps(self) -> int:
        """Count the calls of the network: the size of the job ahead."""
        return 2 * self.updates() + self.denoise_last

    def steps(self) -> list[Coefficients]:
        """Return the coefficients of every step: half of the change of v, −(x̂_1 − x̂_0)/t', in the time of the step."""
        pairs = zip(super().steps(), pairwise(self.times()), strict=True)
        return [of._replace(w=(t - after) / (2 * after * (1 - after))) for of, (t, after) in pairs]

    def _at_end(self, x_hat: Tensor, before: Tensor | None, ahead: Callable[[], Tensor]) -> Tensor:
        return ahead()
