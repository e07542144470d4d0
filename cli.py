"""The command line: options in, tables and files out. What it computes stands in `fgs` and `toy`."""

import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

# torch and matplotlib are imported by the commands that need them: `fgs --help` answers at once
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


def _settings(arguments: dict[str, Any], *others: str) -> dict[str, Any]:
    """Return the arguments of a command, its `locals()` at the very beginning, without the others."""
    return {name: value for name, value in arguments.items() if name not in others}


def _given(context: typer.Context) -> set[str]:
    """Return the names of the options that were typed, as against left at their defaults."""
    return {name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")}


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
    settings = _settings(locals(), "context", "method", "out", "json_", "animate")
    from toy.command import sample_toy

    sample_toy(settings, method or [], _given(context), out, json_, animate)


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
    from fgs.commands import draw_into

    draw_into(folder, classes, images, size, not gray, seed)


_data, _method, _run = (partial(typer.Option, rich_help_panel=panel) for panel in ("Data", "Method", "Run"))


@app.command()
def train_images(
    context: typer.Context,
    data: Annotated[
        Path | None, _data(help="Folder with an image, or a folder of images, a class; synthetic textures if left out.")
    ] = None,
    class_: Annotated[
        list[str] | None, _data("--class", help="A class of --data; may be given again. All if left out.")
    ] = None,
    color: Annotated[bool, _data("--color", help="RGB instead of gray.")] = False,
    patch: Annotated[int | None, _data(help="Pixels a side of a patch; 80 for paper, 32 for the others.")] = None,
    overlapping: Annotated[
        bool, _data("--overlapping/--side-by-side", help="Train on every crop, or on patches side by side (paper).")
    ] = True,
    downscale: Annotated[int, _data(help="Average blocks of so many pixels a side.")] = 1,
    normalize: Annotated[bool, _data("--normalize", help="Bring every image to mean .5 and sd .2.")] = False,
    least_contrast: Annotated[
        float, _data(help="Stretch images of lower sd to this one, about their mean; faint textures are hard to learn.")
    ] = 0.0,
    held_out: Annotated[float, _data(help="Share of each image that is never trained on.")] = 0.25,
    guidance: Annotated[
        str, _method(metavar="features|label|none", help="Algorithm 2, a network given labels, or Algorithm 4.")
    ] = "features",
    preset: Annotated[
        str, _method(metavar="small|medium|paper", help="UNet of 0.46, 1.03 or 11.6 million parameters.")
    ] = "small",
    p_drop: Annotated[float, _method(help="Share of pairs trained without φ, or without label.")] = 0.1,
    sigma_distribution: Annotated[
        str, _method(metavar="uniform|squared|log-uniform", help="Of the noise levels; uniform is the paper's.")
    ] = "squared",
    loss_weight: Annotated[
        str, _method(metavar="none|inverse-sd|inverse-variance", help="Of squared errors by σ; none is the paper's.")
    ] = "inverse-variance",
    batch: Annotated[int | None, _training(help="Pairs of a step; 64 for paper, 8 for the others.")] = None,
    shared: Annotated[
        int | None, _training(help="Pairs that have x' in common, which saves passes; 1 for paper, 4 for the others.")
    ] = None,
    primes: Annotated[
        int | None, _training(help="Patches x' whose φ is averaged; 1 for paper, which has one, 4 for the others.")
    ] = None,
    steps: Annotated[int | None, _training(help="Steps, the same on every machine, instead of --minutes.")] = None,
    minutes: Annotated[float, _training(help="Training time.")] = 30.0,
    learning_rate: Annotated[
        float | None, _training(help="The highest; it falls to 0. 0.001 for paper, 0.002 for the others.")
    ] = None,
    optimizer: Annotated[
        str | None,
        _training(metavar="muon|adam", help="Of the convolutions; adam for paper, which has it, muon for the others."),
    ] = None,
    precision: Annotated[
        str, _training(metavar="auto|float32|bfloat16", help="Of the network's products; auto where it pays.")
    ] = "auto",
    device: Annotated[str, _training(metavar="auto|cpu|cuda|mps", help="Where to train.")] = "auto",
    compile_: Annotated[
        bool,
        _training("--compile", help="Compile the network first: minutes that pay on a GPU; needs a compiler."),
    ] = False,
    seed: Annotated[int, _training(help="Seed of everything drawn.")] = 0,
    out: Annotated[Path, _run(help="New folder for weights, metrics and pictures.")] = Path("run"),
    resume: Annotated[Path | None, _run(help="Go on with the run in this folder, with its own options.")] = None,
    dry_run: Annotated[bool, _run("--dry-run", help="Print what would be trained, and stop.")] = False,
    json_: Annotated[bool, _run("--json", help="Print JSON only.")] = False,
) -> None:
    """Train the network on patches of images: Algorithm 2, or a baseline of the same size."""
    settings = _settings(locals(), "context", "data", "out", "resume", "dry_run", "json_")
    from fgs.commands import train_on_images

    settings |= {"data": str(data) if data else None, "class_": class_ or None}
    train_on_images(settings, _given(context), out, resume, dry_run, json_)


_what, _how, _against = (partial(typer.Option, rich_help_panel=panel) for panel in ("What", "How", "Against"))
_Sampler = Annotated[
    str,
    _how(
        metavar="sisa|corrected|multi-step|heun|few-steps",
        help="The paper's; second order in one call a step, with Langevin corrections or without; in two; first order.",
    ),
]
_H = Annotated[float | None, _how(help="Step size in (0, 1], of sisa only; 0.3 if left out.")]
_Beta = Annotated[
    float | None,
    _how(help="Noise control in (0, 1]; 0.15 for corrected, 0.3 for sisa, 0.2 for the others, if left out."),
]
_Schedule = Annotated[str | None, _how(metavar="fixed|growing", help="Steps of sisa: of one size, or growing to 1.")]
_Steps = Annotated[
    int | None, _how(help="Network calls for an image, 48 if left out; for sisa at most so many, by choice of --h.")
]
_SigmaEnd = Annotated[float, _how(help="σ_∞, the noise level to stop at.")]
_Seed = Annotated[int, _how(help="Seed of everything drawn.")]


@app.command()
def sample(
    run: Annotated[
        Path | None, typer.Argument(help="Folder of a run, or a checkpoint; the model that ships if left out.")
    ] = None,
    class_: Annotated[
        list[str] | None, _what("--class", help="A class; may be given again. All classes if left out.")
    ] = None,
    like: Annotated[list[Path] | None, _what(help="An image to sample the like of; may be given again.")] = None,
    between: Annotated[
        tuple[str, str] | None, _what(metavar="A B", help="Two classes to go from one to the other (Fig. 8).")
    ] = None,
    alphas: Annotated[int, _what(help="Places on the way of --between, both ends included.")] = 5,
    unguided: Annotated[bool, _what("--unguided", help="Sample the mixture (Algorithm 3).")] = False,
    n: Annotated[int, _what(help="Images of each.")] = 4,
    size: Annotated[int | None, _what(help="Pixels a side; as trained on if left out.")] = None,
    start: Annotated[Path | None, _what(help="Start at this image with noise --sigma added (Fig. 12).")] = None,
    sigma: Annotated[float | None, _what(help="Noise level to start --start at.")] = None,
    downscale: Annotated[
        int | None, _what(help="Average blocks of so many pixels a side of --like and --start; as trained if left out.")
    ] = None,
    release_at: Annotated[float | None, _how(help="Noise level below which guidance ends (Fig. 13).")] = None,
    mixture: Annotated[Path | None, _how(help="Run or checkpoint to follow below --release-at.")] = None,
    sampler: _Sampler = "corrected",
    h: _H = None,
    beta: _Beta = None,
    schedule: _Schedule = None,
    steps: _Steps = None,
    sigma_end: _SigmaEnd = 0.01,
    seed: _Seed = 0,
    out: Annotated[Path, _output(help="New folder for grid.png, the images and samples.npz.")] = Path("samples"),
    gif: Annotated[bool, _output("--gif", help="Also write trajectory.gif.")] = False,
    json_: Annotated[bool, _output("--json", help="Print JSON only.")] = False,
) -> None:
    """Sample images of a class, like an image, or between two classes (Algorithm 1)."""
    settings = _settings(locals(), "run", "class_", "out", "gif", "json_")
    from fgs.sample_command import sample

    sample(run, settings | {"classes": tuple(class_ or ()), "like": tuple(like or ())}, out, json_, gif)


@app.command()
def embed(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a checkpoint; `shipped` for the model that ships.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    downscale: Annotated[
        int | None, typer.Option(help="Average blocks of so many pixels a side; as trained if left out.")
    ] = None,
    out: Annotated[Path | None, _output(help="File for φ, an array (images, F); beside it the names.")] = None,
    json_: Annotated[bool, _output("--json", help="Print JSON only.")] = False,
) -> None:
    """Compute the features φ of images, and which classes are nearest to them."""
    from fgs.embed_command import embed

    embed(run, images, downscale, out, json_)


@app.command()
def evaluate(
    run: Annotated[
        Path | None, typer.Argument(help="Folder of a run, or a checkpoint; the model that ships if left out.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the images trained on; that of the run if left out.")
    ] = None,
    unconditional: Annotated[Path | None, _against(help="Run of --guidance none.")] = None,
    label: Annotated[Path | None, _against(help="Run of --guidance label: labels and CFG.")] = None,
    single: Annotated[Path | None, _against(help="Run of --guidance none on one class alone.")] = None,
    unseen: Annotated[Path | None, _against(help="Folder of images; classes trained on are passed over.")] = None,
    n: Annotated[int, _how(help="Samples of each class.")] = 64,
    sampler: _Sampler = "corrected",
    h: _H = None,
    beta: _Beta = None,
    schedule: _Schedule = None,
    steps: _Steps = None,
    sigma_end: _SigmaEnd = 0.01,
    seed: _Seed = 0,
    out: Annotated[Path, _output(help="New folder for report.html, report.json and figures.")] = Path("evaluation"),
    json_: Annotated[bool, _output("--json", help="Print report.json only.")] = False,
) -> None:
    """Measure a trained run: denoising, features, and samples against real patches."""
    against = {"unconditional": unconditional, "label": label, "single": single, "unseen": unseen}
    settings = _settings(locals(), "run", "data", *against, "against", "out", "json_")
    from fgs.evaluate_command import evaluate

    evaluate(run, data, against, settings, out, json_)


bench = typer.Typer(name="bench", help="Measure: samplers by quality against calls, and training steps by speed.")
app.add_typer(bench)
_Json = Annotated[bool, typer.Option("--json", help="Print JSON only.")]


@bench.callback(invoke_without_command=True)
def _bench(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="Run both on very little, to see that they run; the numbers mean nothing.")
    ] = False,
) -> None:
    if context.invoked_subcommand is not None:
        if quick:
            from fgs.console import fail

            fail("--quick: stands alone, and runs both", 2)
        return
    if not quick:
        typer.echo(context.get_help())
        return
    from fgs.bench_command import bench_training
    from toy.bench_command import QUICK, bench_sampling

    bench_training(("small",), 3, False)
    bench_sampling(dict(QUICK), None, False)


@bench.command("sampling")
def _bench_sampling(
    run: Annotated[
        Path | None, typer.Argument(help="Folder of a run, or a checkpoint; the model that ships if left out.")
    ] = None,
    what: Annotated[list[str] | None, typer.Option(metavar="exact|learned|images", help="All if left out.")] = None,
    calls: Annotated[str, typer.Option(help="Budgets of network calls, with commas between.")] = "8,12,20,30,50",
    samples: Annotated[int, typer.Option(help="Samples of a mixture.")] = 2000,
    n: Annotated[int, typer.Option(help="Images of each class.")] = 32,
    seeds: Annotated[int, typer.Option(help="Sets of samples of each point.")] = 2,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the photographs trained on; that of FGS_TEXTURES if left out.")
    ] = None,
    training_steps: Annotated[int, typer.Option(help="Steps of the network of the learned mixture.")] = 8000,
    reference: Annotated[
        int | None, typer.Option(help="Also sample images by SISA with so many calls; 2000 take half an hour.")
    ] = None,
    out: Annotated[Path | None, _output(help="New folder for sampling.png, pictures.png and sampling.json.")] = None,
    json_: _Json = False,
) -> None:
    """Compare samplers: distance to true samples ÷ its floor, against network calls."""
    settings = _settings(locals(), "what", "calls", "out", "json_")
    from fgs.console import fail
    from toy.bench_command import WHAT, bench_sampling

    try:
        budgets = tuple(int(part) for part in calls.replace(",", " ").split())
    except ValueError:
        fail(f"--calls: must be whole numbers with commas between, as 12,30,50, got {calls}", 2)
    bench_sampling(settings | {"what": tuple(what or WHAT), "calls": budgets}, out, json_)


@bench.command("training")
def _bench_training(
    preset: Annotated[
        list[str] | None, typer.Option(metavar="small|medium|paper", help="Whose sizes; small and paper if left out.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds that are timed.")] = None,
    json_: _Json = False,
) -> None:
    """Time training steps, against a plain one and against UNets of other libraries where they are installed."""
    from fgs.bench_command import bench_training

    bench_training(tuple(preset or ("paper", "small")), rounds, json_)


lessons = typer.Typer(
    help="The lessons: fourteen claims of the method, derived and shown, from one Gaussian to images."
)
app.add_typer(lessons, name="lessons")
_Figures = Annotated[Path, typer.Option(help="Folder of the figures and of what was run.")]


@lessons.callback(invoke_without_command=True)
def _lessons(context: typer.Context, out: _Figures = Path("fgs-lessons"), json_: _Json = False) -> None:
    """List the lessons with their claims and what of them has been run; `fgs lessons run 5` runs one."""
    if context.invoked_subcommand is None:
        from fgs.lesson_command import list_lessons

        list_lessons(out, json_)
    elif _given(context):
        from fgs.console import fail

        fail(f"--{min(_given(context)).rstrip('_')}: give it behind run", 2)


@lessons.command("run")
def _run_lessons(
    numbers: Annotated[list[int] | None, typer.Argument(help="Lessons to run.", metavar="NUMBER…")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Run all of them, and print a summary.")] = False,
    out: _Figures = Path("fgs-lessons"),
    show: Annotated[bool, typer.Option("--show", help="Show every figure in a window, too.")] = False,
    json_: _Json = False,
) -> None:
    """Run lessons: figures into --out, numbers beside what they should be, exit code 1 if a claim does not hold."""
    from fgs.lesson_command import run_lessons

    run_lessons(numbers or [], all_, out, show, json_)


if __name__ == "__main__":
    main()
