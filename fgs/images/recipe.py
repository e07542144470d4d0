"""The recipe of a training on images: every choice that the paper leaves open, and what it builds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Annotated, Any, Protocol

import torch
from torch import Generator, Tensor, nn

import fgs.denoising as denoising
from fgs.common.options import Option, at_least, check_choices, positive, require
from fgs.images.reading import Preparation
from fgs.networks.unet import PRESETS, GuidedUNet, LabelUNet, UNet, receptive_field
from fgs.noise import seeded
from fgs.training.devices import best_device, best_precision, check_device
from fgs.training.muon import muon
from fgs.training.processes import average, processes, share
from fgs.training.trainer import NOTHING, Budget, Loss, Optimizers, Spent, adam

NOISE_LEVELS = {"uniform": denoising.uniform(), "log-uniform": denoising.log_uniform(), "squared": denoising.squared()}
"""uniform: the paper's."""

WEIGHTS = {"none": denoising.unweighted, "inverse-variance": denoising.inverse_variance(0.1)}
"""none: the paper's."""

_LIGHT = {"patch": 32, "batch": 8, "shared": 4, "primes": 4, "learning_rate": 2e-3, "optimizer": "muon", "twice": 0.2}
_PAPER = {"patch": 80, "batch": 64, "shared": 1, "primes": 1, "learning_rate": 1e-3, "optimizer": "adam", "twice": 0.0}

DEFAULTS: dict[str, dict[str, Any]] = {"small": _LIGHT, "medium": _LIGHT, "paper": _PAPER}
"""What a preset trains with: on two cores many light steps do more than few heavy ones."""

BY_PRESET: Any = None  # a field that is left at this takes the value of its preset

OPTIMIZERS: dict[str, Optimizers] = {"adam": adam, "muon": muon}
"""adam: the paper's."""

INIT, BANK = 2, 6  # what the seed is used for, beside what `fgs.images.synthetic` uses it for

MANY = 64  # classes from which on "auto" makes endless ones of them
SYNTHETIC, SYNTHETIC_SIZE = 160, 256  # textures that the library draws for endless classes, and pixels a side


class Stream(Protocol):
    """Draws the pairs of a batch: `Patches` of the classes that there are, or `Endless` ones."""

    def pairs(
        self, n: int, generator: Generator | None = None, shared: int = 1, primes: int = 1
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return x, x' and the classes of x, as `Patches.pairs` says."""


_data, _method, _networks = (partial(Option, panel=panel) for panel in ("Data", "Method", "Networks"))


@dataclass(frozen=True)
class Recipe:
    """What to train on what: the options of `fgs train-images` that a run keeps."""

    data: Annotated[tuple[str, ...], _data("Folder with an image or folder a class; or an image; else drawn.")] = ()
    class_: Annotated[tuple[str, ...], _data("A class of --data; may be repeated. All if unsaid.", flag="--class")] = ()
    classes: Annotated[str, _data("Those of --data, or new ones made of many.", "auto|fixed|endless")] = "auto"
    clusters: Annotated[int | None, _data("Classes to find by φ in all patches; labels only tell how well.")] = None
    synthetic: Annotated[float, _data("Share of endless classes that the library draws.")] = 0.1
    twice: Annotated[float, _data("Share of endless batches with x of twice the size; 0 for paper.")] = BY_PRESET
    unseen: Annotated[str | None, _data("Folder of classes to measure while training.")] = None
    color: Annotated[bool, _data("RGB instead of gray.")] = False
    patch: Annotated[int, _data("Pixels a side of a patch; 80 for paper, 32 for the others.")] = BY_PRESET
    overlapping: Annotated[bool, _data("Every crop, or a grid (paper).", flag="--overlapping/--side-by-side")] = True
    downscale: Annotated[int, _data("Average blocks of so many pixels a side.")] = 1
    held_out: Annotated[float, _data("Share of each image that is never trained on.")] = 0.25
    from_: Annotated[str | None, _method("Run, or shipped, whose weights to start at.", flag="--from")] = None
    guidance: Annotated[str, _method("Algorithm 2, labels, or Algorithm 4.", "features|label|none")] = "features"
    preset: Annotated[str, _method("UNet of 11.6, 1.03 or 0.46 million weights.", "|".join(PRESETS))] = "small"
    p_drop: Annotated[float, _method("Share of pairs trained without φ, or without label.")] = 0.1
    sigma_distribution: Annotated[str, _method("Of σ; uniform is the paper's.", "|".join(NOISE_LEVELS))] = "squared"
    loss_weight: Annotated[str, _method("Of errors by σ; none is the paper's.", "|".join(WEIGHTS))] = "inverse-variance"
    batch: Annotated[int, _networks("Pairs of a step; 64 for paper, 8 for the others.")] = BY_PRESET
    shared: Annotated[int, _networks("Pairs that share x', which saves passes; 1 for paper, 4 else.")] = BY_PRESET
    primes: Annotated[int, _networks("Patches x' whose φ is averaged; 1 for paper, 4 else.")] = BY_PRESET
    steps: Annotated[int | None, _networks("Steps, the same on every machine, instead of --minutes.")] = None
    minutes: Annotated[float, _networks("Training time.")] = 30.0
    learning_rate: Annotated[float, _networks("The highest; 0.001 for paper, 0.002 for the others.")] = BY_PRESET
    optimizer: Annotated[str, _networks("adam for paper, muon else.", "|".join(OPTIMIZERS))] = BY_PRESET
    precision: Annotated[str, _networks("Of products; auto where it pays.", "auto|float32|bfloat16")] = "auto"
    device: Annotated[str, _networks("Where to train.", "auto|cpu|cuda|mps")] = "auto"
    compile_: Annotated[bool, _networks("Compile first: minutes that pay on a GPU.", flag="--compile")] = False
    seed: Annotated[int, _networks("Seed of everything drawn.")] = 0

    def __post_init__(self) -> None:
        for name, value in DEFAULTS.get(self.preset, {}).items():
            if getattr(self, name) is BY_PRESET:
                object.__setattr__(self, name, value)
        if isinstance(self.data, str):
            object.__setattr__(self, "data", (self.data,))
        check_choices(self)
        at_least(self, clusters=2, downscale=1, batch=1, shared=1, primes=1, steps=1, seed=0)
        positive(self, "minutes", "learning_rate")
        for name in ("class_", "downscale"):
            if not self.data and getattr(self, name) != getattr(type(self), name):
                raise ValueError(f"{name}: is for images of --data; leave it out")
        least = 2 ** PRESETS[self.preset]["levels"] + 1  # matching needs more than one position in the middle block
        require(self, "patch", self.patch >= least, f"must be at least {least} for the preset {self.preset}")
        for name in ("p_drop", "held_out", "synthetic", "twice"):
            require(self, name, 0 <= getattr(self, name) < 1, "must be in [0, 1)")
        if self.clusters and (self.guidance != "features" or self.classes == "endless"):
            raise ValueError("clusters: are found by features, of fixed classes; leave out --guidance and --classes")
        if self.classes == "endless" and self.guidance == "label":
            raise ValueError("classes: labels name classes that there are; give --classes fixed")

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Recipe":
        """Make a recipe of what `asdict` made of one.

        Raises:
            TypeError: its settings are not those of this version.
            ValueError: a setting is out of range.
        """
        if missing := FIELDS - {"clusters"} - set(stored):  # older recipes had none
            raise TypeError(f"without {', '.join(sorted(missing))}")
        known = {name: value for name, value in stored.items() if name in FIELDS or value}  # what was off, was no more
        return cls(**{**known, "data": tuple(stored["data"]), "class_": tuple(stored["class_"])})

    def from_weights(self, model: "Recipe", given: Collection[str]) -> "Recipe":
        """Return it with what weights to start at, of the recipe `model`, settle, and else what was given."""
        for name in ("preset", "color", "guidance"):
            if name in given and getattr(self, name) != getattr(model, name):
                raise ValueError(f"{name}: --from has {getattr(model, name)}; leave it out")
        kept = {name: getattr(model, name) for name in TAKEN_ON}
        lower = {"learning_rate": model.learning_rate / 4}  # the weights are near their end
        own = {name: getattr(self, name) for name in FIELDS & {*given, "data", "class_", "from_"}}
        return Recipe(**(kept | lower | own))

    def on_this_machine(self) -> "Recipe":
        """Return the recipe with the device and the precision that "auto" stands for here."""
        check_device(self.device)
        device = best_device() if self.device == "auto" else self.device
        precision = best_precision(device) if self.precision == "auto" else self.precision
        if average([float(precision == "bfloat16")])[0] < 1:  # processes that have measured otherwise agree
            precision = "float32"
        return replace(self, device=device, precision=precision)

    @property
    def preparation(self) -> Preparation:
        """What is done to the images."""
        return Preparation(self.color, self.downscale)

    def build_network(self, classes: int) -> UNet:
        """Build the network with weights from the seed."""
        sizes: dict[str, Any] = {"colors": 3 if self.color else 1, **PRESETS[self.preset]}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seeded(self.seed, INIT).initial_seed()))
            if self.guidance == "features":
                return GuidedUNet(**sizes)
            return LabelUNet(classes, **sizes) if self.guidance == "label" else UNet(**sizes)

    def build_loss(self, stream: Stream, classes: int) -> Loss:
        """Return the loss of a batch of pairs: Algorithm 2 guided by features, Algorithm 4 unguided.

        Raises:
            ValueError: the batch cannot be divided among the processes.
        """
        if self.batch % (self.shared * processes()):
            of = f"{self.shared} (shared)" + (f" × {processes()} processes" if processes() > 1 else "")
            raise ValueError(f"batch: must be a multiple of {of}, got {self.batch}")

        def condition(network: nn.Module, x_prime: Tensor, y: Tensor) -> Tensor | None:
            if isinstance(network, GuidedUNet):
                phi = network.features(x_prime)
                phi = phi.reshape(-1, self.primes, phi.shape[1]).mean(1)  # of the x' in a row that belong together
                return phi.repeat_interleave(len(y) // len(phi), 0)
            return nn.functional.one_hot(y, classes).float() if isinstance(network, LabelUNet) else None

        def loss(network: nn.Module, generator: Generator) -> Tensor:
            x, x_prime, y = stream.pairs(self.batch, generator, self.shared, self.primes)
            mine = share(len(x))
            x_prime, y = x_prime[share(len(x_prime))], y[mine]
            with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bfloat16"):
                x, x_prime = (v.contiguous(memory_format=torch.channels_last) for v in (x, x_prime))
                how = (NOISE_LEVELS[self.sigma_distribution], WEIGHTS[self.loss_weight], self.p_drop)
                phi = condition(network, x_prime, y)
                return denoising.denoising_loss(network, x, phi, *how, share=mine, generator=generator)

        return loss

    def budget(self, start: Spent = NOTHING) -> Budget:
        """Return what the training may spend; a leg of it starts where so much was spent."""
        return Budget(self.steps, None if self.steps else 60 * self.minutes, start)


FIELDS = frozenset(field.name for field in fields(Recipe))
_PATCHES = ("preset", "color", "patch", "overlapping", "batch", "shared", "primes", "optimizer")
TAKEN_ON = (*_PATCHES, "guidance", "p_drop", "sigma_distribution", "loss_weight")
"""Settings that go with weights: of the network, of its patches, and of the loss."""


def sizes(recipe: Recipe, classes: int) -> dict[str, int]:
    """Return parameters, feature_dim (the length of φ) and receptive_field (pixels a side) of the network."""
    with torch.device("meta"):
        network = recipe.build_network(classes)
    labels = classes if isinstance(network, LabelUNet) else 0
    return {
        "parameters": sum(weight.numel() for weight in network.parameters() if weight.requires_grad),
        "feature_dim": sum(network.widths) if isinstance(network, GuidedUNet) else labels,
        "receptive_field": receptive_field(network),
    }
