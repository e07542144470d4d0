"""Images as classes of patches, and a network of them: trained by a recipe as a run, kept as a model, sampled."""

from fgs.images.model import Model, load_model
from fgs.images.patches import Patches, draw_images, read_images
from fgs.images.reading import Preparation
from fgs.images.synthetic import Texture, draw_textures

__all__ = ["Model", "Patches", "Preparation", "Texture", "draw_images", "draw_textures", "load_model", "read_images"]
