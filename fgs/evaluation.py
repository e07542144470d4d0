"""What `fgs evaluate` measures of a trained network: denoising and features, the paper's Figures 2 to 5.

Every measure is a plain dict, which goes into `report.json`, and writes its figure. Of samples see `fgs.sampled`.
"""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgs.data import Patches
from fgs.denoised import denoise_held_out, nearest_centroid_accuracy, noise_residual
from fgs.embedding import conditioned, density_distances, euclidean_fit, nearest_mean, separation
from fgs.image_plots import curves, dots, image_grid, scatter
from fgs.models import Model
from fgs.noise import add_noise, seeded
from fgs.unet import GuidedUNet

SIGMAS = [1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02]
MATRIX_SIGMAS = (1.0, 0.5)  # of Fig. 2
SHOWN = 6  # classes in a picture
FEATURES = 64  # patches a class for the features
LEVELS, PROBES = 16, 8  # noise levels and patches a class for the density distance

Found = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """What is evaluated.

    Attributes:
        model: the model.
        patches: what it was trained on and what was held out.
        unconditional: a network of the mixture to compare its denoising with, and `label` one given labels, if any.
        folder: for the figures.
    """

    model: Model
    patches: Patches
    unconditional: Model | None
    label: Model | None
    folder: Path

    def few_classes(self) -> Tensor:
        """Return classes for a picture, evenly among all."""
        return torch.linspace(0, len(self.model.classes) - 1, min(SHOWN, len(self.model.classes))).round().long()


def denoising(subject: Subject) -> Found:
    """PSNR of held-out patches at every σ, conditioned right, wrong and not at all (Fig. 3 left), and of the others."""
    model, patches = subject.model, subject.patches
    found = denoise_held_out(model.network, model.targets, patches, SIGMAS, n=32)
    psnr = {name: curve for name, curve in found.items() if name != "noisy"}
    for name, other in {"unconditional": subject.unconditional, "label": subject.label}.items():
        if other:
            condition = "right" if name == "label" else "none"
            psnr[name] = denoise_held_out(other.network, other.targets, patches, SIGMAS, n=32)[condition]
    gains = {name: [a - b for a, b in zip(curve, psnr["none"], strict=True)] for name, curve in psnr.items()}
    curves(gains, SIGMAS, "σ", "gain over no condition (dB)", subject.folder / "denoising.png")
    shape = (16, model.colors, patches.patch, patches.patch)
    residual = noise_residual(model.network, shape, SIGMAS).tolist()
    return {"sigma": SIGMAS, "psnr": psnr, "noisy": found["noisy"], "noise_residual": residual}


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


@torch.no_grad()
def concentration(subject: Subject) -> Found:
    """Eq. 5 by layer (Fig. 4): spread towards the other class ÷ distance of the centroids, and the nearest centroid."""
    network, patches = subject.model.network, subject.patches
    assert isinstance(network, GuidedUNet)
    classes = range(len(patches.classes))
    features = [network.features(patches.held_out_crops(y, FEATURES, seeded(0, y))) for y in classes]
    layers = [torch.split(part, network.widths, dim=1) for part in features]
    by_layer: Found = {}
    names = [*_layer_names(network), "all"]
    for number, name in enumerate(names):
        phi = features if name == "all" else [part[number] for part in layers]
        ratio = separation(phi).ratio[~torch.eye(len(phi), dtype=torch.bool)]
        centroids = torch.stack([part.mean(0) for part in phi])
        hits = torch.cat([nearest_mean(part, centroids) == y for y, part in enumerate(phi)])
        by_layer[name] = {
            "ratio_median": float(ratio.median()),
            "ratio_worst": float(ratio.max()),
            "nearest_centroid": float(hits.double().mean()),
        }
    measures = {key: [by_layer[name][key] for name in names] for key in ("ratio_median", "ratio_worst")}
    dots(measures, names, "within ÷ between (Eq. 5)", subject.folder / "concentration.png")
    assert subject.model.targets is not None
    accuracy = nearest_centroid_accuracy(network, subject.model.targets, patches, n=32)
    return {"layers": by_layer, "nearest_centroid": accuracy}


def _layer_names(network: GuidedUNet) -> list[str]:
    levels = network.settings["levels"]
    encoders = [f"encoder {level + 1}" for level in range(levels)]
    return [*encoders, "middle", *(f"decoder {level + 1}" for level in range(levels - 1))]


@torch.no_grad()
def embedding(subject: Subject) -> Found:
    """Density distance (Eq. 7) against feature distance over all pairs of classes (Fig. 5), and the extreme pairs."""
    model, patches = subject.model, subject.patches
    assert model.targets is not None
    x = [patches.held_out_crops(y, PROBES, seeded(1, y)) for y in range(len(model.classes))]
    scores = [conditioned(model.network, phi) for phi in model.targets]
    density = density_distances(scores, x, 0.02, 1.0, LEVELS, seeded(2)) / patches.patch**2
    between = torch.cdist(model.targets.double(), model.targets.double()).square()
    pairs = sorted(combinations(range(len(x)), 2), key=lambda pair: float(between[pair]))
    points = [(float(between[pair]), float(density[pair])) for pair in pairs]
    found: Found = {"pairs": [[model.classes[k] for k in pair] for pair in pairs], "points": points}
    if len(x) > 2:
        found |= euclidean_fit(density, between)._asdict()
    fit = {name: found[name] for name in "AB" if name in found}
    labels = (r"$\|\phi_y - \phi_{y'}\|^2$", r"$d^2(p_y, p_{y'})$ ÷ pixels")
    scatter(points, fit, labels, subject.folder / "embedding.png")
    ends = {f"closest {i + 1}": pairs[i] for i in range(min(3, len(pairs)))}
    ends |= {f"farthest {i + 1}": pairs[-1 - i] for i in range(min(3, len(pairs)))}
    rows = {
        f"{label}\n{model.classes[a]}\n{model.classes[b]}": torch.cat([x[a][:4], x[b][:4]])
        for label, (a, b) in ends.items()
    }
    image_grid(rows, [""] * 8, "closest and farthest pairs of classes in φ", subject.folder / "pairs.png")
    return found
