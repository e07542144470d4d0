"""`fgs restore`."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from fgs.commands.console import results_in, step_bar, usage_errors
from fgs.commands.interface import make_command
from fgs.common.files import atomic
from fgs.common.options import Argument, Option, at_least, check_choices, require
from fgs.common.text import json_text
from fgs.few_steps import MultiStep
from fgs.figures import image_grid
from fgs.images import Model, load_model
from fgs.images.damage import Damage, blurred, hidden, nothing, shrunk
from fgs.images.model import LARGEST
from fgs.images.reading import UnusableError, write_image
from fgs.images.samplers import HowToSample
from fgs.images.shown import like, look_at
from fgs.noise import seeded
from fgs.protocols import ProjectedScore
from fgs.restoration import Posterior, Projected, estimate_noise
from fgs.sampling import draw_start

SMALLEST = 16  # pixels a side
KEPT = 2**19  # pixels of which activations may be kept, for a pass backward
BETA, SIGMA_END = 0.3, 0.01
NOISE, WIDTH = 0.01, 0.2  # of an image that is said to have none: some gray levels; and the sd of pixels of textures
USES = {"mask": ("inpaint", "pixels"), "blur": ("deblur",), "factor": ("enlarge",)}
USES["careful"] = ("inpaint", "pixels", "deblur", "enlarge")
_what, _how, _output = (partial(Option, panel=panel) for panel in ("What", "How", "Output"))


@dataclass(frozen=True)
class Restore:
    """Restore an image: samples of what it may have been, their mean, and how far they differ.

    Raises:
        ValueError: an option is out of range, or two exclude each other; the message begins with its name.
    """

    image: Annotated[Path, Argument("The image.", metavar="IMAGE")]
    task: Annotated[str, _what("What is wrong with it.", "denoise|inpaint|pixels|deblur|enlarge")] = "denoise"
    mask: Annotated[Path | None, _what("Image as large, white where pixels are missing; black ones if unsaid.")] = None
    blur: Annotated[float | None, _what("Of deblur: sd of the blur, in pixels; 2 if left out.")] = None
    factor: Annotated[int | None, _what("Of enlarge: how many times; 4 if left out.")] = None
    noise: Annotated[float | None, _what("Its sd of noise, of a range of 1; of denoise estimated if left out.")] = None
    run: Annotated[Path | None, _what("Folder of a run, or a checkpoint; the model that ships if left out.")] = None
    class_: Annotated[str | None, _what("The class of texture that it shows.", flag="--class")] = None
    like: Annotated[tuple[Path, ...], _what("An image of the like; may be repeated: φ is averaged.")] = ()
    n: Annotated[int, _how("Samples.")] = 4
    steps: Annotated[int, _how("Network calls for a sample.")] = 24
    careful: Annotated[bool, _how("Follow the covariance of what is unknown: better holes, 3 times the time.")] = False
    seed: Annotated[int, _how("Seed of everything drawn.")] = 0
    truth: Annotated[Path | None, _output("The image without damage, to give the PSNR.")] = None
    out: Annotated[Path, _output("New folder for grid.png, the samples, mean.png and sd.png.")] = Path("restored")
    json: Annotated[bool, _output("Print JSON only.")] = False

    def __post_init__(self) -> None:
        check_choices(self)
        at_least(self, n=1, steps=2, seed=0, factor=2)
        require(self, "noise", self.noise is None or SIGMA_END < self.noise <= 1, f"must lie in ({SIGMA_END}, 1]")
        require(self, "blur", self.blur is None or 0.1 <= self.blur <= 20, "must lie in [.1, 20]")
        for name, tasks in USES.items():
            if getattr(self, name) and self.task not in tasks:
                raise ValueError(f"{name}: is for --task {' and '.join(tasks)}; leave it out")
        if self.class_ and self.like:
            raise ValueError("like: give only one of --class and --like")
        if self.task == "inpaint" and not self.mask:
            raise ValueError("mask: --task inpaint needs it: an image of the same size, white in the hole")


def restore(asked: Restore) -> None:
    """Sample what an image may have been, and write the samples, their mean and their sd."""
    begin = time.perf_counter()
    with usage_errors():
        model = load_model(asked.run, "run" if asked.run else None)
        model.network.requires_grad_(False)
        phi = _phi(model, asked)
        y = _read(model, asked.image)
        damage = damage_of(asked, model, y)
        if asked.task in ("inpaint", "pixels"):
            y = damage.measure(y)  # what stands in a hole was not measured
        before = damage.guess(y).clamp(0, 1)
        truth = None if asked.truth is None else _read(model, asked.truth)
        if truth is not None and truth.shape != before.shape:
            raise ValueError(f"truth: {_size(truth)} pixels, and what is restored has {_size(before)}")
        if asked.careful and before[0, 0].numel() > KEPT:
            raise ValueError(f"careful: {_size(before)} pixels are more than {KEPT:,}; leave it out")
    cast, sigma, side = HowToSample().cast(model.network), asked.noise or NOISE, int(KEPT**0.5)
    if asked.task == "denoise" and not asked.noise:
        found_sigma = estimate_noise(model.network, y[:, :, :side, :side], phi)
        sigma = float(found_sigma.clamp(1.01 * SIGMA_END, 1))
    with results_in(asked.out) as out:
        with step_bar(asked.n * asked.steps, "calls") as advance:

            def call(x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
                advance(asked.task, 1)
                return cast(x, phi, sigma)

            x = torch.cat([sample(asked, call, y, damage, sigma, phi, k) for k in range(asked.n)])
        mean = x.mean(0, keepdim=True)
        sd = x.std(0, keepdim=True) if asked.n > 1 else torch.zeros_like(mean)
        _write(out, x, {"mean": mean, "sd": sd / sd.amax().clamp_min(1e-6)}, before, truth)
    seconds, images = time.perf_counter() - begin, {"psnr": x[:1], "psnr_mean": mean, "psnr_guess": before}
    found = {} if truth is None else {name: psnr(image, truth) for name, image in images.items()}
    if asked.json:
        about = {"folder": str(asked.out), "task": asked.task, "noise": sigma, "n": asked.n, "sd": float(sd.mean())}
        print(json_text(about | found | {"seconds": seconds}))
        return
    print(f"{asked.out}: {asked.n} of {_size(before)}, noise {sigma:.3g}, in {seconds:.0f} s")
    if found:
        print("PSNR in dB: a sample {psnr:.2f}, the mean {psnr_mean:.2f}, before {psnr_guess:.2f}".format(**found))


def sample(
    asked: Restore, score: ProjectedScore, y: Tensor, damage: Damage, noise: float, phi: Tensor | None, number: int
) -> Tensor:
    """Draw a sample of what the image may have been, (1, C, H, W); one that is noisy alone is where sampling starts."""
    generator = seeded(asked.seed, number)
    if asked.task == "denoise":
        return MultiStep(asked.steps, BETA, noise, SIGMA_END, denoise_last=True)(score, y, phi, generator).x.clamp(0, 1)
    guided: ProjectedScore = Projected(score, damage.measure, y, noise, WIDTH, iterations=8)
    if asked.careful:
        guided = Posterior(score, damage.measure, y, noise, iterations=1)
    guess = damage.guess(y)
    start = draw_start(tuple(guess.shape), guess, 1.0, generator=generator)
    return MultiStep(asked.steps, BETA, 1.0, SIGMA_END, denoise_last=True)(guided, start, phi, generator).x.clamp(0, 1)


def damage_of(asked: Restore, model: Model, y: Tensor) -> Damage:
    """Return what has become of the image, by the task.

    Raises:
        ValueError: the mask does not fit the image, or nothing is missing, or all.
    """
    if asked.task in ("inpaint", "pixels"):
        known = (y > 0).any(1, keepdim=True).to(y)
        if asked.mask:
            mask = _read(model, asked.mask)
            if mask.shape[2:] != y.shape[2:]:
                raise ValueError(f"mask: {_size(mask)} pixels, and the image has {_size(y)}")
            known = (mask.mean(1, keepdim=True) < 0.5).to(y)
        if not 0 < float(known.mean()) < 1:
            raise ValueError(f"mask: {'nothing' if float(known.mean()) else 'everything'} is missing")
        return hidden(known)
    factor, blur = asked.factor or 4, asked.blur or 2.0
    if asked.task == "enlarge" and y[0, 0].numel() * factor**2 > LARGEST:
        raise ValueError(f"factor: makes more than {LARGEST:,} pixels of {_size(y)}; take a smaller one")
    if asked.task == "deblur" and 3 * blur >= min(y.shape[2:]) - 1:
        raise ValueError(f"blur: reaches {3 * blur:.0f} pixels, and the image has {_size(y)}; take a smaller one")
    return {"enlarge": partial(shrunk, factor), "deblur": partial(blurred, blur)}.get(asked.task, nothing)()


def psnr(x: Tensor, truth: Tensor) -> float:
    """Return the peak signal-to-noise ratio of images in [0, 1], in dB."""
    return float(-10 * (x - truth).square().mean().clamp_min(1e-12).log10())


def _phi(model: Model, asked: Restore) -> Tensor | None:
    if asked.like:
        return like([[look_at(model, path) for path in asked.like]]).phi
    return model.condition([asked.class_]).phi if asked.class_ else None


def _read(model: Model, path: Path) -> Tensor:
    image = model.read(path, SMALLEST, downscale=1)[None]
    if image[0, 0].numel() > LARGEST:
        raise UnusableError(f"{path}: {_size(image)} pixels are more than {LARGEST:,}; cut it")
    return image


def _size(image: Tensor) -> str:
    return f"{image.shape[3]} × {image.shape[2]}"


def _write(out: Path, x: Tensor, maps: dict[str, Tensor], before: Tensor, truth: Tensor | None) -> None:
    files = maps | {f"sample-{number:03d}": image[None] for number, image in enumerate(x)}
    for name, image in files.items():
        with atomic(out / f"{name}.png") as temporary:
            write_image(temporary, (255 * image[0]).round().to(torch.uint8))
    shown = {"before": before, "mean": maps["mean"], "a sample": x[:1], "another": x[1:2], "sd": maps["sd"]}
    shown |= {} if truth is None else {"truth": truth}
    rows = {name: image for name, image in shown.items() if len(image)}
    image_grid({"": torch.cat(list(rows.values()))}, list(rows), "", out / "grid.png")


command = make_command(Restore, restore)
