"""What is seen of an image: linear measurements that `fgs.restoration` undoes, and a first guess from each."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from fgs.restoration import Measurement


class Damage(NamedTuple):
    """A measurement of images (N, C, H, W), and a guess of them by what was measured, around which sampling starts."""

    measure: Measurement
    guess: Callable[[Tensor], Tensor]


def hidden(known: Tensor) -> Damage:
    """Return the damage that leaves some pixels, known (1, 1, H, W) of 0 and 1; others are guessed as their mean."""

    def guess(y: Tensor) -> Tensor:
        mean = (known * y).sum((2, 3), keepdim=True) / known.sum()
        return torch.where(known > 0, y, mean)

    return Damage(lambda x: known * x, guess)


def blurred(sd: float) -> Damage:
    """Return the damage of a Gaussian blur of so many pixels, with images continued by reflection."""
    reach = max(1, round(3 * sd))
    kernel = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * sd**2))
    kernel = kernel / kernel.sum()

    def measure(x: Tensor) -> Tensor:
        N, C, H, W = x.shape
        x = x.reshape(N * C, 1, H, W)
        for shape, pad in (((1, 1, -1, 1), (0, 0, reach, reach)), ((1, 1, 1, -1), (reach, reach, 0, 0))):
            x = functional.conv2d(functional.pad(x, pad, mode="reflect"), kernel.to(x).view(shape))
        return x.view(N, C, H, W)

    return Damage(measure, lambda y: y)


def shrunk(factor: int) -> Damage:
    """Return the damage of averaging blocks of factor × factor pixels; the sides of an image are multiples of it."""
    return Damage(
        lambda x: functional.avg_pool2d(x, factor),
        lambda y: functional.interpolate(y, scale_factor=factor, mode="bilinear"),
    )


def nothing() -> Damage:
    """Return no damage but noise."""
    return Damage(lambda x: x, lambda y: y)
