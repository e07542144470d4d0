"""Images as classes of patches, and a network of them: trained by a recipe as a run, kept as a model, sampled."""

from fgs.images.model import Model, load_model
from fgs.images.patches import Patches, draw_images, read_images
from fgs.images.reading import Preparation

__all__ = ["Model", "Patches", "Preparation", "draw_images", "load_model", "read_images"]
