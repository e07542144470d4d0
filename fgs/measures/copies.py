"""Is a sample a copy of a place in the training images? Its largest correlation with any of them tells.

It is to be held against that of real patches that were held out: bricks are like bricks, without any copying. Where the
part that was held out looks unlike the rest, samples may exceed it and be no copies: look at them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

AT_ONCE = 16  # samples; bounds the memory
TINY = 1e-6  # of the variance of a window: one that is flat resembles nothing


def largest_correlation(x: Tensor, images: Sequence[Tensor]) -> Tensor:
    """Return the largest normalised cross-correlation of each sample with any window of the images.

    (N, C, h, w) and images (C, H, W), no smaller, -> (N,): 1 is a copy, up to brightness and contrast, as the mean of
    each channel is taken off on both sides.
    """
    best = x.new_full((len(x),), -1.0, dtype=torch.float64)
    for image in images:
        for first in range(0, len(x), AT_ONCE):
            rows = slice(first, first + AT_ONCE)
            correlations = _correlations(x[rows].double(), image.double())
            best[rows] = torch.maximum(best[rows], correlations.flatten(1).amax(1))
    return best


def _correlations(x: Tensor, image: Tensor) -> Tensor:
    """Correlate with every window, by the Fourier transform: (N, C, h, w), (C, H, W) -> (N, H − h + 1, W − w + 1)."""
    size = x[0, 0].numel()
    template = x - x.mean((2, 3), keepdim=True)
    template = template / template.flatten(1).norm(dim=1).clamp_min((size * TINY) ** 0.5)[:, None, None, None]
    image = image - image.mean((1, 2), keepdim=True)  # for the precision of what follows
    spectrum = torch.fft.rfft2(image) * torch.fft.rfft2(template, s=image.shape[1:]).conj()
    height, width = (n - k + 1 for n, k in zip(image.shape[1:], x.shape[2:], strict=True))
    products = torch.fft.irfft2(spectrum.sum(1), s=image.shape[1:])[:, :height, :width]
    mean, square = (_window_means(values, *x.shape[2:]) for values in (image, image.square()))
    variance = (square - mean.square()).sum(0)
    correlations: Tensor = products / (size * variance.clamp_min(TINY)).sqrt()
    return correlations


def _window_means(values: Tensor, h: int, w: int) -> Tensor:
    """Return the mean of every window, (C, H, W) -> (C, H − h + 1, W − w + 1), from a table of sums."""
    total = pad(values.cumsum(-1).cumsum(-2), (1, 0, 1, 0))  # [i, j]: of the rows above i, left of j
    return (total[..., h:, w:] - total[..., :-h, w:] - total[..., h:, :-w] + total[..., :-h, :-w]) / (h * w)
