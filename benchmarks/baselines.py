"""Guidance by features against labels, CFG and one network a class, at equal size and training: a release check.

    python benchmarks/baselines.py IMAGES STEPS SEEDS OUT [options of fgs train-images …]

For every seed four networks of the preset "small" are trained for STEPS steps on the images of IMAGES: guided by
features, given labels, of the mixture, and of the first class alone. `fgs evaluate` then measures them, into OUT.
Prints Markdown tables: PSNR of held-out patches by condition, and the samples of every way to guide, a row a seed.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fgs.images import find_classes

SAMPLES = "64"  # of each class
GUIDANCE = {"features": "features", "label": "label", "unconditional": "none", "single": "none"}


def fgs(*arguments: str) -> None:
    """Run a command of the library."""
    subprocess.run([sys.executable, "-m", "cli", *arguments], check=True, stdout=sys.stderr)


def measure(images: Path, steps: str, seed: int, out: Path, options: list[str]) -> dict[str, Any]:
    """Train the networks of one seed, unless they are there, and return what `fgs evaluate` found."""
    runs = {name: out / f"{name}-{seed}" for name in GUIDANCE}
    for name, run in runs.items():
        one = ["--class", next(iter(find_classes(images)))] if name == "single" else []
        settings = ["--guidance", GUIDANCE[name], "--steps", steps, "--seed", str(seed), *one, *options]
        if not run.exists():
            fgs("train-images", "--data", str(images), *settings, "--out", str(run))
    report = out / f"report-{seed}"
    if not report.exists():
        against = [part for name in list(runs)[1:] for part in (f"--{name}", str(runs[name]))]
        fgs("evaluate", str(runs["features"]), *against, "--n", SAMPLES, "--out", str(report))
    found: dict[str, Any] = json.loads((report / "report.json").read_text())
    return found


def main(images: Path, steps: str, seeds: int, out: Path, options: list[str]) -> None:
    """Measure every seed and print the tables."""
    out.mkdir(parents=True, exist_ok=True)
    found = [measure(images, steps, seed, out, options) for seed in range(seeds)]
    sigmas = found[0]["denoising"]["sigma"]
    print(f"| condition | seed | {' | '.join(f'σ = {sigma:g}' for sigma in sigmas)} |\n|---|---|{'---|' * len(sigmas)}")
    for name in found[0]["denoising"]["psnr"]:
        for seed, report in enumerate(found):
            cells = " | ".join(f"{psnr:.2f}" for psnr in report["denoising"]["psnr"][name])
            print(f"| {name} | {seed} | {cells} |")
    accuracy = [f"{report['concentration']['nearest_centroid']:.3f}" for report in found]
    print(f"\nNearest centroid of held-out patches: {', '.join(accuracy)}\n")
    measures = list(next(iter(found[0]["ways"].values())))
    print(f"| way to guide | seed | {' | '.join(name.replace('_', ' ') for name in measures)} |")
    print(f"|---|---|{'---|' * len(measures)}")
    for name in ("features, centroid", *found[0]["ways"]):
        for seed, report in enumerate(found):
            summary = report["ways"].get(name, report["samples"]["summary"])
            print(f"| {name} | {seed} | {' | '.join(f'{summary[key]:.3f}' for key in measures)} |")
    print("\n| one class | seed | class | hit | distance | diversity | contrast |\n|---|---|---|---|---|---|---|")
    for seed, report in enumerate(found):
        name = report["single"]["class"]
        for way, quality in (("features", report["samples"]["classes"][name]), ("alone", report["single"])):
            cells = " | ".join(f"{quality[key]:.3f}" for key in ("hit", "distance", "diversity", "contrast"))
            print(f"| {way} | {seed} | {name} | {cells} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:])
