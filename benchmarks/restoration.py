"""Restoration of textures by the model that ships: does φ of the right class help, and which of two scores is better?

`python benchmarks/restoration.py LAID OUT` takes a held-out patch of each of the twelve photographs (LAID: see
`shipped.py lay`), damages it, and samples what it was, by φ of its class, of another, and by none. OUT gets a file of
PSNR for every damage, and a picture of it; those that are there are not made again. The table is printed.
"""

import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from fgs.commands.console import fail
from fgs.commands.restore import BETA, NOISE, SIGMA_END, WIDTH, psnr
from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.few_steps import MultiStep
from fgs.figures import image_grid
from fgs.images import Model, load_model
from fgs.images.damage import Damage, blurred, hidden, shrunk
from fgs.images.patches import Patches, read_images
from fgs.noise import seeded, standard_normal
from fgs.restoration import Posterior, Projected
from shipped import TWELVE

SAMPLES, CALLS, SIDE = 16, 24, 32


def damages() -> dict[str, Damage]:
    """A hole of 12 × 12, 10 % of the pixels, a blur of sd 2, and 4 × 4 blocks."""
    hole = torch.ones(1, 1, SIDE, SIDE)
    hole[:, :, 10:22, 10:22] = 0
    some = (torch.rand(1, 1, SIDE, SIDE, generator=seeded(3)) < 0.1).float()
    return {"inpaint": hidden(hole), "pixels": hidden(some), "deblur": blurred(2.0), "enlarge": shrunk(4)}


def run(laid: Path, out: Path) -> None:
    """Make what is missing, and print all."""
    model = load_model()
    model.network.requires_grad_(False)
    images, _ = read_images(laid / "unseen", 2 * SIDE, model.recipe.preparation, only=TWELVE)
    patches = Patches(images, SIDE)
    x = torch.cat([patches.held_out_crops(k, 1, seeded(k)) for k in range(len(images))])
    phi = torch.stack([model.features(patches.training(k, 64, seeded(k, 1))).mean(0) for k in range(len(images))])
    out.mkdir(parents=True, exist_ok=True)
    print("| damage | score | φ | a sample | mean of 16 | before |\n|---|---|---|---|---|---|")
    for task, damage in damages().items():
        path = out / f"{task}.json"
        if not path.exists():
            write_text(path, json_text({"task": task, "rows": measured(task, damage, model, x, phi, out)}))
        for row in json.loads(path.read_text())["rows"]:
            print(
                f"| {task} | {row['score']} | {row['φ']} | {row['one']:.2f} | {row['mean']:.2f} | {row['before']:.2f} |"
            )


def measured(task: str, damage: Damage, model: Model, x: Tensor, phi: Tensor, out: Path) -> list[dict[str, object]]:
    """Return the PSNR of every way to restore the patches, each the mean of that of the patches; and draw the best."""
    y = damage.measure(x)
    y = y + NOISE * standard_normal(y, seeded(4))
    y = y * damage.measure(torch.ones_like(x)) if task in ("inpaint", "pixels") else y
    before, many = damage.guess(y), y.repeat_interleave(SAMPLES, 0)
    start = damage.guess(many) + standard_normal(damage.guess(many), seeded(5))
    sampler = MultiStep(CALLS, BETA, 1.0, SIGMA_END, denoise_last=True)
    scores = {
        "posterior": Posterior(model.network, damage.measure, many, NOISE, iterations=1),
        "projected": Projected(model.network, damage.measure, many, NOISE, WIDTH, iterations=8),
    }
    rows: list[dict[str, object]] = []
    for name, score in scores.items():
        for of, asked in {"right": phi, "none": None, "wrong": phi.roll(1, 0)}.items():
            each = None if asked is None else asked.repeat_interleave(SAMPLES, 0)
            samples = sampler(score, start, each, seeded(6)).x.clamp(0, 1).view(len(x), SAMPLES, *x.shape[1:])
            kinds = {"one": samples[:, 0], "mean": samples.mean(1), "before": before}
            found = {kind: sum(map(psnr, images, x)) / len(x) for kind, images in kinds.items()}
            rows.append({"score": name, "φ": of} | found)
            print(task, rows[-1], file=sys.stderr, flush=True)
            if (name, of) == ("posterior", "right"):
                shown = {"before": before, "mean of 16": samples.mean(1), "a sample": samples[:, 0], "truth": x}
                image_grid(shown, [""] * len(x), "", out / f"{task}.png")
    return rows


if __name__ == "__main__":
    if len(sys.argv) != 3:
        fail("give LAID and OUT", 2)
    run(Path(sys.argv[1]), Path(sys.argv[2]))
