"""Steering on images: can particles do what φ does inside the network?

`python benchmarks/steering.py LAID OUT` samples twelve textures that the model that ships was not trained on (LAID: see
`shipped.py lay`): by the score projected on φ_y; by particles of the unguided score that log G = −‖φ(x̂) − φ_y‖²/2τ²
weighs; and by particles that follow the projected score, weighed against the unguided one. τ is a share of the distance
that patches of a class have from their φ_y. OUT gets a file, to which what is missing is added; the table is printed.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.evaluation.samples import fit_judge, summarise
from fgs.few_steps import FewSteps
from fgs.images import load_model
from fgs.images.conditions import Condition
from fgs.images.held_out import class_features, class_means
from fgs.images.sources import unseen_patches
from fgs.noise import seeded
from fgs.sampling import StepByStep
from fgs.steering import Steered, near
from shipped import TWELVE

PARTICLES, CALLS, BETA, ENDS = 48, 48, 0.5, (1.0, 0.01)
SHARES = (1.0, 0.3, 0.1)  # τ, in the distance of patches from their φ_y


def run(laid: Path, out: Path) -> None:
    """Measure what is missing, and print all."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "steering.json"
    rows: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    model = load_model()
    network = model.network
    patches = unseen_patches(model.recipe, laid / "unseen", ())[0]
    judge = fit_judge(patches)
    asked = Condition(class_features(network, patches).phi, *class_means(patches))  # type: ignore[arg-type]
    ways = ["projected", *(f"{way} τ {share:g}" for way in ("unguided", "both") for share in SHARES)]
    for way in ways:
        found = rows.setdefault(way, {})
        for y, name in enumerate(patches.classes):
            if name not in TWELVE or name in found:
                continue
            own = asked.row(y)
            guided, phi = own.guide(network, torch.zeros(PARTICLES, dtype=torch.long))
            plain = Condition(None, own.mean).guide(network, torch.zeros(PARTICLES, dtype=torch.long))[0]
            sampler: StepByStep = FewSteps(CALLS, BETA, *ENDS, denoise_last=True)
            if way != "projected":
                kind, share = way.split(" τ ")
                phi_y = own.phi
                assert phi_y is not None
                away = (model.features(patches.training(y, 64, seeded(y))) - phi_y).square().sum(1).mean().sqrt()
                potential = near(network, phi_y[0], float(share) * float(away))  # type: ignore[arg-type]
                free = plain if kind == "both" else None
                sampler = Steered(CALLS, BETA, *ENDS, denoise_last=True, potential=potential, free=free)
                guided, phi = (guided, phi) if kind == "both" else (plain, None)
            start = own.start(torch.zeros(PARTICLES, dtype=torch.long), (model.patch, model.patch), 1.0, seeded(y, 1))
            with torch.no_grad():
                x: Tensor = sampler(guided, start, phi, seeded(y, 2)).x
            found[name] = judge(x.clamp(0, 1), y)._asdict()
            write_text(path, json_text(rows))
        print(way, summarise(found), file=sys.stderr, flush=True)
    print("| way | hit | distance ÷ floor, median | worst | diversity, least |\n|---|---|---|---|---|")
    for way, found in rows.items():
        of = summarise(found)
        cells = [of[key] for key in ("hit", "distance_median", "distance_worst", "diversity_least")]
        print(f"| {way} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
