"""The Gaussian of a texture, drawn from a picture of it: white noise, convolved with the picture.

x = m + Σ_k W_k (u − m)(· − k)/√|u|, with W white noise and u a picture of |u| pixels, is Gaussian. Its covariance at
a distance Δ is what that of u is found to be, Σ_k (u_k − m)(u_{k+Δ} − m)ᵀ/|u| ("spot noise": van Wijk 1991; Galerne,
Gousseau & Morel 2011). So no covariance is estimated or kept: the picture is it, of every size that is asked for.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from fgs.noise import standard_normal


def spot_noise(picture: Tensor, n: int, size: Sequence[int], generator: Generator | None = None) -> Tensor:
    """Draw n images of mean 0 with the covariances of a picture.

    Args:
        picture: (C, h, w).
        n: how many.
        size: (H, W) of the images.
        generator: CPU generator; None is torch's own.

    Returns:
        (n, C, H, W).
    """
    height, width = picture.shape[1:]
    spot = (picture - picture.mean((1, 2), keepdim=True)) / (height * width) ** 0.5
    around = (size[0] + height - 1, size[1] + width - 1)  # so that no image goes round its own edges
    noise = torch.fft.rfft2(standard_normal(picture.new_empty(n, 1, *around), generator))
    x: Tensor = torch.fft.irfft2(noise * torch.fft.rfft2(spot, s=around), s=around)
    return x[:, :, -size[0] :, -size[1] :]
