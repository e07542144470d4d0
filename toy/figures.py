"""The pictures of `fgs toy`: the true conditional density against the samples of every method, and trajectories."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fgs.noise import seeded
from fgs.plots import COLOURS, Array, Panel, Trajectories, Truth, panel_grid, trajectory_gif
from toy.experiment import SAMPLES, Block, ToyResult, draw_toy_start
from toy.geometry import ClassAxis, nearest_distance
from toy.judge import Row
from toy.methods import build_method
from toy.mixture import GaussianMixture

SHOWN = 4000  # samples of a scatter panel
PATHS, DRAWN = 40, 250  # trajectories of the animation, and about how many steps of them are drawn


def save_figure(result: ToyResult, path: Path) -> None:
    """Write one row of panels for each block: histograms along u, or for d = 2 scatter plots."""
    scatter = result.judge.mixture.d == 2
    blocks = {
        f"β = {block.sampler.beta:g}": [_panel(result, block, name, scatter) for name in block.rows if name != "true"]
        for block in result.blocks
    }
    config = result.config
    title = (
        f"{config.components} Gaussians in d = {config.dim}, {config.separation:g}λ apart: samples of class "
        f"{config.target} (colour), "
        + ("true ones (black)" if scatter else "its true density (black), the mixture (grey)")
    )
    xlabel = "(x − m) / λ" if scatter else "u·(x − m) / λ"
    panel_grid(path, blocks, _truth(result, scatter), title, xlabel)


def save_animation(result: ToyResult, path: Path) -> None:
    """Write a GIF of trajectories, unguided mixture against guided, in which the classes part (Fig. 1)."""
    judge, block = result.judge, result.blocks[0]
    sampler = replace(block.sampler, denoise_last=False)
    panels = []
    sigma = np.zeros(0)
    for name in ("mixture", "forcing"):
        method = build_method(name, judge.mixture, judge.target, sampler)
        generator = seeded(result.config.seed, SAMPLES, 0)
        x = draw_toy_start(judge.target, judge.mixture, PATHS, sampler, generator)
        steps = list(sampler.iterate(method.score, x, method.phi, generator))
        steps = steps[:: max(1, len(steps) // DRAWN)]
        paths = torch.stack([_along(result, step.x) for step in steps])
        sigma = torch.stack([step.sigma.mean() for step in steps]).numpy()
        panels.append(Trajectories(method.label, COLOURS[name], paths.numpy()))
    means = _along(result, judge.mixture.means).numpy()
    trajectory_gif(path, sigma, panels, means, judge.target, "u·(x − m) / λ")


def _panel(result: ToyResult, block: Block, name: str, scatter: bool) -> Panel:
    row = block.rows[name]
    if name not in block.samples:
        return Panel(row.label, "did not converge", np.zeros((0, 2) if scatter else 0), COLOURS[name])
    x = block.samples[name]
    shown = _scaled(result, x[:SHOWN]) if scatter else _along(result, x).numpy()
    return Panel(row.label, _note(row), shown, COLOURS[name])


def _note(row: Row) -> str:
    ratio = row.distance_over_floor or 0.0
    return f"sd {row.sd:.2f} λ, W1 {ratio:{'.2f' if ratio < 10 else '.0f'}}× floor"


def along(mixture: GaussianMixture, y: int, axis: ClassAxis, x: Tensor) -> Tensor:
    """Return positions (N,) of x along u, from the mean of class y, in units of λ."""
    return (x - mixture.means[y]) @ axis.u / axis.width


def density(mixture: GaussianMixture, y: int, axis: ClassAxis, sigma: float, points: Array | None = None) -> Truth:
    """Return the densities of class y and of the mixture at noise level σ along u, as far as the nearest classes."""
    centres = along(mixture, y, axis, mixture.means)
    reach = nearest_distance(mixture.means, y) / axis.width if mixture.K > 1 else 0.0
    edges = [side * ((reach if bool((side * centres > 0.5).any()) else 0.0) + 6.0) for side in (-1, 1)]
    grid = torch.linspace(edges[0], edges[1], 800, dtype=axis.u.dtype)
    variances = (axis.u @ mixture.covariances @ axis.u + sigma**2) / axis.width**2
    bells = (-((grid[:, None] - centres) ** 2) / (2 * variances)).exp() / (2 * math.pi * variances).sqrt()
    target = (-(grid**2) / 2).exp() / math.sqrt(2 * math.pi)
    return Truth(grid.numpy(), target.numpy(), (bells @ mixture.weights).numpy(), points)


def _along(result: ToyResult, x: Tensor) -> Tensor:
    judge = result.judge
    return along(judge.mixture, judge.target, judge.axis, x)


def _scaled(result: ToyResult, x: Tensor) -> Array:
    scaled: Array = ((x - result.judge.mixture.means[result.judge.target]) / result.judge.axis.width).numpy()
    return scaled


def _truth(result: ToyResult, scatter: bool) -> Truth:
    judge = result.judge
    points = _scaled(result, judge.true[:SHOWN]) if scatter else None
    return density(judge.mixture, judge.target, judge.axis, judge.sigma_inf, points)
