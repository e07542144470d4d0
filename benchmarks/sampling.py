"""Quality of every sampler against its network calls, on exact mixtures, a trained MLP and a model of images.

    python benchmarks/sampling.py [RUN] [options; --help lists them]

Distances to true samples ÷ their floors, as tables or JSON, and with --out as figures. `--quick` shows that it runs.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from rich.table import Table

from fgs.commands.console import as_option, fail, results_in, step_bar, usage_errors
from fgs.commands.interface import make_command
from fgs.common.files import write_text
from fgs.common.options import Argument, Option, at_least
from fgs.common.text import json_text
from fgs.images import load_model
from mixtures import EXACT_CASES, exact_cases, learned_case
from quality_figure import Panel, quality_figure
from samplers import SAMPLERS, Case, Point, over_cases, points_of
from script import run_script, wide_console
from textures import ImageCase, NoPhotographsError, draw_budgets, image_case

PICTURED = "multi-step, Langevin"  # whose samples are drawn side by side
WHAT = ("exact", "learned", "images")
QUICK: dict[str, Any] = {"calls": (12, 30), "samples": 400, "n": 2, "training_steps": 200, "seeds": 1}
"""What --quick stands for, where nothing else is asked for."""


def _names(lists: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for names in lists for name in names.split(",")))


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.replace(",", " ").split()}))
    except ValueError:
        raise ValueError(f"calls: must be whole numbers with commas between, as 12,30,50, got {text}") from None


@dataclass(frozen=True)
class SamplingBench:
    """Compare samplers: distance to true samples ÷ its floor, against network calls.

    Raises:
        ValueError: an option is out of range; the message begins with its name.
    """

    run: Annotated[Path | None, Argument("Folder of a run, or a checkpoint; the model that ships if left out.")] = None
    what: Annotated[
        tuple[str, ...],
        Option("Mixtures with exact scores, a network of one, images.", metavar=",".join(WHAT), read=_names),
    ] = WHAT
    calls: Annotated[
        tuple[int, ...], Option("Budgets of network calls, with commas between.", typed=str, read=_whole_numbers)
    ] = (8, 12, 20, 30, 50)
    samples: Annotated[int, Option("Samples of a mixture.")] = 2000
    n: Annotated[int, Option("Images of each class.")] = 32
    seeds: Annotated[int, Option("Sets of samples of each point.")] = 2
    data: Annotated[
        Path | None, Option("Folder with the photographs trained on; that of FGS_TEXTURES if left out.")
    ] = None
    training_steps: Annotated[int, Option("Steps of the network of the learned mixture.")] = 8000
    reference: Annotated[
        int | None, Option("Also sample images by SISA with so many calls; 2000 take half an hour.")
    ] = None
    out: Annotated[Path | None, Option("New folder for sampling.png, pictures.png and sampling.json.")] = None
    json: Annotated[bool, Option("Print JSON only.")] = False
    quick: Annotated[bool, Option("Very little of everything: for whether it runs, not for what it finds.")] = False
    given: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name, value in QUICK.items() if self.quick else ():
            if name not in self.given:
                object.__setattr__(self, name, value)
        for name in self.what:
            if name not in WHAT:
                raise ValueError(f"what: must be of {', '.join(WHAT)}, got {name}")
        if not self.calls or min(self.calls) < 2:
            raise ValueError("calls: must be numbers of at least 2 with commas between, as 12,30,50")
        at_least(self, samples=2, n=2, training_steps=1, seeds=1, reference=100)


def bench_sampling(bench: SamplingBench) -> None:
    """Measure every sampler on every case, and print or write what was found."""
    images, left_out = _images(bench) if "images" in bench.what else (None, None)
    with results_in(bench.out) if bench.out else nullcontext() as out:
        points = _measure(bench, images)
        found = {"points": [point._asdict() for point in points], "left_out": left_out}
        if out:
            _write(out, bench, points, images, found)
    if bench.json:
        print(json_text(found))
    else:
        _print(points, bench)


def _images(bench: SamplingBench) -> tuple[ImageCase | None, str | None]:
    """Return the case of images, or why it is left out: it may be, unless its photographs were named."""
    with usage_errors():
        model = load_model(bench.run)
    try:
        return image_case(model, bench.data, bench.n, 0, bench.reference), None
    except NoPhotographsError as error:
        reason = as_option(error)
    if bench.data:
        fail(reason, 2)
    print(f"fgs: warning: images left out: {reason}", file=sys.stderr)
    return None, reason


def _measure(bench: SamplingBench, images: ImageCase | None) -> list[Point]:
    seeds, each = range(bench.seeds), len(SAMPLERS) * len(bench.calls)
    total = {"exact": EXACT_CASES * each, "learned": 100 + each, "images": bench.seeds * each if images else 0}
    points: list[Point] = []
    with step_bar(sum(total[name] for name in bench.what), "measurements") as advance:

        def add(case: Case) -> None:
            points.extend(points_of(case, bench.calls, lambda label: advance(label, 1)))

        if "exact" in bench.what:
            for case in exact_cases(bench.samples, seeds):
                add(case)
        if "learned" in bench.what:
            add(learned_case(bench.samples, seeds, bench.training_steps, _hundredths(advance)))
        if images:
            for seed in seeds:
                add(replace(images, seed=seed, name=f"seed {seed}"))
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


def _groups(points: list[Point]) -> dict[str, int]:
    """Return the number of cases of each group."""
    cases = dict.fromkeys((point.group, point.case) for point in points)
    groups = [group for group, _ in cases]
    return {group: groups.count(group) for group in groups}


def _print(points: list[Point], bench: SamplingBench) -> None:
    """Print a table for each group: the median and the worst case for every sampler and budget."""
    console = wide_console()
    for group, cases in _groups(points).items():
        of = "" if cases == 1 else f", median (and worst) of {cases}"
        table = Table(title=f"{group}: distance ÷ floor{of}", title_justify="left", title_style="bold")
        table.add_column("network calls")
        for budget in bench.calls:
            table.add_column(str(budget), justify="right")
        for name in SAMPLERS:
            cells = [over_cases(points, group, name, budget) for budget in bench.calls]
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
    write_text(out / "sampling.json", json_text(found) + "\n")
    panels = {
        group if cases == 1 else f"{group}, median of {cases}": _panel(points, group, bench)
        for group, cases in _groups(points).items()
    }
    if panels:
        quality_figure(panels, out / "sampling.png")
    if images:
        draw_budgets(images, PICTURED, bench.calls, out / "pictures.png")


def _panel(points: list[Point], group: str, bench: SamplingBench) -> Panel:
    curves = {}
    for name in SAMPLERS:
        found = [over_cases(points, group, name, budget) for budget in bench.calls]
        curve = [(cell[0], cell[1]) for cell in found if cell and cell[1] < float("inf")]
        if curve:
            curves[name] = curve
    many = [point for point in points if point.group == group and point.budget is None and point.distances]
    if not many:
        return Panel(curves)
    calls, distances = [point.calls or 0 for point in many], [point.worst for point in many]
    return Panel(curves, (many[0].sampler, sum(calls) / len(many), sum(distances) / len(many)))


command = make_command(SamplingBench, bench_sampling)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script with these arguments; None takes those of the command line."""
    run_script(command, "sampling.py", arguments)


if __name__ == "__main__":
    main()
