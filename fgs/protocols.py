"""The three protocols that every part of the library speaks, and the samples that a sampler returns.

A density is known to a sampler only through its score, and a class only through one flat feature vector `phi` (paper,
Section 3). Whatever answers to `ProjectedScore` (an exact score, a forcing term, a network, a guidance rule) goes
through the same sampler and the same measures.
"""

import inspect
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Generator, Tensor


class Samples(NamedTuple):
    """What a sampler returns."""

    x: Tensor  # (N, *shape)
    steps: Tensor  # (N,) integers, the updates that each sample took
    sigma: Tensor  # (N,) the noise level, in the units of x, that it believes is left (before a last denoising)


@runtime_checkable
class FeatureExtractor(Protocol):
    """The feature map φ of Section 3."""

    def features(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Return φ(x) as one flat vector a sample, (N, *shape) -> (N, F).

        So a centroid is a mean over rows and an interpolation a `torch.lerp`. `sigma`, () or (N,), is the noise level
        of x, in its units; a blind extractor ignores it.
        """


@runtime_checkable
class ProjectedScore(Protocol):
    """The projected score s(x_σ, φ_y − φ(x_σ)) of Section 3, weighted by σ² (Algorithms 1 and 3)."""

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s = x̂ − x = σ²·∇log p_σ(x), by Tweedie's formula (Eq. 2): the shape of x.

        Args:
            x: (N, *shape) noisy signals.
            phi: (F,) or (N, F) target features; None is the unmatched pass s(x, 0), for exact scores the mixture's.
            sigma: () or (N,) noise level of x, in its units; a blind score ignores it.
        """


@runtime_checkable
class SISASampler(Protocol):
    """A sampler that follows a projected score from noise to samples (Algorithms 1 and 3)."""

    def __call__(
        self, score: ProjectedScore, x: Tensor, phi: Tensor | None = None, generator: Generator | None = None
    ) -> Samples:
        """Return samples of the density that `score`, guided by `phi`, belongs to.

        Args:
            score: the projected score.
            x: (N, *shape) the start x_{σ_0}, see `fgs.sampling.draw_start`.
            phi: (F,) or (N, F) target features; None samples without guidance.
            generator: source of the injected noise; None is torch's own.
        """


def require_score(score: object) -> None:
    """Raise a TypeError that says what a `ProjectedScore` takes, if `score` cannot be called so."""
    called = getattr(score, "forward", score)  # of a module, whose own call takes anything
    try:
        inspect.signature(called).bind(None, None, None)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"score: a ProjectedScore is called as score(x, phi, sigma) and returns x̂ − x; this one does not take that "
            f"({error}). Wrap it: lambda x, phi=None, sigma=None: denoiser(x) - x"
        ) from None
