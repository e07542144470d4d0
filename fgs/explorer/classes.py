"""The feature tab's data: the classes of a model as points by φ, a sample of each, and samples between some of them."""

import base64
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from fgs.images.conditions import Condition, sample_rows
from fgs.images.model import Model
from fgs.images.reading import write_image
from fgs.images.samplers import HowToSample

SIDE = 32  # pixels of a sample, at most
CALLS = 12  # of the network for each, as `fgs sample --list`
ENDS = 20  # classes, far apart, between any two of which there is a strip
ALPHAS = 7  # samples of a strip, both ends included
COLUMNS = 42  # of a sheet of samples, six strips in a row


def planned_images(model: Model) -> int:
    """Count the samples that `feature_data` draws."""
    ends = min(ENDS, len(model.classes))
    return len(model.classes) + ALPHAS * ends * (ends - 1) // 2


def feature_data(model: Model, advance: Callable[[int], None] = lambda images: None) -> dict[str, object]:
    """Return what the feature tab shows of a model guided by features, as plain values for JSON.

    `advance` is told of every call of the network how many images went through it.
    """
    assert model.targets is not None
    phi, side, how = model.targets.double(), min(SIDE, model.patch), HowToSample(steps=CALLS)
    score, sampler, condition = how.cast(model.network), how.build(), model.condition()

    def draw(condition: Condition) -> Tensor:
        return sample_rows(score, condition, 1, sampler, (side, side), advance=advance)[:, 0]

    points, shown = plane(phi)
    ends = far_apart(phi, min(ENDS, len(phi)))
    a, b = [a for j in range(len(ends)) for a in ends[:j]], [b for j, b in enumerate(ends) for _ in range(j)]
    strips = []
    for alpha in torch.linspace(0, 1, ALPHAS).tolist() if a else ():
        # all pairs at one α: the seed gives each its own start and noise, the same at every α (Fig. 8)
        between = [None if part is None else part[a].lerp(part[b], alpha) for part in condition]
        strips.append(draw(Condition(*between)))  # type: ignore[arg-type]
    places, tenths = (1e4 * points).round().int().tolist(), (10 * torch.cdist(phi, phi[ends])).round().int().tolist()
    return {
        **{"names": model.classes, "points": places, "shown": shown, "side": side, "columns": COLUMNS},
        **{"thumbnails": sheet(draw(condition)), "alphas": ALPHAS, "ends": ends, "distances": tenths},
        "strips": sheet(torch.stack(strips, 1).flatten(0, 1)) if strips else None,
    }


def plane(phi: Tensor) -> tuple[Tensor, float]:
    """Place classes in the plane by classical scaling of ‖φ_y − φ_y'‖: (K, 2) in [−1, 1], and the share of variance."""
    U, S, _ = torch.linalg.svd(phi - phi.mean(0), full_matrices=False)  # the same as principal components
    points = torch.nn.functional.pad(U * S, (0, 2))[:, :2]  # of one class there is no second
    return points / points.abs().max().clamp_min(1e-12), float(S[:2].square().sum() / S.square().sum().clamp_min(1e-12))


def far_apart(phi: Tensor, n: int) -> list[int]:
    """Choose n classes, each the farthest from those before; the first is the farthest from the mean."""
    chosen, nearest = [int((phi - phi.mean(0)).norm(dim=1).argmax())], torch.full((len(phi),), torch.inf).to(phi)
    while len(chosen) < n:
        nearest = nearest.minimum((phi - phi[chosen[-1]]).norm(dim=1))
        chosen.append(int(nearest.argmax()))
    return chosen


def sheet(images: Tensor) -> str:
    """Lay images (n, C, H, W) in [0, 1] in rows of `COLUMNS`, as the data URI of one JPEG."""
    (n, C, H, W), rows = images.shape, -(-len(images) // COLUMNS)
    full = torch.cat([images, images.new_zeros(rows * COLUMNS - n, C, H, W)]).reshape(rows, COLUMNS, C, H, W)
    pixels = (255 * full.permute(2, 0, 3, 1, 4).reshape(C, rows * H, COLUMNS * W)).round().to(torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sheet.jpg"
        write_image(path, pixels)
        return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
