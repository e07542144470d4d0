"""The recipe of a training on images: every choice that the paper leaves open, and what it builds."""

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fgs.data import Patches
from fgs.denoising import (
    NoiseLevels,
    Weight,
    denoising_loss,
    inverse_sd,
    inverse_variance,
    log_uniform,
    squared,
    uniform,
    unweighted,
)
from fgs.distributed import processes, share
from fgs.muon import muon
from fgs.noise import seeded
from fgs.protocols import FeatureExtractor
from fgs.training import Budget, Loss, Optimizers, adam
from fgs.unet import PRESETS, GuidedUNet, LabelUNet, UNet, receptive_field

NOISE_LEVELS: dict[str, NoiseLevels] = {"uniform": uniform(), "log-uniform": log_uniform(), "squared": squared()}
"""uniform: the paper's."""

WEIGHTS: dict[str, Weight] = {
    "none": unweighted,
    "inverse-sd": inverse_sd(0.1),
    "inverse-variance": inverse_variance(0.1),
}
"""none: the paper's."""

_LIGHT = {"patch": 32, "batch": 8, "shared": 4, "primes": 4, "learning_rate": 2e-3, "optimizer": "muon"}

DEFAULTS: dict[str, dict[str, Any]] = {
    "small": _LIGHT,
    "medium": _LIGHT,
    "paper": {"patch": 80, "batch": 64, "shared": 1, "primes": 1, "learning_rate": 1e-3, "optimizer": "adam"},
}
"""What a preset trains with: on two cores many light steps do more than few heavy ones."""

OPTIMIZERS: dict[str, Optimizers] = {"adam": adam, "muon": muon}
"""adam: the paper's."""

PRECISIONS = ("float32", "bfloat16")
GUIDANCE = ("features", "label", "none")
INIT = 2  # what the seed is used for, beside what `fgs.textures` uses it for


@dataclass(frozen=True)
class Recipe:
    """What to train on what, by the names of the options of `fgs train-images`.

    Raises:
        ValueError: a setting is out of range; the message begins with its name.
    """

    data: str | None = None
    color: bool = False
    patch: int = 32
    overlapping: bool = True
    class_: list[str] | None = None
    downscale: int = 1
    normalize: bool = False
    least_contrast: float = 0.0
    held_out: float = 0.25
    guidance: str = "features"
    preset: str = "small"
    p_drop: float = 0.1
    sigma_distribution: str = "squared"
    loss_weight: str = "inverse-variance"
    batch: int = 8
    shared: int = 4
    primes: int = 1  # of recipes written before it was a choice
    steps: int | None = None
    minutes: float = 30.0
    learning_rate: float = 2e-3
    optimizer: str = "adam"  # of recipes written before it was a choice
    precision: str = "float32"
    device: str = "cpu"
    compile_: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            "guidance": GUIDANCE,
            "preset": PRESETS,
            "sigma_distribution": NOISE_LEVELS,
            "loss_weight": WEIGHTS,
            "optimizer": OPTIMIZERS,
            "precision": PRECISIONS,
            "device": ("cpu", "cuda", "mps"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: must be one of {', '.join(allowed)}, got {getattr(self, name)}")
        for name in ("downscale", "batch", "shared", "primes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        for name in ("class_", "downscale", "normalize", "least_contrast"):
            if self.data is None and getattr(self, name) != getattr(type(self), name):
                raise ValueError(f"{name}: is for images of --data; leave it out")
        if not 0 <= self.least_contrast <= 0.5:
            raise ValueError(f"least_contrast: must lie in [0, 0.5], got {self.least_contrast}")
        if self.normalize and self.least_contrast:
            raise ValueError("least_contrast: --normalize brings all to one contrast; give one of the two")
        least = 2 ** PRESETS[self.preset]["levels"] + 1  # matching needs more than one position in the middle block
        if self.patch < least:
            raise ValueError(f"patch: must be at least {least} for the preset {self.preset}, got {self.patch}")
        if self.seed < 0:
            raise ValueError(f"seed: must not be negative, got {self.seed}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps: must be at least 1, got {self.steps}")
        for name in ("minutes", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: must be positive and finite, got {getattr(self, name)}")
        for name in ("p_drop", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: must be in [0, 1), got {getattr(self, name)}")

    def build_network(self, classes: int) -> UNet:
        """Build the network with weights from the seed."""
        sizes: dict[str, Any] = {"colors": 3 if self.color else 1, **PRESETS[self.preset]}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seeded(self.seed, INIT).initial_seed()))
            if self.guidance == "features":
                return GuidedUNet(**sizes)
            return LabelUNet(classes, **sizes) if self.guidance == "label" else UNet(**sizes)

    def build_loss(self, patches: Patches) -> Loss:
        """Return the loss of a batch of pairs: Algorithm 2 guided by features, Algorithm 4 unguided.

        Raises:
            ValueError: the batch cannot be divided among the processes.
        """
        if self.batch % (self.shared * processes()):
            of = f"{self.shared} (shared)" + (f" × {processes()} processes" if processes() > 1 else "")
            raise ValueError(f"batch: must be a multiple of {of}, got {self.batch}")

        def condition(network: nn.Module, x_prime: Tensor, y: Tensor) -> Tensor | None:
            if isinstance(network, GuidedUNet):
                return _centroids(network, x_prime, self.primes).repeat_interleave(self.shared, 0)
            return nn.functional.one_hot(y, len(patches.classes)).float() if isinstance(network, LabelUNet) else None

        def loss(network: nn.Module, generator: Generator) -> Tensor:
            x, x_prime, y = patches.pairs(self.batch, generator, self.shared, self.primes)
            mine = share(self.batch)
            x_prime, y = x_prime[share(len(x_prime))], y[mine]
            with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bfloat16"):
                x, x_prime = (v.contiguous(memory_format=torch.channels_last) for v in (x, x_prime))
                return denoising_loss(
                    network,
                    x,
                    condition(network, x_prime, y),
                    NOISE_LEVELS[self.sigma_distribution],
                    WEIGHTS[self.loss_weight],
                    self.p_drop,
                    share=mine,
                    generator=generator,
                )

        return loss

    def budget(self) -> Budget:
        """Return what the training may spend."""
        return Budget(self.steps, None if self.steps else 60 * self.minutes)


def _centroids(network: FeatureExtractor, x_prime: Tensor, primes: int) -> Tensor:
    """Return the mean φ of every `primes` patches in a row, (N / primes, F)."""
    phi = network.features(x_prime)
    return phi.reshape(-1, primes, phi.shape[1]).mean(1)


def resolve(settings: dict[str, Any]) -> Recipe:
    """Make a recipe of settings that may be None where the preset decides, with device and precision "auto".

    Raises:
        ValueError: a setting is out of range; the message begins with its name.
    """
    chosen = dict(settings)
    check_device(chosen["device"])
    for name, value in DEFAULTS.get(chosen["preset"], {}).items():
        chosen[name] = value if chosen[name] is None else chosen[name]
    if chosen["device"] == "auto":
        chosen["device"] = best_device()
    if chosen["precision"] == "auto":
        chosen["precision"] = best_precision(chosen["device"])
    return Recipe(**chosen)


def check_device(name: str, what: str = "use cpu or auto") -> None:
    """Raise a ValueError if a kind of device is asked for that is not here."""
    for device, here in {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}.items():
        if name == device and not here:
            raise ValueError(f"device: there is no {device} here; {what}")


def best_device() -> str:
    """Return the fastest kind of device that is here."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def best_precision(device: str) -> str:
    """Return bfloat16 where the hardware multiplies such numbers faster; a CPU tries it, for a second at most.

    What a processor says of itself does not tell: with AVX-512 but no AMX, bfloat16 is twice as fast on some and twice
    as slow on others.
    """
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if device != "cpu":
        return "float32"
    single, half = (_product_seconds(dtype) for dtype in (torch.float32, torch.bfloat16))
    return "bfloat16" if 1.5 * half < single else "float32"


def _product_seconds(dtype: torch.dtype, n: int = 512) -> float:
    """Return how long a product of n × n matrices takes, the best of five, or of fewer where one takes long."""
    a = torch.ones(n, n, dtype=dtype)
    times: list[float] = []
    while len(times) < 5 and sum(times) < 0.05:  # without instructions for bfloat16 one product takes a second
        begin = time.perf_counter()
        torch.mm(a, a)
        times.append(time.perf_counter() - begin)
    return min(times)


def cost(recipe: Recipe, classes: int) -> dict[str, int]:
    """Return what a training takes: sizes of the network, and floating-point operations and memory of a step.

    Nothing is computed: operations are counted, of both passes and of the way back, on tensors without contents.

    Returns:
        parameters; feature_dim, the length of φ; receptive_field, pixels a side; flops_per_pair; memory_bytes, an
        estimate: weights, gradients, averages and moments, and what the passes of a batch keep for the way back.
    """
    size, colors = recipe.patch, 3 if recipe.color else 1
    with torch.device("meta"):
        network = recipe.build_network(classes)
        x_prime = torch.empty(2 * recipe.primes, colors, size, size)
        x, one_hot = torch.empty(2 * recipe.shared, colors, size, size), torch.empty(2 * recipe.shared, classes)
    weights = {weight.untyped_storage()._cdata for weight in network.parameters()}
    kept: dict[int, int] = {}  # bytes of every piece of memory, which several tensors may look into

    def count(tensor: Tensor) -> Tensor:
        memory = tensor.untyped_storage()
        if memory._cdata not in weights:
            kept[memory._cdata] = memory.nbytes()
        return tensor

    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
        guided, labelled = isinstance(network, GuidedUNet), isinstance(network, LabelUNet)
        phi = one_hot if labelled else None
        if isinstance(network, GuidedUNet):
            phi = _centroids(network, x_prime, recipe.primes).repeat_interleave(recipe.shared, 0)
        network(x, phi).sum().backward()
    parameters = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    share = 0.5 if recipe.precision == "bfloat16" else 1.0
    return {
        "parameters": parameters,
        "feature_dim": sum(network.widths) if guided else classes if labelled else 0,
        "receptive_field": receptive_field(network),
        "flops_per_pair": counter.get_total_flops() // len(x),
        "memory_bytes": 5 * 4 * parameters + int(share * sum(kept.values()) * recipe.batch / len(x)),
    }
