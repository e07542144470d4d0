"""Texture statistics against noise and gratings, where they are known, and under symmetries."""

import math

import pytest
import torch

from fgs.images.synthetic import draw_textures
from fgs.measures.statistics import LinearClassifier, texture_statistics
from fgs.noise import seeded

MOMENTS, ENERGIES = slice(0, 4), [slice(4 + 4 * scale, 8 + 4 * scale) for scale in range(3)]
BETWEEN_ORIENTATIONS, BETWEEN_SCALES, AUTOCORRELATION = slice(16, 34), slice(34, 42), slice(42, 66)
LAGS = [(dy, dx) for dy in range(4) for dx in range(-3, 4) if dy > 0 or dx > 0]


def white(n, colors=1, size=64, sd=0.1):
    return 0.5 + sd * torch.randn(n, colors, size, size, generator=seeded(0), dtype=torch.float64)


def grating(angle, period, size=64, phase=0.3):
    axis = torch.arange(size, dtype=torch.float64)
    along = math.cos(angle) * axis + math.sin(angle) * axis[:, None]
    return (0.5 + 0.2 * torch.sin(2 * math.pi * along / period + phase))[None, None]


def test_white_noise():
    """Mean ½, sd .1, no skewness, kurtosis 3; energy 2σ² by unit filters in pairs, a quarter at each coarser scale."""
    s = texture_statistics(white(200)).mean(0)
    torch.testing.assert_close(s[MOMENTS], s.new_tensor([0.5, math.log(0.1), 0, 3]), atol=0.01, rtol=0)
    for scale, part in enumerate(ENERGIES):
        # the mean of a log falls a little short of the log of the mean
        torch.testing.assert_close(
            s[part], s.new_full((4,), math.log(2 * 0.1**2 / 4**scale)), atol=0.02 * 4**scale, rtol=0
        )
    assert s[BETWEEN_SCALES].abs().max() < 0.35  # the passbands overlap
    assert s[AUTOCORRELATION].abs().max() < 0.005  # 4 sd of the mean over all pixels


def test_gratings_excite_their_orientation_and_scale():
    for number in range(4):
        for scale in range(3):
            s = texture_statistics(grating(math.pi / 4 * number, 4 * 2**scale))[0]
            energies = torch.stack([s[part] for part in ENERGIES])
            assert energies[scale].argmax() == number
            assert energies[scale, number] - energies[scale, (number + 2) % 4] > 1


def test_an_edge_is_seen_at_every_scale_in_one_place():
    x = torch.full((1, 1, 64, 64), 0.3, dtype=torch.float64)
    x[..., 29:] = 0.7
    both = texture_statistics(x)[0, BETWEEN_SCALES]
    assert both[[0, 4]].min() > 0.8  # along the horizontal, between the fine two and the coarse two


def test_the_autocorrelation_of_a_grating():
    s = texture_statistics(grating(0.4, 7, size=256))[0, AUTOCORRELATION]
    expected = [math.cos(2 * math.pi / 7 * (math.cos(0.4) * dx + math.sin(0.4) * dy)) for dy, dx in LAGS]
    torch.testing.assert_close(s, s.new_tensor(expected), atol=0.03, rtol=0)


def test_symmetries(generator):
    x = torch.stack([texture(64, generator)[:1].double() / 255 for texture in draw_textures(12)])
    s = texture_statistics(x)
    torch.testing.assert_close(texture_statistics(x.flip(2, 3)), s)  # half a turn
    turned = texture_statistics(x.rot90(1, (2, 3)))
    for part in ENERGIES:
        torch.testing.assert_close(turned[:, part], s[:, part].roll(2, 1))
    torch.testing.assert_close(turned[:, MOMENTS], s[:, MOMENTS])
    brighter = texture_statistics(0.5 * x + 0.3)
    torch.testing.assert_close(brighter[:, 2:4], s[:, 2:4], rtol=0.01, atol=0.01)
    torch.testing.assert_close(brighter[:, 0], 0.5 * s[:, 0] + 0.3)
    torch.testing.assert_close(brighter[:, AUTOCORRELATION], s[:, AUTOCORRELATION], rtol=0.01, atol=0.01)


def test_colours_add_means_sds_and_correlations():
    x = white(100, colors=3)
    x[:, 2] = 0.8 * x[:, 1] + 0.6 * x[:, 0] - 0.2
    s = texture_statistics(x).mean(0)
    assert len(s) == 75
    torch.testing.assert_close(s[66:69], x.mean((0, 2, 3)), atol=1e-9, rtol=0)
    torch.testing.assert_close(s[72:], s.new_tensor([0, 0.6, 0.8]), atol=0.01, rtol=0)
    gray = texture_statistics(white(3).expand(3, 3, 64, 64))
    torch.testing.assert_close(gray[:, :66], texture_statistics(white(3)))


def test_a_flat_image_has_finite_statistics():
    assert texture_statistics(torch.full((1, 1, 20, 20), 0.5)).isfinite().all()
    with pytest.raises(ValueError, match="at least 20 pixels"):
        texture_statistics(torch.zeros(1, 1, 19, 40))


def test_the_classifier_finds_the_line_between_two_gaussians():
    """Of equal covariance Σ the log odds are linear, with weights Σ⁻¹(μ₁ − μ₀), and fitted ones come close."""
    L = torch.tensor([[1.0, 0.0], [0.8, 0.6]], dtype=torch.float64)
    difference = torch.tensor([1.0, -0.5], dtype=torch.float64)
    y = torch.arange(2).repeat(10_000)
    x = torch.randn(20_000, 2, generator=seeded(0), dtype=torch.float64) @ L.T + y[:, None] * difference
    classifier = LinearClassifier.fit(x, y, decay=1e-6)
    log_p = classifier(x)
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(20_000, dtype=torch.float64))
    slope = (classifier.weight / classifier.sd[:, None]).diff(dim=1)[:, 0]
    torch.testing.assert_close(slope, torch.linalg.solve(L @ L.T, difference), rtol=0.05, atol=0.05)


def test_textures_are_told_apart():
    textures = draw_textures(8)

    def draw(seed):
        x = [
            texture(160, seeded(seed, k))[:1].unfold(1, 32, 32).unfold(2, 32, 32) for k, texture in enumerate(textures)
        ]
        return texture_statistics(torch.stack(x).reshape(-1, 1, 32, 32) / 255), torch.arange(8).repeat_interleave(25)

    classifier = LinearClassifier.fit(*draw(0))
    statistics, y = draw(1)
    assert float((classifier(statistics).argmax(1) == y).double().mean()) > 0.95


def test_luma_has_its_shares_of_red_green_and_blue():
    primaries = torch.eye(3)[:, :, None, None].expand(3, 3, 20, 20)
    luma = texture_statistics(primaries)[:, 0]
    torch.testing.assert_close(luma, luma.new_tensor([0.299, 0.587, 0.114]))
