"""`fgs toy`: checks, trains with bars, samples, and prints or writes what was found."""

import sys
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from fgs.commands.console import fail, results_in, step_bar, training_bars, usage_errors
from fgs.commands.interface import make_command
from fgs.common.options import Option, check_choices
from fgs.common.text import json_text
from fgs.self_labels import SIZE
from fgs.training import NotFiniteError
from toy.config import CALLS, ToyConfig
from toy.experiment import ToyResult, planned_steps, run_toy
from toy.learned.scores import Learned, methods_of
from toy.learned.training import LABELS, OWN, Learning, learn
from toy.methods import EXACT_METHODS
from toy.report import print_toy, save_toy

_networks, _output = (partial(Option, panel=panel) for panel in ("Networks", "Output"))


@dataclass(frozen=True)
class Toy:
    """Sample one class of an exact Gaussian mixture by every kind of guidance, and measure the samples.

    Two tables: at --beta, where noise is injected on the way, and at β = 1, where none mends what guidance does.
    """

    config: ToyConfig = field(default_factory=ToyConfig)
    learned: Annotated[bool, _networks("Train networks on the mixture and add their rows.")] = False
    labels: Annotated[str, _networks("Also by classes found once or all along.", "none|offline|online|both")] = "none"
    learning: Learning = field(default_factory=Learning)
    out: Annotated[Path | None, _output("Folder for samples.npz, metrics.json and figure.png.")] = None
    json: Annotated[bool, _output("Print the metrics as JSON only.")] = False
    given: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what could only fail after the work is done."""
        check_choices(self)
        refusals: dict[str, bool] = {}
        given, few = self.given, {"calls", "sampler"} & self.given
        for name in ("h", "noise_level"):
            other = "sampler" if "sampler" in given else "calls"
            refusals[f"{name}: is of SISA; leave out --{other}, or this"] = name in given and bool(few)
        refusals["beta: of velocity is 1; leave it out"] = "beta" in given and self.config.sampler == "velocity"
        for name in ("minutes", "training_steps", "primes", "clusters", "labels", "blind"):
            needed = f"{name}: is for networks to be trained; add --learned, or leave it out"
            refusals[needed] = name in given and not self.learned
        for refusal, holds in refusals.items():
            if holds:
                raise ValueError(refusal)


def sample_toy(asked: Toy) -> None:
    """Sample a class of a mixture by every method, and measure the samples."""
    with usage_errors():
        own = tuple(name for name in OWN if asked.labels in (name, "both"))
        config, networks = asked.config, (*LABELS, *own) if asked.learned else ()
        if "methods" not in asked.given:
            config = replace(config, methods=EXACT_METHODS + methods_of(networks))
        several = config.networks() or "sampler" in asked.given
        if several and not {"calls", "h", "noise_level"} & asked.given:
            config = replace(config, calls=CALLS)
        missing = config.networks() - {*networks, *(OWN if asked.learned else ())}
        if missing:
            raise ValueError(f"method: needs the {' and '.join(sorted(missing))} network; add --learned")
        if "clusters" in asked.given and not config.networks() & set(OWN):
            raise ValueError("clusters: is for classes found without labels; add --labels online")
        clusters = asked.learning.clusters or config.components
        if config.networks() & set(OWN) and not 2 <= clusters <= SIZE:
            raise ValueError(f"clusters: must lie in [2, {SIZE}], got {clusters}")
        if asked.learned and not config.networks():
            raise ValueError("learned: no row of --method needs a network; add one, as --method exact,learned")
        total = planned_steps(config)
    with results_in(asked.out, new=False) if asked.out else nullcontext() as folder:
        learned = _train(config, asked.learning) if asked.learned else None
        with step_bar(total) as advance:
            result = run_toy(config, advance, learned)
        if folder:
            save_toy(result, folder)
    _report(result, asked.json)


def _train(config: ToyConfig, learning: Learning) -> Learned:
    """Train the networks that the methods need, with bars."""
    mixture = config.build_mixture()
    try:
        with training_bars() as watch:
            return learn(mixture, config.build_sampler(mixture), learning, config.networks(), config.seed, watch)
    except NotFiniteError as error:
        fail(f"training failed: {error}", 1)


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
