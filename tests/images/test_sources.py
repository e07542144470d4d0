"""What a recipe trains on and a model is measured on: the order of classes, and pictures that have no room."""

import pytest
import torch

from fgs.images.model import load_model
from fgs.images.reading import write_image
from fgs.images.recipe import Recipe
from fgs.images.sources import patches_of, read_patches, stream_of
from fgs.noise import seeded


def test_patches_of_a_model_come_in_the_order_of_its_classes(run, textures):
    model = load_model(run["features"])
    order = model.classes[2:0:-1]
    patches, all_of_them = patches_of(model.only(order), [textures]), patches_of(model, [textures])
    assert patches.classes == order
    for y, name in enumerate(order):
        whole = all_of_them.training_pixels(all_of_them.classes.index(name))
        assert all(torch.equal(a, b) for a, b in zip(patches.training_pixels(y), whole, strict=True))


def test_endless_classes_of_pictures_that_have_no_room_are_refused(tmp_path):
    for number in range(3):
        noise = torch.randint(256, (1, 40, 40), generator=seeded(number), dtype=torch.uint8)
        write_image(tmp_path / f"{number}.png", noise)
    recipe = Recipe(data=(str(tmp_path),), classes="endless", patch=20, device="cpu")
    patches, _, _ = read_patches(recipe)
    with pytest.raises(ValueError, match=r"^data: no picture that is not flat has 25 pixels a side beside what is"):
        stream_of(recipe, patches)
