"""What stands between the options of `fgs toy` and the experiment: checks, and training with bars."""

from pathlib import Path
from typing import Any

import typer

from fgs.console import fail, training_bars
from fgs.training import NotFiniteError
from toy.config import ToyConfig
from toy.learned import Learned
from toy.learning import Learning, learn
from toy.saved import save_learned


def check_options(animate: bool, learned: bool, out: Path | None, save: Path | None, load: Path | None) -> None:
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


def agree(context: typer.Context, settings: dict[str, Any], stored: dict[str, Any]) -> None:
    """Take the mixture of --load; an option that asks for another one is an error."""
    for name, value in stored.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and settings[name] != value:
            raise ValueError(f"{name}: the networks of --load were trained with {value}; leave this option out")
        settings[name] = value


def train(config: ToyConfig, learning: Learning, save: Path | None) -> Learned:
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


def numbers(text: str | None) -> tuple[float, ...] | None:
    """Read numbers with commas between."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError(f"weights: must be numbers with commas between, as .9,.1, got {text}") from None
