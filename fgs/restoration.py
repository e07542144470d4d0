"""Restoration: samples of x given a linear measurement y = Mx + noise, from the score of x alone.

M is any linear function of signals that autograd can pass, so that Mᵀ needs no code of its own. Two scores:

`Projected` (Kadkhodaie & Simoncelli 2021) follows s where M does not see, and y where it does. For rows of M that are
orthonormal that is their algorithm; where y has noise it reproduces that, unless it is told of it.

`Posterior` adds the likelihood to the score, ∇log p(x_σ|y) = ∇log p(x_σ) + ∇log p(y|x_σ). What is left unknown of x at
x_σ has mean x̂ and covariance σ²J, J = ∂x̂/∂x_σ (Tweedie's formula, of second order). With a Gaussian of both,

    σ²∇log p(y|x_σ) = σ²JᵀMᵀ(ς²Id + σ²MJMᵀ)⁻¹(y − Mx̂),   ς the noise of y

(ΠGDM, Song et al. 2023, has a multiple of Id for J in brackets; MMPS, Rozet et al. 2024, solves them as here). It is
exact where x is Gaussian, and wrong where what is left unknown has several modes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fgs.noise import per_row
from fgs.protocols import ProjectedScore

Measurement = Callable[[Tensor], Tensor]
"""M, linear: (N, *shape) -> (N, *measured), every row by itself."""


def adjoint(measure: Measurement, like: Tensor) -> Measurement:
    """Return Mᵀ, (N, *measured) -> the shape of `like`, (N, *shape)."""
    with torch.enable_grad():
        x = torch.zeros_like(like, requires_grad=True)
        y = measure(x)
    return lambda u: torch.autograd.grad(y, x, u, retain_graph=True)[0]


def solve(A: Measurement, b: Tensor, iterations: int) -> Tensor:
    """Solve Au = b, (N, *shape), by conjugate gradients for every row, A symmetric and positive.

    A row ends where A is not, or early; as many iterations as A has different eigenvalues are enough.
    """
    u, r, p = torch.zeros_like(b), b, b
    rr = first = _dot(r, r)
    for _ in range(iterations):
        Ap = A(p)
        curvature = _dot(p, Ap)
        going = (curvature > 0) & (rr > 1e-12 * first)
        if not going.any():
            break
        step = torch.where(going, rr / curvature, 0.0)
        u, r = u + per_row(step, u) * p, r - per_row(step, r) * Ap
        rr, before = torch.where(going, _dot(r, r), 0.0), rr
        p = r + per_row(torch.where(going, rr / before, 0.0), r) * p
    return u


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


@dataclass(frozen=True)
class Projected:
    """The score s − M⁺Ms + M⁺(y − Mx): where M sees, x is drawn towards y.

    With noise ς in y, M⁺ = Mᵀ(MMᵀ + (ς²/r²)Id)⁻¹: that of `Posterior` with J = (r²/σ²)Id, r⁻² = σ⁻² + λ⁻², as if x were
    a Gaussian of width λ in all directions. It takes no pass backward through the network, and autograd none
    through it.
    """

    holds_rows = True  # see `fgs.sampling`
    score: ProjectedScore  # of x
    measure: Measurement  # M
    y: Tensor  # (N, *measured) or (*measured) what was measured
    noise: float = 0.0  # ς, for which σ must be given, or 0
    width: float = 1.0  # λ, in the units of x
    iterations: int = 1  # of conjugate gradients; 1 is exact where rows of M are orthogonal and of equal length, or 0

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s, the shape of x; arguments as in `ProjectedScore`."""
        s = self.score(x, phi, sigma)
        transposed = adjoint(self.measure, x)
        away, ridge = self.y - self.measure(x + s), x.new_zeros(())
        if self.noise:
            if sigma is None:
                raise ValueError("sigma: is needed where y has noise")
            ridge = self.noise**2 * (sigma**-2 + self.width**-2)
        with torch.no_grad():
            seen = transposed(away)  # M⁺ = (MᵀM + (ς²/r²)Id)⁻¹Mᵀ as well: what y has where M sees nothing is out of it
            return s + solve(lambda v: transposed(self.measure(v)) + per_row(ridge, v) * v, seen, self.iterations)


@dataclass(frozen=True)
class Posterior:
    """The score of x given y, σ²∇log p(x_σ|y), with the covariance of what the denoiser does not know; detached."""

    holds_rows = True  # see `fgs.sampling`
    score: ProjectedScore  # of x; autograd must pass it
    measure: Measurement  # M
    y: Tensor  # (N, *measured) or (*measured) what was measured; 0 where M sees nothing
    noise: float  # ς, the sd of the noise in y
    iterations: int = 4  # of conjugate gradients; each is a pass backward

    @torch.enable_grad()
    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s, the shape of x; arguments as in `ProjectedScore`, but without σ it raises a ValueError."""
        if sigma is None:
            raise ValueError("sigma: the posterior needs the noise level of x")
        x = x.detach().requires_grad_()
        s = self.score(x, phi, sigma)
        y_hat = self.measure(x + s)
        variance = per_row(sigma.square(), x)

        def pull(u: Tensor) -> Tensor:
            return variance * torch.autograd.grad(y_hat, x, u, retain_graph=True)[0]  # σ²JᵀMᵀu

        def covariance(u: Tensor) -> Tensor:
            return self.noise**2 * u + self.measure(pull(u))

        with torch.no_grad():
            away = (self.y - y_hat).detach()
        return (s + pull(solve(covariance, away, self.iterations))).detach()


def estimate_noise(score: ProjectedScore, x: Tensor, phi: Tensor | None = None) -> Tensor:
    """Return σ of every noisy signal, (N, *shape) -> (N,), as a blind score sees it.

    E‖s‖² = dσ² − MMSE falls short of the noise by what the denoiser does not find, σ² tr J, of which one probe tells.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        s = score(x, phi)
        v = torch.randint(2, x.shape, generator=torch.Generator().manual_seed(0)).to(x) * 2 - 1
        (g,) = torch.autograd.grad(s, x, v)  # of J − Id
    return (s.square().flatten(1).sum(1) / -_dot(v, g).clamp_max(-1e-3)).sqrt().detach()
