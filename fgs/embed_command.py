"""What `fgs embed` does with its options."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fgs.checkpoints import CheckpointError
from fgs.console import as_option, fail, step_bar
from fgs.files import atomic
from fgs.images import UnusableError
from fgs.models import Model, load_model

NEAREST = 3  # classes named for an image


def embed(run: Path, images: list[Path], downscale: int | None, out: Path | None, as_json: bool) -> None:
    """Compute φ of images, each the mean over its patches, and name the classes nearest to them.

    Args:
        run: folder of a run, or a checkpoint.
        images: files.
        downscale: average blocks of so many pixels a side; None is as in the training.
        out: file for the array (images, F); beside it, with suffix .json, the names of the rows.
        as_json: print JSON only.
    """
    try:
        if downscale is not None and downscale < 1:
            raise ValueError(f"downscale: must be at least 1, got {downscale}")
        if out and out.suffix != ".npy":
            raise ValueError(f"out: must end in .npy, got {out}")
        model = load_model(run)
        phi = _features(model, images, downscale)
    except CheckpointError as error:
        fail(f"RUN: {error}", 2)
    except UnusableError as error:
        fail(str(error), 2)
    except ValueError as error:
        fail(as_option(error), 2)
    if out:
        try:
            _write(out, phi, images)
        except OSError as error:
            fail(f"--out: cannot write {out}: {error.strerror}; name another file", 2)
    near = _nearest(model, phi)
    if as_json:
        named = dict(zip(map(str, images), near, strict=True))
        print(json.dumps({"feature_dim": phi.shape[1], "nearest": named, "out": str(out) if out else None}, indent=2))
        return
    for path, classes in zip(images, near, strict=True):
        print(f"{path}: " + ", ".join(f"{name} ({distance:.3g})" for name, distance in classes.items()))


def _features(model: Model, images: list[Path], downscale: int | None) -> Tensor:
    rows = []
    with step_bar(len(images), "images") as advance:
        for path in images:
            rows.append(model.phi(model.tiles(path, downscale)))
            advance("features", 1)
    return torch.stack(rows)


def _nearest(model: Model, phi: Tensor) -> list[dict[str, float]]:
    """Return the nearest classes of each row with ‖φ − φ_y‖, nearest first."""
    assert model.targets is not None
    distances = torch.cdist(phi, model.targets)
    found = distances.topk(min(NEAREST, len(model.classes)), largest=False)
    return [
        {model.classes[k]: distance for k, distance in zip(row.tolist(), values.tolist(), strict=True)}
        for row, values in zip(found.indices, found.values, strict=True)
    ]


def _write(out: Path, phi: Tensor, images: list[Path]) -> None:
    with atomic(out) as temporary:
        np.save(temporary, phi.numpy())
    with atomic(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps([path.name for path in images], indent=2) + "\n")
