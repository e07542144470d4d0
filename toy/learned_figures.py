"""The pictures of stage 2: every class from one network (Fig. 6), and what its features do (Fig. 1, Fig. 5)."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

from fgs.noise import seeded
from fgs.plots import COLOURS, Array, Distances, FeaturePaths, Panel, embedding_figure, panel_grid
from toy.embedding import Embedding
from toy.experiment import Stage2, ToyResult, draw_toy_start
from toy.figures import along, density
from toy.geometry import class_axis

PATHS, DRAWN, CLEAN = 60, 60, 200  # trajectories, about how many of their steps are drawn, and samples, of each class
FIG5_CLASSES = 5  # with fewer there are too few pairs to see a line
PLOTTED = 43  # what the seed is used for


def save_classes(result: ToyResult, stage2: Stage2, path: Path) -> None:
    """Write a histogram of guided samples for each class against its true density (Fig. 6)."""
    mixture, sigma_inf = result.judge.mixture, result.judge.sigma_inf
    panels = []
    for y, x in enumerate(stage2.classes):
        axis = class_axis(mixture, y)
        positions = along(mixture, y, axis, x)
        note = f"mean {positions.mean():+.2f} λ, sd {positions.std():.2f} λ"
        truth = density(mixture, y, axis, sigma_inf)
        panels.append(Panel(f"guided to class {y}", note, positions.numpy(), COLOURS["learned"], truth))
    assert panels[0].truth
    beta = result.blocks[0].sampler.beta
    title = "One network, each class by its centroid (colour): its true density (black), the mixture (grey)"
    panel_grid(path, {f"β = {beta:g}": panels}, panels[0].truth, title, "u·(x − m_y) / λ")


def save_embedding(result: ToyResult, stage2: Stage2, path: Path) -> None:
    """Write the trajectories in feature space (Fig. 1, right) and, from five classes on, d² against φ (Fig. 5)."""
    embedding = stage2.embedding
    assert embedding
    distances = _distances(embedding) if result.config.components >= FIG5_CLASSES else []
    embedding_figure(path, _paths(result, stage2, embedding), distances)


def _distances(embedding: Embedding) -> list[Distances]:
    rows, columns = zip(*combinations(range(len(embedding.centroids)), 2), strict=True)
    features = embedding.separation.between[rows, columns].numpy()
    kinds = ((embedding.exact, "exact scores", "exact"), (embedding.learned, "projected scores", "learned"))
    return [
        Distances(
            f"d² (Eq. 7) from {label}\nr = {fit.r:.3f}, B/A = {fit.B / fit.A:.2g}",
            features,
            d2[rows, columns].numpy(),
            (fit.A, fit.B),
            COLOURS[name],
        )
        for (d2, label, name), fit in zip(kinds, embedding.fit(), strict=True)
    ]


def _paths(result: ToyResult, stage2: Stage2, embedding: Embedding) -> FeaturePaths:
    mixture, seed = result.judge.mixture, result.config.seed
    plane = _plane(embedding.centroids)
    clean = [
        _project(stage2.learned.features(mixture.sample(CLEAN, y, generator=seeded(seed, PLOTTED, y))), plane)
        for y in range(mixture.K)
    ]
    guided = [_path(result, stage2, phi, plane) for phi in embedding.centroids]
    return FeaturePaths(_path(result, stage2, None, plane), guided, _project(embedding.centroids, plane), clean)


def _path(result: ToyResult, stage2: Stage2, phi: Tensor | None, plane: tuple[Tensor, Tensor]) -> Array:
    """φ(x_σ) on the way, in the plane: (steps, n, 2). Without φ the guided network's own s(x, 0) is followed."""
    judge, sampler = result.judge, replace(result.blocks[0].sampler, denoise_last=False)
    generator = seeded(result.config.seed, PLOTTED, judge.mixture.K)
    x = draw_toy_start(judge.target, judge.mixture, PATHS, sampler, generator)
    steps = list(sampler.iterate(stage2.learned.score("guided"), x, phi, generator))
    steps = steps[:: max(1, len(steps) // DRAWN)]
    return torch.stack(
        [torch.from_numpy(_project(stage2.learned.features(step.x, step.sigma), plane)) for step in steps]
    ).numpy()


def _plane(centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of the centroids and the two directions (F, 2) in which they differ the most."""
    mean = centroids.mean(0)
    _, _, directions = torch.linalg.svd(centroids - mean, full_matrices=True)
    return mean, directions[:2].T


def _project(phi: Tensor, plane: tuple[Tensor, Tensor]) -> Array:
    mean, directions = plane
    projected: Array = ((phi - mean) @ directions).double().numpy()
    return projected
