"""Are samples of a texture like the texture? Judged by statistics that know nothing of the network.

Every distance is divided by its floor: the distance of as many real patches, of the part that was held out, to the same
reference, the part that was trained on.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fgs.measures.distances import class_hit, energy_distance
from fgs.measures.statistics import LinearClassifier, texture_statistics

ALIKE = 1e-6  # a spread, in sd over all classes, that is rounding
LEAST = 0.01  # sd over all classes of a correlation between channels that counts: in gray pictures it is 1


class Quality(NamedTuple):
    """How samples of one class compare with real patches; the last three are NaN where these are all alike."""

    hit: float  # share of them that the classifier takes for the class
    real_hit: float  # that of held-out patches
    distance: float  # energy distance of their statistics to the training region, in units of the floor
    diversity: float  # rms spread of their statistics within the class ÷ that of real patches
    contrast: float  # sd of all their pixels ÷ that of real patches


@dataclass(frozen=True)
class TextureJudge:
    """Real patches of each class, to hold samples against."""

    sd: Tensor  # (S,) of the statistics over all classes, the unit of each; ∞ for one that does not count
    classifier: LinearClassifier  # fitted to the reference
    reference: Tensor  # (K, n, S) statistics ÷ sd of the training region
    held_out: Tensor  # (K, n, S) of what was held out
    contrast: Tensor  # (K,) sd of the pixels of the training region

    @classmethod
    def fit(cls, training: Tensor, held_out: Tensor) -> "TextureJudge":
        """Take crops of every class from what was trained on and from what was held out, (K, n, C, H, W) each.

        n should be no less than the number of samples to be judged, whose floor takes as many held-out crops.
        """
        reference, other = (torch.stack([texture_statistics(x) for x in part.cpu()]) for part in (training, held_out))
        flat = reference.flatten(0, 1)
        sd, C = flat.std(0).clamp_min(1e-9), training.shape[2]
        between = sd[len(sd) - C * (C - 1) // 2 :]  # the correlations between channels, which come last
        between[between < LEAST] = math.inf
        y = torch.arange(len(reference)).repeat_interleave(reference.shape[1])
        contrast = training.cpu().flatten(1).std(1)
        return cls(sd, LinearClassifier.fit(flat / sd, y), reference / sd, other / sd, contrast)

    def scaled(self, x: Tensor) -> Tensor:
        """Return the statistics of images (n, C, H, W) in units of their sd over all classes, (n, S)."""
        return texture_statistics(x.cpu()) / self.sd

    def __call__(self, x: Tensor, y: int) -> Quality:
        """Judge samples x, (n, C, H, W) in [0, 1], of class y.

        Raises:
            ValueError: there are more samples than held-out crops, whose distance is the floor.
        """
        if len(x) > self.held_out.shape[1]:
            raise ValueError(f"x: the judge was fitted to {self.held_out.shape[1]} crops a class, got {len(x)} samples")
        z, reference, held_out = self.scaled(x), self.reference[y], self.held_out[y]
        floor = energy_distance(held_out[: len(x)], reference)
        hit, real_hit = (class_hit(self.classifier(statistics), y) for statistics in (z, held_out))
        diversity = math.sqrt(_ratio(z.var(0).sum(), reference.var(0).sum()))
        distance = _ratio(energy_distance(z, reference), floor)
        return Quality(hit, real_hit, distance, diversity, _ratio(x.std().cpu(), self.contrast[y]))


def _ratio(measured: Tensor, real: Tensor) -> float:
    """Return measured ÷ real, NaN where real patches are all alike, which leaves nothing to measure by."""
    return float(measured / real) if real > ALIKE else math.nan
