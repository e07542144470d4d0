"""Muon (Jordan et al. 2024): every step of a matrix is turned into the nearest one with equal singular values.

Other steps are nearly of low rank, its authors found: some directions are learned again and again, faint ones hardly at
all. With Muon the network denoises textures as well after a quarter of the steps (benchmarks/README.md).
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

MOMENTUM = 0.95
RMS = 0.2  # of a step whose learning rate is 1: about what Adam's has, so that both take the same learning rate
ITERATIONS = 5
A, B, C = 3.4445, -4.7750, 2.0315  # Jordan's: singular values above .005 of the norm end up within [.68, 1.21]


def orthogonalize(matrix: Tensor) -> Tensor:
    """Return about U Vᵀ of a matrix U Σ Vᵀ, (n, m), by Newton–Schulz iterations X ← (A + B·XXᵀ + C·(XXᵀ)²) X.

    All factors are polynomials of the first XXᵀ and commute with it, so that they are multiplied as n × n matrices, n
    the shorter side, and the long side comes in only at the end.
    """
    if len(matrix) > matrix.shape[1]:
        return orthogonalize(matrix.T).T
    x = matrix / matrix.norm().clamp_min(1e-12)
    gram = x @ x.T
    factor = product = torch.eye(len(x), dtype=x.dtype, device=x.device)
    for k in range(ITERATIONS):
        gram = factor @ gram @ factor if k else gram
        factor = torch.addmm(gram, gram, gram, beta=B, alpha=C)  # B·XXᵀ + C·(XXᵀ)²
        factor.diagonal().add_(A)
        product = factor @ product if k else factor
    turned: Tensor = product @ x
    return turned


class Muon(Optimizer):
    """Momentum after Nesterov, orthogonalised, for matrices, and convolutions taken as matrices of shape[0] rows.

    `torch.optim.Muon` takes matrices only. The learning rate is as for Adam.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step."""
        if closure is not None:
            raise ValueError("closure: this optimiser takes none")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - MOMENTUM)
                direction = weight.grad.lerp(momentum, MOMENTUM).flatten(1)
                size = RMS * math.sqrt(max(direction.shape))  # U Vᵀ has an rms of 1/√ of its longer side
                weight.add_(orthogonalize(direction).view_as(weight), alpha=-group["lr"] * size)


def muon(network: nn.Module, learning_rate: float) -> list[Optimizer]:
    """Return Muon of the convolutions but the last one defined, which makes pixels, and Adam of all else.

    Raises:
        ValueError: the network has no two convolutions in a plane.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)][:-1]
    matrices = [layer.weight for layer in layers if layer.weight.requires_grad]
    if not matrices:
        raise ValueError("network: Muon is for convolutions of images before the last, and there are none; use Adam")
    return muon_of(matrices, network, learning_rate)


def muon_of(matrices: list[Tensor], network: nn.Module, learning_rate: float) -> list[Optimizer]:
    """Return Muon of these weights of a network, and Adam of all else."""
    chosen = {id(weight) for weight in matrices}
    others = [p for p in network.parameters() if p.requires_grad and id(p) not in chosen]
    return [Muon(matrices, learning_rate), Adam(others, learning_rate, foreach=True)]
