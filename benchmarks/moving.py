"""The README's moving picture: photographs that the model never saw, and samples of the same textures out of noise.

`python benchmarks/moving.py LAID/unseen docs/moving.gif` (LAID: see `shipped.py lay`). The photographs are of ambientCG
(CC0).
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from fgs.common.files import atomic
from fgs.corrections import Corrected
from fgs.images import load_model
from fgs.images.shown import like, look_at
from fgs.noise import seeded

SHOWN = ("rock_003", "grass_004", "terrazzo_005", "rocks_005", "wood_029", "moss_001")
SIDE, COLUMNS, GAP, HEAD, CALLS = 84, 3, 4, 22, 48
HOLD, FRAME = 2500, 80  # milliseconds, of the last frame and of the others


def sheet(images: Tensor) -> Image.Image:
    """Lay images (N, 3, SIDE, SIDE) in [0, 1] out in rows."""
    across = SIDE + GAP
    page = Image.new("RGB", (across * COLUMNS - GAP, across * -(-len(images) // COLUMNS) - GAP), "white")
    for number, image in enumerate((255 * images.clamp(0, 1)).round().to(torch.uint8)):
        at = (number % COLUMNS * across, number // COLUMNS * across)
        page.paste(Image.fromarray(image.permute(1, 2, 0).numpy()), at)
    return page


def frame(left: Image.Image, right: Image.Image, words: str) -> Image.Image:
    """Set the photographs beside the samples, with a line over each."""
    page = Image.new("RGB", (2 * left.width + 24, left.height + HEAD), "white")
    page.paste(left, (0, HEAD))
    page.paste(right, (left.width + 24, HEAD))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    pen.text((0, 2), "photographs, never trained on", fill="black", font=font)
    pen.text((left.width + 24, 2), words, fill="black", font=font)
    return page


@torch.no_grad()
def main(folder: Path, path: Path) -> None:
    """Sample, and write the picture."""
    model = load_model()
    paths = [folder / name / f"{name}.png" if (folder / name).is_dir() else folder / f"{name}.png" for name in SHOWN]
    condition = like([[look_at(model, each, 1)] for each in paths])
    real = torch.stack([model.read(each, SIDE, 1)[:, :SIDE, :SIDE] for each in paths])
    rows = torch.arange(len(SHOWN))
    score, phi = condition.guide(model.network, rows)
    x = condition.start(rows, (SIDE, SIDE), 1.0, seeded(1))
    frames = [frame(sheet(real), sheet(x), "noise")]
    for step in Corrected(CALLS, 0.15, 1.0, 0.01, denoise_last=True).iterate(score, x, phi, seeded(2)):
        if step.step % 2 == 0:
            frames.append(frame(sheet(real), sheet(step.x), f"samples: noise {float(step.sigma):.2f}"))
    frames[-1] = frame(sheet(real), sheet(step.x), "samples of the same textures")
    few = [frames[0], frames[len(frames) // 2], frames[-1]]  # one palette for all, so that no photograph flickers
    colours = Image.fromarray(np.concatenate([np.asarray(each) for each in few])).quantize(160)
    first, *others = [each.quantize(palette=colours, dither=Image.Dither.NONE) for each in frames]
    with atomic(path) as temporary:
        times = [2 * FRAME, *[FRAME] * (len(others) - 1), HOLD]
        first.save(temporary, format="GIF", save_all=True, append_images=others, duration=times, loop=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
