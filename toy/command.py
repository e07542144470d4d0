"""`fgs toy`: checks, trains with bars, samples, and prints or writes what was found."""

import sys
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from fgs.commands.console import fail, results_in, step_bar, training_bars, usage_errors
from fgs.commands.interface import make_command
from fgs.common.options import Option
from fgs.common.text import json_text
from fgs.training import CheckpointError, NotFiniteError
from toy.config import ToyConfig
from toy.experiment import ToyResult, planned_steps, run_toy
from toy.learned import Learned, Learning, learn
from toy.learned.saved import load_learned, save_learned
from toy.learned.scores import methods_of
from toy.methods import DEFAULT_METHODS
from toy.report import print_toy, save_toy

_networks, _output = (partial(Option, panel=panel) for panel in ("Networks", "Output"))


@dataclass(frozen=True)
class Toy:
    """Sample one class of an exact Gaussian mixture by every kind of guidance, and measure the samples.

    Two tables: at --beta, where noise is injected on the way, and at β = 1, where none is and guidance fails.

    Raises:
        ValueError: two options contradict each other; the message begins with the name of one.
    """

    config: ToyConfig = field(default_factory=ToyConfig)
    learned: Annotated[bool, _networks("Train networks on the mixture and add their rows.")] = False
    learning: Learning = field(default_factory=Learning)
    save: Annotated[Path | None, _networks("File to keep the trained networks in.")] = None
    load: Annotated[Path | None, _networks("Use networks kept by --save, and their mixture.")] = None
    out: Annotated[Path | None, _output("Folder for samples.npz, metrics.json and figure.png.")] = None
    json: Annotated[bool, _output("Print the metrics as JSON only.")] = False
    animate: Annotated[bool, _output("Also write trajectories.gif into --out.")] = False
    given: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what could only fail after the work is done."""
        save = self.save
        refusals = {
            "animate: writes into the folder of --out; give --out DIR": self.animate and self.out is None,
            "animate: shows a forcing, which the residual contains; leave out --noise-level": self.animate
            and self.config.noise_level != "known",
            f"out: {self.out} is a file; name a folder": self.out and self.out.exists() and not self.out.is_dir(),
            "load: brings its own networks; leave out --learned": self.learned and self.load,
            "save: there are no networks to keep; add --learned": save and not self.learned,
            f"save: {save} is a folder; name a file": save and save.is_dir(),
            f"save: {save} lies in no folder; name a file": save and not save.parent.is_dir(),
        }
        for name in {"minutes", "training_steps", "blind"} & self.given:
            refusals[f"{name}: is for networks to be trained; add --learned, or leave it out"] = not self.learned
        for refusal, holds in refusals.items():
            if holds:
                raise ValueError(refusal)


def sample_toy(asked: Toy) -> None:
    """Sample a class of a mixture by every method, and measure the samples."""
    with usage_errors():
        config, loaded = _mixture_of(asked)
        networks = tuple(loaded.networks) if loaded else ("guided", "label", "mixture") if asked.learned else ()
        if "methods" not in asked.given:
            config = replace(config, methods=DEFAULT_METHODS + methods_of(networks))
        missing = config.networks() - set(networks)
        if missing:
            raise ValueError(f"method: needs the {' and '.join(sorted(missing))} network; add --learned, or --load one")
        if asked.learned and not config.networks():
            raise ValueError("learned: no row of --method needs a network; add one, as --method exact,learned")
        total = planned_steps(config)
    with results_in(asked.out, new=False) if asked.out else nullcontext() as folder:
        learned = loaded or (_train(config, asked.learning, asked.save) if asked.learned else None)
        with step_bar(total) as advance:
            result = run_toy(config, advance, learned)
        if folder:
            try:
                save_toy(result, folder, asked.animate)
            except OSError as error:
                fail(f"--out: writing into {folder} failed: {error.strerror}", 1)
    _report(result, asked.json)


def _mixture_of(asked: Toy) -> tuple[ToyConfig, Learned | None]:
    """Return the settings, and the networks of --load, whose mixture they must describe."""
    if not asked.load:
        return asked.config, None
    try:
        saved = load_learned(asked.load)
    except CheckpointError as error:
        raise ValueError(f"load: {error}") from None
    for name, value in saved.mixture.items():
        if name in asked.given and getattr(asked.config, name) != value:
            raise ValueError(f"{name}: the networks of --load were trained with {value}; leave this option out")
    return replace(asked.config, **saved.mixture), saved.learned


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


def _report(result: ToyResult, as_json: bool) -> None:
    """Print the tables or JSON; a row that did not converge makes the exit code 1."""
    if as_json:
        print(json_text(result.metrics()))
    else:
        print_toy(result)
    failed = [(block, row) for block in result.blocks for row in block.rows.values() if row.error]
    for block, row in failed:
        print(f"fgs: {row.label} at beta {block.sampler.beta:g} did not converge: {row.error}", file=sys.stderr)
    if failed:
        raise SystemExit(1)


command = make_command(Toy, sample_toy)
