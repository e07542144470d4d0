"""`fgs textures`: images in the layouts that training reads, or one line that says why not."""

import pytest
from PIL import Image

from fgs.images.patches import read_images


def test_one_image_a_class(fgs, tmp_path):
    code, out, err = fgs("textures", tmp_path / "new" / "folder", "--size", 40)
    assert (code, err) == (0, "")
    assert "16 textures of 1 image in" in out
    files = sorted((tmp_path / "new/folder").iterdir())
    assert len(files) == 16
    with Image.open(files[0]) as image:
        assert (image.size, image.mode) == ((40, 40), "RGB")
    images, skipped = read_images(tmp_path / "new" / "folder", 20)
    assert (len(images), skipped) == (16, [])


def test_a_folder_a_class(fgs, tmp_path):
    assert fgs("textures", tmp_path, "--size", 30, "--classes", 3, "--images", 4, "--gray", "--seed", 2)[0] == 0
    images, _ = read_images(tmp_path, 30)
    assert [len(of_class) for of_class in images.values()] == [4, 4, 4]
    with Image.open(next(tmp_path.glob("*/0003.png"))) as image:
        assert image.mode == "L"


def test_the_seed_decides(fgs, tmp_path):
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        fgs("textures", tmp_path / name, "--size", 20, "--classes", 2, "--seed", seed)
    a, b, c = ((tmp_path / name / "pebbles.png").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("option", ["--classes", "--images", "--size"])
def test_too_few(fgs, tmp_path, option):
    code, out, err = fgs("textures", tmp_path / "new", option, 0)
    assert (code, out) == (2, "")
    assert err == f"fgs: {option}: must be at least 1, got 0\n"
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_files_is_left_alone(fgs, tmp_path):
    (tmp_path / "mine.txt").touch()
    code, _, err = fgs("textures", tmp_path)
    assert code == 2
    assert "holds files; name another folder" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_place_that_cannot_be_written(fgs, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = fgs("textures", tmp_path / "file" / "new")
    assert (code, err.count("\n")) == (2, 1)
    assert "DIR: cannot write into" in err
