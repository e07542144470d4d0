"""Measures of samples that know nothing of networks: distances with floors, texture statistics, copies."""

from fgs.measures.distances import class_hit, energy_distance, mean_and_sd, two_sample_floor, wasserstein_1
from fgs.measures.judge import Quality, TextureJudge
from fgs.measures.statistics import texture_statistics

# fmt: off
__all__ = [
    "Quality", "TextureJudge", "class_hit", "energy_distance", "mean_and_sd", "texture_statistics",
    "two_sample_floor", "wasserstein_1",
]
# fmt: on
