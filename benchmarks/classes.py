"""What makes a network take any texture: how many pictures, which changes of them, classes with labels or without end?

`python benchmarks/classes.py LAID OUT [NAME …]` trains networks (`small`, gray), each with one choice changed, and
samples the textures of LAID/unseen with each (LAID: see `shipped.py lay`). They take 18,000 steps, those that have φ of
some blocks 3,000, as the one beside them, "all". OUT gets a file a network, and the state of the one in training, so
that a run that was stopped goes on; without names all are made.

`python benchmarks/classes.py draw OUT FIGURE.png` prints the table and draws it.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from fgs.common.files import atomic, write_text
from fgs.common.text import json_text
from fgs.evaluation.samples import fit_judge, summarise
from fgs.figures.style import CLASS_COLOURS, OTHER, new_figure, save_figure
from fgs.images.conditions import Condition, sample_rows
from fgs.images.endless import USUAL, Endless, Variation
from fgs.images.held_out import class_features, class_means
from fgs.images.patches import Patches, draw_images
from fgs.images.recipe import OPTIMIZERS, SYNTHETIC, SYNTHETIC_SIZE, Recipe, Stream
from fgs.images.samplers import HowToSample
from fgs.images.sources import flat_classes, read_patches, unseen_patches
from fgs.measures import TextureJudge
from fgs.networks import GuidedUNet, UNet
from fgs.training.trainer import Trainer
from script import run_or_draw
from shipped import TWELVE

STEPS, FEW_STEPS, SAMPLES, SHARE = 18_000, 3_000, 16, 0.1
EVERY = 1000  # steps between two states that are kept
SEED = 0
PARTS: dict[str, Variation] = {
    "one scale": USUAL._replace(scales=(1,)),
    "contrast and gray kept": USUAL._replace(contrast=0.0, gray=0.0, inverted=0.0),
    "never turned": USUAL._replace(turned=False),
    "pictures as they are": Variation((1,), False, 0.0, 0.0, 0.0, False),
}
BLOCKS = {"φ of block 1": (0,), "φ of the encoder": (0, 1), "φ of the middle": (2,), "φ of the decoder": (3,)}
"""Of `small`: blocks 0 and 1 are the encoder, 2 the middle, 3 the decoder's first."""
NUMBERS = (12, 60, 400)
DISTANCES = ("distance_median", "distance_nine_tenths")
SHOWN = {"unseen": "60 textures", "twelve": "12 photographs"}
TWELVE_AT = 5  # where networks trained on the twelve themselves stand on the axis of pictures


class Data:
    """The pictures of a bank, and the classes that are sampled."""

    def __init__(self, laid: Path) -> None:
        folders = (str(laid / "textures"), str(laid / "photographs"))
        self.recipe = Recipe(folders, classes="endless", batch=16, steps=STEPS).on_this_machine()
        patches = read_patches(self.recipe)[0]
        flat = set(flat_classes(patches))
        self.pictures = [
            pixels
            for y, name in enumerate(patches.classes)
            if name not in flat
            for pixels in patches.training_pixels(y)
        ]
        drawn = draw_images(SYNTHETIC, 1, SYNTHETIC_SIZE)
        self.synthetic = [image for of_class in drawn.values() for image in of_class]
        self.unseen = unseen_patches(self.recipe, laid / "unseen", ())[0]
        names = tuple(name for name in self.unseen.classes if name in TWELVE)
        twelve = replace(self.recipe, data=(str(laid / "unseen"),), class_=names, classes="fixed")
        self.twelve = read_patches(twelve)[0]

    def some(self, n: int) -> list[Tensor]:
        """Return n pictures, spread evenly over the alphabet."""
        return [self.pictures[k * len(self.pictures) // n] for k in range(n)]


def choices(data: Data) -> dict[str, Callable[[], Stream]]:
    """Return what each network is trained on."""

    def of(pictures: Sequence[Tensor], variation: Variation = USUAL, share: float = 0.0) -> Endless:
        return Endless(pictures, 32, data.synthetic, share, variation)

    own = [pixels for y in range(len(data.twelve.classes)) for pixels in data.twelve.training_pixels(y)]
    numbers = (*NUMBERS, len(data.pictures))
    made: dict[str, Callable[[], Stream]] = {f"{n} pictures": lambda n=n: of(data.some(n)) for n in numbers}
    made["all"] = lambda: of(data.pictures, share=SHARE)
    the_twelve: dict[str, Callable[[], Stream]] = {"the twelve, fixed": lambda: data.twelve}
    the_twelve["the twelve, endless"] = lambda: of(own)
    parts = {name: lambda how=how: of(data.pictures, how) for name, how in PARTS.items()}
    return made | the_twelve | parts | dict.fromkeys(BLOCKS, made["all"])


def trained(
    recipe: Recipe,
    stream: Stream,
    seed: int = SEED,
    start: Mapping[str, Tensor] | None = None,
    classes: int = 1,
    matched: tuple[int, ...] | None = None,
    kept: Path | None = None,
) -> UNet:
    """Train a network, from the weights `start` or the state `kept` if there are any; return it, weights averaged."""
    network = recipe.build_network(classes)
    if matched:
        some = GuidedUNet(**network.settings | {"matched": matched})
        some.load_state_dict(network.state_dict() | {"gain": some.gain.detach()})
        network = some
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss = recipe.build_loss(stream, classes)
    optimizers = OPTIMIZERS[recipe.optimizer]
    trainer = Trainer(network, loss, recipe.budget(), recipe.learning_rate, seed=seed, optimizers=optimizers)
    if start is not None:
        trainer.start_at(start)
    if kept and kept.exists():
        trainer.load_state_dict(torch.load(kept, weights_only=True))
    for record in trainer.run():
        if kept and record.step % EVERY == 0:
            with atomic(kept) as temporary:
                torch.save(trainer.state_dict(), temporary)
    averaged = trainer.ema.eval()
    assert isinstance(averaged, UNet)
    return averaged


@torch.no_grad()
def judged(
    network: GuidedUNet, patches: Patches, judge: TextureJudge, n: int = SAMPLES, seed: int = SEED
) -> dict[str, Any]:
    """Sample every class, and return hit and distance, of the twelve and of the others apart."""
    asked, how = Condition(class_features(network, patches).phi, *class_means(patches)), HowToSample(seed=seed)
    x = sample_rows(how.cast(network), asked, n, how.build(), (32, 32), seed)
    classes = {name: judge(x[y], y)._asdict() for y, name in enumerate(patches.classes)}
    parts = {"all": classes, "twelve": {}, "unseen": {}}
    for name, found in classes.items():
        parts["twelve" if name in TWELVE else "unseen"][name] = found
    return {name: summarise(part) for name, part in parts.items() if part} | {"classes": classes}


def run(laid: Path, out: Path, names: list[str]) -> None:
    """Make what is missing of the networks asked for."""
    data = Data(laid)
    made = choices(data)
    judge = fit_judge(data.unseen)
    for name in names or made:
        path = out / f"{name.replace(' ', '-').replace(',', '')}.json"
        if path.exists():
            continue
        out.mkdir(parents=True, exist_ok=True)
        kept = path.with_suffix(".pt")
        steps = FEW_STEPS if name in ("all", *BLOCKS) else STEPS
        network = trained(replace(data.recipe, steps=steps), made[name](), matched=BLOCKS.get(name), kept=kept)
        assert isinstance(network, GuidedUNet)
        found = judged(network, data.unseen, judge)
        write_text(path, json_text({"name": name, "steps": steps} | found))
        kept.unlink()
        print(name, found["unseen"], found["twelve"], file=sys.stderr, flush=True)


def draw(out: Path, path: Path) -> None:
    """Print hit and distance of every network; draw them over the number of pictures, and by what is left out."""
    found = {each["name"]: each for each in (json.loads(file.read_text()) for file in sorted(out.glob("*.json")))}
    print("| | " + " | ".join(f"{of}: hit | median | 90 %" for of in SHOWN.values()) + " |\n|" + "---|" * 7)
    for name, each in found.items():
        cells = [each[key][part] for key in SHOWN for part in ("hit", *DISTANCES)]
        print(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    figure = new_figure(10.0, 7.0)
    (hits, distances), (parts, blocks) = figure.subplots(2, 2)
    _over_pictures(hits, found, "hit")
    _over_pictures(distances, found, DISTANCES[0])
    hits.set(ylim=(0, 1), ylabel="class hit", title="Textures never seen, by the number of pictures")
    distances.set(yscale="log", ylabel="distance ÷ floor, median", title="The same, distance")
    distances.set_yticks((1, 2, 4), ("1", "2", "4"))
    distances.minorticks_off()
    every = max((name for name in found if name.endswith("pictures")), key=lambda name: int(name.split()[0]))
    _without(parts, {name: found[name] for name in (every, *PARTS) if name in found})
    _without(blocks, {name: found[name] for name in ("all", *BLOCKS) if name in found})
    parts.set(xlabel=f"class hit after {STEPS:,} steps", title="A change of the pictures left out")
    blocks.set(xlabel=f"class hit after {FEW_STEPS:,} steps", title="φ of some blocks only")
    save_figure(figure, path)


def _over_pictures(axis: Axes, found: dict[str, Any], key: str) -> None:
    """Draw one measure over the number of pictures, and beside it two networks trained on the twelve themselves."""
    sizes = sorted((int(name.split()[0]), name) for name in found if name.endswith("pictures"))
    for number, (of, label) in enumerate(SHOWN.items(), 1):
        colour = CLASS_COLOURS[number]
        axis.plot([n for n, _ in sizes], [found[name][of][key] for _, name in sizes], "o-", color=colour, label=label)
        for name, marker in (("the twelve, endless", "^"), ("the twelve, fixed", "s")):
            if name in found:
                axis.plot(TWELVE_AT, found[name][of][key], marker, color=colour, mfc="none")
        real = next(iter(found.values()))[of]["real_hit"] if key == "hit" else 1.0
        axis.axhline(real, color=colour, lw=0.8, ls="--")
    for name, marker in (("on the twelve, endless", "^"), ("on the twelve, fixed classes", "s")):
        axis.plot([], [], marker, color=OTHER, mfc="none", label=name)
    axis.plot([], [], "--", color=OTHER, lw=0.8, label="held-out patches")
    axis.set(xscale="log", xlabel="pictures that classes are drawn from")
    axis.set_xticks([n for n, _ in sizes], [f"{n:,}" for n, _ in sizes])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=8)


def _without(axis: Axes, found: dict[str, Any]) -> None:
    """Draw the hits of networks by their names, the best above."""
    names = sorted(found, key=lambda name: found[name]["unseen"]["hit"])
    for number, (key, label) in enumerate(SHOWN.items(), 1):
        hits = [found[name][key]["hit"] for name in names]
        axis.plot(hits, range(len(names)), "o", color=CLASS_COLOURS[number], label=label)
    axis.set(xlim=(0, 1), yticks=range(len(names)), yticklabels=names)
    axis.grid(axis="y", alpha=0.3)
    axis.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    run_or_draw(lambda typed: run(Path(typed[0]), Path(typed[1]), typed[2:]), draw, "LAID OUT [NAME …]")
