"""The ways to sample one class of a mixture that `fgs toy` compares, all of them projected scores."""

from typing import NamedTuple

from torch import Tensor

from fgs.few_steps import FewSteps
from fgs.guidance import ClassifierFreeGuidance, ClassifierGuidance
from fgs.protocols import ProjectedScore
from fgs.sampling import SISA
from toy.gains import posterior_gain, separation_gain
from toy.mixture import GaussianMixture
from toy.scores import ExactScore, ForcedScore


class Method(NamedTuple):
    """A way to sample: the label of its row, the score, and whether φ is the class (one-hot), its mean or None."""

    label: str
    score: ProjectedScore
    phi: Tensor | None


ToySampler = SISA | FewSteps

_LABELS = {
    "exact": "exact conditional score",
    "forcing": "forcing, linear gain",
    "forcing_posterior": "forcing, posterior gain (uses p(y|x))",
    "cfg1": "classifier-free guidance, ω = 1",
    "cfg4": "classifier-free guidance, ω = 4",
    "classifier": "classifier guidance",
    "mixture": "unguided mixture",
}

EXACT_METHODS = tuple(_LABELS)


def build_method(name: str, mixture: GaussianMixture, y: int, sampler: ToySampler) -> Method:
    """Return the method `name`, one of `EXACT_METHODS`, for class y; it may depend on the settings of the sampler."""
    exact, phi = ExactScore(mixture), None if name == "mixture" else mixture.one_hot(y)
    score: ProjectedScore = exact
    if name.startswith("forcing"):
        gain = separation_gain(mixture, sampler.beta) if name == "forcing" else posterior_gain(mixture)
        h = sampler.h if isinstance(sampler, SISA) else sampler.step.h
        score, phi = ForcedScore(mixture, gain, max_pull=0.5 / h), mixture.means[y]
    elif name.startswith("cfg"):
        score = ClassifierFreeGuidance(exact, exact, float(name.removeprefix("cfg")))
    elif name == "classifier":
        score = ClassifierGuidance(exact, mixture.log_posterior)
    return Method(_LABELS[name], score, phi)
