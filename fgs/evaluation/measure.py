"""Every measure that a model allows, one after the other."""

from collections.abc import Callable
from functools import partial

import fgs.evaluation.samples as of
from fgs.evaluation.denoising import Found, Subject, denoising
from fgs.evaluation.features import concentration, embedding
from fgs.images.samplers import HowToSample
from fgs.measures.statistics import SMALLEST
from fgs.networks import GuidedUNet

SAMPLED: dict[str, Callable[[of.Judged], Found]] = {"samples": of.samples, "interpolation": of.interpolation}

MANY = 24  # classes above which what takes ten times as long as samples, or grows with their pairs, is left out


def measures_of(subject: Subject) -> dict[str, Callable[[Subject], Found]]:
    """Return the measures that need no samples, by name."""
    measures: dict[str, Callable[[Subject], Found]] = {"denoising": denoising}
    if isinstance(subject.model.network, GuidedUNet):
        measures["concentration"] = concentration
        if len(subject.model.classes) <= MANY:
            measures["embedding"] = embedding
    return measures


def images_of(subject: Subject, n: int) -> dict[str, int]:
    """Return how many images each measure of samples draws, by name, for n samples of a class."""
    if subject.model.targets is None:
        return {}
    classes, guided = len(subject.model.classes), isinstance(subject.model.network, GuidedUNet)
    images = {"samples": n * classes}
    if subject.patches.patch < SMALLEST:
        return images  # which can be looked at, but not judged
    if guided and classes > 1:
        images["interpolation"] = of.FEW * of.ALPHAS * min(of.PAIRS, classes * (classes - 1) // 2)
    return images


def measure_samples(subject: Subject, how: HowToSample, n: int, advance: Callable[[str, int], None]) -> Found:
    """Draw the samples of `images_of` and judge them; `advance` is told of the images of every call, by measure."""
    judge = of.fit_judge(subject.patches, max(of.ENOUGH, n)) if subject.patches.patch >= SMALLEST else None
    return {
        name: SAMPLED[name](of.Judged(subject, judge, how, n, partial(advance, name))) for name in images_of(subject, n)
    }
