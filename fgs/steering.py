"""Steering by particles: many samples at once, of which those that a potential likes are copied (Feynman-Kac).

The samples of one batch are particles that follow any score. At every level a potential G_k(x_k) weighs them, by what
it has grown, and where few carry all the weight they are drawn anew in proportion to it (Singhal et al. 2025). With
log G = log p_σ(y|x) and the score of the mixture that is Bayes' rule: the particles are samples of class y as their
number grows, by no guidance at all; with log G = log p(y|x̂) they are samples of a measurement (see `fgs.restoration`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from fgs.few_steps import FewSteps
from fgs.noise import NoiseEstimate, known_schedule, standard_normal
from fgs.protocols import FeatureExtractor, ProjectedScore
from fgs.sampling import NotConvergingError, Step, check_range

Potential = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x, x̂, σ) -> log G, (N,): from noisy particles (N, *shape), what they are denoised to, and the noise level ()."""


def near(extractor: FeatureExtractor, phi: Tensor, tau: float, sigma: Tensor | None = None) -> Potential:
    """Return the potential log G = −‖φ(x̂) − φ_y‖²/2τ², for samples whose features are near to those of a class.

    Args:
        extractor: gives φ.
        phi: (F,) φ_y.
        tau: τ, in the units of φ.
        sigma: the noise level that x̂ is said to have, as when φ_y was taken; a blind extractor needs none.
    """
    return lambda x, x_hat, _: -(extractor.features(x_hat, sigma) - phi).square().sum(1) / (2 * tau**2)


def systematic(weights: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw as many particles as there are weights, (N,) of sum 1, in proportion to them: (N,) numbers in order.

    Particle i is drawn ⌊Nw_i⌋ or ⌈Nw_i⌉ times: one number for all keeps what is due to chance small.
    """
    n = len(weights)
    at = (torch.arange(n, dtype=torch.float64) + torch.rand((), dtype=torch.float64, generator=generator)) / n
    sums = weights.cpu().double().cumsum(0)
    return torch.searchsorted(sums / sums[-1], at, right=True).clamp_max(n - 1).to(weights.device)


@dataclass(frozen=True)
class Steered(FewSteps):
    """Sampling by steps of first order, with one batch as one set of particles: samples are not independent.

    Attributes:
        potential: log G.
        free: of the density that G weighs, if the score that particles follow is another, one that guides them to
            where G is large: they are weighed by how likely their step was to be made without it (twisting, Wu et al.
            2023). It is called with φ = None.
        least: effective number of particles, as a share, below which they are drawn anew.
        calls: of the network, for each particle; the last one weighs what is returned. β < 1 lets copies part.
    """

    potential: Potential = field(kw_only=True, repr=False)
    free: ProjectedScore | None = field(default=None, kw_only=True, repr=False)
    least: float = 0.5

    noise_level: NoiseEstimate = field(default=known_schedule, init=False)  # weights are of steps of a known width

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "least")
        if self.beta == 1:
            raise ValueError("beta: must lie below 1, as without noise the copies of a particle never part")

    def updates(self) -> int:
        """Count the steps that the budget pays for."""
        return self.calls - 1

    @torch.no_grad()
    def _updates(
        self, score: ProjectedScore, x: Tensor, phi: Tensor | None, generator: Generator | None
    ) -> Iterator[Step]:
        h, _, noise = self.step
        sigma, every = x.new_tensor(self.sigma_0), torch.ones((), dtype=torch.bool, device=x.device)
        log_w = x.new_zeros(len(x))  # of the steps so far, over G where particles were drawn anew: this G comes on top
        for k in range(1, self.calls + 1):
            s = score(x, phi, sigma)
            x_hat, unguided = x + s, s if self.free is None else self.free(x, None, sigma)
            log_g = self.potential(x, x_hat, sigma)
            w = (log_w + log_g).softmax(0)
            if not w.sum().isfinite():
                raise NotConvergingError(f"step {k}: the potential is not finite for all particles")
            if k == self.calls or 1 / w.square().sum() < self.least * len(w):
                chosen = systematic(w, generator)
                x, x_hat, unguided, log_w = x[chosen], x_hat[chosen], unguided[chosen], -log_g[chosen]
            if k == self.calls:
                break
            z = noise * sigma * standard_normal(x, generator)
            away = z + h * (x_hat - x - unguided)  # of the step from where it would have led, but for z, without guide
            log_w = log_w + (z.square() - away.square()).flatten(1).sum(1) / (2 * (noise * sigma).square())
            x = x + h * (x_hat - x) + z
            sigma = self.ratios()[0] * sigma
            yield Step(x, x_hat, sigma, k, every)
        yield Step(x_hat if self.denoise_last else x, x_hat, sigma, self.calls - 1, ~every)
