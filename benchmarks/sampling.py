"""What `fgs bench sampling` does with its options."""

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fgs.bench_images import ImageCase, NoPhotographsError, draw_budgets, image_case
from fgs.bench_plots import quality_figure
from fgs.bench_samplers import SAMPLERS, Case, Point, over_cases, points_of
from fgs.training.checkpoints import CheckpointError
from fgs.commands.console import as_option, fail, must_be_new, step_bar
from fgs.common.files import atomic, output_folder
from fgs.images.model import load_model
from toy.bench import exact_cases, learned_case

PICTURED = "multi-step, Langevin"  # whose samples are drawn side by side
WHAT = ("exact", "learned", "images")


@dataclass(frozen=True)
class SamplingBench:
    """The options of `fgs bench sampling`, by their names.

    Raises:
        ValueError: one is out of range; the message begins with its name.
    """

    run: Path | None = None
    what: tuple[str, ...] = WHAT
    calls: tuple[int, ...] = (8, 12, 20, 30, 50)
    samples: int = 2000
    n: int = 32
    data: Path | None = None
    training_steps: int = 8000
    seeds: int = 2
    reference: int | None = None

    def __post_init__(self) -> None:
        for name in self.what:
            if name not in WHAT:
                raise ValueError(f"what: must be of {', '.join(WHAT)}, got {name}")
        if not self.what:
            raise ValueError(f"what: name one of {', '.join(WHAT)}")
        if not self.calls or min(self.calls) < 2:
            raise ValueError("calls: must be numbers of at least 2 with commas between, as 12,30,50")
        for name, least in {"samples": 2, "n": 2, "training_steps": 1, "seeds": 1, "reference": 100}.items():
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise ValueError(f"{name}: must be at least {least}, got {getattr(self, name)}")


QUICK: dict[str, Any] = {"calls": (12, 30), "samples": 400, "n": 2, "training_steps": 200, "seeds": 1}
"""For whether it runs, not for what it finds."""


def bench_sampling(settings: dict[str, Any], out: Path | None, as_json: bool) -> None:
    """Measure every sampler on every case, and print or write what was found.

    Args:
        settings: of `SamplingBench`.
        out: new folder for figures and JSON, if any.
        as_json: print JSON only.
    """
    try:
        bench = SamplingBench(**settings)
        model = load_model(bench.run) if "images" in bench.what else None
    except CheckpointError as error:
        fail(f"RUN: {error}", 2)
    except ValueError as error:
        fail(as_option(error), 2)
    if out:
        must_be_new(out)
    images, left_out = None, None
    if model:
        try:
            images = image_case(model, bench.data, bench.n, 0, bench.reference)
        except NoPhotographsError as error:
            left_out = str(error)
            print(f"fgs: warning: textures left out: {left_out}", file=sys.stderr)
    points = _measure(bench, images)
    found = {"points": [point._asdict() for point in points], "left_out": left_out}
    if out:
        _write(out, bench, points, images, found)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(points, bench)


def _measure(bench: SamplingBench, images: ImageCase | None) -> list[Point]:
    budgets, seeds = sorted(bench.calls), range(bench.seeds)
    points: list[Point] = []

    def all_of(case: Case, watch: Callable[[str], None]) -> None:
        points.extend(points_of(case, budgets, watch))

    each = len(SAMPLERS) * len(budgets)
    total = {"exact": 18 * each, "learned": 100 + each, "images": each if images else 0}
    with ExitStack() as stack:
        advance = stack.enter_context(step_bar(sum(total[name] for name in bench.what), "measurements"))

        def watch(label: str) -> None:
            advance(label, 1)

        if "exact" in bench.what:
            for case in exact_cases(bench.samples, seeds):
                all_of(case, watch)
        if "learned" in bench.what:
            all_of(learned_case(bench.samples, seeds, bench.training_steps, _hundredths(advance)), watch)
        if images:
            for seed in seeds:
                all_of(replace(images, seed=seed, name=f"seed {seed}"), watch)
    return points


def _hundredths(advance: Callable[[str, int], None]) -> Callable[[float], None]:
    """Turn the share of a training that is done into steps of a bar, a hundred in all."""
    done = 0

    def watch(share: float) -> None:
        nonlocal done
        now = int(100 * share)
        advance("training", now - done)
        done = now

    return watch


def _groups(points: list[Point]) -> list[str]:
    return list(dict.fromkeys(point.group for point in points))


def _print(points: list[Point], bench: SamplingBench) -> None:
    """Print a table for each group: the median and the worst case for every sampler and budget."""
    console = Console()
    if not console.is_terminal:
        console.width = 120
    for group in _groups(points):
        cases = len({point.case for point in points if point.group == group})
        of = "" if cases == 1 else f", median (and worst) of {cases}"
        table = Table(title=f"{group}: distance ÷ floor{of}", title_justify="left", title_style="bold")
        table.add_column("network calls")
        for budget in sorted(bench.calls):
            table.add_column(str(budget), justify="right")
        for name in SAMPLERS:
            cells = [over_cases(points, group, name, budget) for budget in sorted(bench.calls)]
            table.add_row(name, *(_cell(cell, cases) for cell in cells))
        console.print(table)
        for point in points:
            if point.group == group and point.budget is None:
                console.print(f"{point.sampler}: {point.worst:.2f} with {point.calls or 0:.0f} calls ({point.case})")


def _cell(found: tuple[float, float, float] | None, cases: int) -> str:
    if found is None:
        return "–"
    return f"{found[1]:.2f}" if cases == 1 else f"{found[1]:.2f} ({found[2]:.2f})"


def _write(
    out: Path, bench: SamplingBench, points: list[Point], images: ImageCase | None, found: dict[str, Any]
) -> None:
    """Write the figures and the JSON."""
    try:
        with output_folder(out):
            with atomic(out / "sampling.json") as temporary:
                temporary.write_text(json.dumps(found, indent=2) + "\n")
            panels = {_title(points, group): _panel(points, group, bench) for group in _groups(points)}
            if panels:
                quality_figure(panels, out / "sampling.png")
            if images:
                draw_budgets(images, PICTURED, sorted(bench.calls), out / "pictures.png")
    except OSError as error:
        fail(f"--out: cannot write into {out}: {error.strerror}; name another folder", 2)


def _title(points: list[Point], group: str) -> str:
    cases = len({point.case for point in points if point.group == group})
    return group if cases == 1 else f"{group}, median of {cases}"


def _panel(
    points: list[Point], group: str, bench: SamplingBench
) -> tuple[dict[str, list[tuple[float, float]]], tuple[str, float, float] | None]:
    curves = {}
    for name in SAMPLERS:
        found = [over_cases(points, group, name, budget) for budget in sorted(bench.calls)]
        curve = [(cell[0], cell[1]) for cell in found if cell and cell[1] < float("inf")]
        if curve:
            curves[name] = curve
    many = [point for point in points if point.group == group and point.budget is None and point.distances]
    if not many:
        return curves, None
    return curves, (
        many[0].sampler,
        sum(point.calls or 0 for point in many) / len(many),
        sum(point.worst for point in many) / len(many),
    )
