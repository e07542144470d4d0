"""Pairs a second of one training step against a plain reference step, and the share of the machine's matrix peak.

    python benchmarks/throughput.py [presets …]

The reference is what one would write first: float32, contiguous tensors, a whole second pass for φ(x'), normalisation
from elementary operations, the paper's plain loss. Both run in one process, turn by turn; medians are reported.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor, nn

from fgs.data import Patches, draw_images
from fgs.features import channel_means
from fgs.noise import seeded
from fgs.recipes import DEFAULTS, Recipe, best_precision, cost
from fgs.training import Budget, Trainer
from fgs.unet import PRESETS, GuidedUNet

ROUNDS = {"paper": 5, "small": 25}
BATCH = {"paper": 8, "small": 32}


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
    """φ by a whole pass."""

    def features(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Return φ(x), (N, F)."""
        means: list[Tensor] = []

        def record(number: int, h: Tensor) -> Tensor:
            means.append(channel_means(h))
            return h

        self.out(self._walk(x, record, len(self.decoder)))
        return torch.cat(means, 1)


def plain_step(recipe: Recipe, patches: Patches) -> Callable[[], None]:
    """Return the reference step."""
    network = PlainUNet(**PRESETS[recipe.preset])
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.GroupNorm):
                setattr(block, name, ElementaryNorm(layer))
    optimizer = torch.optim.Adam(network.parameters(), 1e-4, foreach=False)
    generator = seeded(0)

    def step() -> None:
        x, x_prime, _ = patches.pairs(recipe.batch, generator)
        sigma = torch.rand(len(x), 1, 1, 1, generator=generator)
        z = torch.randn(x.shape, generator=generator)
        loss = (network(x + sigma * z, network.features(x_prime)) + sigma * z).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def our_step(recipe: Recipe, patches: Patches) -> Callable[[], None]:
    """Return a step as `fgs train-images` takes it."""
    network = recipe.build_network(len(patches.classes)).to(memory_format=torch.channels_last)
    steps = Trainer(network, recipe.build_loss(patches), Budget(10**6), 1e-4).run()
    return lambda: (next(steps), None)[1]


def seconds(step: Callable[[], None]) -> float:
    """Time one call."""
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def matrix_peak(dtype: torch.dtype, n: int = 2048) -> float:
    """Return the floating-point operations a second of a product of n × n matrices."""
    a, b = torch.randn(2, n, n).to(dtype)
    return 2 * n**3 / median(seconds(lambda: (a @ b, None)[1]) for _ in range(7))


def main(presets: list[str]) -> None:
    """Measure every preset and print the table."""
    precision = best_precision("cpu")
    peak = matrix_peak(torch.bfloat16 if precision == "bfloat16" else torch.float32)
    threads = torch.get_num_threads()
    print(f"{threads} threads, {precision}, matrix peak {peak / 1e12:.3f} TFLOP/s, torch {torch.__version__}")
    print("| preset | reference, pairs/s | ours, pairs/s | ratio | share of the peak |\n|---|---|---|---|---|")
    for preset in presets:
        recipe = Recipe(preset=preset, **DEFAULTS[preset] | {"batch": BATCH[preset]}, precision=precision)
        patches = Patches(draw_images(4, size=4 * recipe.patch), recipe.patch)
        ours, plain = our_step(recipe, patches), plain_step(replace(recipe, precision="float32"), patches)
        times = [(seconds(ours), seconds(plain)) for _ in range(ROUNDS[preset] + 2)][2:]
        fast, slow = (recipe.batch / median(column) for column in zip(*times, strict=True))
        share = fast * cost(recipe, 4)["flops_per_pair"] / peak
        print(f"| {preset} | {slow:.1f} | {fast:.1f} | {fast / slow:.2f} | {share:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(PRESETS))
