"""Pictures that a person shows: the scale that is chosen for them, and what is asked for by them."""

import pytest
import torch

from fgs.images import shown as looking
from fgs.images.held_out import means_of
from fgs.images.model import load_model
from fgs.images.reading import UnusableError, read_image, write_image
from fgs.images.shown import like, look_at
from fgs.noise import seeded


@pytest.fixture(scope="module")
def model(run):
    return load_model(run["features"])


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_picture_is_looked_at_at_the_scale_at_which_it_is_known(model, textures, tmp_path, monkeypatch, scale):
    """A class enlarged is the class again where it is averaged by as much."""
    monkeypatch.setattr(looking, "MANY", 2)
    monkeypatch.setattr(looking, "NEAR", 1)
    for name in sorted({*model.classes} - {"brushed"}):  # lines are lines at many a scale
        image = read_image(textures / f"{name}.png")
        path = tmp_path / f"{name}.png"
        write_image(path, image.repeat_interleave(scale, 1).repeat_interleave(scale, 2))
        seen = look_at(model, path)
        assert seen.downscale == scale
        torch.testing.assert_close(seen.phi, look_at(model, textures / f"{name}.png", 1).phi)
        assert look_at(model, path, 2).downscale == 2


def test_a_model_of_few_classes_looks_as_it_was_trained_and_a_picture_may_be_too_small(model, textures, tmp_path):
    assert look_at(model, textures / f"{model.classes[0]}.png").downscale == model.recipe.downscale
    write_image(tmp_path / "small.png", torch.zeros(1, 19, 40, dtype=torch.uint8))
    with pytest.raises(UnusableError, match=r"small\.png"):
        look_at(model, tmp_path / "small.png")


def test_pictures_of_one_texture_are_averaged(model, tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for k, path in enumerate(paths):
        noise = 100 + 40 * k + 30 * torch.randn(1, 60, 60, generator=seeded(k))
        write_image(path, noise.clamp(0, 255).to(torch.uint8))
    a, b = (look_at(model, path) for path in paths)
    together, each = like([[a, b]]), like([[a], [b]])
    torch.testing.assert_close(together.phi[0], each.phi.mean(0))
    torch.testing.assert_close(together.mean[0], each.mean.mean(0))
    torch.testing.assert_close(together.covariance[0], means_of(torch.cat([a.tiles, b.tiles]))[1])
    assert together.covariance[0] > 10 * each.covariance.max()  # they differ in gray
