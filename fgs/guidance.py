"""Scores made of scores: guidance by the likelihood of the class (Section 2), and guidance that ends on the way.

The rules of Section 2, which the paper argues against, weight the likelihood gradient of Bayes' rule (Eq. 4). Their φ
is a class as a one-hot vector, (K,) or (N, K); φ = None is the score without guidance.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fgs.noise import per_row
from fgs.protocols import ProjectedScore

LogLikelihood = Callable[[Tensor, Tensor], Tensor]
"""(x, sigma) -> log p_σ(y|x): from x (N, *shape) and σ () or (N,), one column a class, (N, K)."""


@dataclass(frozen=True)
class ClassifierFreeGuidance:
    """Classifier-free guidance, (1 + ω)·conditional − ω·unconditional (Section 2, after Ho & Salimans 2022).

    Attributes:
        conditional: score that takes the class as φ.
        unconditional: score of the mixture, called with φ = None; it may be the same object.
        omega: ω ≥ 0; 0 is the conditional score alone.
    """

    conditional: ProjectedScore
    unconditional: ProjectedScore
    omega: float

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return the guided σ²·score, the shape of x; arguments as in `ProjectedScore`."""
        s = self.unconditional(x, None, sigma)
        if phi is None:
            return s
        return (1 + self.omega) * self.conditional(x, phi, sigma) - self.omega * s


@dataclass(frozen=True)
class ClassifierGuidance:
    """Classifier guidance, s + scale·σ²∇log p_σ(y|x) (Eq. 4, after Dhariwal & Nichol 2021).

    Attributes:
        score: score of the mixture, called with φ = None.
        log_likelihood: log p_σ(y|x), differentiable in x; Bayes' rule wants it at the noise level of x.
        scale: 1 is Bayes' rule.
    """

    score: ProjectedScore
    log_likelihood: LogLikelihood
    scale: float = 1.0

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return the guided σ²·score, the shape of x; arguments as in `ProjectedScore`, σ required with φ."""
        s = self.score(x, None, sigma)
        if phi is None:
            return s
        if sigma is None:
            raise ValueError("sigma: classifier guidance needs the noise level of x")
        again = torch.is_grad_enabled() and x.requires_grad  # who asked for s is going to differentiate it
        with torch.enable_grad():
            x = x if again else x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad((phi * self.log_likelihood(x, sigma)).sum(), x, create_graph=again)
        return s + self.scale * per_row(sigma, x).square() * gradient


@dataclass(frozen=True)
class Released:
    """A score whose guidance ends below a noise level (Fig. 13).

    Attributes:
        guided: followed above, with the φ that is given, or None.
        free: followed below, with φ = None; it may be the same object.
        level: σ at which it lets go.
    """

    guided: ProjectedScore
    free: ProjectedScore
    level: float

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s, the shape of x; arguments as in `ProjectedScore`, but σ must be given.

        Raises:
            ValueError: σ is not given.
        """
        if sigma is None:
            raise ValueError("sigma: needed to know when to let go")
        below = (sigma < self.level).expand(len(x))
        if bool(below.all()):
            return self.free(x, None, sigma)
        s = self.guided(x, phi, sigma)
        if not bool(below.any()):
            return s
        return torch.where(per_row(below, x), self.free(x, None, sigma), s)
