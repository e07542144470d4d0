"""Score networks: MLPs for vectors, UNets for images; guided by features, given labels, or neither."""

from fgs.networks.mlp import MLP, GuidedMLP, LabelMLP
from fgs.networks.unet import GuidedUNet, LabelUNet, UNet, receptive_field

__all__ = ["MLP", "GuidedMLP", "GuidedUNet", "LabelMLP", "LabelUNet", "UNet", "receptive_field"]
