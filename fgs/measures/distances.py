"""Distances between sample sets, each to be read against the floor that two true sets of the same size leave.

No distance of finite sets is zero. `two_sample_floor` says how large it is when nothing is wrong; a method is judged by
its distance divided by that floor.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Distance = Callable[[Tensor, Tensor], Tensor]
"""(x, y) -> (): a distance between the sample sets (N, d) and (M, d)."""


def wasserstein_1(x: Tensor, y: Tensor) -> Tensor:
    """Return the Wasserstein distance W1 = ∫|F_x⁻¹ − F_y⁻¹| of sets (N,), (M,) or (N, 1), (M, 1), in their units."""
    if x[0].numel() != 1 or y[0].numel() != 1:
        raise ValueError(f"x, y: must be sets of numbers, (N,) or (N, 1), got {tuple(x.shape)} and {tuple(y.shape)}")
    x, y = x.flatten().sort().values, y.flatten().sort().values
    N, M = len(x), len(y)
    if N == M:
        return (x - y).abs().mean()
    # both quantile functions are constant between the levels i/N and j/M; in integers of 1/(NM) no level is lost
    levels = torch.cat([torch.arange(N) * M, torch.arange(M) * N]).sort().values
    width = torch.diff(levels, append=torch.tensor([N * M])).to(x) / (N * M)
    return ((x[(levels // M).to(x.device)] - y[(levels // N).to(x.device)]).abs() * width).sum()


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return the energy distance 2E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖ (V-statistic, not rooted), in the units of x.

    x is (N, d), y (M, d). Pairs of a point with itself count, so that it is never negative. Memory does not grow with
    N·M.
    """
    return 2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y)


def mean_distance(x: Tensor, y: Tensor, pairs: int = 2**22) -> Tensor:
    """Return E‖X − Y‖ over all pairs of x (N, d) and y (M, d), at most `pairs` of them in memory at a time."""
    if x.shape[1] == 1:
        return _mean_distance_on_line(x[:, 0], y[:, 0])
    rows = max(1, pairs // y.shape[0])
    centre = y.mean(0)  # products of short vectors lose fewer digits
    x, y = x - centre, y - centre
    total = torch.zeros((), dtype=torch.float64)
    for first in range(0, x.shape[0], rows):  # nothing but the sum is kept, which would break the memory into pieces
        total += torch.cdist(x[first : first + rows], y).mean(1).cpu().double().sum()
    return total / x.shape[0]


def _mean_distance_on_line(x: Tensor, y: Tensor) -> Tensor:
    """E|X − Y| = ∫ F_x(1 − F_y) + F_y(1 − F_x), by one sort."""
    points, order = torch.cat([x, y]).sort()
    from_x = (order < x.shape[0]).to(x)
    F_x = from_x.cumsum(0)[:-1] / x.shape[0]
    F_y = (1 - from_x).cumsum(0)[:-1] / y.shape[0]
    return ((F_x * (1 - F_y) + F_y * (1 - F_x)) * points.diff()).sum()


def two_sample_floor(distance: Distance, true_sets: list[Tensor]) -> float:
    """Return the mean distance, any of this module's, over all pairs of independent true sets, two at the least.

    They are (N, d), of the size of the samples to be judged.
    """
    pairs = [(a, b) for i, a in enumerate(true_sets) for b in true_sets[:i]]
    if not pairs:
        raise ValueError(f"true_sets: a floor needs two sets or more, got {len(true_sets)}")
    return sum(float(distance(a, b)) for a, b in pairs) / len(pairs)


def class_hit(log_posterior: Tensor, y: Tensor | int) -> float:
    """Return the share of samples whose most probable class is y, the class or (N,) classes.

    log p(y|x) is (N, K), or anything monotone in it.
    """
    known = ~log_posterior.isnan().any(1)  # a NaN would be the largest
    return float(((log_posterior.argmax(1) == torch.as_tensor(y)) & known).cpu().double().mean())


def mean_and_sd(x: Tensor, mean: Tensor, u: Tensor, width: float) -> tuple[float, float]:
    """Return the error of the mean, (d,), and the sd of samples (N, d), along the unit vector u, (d,), in units of λ.

    λ, `width`, is the true sd along u; the error is positive along u.
    """
    along = (x - mean) @ u
    return float(along.mean()) / width, float(along.std()) / width
