"""Interpolation (Fig. 8), letting go (Fig. 13) and copies, over many textures that were never trained on.

`python benchmarks/unseen.py UNSEEN SEEN OUT [MODEL]` (SEEN: folders, with commas between them) takes the measures of
`fgs evaluate` with more pairs and classes: thirty pairs by rising distance of φ, and all classes that there are, whose
samples are searched for in the nearest textures that were trained on; and how early guidance of each can end. It prints
what is found, and leaves figures and found.json in OUT.
"""

import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.evaluation import samples
from fgs.evaluation.denoising import Found, Subject
from fgs.figures import new_figure, save_figure
from fgs.guidance import Released
from fgs.images.model import load_model
from fgs.images.samplers import HowToSample
from fgs.images.sources import patches_of, unseen_patches
from script import fail

PAIRS, BETWEEN, RELEASED, CALLS, COPIED = 30, 24, 16, 24, 24
RELEASES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)  # noise levels at which guidance ends
UNCHANGED = 0.1  # loss of class hit that counts as none


def main() -> None:
    """Measure, and say what was found."""
    if len(sys.argv) not in (4, 5):
        fail("give UNSEEN SEEN OUT [MODEL]", 2)
    unseen, seen, out = Path(sys.argv[1]), [Path(name) for name in sys.argv[2].split(",")], Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    model = load_model(Path(sys.argv[4]) if len(sys.argv) > 4 else None)
    trained = model.only(model.trained_on)
    patches = unseen_patches(replace(model.recipe, device="cpu"), unseen, model.trained_on)[0]
    bank = (trained, patches_of(trained, seen))
    subject, judge = Subject(model.showing(patches), patches, out, bank=bank), samples.fit_judge(patches)
    found = {}
    for measure, n, calls in (
        (samples.interpolation, BETWEEN, None),
        (release, RELEASED, CALLS),
        (samples.samples, COPIED, None),
    ):
        samples.FEW, samples.PAIRS = n, PAIRS
        judged = samples.Judged(subject, judge, HowToSample(steps=calls), n, lambda images: None)
        found[measure.__name__] = measure(judged)
        write_text(out / "found.json", json_text(found))
        print(measure.__name__, file=sys.stderr, flush=True)
    pairs = found["interpolation"]["pairs"]
    print(f"monotone: {sum(pair['monotone'] for pair in pairs)} of {len(pairs)}")
    free = [level for level in found["release"]["classes"].values() if level is not None]
    print(f"letting go: r = {found['release']['r']:.2f} over {len(free)} textures")
    excess = [each["memorised"] - each["real_memorised"] for each in found["samples"]["classes"].values()]
    print(
        f"correlation with the bank beyond that of held-out patches: {median(excess):+.3f}, at most {max(excess):+.3f}"
    )


def release(judged: samples.Judged) -> Found:
    """How early guidance can end (Fig. 13): class hit when it ends at each σ, and the largest σ that changes nothing.

    Section 3 predicts that it can end the earlier, the farther a class is from its nearest other one. All classes start
    around the mean of the mixture, as in Algorithm 1: a start around its own tells a dark class without any guidance.
    """
    model = judged.subject.model
    assert model.targets is not None
    condition = model.condition()._replace(mean=model.mean.expand_as(model.means), covariance=None)
    hits = {}
    for level in (0.0, *RELEASES):
        x = judged.draw(Released(model.network, model.network, level), condition, judged.n)
        hits[level] = [found["hit"] for found in judged.classes(x).values()]
    free: list[float | None] = []
    for y in range(len(model.classes)):
        if hits[0.0][y] < 0.5:
            free.append(None)  # there is nothing to lose
            continue
        kept = [level for level in RELEASES if hits[level][y] < hits[0.0][y] - UNCHANGED]
        free.append(max((level for level in (0.0, *RELEASES) if level < min(kept, default=1.0)), default=0.0))
    distances = torch.cdist(model.targets, model.targets).fill_diagonal_(torch.inf).min(1).values.tolist()
    points = [(d, f) for d, f in zip(distances, free, strict=True) if f is not None]
    r = float(torch.corrcoef(torch.tensor(points).T)[0, 1].nan_to_num()) if len(points) > 1 else 0.0
    figure = new_figure(5.6, 3.8)
    axes = figure.subplots()
    axes.plot([d for d, _ in points], [f for _, f in points], "o", color="#0072B2", ms=4, mec="white", mew=0.3)
    axes.set(xlabel="distance of φ to the nearest other class", ylabel="largest σ at which to let go")
    save_figure(figure, judged.subject.folder / "release.png")
    return {"classes": dict(zip(model.classes, free, strict=True)), "nearest": distances, "r": r} | {
        "hits": {f"{level:g}": row for level, row in hits.items()}
    }


if __name__ == "__main__":
    main()
