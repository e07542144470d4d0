"""The ways to sample one class of a mixture that `fgs toy` compares, all of them projected scores."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from fgs.few_steps import MultiStep
from fgs.guidance import ClassifierFreeGuidance, ClassifierGuidance, clean_classifier
from fgs.protocols import ProjectedScore
from fgs.sampling import SISA
from toy.gains import posterior_gain, separation_gain
from toy.mixture import GaussianMixture
from toy.scores import ExactScore, ForcedScore, Gain


class Method(NamedTuple):
    """A way to sample: the label of its row, the score, and whether φ is the class (one-hot), its mean or None."""

    label: str
    score: ProjectedScore
    phi: Tensor | None


ToySampler = SISA | MultiStep

Build = Callable[[GaussianMixture, int, ToySampler], tuple[ProjectedScore, Tensor | None]]
"""(mixture, y, sampler) -> score, φ."""


def _cfg(omega: float) -> Build:
    return lambda mixture, y, sampler: (
        ClassifierFreeGuidance(ExactScore(mixture), ExactScore(mixture), omega),
        mixture.one_hot(y),
    )


def _classifier(clean: bool) -> Build:
    def build(mixture: GaussianMixture, y: int, sampler: ToySampler) -> tuple[ProjectedScore, Tensor | None]:
        classifier = clean_classifier(mixture.log_posterior, sampler.sigma_inf) if clean else mixture.log_posterior
        return ClassifierGuidance(ExactScore(mixture), classifier), mixture.one_hot(y)

    return build


def _forcing(gain: Callable[[GaussianMixture, ToySampler], Gain]) -> Build:
    def build(mixture: GaussianMixture, y: int, sampler: ToySampler) -> tuple[ProjectedScore, Tensor | None]:
        return ForcedScore(mixture, gain(mixture, sampler), max_pull=0.5 / largest_step(sampler)), mixture.means[y]

    return build


def largest_step(sampler: ToySampler) -> float:
    """Return the largest h of all steps."""
    if isinstance(sampler, SISA):
        return sampler.h
    return sampler.step.h


_METHODS: dict[str, tuple[str, Build]] = {
    "exact": ("exact conditional score", lambda mixture, y, sampler: (ExactScore(mixture), mixture.one_hot(y))),
    "forcing": ("forcing, linear gain", _forcing(lambda mixture, sampler: separation_gain(mixture, sampler.beta))),
    "forcing_posterior": (
        "forcing, posterior gain (uses p(y|x))",
        _forcing(lambda mixture, sampler: posterior_gain(mixture)),
    ),
    "cfg1": ("classifier-free guidance, ω = 1", _cfg(1.0)),
    "cfg4": ("classifier-free guidance, ω = 4", _cfg(4.0)),
    "classifier": ("classifier guidance", _classifier(clean=False)),
    "classifier_clean": ("clean classifier on noisy x", _classifier(clean=True)),
    "mixture": ("unguided mixture", lambda mixture, y, sampler: (ExactScore(mixture), None)),
}

EXACT_METHODS = tuple(_METHODS)


def build_method(name: str, mixture: GaussianMixture, y: int, sampler: ToySampler) -> Method:
    """Return the method `name`, one of `EXACT_METHODS`, for class y; it may depend on the settings of the sampler."""
    label, build = _METHODS[name]
    return Method(label, *build(mixture, y, sampler))
