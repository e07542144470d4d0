"""Densities with a known answer: the exact Gaussian mixture, the forcing term of Section 3, and learned scores."""

from toy.config import ToyConfig
from toy.experiment import run_toy
from toy.gains import posterior_gain, release_level, separation_gain
from toy.geometry import (
    class_axis,
    isotropic_covariances,
    means_on_line,
    mixture_on_line,
    noise_range,
    random_means,
    rank1_covariances,
)
from toy.judge import Judge
from toy.learned.embedding import Embedding, measure_embedding
from toy.learned.scores import Learned
from toy.learned.training import Learning, learn
from toy.low_rank import LowRankDenoiser, low_rank_mixture, random_subspaces, subspace_error
from toy.mixture import GaussianMixture
from toy.scores import ExactScore, ForcedScore

# fmt: off
__all__ = [
    "Embedding", "ExactScore", "ForcedScore", "GaussianMixture", "Judge", "Learned", "Learning", "LowRankDenoiser",
    "ToyConfig", "class_axis", "isotropic_covariances", "learn", "low_rank_mixture", "means_on_line",
    "measure_embedding", "mixture_on_line", "noise_range", "posterior_gain", "random_means", "random_subspaces",
    "rank1_covariances", "release_level", "run_toy", "separation_gain", "subspace_error",
]
# fmt: on
