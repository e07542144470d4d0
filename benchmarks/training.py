"""How fast a training step is: pairs a second and share of the machine's matrix peak, against steps of others.

    python benchmarks/training.py [--preset small|medium|paper …] [--device cpu|cuda] [--rounds N] [--json] [--quick]

All steps run in one process, turn by turn, and medians are reported. What is compared stands in `contenders.py`; the
libraries of `pip install 'fgs[bench]'` take part where they are installed.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Annotated, Any

import torch
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from contenders import Contender, Step, ours, peers, plain
from fgs.commands.console import step_bar
from fgs.commands.interface import make_command
from fgs.common.options import Option, at_least
from fgs.common.text import json_text
from fgs.images import Patches, draw_images
from fgs.images.recipe import Recipe
from fgs.networks.unet import PRESETS
from fgs.training.devices import best_precision, check_device
from script import run_script, wide_console

CLASSES = 4
BATCH = {"cpu": {"paper": 8, "medium": 32, "small": 32}, "cuda": {"paper": 64, "medium": 256, "small": 256}}
ROUNDS = {"paper": 5, "medium": 15, "small": 25}
QUICK: dict[str, Any] = {"preset": ("small",), "rounds": 3}
"""What --quick stands for, where nothing else is asked for."""
WARM_UP = 2  # rounds that are not counted
PEAK = {"cpu": 2048, "cuda": 8192}  # rows of the matrices of the peak


@dataclass(frozen=True)
class TrainingBench:
    """Time training steps, against a plain one and against UNets of other libraries where they are installed.

    Raises:
        ValueError: an option is out of range; the message begins with its name.
    """

    preset: Annotated[tuple[str, ...], Option("Whose sizes; may be given again.", metavar="small|medium|paper")] = (
        "paper",
        "small",
    )
    device: Annotated[str, Option("Where; on cuda our step is compiled.", metavar="cpu|cuda")] = "cpu"
    rounds: Annotated[int | None, Option("Rounds that are timed; enough for a steady median if left out.")] = None
    json: Annotated[bool, Option("Print JSON only.")] = False
    quick: Annotated[bool, Option("One small preset, few rounds: for whether it runs, not for what it finds.")] = False
    given: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name, value in QUICK.items() if self.quick else ():
            if name not in self.given:
                object.__setattr__(self, name, value)
        for name in self.preset:
            if name not in PRESETS:
                raise ValueError(f"preset: must be of {', '.join(PRESETS)}, got {name}")
        if self.device not in BATCH:
            raise ValueError(f"device: must be of {', '.join(BATCH)}, got {self.device}")
        check_device(self.device)
        at_least(self, rounds=1)

    def rounds_of(self, preset: str) -> int:
        """Return how many rounds are timed."""
        return self.rounds or ROUNDS[preset]


@dataclass(frozen=True)
class Timing:
    """What was measured of a contender.

    Attributes:
        preset: sizes that it is matched to.
        name: whose step.
        parameters: of the network.
        pairs_per_second: median over the rounds.
        ratio: that ÷ that of the reference.
        share_of_peak: floating-point operations of its step a second ÷ those of a product of matrices in its precision.
    """

    preset: str
    name: str
    parameters: int
    pairs_per_second: float
    ratio: float
    share_of_peak: float


def bench_training(bench: TrainingBench) -> None:
    """Time the steps of every preset, and print a table or JSON."""
    about = machine(bench.device)
    timings: list[Timing] = []
    missing: dict[str, str] = {}
    with step_bar(sum(WARM_UP + bench.rounds_of(preset) for preset in bench.preset), "rounds") as advance:
        for preset in bench.preset:
            found, left_out = bench_preset(
                preset, bench.device, bench.rounds_of(preset), lambda label: advance(label, 1)
            )
            timings += found
            missing |= left_out
    for name, reason in missing.items():
        print(f"fgs: warning: {name} left out: {reason}", file=sys.stderr)
    if bench.json:
        print(json_text(about | {"timings": [asdict(timing) for timing in timings], "left_out": missing}))
    else:
        print_timings(about, timings)


def machine(device: str) -> dict[str, Any]:
    """Say what it was measured on; the peak in bfloat16 is None where that is no faster: it may take minutes there."""
    faster = best_precision(device) == "bfloat16"
    threads = f"{torch.get_num_threads()} threads"
    return {
        "machine": threads if device == "cpu" else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "peak_float32": matrix_peak(torch.float32, device),
        "peak_bfloat16": matrix_peak(torch.bfloat16, device) if faster else None,
    }


def bench_preset(
    preset: str, device: str, rounds: int, watch: Callable[[str], None]
) -> tuple[list[Timing], dict[str, str]]:
    """Time the steps of one preset's size, and the products of matrices that they are held against, turn by turn.

    Args:
        preset: one of `PRESETS`.
        device: where.
        rounds: that are counted.
        watch: told of every round.

    Returns:
        What was measured, the reference first, and the peers that are left out with the reason.
    """
    precision = best_precision(device)
    recipe = Recipe(preset=preset, batch=BATCH[device][preset], precision=precision, device=device)
    patches = Patches(draw_images(CLASSES, size=4 * recipe.patch), recipe.patch, device=device)
    reference, own = plain(replace(recipe, precision="float32"), patches), ours(recipe, patches)
    others, missing = peers(recipe, patches, own.parameters)
    contenders = [reference, own, *others]
    dtypes = [torch.bfloat16 if c is own and precision == "bfloat16" else torch.float32 for c in contenders]
    return _timed(recipe, contenders, dtypes, rounds, watch), missing


def _timed(
    recipe: Recipe,
    contenders: list[Contender],
    dtypes: list[torch.dtype],
    rounds: int,
    watch: Callable[[str], None],
) -> list[Timing]:
    """Time contenders, and a product of matrices in each of their precisions, turn by turn."""
    flops = [operations(contender.step) for contender in contenders]
    products = {dtype: product(dtype, recipe.device) for dtype in dtypes}
    steps = [contender.step for contender in contenders] + list(products.values())
    times: list[list[float]] = []
    for _ in range(WARM_UP + rounds):
        watch(recipe.preset)
        times.append([seconds(step) for step in steps])
    medians = [median(column) for column in zip(*times[WARM_UP:], strict=True)]
    peak = 2 * PEAK[recipe.device] ** 3
    peaks = {dtype: peak / t for dtype, t in zip(products, medians[len(contenders) :], strict=True)}
    return [
        Timing(recipe.preset, c.name, c.parameters, recipe.batch / t, medians[0] / t, f / t / peaks[dtype])
        for c, t, f, dtype in zip(contenders, medians, flops, dtypes, strict=False)
    ]


def seconds(step: Step) -> float:
    """Time one call, to its end on the device."""
    begin = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def product(dtype: torch.dtype, device: str) -> Step:
    """Return a product of large square matrices, whose operations a second are the peak that steps are held against."""
    a, b = torch.randn(2, PEAK[device], PEAK[device]).to(device, dtype)
    return lambda: a @ b


def matrix_peak(dtype: torch.dtype, device: str) -> float:
    """Return the floating-point operations a second of such a product."""
    step = product(dtype, device)
    return 2 * PEAK[device] ** 3 / median(seconds(step) for _ in range(7))


def operations(step: Step) -> int:
    """Count the floating-point operations of one step."""
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def print_timings(about: dict[str, Any], timings: list[Timing]) -> None:
    """Print what it was measured on, and a row a contender."""
    console, half = wide_console(), about["peak_bfloat16"]
    console.print(
        f"{about['machine']}, torch {about['torch']}, matrix peak {about['peak_float32'] / 1e12:.3f} TFLOP/s "
        f"in float32, {f'{half / 1e12:.3f} in bfloat16' if half else 'no more in bfloat16'}",
        highlight=False,
    )
    table = Table()
    for heading in ("preset", "step of", "parameters", "pairs/s", "÷ reference", "share of the peak"):
        table.add_column(heading, justify="left" if heading in ("preset", "step of") else "right")
    for timing in timings:
        table.add_row(
            timing.preset,
            timing.name,
            f"{timing.parameters:,}",
            f"{timing.pairs_per_second:.1f}",
            f"{timing.ratio:.2f}",
            f"{timing.share_of_peak:.2f}",
        )
    console.print(table)


command = make_command(TrainingBench, bench_training)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script with these arguments; None takes those of the command line."""
    run_script(command, "training.py", arguments)


if __name__ == "__main__":
    main()
