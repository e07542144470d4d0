"""Textures drawn from a seed, for when there are no photographs at hand.

A texture is a family of random fields with a size, an orientation and two colours, all drawn from the seed. Every image
of it is another draw of the field, so that two images share their statistics and nothing else.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from fgs.images.fields import FAMILIES
from fgs.noise import seeded


@dataclass(frozen=True)
class Texture:
    """One class of images: call it for as many as you like."""

    name: str  # its family, with a number from the second round of families on
    family: str  # one of `fgs.images.fields.FAMILIES`
    scale: float  # size of what is seen, 1 for the family's own
    angle: float  # orientation in radians
    palette: Tensor  # (2, 3) RGB in [0, 1], where the field is 0 and 1

    def __call__(self, size: int, generator: Generator) -> Tensor:
        """Draw an image, (3, size, size) uint8."""
        fine = FAMILIES[self.family](2 * size, 2 * self.scale, self.angle, generator).clamp(0, 1)
        field = nn.functional.avg_pool2d(fine[None], 2)  # edges are smooth, as a camera would see them
        dark, light = self.palette[:, :, None, None]
        return (255 * torch.lerp(dark, light, field)).round().to(torch.uint8)


STYLE, IMAGE = range(2)  # what a seed is used for


def draw_textures(count: int = 16, seed: int = 0) -> list[Texture]:
    """Draw textures: every family once, then every family again with another size, orientation and colours."""
    if count < 1:
        raise ValueError(f"classes: must be at least 1, got {count}")
    families = list(FAMILIES)
    return [_draw_texture(*divmod(k, len(families)), families, seeded(seed, STYLE, k)) for k in range(count)]


def _draw_texture(turn: int, family: int, families: list[str], generator: Generator) -> Texture:
    scale, angle, brightness = torch.rand(3, generator=generator).tolist()
    gray = torch.tensor([[0.1], [0.65]]) + 0.2 * brightness
    palette = gray + 0.1 * (2 * torch.rand(2, 3, generator=generator) - 1)
    name = f"{families[family]}_{turn + 1}" if turn else families[family]
    return Texture(name, families[family], 0.8 * 1.6**scale, math.pi * angle, palette.clamp(0, 1))
