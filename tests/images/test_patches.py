"""Patches: what is held out is never trained on, pairs are of one class, and what is gathered is what is there."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_reading import broken

from fgs.images.patches import Patches, content_hash, draw_images, read_images
from fgs.images.reading import write_image
from fgs.images.windows import split
from fgs.noise import seeded


def numbered(*sizes, value=0):
    """Images whose every pixel tells where it is, modulo 256, in three colours: row, column, number of the image."""
    return [
        torch.stack(
            [
                torch.arange(height)[:, None].expand(height, width),
                torch.arange(width).expand(height, width),
                torch.full((height, width), value + number),
            ]
        ).to(torch.uint8)
        for number, (height, width) in enumerate(sizes)
    ]


def places(x):
    """(image, top, left) of patches of numbered images; they must be whole rectangles."""
    pixels = (255 * x).round().long()
    top, left, image = pixels[:, :, 0, 0].unbind(1)
    size = torch.arange(x.shape[2])
    assert (pixels[:, 0] == top[:, None, None] + size[:, None]).all()
    assert (pixels[:, 1] == left[:, None, None] + size).all()
    assert (pixels[:, 2] == image[:, None, None]).all()
    return torch.stack([image, top, left], 1)


IMAGES = {
    "wide": numbered((20, 90)),
    "tall": numbered((70, 16), value=1),
    "many": numbered((12, 12), (15, 11), (40, 30), (10, 10), (13, 10), (10, 12), value=2),
}


@pytest.mark.parametrize("overlapping", [True, False])
def test_training_patches_never_touch_what_is_held_out(overlapping):
    patches = Patches(IMAGES, 10, overlapping)
    x, x_prime, y = patches.pairs(4000, seeded(0))
    held_out, y_held_out = patches.held_out(1000)
    trained, kept = torch.cat([places(x), places(x_prime)]).unique(dim=0), places(held_out)
    gap = (trained[:, None, 1:] - kept[None, :, 1:]).abs()
    assert not ((trained[:, None, 0] == kept[None, :, 0]) & (gap < 10).all(2)).any()
    assert len(kept.unique(dim=0)) == len(kept) == patches.held_out_counts.sum()
    assert set(y_held_out.tolist()) == {0, 1, 2}
    image_class = torch.tensor([0, 1, 2, 2, 2, 2, 2, 2])
    assert torch.equal(image_class[places(x)[:, 0]], y)
    assert torch.equal(image_class[places(x_prime)[:, 0]], y)
    if not overlapping:  # every patch is drawn, and they lie on a lattice
        assert len(trained) == patches.counts.sum()
        assert (trained[:, 1:] % 10 == 0).all()


def test_a_pair_is_two_patches_and_classes_come_equally_often():
    patches = Patches(IMAGES, 10, overlapping=False)
    x, x_prime, y = patches.pairs(3000, seeded(1))
    assert (places(x) != places(x_prime)).any(1).all()
    assert (y.bincount() - 1000).abs().max() < 5 * (3000 * 2 / 9) ** 0.5
    again = patches.pairs(3000, seeded(1))
    assert all(torch.equal(a, b) for a, b in zip((x, x_prime, y), again, strict=True))


def test_pairs_can_have_x_prime_in_common():
    patches = Patches(IMAGES, 10, overlapping=False)
    x, x_prime, y = patches.pairs(3000, seeded(1), shared=3)
    assert (len(x), len(x_prime), len(y)) == (3000, 1000, 3000)
    every = places(x_prime).repeat_interleave(3, 0)
    assert (places(x) != every).any(1).all()
    assert torch.equal(torch.tensor([0, 1, 2, 2, 2, 2, 2, 2])[every[:, 0]], y)


def test_several_patches_can_make_up_x_prime():
    patches = Patches(IMAGES, 10, overlapping=False)
    x, x_prime, y = patches.pairs(3000, seeded(1), shared=3, primes=4)
    assert (len(x), len(x_prime), len(y)) == (3000, 4000, 3000)
    together = torch.tensor([0, 1, 2, 2, 2, 2, 2, 2])[places(x_prime)[:, 0]].unflatten(0, (1000, 4))
    assert torch.equal(together, y[::3, None].expand(-1, 4))
    first = places(x_prime)[::4].repeat_interleave(3, 0)
    assert (places(x) != first).any(1).all()


def test_every_patch_of_a_class_is_drawn_equally_often():
    patches = Patches({"a": numbered((10, 40), (12, 10), (10, 10)), "b": numbered((10, 40))}, 10)
    _, x_prime, y = patches.pairs(40_000, seeded(2))
    counts = places(x_prime[y == 0]).unique(dim=0, return_counts=True)[1].double()
    assert len(counts) == patches.counts[0]
    expected = counts.sum() / len(counts)
    assert ((counts - expected).square() / expected).sum() < len(counts) + 5 * (2 * len(counts)) ** 0.5  # χ²


@given(
    st.lists(st.tuples(st.integers(8, 60), st.integers(8, 60)), min_size=2, max_size=7),
    st.floats(0.05, 0.6),
)
def test_split(sizes, share):
    """Both parts have patches, no two regions of an image overlap, and all lie in their image."""
    train, held_out = split(sizes, 8, share)
    for part in (train, held_out):
        assert part
        for image, top, left, height, width in part:
            assert min(height, width) >= 8
            assert 0 <= top <= top + height <= sizes[image][0]
            assert 0 <= left <= left + width <= sizes[image][1]
    for a in train:
        for b in held_out:
            assert a.image != b.image or a.top + a.height <= b.top or a.left + a.width <= b.left


def test_one_small_image_cannot_be_divided():
    with pytest.raises(ValueError, match="data: class a: one image of 15 × 12 pixels"):
        Patches({"a": numbered((12, 15)), "b": numbered((40, 40))}, 10)


def test_drawn_textures_make_a_data_set():
    images = draw_images(4, size=64)
    assert [image.shape for of_class in images.values() for image in of_class] == [(1, 64, 64)] * 4
    x, _, _ = Patches(images, 16).pairs(8, seeded(0))
    assert x.shape == (8, 1, 16, 16)
    assert 0 <= x.min() < x.max() <= 1
    assert draw_images(4, size=64, color=True)["pebbles"][0].shape[0] == 3


def test_content_hash_sees_every_pixel_and_the_shape():
    image = torch.zeros(1, 4, 6, dtype=torch.uint8)
    other = image.clone()
    other[0, 3, 5] = 1
    assert content_hash([image]) == content_hash([image.clone()])
    assert len({content_hash(images) for images in ([image], [other], [image.reshape(1, 6, 4)], [image, image])}) == 4


def test_a_folder_with_broken_files_is_read_and_they_are_listed(tmp_path):
    reasons = broken(tmp_path)
    write_image(tmp_path / "small.png", torch.zeros(1, 9, 30, dtype=torch.uint8))
    for name in ("good1.png", "good2.png", "many/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_image(tmp_path / name, torch.zeros(1, 30, 30, dtype=torch.uint8))
    (tmp_path / "many/bad.png").touch()
    images, skipped = read_images(tmp_path, smallest=10)
    assert images.keys() == {"good1", "good2", "many"}
    named = {entry.path.name: entry.reason for entry in skipped}
    assert named.keys() == {*reasons, "small.png", "bad.png"}
    assert all(reason in named[name] for name, reason in reasons.items())
    assert named["small.png"] == "30 × 9 pixels; a patch has 10 a side"


@pytest.mark.parametrize("empty", ["many", "bare"])
def test_a_class_left_empty_is_an_error(tmp_path, empty):
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.png", torch.zeros(1, 30, 30, dtype=torch.uint8))
    (tmp_path / empty).mkdir()
    if empty == "many":
        (tmp_path / "many/bad.png").touch()
    with pytest.raises(ValueError, match=rf"data: .*{empty} has [01] files with the suffixes .png.* none can be used"):
        read_images(tmp_path, 10)


def test_fewer_than_two_classes_are_an_error(tmp_path):
    write_image(tmp_path / "a.png", torch.zeros(1, 30, 30, dtype=torch.uint8))
    (tmp_path / "b.png").touch()
    with pytest.raises(ValueError, match=r"data: .* has 1 classes that can be used, of 2 .*b.png: empty"):
        read_images(tmp_path, 10)


def test_several_folders_and_one_file(tmp_path):
    gray = torch.full((1, 40, 40), 90, dtype=torch.uint8)
    for folder, names in {"a": ("wall", "floor"), "b": ("wall", "roof")}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            write_image(tmp_path / folder / f"{name}.png", gray + len(folder + name))
    folders = [tmp_path / "a", tmp_path / "b"]
    images, skipped = read_images(folders, 10)
    assert (list(images), skipped) == (["floor", "wall", "roof", "b_wall"], [])
    assert list(read_images(folders, 10, only=["b_wall", "roof"])[0]) == ["roof", "b_wall"]
    with pytest.raises(ValueError, match=r"^class: .*/a and .*/b has no rof; did you mean roof\?"):
        read_images(folders, 10, only=["rof"])
    images, _ = read_images(tmp_path / "a/wall.png", 10, fewest=1)
    assert list(images) == ["wall"]
    write_image(tmp_path / "b/b_wall.png", gray)
    with pytest.raises(ValueError, match=r"^data: two classes of .*/b would be named b_wall"):
        read_images(folders, 10)


def test_pictures_are_of_whole_gray_levels():
    """Floats in [0, 1] would be divided by 255 once more."""
    with pytest.raises(ValueError, match=r"^data: .*uint8"):
        Patches({"a": [torch.rand(1, 64, 64)]}, 16)


@pytest.mark.parametrize("size", [(20, 100), (20, 40), (31, 40)])
def test_a_picture_smaller_than_a_patch_is_named(size):
    """It has no place for one; what was counted below zero would be looked for in another class."""
    images = {"a": 2 * [torch.zeros(1, *size, dtype=torch.uint8)], "b": 2 * [torch.zeros(1, 99, 99, dtype=torch.uint8)]}
    with pytest.raises(ValueError, match=r"^data: class a: an image has fewer than 32 pixels a side"):
        Patches(images, 32)
