"""The command line: options in, tables and files out. What it computes stands in `fgs` and `toy`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

# torch and matplotlib are imported by the commands that need them: `fgs --help` answers at once
if TYPE_CHECKING:
    from rich.table import Table

    from toy.experiment import Advance, Block, ToyResult

app = typer.Typer(
    name="fgs",
    help="Feature-guided score diffusion: sample one class by pushing features to those of the class while denoising.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def main() -> NoReturn:
    """Run the command line; an error is one line on stderr, exit code 2 for wrong usage, 1 for a failed run."""
    try:
        sys.exit(app(prog_name="fgs", standalone_mode=False))
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's usage errors, in every version of it
            raise
        print(f"fgs: {' '.join(error.format_message().split())} (fgs --help lists the options)", file=sys.stderr)
        sys.exit(2)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"fgs {version('fgs')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_mixture, _sampler, _output = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("Mixture", "Sampler", "Output")
)


@app.command()
def toy(
    components: Annotated[int, _mixture(help="Number K of Gaussians.")] = 2,
    dim: Annotated[int, _mixture(help="Dimension d of x.")] = 1,
    separation: Annotated[float, _mixture(help="Distance of neighbouring means, in units of λ.")] = 10.0,
    std: Annotated[float, _mixture(help="λ, the sd of one class.")] = 0.1,
    weights: Annotated[str | None, _mixture(help="K weights of sum 1, as .9,.1; equal if left out.")] = None,
    means: Annotated[str, _mixture(metavar="line|random", help="Means evenly on a line, or Gaussian.")] = "line",
    covariance: Annotated[
        str, _mixture(metavar="isotropic|rank1", help="λ²Id, or λ²uuᵀ with u to the nearest mean.")
    ] = "isotropic",
    target: Annotated[int, _mixture(help="The class to sample, from 0.")] = 0,
    method: Annotated[
        list[str] | None,
        _sampler(
            help="A row of the table; may be given again. exact, forcing, forcing_posterior, cfg1, cfg4, classifier, "
            "classifier_clean, mixture (all of these if left out), forcing_constant, forcing_power."
        ),
    ] = None,
    samples: Annotated[int, _sampler(help="Samples of each method.")] = 5000,
    seed: Annotated[int, _sampler(help="Seed of everything drawn.")] = 0,
    h: Annotated[float, _sampler(help="Step size in (0, 1].")] = 0.05,
    beta: Annotated[float, _sampler(help="Noise control in (0, 1]: 1 no noise, towards 0 Langevin dynamics.")] = 0.1,
    schedule: Annotated[str, _sampler(metavar="fixed|growing", help="Steps of one size, or growing to 1.")] = "fixed",
    noise_level: Annotated[
        str,
        _sampler(
            metavar="known|per-sample|pooled",
            help="Where σ is taken from: the schedule, or the residual of each sample or of the batch.",
        ),
    ] = "known",
    sigma_start: Annotated[float | None, _sampler(help="σ_0; from the mixture if left out.")] = None,
    sigma_end: Annotated[float | None, _sampler(help="σ_∞; from the mixture if left out.")] = None,
    out: Annotated[Path | None, _output(help="Folder for samples.npz, metrics.json and figure.png.")] = None,
    json_: Annotated[bool, _output("--json", help="Print the metrics as JSON only.")] = False,
    animate: Annotated[bool, _output("--animate", help="Also write trajectories.gif into --out.")] = False,
) -> None:
    """Sample one class of an exact Gaussian mixture by every kind of guidance, and measure the samples.

    Two tables: at --beta, where noise is injected on the way, and at β = 1, where none is and guidance fails.
    """
    if animate and out is None:
        _fail("--animate: writes into the folder of --out; give --out DIR", 2)
    from fgs.files import output_folder
    from toy.experiment import ToyConfig, planned_steps, run_toy

    try:
        config = ToyConfig(
            components=components,
            dim=dim,
            separation=separation,
            std=std,
            weights=_numbers(weights),
            means=means,
            covariance=covariance,
            target=target,
            **({"methods": tuple(dict.fromkeys(method))} if method else {}),
            samples=samples,
            seed=seed,
            h=h,
            beta=beta,
            schedule=schedule,
            noise_level=noise_level,
            sigma_start=sigma_start,
            sigma_end=sigma_end,
        )
        total = planned_steps(config)
    except ValueError as error:
        _fail(_as_option(error), 2)
    try:
        with output_folder(out) if out else nullcontext() as folder:
            with _progress(total) as advance:
                result = run_toy(config, advance)
            if folder:
                try:
                    _save_toy(result, folder, animate)
                except OSError as error:
                    _fail(f"--out: writing into {out} failed: {error.strerror}", 1)
    except OSError as error:
        _fail(f"--out: cannot write into {out}: {error.strerror}; name another folder", 2)
    if json_:
        print(json.dumps(result.metrics(), indent=2))
    else:
        _print_toy(result)
    failed = [(block, row) for block in result.blocks for row in block.rows.values() if row.error]
    for block, row in failed:
        print(f"fgs: {row.label} at beta {block.sampler.beta:g} did not converge: {row.error}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError(f"weights: must be numbers with commas between, as .9,.1, got {text}") from None


def _as_option(error: ValueError) -> str:
    name, _, what = str(error).partition(":")
    return f"--{name.replace('_', '-')}:{what}"


def _fail(message: str, code: int) -> NoReturn:
    print(f"fgs: {' '.join(message.split())}", file=sys.stderr)
    raise typer.Exit(code)


@contextmanager
def _progress(total: int) -> Iterator["Advance"]:
    """A bar with the steps and the time left on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda label, steps: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda label, steps: progress.update(task, description=label, advance=steps)


def _save_toy(result: "ToyResult", folder: Path, animate: bool) -> None:
    import numpy as np

    from fgs.files import atomic
    from toy.figures import save_animation, save_figure

    judge, config = result.judge, result.config
    arrays: dict[str, Any] = {name: x.numpy() for name, x in result.blocks[0].samples.items()} | {
        "true": judge.true.numpy(),
        "target": np.array(config.target),
        "means": judge.mixture.means.numpy(),
        "covariances": judge.mixture.covariances.numpy(),
        "weights": judge.mixture.weights.numpy(),
    }
    with atomic(folder / "samples.npz") as temporary:
        np.savez_compressed(temporary, **arrays)
    with atomic(folder / "metrics.json") as temporary:
        temporary.write_text(json.dumps(result.metrics(), indent=2) + "\n")
    save_figure(result, folder / "figure.png")
    if animate:
        save_animation(result, folder / "trajectories.gif")


def _print_toy(result: "ToyResult") -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 120
    config, judge, first = result.config, result.judge, result.blocks[0].sampler
    console.print(
        f"\n{config.components} Gaussians in d = {config.dim}, means {config.means}, {config.separation:g}λ apart,",
        f"{config.covariance}, λ = {judge.axis.width:g}; class {config.target}, N = {config.samples};",
        f"h = {first.h:g} {config.schedule}, {config.noise_level} σ from {first.sigma_0:.4g} to {first.sigma_inf:.3g}",
        highlight=False,
    )
    for block in result.blocks:
        console.print(_toy_table(block, energy=judge.energy_floor is not None))
    floors = f"Floor, true to true samples: W1 along u {judge.floor:.3g} (N = {config.samples})"
    if judge.energy_floor is not None:
        floors += f", energy distance at σ_∞ {judge.energy_floor:.3g} (N = {len(judge.smoothed[0])})"
    console.print(floors + ". One set of true samples scatters about 1 by ±.4.", highlight=False)


def _toy_table(block: "Block", energy: bool) -> "Table":
    from rich.table import Table

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
        table.add_row(
            row.label,
            "" if row.steps is None else f"{row.steps:.0f}",
            f"{row.class_hit:.4f}",
            f"{row.mean_error:+.3f}",
            f"{row.sd:.3f}",
            *(f"[{'green' if ratio <= 1.5 else 'yellow' if ratio <= 3 else 'red'}]{ratio:.2f}[/]" for ratio in ratios),
        )
    return table


if __name__ == "__main__":
    main()
