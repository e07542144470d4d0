"""Where the patches of a class lie in its images: what is trained on, what is held out, and every place in them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Region(NamedTuple):
    """A rectangle of one image, in pixels."""

    image: int
    top: int
    left: int
    height: int
    width: int


def split(sizes: Sequence[tuple[int, int]], patch: int, share: float = 0.25) -> tuple[list[Region], list[Region]]:
    """Divide the images of a class into what is trained on and what is held out.

    An image of two patches along its longer side is cut across that side. Of smaller images every fourth, and at least
    one, is held out whole. `sizes` are their height and width, `share` is what is held out, at the least one patch.

    Raises:
        ValueError: the images are too few or too small to hold out any.
    """
    if any(min(size) < patch for size in sizes):
        raise ValueError(f"an image has fewer than {patch} pixels a side")
    train, held_out, small = [], [], []
    for image, (height, width) in enumerate(sizes):
        long = max(height, width)
        if long < 2 * patch:
            small.append(Region(image, 0, 0, height, width))
            continue
        kept = long - min(max(patch, round(share * long)), long - patch)
        across = width == long
        train.append(Region(image, 0, 0, height, kept) if across else Region(image, 0, 0, kept, width))
        rest = (0, kept, height, width - kept) if across else (kept, 0, height - kept, width)
        held_out.append(Region(image, *rest))
    whole = small[3::4] or ([] if held_out else small[-1:])
    train += [region for region in small if region not in whole]
    held_out += whole
    if not train:
        raise ValueError(f"one image of {sizes[0][1]} × {sizes[0][0]} pixels cannot be divided into patches of {patch}")
    return train, held_out


class Windows:
    """Where the patches of each class lie: every position in its regions that is a multiple of `step`.

    Every image has its width, and an offset at which its pixels begin in the one long row of all pixels.
    """

    def __init__(
        self, regions: Sequence[Sequence[Region]], widths: Tensor, offsets: Tensor, patch: int, step: int
    ) -> None:
        table = torch.tensor([region for of_class in regions for region in of_class])
        image, top, left, height, width = table.unbind(1)
        self.step, self.stride = step, widths[image]
        self.begin = offsets[image] + top * self.stride + left
        self.columns = (width - patch) // step + 1
        ends = (((height - patch) // step + 1) * self.columns).cumsum(0)
        last = torch.tensor([len(of_class) for of_class in regions]).cumsum(0) - 1
        self.starts = torch.cat([ends.new_zeros(1), ends])
        self.counts = ends[last].diff(prepend=ends.new_zeros(1))  # (classes,) patches of each class
        self.first = ends[last] - self.counts

    def corners(self, y: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        """Return where patch `number` of class y begins in the row of all pixels, and the width of its image."""
        position = self.first[y] + number
        region = torch.searchsorted(self.starts, position, right=True) - 1
        within = position - self.starts[region]
        row, column = within // self.columns[region], within % self.columns[region]
        return self.begin[region] + self.step * (row * self.stride[region] + column), self.stride[region]
