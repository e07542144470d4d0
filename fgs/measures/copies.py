"""Is a sample a copy of a place in the training images? Its largest correlation with any of them tells.

What it is to be held against: that of real patches that were held out, and that of places trained on with other places.
The former alone misleads where the part that was held out looks unlike the rest.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

AT_ONCE = 16  # samples; bounds the memory
TINY = 1e-6  # of the variance of a window: one that is flat resembles nothing

Hidden = tuple[int, slice, slice]
"""Windows of one image: its number, and the rows and columns of their upper left corners."""


def largest_correlation(x: Tensor, images: Sequence[Tensor], hidden: Sequence[Hidden] = ()) -> Tensor:
    """Return the largest normalised cross-correlation of each sample with any window of the images.

    (N, C, h, w) and images (C, H, W), no smaller, -> (N,): 1 is a copy, up to brightness and contrast, as the mean of
    each channel is taken off on both sides; −1 says that there is no window but those `hidden` from the sample.
    """
    best = torch.full((len(x),), -1.0, dtype=torch.float64)
    for number, image in enumerate(images):
        for first in range(0, len(x), AT_ONCE):
            rows = slice(first, first + AT_ONCE)
            correlations = _correlations(x[rows].double(), image.double())
            for row, (where, tops, lefts) in enumerate(hidden[rows]):
                if where == number:
                    correlations[row, tops, lefts] = -1
            best[rows] = torch.maximum(best[rows], correlations.flatten(1).amax(1))
    return best


def correlation_elsewhere(images: Sequence[Tensor], size: int, n: int, generator: Generator | None = None) -> Tensor:
    """Return the largest correlation of n random windows of the images with any other that shares no pixel with them.

    That much a texture resembles itself without any copying: bricks are like bricks. Windows have `size` pixels a side;
    (n,), −1 where there is no other.
    """
    places = torch.tensor([[image.shape[1] - size + 1, image.shape[2] - size + 1] for image in images])
    chosen = torch.multinomial(places.prod(1).double(), n, replacement=True, generator=generator)
    corners = (torch.rand(n, 2, dtype=torch.float64, generator=generator) * places[chosen]).long()
    windows, hidden = [], []
    for k, (top, left) in zip(chosen.tolist(), corners.tolist(), strict=True):
        windows.append(images[k][:, top : top + size, left : left + size])
        overlapping = (slice(max(0, corner - size + 1), corner + size) for corner in (top, left))
        hidden.append((k, *overlapping))
    return largest_correlation(torch.stack(windows), images, hidden)


def _correlations(x: Tensor, image: Tensor) -> Tensor:
    """Correlate with every window, by the Fourier transform: (N, C, h, w), (C, H, W) -> (N, H − h + 1, W − w + 1)."""
    size = x[0, 0].numel()
    template = x - x.mean((2, 3), keepdim=True)
    template = template / template.flatten(1).norm(dim=1).clamp_min((size * TINY) ** 0.5)[:, None, None, None]
    image = image - image.mean((1, 2), keepdim=True)  # for the precision of what follows
    spectrum = torch.fft.rfft2(image) * torch.fft.rfft2(template, s=image.shape[1:]).conj()
    height, width = (n - k + 1 for n, k in zip(image.shape[1:], x.shape[2:], strict=True))
    products = torch.fft.irfft2(spectrum.sum(1), s=image.shape[1:])[:, :height, :width]
    window = torch.nn.functional.avg_pool2d(torch.stack([image, image.square()]), x.shape[2:], stride=1)
    variance = (window[1] - window[0].square()).sum(0)
    correlations: Tensor = products / (size * variance.clamp_min(TINY)).sqrt()
    return correlations
