"""What a run of `fgs toy` leaves: the tables on the screen, and the files of --out."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from fgs.common.files import atomic, write_text
from fgs.common.text import json_text
from toy.experiment import Block, ToyResult
from toy.figures import save_panels
from toy.learned.figures import save_classes, save_embedding
from toy.learned.scores import Learned


def save_toy(result: ToyResult, folder: Path) -> None:
    """Write samples.npz, metrics.json, figure.png, and what else belongs to the run, into an existing folder."""
    judge, config, again = result.judge, result.config, (folder / "metrics.json").exists()
    arrays: dict[str, Any] = {name: x.numpy() for name, x in result.blocks[0].samples.items()}
    arrays |= {"true": judge.true.numpy(), "target": np.array(config.target)}
    arrays |= {name: getattr(judge.mixture, name).numpy() for name in ("means", "covariances", "weights")}
    with atomic(folder / "samples.npz") as temporary:
        np.savez_compressed(temporary, **arrays)
    write_text(folder / "metrics.json", json_text(result.metrics()) + "\n")
    save_panels(result, folder / "figure.png")
    for name, save in {"classes.png": save_classes, "embedding.png": save_embedding}.items():
        if result.classes:
            save(result, folder / name)
        elif again:
            (folder / name).unlink(missing_ok=True)  # of an earlier run


def print_toy(result: ToyResult) -> None:
    """Print the settings in a line, a table for each β, and the floors."""
    console = Console()
    if not console.is_terminal:
        console.width = 120
    config, judge, first = result.config, result.judge, result.blocks[0].sampler
    mixture = f"{config.components} Gaussian{'s' if config.components > 1 else ''} in d = {config.dim}"
    mixture += f", {config.covariance}, λ = {judge.axis.width:g}"
    apart = f"means {config.means}, {config.separation:g}λ apart; " if config.components > 1 else ""
    how = f"h = {config.h:g}, {config.noise_level} σ" if config.by_sisa else str(first)
    steps = f"{how} from {first.sigma_0:.4g} to {first.sigma_inf:.3g}"
    # a line each: a terminal of 80 columns breaks none of them in its middle
    for line in ("", mixture, f"{apart}class {config.target}, N = {config.samples}", steps):
        console.print(line, highlight=False, soft_wrap=True)
    for block in result.blocks:
        console.print(_table(block, energy=judge.energy_floor is not None))
    floors = f"Floor, true to true samples: W1 along u {judge.floor:.3g} (N = {config.samples})"
    if judge.energy_floor is not None:
        floors += f", energy distance at σ_∞ {judge.energy_floor:.3g} (N = {len(judge.smoothed[0])})"
    console.print(floors + ". One set of true samples scatters about 1 by ±.4.", highlight=False)
    if result.learned:
        console.print(_networks(result.learned, result), highlight=False)
        for name, of in result.metrics()["training"].items():
            if "nmi" in of:
                agree = f"classes found without labels: NMI {of['nmi']:.3f}, purity {of['purity']:.4f}"
                console.print(f"{name}, {of['clusters']} {agree}.", highlight=False)


def _networks(learned: Learned, result: ToyResult) -> str:
    """Say in a line or two how the networks were trained, and what their features are like."""
    blind = not any(network.sigma_input for network in learned.networks.values())
    records = learned.training.items()
    trained = (f"{name} {record['steps']:.0f} steps in {record['seconds']:.0f} s" for name, record in records)
    text = f"Networks, {'blind to σ' if blind else 'given σ'}: {', '.join(trained)}."
    if result.embedding:
        metrics = result.embedding.metrics()
        text += (
            f"\nFeatures: nearest centroid right for {metrics['nearest_mean_accuracy']:.2%} of samples; spread towards "
            f"another class at most {metrics['separation_ratio_worst']:.4f} of the distance, squared (Eq. 5)"
        )
        if "euclidean_fit_exact" in metrics:
            text += f"; d² against distance r = {metrics['euclidean_fit_exact']['r']:.3f} (Eq. 6)"
    return text


def _table(block: Block, energy: bool) -> Table:
    beta = block.sampler.beta
    regime = "no noise injected, a probability-flow ODE" if beta == 1 else "noise injected on the way"
    table = Table(title=f"β = {beta:g}: {regime}; start {block.start}", title_justify="left", title_style="bold")
    table.add_column("method")
    headings = ["steps", "class hit", "mean error/λ", "sd/λ", "W1 ÷ floor", *(["energy ÷ floor"] if energy else [])]
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in block.rows.values():
        if row.error or row.class_hit is None or row.distance_over_floor is None:
            table.add_row(row.label, "[red]did not converge[/red]", *[""] * (len(headings) - 1))
            continue
        ratios = [row.distance_over_floor] + ([row.energy_over_floor] if row.energy_over_floor is not None else [])
        steps = "" if row.steps is None else f"{row.steps:.0f}"
        cells = [steps, f"{row.class_hit:.4f}", f"{row.mean_error:+.3f}", f"{row.sd:.3f}"]
        cells += [f"[{'green' if r <= 1.5 else 'yellow' if r <= 3 else 'red'}]{r:.2f}[/]" for r in ratios]
        table.add_row(row.label, *cells)
    return table
