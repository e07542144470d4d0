import pytest
import torch

from fgs.images.fields import FAMILIES
from fgs.images.patches import Patches
from fgs.images.synthetic import draw_textures
from fgs.measures.copies import largest_correlation
from fgs.noise import seeded


def spectrum(image):
    """Power by frequency of the middle 64 pixels, at a coarse resolution and scaled to sum 1: tells families apart."""
    gray = image.float().mean(0)[:64, :64]
    power = torch.fft.fft2(gray - gray.mean()).abs().square()
    coarse = torch.nn.functional.avg_pool2d(torch.fft.fftshift(power)[None], 4)[0]
    return (coarse / coarse.sum()).sqrt()


def test_the_default_has_sixteen_families_and_more_are_to_be_had():
    assert len({texture.family for texture in draw_textures()}) == 16
    textures = draw_textures(2 * len(FAMILIES))
    assert len({texture.name for texture in textures}) == 2 * len(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_fills_its_range(family):
    field = FAMILIES[family](128, 1.0, 0.4, seeded(0))
    assert field.shape == (128, 128)
    assert field.isfinite().all()
    assert 0.1 < field.clamp(0, 1).std() < 0.5
    assert ((field < -0.3) | (field > 1.3)).float().mean() < 0.02


def test_images_are_drawn_from_their_generator():
    for texture in draw_textures(3):
        one, same, other = (texture(48, seeded(seed)) for seed in (1, 1, 2))
        assert one.shape == (3, 48, 48)
        assert one.dtype == torch.uint8
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


def test_textures_are_drawn_from_their_seed():
    one, same, other = (draw_textures(5, seed) for seed in (1, 1, 2))
    assert [t.angle for t in one] == [t.angle for t in same] != [t.angle for t in other]
    assert [t.name for t in one] == [t.name for t in draw_textures(3, 1)] + [t.name for t in one[3:]]


def test_two_images_of_a_texture_are_more_alike_than_those_of_two_textures():
    """The nearest of 16 by spectrum and mean colour is another image of the same texture."""
    textures = draw_textures(16)

    def describe(texture, seed):
        image = texture(64, seeded(seed))
        colour = image.float().mean((1, 2)) / 255
        return torch.cat([spectrum(image).flatten(), 2 * colour])

    first, second = (torch.stack([describe(texture, seed) for texture in textures]) for seed in (1, 2))
    assert torch.equal(torch.cdist(first, second).argmin(1), torch.arange(16))


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_stationary(family):
    """Quarters of an image have the mean gray of the other quarters, within what 16 draws of a quarter scatter."""
    fields = torch.stack([FAMILIES[family](64, 0.5, 0.4, seeded(seed)) for seed in range(16)])
    quarters = fields.unfold(1, 32, 32).unfold(2, 32, 32).mean((3, 4)).flatten(1)
    standard_error = quarters.std(0).clamp(min=1e-3) / 4
    assert ((quarters.mean(0) - fields.mean()).abs() < 4 * standard_error).all()


def test_a_count_below_one_is_refused():
    with pytest.raises(ValueError, match="classes"):
        draw_textures(0)


def test_a_large_picture_does_not_come_again_within_itself():
    """What is held out is no more like what is trained on than another picture of the texture is."""
    (needles,) = (texture for texture in draw_textures() if texture.family == "needles")
    first, second = (needles(512, seeded(k)).float().mean(0, keepdim=True).round().to(torch.uint8) for k in range(2))
    patches = Patches({"first": [first], "second": [second]}, 32)
    x = patches.held_out_crops(0, 24, seeded(5))
    own, other = (largest_correlation(x, patches.training_regions(y)).median() for y in range(2))
    assert own < other + 0.1
