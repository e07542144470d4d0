"""Pictures that a person shows: at which scale a network knows their like, and whether they are textures at all."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from fgs.images.conditions import Condition
from fgs.images.held_out import means_of, unit_of
from fgs.images.model import Model
from fgs.images.reading import UnusableError

SCALES = (1, 2, 3, 4)  # of the pyramid in which a picture is offered
TILES = 64  # patches of a picture that are looked at, spread evenly
NEAR = 5  # classes to which the distance of φ says how well its like is known
MANY = 64  # classes that tell what a network knows
TOO_WIDE = 0.99  # quantile of the spread of φ over the classes trained on, beyond which a picture is no texture


class Shown(NamedTuple):
    """A picture averaged by `downscale`, as tiles (n, C, patch, patch) in [0, 1], their mean φ (F,), and its spread."""

    path: Path
    downscale: int
    tiles: Tensor
    phi: Tensor
    spread: float


def look_at(model: Model, path: Path, downscale: int | None = None) -> Shown:
    """Look at a picture at the scale at which the network knows its like best.

    How well it knows the like of φ is told by the mean distance to the `NEAR` nearest centroids of classes, every
    channel in units of its sd over these: an estimate of their density in φ. A model of few classes looks at it as at
    those, and with `downscale` it is averaged by that, whatever is known.

    Raises:
        UnusableError: the picture cannot be used; the message names it.
    """
    if downscale is not None or len(model.classes) < MANY:
        return _at(model, path, downscale or model.recipe.downscale)
    views = []
    for scale in SCALES:
        try:
            views.append(_at(model, path, scale))
        except UnusableError:
            if not views:
                raise
    assert model.targets is not None
    unit = unit_of(model.targets)
    phi = torch.stack([view.phi for view in views])
    away = torch.cdist(phi / unit, model.targets / unit).topk(NEAR, largest=False).values.mean(1)
    return views[int(away.argmin())]


def _at(model: Model, path: Path, downscale: int) -> Shown:
    tiles = model.tiles(path, downscale)
    tiles = tiles[torch.linspace(0, len(tiles) - 1, min(TILES, len(tiles))).round().long()]
    each = model.features(tiles)
    phi, unit = each.mean(0), unit_of(each if model.targets is None else model.targets)
    return Shown(path, downscale, tiles, phi, float(((each - phi) / unit).square().sum(1).mean().sqrt()))


def is_no_texture(model: Model, shown: Shown) -> bool:
    """Return whether φ varies more across a picture than across almost all that the network was trained on (Eq. 5)."""
    return model.spread is not None and shown.spread > float(model.spread.nanquantile(TOO_WIDE))


def like(together: Sequence[Sequence[Shown]]) -> Condition:
    """Ask for what pictures show, a row for each set of pictures of one texture."""
    phi = torch.stack([torch.stack([shown.phi for shown in of_row]).mean(0) for of_row in together])
    means = [means_of(torch.cat([shown.tiles for shown in of_row])) for of_row in together]
    return Condition(phi, torch.stack([m for m, _ in means]), torch.stack([c for _, c in means]))
