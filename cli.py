"""The command line: options in, tables and files out. What it computes stands in `fgs` and `toy`."""

import json
import sys
import warnings
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

# torch and matplotlib are imported by the commands that need them: `fgs --help` answers at once
if TYPE_CHECKING:
    from toy.config import ToyConfig
    from toy.learned import Learned
    from toy.learning import Learning

app = typer.Typer(
    name="fgs",
    help="Feature-guided score diffusion: sample one class by pushing features to those of the class while denoising.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def main() -> NoReturn:
    """Run the command line; an error is one line on stderr, exit code 2 for wrong usage, 1 for a failed run."""
    warnings.showwarning = lambda message, *rest: print(f"fgs: warning: {message}", file=sys.stderr)
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


_mixture, _sampler, _training, _output = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("Mixture", "Sampler", "Networks", "Output")
)


@app.command()
def toy(
    context: typer.Context,
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
            help="Rows of the table, as exact,cfg1; may be given again. exact, forcing, forcing_posterior, cfg1, cfg4, "
            "classifier, classifier_clean, mixture (all of these if left out), forcing_constant, forcing_power; with "
            "networks also learned, learned_n1, label, label_cfg1, label_cfg4, learned_mixture (all if left out)."
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
    learned: Annotated[bool, _training("--learned", help="Train networks on the mixture and add their rows.")] = False,
    minutes: Annotated[float, _training(help="Training time of each network.")] = 1.0,
    training_steps: Annotated[
        int | None, _training(help="Training steps of each network instead, the same on every machine.")
    ] = None,
    blind: Annotated[
        bool | None,
        _training("--blind/--sigma-input", help="Keep σ from the networks, or give it; by the mixture if left out."),
    ] = None,
    save: Annotated[Path | None, _training(help="File to keep the trained networks in.")] = None,
    load: Annotated[Path | None, _training(help="Use networks kept by --save, and their mixture.")] = None,
    out: Annotated[Path | None, _output(help="Folder for samples.npz, metrics.json and figure.png.")] = None,
    json_: Annotated[bool, _output("--json", help="Print the metrics as JSON only.")] = False,
    animate: Annotated[bool, _output("--animate", help="Also write trajectories.gif into --out.")] = False,
) -> None:
    """Sample one class of an exact Gaussian mixture by every kind of guidance, and measure the samples.

    Two tables: at --beta, where noise is injected on the way, and at β = 1, where none is and guidance fails.
    """
    _check_toy_options(animate, learned, out, save, load)
    from fgs.checkpoints import CheckpointError
    from fgs.files import output_folder
    from fgs.progress import step_bar
    from toy.config import ToyConfig
    from toy.experiment import planned_steps, run_toy
    from toy.learned import methods_of
    from toy.learning import Learning
    from toy.methods import DEFAULT_METHODS
    from toy.report import print_toy, save_toy
    from toy.saved import load_learned

    names = list(dict.fromkeys(name.strip() for part in method or () for name in part.split(",")))
    try:
        settings: dict[str, Any] = {
            "components": components,
            "dim": dim,
            "separation": separation,
            "std": std,
            "weights": _numbers(weights),
            "means": means,
            "covariance": covariance,
            "seed": seed,
        }
        saved = load_learned(load) if load else None
        if saved:
            _agree(context, settings, saved.mixture)
        networks = tuple(saved.learned.networks) if saved else ("guided", "label", "mixture") if learned else ()
        config = ToyConfig(
            **settings,
            methods=tuple(names) or DEFAULT_METHODS + methods_of(networks),
            target=target,
            samples=samples,
            h=h,
            beta=beta,
            schedule=schedule,
            noise_level=noise_level,
            sigma_start=sigma_start,
            sigma_end=sigma_end,
        )
        learning = Learning(minutes, training_steps, blind)
        missing = config.networks() - set(networks)
        if missing:
            _fail(f"--method: needs the {' and '.join(sorted(missing))} network; add --learned, or --load one", 2)
        if learned and not config.networks():
            _fail("--learned: no row of --method needs a network; add one, as --method exact,learned", 2)
        total = planned_steps(config)
    except CheckpointError as error:
        _fail(f"--load: {error}", 2)
    except ValueError as error:
        _fail(_as_option(error), 2)
    try:
        with output_folder(out) if out else nullcontext() as folder:
            trained = saved.learned if saved else _train(config, learning, save) if learned else None
            with step_bar(total) as advance:
                result = run_toy(config, advance, trained)
            if folder:
                try:
                    save_toy(result, folder, animate)
                except OSError as error:
                    _fail(f"--out: writing into {out} failed: {error.strerror}", 1)
    except OSError as error:
        _fail(f"--out: cannot write into {out}: {error.strerror}; name another folder", 2)
    if json_:
        print(json.dumps(result.metrics(), indent=2))
    else:
        print_toy(result)
    failed = [(block, row) for block in result.blocks for row in block.rows.values() if row.error]
    for block, row in failed:
        print(f"fgs: {row.label} at beta {block.sampler.beta:g} did not converge: {row.error}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


@app.command()
def textures(
    folder: Annotated[Path, typer.Argument(help="New folder for the images.", metavar="DIR")],
    classes: Annotated[int, typer.Option(help="How many; families come again with other looks.")] = 16,
    images: Annotated[int, typer.Option(help="Images of each: one is a file, several are a folder.")] = 1,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 512,
    gray: Annotated[bool, typer.Option("--gray", help="Gray instead of colours.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the looks and of the images.")] = 0,
) -> None:
    """Draw the library's own synthetic textures, as photographs to train on."""
    for name, value in {"classes": classes, "images": images, "size": size}.items():
        if value < 1:
            _fail(f"--{name}: must be at least 1, got {value}", 2)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        _fail(f"DIR: {folder} exists{' and holds files' if folder.is_dir() else ''}; name a new folder", 2)
    from fgs.data import write_textures
    from fgs.files import output_folder
    from fgs.progress import step_bar

    try:
        with output_folder(folder), step_bar(classes * images, "images") as advance:
            for path in write_textures(folder, classes, images, size, not gray, seed):
                advance(path.name, 1)
    except OSError as error:
        _fail(f"DIR: cannot write into {folder}: {error.strerror}; name another folder", 1)
    print(f"{classes} textures of {images} {'image' if images == 1 else 'images'} in {folder}")


def _check_toy_options(animate: bool, learned: bool, out: Path | None, save: Path | None, load: Path | None) -> None:
    """Refuse what could only fail after the work is done."""
    if animate and out is None:
        _fail("--animate: writes into the folder of --out; give --out DIR", 2)
    if out and out.exists() and not out.is_dir():
        _fail(f"--out: {out} is a file; name a folder", 2)
    if learned and load:
        _fail("--load: brings its own networks; leave out --learned", 2)
    if save and not learned:
        _fail("--save: there are no networks to keep; add --learned", 2)
    if save and (save.is_dir() or not save.parent.is_dir()):
        _fail(f"--save: {save} {'is a folder' if save.is_dir() else 'lies in no folder'}; name a file", 2)


def _agree(context: typer.Context, settings: dict[str, Any], stored: dict[str, Any]) -> None:
    """Take the mixture of --load; an option that asks for another one is an error."""
    for name, value in stored.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and settings[name] != value:
            raise ValueError(f"{name}: the networks of --load were trained with {value}; leave this option out")
        settings[name] = value


def _train(config: "ToyConfig", learning: "Learning", save: Path | None) -> "Learned":
    from fgs.progress import training_bars
    from fgs.training import NotFiniteError
    from toy.learning import learn
    from toy.saved import save_learned

    mixture = config.build_mixture()
    try:
        with training_bars() as watch:
            learned = learn(mixture, config.build_sampler(mixture), learning, config.networks(), config.seed, watch)
    except NotFiniteError as error:
        _fail(f"training failed: {error}", 1)
    if save:
        try:
            save_learned(save, learned, config)
        except OSError as error:
            _fail(f"--save: writing {save} failed: {error.strerror}", 1)
    return learned


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


if __name__ == "__main__":
    main()
