"""Feature-guided score diffusion: sampling conditional densities by pushing features to those of a class.

The library follows Kadkhodaie, Mallat & Simoncelli (2024). Everything speaks three protocols, `FeatureExtractor`,
`ProjectedScore` and `SISASampler`; exact examples of them are in the package `toy`. The files beside this one are the
method, symbol by symbol; the folders are the rooms that it is used in.
"""

from importlib.metadata import version

from fgs.composition import AllOf, AnyOf, Several
from fgs.corrections import Corrected
from fgs.denoising import denoising_loss, inverse_variance, log_uniform, uniform, unweighted
from fgs.embedding import (
    centroid,
    conditioned,
    density_distances,
    euclidean_fit,
    feature_metric,
    interpolate,
    nearest_mean,
    separation,
)
from fgs.features import channel_means, match_means
from fgs.few_steps import FewSteps, MultiStep
from fgs.field import asymmetry, inconsistency
from fgs.guidance import ClassifierFreeGuidance, ClassifierGuidance, Released
from fgs.images import Patches, Preparation, draw_images, load_model, read_images
from fgs.measures import class_hit, energy_distance, mean_and_sd, two_sample_floor, wasserstein_1
from fgs.networks import MLP, GuidedMLP, GuidedUNet, LabelMLP, LabelUNet, UNet, receptive_field
from fgs.networks.adapters import FromDenoiser, FromNoisePrediction, FromVelocity, Scaled, WithFeatures
from fgs.noise import add_noise, known_schedule, per_sample, pooled
from fgs.outline import Outline
from fgs.protocols import FeatureExtractor, ProjectedScore, Samples, SISASampler
from fgs.restoration import Posterior, Projected, estimate_noise
from fgs.sampling import SISA, NotConvergingError, Step, StepByStep, draw_start, fixed, growing
from fgs.steering import Steered, near
from fgs.training import Budget, Trainer, load_checkpoint, save_checkpoint
from fgs.velocity import ConstantVelocity, HeunVelocity

__version__ = version("fgs")

# fmt: off
__all__ = [  # noqa: RUF022 by what they are for
    "FeatureExtractor", "ProjectedScore", "SISASampler", "Samples",  # the protocols
    "add_noise", "known_schedule", "per_sample", "pooled",  # noise
    "SISA", "FewSteps", "MultiStep", "Corrected", "StepByStep", "Step",  # samplers
    "ConstantVelocity", "HeunVelocity", "Outline", "Several", "AnyOf", "AllOf", "Steered", "near",
    "draw_start", "fixed", "growing", "NotConvergingError",
    "channel_means", "match_means", "denoising_loss", "log_uniform", "uniform", "inverse_variance", "unweighted",  # φ
    "ClassifierFreeGuidance", "ClassifierGuidance", "Released",  # scores made of scores
    "Posterior", "Projected", "estimate_noise", "asymmetry", "inconsistency",
    "centroid", "conditioned", "interpolate", "nearest_mean", "separation", "density_distances", "euclidean_fit",
    "feature_metric",
    "MLP", "GuidedMLP", "LabelMLP", "UNet", "GuidedUNet", "LabelUNet", "receptive_field",  # networks
    "FromDenoiser", "FromNoisePrediction", "FromVelocity", "Scaled", "WithFeatures",
    "Trainer", "Budget", "save_checkpoint", "load_checkpoint",  # training
    "Patches", "Preparation", "draw_images", "read_images", "load_model",  # images
    "class_hit", "energy_distance", "mean_and_sd", "two_sample_floor", "wasserstein_1",
]
# fmt: on
