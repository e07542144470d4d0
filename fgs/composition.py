"""Composition of scores: OR and AND of classes or networks, with weights that log-densities along the path give.

Superposition (Skreta et al. 2025): x follows Σκ_i s_i. For OR, a mixture, κ_i is the posterior of i at x; for AND κ is
chosen so that log p_i changes alike for all i, and x comes to where all find it as likely. Both need log p_i along the
path, for which their Itô estimator asks for no divergence. Here it is in steps of finite size. With β = ½, forward and
backward kernels belong together by Bayes' rule, p_σ'(x')N(x; x', σ² − σ'²) = p_σ(x)N(x'; x + hs_i, γ²), so that

    log p_σ'(x') − log p_σ(x) = log N(x'; x + hs_i, γ²) − log N(x; x', σ² − σ'²)

with r = σ'/σ, h = 1 − r² and γ² = r²(σ² − σ'²), for any step x → x', whatever it followed. The backward kernel is a
Gaussian where the step is small, and what its width is wrong by has mean 0 over the noise; not so for AND, which takes
noise away: there only differences count.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from fgs.few_steps import FewSteps
from fgs.noise import NoiseEstimate, known_schedule, per_row, standard_normal
from fgs.protocols import ProjectedScore
from fgs.sampling import NotConvergingError, Step


@dataclass(frozen=True)
class Several:
    """Some scores, each asked for its own φ; called as one, they are averaged: as if log-densities were."""

    holds_rows = True  # see `fgs.sampling`
    scores: tuple[ProjectedScore, ...]  # M of them, or M times the same
    phis: tuple[Tensor | None, ...]  # of each its (F,) or (N, F), or None
    log_p: Tensor | float = 0.0  # (M, N) log p_i at the start, up to a constant; 0: at a large σ_0 all are one Gaussian

    def each(self, x: Tensor, sigma: Tensor | None) -> Tensor:
        """Return s_i, (M, N, *shape)."""
        return torch.stack([score(x, phi, sigma) for score, phi in zip(self.scores, self.phis, strict=True)])

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return the mean of the scores, the shape of x; φ is theirs, and given as None."""
        return self.each(x, sigma).mean(0)


@dataclass(frozen=True)
class Superposition(FewSteps):
    """Sampling by scores that are `Several`, in even steps of ln σ; `calls` are of each network."""

    beta: float = field(default=0.5, init=False)
    noise_level: NoiseEstimate = field(default=known_schedule, init=False)

    @torch.no_grad()
    def densities(
        self, score: ProjectedScore, x: Tensor, generator: Generator | None = None
    ) -> Iterator[tuple[Step, Tensor]]:
        """Yield every update, and log p_i of what it leaves, (M, N), up to the constant that `Several.log_p` had.

        Raises:
            TypeError: the score is not `Several`.
        """
        if not isinstance(score, Several):
            raise TypeError(f"score: give Several(scores, phis) to be composed, not {type(score).__name__}")
        r, sigma, d = self.ratios()[0], x.new_tensor(self.sigma_0), x[0].numel()
        h = 1 - r**2
        log_p = x.new_zeros(len(score.scores), len(x)) + score.log_p
        for k in range(1, self.updates() + 1):
            s = score.each(x, sigma)
            z = standard_normal(x, generator)
            gamma = sigma * r * math.sqrt(h)
            mixed = self._mix(self.weights(s.flatten(2), z.flatten(1), log_p, h, gamma), s)
            x_hat, after = x + mixed, x + h * mixed + gamma * z
            if not after.sum().isfinite():
                raise NotConvergingError(f"step {k}: x is not finite; use more calls")
            backward = (after - x - h * s).flatten(2).square().sum(2) / gamma**2
            forward = (after - x).flatten(1).square().sum(1) / (sigma.square() * h)
            log_p = log_p + (forward - backward) / 2 - d * math.log(r)
            x, sigma = after, r * sigma
            yield Step(x, x_hat, sigma, k, torch.ones_like(sigma, dtype=torch.bool)), log_p
        if self.denoise_last:
            s = score.each(x, sigma)
            z = torch.zeros_like(x).flatten(1)
            x_hat = x + self._mix(self.weights(s.flatten(2), z, log_p, 1.0, sigma), s)
            yield Step(x_hat, x_hat, sigma, self.updates(), torch.zeros_like(sigma, dtype=torch.bool)), log_p

    def _updates(
        self, score: ProjectedScore, x: Tensor, phi: Tensor | None, generator: Generator | None
    ) -> Iterator[Step]:
        for step, _ in self.densities(score, x, generator):
            yield step

    def _mix(self, kappa: Tensor, s: Tensor) -> Tensor:
        return (per_row(kappa.flatten(), s.flatten(0, 1)) * s.flatten(0, 1)).reshape(s.shape).sum(0)

    @abstractmethod
    def weights(self, s: Tensor, z: Tensor, log_p: Tensor, h: float, gamma: Tensor) -> Tensor:
        """Return κ, (M, N) of sum 1 over M, from s (M, N, d), the noise z (N, d) of the step, and log p_i (M, N)."""


@dataclass(frozen=True)
class AnyOf(Superposition):
    """OR: samples of the mixture of all, in equal shares."""

    def weights(self, s: Tensor, z: Tensor, log_p: Tensor, h: float, gamma: Tensor) -> Tensor:
        """Return the posteriors of the components."""
        return log_p.softmax(0)


@dataclass(frozen=True)
class AllOf(Superposition):
    """AND: samples that all densities find as likely, as far as they do."""

    def weights(self, s: Tensor, z: Tensor, log_p: Tensor, h: float, gamma: Tensor) -> Tensor:
        """Return the κ by which log p_i changes alike for all i.

        Of the change, −‖h(Σκ_j s_j − s_i) + γz‖²/2γ² and a part that all share, differences are linear in κ.
        """
        away = (s - s.mean(0)).transpose(0, 1)  # (N, M, d): what all share drops out of the differences
        gram = away @ away.mT
        wanted = h * away.square().sum(2) / 2 - gamma * (away @ z[:, :, None])[:, :, 0]
        wanted = wanted - wanted.mean(1, keepdim=True)
        # κ = 1/M + a with Σa = 0 and h·gram·a = wanted, the smallest such a where scores agree
        a = torch.linalg.pinv(h * gram, rtol=1e-6, hermitian=True) @ wanted[:, :, None]
        kappa: Tensor = 1 / len(s) + a[:, :, 0].T
        return kappa
