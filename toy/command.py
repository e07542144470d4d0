"""What `fgs toy` does with its options: checks, trains with bars, samples, and prints or writes what was found."""

import json
import sys
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from fgs.checkpoints import CheckpointError
from fgs.console import as_option, fail, step_bar, training_bars
from fgs.files import output_folder
from fgs.sampling import NotConvergingError
from fgs.training import NotFiniteError
from toy.config import ToyConfig
from toy.experiment import ToyResult, planned_steps, run_toy
from toy.learned import Learned, methods_of
from toy.learning import Learning, learn
from toy.methods import DEFAULT_METHODS
from toy.report import print_toy, save_toy
from toy.saved import Saved, load_learned, save_learned


def sample_toy(
    settings: dict[str, Any],
    methods: Sequence[str],
    given: Collection[str],
    out: Path | None,
    as_json: bool,
    animate: bool,
) -> None:
    """Sample a class of a mixture by every method, and measure the samples.

    Args:
        settings: of `ToyConfig` and `Learning`, and "learned", "save", "load".
        methods: rows of the table, several with commas between; none is all.
        given: names of the settings that were asked for, which the networks of "load" must agree with.
        out: folder for samples, metrics and figure, if any.
        as_json: print the metrics as JSON only.
        animate: also write trajectories.
    """
    learned, save, load = (settings.pop(name) for name in ("learned", "save", "load"))
    _check_files(animate, learned, out, save, load)
    if animate and settings["noise_level"] != "known":
        fail("--animate: shows a forcing, which the residual contains; leave out --noise-level", 2)
    for name in ("minutes", "training_steps", "blind"):
        if name in given and not learned:
            fail(f"--{name.replace('_', '-')}: is for networks to be trained; add --learned, or leave it out", 2)
    try:
        saved = load_learned(load) if load else None
        config, learning = _configure(settings, methods, given, learned, saved)
        total = planned_steps(config)
    except CheckpointError as error:
        fail(f"--load: {error}", 2)
    except ValueError as error:
        fail(as_option(error), 2)
    try:
        with output_folder(out) if out else nullcontext() as folder:
            trained = saved.learned if saved else _train(config, learning, save) if learned else None
            with step_bar(total) as advance:
                result = run_toy(config, advance, trained)
            if folder:
                try:
                    save_toy(result, folder, animate)
                except OSError as error:
                    fail(f"--out: writing into {out} failed: {error.strerror}", 1)
                except NotConvergingError as error:
                    fail(f"--out: a picture of {out} failed: {error}", 1)
    except OSError as error:
        fail(f"--out: cannot write into {out}: {error.strerror}; name another folder", 2)
    _report(result, as_json)


def _configure(
    settings: dict[str, Any], methods: Sequence[str], given: Collection[str], learned: bool, saved: Saved | None
) -> tuple[ToyConfig, Learning]:
    """Sort the options, and see that there is a network for every row that needs one, and a row for every network."""
    names = list(dict.fromkeys(name.strip() for part in methods for name in part.split(",")))
    learning = Learning(*(settings.pop(name) for name in ("minutes", "training_steps", "blind")))
    settings["weights"] = _numbers(settings["weights"])
    if saved:
        _agree(settings, given, saved.mixture)
    networks = tuple(saved.learned.networks) if saved else ("guided", "label", "mixture") if learned else ()
    config = ToyConfig(**settings, methods=tuple(names) or DEFAULT_METHODS + methods_of(networks))
    missing = config.networks() - set(networks)
    if missing:
        fail(f"--method: needs the {' and '.join(sorted(missing))} network; add --learned, or --load one", 2)
    if learned and not config.networks():
        fail("--learned: no row of --method needs a network; add one, as --method exact,learned", 2)
    return config, learning


def _report(result: ToyResult, as_json: bool) -> None:
    """Print the tables or JSON; a row that did not converge makes the exit code 1."""
    if as_json:
        print(json.dumps(result.metrics(), indent=2))
    else:
        print_toy(result)
    failed = [(block, row) for block in result.blocks for row in block.rows.values() if row.error]
    for block, row in failed:
        print(f"fgs: {row.label} at beta {block.sampler.beta:g} did not converge: {row.error}", file=sys.stderr)
    if failed:
        raise SystemExit(1)


def _check_files(animate: bool, learned: bool, out: Path | None, save: Path | None, load: Path | None) -> None:
    """Refuse what could only fail after the work is done."""
    if animate and out is None:
        fail("--animate: writes into the folder of --out; give --out DIR", 2)
    if out and out.exists() and not out.is_dir():
        fail(f"--out: {out} is a file; name a folder", 2)
    if learned and load:
        fail("--load: brings its own networks; leave out --learned", 2)
    if save and not learned:
        fail("--save: there are no networks to keep; add --learned", 2)
    if save and (save.is_dir() or not save.parent.is_dir()):
        fail(f"--save: {save} {'is a folder' if save.is_dir() else 'lies in no folder'}; name a file", 2)


def _agree(settings: dict[str, Any], given: Collection[str], stored: dict[str, Any]) -> None:
    """Take the mixture of --load; an option that asks for another one is an error."""
    for name, value in stored.items():
        if name in given and settings[name] != value:
            raise ValueError(f"{name}: the networks of --load were trained with {value}; leave this option out")
        settings[name] = value


def _train(config: ToyConfig, learning: Learning, save: Path | None) -> Learned:
    """Train the networks that the methods need, with bars, and keep them in the file `save`."""
    mixture = config.build_mixture()
    try:
        with training_bars() as watch:
            learned = learn(mixture, config.build_sampler(mixture), learning, config.networks(), config.seed, watch)
    except NotFiniteError as error:
        fail(f"training failed: {error}", 1)
    if save:
        try:
            save_learned(save, learned, config)
        except OSError as error:
            fail(f"--save: writing {save} failed: {error.strerror}", 1)
    return learned


def _numbers(text: str | None) -> tuple[float, ...] | None:
    """Read numbers with commas between."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError(f"weights: must be numbers with commas between, as .9,.1, got {text}") from None
