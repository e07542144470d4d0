"""Interpolation (Fig. 8) and letting go (Fig. 13) over many textures that were never trained on.

`python benchmarks/unseen.py UNSEEN OUT [MODEL]` takes the measures of `fgs evaluate` with more pairs and classes:
thirty pairs by rising distance of φ, and as many classes as there are. It prints what is found, and leaves figures
and found.json in OUT.
"""

import sys
from dataclasses import replace
from pathlib import Path

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.evaluation import samples
from fgs.evaluation.denoising import Subject
from fgs.images.model import load_model
from fgs.images.samplers import HowToSample
from fgs.images.sources import unseen_patches
from script import fail

PAIRS, BETWEEN, RELEASED, CALLS = 30, 24, 16, 24


def main() -> None:
    """Measure, and say what was found."""
    if len(sys.argv) not in (3, 4):
        fail("give UNSEEN OUT [MODEL]", 2)
    out = Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    model = load_model(Path(sys.argv[3]) if len(sys.argv) > 3 else None)
    patches = unseen_patches(replace(model.recipe, device="cpu"), Path(sys.argv[1]), model.trained_on)[0]
    subject, judge = Subject(model.showing(patches), patches, out), samples.fit_judge(patches)
    found = {}
    for name, measure, n, calls in (
        ("interpolation", samples.interpolation, BETWEEN, None),
        ("release", samples.release, RELEASED, CALLS),
    ):
        samples.FEW, samples.PAIRS = n, PAIRS
        judged = samples.Judged(subject, judge, HowToSample(steps=calls), n, lambda images: None)
        found[name] = measure(judged)
        write_text(out / "found.json", json_text(found))
        print(name, file=sys.stderr, flush=True)
    pairs = found["interpolation"]["pairs"]
    print(f"monotone: {sum(pair['monotone'] for pair in pairs)} of {len(pairs)}")
    free = [level for level in found["release"]["classes"].values() if level is not None]
    print(f"letting go: r = {found['release']['r']:.2f} over {len(free)} textures")


if __name__ == "__main__":
    main()
