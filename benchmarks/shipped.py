"""The model that ships: what it is trained on, the 72 textures that it never sees, and the file that it becomes.

`python benchmarks/shipped.py lay AMBIENTCG PHOTOGRAPHS OUT` makes of a folder of ambientCG textures and of the
photographs three folders:

OUT/textures      links to the ambientCG textures that are trained on
OUT/photographs   links to the photographs that are trained on, all CC0 or public domain
OUT/unseen        links to 60 ambientCG textures, and twelve photographs, averaged by 2 × 2 pixels

What is unseen has no near copy among what is trained on: ambientCG has many pictures in several colours, and some of
its textures are photographs here. Two pictures are near copies if, at one size, they correlate by more than `ALIKE` at
some shift; what is like one of the twelve is in no folder.

`python benchmarks/shipped.py pack RUN OUT FILE` makes of a run on those the file that ships: weights and φ_y in half
precision, of every class trained on and of the twelve, which it knows by φ alone.

`python benchmarks/shipped.py show OUT/unseen FILE NAME …` draws the pictures of docs/shipped.md, and
`python benchmarks/shipped.py tell REPORT.json PAGE` writes what `fgs evaluate --unseen` found into its tables.
"""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fgs.images.conditions import sample_rows
from fgs.images.held_out import class_means
from fgs.images.model import load_model
from fgs.images.reading import Preparation, read_image
from fgs.images.samplers import HowToSample
from fgs.images.shown import like, look_at
from fgs.images.sources import patches_of, read_patches
from fgs.training.checkpoints import load_checkpoint, save_checkpoint
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


def lay(ambientcg: Path, photographs: Path, out: Path) -> None:
    """Make the folders."""
    paths = sorted(ambientcg.glob("*.png"))
    names = [path.stem for path in paths]
    unseen = choose(names, *spectra(paths))
    kept = free(photographs / "SOURCES.md")
    folders = {
        "textures": [path for path in paths if path.stem not in {*unseen, *COPIES}],
        "photographs": [p for p in sorted(photographs.glob("*.png")) if p.stem in kept and p.stem not in TWELVE],
        "unseen": [path for path in paths if path.stem in unseen],
    }
    for name, files in folders.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            (out / name / file.name).symlink_to(file.resolve())
    for name in TWELVE:
        Image.open(photographs / f"{name}.png").reduce(2).save(out / "unseen" / f"{name}.png")
    for name in folders:
        print(f"{out / name}: {len(list((out / name).iterdir()))}")


def pack(run: Path, laid: Path, file: Path) -> None:
    """Write the file that ships."""
    model = load_model(run)
    assert model.targets is not None
    assert model.spread is not None
    recipe = replace(model.recipe, data=(str(laid / "unseen"),), class_=TWELVE, device="cpu")
    trained, covariance = class_means(patches_of(model, [laid / "textures", laid / "photographs"]))
    twelve = model.showing(read_patches(recipe)[0])
    assert twelve.targets is not None
    assert twelve.covariance is not None
    _, about = load_checkpoint(run / "network.pt")
    spread = [model.spread, torch.full((len(TWELVE),), math.nan)]
    about |= {
        "classes": [*model.classes, *twelve.classes],
        "targets": torch.cat([model.targets, twelve.targets]).half(),
        "means": torch.cat([trained, twelve.means]).half(),
        "covariance": torch.cat([covariance, twelve.covariance]).half(),
        "spread": torch.cat(spread).half(),
    }
    network = model.network.half()
    save_checkpoint(file, {model.recipe.guidance: network}, about)
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB, {len(about['classes'])} classes, step {about['step']:,}")


def show(unseen: Path, out: Path, *names: str) -> None:
    """Draw textures that were never trained on: a piece of each, and samples of 1, 2 and 4 times the patch."""
    model = load_model()
    asked = like([[look_at(model, unseen / f"{name}.png", 1)] for name in names])
    sampler = HowToSample().build()
    drawn = list(sample_rows(model.network, asked, 3, sampler, (32, 32), 0).unbind(1))
    for side in (64, 128):
        drawn.append(sample_rows(model.network, asked, 1, sampler, (side, side), 1)[:, 0])
    zoom, down = 2, 280
    sheet = Image.new("RGB", (zoom * (64 + 3 * 32 + 64 + 128) + 5 * 8, down * len(names)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        pieces = [read_image(unseen / f"{name}.png", Preparation(color=True))[:, :64, :64]]
        pieces += [(255 * x[row].clamp(0, 1)).round().to(torch.uint8) for x in drawn]
        left = 0
        for piece in pieces:
            image = Image.fromarray(piece.permute(1, 2, 0).numpy())
            large = image.resize((zoom * image.width, zoom * image.height), Image.Resampling.NEAREST)
            sheet.paste(large, (left, down * row + 16))
            left += large.width + 8
        pen.text((0, down * row + 2), name.replace("_", " "), fill="black")
    sheet.save(out)


def tell(report: Path, page: Path) -> None:
    """Fill the tables of a page, each found by its first heading, with what was measured."""
    found = json.loads(report.read_text())["unseen"]
    over, classes, denoising = found["samples"]["summary"], found["samples"]["classes"], found["denoising"]
    share, real = over["hit"] / over["real_hit"], f"real held-out patches {over['real_hit']:.3f}"
    nearest = f"{100 * over['nearest_own']:.0f} %, real held-out patches {100 * over['real_nearest_own']:.0f} %"
    diversity = f"{100 * over['diversity_right']:.0f} % ({over['diversity_least']:.2f} to {over['diversity_most']:.2f})"
    rows = {
        "over the": [
            [f"class hit (of {len(classes)})", f"{over['hit']:.3f}, {real}: {share:.2f} of it", "≥ .80 of it"],
            ["distance ÷ floor, median", f"{over['distance_median']:.2f}", "≤ 1.6"],
            ["distance ÷ floor, at 90 %", f"{over['distance_nine_tenths']:.2f}", "≤ 4"],
            ["distance ÷ floor, worst", f"{over['distance_worst']:.1f}", ""],
            ["nearest to their own texture", nearest, "≥ 85 %"],
            ["diversity within .8 to 1.2", diversity, "≥ 90 %"],
        ],
        "texture": [
            [name]
            + [f"{of[key]:.2f}" for key in ("hit", "real_hit", "distance", "diversity", "contrast")]
            + ["itself" if of["nearest"] == name else of["nearest"]]
            for name, of in sorted(classes.items(), key=lambda item: item[1]["distance"])
        ],
        "condition": [
            [name, *(f"{value:.2f}" for value in curve)]
            for name, curve in ({"noisy": denoising["noisy"]} | denoising["psnr"]).items()
        ],
        "from": [
            [*pair["pair"], *(f"{value:.2f}" for value in (pair["distance"], *pair["progress"]))]
            for pair in found["interpolation"]["pairs"]
        ],
    }
    lines, table = [], ""
    for line in page.read_text().splitlines():
        table = table or next((name for name in rows if line.startswith(f"| {name} ")), "")
        table = table if line.startswith("|") else ""
        if not table or line.startswith("|---") or (lines and not lines[-1].startswith("|")):
            lines.append(line)
        if table and line.startswith("|---"):
            lines += ["| " + " | ".join(row) + " |" for row in rows[table]]
    page.write_text("\n".join(lines) + "\n")


def main() -> None:
    """Lay out, pack, show, or tell."""
    tasks = {"lay": lay, "pack": pack}
    arguments = sys.argv[2:]
    if sys.argv[1:2] == ["show"] and len(arguments) > 2:
        show(Path(arguments[0]), Path(arguments[1]), *arguments[2:])
    elif len(arguments) == 3 and sys.argv[1] in tasks:
        tasks[sys.argv[1]](*map(Path, arguments))
    elif sys.argv[1:2] == ["tell"] and len(arguments) == 2:
        tell(*map(Path, arguments))
    else:
        fail("give lay AMBIENTCG PHOTOGRAPHS OUT, pack RUN OUT FILE, show UNSEEN FILE NAME …, or tell REPORT PAGE", 2)


if __name__ == "__main__":
    main()
