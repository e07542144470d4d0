"""Feature-guided score diffusion: sampling conditional densities by pushing features to those of a class.

The library follows Kadkhodaie, Mallat & Simoncelli (2024). Everything speaks three protocols, `FeatureExtractor`,
`ProjectedScore` and `SISASampler`; exact examples of them are in the package `toy`.
"""

from fgs.guidance import ClassifierFreeGuidance, ClassifierGuidance, clean_classifier
from fgs.measures import (
    class_hit,
    energy_distance,
    mean_and_sd,
    sliced_wasserstein_2,
    two_sample_floor,
    wasserstein_1,
)
from fgs.noise import add_noise, known_schedule, per_sample, pooled
from fgs.protocols import FeatureExtractor, ProjectedScore, Samples, SISASampler
from fgs.sampling import SISA, NotConvergingError, Step, draw_start, fixed, growing

__all__ = [
    "SISA",
    "ClassifierFreeGuidance",
    "ClassifierGuidance",
    "FeatureExtractor",
    "NotConvergingError",
    "ProjectedScore",
    "SISASampler",
    "Samples",
    "Step",
    "add_noise",
    "class_hit",
    "clean_classifier",
    "draw_start",
    "energy_distance",
    "fixed",
    "growing",
    "known_schedule",
    "mean_and_sd",
    "per_sample",
    "pooled",
    "sliced_wasserstein_2",
    "two_sample_floor",
    "wasserstein_1",
]
