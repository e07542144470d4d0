"""The best linear gain K_σ ≥ 0 for two Gaussians on a line, found by gradient descent: a release check.

    python benchmarks/best_gain.py [separation in λ] [β] [weight of the class] [iterations]

SISA's own update is applied to a density on a grid, so that the W1 of what it samples is a differentiable function of
the gain c(σ) = K_σ(λ² + σ²) at 14 knots. It says what a gain that depends on σ alone can reach, and its form.
"""

import math
import sys

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.utils.checkpoint import checkpoint

STEP = 0.05  # h
SIGMA_INF = math.sqrt(STEP / 2)  # all lengths in units of λ


def transport(p: Tensor, x: Tensor, sigma: Tensor, c: Tensor, separation: float, beta: float, weight: float) -> Tensor:
    """One forced update of the density p (G,) on the grid x (G,) about m_y = 0, by its transition matrix."""
    v = 1 + sigma**2
    rival = torch.sigmoid((separation * x - separation**2 / 2) / v + math.log((1 - weight) / weight))
    mean = x + STEP * sigma**2 * (rival * separation - x - c * x) / v
    gamma = sigma * math.sqrt((1 - beta * STEP) ** 2 - (1 - STEP) ** 2)
    kernel = (-((x[None] - mean[:, None]) ** 2) / (2 * gamma**2)).exp()
    return p @ (kernel / kernel.sum(1, keepdim=True))


def main(separation: float, beta: float, weight: float, iterations: int) -> None:
    """Print the W1 reached, in units of λ, and c at every knot."""
    x = torch.arange(-6, separation + 4, 0.04, dtype=torch.float64)
    start = max(2.5, 0.35 * separation)
    steps = int(math.log(start / SIGMA_INF) / -math.log(1 - beta * STEP))
    sigmas = start * (1 - beta * STEP) ** torch.arange(steps, dtype=torch.float64)
    knots = torch.linspace(math.log(SIGMA_INF), math.log(start), 14, dtype=torch.float64)
    gaussian = (1 + torch.erf(x / math.sqrt(2))) / 2
    raw = torch.where(knots.exp() > 0.6, 0.6, 0.02).to(knots).expm1().log().requires_grad_()
    optimiser = torch.optim.Adam([raw], lr=0.25)
    best, best_c = math.inf, softplus(raw)
    for _ in range(iterations):
        c = softplus(raw)
        right = torch.searchsorted(knots, sigmas.log()).clamp(1, len(knots) - 1)
        share = (sigmas.log() - knots[right - 1]) / (knots[right] - knots[right - 1])
        gains = torch.lerp(c[right - 1], c[right], share)
        p = (-(x**2) * (1 + gains[0].item()) / (2 * (1 + start**2))).exp()
        p = p / p.sum()
        for sigma, gain in zip(sigmas, gains, strict=True):
            p = checkpoint(transport, p, x, sigma, gain, separation, beta, weight, use_reentrant=False)
        distance = (p.cumsum(0) - p / 2 - gaussian).abs().sum() * 0.04
        if distance.item() < best:
            best, best_c = distance.item(), c.detach()
        optimiser.zero_grad()
        distance.backward()
        optimiser.step()
    print(f"separation {separation:g}, beta {beta:g}, weight {weight:g}: W1 = {best:.4f} lambda with")
    print("  " + ", ".join(f"c({sigma:.2f}) = {c:.2f}" for sigma, c in zip(knots.exp(), best_c, strict=True)))


if __name__ == "__main__":
    defaults = ["6", "0.1", "0.5", "60"]
    given = sys.argv[1:] + defaults[len(sys.argv) - 1 :]
    main(float(given[0]), float(given[1]), float(given[2]), int(given[3]))
