"""Every measure that a model and its company allow, one after the other."""

from collections.abc import Callable
from functools import partial

from fgs.evaluation.denoising import Found, Subject, denoising, denoising_matrix
from fgs.evaluation.features import concentration, embedding
from fgs.evaluation.samples import (
    ALPHAS,
    ENOUGH,
    FEW,
    LARGE,
    OMEGAS,
    PAIRS,
    RELEASES,
    Judged,
    fit_judge,
    interpolation,
    release,
    samples,
    single_class,
    unseen,
    ways,
)
from fgs.measures.statistics import SMALLEST
from fgs.networks import GuidedUNet
from fgs.sampling import StepByStep

SAMPLED: dict[str, Callable[[Judged], Found]] = {
    "samples": samples,
    "ways": ways,
    "single": single_class,
    "release": release,
    "interpolation": interpolation,
    "unseen": unseen,
}


def measures_of(subject: Subject) -> dict[str, Callable[[Subject], Found]]:
    """Return the measures that need no samples, by name."""
    measures: dict[str, Callable[[Subject], Found]] = {"denoising": denoising}
    if subject.model.targets is not None:
        measures["matrix"] = denoising_matrix
    if isinstance(subject.model.network, GuidedUNet):
        measures |= {"concentration": concentration, "embedding": embedding}
    return measures


def images_of(subject: Subject, n: int) -> dict[str, int]:
    """Return how many images each measure of samples draws, by name, for n samples of a class."""
    if subject.model.targets is None:
        return {}
    classes, guided = len(subject.model.classes), isinstance(subject.model.network, GuidedUNet)
    images = {"samples": (n + LARGE) * classes}
    if subject.patches.patch < SMALLEST:
        return images  # which can be looked at, but not judged
    if guided or subject.label:
        images["ways"] = n * classes * (guided + (1 + len(OMEGAS)) * bool(subject.label))
    if subject.single:
        images["single"] = n
    if guided:
        images["release"] = FEW * classes * (1 + len(RELEASES))
        images["interpolation"] = FEW * ALPHAS * min(PAIRS, classes * (classes - 1) // 2)
        if subject.unseen:
            images["unseen"] = FEW * len(subject.unseen.classes)
    return images


def measure_samples(
    subject: Subject, sampler: StepByStep, n: int, seed: int, advance: Callable[[str, int], None]
) -> Found:
    """Draw the samples of `images_of` and judge them.

    Args:
        subject: what is evaluated.
        sampler: of Algorithm 1.
        n: samples of a class.
        seed: of the samples.
        advance: told of the name of the measure and of the images of every call of the network.
    """
    judge = fit_judge(subject.patches, max(ENOUGH, n)) if subject.patches.patch >= SMALLEST else None
    return {
        name: SAMPLED[name](Judged(subject, judge, sampler, n, seed, partial(advance, name)))
        for name in images_of(subject, n)
    }
