"""Denoising of held-out patches, conditioned right, wrong and not at all (Fig. 3).

A measure, here and in the other files of this room, is a plain dict, which goes into `report.json`, and writes its
figure.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgs.figures import curves
from fgs.images import Model, Patches
from fgs.images.held_out import denoise_held_out

SIGMAS = [1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02]
NEAREST = 3  # classes trained on that a sample of another is compared with

Found = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """What is evaluated."""

    model: Model
    patches: Patches  # what the model was trained on, and what was held out
    folder: Path  # for the figures
    bank: tuple[Model, Patches] | None = None  # of classes never trained on: those that were, and their patches

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
