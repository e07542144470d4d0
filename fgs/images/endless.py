"""Endless classes: every group of a batch is a class that was not there before.

Algorithm 2 needs of a class only that x and x' are two samples of it. So a picture of a bank, at a scale, turned, and
with gray, contrast and colours drawn anew for each group, is a class: no label is used, and φ has to embed whatever is
shown.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

ROOM = 1.25  # sides of a picture, in patches, that leave x and x' different places
FLAT = 0.02  # sd of a picture whose contrast is mostly noise of the camera
CONTRASTS = (0.04, 0.3)  # sd of a class
GRAYS = (0.15, 0.85)  # mean of a class


class Variation(NamedTuple):
    """How classes that are drawn from one picture differ."""

    scales: tuple[float, ...] = (1, 1.5, 2, 3, 4)  # a picture is averaged over so many pixels a side, one of these
    turned: bool = True  # mirror and transpose, each one time in two
    contrast: float = 0.5  # the sd changes by a factor of e^±this
    gray: float = 0.15  # the mean moves by ± this
    inverted: float = 1 / 7  # share of classes in which bright becomes dark
    colors: bool = True  # hue, saturation and white balance change; of RGB only


USUAL = Variation()


class Endless:
    """Pairs of patches of classes without end.

    Args:
        pictures: (C, H, W) uint8 each; those with no scale at which there is room are passed over.
        patch: pixels a side.
        synthetic: more pictures, which make up `share` of the classes.
        share: in [0, 1].
        variation: how classes differ that are drawn from one picture.
        twice: share of batches in which x, not x', has twice the sides where there is room: φ shall serve any size.
        device: where the pixels are kept and batches are made.

    Raises:
        ValueError: no picture has room; the message begins with "data".
    """

    def __init__(
        self,
        pictures: Sequence[Tensor],
        patch: int,
        synthetic: Sequence[Tensor] = (),
        share: float = 0.0,
        variation: Variation = USUAL,
        twice: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.patch, self.share = patch, share
        self.variation, self.device = variation, torch.device(device)
        real = [level for picture in pictures for level in _pyramid(picture, variation.scales, patch)]
        drawn = [level for picture in synthetic for level in _pyramid(picture, variation.scales, patch)]
        levels, self.real = [*real, *drawn], len(real)
        if not levels:
            side = math.ceil(ROOM * patch)
            raise ValueError(f"data: no picture has {side} pixels a side, which endless classes need")
        self.sides = torch.tensor([level.shape[1:] for level in levels])
        sizes = self.sides.prod(1)
        self.begin = sizes.cumsum(0) - sizes  # of each in the row of all pixels
        self.roomy = {k: (self.sides.amin(1) >= ROOM * k * patch).nonzero()[:, 0] for k in (1, 2)}
        real_too = bool((self.roomy[2] < self.real).any()) or not real  # drawn pictures alone make no batch
        self.twice = twice if real_too and len(self.roomy[2]) else 0.0
        self.pixels = torch.cat([level.flatten(1) for level in levels], 1).to(self.device)
        moments = [torch.var_mean(level.flatten(1).double() / 255, 1, correction=0) for level in levels]
        self.mean = torch.stack([mean for _, mean in moments]).float()
        self.sd = torch.stack([variance.mean().sqrt() for variance, _ in moments]).float().clamp_min(1e-3)

    def pairs(
        self, n: int, generator: Generator | None = None, shared: int = 1, primes: int = 1
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw pairs as `Patches.pairs` does, but each group of `shared` is of a class of its own; y numbers those.

        Where x has twice the sides a group has a quarter of them, one at the least.
        """
        groups, k = n // shared, 1
        if self.twice and float(torch.rand((), generator=generator)) < self.twice:
            shared, k = max(1, shared // 4), 2
        level, recolor, turns = self._classes(groups, generator, self.roomy[k])
        drawn = []
        for each, side in ((shared, k * self.patch), (primes, self.patch)):
            of = torch.arange(groups).repeat_interleave(each)
            room = self.sides[level[of]] - side + 1
            corner = (torch.rand(len(of), 2, dtype=torch.float64, generator=generator) * room).long()
            x = self._gather(level[of], corner, side, turns[of])
            drawn.append(_recolored(x, *(part[of].to(self.device) for part in recolor)))
        return drawn[0], drawn[1], torch.arange(groups, device=self.device).repeat_interleave(shared)

    def _classes(self, n: int, g: Generator | None, levels: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
        """Draw classes: their level of `levels` (G,), the change of colour M, b, and how they are turned (G, 3)."""
        how, u = self.variation, torch.rand(n, 7, dtype=torch.float64, generator=g)
        real = int((levels < self.real).sum())
        synthetic = (u[:, 0] < self.share) & (len(levels) > real) | torch.tensor(real == 0)
        first, count = torch.where(synthetic, real, 0), torch.where(synthetic, len(levels) - real, real)
        level = levels[first + (u[:, 1] * count).long()]
        mean, sd = self.mean[level], self.sd[level]
        around = 2 * u.float() - 1
        contrast = (sd * (how.contrast * around[:, 2]).exp()).clamp(*CONTRASTS) / sd
        contrast = torch.where(u[:, 3] < how.inverted, -contrast, contrast)
        level_of_gray = mean.mean(1)
        gray = (level_of_gray + how.gray * around[:, 4]).clamp(*GRAYS)
        chroma = mean - level_of_gray[:, None]
        mix = torch.eye(mean.shape[1]).expand(n, -1, -1)
        if how.colors and mean.shape[1] == 3:
            mix = _hues(around[:, 5], torch.where(u[:, 3] > 6 / 7, 0.0, (0.7 * around[:, 6]).exp()).float())
            cast = 0.06 * torch.randn(n, 3, generator=g)
            chroma = (mix @ chroma[:, :, None])[:, :, 0] + cast - cast.mean(1, keepdim=True)
        matrix = contrast[:, None, None] * mix
        offset = gray[:, None] + chroma - (matrix @ mean[:, :, None])[:, :, 0]
        turns = torch.rand(n, 3, generator=g) < 0.5 * how.turned
        return level, (matrix.float(), offset.float()), turns

    def _gather(self, level: Tensor, corner: Tensor, side: int, turns: Tensor) -> Tensor:
        width = self.sides[level, 1]
        begin = self.begin[level] + corner[:, 0] * width + corner[:, 1]
        begin, width, turns = (part.to(self.device) for part in (begin, width, turns))
        within = torch.arange(side, device=self.device)
        rows, columns = (torch.where(turns[:, k, None], within.flip(0), within) for k in (0, 1))
        index = begin[:, None, None] + width[:, None, None] * rows[:, :, None] + columns[:, None]
        index = torch.where(turns[:, 2, None, None], index.mT, index)
        return self.pixels[:, index].transpose(0, 1).float() / 255


def _pyramid(picture: Tensor, scales: Sequence[float], patch: int) -> list[Tensor]:
    """Return the picture averaged to every scale at which there is room, (C, H, W) uint8 each."""
    sizes = [tuple(int(side / scale) for side in picture.shape[1:]) for scale in scales]
    return [
        nn.functional.interpolate(picture[None].float(), size, mode="area")[0].round().to(torch.uint8)
        for size in sizes
        if min(size) >= ROOM * patch
    ]


def _hues(turn: Tensor, saturation: Tensor) -> Tensor:
    """Return (G, 3, 3) matrices that keep gray, turn colours about it, mostly by little, and stretch them."""
    gray = torch.full((3, 3), 1 / 3)
    across = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    angle = (math.pi * turn.pow(3))[:, None, None]
    return gray + saturation[:, None, None] * (angle.cos() * (torch.eye(3) - gray) + angle.sin() * across)


def _recolored(x: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """Return Mx + b for every pixel of images (N, C, H, W), clipped to [0, 1]."""
    return ((matrix @ x.flatten(2)).view_as(x) + offset[:, :, None, None]).clamp(0, 1)
