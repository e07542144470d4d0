"""What `fgs bench training` does with its options."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from fgs.bench_training import ROUNDS, WARM_UP, Timing, bench_preset, machine, plain_numbers
from fgs.console import fail, step_bar
from fgs.unet import PRESETS


def bench_training(presets: tuple[str, ...], rounds: int | None, as_json: bool) -> None:
    """Time training steps, and print a table or JSON.

    Args:
        presets: whose sizes.
        rounds: that are counted; None is enough for a steady median.
        as_json: print JSON only.
    """
    for name in presets:
        if name not in PRESETS:
            fail(f"--preset: must be of {', '.join(PRESETS)}, got {name}", 2)
    if rounds is not None and rounds < 1:
        fail(f"--rounds: must be at least 1, got {rounds}", 2)
    about = machine()
    timings: list[Timing] = []
    missing: dict[str, str] = {}
    with step_bar(sum(WARM_UP + (rounds or ROUNDS[name]) for name in presets), "rounds") as advance:
        for preset in presets:
            found, left_out = bench_preset(preset, rounds, lambda label: advance(label, 1))
            timings += found
            missing |= left_out
    for name, reason in missing.items():
        print(f"fgs: warning: {name} left out: {reason}", file=sys.stderr)
    if as_json:
        print(json.dumps(about | {"timings": plain_numbers(timings), "left_out": missing}, indent=2))
    else:
        _print(about, timings)


def _print(about: dict[str, Any], timings: list[Timing]) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = 120
    half = about["peak_bfloat16"]
    console.print(
        f"{about['threads']} threads, torch {about['torch']}, matrix peak {about['peak_float32'] / 1e12:.3f} TFLOP/s "
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
