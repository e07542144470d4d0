"""`fgs train-images`."""

import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fgs.commands.console import as_option, fail, print_psnr, training_bars, usage_errors, warn_of
from fgs.commands.interface import make_command
from fgs.common.files import TakenError
from fgs.common.options import Option
from fgs.common.text import json_text
from fgs.images.config import CONFIG
from fgs.images.model import load_model
from fgs.images.recipe import Recipe, sizes
from fgs.images.run import Run
from fgs.images.sources import flat_classes
from fgs.training import CheckpointError, NotFiniteError
from fgs.training.processes import average, begun, is_first, process_group
from fgs.training.scalars import require_tensorboard, scalars

NAMED = 10  # flat classes that are named

_run = partial(Option, panel="Run")


@dataclass(frozen=True)
class TrainImages:
    """Train the network on patches of images: Algorithm 2, or a baseline of the same size."""

    recipe: Recipe = field(default_factory=Recipe)
    out: Annotated[Path, _run("New folder for weights, metrics and pictures.")] = Path("run")
    resume: Annotated[Path | None, _run("Go on with this run; longer by --steps or --minutes, --data if moved.")] = None
    tensorboard: Annotated[bool, _run("Also write scalars for TensorBoard, into the run's folder.")] = False
    dry_run: Annotated[bool, _run("Print what would be trained, and stop.")] = False
    json: Annotated[bool, _run("Print JSON only.")] = False
    given: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.resume and {"out", "dry_run"} & self.given:
            raise ValueError("resume: goes on in its own folder; leave out --out and --dry-run")

    def started(self) -> "TrainImages":
        """Return it with what the weights to start at settle."""
        if self.recipe.from_ is None or self.resume:
            return self
        model = load_model(Path(self.recipe.from_), "from")
        return replace(self, recipe=self.recipe.from_weights(model.recipe, self.given))

    @property
    def settings(self) -> dict[str, Any]:
        """What was asked for of the recipe, with which a run that is resumed must agree."""
        return {name: value for name, value in asdict(self.recipe).items() if name in self.given}


def train_on_images(asked: TrainImages) -> None:
    """Start a run, or take one up, and train until it is done or interrupted.

    Under `torchrun` all its processes train one run. If they are started again after a failure, they take it up.
    """
    with usage_errors():
        asked = asked.started()
        if asked.tensorboard:
            require_tensorboard()
    if asked.dry_run:
        with usage_errors():
            _describe(Run(asked.out, asked.recipe.on_this_machine()).at_given_weights(), asked.json)
        return
    with process_group():
        _train_together(asked)


def _train_together(asked: TrainImages) -> None:
    """Train the one run of all processes; nothing of it outlives this function, as the group must not end before it."""
    resume = asked.resume or (asked.out if begun() and (asked.out / CONFIG).exists() else None)
    try:
        run = Run.resume(resume, asked.settings) if resume else Run.start(asked.out, asked.recipe)
    except CheckpointError as error:
        fail(f"--resume: {error}", 2)
    except TakenError as error:
        fail(f"--out: {error}; name a new folder, or go on with --resume {asked.out}", 2)
    except ValueError as error:
        fail(as_option(error), 2)
    except OSError as error:
        fail(f"{error.filename or asked.out}: {error.strerror}", 2)
    if is_first():
        warn_of(run.skipped)
        _say_classes(run, asked)
    _train(run, run.folder / "tensorboard" if asked.tensorboard and is_first() else None)
    if is_first():
        _report(run, asked.json)


def _say_classes(run: Run, asked: TrainImages) -> None:
    """Say that classes are endless, if nothing was said of it, and which pictures are of no use then."""
    if run.recipe.classes != "endless":
        return
    if "classes" not in asked.given and not asked.resume:
        count = len(run.patches.classes)
        print(f"fgs: endless classes are drawn from {count:,} pictures (--classes fixed otherwise)", file=sys.stderr)
    flat = flat_classes(run.patches)
    if flat:
        more = f" and {len(flat) - NAMED} more" if len(flat) > NAMED else ""
        print(f"fgs: flat, of no use for endless classes: {', '.join(flat[:NAMED])}{more}", file=sys.stderr)


def _train(run: Run, board: Path | None) -> None:
    bars = training_bars(lambda: _detail(run))
    try:
        with _interruptions() as interrupted, bars as watch, scalars(board, len(run.metrics)) as write:
            for record in run.train():
                if is_first():
                    watch(run.recipe.guidance, record)
                    write(record, run.metrics)
                if interrupted():
                    run.save()
                    break
    except NotFiniteError as error:
        fail(f"training failed: {error}; the last good state is in {run.folder}", 1)
    except OSError as error:
        fail(f"writing into {run.folder} failed: {error.strerror}; the state saved before is kept", 1)
    if interrupted() and run.trainer.budget.progress(run.trainer.step, run.trainer.seconds) < 1:
        if is_first():
            print(f"fgs: interrupted at step {run.trainer.step}; go on with: ", end="", file=sys.stderr)
            print(f"fgs train-images --resume {shlex.quote(str(run.folder))}", file=sys.stderr)
        raise SystemExit(1)


def _detail(run: Run) -> str:
    """Say how fast it goes and how well it denoises."""
    rate = run.recipe.batch * run.trainer.step / run.trainer.seconds
    return f", {rate:.0f} pairs/s" + (f", held out {run.metrics[-1]['psnr']:.2f} dB" if run.metrics else "")


@contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """Note Ctrl-C and SIGTERM in any process, so that the step under way can be finished; the second one kills."""
    seen: list[int] = []

    def note(number: int, frame: object) -> None:
        seen.append(number)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: average([len(seen)])[0] > 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _describe(run: Run, as_json: bool) -> None:
    """Print what would be trained."""
    config, patches = asdict(run.recipe), run.patches
    warn_of(run.skipped)
    about = sizes(run.recipe, len(run.hashes)) | {"classes": len(run.hashes)}
    about |= {"pairs": int(patches.counts.sum()), "held_out": int(patches.held_out_counts.sum())}
    lines = [f"{name.replace('_', ' '):22} {value:,}" for name, value in about.items()]
    lines += [f"{name.rstrip('_').replace('_', '-'):22} {value}" for name, value in config.items()]
    print(json_text(about | {"config": config}) if as_json else "\n".join(lines))


def _report(run: Run, as_json: bool) -> None:
    """Print the last check: PSNR of held-out patches at every noise level."""
    if as_json:
        print(json_text({"folder": str(run.folder), "step": run.trainer.step, "checks": run.metrics}))
        return
    steps, count = f"{run.trainer.step:,} steps in {run.trainer.seconds:.0f} s", len(run.patches.classes)
    classes = f"{count:,} class{'es' if count > 1 else ''}"
    if run.recipe.classes == "endless":
        classes = f"endless classes from {count:,} pictures"
    if run.heap:
        agree = run.heap.agreement
        classes = f"{agree['clusters']} classes found (NMI {agree['nmi']:.2f}, purity {agree['purity']:.2f})"
    print(f"{run.folder}: {steps}, {classes}")
    if run.metrics:
        last = run.metrics[-1]
        names = [name for name in last if name.startswith("psnr_")]
        curves = {name.removeprefix("psnr_").replace("_", " "): last[name] for name in names}
        print_psnr(last["sigma"], curves)


command = make_command(TrainImages, train_on_images)
