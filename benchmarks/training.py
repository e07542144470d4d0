"""How fast a training step is: pairs a second and share of the machine's matrix peak, against steps of others.

The plain reference is what one would write first: float32, contiguous tensors, a whole second pass for φ(x'),
normalisation from elementary operations, the paper's plain loss. Peers, where they are installed, are UNets of other
libraries with as many parameters, trained to denoise without any condition. All run in one process, turn by turn, and
medians are reported.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fgs.images.patches import Patches, draw_images
from fgs.features import channel_means
from fgs.noise import seeded
from fgs.images.recipe import DEFAULTS, OPTIMIZERS, Recipe, best_precision
from fgs.training.trainer import Budget, Trainer
from fgs.networks.unet import PRESETS, GuidedUNet, Visit

CLASSES = 4
BATCH = {"paper": 8, "medium": 32, "small": 32}
ROUNDS = {"paper": 5, "medium": 15, "small": 25}
WARM_UP = 2  # rounds that are not counted
PEAK = 2048  # rows of the matrices of the peak
GROUP = 8  # channels of diffusers' UNet are a multiple of

Step = Callable[[], Any]


class Contender(NamedTuple):
    """A training step to be timed.

    Attributes:
        name: whose.
        parameters: of the network.
        step: takes one step.
    """

    name: str
    parameters: int
    step: Step


@dataclass(frozen=True)
class Timing:
    """What was measured of a contender.

    Attributes:
        preset: sizes that it is matched to.
        name: whose step.
        parameters: of the network.
        pairs_per_second: median over the rounds.
        ratio: that ÷ that of the reference.
        share_of_peak: floating-point operations of its step a second ÷ those of a product of matrices in its precision.
    """

    preset: str
    name: str
    parameters: int
    pairs_per_second: float
    ratio: float
    share_of_peak: float


class ElementaryNorm(nn.Module):
    """Normalisation of the whole image as its formula reads."""

    def __init__(self, like: nn.GroupNorm) -> None:
        super().__init__()
        self.weight, self.bias = like.weight, like.bias

    def forward(self, h: Tensor) -> Tensor:
        """Return the normalised activations, (N, C, H, W)."""
        centred = h - h.mean((1, 2, 3), keepdim=True)
        normal = centred / (centred.square().mean((1, 2, 3), keepdim=True) + 1e-5).sqrt()
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


class PlainUNet(GuidedUNet):
    """φ by a whole pass, and contiguous tensors."""

    def _walk(self, h: Tensor, visit: Visit | None, decoders: int) -> Tensor:
        return super()._walk(h.contiguous(), visit, decoders)

    def features(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Return φ(x), (N, F)."""
        means: list[Tensor] = []

        def record(number: int, h: Tensor) -> Tensor:
            means.append(channel_means(h))
            return h

        self._score(x, record)
        return torch.cat(means, 1)


def _ours(recipe: Recipe, patches: Patches) -> Contender:
    """A step as `fgs train-images` takes it."""
    network = recipe.build_network(len(patches.classes))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss, optimizers = recipe.build_loss(patches), OPTIMIZERS[recipe.optimizer]
    steps = Trainer(network, loss, Budget(10**6), 1e-4, optimizers=optimizers).run()
    return Contender(f"fgs, {recipe.precision}", count(network), lambda: next(steps))


def _plain(recipe: Recipe, patches: Patches) -> Contender:
    """The reference."""
    sizes: dict[str, Any] = dict(PRESETS[recipe.preset])
    network = PlainUNet(**sizes)
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.GroupNorm):
                setattr(block, name, ElementaryNorm(layer))

    def denoise(x_sigma: Tensor, sigma: Tensor, x_prime: Tensor) -> Tensor:
        s: Tensor = network(x_sigma, network.features(x_prime))
        return s

    return Contender("plain reference", count(network), _step(network, denoise, recipe, patches))


def _step(
    network: nn.Module, denoise: Callable[[Tensor, Tensor, Tensor], Tensor], recipe: Recipe, patches: Patches
) -> Step:
    """Return a step of Adam on the plain loss; denoise is (x_σ, σ, x') -> s."""
    optimizer = torch.optim.Adam(network.parameters(), 1e-4, foreach=False)
    generator = seeded(0)

    def step() -> None:
        x, x_prime, _ = patches.pairs(recipe.batch, generator)
        sigma = torch.rand(len(x), 1, 1, 1, generator=generator)
        z = torch.randn(x.shape, generator=generator)
        loss = (denoise(x + sigma * z, sigma.flatten(), x_prime) + sigma * z).square().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def count(network: nn.Module) -> int:
    """Count the weights that are trained."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def peers(recipe: Recipe, patches: Patches, parameters: int) -> tuple[list[Contender], dict[str, str]]:
    """Return the UNets of other libraries nearest in parameters, and why others are left out, by name."""
    found, missing = [], {}
    for name, build in {"denoising-diffusion-pytorch": _lucidrains, "diffusers": _diffusers}.items():
        try:
            network, denoise = build(recipe, parameters)
        except ImportError as error:
            missing[name] = f"{error.name} is not installed" if error.name else str(error)
            continue
        except RuntimeError as error:  # installed, but what it imports does not fit this torch
            missing[name] = f"cannot be imported: {error}"
            continue
        found.append(Contender(name, count(network), _step(network, denoise, recipe, patches)))
    return found, missing


def _nearest(build: Callable[[int], nn.Module], widths: list[int], parameters: int) -> nn.Module:
    """Return the network whose number of parameters is nearest, by ratio; sizes are counted without memory."""

    def excess(width: int) -> float:
        with torch.device("meta"):
            ratio = count(build(width)) / parameters
        return max(ratio, 1 / ratio)

    return build(min(widths, key=excess))


def _lucidrains(recipe: Recipe, parameters: int) -> tuple[nn.Module, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    unet = import_module("denoising_diffusion_pytorch").Unet
    levels = PRESETS[recipe.preset]["levels"]
    mults = tuple(2**level for level in range(levels + 1))
    network = _nearest(lambda dim: unet(dim, dim_mults=mults, channels=1), list(range(8, 97, 8)), parameters)
    return network, lambda x_sigma, sigma, x_prime: network(x_sigma, sigma)


def _diffusers(recipe: Recipe, parameters: int) -> tuple[nn.Module, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    unet = import_module("diffusers").UNet2DModel
    blocks = PRESETS[recipe.preset]["levels"] + 1

    def build(width: int) -> nn.Module:
        network: nn.Module = unet(
            in_channels=1,
            out_channels=1,
            block_out_channels=tuple(width * 2**level for level in range(blocks)),
            down_block_types=("DownBlock2D",) * blocks,
            up_block_types=("UpBlock2D",) * blocks,
            add_attention=False,
            norm_num_groups=GROUP,
        )
        return network

    network = _nearest(build, list(range(GROUP, 97, GROUP)), parameters)
    return network, lambda x_sigma, sigma, x_prime: network(x_sigma, sigma).sample


def seconds(step: Step) -> float:
    """Time one call."""
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def product(dtype: torch.dtype) -> Step:
    """Return a product of large square matrices, whose operations a second are the peak that steps are held against."""
    a, b = torch.randn(2, PEAK, PEAK).to(dtype)
    return lambda: a @ b


def matrix_peak(dtype: torch.dtype) -> float:
    """Return the floating-point operations a second of such a product."""
    step = product(dtype)
    return 2 * PEAK**3 / median(seconds(step) for _ in range(7))


def operations(step: Step) -> int:
    """Count the floating-point operations of one step."""
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def bench_preset(
    preset: str, rounds: int | None = None, watch: Callable[[str], None] = lambda label: None
) -> tuple[list[Timing], dict[str, str]]:
    """Time the steps of one preset's size, and the products of matrices that they are held against, turn by turn.

    Args:
        preset: one of `PRESETS`.
        rounds: that are counted; None is enough for a steady median.
        watch: told of every round.

    Returns:
        What was measured, the reference first, and the peers that are left out with the reason.
    """
    precision = best_precision("cpu")
    recipe = Recipe(preset=preset, **DEFAULTS[preset] | {"batch": BATCH[preset]}, precision=precision)
    patches = Patches(draw_images(CLASSES, size=4 * recipe.patch), recipe.patch)
    plain, ours = _plain(replace(recipe, precision="float32"), patches), _ours(recipe, patches)
    others, missing = peers(recipe, patches, ours.parameters)
    contenders = [plain, ours, *others]
    flops = [operations(contender.step) for contender in contenders]
    dtypes = [torch.bfloat16 if c is ours and precision == "bfloat16" else torch.float32 for c in contenders]
    products = {dtype: product(dtype) for dtype in dtypes}
    steps = [contender.step for contender in contenders] + list(products.values())
    times: list[list[float]] = []
    for number in range(WARM_UP + (rounds or ROUNDS[preset])):
        watch(preset)
        row = [seconds(step) for step in steps]
        if number >= WARM_UP:
            times.append(row)
    medians = [median(column) for column in zip(*times, strict=True)]
    peaks = {dtype: 2 * PEAK**3 / t for dtype, t in zip(products, medians[len(contenders) :], strict=True)}
    timings = [
        Timing(preset, c.name, c.parameters, recipe.batch / t, medians[0] / t, f / t / peaks[dtype])
        for c, t, f, dtype in zip(contenders, medians, flops, dtypes, strict=False)
    ]
    return timings, missing


def machine() -> dict[str, Any]:
    """Say what it was measured on; the peak in bfloat16 is None where that is no faster: it may take minutes there."""
    faster = best_precision("cpu") == "bfloat16"
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "peak_float32": matrix_peak(torch.float32),
        "peak_bfloat16": matrix_peak(torch.bfloat16) if faster else None,
    }


def plain_numbers(timings: list[Timing]) -> list[dict[str, Any]]:
    """Return the timings for JSON."""
    return [asdict(timing) for timing in timings]
