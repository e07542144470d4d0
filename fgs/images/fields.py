"""Stationary random fields of many families: Gaussian spectra, cells, things that overlap, and lattices.

Each family is a function (n, scale, angle, generator) -> (n, n), about within [0, 1]: n in pixels, `scale` 1 for the
family's own size, `angle` in radians.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Generator, Tensor

Field = Callable[[int, float, float, Generator], Tensor]
Spectrum = Callable[[Tensor, Tensor], Tensor]
"""Frequencies along and across the angle, in cycles a pixel -> amplitudes, up to a factor."""

MARKS = 64  # cells along the table of random marks of a field of up to 767 pixels; a larger one has more


def _gaussian(n: int, angle: float, spectrum: Spectrum, g: Generator) -> Tensor:
    """Draw a Gaussian field of mean 0 and sd 1, cut from a larger torus so that opposite edges do not continue."""
    f = torch.fft.fftfreq(n + 64)
    c, s = math.cos(angle), math.sin(angle)
    amplitude = spectrum(c * f + s * f[:, None], c * f[:, None] - s * f)
    amplitude = amplitude / amplitude.square().mean().sqrt()
    white = torch.fft.fft2(torch.randn(n + 64, n + 64, generator=g))
    field: Tensor = torch.fft.ifft2(white * amplitude).real
    return field[:n, :n]


def _ring(period: float, width: float) -> Spectrum:
    return lambda fu, fv: (-((fu.hypot(fv) * period - 1) / width).square()).exp()


def _lowpass(along: float, across: float) -> Spectrum:
    return lambda fu, fv: (-20 * ((fu * along).square() + (fv * across).square())).exp()


def _power(longest: float, exponent: float) -> Spectrum:
    return lambda fu, fv: (fu.hypot(fv).square() + (1 / longest) ** 2) ** exponent


def _waves(scale: float) -> Spectrum:
    return lambda fu, fv: (-((fu.abs() * 10 * scale - 1) / 0.15).square() - (fv * 40 * scale).square()).exp()


def _marble(n: int, scale: float, angle: float, g: Generator) -> Tensor:
    u, _ = _coordinates(n, angle, g)
    warp = 1.2 * _gaussian(n, angle, _power(30 * scale, -1.2), g)
    return 0.5 + 0.5 * (2 * math.pi * u / (20 * scale) + 2 * warp).sin()


def _wood(n: int, scale: float, angle: float, g: Generator) -> Tensor:
    u, _ = _coordinates(n, angle, g)
    warp = 2.5 * _gaussian(n, angle, _lowpass(12 * scale, 60 * scale), g)
    rings = (2 * math.pi * u / (12 * scale) + warp).sin()
    return 0.5 + 0.3 * rings.exp().sub(1.2) / 1.5 + 0.1 * _gaussian(n, angle, _lowpass(1.2, 15), g)


def _coordinates(n: int, angle: float, g: Generator) -> tuple[Tensor, Tensor]:
    """Return u and v of every pixel, (n, n), turned by `angle` about a random origin."""
    row, column = torch.arange(n)[:, None], torch.arange(n)
    u0, v0 = (4000 * torch.rand(2, generator=g)).tolist()
    c, s = math.cos(angle), math.sin(angle)
    return c * column + s * row + u0, c * row - s * column + v0


def _table(marks: int, n: int, g: Generator) -> Tensor:
    """Draw the random marks of so many cells that none comes twice in n pixels: (marks, cells, cells)."""
    return torch.rand(marks, *(MARKS * max(1, n // 256 - 1),) * 2, generator=g)


def _marks(i: Tensor, j: Tensor, table: Tensor) -> Tensor:
    """Return the random marks in [0, 1] of the cells (i, j), (marks, n, n)."""
    return table[:, i.long() % table.shape[1], j.long() % table.shape[1]]


def _scatter(u: Tensor, v: Tensor, g: Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Put a point in every unit cell; for the nine cells about each pixel yield what is there.

    Yields:
        The offsets from the point along u and v, (n, n) each, and its four marks in [0, 1], (4, n, n).
    """
    table = _table(6, len(u), g)
    for di, dj in product((-1, 0, 1), repeat=2):
        i, j = u.floor() + di, v.floor() + dj
        marks = _marks(i, j, table)
        yield u - i - 0.1 - 0.8 * marks[0], v - j - 0.1 - 0.8 * marks[1], marks[2:]


def _nearest_two(n: int, spacing: float, angle: float, g: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return the distances to the two nearest of scattered points, in units of `spacing`, and a mark of the nearest."""
    u, v = _coordinates(n, angle, g)
    first, second = torch.full((2, n, n), math.inf)
    nearest = torch.zeros(n, n)
    for du, dv, marks in _scatter(u / spacing, v / spacing, g):
        distance = du.hypot(dv)
        second = torch.minimum(second, torch.maximum(first, distance))
        nearest = torch.where(distance < first, marks[0], nearest)
        first = torch.minimum(first, distance)
    return first, second, nearest


def _pebbles(n: int, scale: float, angle: float, g: Generator) -> Tensor:
    first, second, mark = _nearest_two(n, 13 * scale, angle, g)
    return (4 * (second - first)).clamp(max=1).sqrt() * (0.4 + 0.6 * mark)


def _cracks(n: int, scale: float, angle: float, g: Generator) -> Tensor:
    first, second, mark = _nearest_two(n, 18 * scale, angle, g)
    return (12 * (second - first) - 0.5).clamp(0, 1) * (0.75 + 0.25 * mark)


def _overlapping(
    n: int, spacing: tuple[float, float], angle: float, aspect: float, turn: float, g: Generator
) -> Tensor:
    """Lay ovals of random gray over each other, as leaves: `turn` is the range of their orientations, radians."""
    u, v = _coordinates(n, angle, g)
    gray, height = torch.zeros(n, n), torch.zeros(n, n)
    for du, dv, (order, shade, size, direction) in _scatter(u / spacing[0], v / spacing[1], g):
        du, dv, t = du * spacing[0], dv * spacing[1], turn * (direction - 0.5)
        along, across = t.cos() * du + t.sin() * dv, t.cos() * dv - t.sin() * du
        radius = max(spacing) * (0.45 + 0.3 * size)
        rim = (along / radius).square() + (across * aspect / radius).square()
        on_top = (rim < 1) & (order > height)
        gray = torch.where(on_top, (0.3 + 0.7 * shade) * (1 - 0.4 * rim), gray)
        height = torch.where(on_top, order, height)
    return gray


def _blocks(n: int, sizes: tuple[float, float], shift: float, angle: float, g: Generator) -> Tensor:
    """Lay rows of blocks of random gray with joints between; each row is shifted by a share of a block."""
    u, v = _coordinates(n, angle, g)
    row = (v / sizes[1]).floor()
    a, b = u / sizes[0] + shift * row, v / sizes[1] - row
    gray = _marks(row, a.floor(), _table(1, n, g))[0]
    joint = torch.minimum(sizes[0] * (0.5 - (a - a.floor() - 0.5).abs()), sizes[1] * (0.5 - (b - 0.5).abs()))
    return torch.where(joint > 0.07 * min(sizes), 0.45 + 0.55 * gray, 0.0)


def _weave(n: int, scale: float, angle: float, g: Generator) -> Tensor:
    u, v = (w / (6 * scale) for w in _coordinates(n, angle, g))
    over = (u.floor() + v.floor()).long() % 2 == 0
    across, along = torch.where(over, v % 1, u % 1), torch.where(over, u % 1, v % 1)
    return (math.pi * across).sin() * (0.35 + 0.65 * (math.pi * along).sin()) * torch.where(over, 1.0, 0.7)


def _polka(n: int, scale: float, angle: float, g: Generator) -> Tensor:
    u, v = (2 * math.pi * w / (11 * scale) for w in _coordinates(n, angle, g))
    waves = v.cos() + sum((math.sqrt(3) / 2 * u + sign * v / 2).cos() for sign in (-1, 1))
    return (4 * (waves - 0.6)).sigmoid()


def _hatching(n: int, scale: float, angle: float, g: Generator) -> Tensor:
    lines = []
    for turn in (0.0, 1.1):
        u, _ = _coordinates(n, angle + turn, g)
        wobble = 0.6 * _gaussian(n, angle + turn, _lowpass(15 * scale, 15 * scale), g)
        lines.append((4 * ((2 * math.pi * u / (8 * scale) + wobble).cos() - 0.3)).sigmoid())
    return 1 - torch.maximum(*lines)


def _scales(n: int, scale: float, angle: float, g: Generator) -> Tensor:
    u, v = (w / (14 * scale) for w in _coordinates(n, angle, g))
    gray = torch.zeros(n, n)
    for step in (1, 0):  # the row above lies on top of the row below
        row = (2 * v).floor() - step
        a = u + 0.5 * (row % 2)
        r = (a - a.floor() - 0.5).hypot(v - row / 2)
        mark = _marks(row, a.floor(), _table(1, n, g))[0]
        gray = torch.where(r < 0.6, (0.5 + 0.5 * mark) * (1 - (r / 0.6) ** 4), gray)
    return gray


FAMILIES: dict[str, Field] = {
    "pebbles": _pebbles,
    "fingerprint": lambda n, scale, angle, g: (6 * _gaussian(n, angle, _ring(9 * scale, 0.1), g)).sigmoid(),
    "bricks": lambda n, scale, angle, g: _blocks(n, (22 * scale, 9 * scale), 0.5, angle, g),
    "brushed": lambda n, scale, angle, g: (1.5 * _gaussian(n, angle, _lowpass(20 * scale, 1.5 * scale), g)).sigmoid(),
    "polka": _polka,
    "clouds": lambda n, scale, angle, g: (1.2 * _gaussian(n, angle, _power(40 * scale, -0.9), g)).sigmoid(),
    "weave": _weave,
    "needles": lambda n, scale, angle, g: _overlapping(n, (26 * scale, 5 * scale), angle, 9.0, 0.3, g),
    "spots": lambda n, scale, angle, g: (8 * (_gaussian(n, angle, _ring(14 * scale, 0.35), g) - 0.8)).sigmoid(),
    "tiles": lambda n, scale, angle, g: _blocks(n, (12 * scale, 12 * scale), 0.0, angle, g),
    "ripples": lambda n, scale, angle, g: 0.5 + 0.28 * _gaussian(n, angle, _waves(scale), g),
    "rice": lambda n, scale, angle, g: _overlapping(n, (12 * scale, 12 * scale), angle, 3.0, math.pi, g),
    "cracks": _cracks,
    "marble": _marble,
    "coins": lambda n, scale, angle, g: _overlapping(n, (12 * scale, 12 * scale), angle, 1.0, 0.0, g),
    "grain": lambda n, scale, angle, g: (1.5 * _gaussian(n, angle, _lowpass(2 * scale, 2 * scale), g)).sigmoid(),
    "scales": _scales,
    "veins": lambda n, scale, angle, g: (-_gaussian(n, angle, _lowpass(4 * scale, 4 * scale), g).abs() / 0.2).exp(),
    "hatching": _hatching,
    "bubbles": lambda n, scale, angle, g: _nearest_two(n, 12 * scale, angle, g)[0].clamp(max=1).square(),
    "leaves": lambda n, scale, angle, g: _overlapping(n, (18 * scale, 9 * scale), angle, 2.2, 0.9, g),
    "facets": lambda n, scale, angle, g: _nearest_two(n, 10 * scale, angle, g)[2],
    "wood": _wood,
}
"""Every family by its name; neighbours in the list look unlike each other."""
