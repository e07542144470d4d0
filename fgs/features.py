"""Features are channel means, and guidance is moving them: the two functions that the whole method rests on.

Any activation of shape (N, C, *positions) will do: (N, C, P) of an MLP, (N, C, H, W) of a UNet (Section 3, Fig. 9).
"""

import torch
from torch import Tensor


def channel_means(h: Tensor) -> Tensor:
    """Return the mean of each channel over its positions, one layer's share of φ: (N, C, *positions) -> (N, C)."""
    return h.flatten(2).mean(2, dtype=torch.promote_types(h.dtype, torch.float32))  # φ is kept in full precision


def match_means(h: Tensor, target: Tensor, gain: Tensor | float = 1.0) -> Tensor:
    """Push the channel means of h towards a target and leave the deviations from the mean as they are.

    A gain of 1 sets the means to the target, the projection that names the projected score; a gain g leaves 1 − g of
    the difference (Section 3, Appendix A). h (N, C, *positions), target (C,) or (N, C), gain () or (C,) -> as h.

    Raises:
        ValueError: there is only one position, which is its own mean: matching would erase the input.
    """
    if h.dim() < 3 or h.shape[2:].numel() < 2:
        raise ValueError(f"h: needs shape (N, C, *positions) with two positions or more, got {tuple(h.shape)}")
    shift = gain * (target - channel_means(h))
    return h + shift.reshape(shift.shape + (1,) * (h.dim() - 2)).to(h.dtype)


def require_phi(phi: Tensor, length: int) -> None:
    """Raise a ValueError that names both lengths, if φ is not what a network takes."""
    if phi.shape[-1] != length:
        raise ValueError(f"phi: {phi.shape[-1]} features, the network has {length}")
