"""What `fgs textures` and `fgs train-images` do with their options."""

import json
import shlex
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fgs.checkpoints import CheckpointError
from fgs.console import as_option, fail, must_be_new, step_bar, training_bars, warn_of
from fgs.data import write_textures
from fgs.distributed import average, is_first, process_group, restarted
from fgs.files import output_folder
from fgs.recipes import Recipe, cost, resolve
from fgs.runs import CONFIG, Run, read_patches
from fgs.training import NotFiniteError


def draw_into(folder: Path, classes: int, images: int, size: int, color: bool, seed: int) -> None:
    """Write synthetic textures into a new folder."""
    for name, value in {"classes": classes, "images": images, "size": size}.items():
        if value < 1:
            fail(f"--{name}: must be at least 1, got {value}", 2)
    if seed < 0:
        fail(f"--seed: must not be negative, got {seed}", 2)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        fail(f"DIR: {folder} exists{' and holds files' if folder.is_dir() else ''}; name a new folder", 2)
    try:
        with output_folder(folder), step_bar(classes * images, "images") as advance:
            for path in write_textures(folder, classes, images, size, color, seed):
                advance(path.name, 1)
    except OSError as error:
        fail(f"DIR: cannot write into {folder}: {error.strerror}; name another folder", 1)
    print(f"{classes} textures of {images} {'image' if images == 1 else 'images'} in {folder}")


def train_on_images(
    settings: dict[str, Any], given: Collection[str], out: Path, resume: Path | None, dry_run: bool, as_json: bool
) -> None:
    """Start a run, or take one up, and train until it is done or interrupted.

    Under `torchrun` all its processes train one run. If they are started again after a failure, they take it up.

    Args:
        settings: as `resolve` takes them.
        given: names of the settings that were asked for, which a run that is resumed must agree with.
        out: folder of a new run.
        resume: folder of a run to take up.
        dry_run: print what would be trained instead.
        as_json: print JSON only.
    """
    if resume and {"out", "dry_run"} & set(given):
        fail("--resume: goes on in its own folder; leave out --out and --dry-run", 2)
    if dry_run:
        try:
            _describe(resolve(settings), as_json)
        except ValueError as error:
            fail(as_option(error), 2)
        except OSError as error:
            fail(f"--data: {error.filename}: {error.strerror}", 2)
        return
    if restarted() and (out / CONFIG).exists():
        resume = resume or out
    with process_group():
        _train_together(settings, given, out, resume, as_json)


def _train_together(
    settings: dict[str, Any], given: Collection[str], out: Path, resume: Path | None, as_json: bool
) -> None:
    """Train the one run of all processes; nothing of it outlives this function, as the group must not end before it."""
    try:
        asked = {name: settings[name] for name in given if name in settings}
        run = Run.resume(resume, asked) if resume else _start(resolve(settings), out)
    except CheckpointError as error:
        fail(f"--resume: {error}", 2)
    except ValueError as error:
        fail(as_option(error), 2)
    except OSError as error:
        fail(f"{error.filename or out}: {error.strerror}", 2)
    if is_first():
        warn_of(run.skipped)
    _train(run)
    if is_first():
        _report(run, as_json)


def _start(recipe: Recipe, out: Path) -> Run:
    if is_first() and not restarted():
        must_be_new(out, f"name a new folder, or go on with --resume {out}")
    return Run.start(out, recipe)


def _train(run: Run) -> None:
    try:
        with _interruptions() as interrupted, training_bars() as watch:
            for record in run.train():
                if is_first():
                    watch(run.recipe.guidance, record, _detail(run))
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


def _describe(recipe: Recipe, as_json: bool) -> None:
    """Print what would be trained."""
    patches, hashes, skipped = read_patches(recipe)
    warn_of(skipped)
    pairs = {"classes": len(hashes), "pairs": int(patches.counts.sum()), "held_out": int(patches.held_out_counts.sum())}
    about = cost(recipe, len(hashes)) | pairs | {"config": asdict(recipe)}
    if as_json:
        print(json.dumps(about, indent=2))
        return
    for name, value in about.items():
        if name != "config":
            print(f"{name.replace('_', ' '):22} {value:,}" if isinstance(value, int) else f"{name:22} {value}")
    for name, value in asdict(recipe).items():
        print(f"{name.rstrip('_').replace('_', '-'):22} {value}")


def _report(run: Run, as_json: bool) -> None:
    """Print the last check: PSNR of held-out patches at every noise level."""
    if as_json:
        print(json.dumps({"folder": str(run.folder), "step": run.trainer.step, "checks": run.metrics}, indent=2))
        return
    steps, classes = f"{run.trainer.step:,} steps in {run.trainer.seconds:.0f} s", len(run.patches.classes)
    print(f"{run.folder}: {steps}, {classes} classes")
    if not run.metrics:
        return
    last = run.metrics[-1]
    curves = {name.removeprefix("psnr_"): curve for name, curve in last.items() if name.startswith("psnr_")}
    print("PSNR of held-out patches in dB, by the condition that the network is given")
    print("".join(f"{text:>9}" for text in ("σ", *curves)))
    for row in zip(last["sigma"], *curves.values(), strict=True):
        print("".join(f"{value:>9.2f}" for value in row))
