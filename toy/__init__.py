"""Stage 1: densities with a known answer. An exact Gaussian mixture and the forcing term of Section 3."""

from toy.gains import posterior_gain, power_gain, separation_gain
from toy.geometry import class_axis, isotropic_covariances, means_on_line, noise_range, random_means, rank1_covariances
from toy.mixture import GaussianMixture
from toy.scores import ExactScore, ForcedScore

__all__ = [
    "ExactScore",
    "ForcedScore",
    "GaussianMixture",
    "class_axis",
    "isotropic_covariances",
    "means_on_line",
    "noise_range",
    "posterior_gain",
    "power_gain",
    "random_means",
    "rank1_covariances",
    "separation_gain",
]
