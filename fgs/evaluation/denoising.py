"""Denoising of held-out patches, conditioned right, wrong and not at all (Fig. 2, 3).

A measure, here and in the other files of this room, is a plain dict, which goes into `report.json`, and writes its
figure.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgs.figures import curves, image_grid
from fgs.images import Model, Patches
from fgs.images.held_out import denoise_held_out
from fgs.noise import add_noise, seeded

SIGMAS = [1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02]
MATRIX_SIGMAS = (1.0, 0.5)  # of Fig. 2
SHOWN = 6  # classes in a picture
NEAREST = 3  # classes trained on that a sample of another is compared with

Found = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """What is evaluated.

    Attributes:
        model: the model.
        patches: what it was trained on and what was held out.
        folder: for the figures.
        bank: where the classes are none that were trained on: those that were, and their patches.
    """

    model: Model
    patches: Patches
    folder: Path
    bank: tuple[Model, Patches] | None = None

    def few_classes(self) -> Tensor:
        """Return classes for a picture, evenly among all."""
        return torch.linspace(0, len(self.model.classes) - 1, min(SHOWN, len(self.model.classes))).round().long()

    def trained_on(self, y: int) -> list[Tensor]:
        """Return images of which a sample of class y might be a copy, (C, H, W) each.

        What was trained on of the class; of one that never was, what lies nearest to it in φ.
        """
        if self.bank is None:
            return self.patches.training_regions(y)
        model, patches = self.bank
        assert self.model.targets is not None
        assert model.targets is not None
        near = torch.cdist(self.model.targets[y, None], model.targets)[0].argsort()[:NEAREST]
        return [region for k in near.tolist() for region in patches.training_regions(k)]


def denoising(subject: Subject) -> Found:
    """PSNR of held-out patches at every σ, conditioned right, wrong and not at all (Fig. 3 left)."""
    model, patches = subject.model, subject.patches
    found = denoise_held_out(model.network, model.targets, patches, SIGMAS, n=32)
    psnr = {name: curve for name, curve in found.items() if name != "noisy"}
    gains = {name: [a - b for a, b in zip(curve, psnr["none"], strict=True)] for name, curve in psnr.items()}
    curves(gains, SIGMAS, "σ", "gain over no condition (dB)", subject.folder / "denoising.png")
    return {"sigma": SIGMAS, "psnr": psnr, "noisy": found["noisy"]}


def denoising_matrix(subject: Subject) -> Found:
    """Patches of each class (columns) denoised with φ of each (rows), at two noise levels (Fig. 2): PSNR in dB."""
    targets, few = subject.model.targets, subject.few_classes()
    assert targets is not None
    x, y = subject.patches.held_out(1)
    x = x[[int((y == k).nonzero()[0, 0]) for k in few]]
    names = [subject.model.classes[k] for k in few]
    found: Found = {"classes": names}
    for sigma in MATRIX_SIGMAS:
        rows = {"clean": x}
        for k, name in zip(few, names, strict=True):
            asked = targets[k].expand(len(x), -1)
            rows[f"φ of {name}"] = denoise_with(subject.model, x, asked, sigma)
        psnr = torch.stack([-10 * (row - x).square().mean((1, 2, 3)).log10() for row in list(rows.values())[1:]])
        found[f"{sigma:g}"] = psnr.tolist()
        noisy = _noisy(x, sigma)
        title = f"denoised at σ = {sigma:g} with φ of each class"
        image_grid({"clean": x, "noisy": noisy} | rows, names, title, subject.folder / f"matrix-{sigma:g}.png")
    return found


@torch.no_grad()
def denoise_with(model: Model, x: Tensor, phi: Tensor, sigma: float) -> Tensor:
    """Return x̂ of patches that are made noisy, with φ (N, F) of any class."""
    noisy = _noisy(x, sigma)
    x_hat: Tensor = noisy + model.network(noisy, phi)
    return x_hat


def _noisy(x: Tensor, sigma: float) -> Tensor:
    """Return x_σ, the same for every φ."""
    return add_noise(x, x.new_tensor(sigma), seeded(0))[0]
