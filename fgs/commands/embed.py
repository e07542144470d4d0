"""`fgs embed`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from fgs.commands.console import fail, step_bar, usage_errors
from fgs.commands.interface import make_command
from fgs.common.files import atomic, write_text
from fgs.common.options import Argument, Option, at_least, require
from fgs.common.text import json_text
from fgs.images import Model, load_model
from fgs.images.shown import look_at

NEAREST = 3  # classes named for an image


@dataclass(frozen=True)
class Embed:
    """Compute φ of images, each the mean over its patches, and name the classes nearest to them."""

    run: Annotated[Path, Argument("Folder of a run, or a checkpoint; `shipped` for the model that ships.")]
    images: Annotated[tuple[Path, ...], Argument("Image files.")]
    downscale: Annotated[int | None, Option("Average so many pixels a side; as known best if left out.")] = None
    out: Annotated[Path | None, Option("File for φ, an array (images, F); beside it the names.", panel="Output")] = None
    json: Annotated[bool, Option("Print JSON only.", panel="Output")] = False

    def __post_init__(self) -> None:
        at_least(self, downscale=1)
        require(self, "out", self.out is None or self.out.suffix == ".npy", "must end in .npy")


def embed(asked: Embed) -> None:
    """Compute φ, keep it, and print the nearest classes."""
    with usage_errors():
        model = load_model(asked.run)
        rows = []
        with step_bar(len(asked.images), "images") as advance:
            for path in asked.images:
                rows.append(look_at(model, path, asked.downscale).phi)
                advance("features", 1)
        phi = torch.stack(rows)
    if asked.out:
        try:
            with atomic(asked.out) as temporary:
                np.save(temporary, phi.numpy())
            write_text(asked.out.with_suffix(".json"), json_text([path.name for path in asked.images]) + "\n")
        except OSError as error:
            fail(f"--out: cannot write {asked.out}: {error.strerror}; name another file", 2)
    near = _nearest(model, phi)
    if asked.json:
        named = dict(zip(map(str, asked.images), near, strict=True))
        out = str(asked.out) if asked.out else None
        print(json_text({"feature_dim": phi.shape[1], "nearest": named, "out": out}))
        return
    for path, classes in zip(asked.images, near, strict=True):
        print(f"{path}: " + ", ".join(f"{name} ({distance:.3g})" for name, distance in classes.items()))


def _nearest(model: Model, phi: Tensor) -> list[dict[str, float]]:
    """Return the nearest classes of each row with ‖φ − φ_y‖, nearest first."""
    assert model.targets is not None
    found = torch.cdist(phi, model.targets).topk(min(NEAREST, len(model.classes)), largest=False)
    rows = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    return [{model.classes[k]: distance for k, distance in zip(*row, strict=True)} for row in rows]


command = make_command(Embed, embed)
