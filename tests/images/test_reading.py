"""Every kind of image file is understood, and every kind of broken one is named."""

import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from fgs.images.reading import Preparation, UnusableError, find_classes, read_image, write_image

RAMP = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)


def png(width, height):
    """A gray PNG whose header says so, and which has the pixels of one row at most."""
    chunks = (
        b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0),
        b"IDAT" + zlib.compress(bytes(41)),
        b"IEND",
    )
    framed = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jpg"])
def test_formats(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RAMP).save(path, **({"lossless": True} if suffix == "webp" else {"quality": 95}))
    read = read_image(path)
    assert read.shape == (1, 12, 20)
    assert read.dtype == torch.uint8
    error = (read[0].int() - torch.from_numpy(RAMP.astype(np.int32))).abs()
    assert error.max() <= (12 if suffix == "jpg" else 1)


def test_gray_is_the_luma_and_colour_is_kept(tmp_path):
    Image.new("RGB", (4, 4), (200, 100, 50)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").unique().tolist() == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]
    assert read_image(tmp_path / "a.png", Preparation(color=True))[:, 0, 0].tolist() == [200, 100, 50]
    Image.new("L", (4, 4), 77).save(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png", Preparation(color=True))[:, 0, 0].tolist() == [77, 77, 77]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(path)
    np.testing.assert_array_equal(read_image(path)[0].numpy(), RAMP)


def test_palette_transparency_and_orientation(tmp_path):
    palette = Image.fromarray(RAMP).convert("RGB").quantize(256)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_allclose(read_image(tmp_path / "palette.png")[0].numpy(), RAMP, atol=3)

    alpha = Image.new("RGBA", (4, 2), (0, 0, 0, 255))
    alpha.putpixel((3, 1), (0, 0, 0, 0))
    alpha.save(tmp_path / "alpha.png")
    assert read_image(tmp_path / "alpha.png")[0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 255]]

    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    Image.fromarray(RAMP).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png")[0].numpy(), np.rot90(RAMP, -1))


def test_downscaling_averages(tmp_path, generator):
    pixels = torch.randint(90, 110, (1, 40, 60), generator=generator).to(torch.uint8)
    write_image(tmp_path / "a.png", pixels)
    assert torch.equal(read_image(tmp_path / "a.png"), pixels)
    half = read_image(tmp_path / "a.png", Preparation(downscale=2)).double()
    blocks = pixels.double().unfold(1, 2, 2).unfold(2, 2, 2).mean((3, 4))
    assert (half - blocks).abs().max() <= 0.5


def broken(folder):
    """Thirty files of kinds that cannot be used, by name: reason."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8))
    reasons = {}
    for suffix in ("png", "jpg", "tif", "bmp", "webp"):
        noise.save(folder / f"whole.{suffix}")
        contents = (folder / f"whole.{suffix}").read_bytes()
        (folder / f"whole.{suffix}").unlink()
        (folder / f"truncated_{suffix}.{suffix}").write_bytes(contents[: len(contents) // 2])
        (folder / f"begun_{suffix}.{suffix}").write_bytes(contents[:20])
        (folder / f"empty_{suffix}.{suffix}").touch()
        reasons |= {f"truncated_{suffix}.{suffix}": "damaged", f"begun_{suffix}.{suffix}": "damaged"}
        reasons[f"empty_{suffix}.{suffix}"] = "empty"
        if suffix == "png":
            (folder / "flipped.png").write_bytes(contents[:200] + bytes(200) + contents[400:])
    (folder / "text.jpg").write_text("not an image")
    (folder / "page.webp").write_text("<!DOCTYPE html><html></html>")
    (folder / "zeros.bmp").write_bytes(bytes(5000))
    (folder / "bomb.png").write_bytes(png(60_000, 60_000))
    (folder / "large.png").write_bytes(png(11_000, 10_000))
    (folder / "hollow.png").write_bytes(png(9_000, 9_000))
    (folder / "folder.png").mkdir()
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    os.mkfifo(folder / "pipe.png")
    Image.fromarray(np.ones((20, 20), dtype=np.float32)).save(folder / "float.tif")
    Image.fromarray(np.full((20, 20), 10**6, dtype=np.int32)).save(folder / "deep.tif")
    Image.new("L", (1, 1)).save(folder / "single.png")
    Image.new("RGB", (400, 3)).save(folder / "flat.png")
    return reasons | {
        "flipped.png": "damaged",
        "text.jpg": "not an image",
        "page.webp": "not an image",
        "zeros.bmp": "not an image",
        "bomb.png": "pixels",
        "large.png": "pixels",
        "hollow.png": "damaged",
        "folder.png": "folder",
        "loop.png": "symbolic links",
        "gone.png": "No such file",
        "pipe.png": "no regular file",
        "float.tif": "floating-point",
        "deep.tif": "beyond 16 bits",
        "single.png": "1 × 1 pixels",
        "flat.png": "400 × 3 pixels",
    }


def test_what_cannot_be_used_is_named_with_its_reason(tmp_path):
    for name, reason in broken(tmp_path).items():
        with pytest.raises(UnusableError, match=reason):
            read_image(tmp_path / name, Preparation(downscale=4))


def test_files_that_cannot_be_used_take_little_memory(tmp_path):
    """The largest is decoded as far as it goes, 9,000 × 9,000; those that claim more are not."""
    for k in range(4):
        write_image(tmp_path / f"good{k}.png", torch.full((1, 40, 40), 50 * k, dtype=torch.uint8))
    count = len(broken(tmp_path))
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from fgs.images.patches import read_images; from fgs.images.reading import Preparation\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak(); images, skipped = read_images(Path(sys.argv[1]), 8, Preparation(color=True))\n"
        "print(len(images), len(skipped), peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    good, bad, megabytes = map(int, done.stdout.split())
    assert (good, bad) == (4, count)
    assert megabytes < 400


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "a.png").write_bytes(png(4, 4))
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(UnusableError, match="denied"):
        read_image(tmp_path / "a.png")


def test_files_and_folders_are_classes(tmp_path):
    used = ("b.png", "a.JPG", "many/1.png", "many/2.tiff", "many/deep/deeper/3.png")
    others = ("c.gif", "d.heic", "many/deep/e.JP2")
    passed_over = (".hidden.png", "notes.txt", "many/x.txt", "many/.thumbs/4.png")
    for name in used + others + passed_over:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, skipped = find_classes(tmp_path)
    assert [str(entry.path.relative_to(tmp_path)) for entry in skipped] == list(others)
    assert "d.heic: .heic is not read; convert it to PNG or JPEG" in str(skipped[1])
    assert {name: [file.name for file in files] for name, (_, files) in found.items()} == {
        "a": ["a.JPG"],
        "b": ["b.png"],
        "many": ["1.png", "2.tiff", "3.png"],
    }


def test_classes_may_differ_by_case_alone(tmp_path):
    for name in ("a.png", "A.png"):
        (tmp_path / name).touch()
    if len(list(tmp_path.iterdir())) == 2:  # not so on every system
        assert list(find_classes(tmp_path)[0]) == ["A", "a"]


@pytest.mark.parametrize("other", ["a.jpg", "a/1.png"])
def test_two_classes_of_one_name(tmp_path, other):
    for name in ("a.png", other):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"data: two classes of .* are named a"):
        find_classes(tmp_path)
