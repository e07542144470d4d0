"""Samples: are they right, and how far does φ carry (Fig. 7, 8)?

They are judged by texture statistics, which know nothing of the network.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

import torch
from torch import Tensor

from fgs.evaluation.denoising import Found, Subject
from fgs.figures import image_grid
from fgs.images import Patches
from fgs.images.conditions import Advance, Condition, sample_rows
from fgs.images.samplers import HowToSample
from fgs.measures import Quality, TextureJudge, energy_distance
from fgs.measures.copies import largest_correlation
from fgs.noise import seeded
from fgs.protocols import ProjectedScore

SHOWN = 24  # classes that are drawn, of more
COPIES = 64  # samples a class that are searched for in the training images
FEW = 32  # samples of each place between two classes
ALPHAS, PAIRS = 5, 4  # places between two classes, and how many pairs
ALIKE = 0.2  # by so much the diversity of samples may differ from that of real patches
ENOUGH = 256  # real crops of a class for the judge
TRAINING, HELD_OUT, REAL = range(3)  # what the seed is used for


def fit_judge(patches: Patches, n: int = ENOUGH, seed: int = 0) -> TextureJudge:
    """Return a judge of n random crops of every class from what was trained on, and n from what was held out.

    Raises:
        ValueError: the patches are too small for texture statistics.
    """
    classes = range(len(patches.classes))
    training = torch.stack([patches.training(y, n, seeded(seed, TRAINING, y)) for y in classes])
    held_out = torch.stack([patches.held_out_crops(y, n, seeded(seed, HELD_OUT, y)) for y in classes])
    return TextureJudge.fit(training, held_out)


@dataclass(frozen=True)
class Judged:
    """How a model is sampled and judged."""

    subject: Subject  # what is evaluated
    judge: TextureJudge | None  # fitted to its patches; None where they are too small for texture statistics
    how: HowToSample  # sampler and seed
    n: int  # samples of each class
    advance: Advance  # told of every step of the sampler

    def draw(self, score: ProjectedScore, condition: Condition, n: int) -> Tensor:
        """Sample n images for every row of a condition: (rows, n, C, H, W)."""
        size = self.subject.patches.patch
        sampler, score = self.how.build(), self.how.cast(score)
        return sample_rows(score, condition, n, sampler, (size, size), self.how.seed, self.advance)

    def classes(self, x: Tensor) -> dict[str, Found]:
        """Judge the samples of every class, (K, n, C, H, W)."""
        names, judge = self.subject.model.classes, self.judge
        return {name: judge(x[y], y)._asdict() if judge else {} for y, name in enumerate(names)}


def samples(judged: Judged) -> Found:
    """Samples of every class against real patches, and whether they are copies of any."""
    subject = judged.subject
    x = judged.draw(subject.model.network, subject.model.condition(), judged.n)
    classes = judged.classes(x)
    for y, name in enumerate(subject.model.classes):
        classes[name] |= _copies(subject, y, x[y][:COPIES], judged.how.seed)
    if judged.judge:
        _find_nearest(judged.judge, x, classes)
    shown = list(enumerate(classes))[:: -(-len(classes) // SHOWN)]
    rows = {
        name: torch.cat([subject.patches.training(y, 4, seeded(judged.how.seed, REAL, y)), x[y][:6]])
        for y, name in shown
    }
    image_grid(rows, ["real"] * 4 + ["sample"] * min(6, judged.n), "", subject.folder / "samples.png")
    summary: dict[str, float | None] = dict(summarise(classes)) if judged.judge else {}
    for key in ("nearest", "real_nearest") if judged.judge else ():
        summary[f"{key}_own"] = sum(found[key] == name for name, found in classes.items()) / len(classes)
    excess = [found["memorised"] - found["real_memorised"] for found in classes.values()]
    summary["memorised_beyond_held_out"] = max(excess)
    return {"n": judged.n, "steps": judged.how.build().planned_steps(), "classes": classes, "summary": summary}


def _find_nearest(judge: TextureJudge, x: Tensor, classes: dict[str, Found]) -> None:
    """Add which class the statistics of samples, (K, n, C, H, W), are nearest to, and those of held-out patches."""
    names = list(classes)
    for y, found in enumerate(classes.values()):
        for key, statistics in {"nearest": judge.scaled(x[y]), "real_nearest": judge.held_out[y]}.items():
            distances = [float(energy_distance(statistics, other)) for other in judge.reference]
            found[key] = names[min(range(len(names)), key=distances.__getitem__)]


def _copies(subject: Subject, y: int, x: Tensor, seed: int) -> Found:
    """The 95th percentile of the largest correlation with places trained on: of samples, and of held-out patches."""
    regions = subject.trained_on(y)
    real = subject.patches.held_out_crops(y, COPIES, seeded(seed, y))
    found = {"memorised": x, "real_memorised": real}
    return {name: float(largest_correlation(patches, regions).quantile(0.95)) for name, patches in found.items()}


def summarise(classes: Mapping[str, Mapping[str, float]]) -> dict[str, float | None]:
    """Summarise `Quality` over the classes; a measure that is nowhere finite, as of flat pictures, is None."""

    def over(key: str, reduce: Callable[[Tensor], Tensor]) -> float | None:
        values = [found[key] for found in classes.values() if math.isfinite(found[key])]
        return float(reduce(torch.tensor(values))) if values else None

    return {
        "hit": over("hit", torch.mean),
        "real_hit": over("real_hit", torch.mean),
        "distance_median": over("distance", lambda values: values.quantile(0.5)),
        "distance_nine_tenths": over("distance", lambda values: values.quantile(0.9)),
        "distance_worst": over("distance", torch.max),
        "diversity_least": over("diversity", torch.min),
        "diversity_most": over("diversity", torch.max),
        "diversity_right": over("diversity", lambda values: ((values - 1).abs() <= ALIKE).double().mean()),
    }


def interpolation(judged: Judged) -> Found:
    """Samples between two classes (Fig. 8): how far their statistics have come from one to the other, at each α."""
    subject = judged.subject
    model, names, judge = subject.model, subject.model.classes, judged.judge
    assert model.targets is not None
    assert judge
    between = torch.cdist(model.targets, model.targets)
    pairs = sorted(combinations(range(len(names)), 2), key=lambda pair: float(between[pair]))
    chosen = [pairs[round(k)] for k in torch.linspace(0, len(pairs) - 1, min(PAIRS, len(pairs))).tolist()]
    rows, found, alphas = {}, [], torch.linspace(0, 1, ALPHAS)
    for a, b in chosen:
        x = judged.draw(model.network, model.condition([names[a], names[b]]).between(alphas), FEW)
        means = torch.stack([judge.scaled(part).mean(0) for part in x])
        way = means[-1] - means[0]
        progress = ((means - means[0]) @ way / way.square().sum()).tolist()
        found.append({"pair": [names[a], names[b]], "distance": float(between[a, b]), "progress": progress})
        found[-1]["monotone"] = all(first < second for first, second in pairwise(progress))
        ends = [subject.patches.training(y, 1, seeded(judged.how.seed, REAL, y)) for y in (a, b)]
        rows[f"{names[a]}\n{names[b]}"] = torch.cat([ends[0], *x[:, :1], ends[1]])
    columns = ["real", *(f"α = {alpha:.2g}" for alpha in alphas.tolist()), "real"]
    image_grid(rows, columns, "", subject.folder / "interpolation.png")
    return {"alphas": alphas.tolist(), "pairs": found}


COLUMNS = (*Quality._fields, "nearest", "memorised", "real_memorised")
