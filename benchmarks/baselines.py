"""Guidance by features against labels, CFG and one network a class, at equal size and training: a release check.

    python benchmarks/baselines.py IMAGES STEPS SEEDS OUT [options of fgs train-images …]

For every seed four networks of the preset "small" are trained for STEPS steps on the images of IMAGES: guided by
features, given labels, of the mixture, and of the first class alone. Then their denoising and their samples are
measured, as `fgs evaluate` does, into OUT; what is there already is kept. Prints Markdown tables: PSNR of held-out
patches by condition, and the samples of every way to guide, a row a seed.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.evaluation.denoising import Subject, denoising
from fgs.evaluation.features import concentration
from fgs.evaluation.samples import Judged, fit_judge, samples, summarise
from fgs.guidance import ClassifierFreeGuidance
from fgs.images.conditions import Condition
from fgs.images.held_out import denoise_held_out
from fgs.images.model import Model, load_model
from fgs.images.reading import find_classes
from fgs.images.samplers import HowToSample
from fgs.images.sources import patches_of
from fgs.noise import seeded
from fgs.protocols import ProjectedScore

SAMPLES = 64  # of each class
OMEGAS = (1.0, 4.0)  # of classifier-free guidance
SINGLE = 4  # what the seed is used for
GUIDANCE = {"features": "features", "label": "label", "unconditional": "none", "single": "none"}


def train(images: Path, steps: str, seed: int, out: Path, options: list[str]) -> dict[str, Model]:
    """Train the networks of one seed, unless they are there."""
    runs = {name: out / f"{name}-{seed}" for name in GUIDANCE}
    for name, run in runs.items():
        one = ["--class", next(iter(find_classes(images)[0]))] if name == "single" else []
        settings = ["--guidance", GUIDANCE[name], "--steps", steps, "--seed", str(seed), *one, *options]
        begin = ["--data", str(images), *settings, "--out", str(run)]
        command = ["train-images", *(["--resume", str(run)] if run.exists() else begin)]
        subprocess.run([sys.executable, "-m", "fgs", *command], check=True, stdout=sys.stderr)
    return {name: load_model(run) for name, run in runs.items()}


def measure(models: dict[str, Model], images: Path, seed: int, out: Path) -> dict[str, Any]:
    """Measure denoising and samples of the networks of one seed, unless it was done."""
    folder = out / f"measured-{seed}"
    if not (folder / "found.json").exists():
        folder.mkdir(exist_ok=True)
        patches = patches_of(models["features"], [images])
        subject = Subject(models["features"], patches, folder)
        how = HowToSample(precision="float32", seed=seed)
        judged = Judged(subject, fit_judge(patches), how, SAMPLES, lambda images: None)
        found = {"denoising": denoising(subject), "concentration": concentration(subject), "samples": samples(judged)}
        for name, condition in {"unconditional": "none", "label": "right"}.items():
            curves = denoise_held_out(
                models[name].network, models[name].targets, patches, found["denoising"]["sigma"], 32
            )
            found["denoising"]["psnr"][name] = curves[condition]
        found |= {"ways": ways(judged, models["label"]), "single": single_class(judged, models["single"])}
        write_text(folder / "found.json", json_text(found))
    kept: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return kept


def ways(judged: Judged, label: Model) -> dict[str, Any]:
    """Summarise samples by φ of a single x' instead of the centroid, by labels, and by CFG."""
    model, patches = judged.subject.model, judged.subject.patches
    each = [patches.training(y, judged.n, seeded(SINGLE, y)) for y in range(len(model.classes))]
    means = torch.cat(each).mean((2, 3), keepdim=True)
    asked = Condition(torch.cat([model.features(x_prime) for x_prime in each]), means)
    x = judged.draw(model.network, asked, 1).reshape(len(each), judged.n, *each[0].shape[1:])
    found = {"features, each sample by one x'": summarise(judged.classes(x))}
    rules: dict[str, ProjectedScore] = {"label": label.network}
    rules |= {f"CFG, ω = {w:g}": ClassifierFreeGuidance(label.network, label.network, w) for w in OMEGAS}
    for name, score in rules.items():
        found[name] = summarise(judged.classes(judged.draw(score, label.condition(), judged.n)))
    return found


def single_class(judged: Judged, single: Model) -> dict[str, Any]:
    """Judge samples of the network of one class alone (Fig. 3 right)."""
    assert judged.judge
    x = judged.draw(single.network, single.unguided, judged.n)
    name = single.classes[0]
    return {"class": name} | judged.judge(x[0], judged.subject.model.classes.index(name))._asdict()


def main(images: Path, steps: str, seeds: int, out: Path, options: list[str]) -> None:
    """Measure every seed and print the tables."""
    out.mkdir(parents=True, exist_ok=True)
    networks = [train(images, steps, seed, out, options) for seed in range(seeds)]
    found = [measure(models, images, seed, out) for seed, models in enumerate(networks)]
    sigmas = found[0]["denoising"]["sigma"]
    print(f"| condition | seed | {' | '.join(f'σ = {sigma:g}' for sigma in sigmas)} |\n|---|---|{'---|' * len(sigmas)}")
    for name in found[0]["denoising"]["psnr"]:
        for seed, report in enumerate(found):
            cells = " | ".join(f"{psnr:.2f}" for psnr in report["denoising"]["psnr"][name])
            print(f"| {name} | {seed} | {cells} |")
    accuracy = [f"{report['concentration']['layers']['all']['nearest_centroid']:.3f}" for report in found]
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
