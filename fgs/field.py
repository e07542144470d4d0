"""What kind of field is a score? A true one is a gradient, and its change with σ is told by Fokker and Planck.

Matching moves activations on the way, and nothing makes the field that is followed the gradient of any density.
"""

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from fgs.noise import per_row, standard_normal
from fgs.protocols import ProjectedScore


@torch.enable_grad()
def asymmetry(
    score: ProjectedScore,
    x: Tensor,
    phi: Tensor | None = None,
    sigma: Tensor | None = None,
    probes: int | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Return ‖J − Jᵀ‖²/‖J‖² of J = ∂x̂/∂x, (N,): 0 for a gradient, 2 for a random matrix, 4 for a rotation by 90°.

    E‖Av‖² = ‖A‖² for v ~ N(0, Id), and (J − Jᵀ)v takes two passes backward. `probes` is how many v a CPU generator
    draws; None takes the axes, which is exact. x, φ and σ are as in `ProjectedScore`; autograd must pass the score
    twice.
    """
    d = x[0].numel()
    x = x.detach().requires_grad_()
    x_hat = x + score(x, phi, sigma)
    u = torch.zeros_like(x, requires_grad=True)
    (pulled,) = torch.autograd.grad(x_hat, x, u, create_graph=True)  # Jᵀu, linear in u, whose gradient along v is Jv
    skew = total = x.new_zeros(len(x))
    for k in range(probes or d):
        v = (
            standard_normal(x, generator)
            if probes
            else one_hot(torch.tensor(k), d).to(x).reshape(x[:1].shape).expand_as(x)
        )
        (forward,) = torch.autograd.grad(pulled, u, v, retain_graph=True)
        (backward,) = torch.autograd.grad(x_hat, x, v, retain_graph=True)
        skew = skew + (forward - backward).flatten(1).square().sum(1)
        total = total + forward.flatten(1).square().sum(1)
    return (skew / total).detach()


@torch.no_grad()
def inconsistency(
    score: ProjectedScore,
    x: Tensor,
    phi: Tensor | None = None,
    sigma: Tensor | float = 1.0,
    ratio: float = 0.98,
    draws: int = 64,
    generator: Generator | None = None,
) -> Tensor:
    """Return how much x̂ drifts on the way of the reverse SDE, (N,), where of a true score it only fluctuates: 0.

    E[x | x_σ] is a martingale on the way to x. In the limit of small steps that is the Fokker-Planck equation of
    f = s/σ², ∂f/∂t = ½∇(∇·f + ‖f‖²) in t = σ², in a form that asks for no derivative: it is fit for networks with
    kinks, and for blind ones. With Δ what x̂ changes by in a step, the drift is ‖E[Δ]‖²/E‖Δ‖² over h = 1 − (σ'/σ)²:
    squared, over the variance, both for one e-fold of σ².

    x, φ and σ are as in `ProjectedScore`; `ratio` is σ'/σ, and a step too long leaves something of the order of h². The
    noise of the step is drawn `draws` times, by a CPU generator; what is due to chance is taken off, so that single
    values may be below 0.
    """
    sigma = torch.as_tensor(sigma).to(x)
    h = 1 - ratio**2
    s = score(x, phi, sigma)
    total, squares = torch.zeros_like(x), x.new_zeros(len(x))
    for _ in range(draws):
        after = x + h * s + per_row(sigma * ratio * h**0.5, x) * standard_normal(x, generator)
        moved = after + score(after, phi, ratio * sigma) - x - s
        total, squares = total + moved, squares + moved.flatten(1).square().sum(1)
    biased, every = (total / draws).flatten(1).square().sum(1), squares / draws
    return (draws * biased - every) / (draws - 1) / every / h
