"""By which sampler images are drawn: the options, what is taken where nothing is said, and what they build."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
from torch import Tensor

from fgs.common.options import Option, at_least, check_choices, require
from fgs.corrections import Corrected
from fgs.few_steps import FewSteps, MultiStep
from fgs.protocols import ProjectedScore
from fgs.sampling import SISA, StepByStep
from fgs.training.devices import best_precision
from fgs.velocity import ConstantVelocity

CALLS, H = 48, 0.3  # of the network, and of SISA, where nothing is said
BETAS = {"sisa": 0.3, "corrected": 0.15, "multi-step": 0.2, "few-steps": 0.2, "velocity": 1.0}
"""β by the name of the sampler; that of `corrected` was chosen on an earlier model (benchmarks/README.md)."""
_how = partial(Option, panel="How")


@dataclass(frozen=True)
class HowToSample:
    """The options of the sampler, and the seed.

    Raises:
        ValueError: one is out of range, or belongs to another sampler; the message begins with its name.
    """

    sampler: Annotated[str, _how("sisa is the paper's, velocity flow matching's.", "|".join(BETAS))] = "corrected"
    h: Annotated[float | None, _how("Step size in (0, 1], of sisa only; 0.3 if left out.")] = None
    beta: Annotated[float | None, _how("Noise control in (0, 1]; .15 for corrected, .3 for sisa, .2 else.")] = None
    steps: Annotated[int | None, _how("Network calls for an image, 48 if left out; not of sisa.")] = None
    sigma_end: Annotated[float, _how("σ_∞, the noise level to stop at.")] = 0.01
    precision: Annotated[str, _how("Of products; auto where it pays.", "auto|float32|bfloat16")] = "auto"
    seed: Annotated[int, _how("Seed of everything drawn.")] = 0

    def __post_init__(self) -> None:
        check_choices(self)
        at_least(self, steps=1, seed=0)
        require(self, "sigma_end", 0 < self.sigma_end < 1, "must lie in (0, 1)")
        if self.sampler == "sisa" and self.steps is not None:
            raise ValueError("steps: of sisa follow from --h and --beta; leave it out")
        require(self, "beta", self.sampler != "velocity" or self.beta is None, "of velocity is 1; leave it out")
        if self.sampler != "sisa" and self.h is not None:
            raise ValueError("h: belongs to --sampler sisa; give that too, or --steps instead")

    @property
    def chosen_beta(self) -> float:
        """β, that of the sampler if none is given."""
        return BETAS[self.sampler] if self.beta is None else self.beta

    def precision_on(self, device: str) -> str:
        """Return the precision, on that device the one that "auto" stands for."""
        return best_precision(device) if self.precision == "auto" else self.precision

    def cast(self, score: ProjectedScore) -> ProjectedScore:
        """Return the score with products in the precision asked for; bfloat16 changes s by half a percent of σ."""

        def cast(x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
            with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision_on(x.device.type) == "bfloat16"):
                return score(x, phi, sigma)

        return cast

    def build(self, sigma_0: float = 1.0) -> StepByStep:
        """Build the sampler from the noise level σ_0 on."""
        if self.sampler == "sisa":
            return SISA(H if self.h is None else self.h, self.chosen_beta, sigma_0, self.sigma_end, denoise_last=True)
        build: dict[str, Callable[..., StepByStep]] = {"corrected": Corrected, "multi-step": MultiStep}
        build |= {"few-steps": FewSteps}
        build["velocity"] = lambda calls, beta, *ends, **how: ConstantVelocity(calls, *ends, **how)
        calls = self.steps or CALLS
        try:
            return build[self.sampler](calls, self.chosen_beta, sigma_0, self.sigma_end, denoise_last=True)
        except ValueError as error:
            raise ValueError(str(error).replace("calls:", "steps:")) from None
