"""Interpolation (Fig. 8), letting go (Fig. 13) and copies, over many textures that were never trained on.

`python benchmarks/unseen.py UNSEEN SEEN OUT [MODEL]` (SEEN: folders, with commas between them) takes the measures of
`fgs evaluate` with more pairs and classes: thirty pairs by rising distance of φ, and all classes that there are, whose
samples are searched for in the nearest textures that were trained on. It prints what is found, and leaves figures
and found.json in OUT.
"""

import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.evaluation import samples
from fgs.evaluation.denoising import Subject
from fgs.images.model import load_model
from fgs.images.samplers import HowToSample
from fgs.images.sources import patches_of, unseen_patches
from script import fail

PAIRS, BETWEEN, RELEASED, CALLS, COPIED = 30, 24, 16, 24, 24


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
        (samples.release, RELEASED, CALLS),
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


if __name__ == "__main__":
    main()
