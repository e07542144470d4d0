"""Spot noise: a Gaussian with the mean 0 and the covariances of a picture, of any size, in which no place is copied."""

import pytest
import torch

from fgs.noise import seeded
from spot_noise import spot_noise


def picture(shape=(3, 12, 9)):
    return torch.rand(shape, generator=seeded(0))


def test_its_covariance_is_the_picture_s():
    """E[x_c(k) x_c'(k + Δ)] is Σ_k (u_c(k) − m)(u_c'(k + Δ) − m)/|u|, its definition, within 5 standard errors."""
    u, n = picture(), 40_000
    x = spot_noise(u, n, (6, 6), seeded(1))
    assert x.shape == (n, 3, 6, 6)
    away = u - u.mean((1, 2), keepdim=True)
    for down, across, first, second in ((0, 0, 0, 0), (0, 0, 0, 1), (1, 2, 0, 2), (4, -3, 1, 1), (5, 5, 2, 0)):
        rows, columns = slice(0, 12 - down), slice(max(0, -across), min(9, 9 - across))
        there = away[second, down:, max(0, across) : 9 + min(0, across)]
        expected = float((away[first, rows, columns] * there).sum()) / (12 * 9)
        at = (0, max(0, -across))
        products = x[:, first, at[0], at[1]] * x[:, second, at[0] + down, at[1] + across]
        assert float(products.mean()) == pytest.approx(expected, abs=5 * float(products.std()) / n**0.5)
    assert float(x.mean()) == pytest.approx(0, abs=0.02)


def test_it_does_not_go_round_its_edges():
    """Of a picture with one bright pixel it is white: opposite edges of a larger image are independent."""
    u = torch.zeros(1, 4, 4)
    u[0, 1, 1] = 1
    x = spot_noise(u, 20_000, (8, 8), seeded(2))
    correlation = float((x[:, 0, 0, 0] * x[:, 0, 7, 7]).mean() / x.var())
    assert abs(correlation) < 5 / 20_000**0.5
