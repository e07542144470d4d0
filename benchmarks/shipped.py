"""Lay out what the model that ships is trained on, and the 72 textures that it never sees.

python benchmarks/shipped.py AMBIENTCG PHOTOGRAPHS OUT makes of a folder of ambientCG textures and of the photographs
folders of links:

OUT/textures      the ambientCG textures that are trained on
OUT/photographs   the photographs that are trained on, all CC0 or public domain
OUT/unseen        60 ambientCG textures
OUT/twelve        twelve photographs

What is unseen has no near copy among what is trained on: ambientCG has many pictures in several colours, and some of
its textures are photographs here. Two pictures are near copies if, at one size, they correlate by more than `ALIKE` at
some shift; what is like one of the twelve is in no folder.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from script import fail

TWELVE = ("skimage_gravel", "skimage_grass", "skimage_brick", "fabric_pattern_07", "marble_tiles", "clay_roof_tiles")
TWELVE += ("oak_veneer", "ufoai_sand_ripples", "gravel_embedded_concrete", "cobblestone", "bark_willow")
TWELVE += ("ground_054_sand",)
COPIES = {"ground_056": "ground_054_sand"}  # the same picture: they correlate by .30, and no other by more than .11
UNSEEN, SIDE, ALIKE, FLAT = 60, 96, 0.5, 0.02


def free(sources: Path) -> set[str]:
    """Return the photographs that SOURCES.md calls CC0 or public domain."""
    rows = [line.split("|") for line in sources.read_text().splitlines() if line.startswith("| ")]
    return {row[1].strip() for row in rows if row[7].strip().startswith(("CC0", "public domain"))}


def spectra(paths: list[Path]) -> tuple[Tensor, Tensor]:
    """Return the Fourier transforms of pictures at one size, of mean 0 and norm 1, and their sds."""
    pixels = [np.asarray(Image.open(path).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)) for path in paths]
    x = torch.from_numpy(np.stack(pixels)).float()
    x = x - x.mean((1, 2), keepdim=True)
    return torch.fft.rfft2(x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-6)), x.flatten(1).std(1) / 255


def likeness(spectrum: Tensor, others: Tensor) -> Tensor:
    """Return the largest correlation of a picture with each of the others over all cyclic shifts, (N,)."""
    return torch.fft.irfft2(others * spectrum.conj(), s=(SIDE, SIDE)).amax((1, 2))


def choose(names: list[str], spectrum: Tensor, sd: Tensor) -> list[str]:
    """Return 60 names, spread evenly, that are like no other, and not flat."""
    chosen: list[str] = []
    for start in np.linspace(0, len(names), UNSEEN, endpoint=False).astype(int):
        for k in range(int(start), len(names)):
            alike = likeness(spectrum[k], spectrum)
            alike[k] = 0
            if alike.max() < ALIKE and sd[k] > FLAT and names[k] not in chosen and names[k] not in COPIES:
                chosen.append(names[k])
                break
    return chosen


def main() -> None:
    """Make the folders."""
    if len(sys.argv) != 4:
        fail("usage: python benchmarks/shipped.py AMBIENTCG PHOTOGRAPHS OUT")
    ambientcg, photographs, out = map(Path, sys.argv[1:])
    paths = sorted(ambientcg.glob("*.png"))
    names = [path.stem for path in paths]
    unseen = choose(names, *spectra(paths))
    kept = free(photographs / "SOURCES.md")
    folders = {
        "textures": [path for path in paths if path.stem not in {*unseen, *COPIES}],
        "photographs": [p for p in sorted(photographs.glob("*.png")) if p.stem in kept and p.stem not in TWELVE],
        "unseen": [path for path in paths if path.stem in unseen],
        "twelve": [photographs / f"{name}.png" for name in TWELVE],
    }
    for name, files in folders.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            (out / name / file.name).symlink_to(file.resolve())
        print(f"{out / name}: {len(files)}")


if __name__ == "__main__":
    main()
