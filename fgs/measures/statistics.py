"""Statistics of textures after Portilla & Simoncelli (2000), and a linear classifier on them.

They know nothing of any network here, so that what one samples can be judged by them.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

ORIENTATIONS = 4
SCALES = 3
LAGS = 3  # autocorrelation up to so many pixels in each direction
SIDE = 5  # pixels a side of a filter
SMALLEST = SIDE * 2 ** (SCALES - 1)  # pixels a side of an image
LUMA = (0.299, 0.587, 0.114)  # shares of red, green and blue in it
TINY = 1e-6  # of variances: (1/1000)², under a quarter of a gray level of 8 bits


def texture_statistics(x: Tensor) -> Tensor:
    """Return what a texture looks like as numbers that do not depend on where in the texture one looks.

    Moments of the pixels (mean, log sd, skewness, kurtosis); log energies of the responses to complex filters of 4
    orientations at 3 scales; correlations of their magnitudes between orientations and between scales; and the
    autocorrelation up to 3 pixels. Of colours: these of the luma, then mean and log sd of each channel and the
    correlations between channels.

    Images (N, C, H, W) in [0, 1], at least 20 pixels a side, -> (N, S) float64; S = 66 for C = 1 and 75 for C = 3.
    """
    if min(x.shape[-2:]) < SMALLEST:
        raise ValueError(f"x: needs at least {SMALLEST} pixels a side, got {x.shape[-1]} × {x.shape[-2]}")
    x = x.double()
    luma = x.mean(1, keepdim=True) if x.shape[1] == 1 else torch.einsum("nchw,c->nhw", x, x.new_tensor(LUMA))[:, None]
    magnitudes = _magnitudes(luma)
    parts = [_moments(luma.flatten(1)), *((m.square().mean((2, 3)) + TINY).log() for m in magnitudes)]
    parts += [_correlations(m.flatten(2)) for m in magnitudes]
    parts += [_between_scales(fine, coarse) for fine, coarse in pairwise(magnitudes)]
    parts.append(_autocorrelation(luma[:, 0]))
    if x.shape[1] > 1:
        parts += [x.mean((2, 3)), _log_sd(x.flatten(2)), _correlations(x.flatten(2))]
    return torch.cat(parts, 1)


def _log_sd(x: Tensor) -> Tensor:
    return 0.5 * (x.var(-1, correction=0) + TINY).log()


def _moments(x: Tensor) -> Tensor:
    """Mean, log sd, skewness and kurtosis of (N, pixels), (N, 4)."""
    z = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + TINY).sqrt()
    return torch.stack([x.mean(1), _log_sd(x), z.pow(3).mean(1), z.pow(4).mean(1)], 1)


def _filters() -> Tensor:
    """Complex waves of period 4 under a Gaussian window, blind to a constant: (2 · orientations, 1, side, side)."""
    axis = torch.arange(SIDE, dtype=torch.float64) - SIDE // 2
    row, column = torch.meshgrid(axis, axis, indexing="ij")
    window = torch.exp(-(row**2 + column**2) / 2)
    angles = math.pi / ORIENTATIONS * torch.arange(ORIENTATIONS, dtype=torch.float64)[:, None, None]
    phase = math.pi / 2 * (angles.cos() * column + angles.sin() * row)
    even = window * (phase.cos() - (window * phase.cos()).sum((1, 2), keepdim=True) / window.sum())
    filters = torch.cat([even, window * phase.sin()])
    return (filters / filters.square().sum((1, 2), keepdim=True).sqrt())[:, None]


def _magnitudes(luma: Tensor) -> list[Tensor]:
    """Magnitude of the responses at each scale, finest first: (N, orientations, h, w) each."""
    filters = _filters().to(luma)
    magnitudes = []
    for scale in range(SCALES):
        even, odd = nn.functional.conv2d(luma, filters).chunk(2, 1)
        magnitudes.append((even.square() + odd.square()).sqrt())
        if scale < SCALES - 1:
            luma = nn.functional.avg_pool2d(luma, 2)
    return magnitudes


def _correlations(x: Tensor) -> Tensor:
    """Correlations between the channels of (N, C, pixels), each pair once: (N, C(C − 1)/2)."""
    z = x - x.mean(2, keepdim=True)
    z = z / (z.square().mean(2, keepdim=True) + TINY).sqrt()
    i, j = torch.triu_indices(x.shape[1], x.shape[1], 1)
    return (z[:, i] * z[:, j]).mean(2)


def _between_scales(fine: Tensor, coarse: Tensor) -> Tensor:
    """Correlation of magnitudes of the same orientation at neighbouring scales, (N, orientations)."""
    border = SIDE // 2  # of what a valid convolution leaves out, in pixels of the coarse scale
    fine = nn.functional.avg_pool2d(nn.functional.pad(fine, (SIDE // 2,) * 4, mode="replicate"), 2)
    fine = fine[..., border : border + coarse.shape[2], border : border + coarse.shape[3]]
    pairs = torch.stack([fine, coarse], 2).flatten(3)  # (N, orientations, 2, pixels)
    return _correlations(pairs.flatten(0, 1)).reshape(len(fine), -1)


def _autocorrelation(luma: Tensor) -> Tensor:
    """Correlation of (N, H, W) with itself moved by every lag of half a plane, (N, 24)."""
    height, width = luma.shape[1:]
    z = luma - luma.mean((1, 2), keepdim=True)
    variance = z.square().mean((1, 2)) + TINY
    lags = [(dy, dx) for dy in range(LAGS + 1) for dx in range(-LAGS, LAGS + 1) if dy > 0 or dx > 0]
    products = []
    for dy, dx in lags:
        here = z[:, : height - dy, max(0, -dx) : width - max(0, dx)]
        there = z[:, dy:, max(0, dx) : width - max(0, -dx)]
        products.append((here * there).mean((1, 2)) / variance)
    return torch.stack(products, 1)


@dataclass(frozen=True)
class LinearClassifier:
    """A multinomial logistic regression on z-scored statistics."""

    mean: Tensor  # (S,) of the statistics that it was fitted to
    sd: Tensor  # (S,) likewise
    weight: Tensor  # (S, K)
    bias: Tensor  # (K,)

    @classmethod
    def fit(cls, statistics: Tensor, y: Tensor, decay: float = 1e-3) -> "LinearClassifier":
        """Fit it to statistics (N, S) of classes y (N,), 0 … K − 1, by maximum likelihood with a Gaussian prior.

        `decay` is half the inverse variance of the prior on the weights, for each of the N.
        """
        mean, sd = statistics.mean(0), statistics.std(0).clamp_min(1e-9)
        z, classes = (statistics - mean) / sd, int(y.max()) + 1
        weight = torch.zeros(z.shape[1], classes, dtype=z.dtype, requires_grad=True)
        bias = torch.zeros(classes, dtype=z.dtype, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(z @ weight + bias, y) + decay * weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        return cls(mean, sd, weight.detach(), bias.detach())

    def __call__(self, statistics: Tensor) -> Tensor:
        """Return log p(y|statistics), (N, K)."""
        return (((statistics - self.mean) / self.sd) @ self.weight + self.bias).log_softmax(1)
