"""The judge of samples, tried on samples of known faults."""

import pytest
import torch

from fgs.evaluation.samples import fit_judge
from fgs.images.patches import Patches, draw_images
from fgs.noise import seeded

N = 128


@pytest.fixture(scope="module")
def patches():
    return Patches(draw_images(classes=6, size=512), 32)


@pytest.fixture(scope="module")
def judge(patches):
    return fit_judge(patches, N)


@pytest.fixture(scope="module")
def real(patches):
    """Fresh crops of every class, of the training region."""
    return [patches.training(y, N, seeded(7, y)) for y in range(6)]


def test_real_patches_pass(judge, real):
    for y, x in enumerate(real):
        quality = judge(x, y)
        assert quality.hit > 0.95
        assert quality.distance < 1.7  # the floor itself, a mean over few crops, wanders
        assert quality.diversity == pytest.approx(1, abs=0.15)
        assert quality.contrast == pytest.approx(1, abs=0.1)


def test_held_out_patches_are_the_floor(judge, patches):
    for y in range(6):
        held_out = judge(patches.held_out_crops(y, N, seeded(8, y)), y)
        assert held_out.distance == pytest.approx(1, abs=0.5)
        assert held_out.hit == pytest.approx(held_out.real_hit, abs=0.08)


def test_faults_are_seen(judge, real):
    for y, x in enumerate(real):
        assert judge(real[(y + 1) % 6], y).hit < 0.1
        assert judge(real[(y + 1) % 6], y).distance > 5
        faded = 0.5 + 0.6 * (x - 0.5)
        assert judge(faded, y).contrast == pytest.approx(0.6, abs=0.08)
        assert judge(faded, y).distance > 2
        noisy = x + 0.15 * torch.randn(x.shape, generator=seeded(9))
        assert judge(noisy, y).distance > 2
        collapsed = judge(x[:4].repeat(N // 4, 1, 1, 1), y)
        assert collapsed.diversity < 0.95
        assert collapsed.distance > 2
        assert judge(x[:1].repeat(N, 1, 1, 1), y).diversity < 0.01


def test_chroma_of_gray_pictures_does_not_count(judge, real, patches):
    """A gray level of colour noise is invisible, and all that three equal channels could be told by."""
    images = {name: [image.expand(3, -1, -1) for image in of] for name, of in draw_images(classes=6, size=512).items()}
    in_color = fit_judge(Patches(images, 32), N)
    for y, x in enumerate(real):
        tinted = x.expand(-1, 3, -1, -1) + 0.004 * torch.randn(len(x), 3, 1, 1, generator=seeded(y))
        noise = 0.004 * torch.randn(len(x), 3, *x.shape[2:], generator=seeded(y, 1))
        gray, colored = judge(x, y), in_color(tinted + noise - noise.mean(1, keepdim=True), y)
        assert colored.hit > 0.95
        assert colored.distance < 1.7 * gray.distance


def test_brightness_counts_where_all_classes_have_one(patches, real):
    one = fit_judge(Patches({"one": [patches.training_pixels(0)[0]] * 2}, 32), N)
    assert one(real[0], 0).distance < 2
    assert one(real[0] + 0.2, 0).distance > 5


def test_more_samples_than_crops_have_no_floor(patches):
    x = patches.training(0, 12, seeded(1))
    with pytest.raises(ValueError, match=r"^x: .* 8 crops a class, got 12"):
        fit_judge(patches, 8)(x, 0)
    assert fit_judge(patches, 12)(x, 0).distance > 0


def test_held_out_crops_lie_where_nothing_was_trained_on(patches):
    """Training and held-out regions of a ramp: no gray is in both."""
    ramp = torch.arange(256, dtype=torch.uint8).expand(1, 100, 256).clone()
    halves = Patches({"a": [ramp], "b": [ramp]}, 16)
    crops = halves.held_out_crops(0, 500, seeded(0))
    assert crops.min() * 255 >= 191.5
    assert len(crops.flatten(1).unique(dim=0)) > 40
    assert halves.training(0, 500, seeded(0)).max() < crops.min()


def test_diversity_is_a_ratio_of_sds(judge, patches, monkeypatch):
    """Statistics that deviate half as much from their mean have half of the diversity."""
    for y in range(6):
        mean = judge.reference[y].mean(0)
        narrow = mean + 0.5 * (judge.reference[y] - mean)
        monkeypatch.setattr(type(judge), "scaled", lambda self, x, narrow=narrow: narrow)
        assert judge(patches.training(y, N, seeded(7, y)), y).diversity == pytest.approx(0.5, rel=1e-6)
