"""The training steps that `training.py` times: ours, a plain one, and those of other libraries where they are there.

The plain reference is what one would write first: float32, contiguous tensors, a whole second pass for φ(x'),
normalisation from elementary operations, the paper's plain loss. Peers are UNets of other libraries with as many
parameters, trained to denoise without any condition.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fgs.features import channel_means
from fgs.images import Patches
from fgs.images.recipe import OPTIMIZERS, Recipe
from fgs.networks.unet import PRESETS, GuidedUNet, Visit
from fgs.noise import seeded
from fgs.training import Budget, Trainer

GROUP = 8  # channels of diffusers' UNet are a multiple of

Step = Callable[[], Any]

Denoise = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_σ, σ, x') -> s."""


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


def ours(recipe: Recipe, patches: Patches) -> Contender:
    """Return a step as `fgs train-images` takes it."""
    network = recipe.build_network(len(patches.classes))
    network.to(recipe.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.device == "cuda" and isinstance(network, GuidedUNet):
        network.compile()
        network.features = torch.compile(network.features)  # type: ignore[method-assign]
    loss, optimizers = recipe.build_loss(patches, len(patches.classes)), OPTIMIZERS[recipe.optimizer]
    steps = Trainer(network, loss, Budget(10**6), 1e-4, optimizers=optimizers).run()
    return Contender(f"fgs, {recipe.precision}", count(network), lambda: next(steps))


def plain(recipe: Recipe, patches: Patches) -> Contender:
    """Return the reference."""
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


def _step(network: nn.Module, denoise: Denoise, recipe: Recipe, patches: Patches) -> Step:
    """Return a step of Adam on the plain loss."""
    network.to(recipe.device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-4, foreach=False)
    generator = seeded(0)

    def step() -> None:
        x, x_prime, _ = patches.pairs(recipe.batch, generator)
        sigma = torch.rand(len(x), 1, 1, 1, generator=generator).to(x)
        z = torch.randn(x.shape, generator=generator).to(x)
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


def _lucidrains(recipe: Recipe, parameters: int) -> tuple[nn.Module, Denoise]:
    unet = import_module("denoising_diffusion_pytorch").Unet
    levels = PRESETS[recipe.preset]["levels"]
    mults = tuple(2**level for level in range(levels + 1))
    network = _nearest(lambda dim: unet(dim, dim_mults=mults, channels=1), list(range(8, 97, 8)), parameters)
    return network, lambda x_sigma, sigma, x_prime: network(x_sigma, sigma)


def _diffusers(recipe: Recipe, parameters: int) -> tuple[nn.Module, Denoise]:
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
