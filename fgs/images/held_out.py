"""How well a network of images denoises what was held out: conditioned right, wrong, and not at all (Fig. 3)."""

from typing import NamedTuple

import torch
from torch import Tensor

from fgs.images.patches import Patches
from fgs.noise import add_noise, seeded
from fgs.protocols import FeatureExtractor, ProjectedScore

BATCH = 64  # patches at a time
WRONG = 1  # what the seed is used for, beside the noise


@torch.no_grad()
def denoise(
    score: ProjectedScore, targets: Tensor | None, x: Tensor, y: Tensor, sigma: float, seed: int = 0
) -> dict[str, Tensor]:
    """Return noisy patches x_σ and what the network makes of them, x̂ = x_σ + s, (N, C, H, W) each as x, by name.

    "noisy", "none" (without φ) and, where there are `targets`, φ of each class (classes, F), "right" for the classes y
    (N,) of x and "wrong" for others, if there are any; these and the noise are drawn from the seed.
    """
    level = torch.full((len(x),), sigma).to(x)
    noisy, _ = add_noise(x, level, seeded(seed))
    conditions: dict[str, Tensor | None] = {"none": None}
    if targets is not None:
        conditions["right"] = targets[y]
    if targets is not None and len(targets) > 1:
        offset = torch.randint(1, len(targets), y.shape, generator=seeded(seed, WRONG)).to(y)
        conditions["wrong"] = targets[(y + offset) % len(targets)]

    def estimate(phi: Tensor | None) -> Tensor:
        parts = [slice(i, i + BATCH) for i in range(0, len(x), BATCH)]
        return torch.cat([noisy[i] + score(noisy[i], None if phi is None else phi[i], level[i]) for i in parts])

    return {"noisy": noisy} | {name: estimate(phi) for name, phi in conditions.items()}


def denoise_held_out(
    score: ProjectedScore,
    targets: Tensor | None,
    patches: Patches,
    sigmas: list[float],
    n: int = 8,
    most: int | None = None,
) -> dict[str, list[float]]:
    """Return the mean PSNR, 10 log₁₀(1/mean squared error) in dB, at each σ for each condition of `denoise`.

    It is that of n held-out patches of each class, or of `most` of the classes.
    """
    x, y = patches.held_out(n, most)
    curves: dict[str, list[float]] = {}
    for sigma in sigmas:
        for name, x_hat in denoise(score, targets, x, y, sigma).items():
            mean_square = (x_hat - x).flatten(1).square().mean(1)
            curves.setdefault(name, []).append(float(-10 * mean_square.log10().mean()))
    return curves


class ClassFeatures(NamedTuple):
    """Centroids φ_y (classes, F), and the rms distances of φ of a patch from them in the units of `unit_of`."""

    phi: Tensor
    spread: Tensor


@torch.no_grad()
def class_features(network: FeatureExtractor, patches: Patches, n: int = 64, seed: int = 0) -> ClassFeatures:
    """Return φ of every class from n of its training patches."""
    phi, variance = [], []
    for classes in torch.arange(len(patches.classes)).split(max(1, BATCH // n)):  # type: ignore[no-untyped-call]
        x = torch.cat([patches.training(y, n, seeded(seed, y)) for y in classes.tolist()])
        each = network.features(x).reshape(len(classes), n, -1)
        phi.append(each.mean(1))
        variance.append(each.var(1, correction=0))
    centroids = torch.cat(phi)
    return ClassFeatures(centroids, (torch.cat(variance) / unit_of(centroids).square()).sum(1).sqrt())


def unit_of(phi: Tensor) -> Tensor:
    """Return the sd of every channel over centroids (K, F), in which distances of φ count all channels alike: (F,)."""
    return phi.std(0, correction=0).clamp_min(1e-6)


def class_means(patches: Patches, n: int = 256) -> tuple[Tensor, Tensor]:
    """Return m_y (classes, C, 1, 1) and Σ_y (classes, C, C) as `means_of` n training patches of each, on the CPU."""
    found = [means_of(patches.training(y, n, seeded(0, y))) for y in range(len(patches.classes))]
    return torch.stack([m for m, _ in found]).cpu(), torch.stack([c for _, c in found]).cpu()


def means_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return m_y (C, 1, 1), the mean over d pixels of patches (n, C, H, W), and Σ_y (C, C), d times its covariance."""
    means = x.mean((2, 3))
    centered = means - means.mean(0)
    covariance = centered.T @ centered / len(x) * x.shape[2] * x.shape[3]
    return means.mean(0)[:, None, None], covariance
