"""What a recipe trains on: the images of its folders or drawn ones, as classes of patches or as a bank."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from fgs.images.config import ContradictionError
from fgs.images.endless import FLAT, ROOM, Endless
from fgs.images.model import Model
from fgs.images.patches import Images, Patches, content_hash, draw_images, read_images
from fgs.images.reading import Skipped, find_classes
from fgs.images.recipe import BANK, MANY, SYNTHETIC, SYNTHETIC_SIZE, Recipe, Stream
from fgs.noise import seeded


def read_patches(recipe: Recipe, only: Sequence[str] = ()) -> tuple[Patches, dict[str, str], list[Skipped]]:
    """Read the images of a recipe, or draw synthetic ones: patches, the hash of each class, and files left out.

    The classes are those of the recipe, in alphabetical order, or `only` these, in this order.

    Raises:
        ValueError: there is too little to train on; the message begins with "data".
        OSError: the folder cannot be read.
    """
    skipped: list[Skipped] = []
    size = recipe.patch
    if not recipe.data:
        images: Images = draw_images(size=8 * size, color=recipe.color, seed=recipe.seed)
    else:
        folders = [Path(name) for name in recipe.data]
        if missing := [folder for folder in folders if not folder.exists()]:
            raise ValueError(f"data: {missing[0]} is no folder; name one that holds images")
        one = only or recipe.guidance == "none" or recipe.from_ or recipe.clusters or recipe.classes == "endless"
        names = only or recipe.class_ or None
        images, skipped = read_images(folders, size, recipe.preparation, names, 1 if one else 2)
    if only:
        images = {name: images[name] for name in only if name in images}
    if recipe.clusters and sum(map(len, images.values())) < 2:
        raise ValueError("data: a heap to be sorted needs two pictures or more; of one, all patches are one class")
    hashes = {name: content_hash(of_class) for name, of_class in images.items()}
    return Patches(images, size, recipe.overlapping, recipe.held_out, recipe.device), hashes, skipped


def chosen_classes(recipe: Recipe, patches: Patches) -> str:
    """Return which classes are trained on: "auto" is "endless" where pictures are many and no label names them."""
    if recipe.classes != "auto":
        return recipe.classes
    many = len(patches.classes) >= MANY and recipe.guidance != "label" and not recipe.clusters
    return "endless" if many else "fixed"


def stream_of(recipe: Recipe, patches: Patches) -> Stream:
    """Return what a recipe draws its pairs from: the classes that there are, or endless ones of pictures not flat."""
    if recipe.classes != "endless":
        return patches
    flat = flat_classes(patches)
    classes = [y for y, name in enumerate(patches.classes) if name not in flat]
    pictures = [pixels for y in classes for pixels in patches.training_pixels(y)]
    seed = int(seeded(recipe.seed, BANK).initial_seed())  # others than what may be held out, as drawn data are in part
    drawn = draw_images(SYNTHETIC, 1, SYNTHETIC_SIZE, recipe.color, seed) if recipe.synthetic else {}
    synthetic = [image for of_class in drawn.values() for image in of_class]
    stream = Endless(pictures, recipe.patch, synthetic, recipe.synthetic, twice=recipe.twice, device=recipe.device)
    if not stream.real and recipe.synthetic < 1:
        room = f"{math.ceil(ROOM * recipe.patch)} pixels a side beside what is held out"
        raise ValueError(f"data: no picture that is not flat has {room}, as endless classes need; take --classes fixed")
    return stream


def flat_classes(patches: Patches) -> list[str]:
    """Name the classes whose contrast is mostly noise of the camera."""
    contrasts = (max(map(_contrast, patches.training_pixels(y))) for y in range(len(patches.classes)))
    return [name for name, sd in zip(patches.classes, contrasts, strict=True) if sd < FLAT]


def _contrast(pixels: Tensor) -> float:
    """Return the sd about the mean colour, rms over channels, in [0, 1]."""
    return float((pixels.flatten(1).float() / 255).var(1).mean().sqrt())


def unseen_patches(recipe: Recipe, folder: Path, known: Sequence[str]) -> tuple[Patches, list[Skipped]]:
    """Read the classes of a folder that are not known by name, prepared as those that a recipe trains on.

    Raises:
        ValueError: there are none that can be used; the message begins with "unseen".
        OSError: the folder cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"unseen: {folder} is no folder; name one that holds images")
    try:
        names = tuple(name for name in find_classes(folder)[0] if name not in known)
        if not names:
            raise ValueError(f"data: {folder} has no class that is not trained on")
        only: dict[str, Any] = {"data": (str(folder),), "class_": names, "guidance": "none", "clusters": None}
        patches, _, skipped = read_patches(replace(recipe, **only))
    except ValueError as error:
        raise ValueError(f"unseen: {str(error).partition(': ')[2]}") from None
    return patches, skipped


def patches_of(model: Model, data: Sequence[Path]) -> Patches:
    """Read what a model was trained on, on the CPU, from folders that hold it, and maybe more; none if it is synthetic.

    Raises:
        ContradictionError: the images are not those that the model was trained on.
        ValueError: there are no images; the message begins with "data".
        OSError: the images cannot be read.
    """
    recipe = replace(model.recipe, data=tuple(map(str, data)), device="cpu")
    try:
        patches, now, _ = read_patches(recipe, model.classes)
    except ValueError as error:
        raise ValueError(f"data: {str(error).partition(': ')[2]}") from None
    check_hashes(model.hashes, now)
    return patches


def check_hashes(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Check that images are those that a run was started with; else ContradictionError."""
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if changed:
        raise ContradictionError(f"data: the images have changed since the run was started: {', '.join(changed)}")
