"""Feature-guided score diffusion: sampling conditional densities by pushing features to those of a class.

The library follows Kadkhodaie, Mallat & Simoncelli (2024). Everything speaks three protocols, `FeatureExtractor`,
`ProjectedScore` and `SISASampler`; exact examples of them are in the package `toy`.
"""

from fgs.checkpoints import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from fgs.corrections import Chain, Langevin
from fgs.data import Patches, draw_images, read_images
from fgs.denoising import denoising_loss, inverse_variance, log_uniform, uniform, unweighted
from fgs.embedding import centroid, conditioned, density_distances, euclidean_fit, interpolate, nearest_mean, separation
from fgs.features import channel_means, match_means
from fgs.few_steps import FewSteps, Heun, MultiStep
from fgs.guidance import ClassifierFreeGuidance, ClassifierGuidance, clean_classifier
from fgs.measures import class_hit, energy_distance, mean_and_sd, sliced_wasserstein_2, two_sample_floor, wasserstein_1
from fgs.networks import MLP, GuidedMLP, LabelMLP
from fgs.noise import add_noise, known_schedule, per_sample, pooled
from fgs.protocols import FeatureExtractor, ProjectedScore, Samples, SISASampler
from fgs.sampling import SISA, NotConvergingError, Step, StepByStep, draw_start, fixed, growing, within
from fgs.textures import Texture, draw_textures
from fgs.training import Budget, NotFiniteError, Record, Trainer
from fgs.unet import GuidedUNet, LabelUNet, UNet, receptive_field

__all__ = [
    "MLP",
    "SISA",
    "Budget",
    "Chain",
    "Checkpoint",
    "CheckpointError",
    "ClassifierFreeGuidance",
    "ClassifierGuidance",
    "FeatureExtractor",
    "FewSteps",
    "GuidedMLP",
    "GuidedUNet",
    "Heun",
    "LabelMLP",
    "LabelUNet",
    "Langevin",
    "MultiStep",
    "NotConvergingError",
    "NotFiniteError",
    "Patches",
    "ProjectedScore",
    "Record",
    "SISASampler",
    "Samples",
    "Step",
    "StepByStep",
    "Texture",
    "Trainer",
    "UNet",
    "add_noise",
    "centroid",
    "channel_means",
    "class_hit",
    "clean_classifier",
    "conditioned",
    "denoising_loss",
    "density_distances",
    "draw_images",
    "draw_start",
    "draw_textures",
    "energy_distance",
    "euclidean_fit",
    "fixed",
    "growing",
    "interpolate",
    "inverse_variance",
    "known_schedule",
    "load_checkpoint",
    "log_uniform",
    "match_means",
    "mean_and_sd",
    "nearest_mean",
    "per_sample",
    "pooled",
    "read_images",
    "receptive_field",
    "save_checkpoint",
    "separation",
    "sliced_wasserstein_2",
    "two_sample_floor",
    "uniform",
    "unweighted",
    "wasserstein_1",
    "within",
]
