"""A Gaussian mixture whose noisy density, score and posterior are exact at every noise level."""

import math
from collections.abc import Sequence
from copy import copy
from functools import reduce
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from fgs.noise import standard_normal

Values = Tensor | Sequence[Any] | NDArray[Any]


class GaussianMixture:
    """The density p(x) = Σ_y π_y N(x; m_y, Σ_y) and its noisy versions p_σ = Σ_y π_y N(x; m_y, Σ_y + σ² Id).

    One eigendecomposition serves every σ. Σ_y is kept as (its smallest eigenvalue, the floor)·Id plus the few axes A_y
    that stand out, so that a rank-1 or an isotropic covariance costs no d×d products. All is computed by log-sum-exp.

    Args:
        weights: (K,) π, positive, sum 1. Like the others a tensor, or what `torch.as_tensor` makes one of; all come to
            one dtype, in which everything is computed, whatever that of x.
        means: (K, d) m_y.
        covariances: (K, d, d) Σ_y, symmetric, positive semi-definite; singular ones have no density at σ = 0.

    Raises:
        ValueError: a shape or a value is not as above; the message begins with the argument's name.
    """

    def __init__(self, weights: Values, means: Values, covariances: Values) -> None:
        weights, means, covariances = _together(weights, means, covariances)
        K, d = _check_parameters(weights, means, covariances)
        self.weights, self.means, self.covariances = weights, means, covariances
        self.centre = weights @ means  # m, the mean of the mixture
        eigenvalues, axes = torch.linalg.eigh(covariances)  # ascending: (K, d), (K, d, d)
        eigenvalues = eigenvalues.clamp(min=0).where(eigenvalues > 1e-12 * eigenvalues[:, -1:], 0.0)
        self.floor = eigenvalues[:, 0]  # (K,)
        r = int((eigenvalues > self.floor[:, None] * (1 + 1e-9)).sum(1).max())
        self.spread = eigenvalues[:, d - r :]  # (K, r)
        self.axes = axes[:, :, d - r :].transpose(1, 2).reshape(K * r, d)  # rows: the r axes of y = 0, of y = 1, …
        # about the centre, so that |x − m_y|² = |x|² − 2x·m_y + |m_y|² loses no digits
        self._m = means - self.centre  # (K, d)
        self._m_squared = self._m.square().sum(1)[:, None]  # (K, 1)
        self._m_axes = (self.axes.view(K, r, d) @ self._m[:, :, None])[:, :, 0]  # (K, r)

    def to(self, dtype: torch.dtype) -> "GaussianMixture":
        """Return the same mixture, decomposition and all, computed in another dtype."""
        other = copy(self)
        vars(other).update({name: value.to(dtype) for name, value in vars(self).items()})
        return other

    @property
    def K(self) -> int:  # noqa: N802
        """Number of components."""
        return self.means.shape[0]

    @property
    def d(self) -> int:
        """Dimension of x."""
        return self.means.shape[1]

    def sample(
        self, n: int, y: Tensor | int | None = None, sigma: float = 0.0, generator: Generator | None = None
    ) -> Tensor:
        """Draw n samples of p_σ, (n, d), or of the classes y, one or (n,); None draws them from the weights.

        σ ≥ 0 is in the units of x. The generator is one of the CPU; None is torch's own.
        """
        labels = self.draw_labels(n, generator) if y is None else torch.as_tensor(y).expand(n)
        isotropic = (self.floor[labels] + sigma * sigma).sqrt()[:, None]
        x: Tensor = self.means[labels] + isotropic * standard_normal(self.means.new_empty(n, self.d), generator)
        extra = (self.spread - self.floor[:, None]).sqrt()[labels]  # Σ_y = floor·Id + A_yᵀ(spread − floor)A_y
        z = extra * standard_normal(extra, generator)
        own = self.one_hot(labels)[:, :, None] * z[:, None, :]  # (n, K, r), zero but for the sample's own class
        x += own.flatten(1) @ self.axes
        return x

    def given(self, M: Tensor, y: Tensor, noise: float) -> "GaussianMixture":
        """Return p(x|y) for y = Mx + noise·z, a mixture as well: the exact answer for `fgs.restoration`.

        M is (m, d), y (m,) what was measured, and the sd of its noise is > 0.
        """
        S = M @ self.covariances @ M.T + noise**2 * torch.eye(len(y)).to(self.means)  # (K, m, m), of y in each class
        G = torch.linalg.solve(S, M @ self.covariances).mT  # (K, d, m)
        away = y - self.means @ M.T
        far = (away * torch.linalg.solve(S, away[:, :, None])[:, :, 0]).sum(1)
        weights = (self.weights.log() - (far + S.logdet()) / 2).softmax(0)
        covariances = self.covariances - G @ M @ self.covariances
        means = self.means + (G @ away[:, :, None])[:, :, 0]
        likely = weights > 1e-12  # a mixture has no classes of weight 0
        weights = weights[likely] / weights[likely].sum()
        return GaussianMixture(weights, means[likely], (covariances + covariances.mT)[likely] / 2)

    def draw_labels(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n classes from the weights: (n,) integers."""
        return torch.multinomial(self.weights.cpu(), n, replacement=True, generator=generator)

    def log_prob(self, x: Tensor, sigma: Tensor | float = 0.0) -> Tensor:
        """Return log p_σ(x), (N, d) -> (N,), at noise level σ ≥ 0, () or (N,), in the units of x.

        Raises:
            ValueError: σ = 0 and a covariance is singular.
        """
        return self._log_joint(self._seen(x, sigma), None).logsumexp(0)

    def log_posterior(self, x: Tensor, sigma: Tensor | float = 0.0, weights: Tensor | None = None) -> Tensor:
        """Return log p_σ(y|x) by Bayes' rule: (N, K); `weights`, (K,) or (N, K), stand in for π."""
        return self._log_joint(self._seen(x, sigma), weights).log_softmax(0).T

    def posterior(self, x: Tensor, sigma: Tensor | float = 0.0, weights: Tensor | None = None) -> Tensor:
        """Return p_σ(y|x): (N, K); arguments as in `log_posterior`."""
        return self._log_joint(self._seen(x, sigma), weights).softmax(0).T

    def score(self, x: Tensor, sigma: Tensor | float = 0.0, weights: Tensor | None = None) -> Tensor:
        """Return ∇log p_σ(x) = Σ_y p_σ(y|x) ∇log p_{σ,y}(x), (N, d); arguments and errors as in `log_prob`.

        `weights`, (K,) or (N, K), stand in for π; one-hot weights give the conditional score.
        """
        seen = self._seen(x, sigma)
        p = self._log_joint(seen, weights).softmax(0)  # (K, N)
        a = p / seen.floor  # −∇log p_{σ,y} = (x − m_y)/floor, corrected along the axes
        b = (p[:, None] * (1 / seen.spread - 1 / seen.floor[:, None]) * seen.along).flatten(0, 1)  # (K·r, N)
        score: Tensor = a.T @ self._m - a.sum(0)[:, None] * seen.x - b.T @ self.axes
        return score

    def one_hot(self, y: Tensor | int) -> Tensor:
        """Return the class y, () or (N,), as weights (K,) or (N, K): the φ of an exact score."""
        return torch.eye(self.K, dtype=self.means.dtype, device=self.means.device)[y]

    # Inside, components come first, (K, N): sums over a short last axis are many times slower.

    def _log_joint(self, seen: "_Seen", weights: Tensor | None) -> Tensor:
        """Log π_y p_{σ,y}(x): (K, N)."""
        x, floor, spread, along = seen
        distance, on = x.square().sum(1) - 2 * self._m @ x.T + self._m_squared, along.square()  # |x − m_y|²
        quadratic = (distance - on.sum(1)) / floor + (on / spread).sum(1)
        log_determinant = self.d * (floor * (2 * math.pi)).log() + (spread / floor[:, None]).log().sum(1)
        prior = (self.weights if weights is None else weights.to(self.weights)).reshape(-1, self.K).T  # (K, 1 or N)
        return prior.log() - 0.5 * (quadratic + log_determinant)

    def _seen(self, x: Tensor, sigma: Tensor | float) -> "_Seen":
        """Return what densities and scores at x (N, d) are made of."""
        variance = torch.as_tensor(sigma, dtype=self.means.dtype, device=self.means.device).square().reshape(1, -1)
        floor, spread = self.floor[:, None] + variance, self.spread[:, :, None] + variance
        if bool((floor <= 0).any()):
            raise ValueError("sigma: a singular covariance has no density at sigma = 0; give a sigma > 0")
        x = x.to(self.centre) - self.centre
        along = (self.axes @ x.T).view(*self._m_axes.shape, len(x)) - self._m_axes[:, :, None]
        return _Seen(x, floor, spread, along)


class _Seen(NamedTuple):
    """x (N, d) about the centre, and for each class the eigenvalues of Σ_y + σ² Id and x − m_y in its axes."""

    x: Tensor  # (N, d)
    floor: Tensor  # (K, 1 or N) the eigenvalue off the axes
    spread: Tensor  # (K, r, 1 or N) those along the axes
    along: Tensor  # (K, r, N) the coordinates of x − m_y along them


def _together(*values: Values) -> list[Tensor]:
    """Return all as tensors of one floating-point dtype, that of those which have one."""
    dtypes = [torch.as_tensor(value).dtype for value in values if hasattr(value, "dtype")]
    floating = [dtype for dtype in dtypes if dtype.is_floating_point]
    dtype = reduce(torch.promote_types, floating) if floating else torch.get_default_dtype()
    return [torch.as_tensor(value, dtype=dtype) for value in values]


def _check_parameters(weights: Tensor, means: Tensor, covariances: Tensor) -> tuple[int, int]:
    if means.dim() != 2 or not torch.isfinite(means).all():
        raise ValueError(f"means: must be finite and of shape (K, d), got shape {tuple(means.shape)}")
    K, d = means.shape
    if weights.shape != (K,) or not bool((weights > 0).all()) or abs(float(weights.sum()) - 1) > 1e-6:
        raise ValueError(f"weights: must be {K} positive numbers of sum 1, got {weights.tolist()}")
    if covariances.shape != (K, d, d) or not torch.isfinite(covariances).all():
        raise ValueError(f"covariances: must be finite and of shape {(K, d, d)}, got shape {tuple(covariances.shape)}")
    if not torch.allclose(covariances, covariances.mT):
        raise ValueError("covariances: must be symmetric")
    eigenvalues = torch.linalg.eigvalsh(covariances)
    if bool((eigenvalues[:, 0] < -1e-6 * eigenvalues[:, -1].abs()).any()):
        raise ValueError(f"covariances: must be positive semi-definite, smallest eigenvalue {eigenvalues.min():.3g}")
    return K, d
