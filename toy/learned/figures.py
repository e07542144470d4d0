"""The pictures of trained networks: every class from one (Fig. 6), and what its features do (Fig. 1, 5)."""

from itertools import combinations
from pathlib import Path

import torch
from matplotlib.axes import Axes
from torch import Tensor

from fgs.embedding import EuclideanFit
from fgs.figures import CLASS_COLOURS, COLOURS, OTHER, TRUTH, new_figure, save_figure
from fgs.noise import seeded
from toy.drawing import draw_toy_start
from toy.experiment import ToyResult
from toy.figures import Panel, along, density, panel_grid
from toy.geometry import class_axis
from toy.learned.embedding import Embedding
from toy.learned.scores import Learned

PATHS, DRAWN, CLEAN = 60, 60, 200  # trajectories, about how many of their steps are drawn, and samples, of each class
FEW = 3  # single paths drawn of each class
FIG5_CLASSES = 5  # with fewer there are too few pairs to see a line
PLOTTED = 43  # what the seed is used for


def save_classes(result: ToyResult, path: Path) -> None:
    """Write a histogram of guided samples for each class against its true density (Fig. 6)."""
    mixture, sigma_inf = result.judge.mixture, result.judge.sigma_inf
    panels = []
    for y, x in enumerate(result.classes):
        axis = class_axis(mixture, y)
        positions = along(mixture, y, axis, x)
        note = f"mean {positions.mean():+.2f} λ, sd {positions.std():.2f} λ"
        truth = density(mixture, y, axis, sigma_inf)
        panels.append(Panel(f"guided to class {y}", note, positions.numpy(), COLOURS["learned"], truth))
    assert panels[0].truth
    beta = result.blocks[0].sampler.beta
    title = "One network, each class by its centroid (colour): its true density (black), the mixture (grey)"
    panel_grid(path, {f"β = {beta:g}": panels}, panels[0].truth, title, "u·(x − m_y) / λ")


def save_embedding(result: ToyResult, path: Path) -> None:
    """Write the trajectories in feature space (Fig. 1, right) and, from five classes on, d² against φ (Fig. 5)."""
    embedding, learned = result.embedding, result.learned
    assert embedding
    assert learned
    charts = 2 if result.config.components >= FIG5_CLASSES else 0
    figure = new_figure(5.2 + 3.6 * charts, 4.4)
    axes = figure.subplots(1, 1 + charts, squeeze=False, width_ratios=[5.2, *[3.6] * charts])[0]
    _draw_paths(axes[0], result, learned, embedding)
    if charts:
        kinds = ((embedding.exact, "exact scores", "exact"), (embedding.learned, "projected scores", "learned"))
        for axis, (d2, label, name), fit in zip(axes[1:], kinds, embedding.fit(), strict=True):
            _draw_distances(axis, embedding.separation.between, d2, fit, label, COLOURS[name])
    save_figure(figure, path, dpi=150)


def _draw_distances(axis: Axes, between: Tensor, d2: Tensor, fit: EuclideanFit, label: str, colour: str) -> None:
    """Draw d² of pairs of densities against ‖φ_y − φ_y'‖² (Fig. 5), with the slopes A and B of Eq. 6."""
    rows, columns = zip(*combinations(range(len(between)), 2), strict=True)
    features, densities = between[rows, columns], d2[rows, columns]
    reach = 1.08 * float(features.max())
    for slope, name in ((fit.A, "A"), (fit.B, "B")):
        axis.plot([0, reach], [0, slope * reach], color=OTHER, lw=1)
        axis.annotate(name, (0.9 * reach, slope * 0.9 * reach), fontsize=8, ha="center", annotation_clip=True)
    axis.plot(features.numpy(), densities.numpy(), "o", ms=5, mec="white", mew=0.5, color=colour)
    axis.set(xlim=(0, reach), ylim=(0, 1.15 * float(densities.max())))
    axis.set_title(f"d² (Eq. 7) from {label}\nr = {fit.r:.3f}, B/A = {fit.B / fit.A:.2g}", fontsize=9)
    axis.set_xlabel("‖φ_y − φ_y′‖²", fontsize=8)
    axis.set_ylabel("d²(p_y, p_y′)", fontsize=8)
    axis.tick_params(labelsize=7)


def _draw_paths(axis: Axes, result: ToyResult, learned: Learned, embedding: Embedding) -> None:
    """Draw φ(x_σ) on its way in the plane of the centroids: the mean path of each class thick, some paths thin."""
    mixture, seed = result.judge.mixture, result.config.seed
    mean, plane = _plane(embedding.centroids)
    for y, centroid in enumerate(embedding.centroids):
        colour = CLASS_COLOURS[y % len(CLASS_COLOURS)]
        guided = (_path(result, learned, centroid) - mean) @ plane
        x = mixture.sample(CLEAN, y, generator=seeded(seed, PLOTTED, y))
        clean = (learned.features(x) - mean) @ plane
        axis.plot(*guided[:, :FEW].permute(2, 0, 1).numpy(), color=colour, lw=0.5, alpha=0.5)
        axis.plot(*guided.mean(1).T.numpy(), color=colour, lw=2)
        axis.plot(*clean.T.numpy(), ".", ms=2, mew=0, color=colour)
        place = ((centroid - mean) @ plane).tolist()
        axis.plot(*place, "o", ms=8, mec=TRUTH, mfc=colour, label=f"class {y}", zorder=5)
    unguided = (_path(result, learned, None)[:, :FEW] - mean) @ plane
    axis.plot(*unguided.permute(2, 0, 1).numpy(), color=TRUTH, lw=0.5, alpha=0.6, zorder=4)
    axis.plot([], [], color=TRUTH, lw=0.8, label="unguided")
    axis.legend(fontsize=7, ncols=3)
    axis.set_title("φ(x_σ) on the way from noise to the centroids (discs)\nthick: mean over samples", fontsize=9)
    axis.set_xlabel("first axis of the centroids", fontsize=8)
    axis.set_ylabel("second axis", fontsize=8)
    axis.tick_params(labelsize=7)


def _path(result: ToyResult, learned: Learned, phi: Tensor | None) -> Tensor:
    """φ(x_σ) on the way, (steps, n, F). Without φ the guided network's own s(x, 0) is followed."""
    judge, sampler = result.judge, result.blocks[0].sampler
    generator = seeded(result.config.seed, PLOTTED, judge.mixture.K)
    x = draw_toy_start(judge.target, judge.mixture, PATHS, sampler, generator)
    steps = list(sampler.iterate(learned.score("guided"), x, phi, generator))
    steps = steps[:: max(1, len(steps) // DRAWN)]
    return torch.stack([learned.features(step.x, step.sigma) for step in steps])


def _plane(centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of the centroids and the two directions (F, 2) in which they differ the most."""
    mean = centroids.mean(0)
    _, _, directions = torch.linalg.svd(centroids - mean, full_matrices=True)
    return mean, directions[:2].T
