"""Held-out denoising against what is known: exact scores of flat classes."""

import math

import pytest
import torch

from fgs.images.held_out import class_features, class_means, denoise, denoise_held_out
from fgs.images.patches import Patches
from fgs.noise import seeded

GRAYS = (51, 128, 204)


@pytest.fixture
def patches():
    """Each class is one gray throughout."""
    images = {f"gray{gray}": [torch.full((1, 32, 48), gray, dtype=torch.uint8)] for gray in GRAYS}
    return Patches(images, 8)


class Flat:
    """φ is the mean gray; x̂ is the gray asked for, or the mean of the noisy patch."""

    def features(self, x, sigma=None):
        return x.mean((2, 3))

    def __call__(self, x, phi=None, sigma=None):
        gray = x.mean((2, 3)) if phi is None else phi
        return gray[..., None, None] - x


def test_right_wrong_and_no_condition(patches):
    x, y = patches.held_out(4)
    estimates = denoise(Flat(), class_features(Flat(), patches).phi, x, y, 0.1)
    torch.testing.assert_close(estimates["right"], x)
    grays = torch.tensor(GRAYS) / 255
    wrong = (estimates["wrong"][:, 0, 0, 0, None] - grays).abs().argmin(1)
    assert (wrong != y).all()
    assert len({(int(a), int(b)) for a, b in zip(y, wrong, strict=True)}) > 3  # not the same for all of a class
    noise = estimates["noisy"] - x
    assert float(noise.std()) == pytest.approx(0.1, rel=0.15)
    torch.testing.assert_close(estimates["none"], (x + noise).mean((2, 3), keepdim=True).expand_as(x))


def test_means_are_of_the_patches_trained_on():
    """In colour, over images of two sizes, weighted by the patches they have: held-out pixels, white, enter nothing."""
    of_class, places = [], []
    for size, color in ((32, (10, 20, 30)), (64, (40, 80, 120))):
        image = torch.full((3, size, size), 255, dtype=torch.uint8)
        image[:, :, : size * 3 // 4] = torch.tensor(color, dtype=torch.uint8)[:, None, None]
        of_class.append(image)
        places.append((size - 7) * (size * 3 // 4 - 7))
    patches = Patches({"a": of_class, "b": of_class[:1]}, 8)
    assert patches.counts.tolist() == [sum(places), places[0]]
    means, covariance = class_means(patches, n=4000)
    assert means.shape == (2, 3, 1, 1)
    share = places[0] / sum(places)
    weighted = share * torch.tensor([10.0, 20, 30]) + (1 - share) * torch.tensor([40.0, 80, 120])
    error = 90 * math.sqrt(share * (1 - share) / 4000)  # of the share of the one among those drawn, in the third colour
    torch.testing.assert_close(255 * means[0].flatten(), weighted, rtol=0, atol=4 * error)
    torch.testing.assert_close(255 * means[1].flatten(), torch.tensor([10.0, 20, 30]))
    apart = torch.tensor([30.0, 60, 90])
    expected = share * (1 - share) * apart[:, None] * apart  # of two colours
    torch.testing.assert_close(255**2 * covariance[0] / 64, expected, rtol=0.1, atol=0)
    torch.testing.assert_close(covariance[1], torch.zeros(3, 3))


def test_psnr_of_errors_that_are_known(patches):
    curves = denoise_held_out(lambda x, phi, sigma: 0 * x + 0.1, None, patches, [1e-6, 0.2], n=4)
    assert curves.keys() == {"noisy", "none"}
    assert curves["none"][0] == pytest.approx(20, abs=1e-3)  # the error is .1 everywhere
    assert curves["noisy"][1] == pytest.approx(-20 * math.log10(0.2), abs=0.5)


def test_nearest_centroids(patches):
    centroids, spread = class_features(Flat(), patches)
    torch.testing.assert_close(spread, torch.zeros(3), rtol=0, atol=1e-4)
    torch.testing.assert_close(centroids[:, 0], torch.tensor(GRAYS) / 255)


def test_the_spread_is_over_all_channels_in_units_of_their_sd_over_classes(patches):
    """φ of two channels that scatter by known amounts; the unit is the sd of centroids."""
    sds = torch.tensor([[0.1, 2.0], [0.2, 1.0], [0.4, 3.0]])

    class Scattered:
        def features(self, x, sigma=None):
            y = (x.mean((1, 2, 3))[:, None] - torch.tensor(GRAYS) / 255).abs().argmin(1)
            means = torch.tensor([[0.0, 50.0], [5.0, 0.0], [20.0, 90.0]])
            return means[y] + sds[y] * torch.randn(len(x), 2, generator=seeded(0))

    centroids, spread = class_features(Scattered(), patches, n=4000)
    expected = (sds / centroids.std(0, correction=0)).square().sum(1).sqrt()
    torch.testing.assert_close(spread, expected, rtol=5 / math.sqrt(2 * 4000), atol=0)
