"""The exact scores of a mixture, plain and forced towards a mean, as projected scores."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fgs.noise import per_row
from toy.mixture import GaussianMixture

Gain = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x, y, sigma) -> K_σ, () or (N,), in inverse squared units of x.

x is (N, d); the target class y and the noise level σ are () or (N,).
"""


@dataclass(frozen=True)
class ExactScore:
    """The true σ²∇log p_{σ,y}, with the class y as a one-hot φ, (K,) or (N, K); φ = None is the mixture's score.

    Any other φ with sum 1 gives the score of the mixture with φ for weights.
    """

    mixture: GaussianMixture

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return σ²·score, (N, d); arguments as in `ProjectedScore`, σ required."""
        sigma = _required(sigma)
        s = self.mixture.score(x, sigma, phi)
        return (per_row(sigma.to(s.device), x).square() * s).to(x)


@dataclass(frozen=True)
class ForcedScore:
    """The mixture's score with a forcing term, σ²∇log p_σ(x) + σ²K_σ(m_y − x) (Section 3).

    The features are x itself and φ is the mean of the class, (d,) or (N, d): the simplest case of guidance by features.
    """

    mixture: GaussianMixture
    gain: Gain  # K_σ, see `toy.gains`
    max_pull: float  # largest |σ²K_σ|; a step moves x by hσ²K_σ of the way to m_y, so .5/h keeps it from overshooting

    def features(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Return φ(x) = x, (N, d)."""
        return x

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return the forced σ²·score, (N, d); arguments as in `ProjectedScore`, σ required."""
        sigma = _required(sigma)
        s = ExactScore(self.mixture)(x, None, sigma)
        if phi is None:
            return s
        y = (phi[..., None, :] - self.mixture.means).norm(dim=-1).argmin(-1)
        pull = (sigma.square() * self.gain(x, y, sigma)).clamp(-self.max_pull, self.max_pull)
        return s + (per_row(pull, x) * (phi - x)).to(x)


def _required(sigma: Tensor | None) -> Tensor:
    if sigma is None:
        raise ValueError("sigma: an exact score needs the noise level of x")
    return torch.as_tensor(sigma)
