"""Reading image files that a person has lying about: every kind is brought to uint8, and a broken one is named."""

import mimetypes
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor, nn

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
RAW = {".heic", ".heif", ".avif", ".jp2", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw"}  # no part of any registry
LARGEST = 100_000_000  # pixels; a file that says it has more is not decoded


class UnusableError(ValueError):
    """An image that cannot be used; the message is the reason."""


class Skipped(NamedTuple):
    """A file that was left out, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Preparation(NamedTuple):
    """What is done to an image before patches are cut from it."""

    color: bool = False  # keep RGB
    downscale: int = 1  # average blocks of so many pixels a side


AS_IT_IS = Preparation()


def read_image(path: Path, how: Preparation = AS_IT_IS) -> Tensor:
    """Read an image as (C, H, W) uint8, C = 1 (luma) or 3.

    8 and 16 bits, palettes and the EXIF orientation are understood; what is transparent becomes white; of several
    frames the first is taken.

    Raises:
        UnusableError: it cannot be read, or is no image that could be used.
    """
    if path.is_dir():
        raise UnusableError("a folder, not an image file")
    if path.exists() and not path.is_file():
        raise UnusableError("no regular file")  # opening a pipe would wait for somebody to write into it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's, on files that are refused or read in any case
            with Image.open(path) as image:
                if image.width * image.height > LARGEST:
                    raise UnusableError(f"{image.width} × {image.height} pixels; more than {LARGEST:,} are not decoded")
                pixels = _pixels(image, how.color)
    except (UnusableError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise UnusableError(f"it says it has more than {LARGEST:,} pixels, which are not decoded") from None
    except UnidentifiedImageError:
        raise UnusableError("empty" if path.stat().st_size == 0 else "not an image, or damaged") from None
    except OSError as error:
        raise UnusableError(error.strerror or f"damaged: {error}") from None
    except Exception as error:  # of a damaged file Pillow's readers raise whatever they stumble on
        raise UnusableError(f"damaged: {error}") from None
    if min(pixels.shape[1:]) < how.downscale:
        size = f"{pixels.shape[2]} × {pixels.shape[1]}"
        raise UnusableError(f"{size} pixels are too few to be averaged by {how.downscale}")
    pixels = nn.functional.avg_pool2d(pixels, how.downscale) if how.downscale > 1 else pixels
    return (255 * pixels.clamp(0, 1)).round().to(torch.uint8)


def _pixels(image: Image.Image, color: bool) -> Tensor:
    """Decode to (C, H, W) float in [0, 1]."""
    deep = image.mode.startswith("I")  # 16 bits of gray; 16-bit colours arrive with 8
    if image.mode == "F":
        raise UnusableError("floating-point pixels, whose range is unknown; save it with 8 or 16 bits")
    upright = ImageOps.exif_transpose(image)
    if deep:
        gray = np.asarray(upright, dtype=np.float64) / 65535
        if gray.size and not 0 <= gray.min() <= gray.max() <= 1:
            raise UnusableError("pixels beyond 16 bits; save it with 8 or 16 bits")
        return torch.from_numpy(gray)[None].expand(3 if color else 1, -1, -1).float()
    if upright.has_transparency_data:
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright.convert("RGBA"))
    array = np.asarray(upright.convert("RGB" if color else "L"), dtype=np.float32) / 255
    return torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)


def write_image(path: Path, pixels: Tensor) -> None:
    """Write (C, H, W) uint8, C = 1 or 3, in the format of the suffix."""
    array = pixels.cpu().permute(1, 2, 0).numpy()
    Image.fromarray(array[:, :, 0] if len(pixels) == 1 else np.ascontiguousarray(array)).save(path)


def find_classes(*folders: Path) -> tuple[dict[str, tuple[Path, list[Path]]], list[Skipped]]:
    """Find the image files of each class: a file is a class of its own, a folder is a class of many, to any depth.

    In place of a folder there may be one image file, the one class. Of two classes of one name in two folders, the name
    of the later one is preceded by that of its folder.

    Returns:
        Where each class is, and its files, by its name; and images of kinds that are not read. Hidden files, and what
        is no image by its suffix, are passed over.

    Raises:
        ValueError: two classes have one name; the message begins with "data".
        OSError: a folder cannot be read.
    """
    classes: dict[str, tuple[Path, list[Path]]] = {}
    skipped: list[Skipped] = []
    for folder in folders:
        before = set(classes)
        for entry in sorted(folder.iterdir()) if folder.is_dir() else [folder]:
            if entry.name.startswith("."):
                continue
            is_image = entry.suffix.lower() in SUFFIXES  # or a folder that is named like one, which reading it will say
            found = [entry] if is_image else _files_in(entry)
            files = [path for path in found if path.suffix.lower() in SUFFIXES]
            others = [path for path in found if path.suffix.lower() not in SUFFIXES and _is_image(path)]
            skipped += [Skipped(path, f"{path.suffix} is not read; convert it to PNG or JPEG") for path in others]
            if not (is_image or entry.is_dir()):
                continue
            name = entry.stem if is_image else entry.name
            key = f"{folder.name}_{name}" if name in before else name
            if key in classes:
                named = f"{'are' if key == name else 'would be'} named {key}"
                raise ValueError(f"data: two classes of {folder} {named}; rename one")
            classes[key] = (folder / name, files)
    return classes, skipped


def _files_in(entry: Path) -> list[Path]:
    """Return a file, or the files in a folder and the folders in it, but none that is hidden."""
    if not entry.is_dir():
        return [entry]
    paths = (path for path in entry.rglob("*") if not path.is_dir())
    return sorted(path for path in paths if not any(part.startswith(".") for part in path.relative_to(entry).parts))


def _is_image(path: Path) -> bool:
    kind = mimetypes.guess_type(path.name)[0] or ""
    return kind.startswith("image/") or path.suffix.lower() in RAW | set(Image.registered_extensions())
