"""Classes without labels: samples that belong together by their own φ (Hu et al. 2023).

Algorithm 2 needs labels to choose x'. Let φ choose: sort samples into K clusters, and take x' from the cluster of x.
Sorted each by itself, samples may crowd into few clusters: a φ that is still being learned can make that cheap, and
prototypes that begin together stay so. So every cluster is given the same share, and samples are spread over them by

    max_P ⟨P, scores⟩ + ε H(P)   over P ≥ 0 whose rows sum to 1/N, and whose columns sum to 1/K:

entropic optimal transport. The maximum u_i exp(scores_ik/ε) v_k is found by scaling rows and columns in turn (Sinkhorn
& Knopp; Cuturi 2013; for labels of one's own Asano et al. 2020, who spread all data at intervals, as here).
"""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

EPSILON = 0.01  # in units of the variance of a channel of φ
SOME = 20  # iterations where prototypes are sent apart: shares need not be met to the last digit
ROUNDS, STARTS = 30, 8  # of fitting prototypes, and places to start from


def sinkhorn(scores: Tensor, epsilon: float = EPSILON, iterations: int = 1000) -> Tensor:
    """Return soft assignments (N, K): each row sums to 1, and the mean of the rows tends to 1/K.

    Args:
        scores: (N, K), the higher the better.
        epsilon: ε, in their units; towards 0, where K divides N, each sample has one cluster, by the best assignment.
        iterations: at the most, and the smaller ε the more it takes; fewer if the shares are met to 10⁻⁸.
    """
    M = scores.cpu().double() / epsilon
    log_q, log_p = -math.log(M.shape[1]), M.log_softmax(1)
    for _ in range(iterations):
        columns = log_p.logsumexp(0) - math.log(len(M))
        if float((columns.exp() - math.exp(log_q)).abs().max()) < 1e-8:
            break
        log_p = (log_p + log_q - columns).log_softmax(1)
    return log_p.exp()


class Clusters(NamedTuple):
    """What a cluster is: a place in φ, whose channels all have mean 0 and variance 1 over the samples; on the CPU."""

    mean: Tensor  # (F,) of φ
    sd: Tensor  # (F,) its unit
    prototypes: Tensor  # (K, F)
    shares: Tensor  # (K,) of the samples that were nearest to each

    def assign(self, phi: Tensor) -> Tensor:
        """Return the cluster of each φ, (N, F) -> (N,): that of the nearest prototype, as in Section 3, of any share.

        Shares are prescribed while prototypes are fitted, and no longer: chance alone makes classes unequal, and what
        one of them has too much would be taken for another.
        """
        return self.scores(phi).argmax(1)

    def scores(self, phi: Tensor) -> Tensor:
        """Return how near each φ is to each prototype, (N, F) -> (N, K)."""
        return _scores((phi.cpu().double() - self.mean) / self.sd, self.prototypes)

    @property
    def collapsed(self) -> list[int]:
        """The clusters that hold next to nothing: φ does not tell so many apart, or a class is as rare."""
        return (self.shares < 0.1 / len(self.shares)).nonzero()[:, 0].tolist()


def find_clusters(phi: Tensor, K: int, before: Clusters | None = None, generator: Generator | None = None) -> Clusters:
    """Fit K prototypes to φ (N, F) of samples whose classes are not known, each the mean of what is assigned to it.

    Places to start from are samples far from each other (k-means++), which the generator draws, and the clusters
    `before`, of a network that has changed a little since. The prototypes that end nearest to the samples are kept.

    Raises:
        ValueError: there are fewer than two clusters, or too few samples; the message begins with "clusters".
    """
    if not 2 <= K <= len(phi):
        raise ValueError(f"clusters: must lie between 2 and the number of samples, {len(phi)}, got {K}")
    phi = phi.cpu().double()
    sd, mean = torch.std_mean(phi, 0, correction=0)
    sd = torch.where(sd > 1e-5 * mean.abs() + 1e-9 * sd.max(), sd, torch.inf)  # a channel that is constant says nothing
    z = (phi - mean) / sd
    known = [before.prototypes] if before and len(before.prototypes) == K else []
    starts = known + [_far_apart(z, K, generator) for _ in range(STARTS)]
    prototypes = max((_fit(z, start) for start in starts), key=lambda c: float(_scores(z, c).amax(1).mean()))
    shares = _scores(z, prototypes).argmax(1).bincount(minlength=K) / len(z)
    return Clusters(mean, sd, prototypes, shares)


def _scores(z: Tensor, prototypes: Tensor) -> Tensor:
    """−½ the mean square over channels of what lies between samples and prototypes: (N, F), (K, F) -> (N, K)."""
    return -torch.cdist(z, prototypes).square() / (2 * z.shape[1])


def _fit(z: Tensor, prototypes: Tensor) -> Tensor:
    """Even shares first, so that no prototype is left over; then none, since classes are not quite even."""
    for iterations in (SOME, 0):
        for _ in range(ROUNDS):
            P = sinkhorn(_scores(z, prototypes), iterations=iterations)
            before, prototypes = prototypes, P.T @ z / P.sum(0)[:, None].clamp_min(1e-9)
            if float((prototypes - before).abs().max()) < 1e-3:
                break
    return prototypes


def _far_apart(z: Tensor, K: int, generator: Generator | None) -> Tensor:
    """Choose K samples, each with probability in proportion to its squared distance from those chosen before."""
    chosen = z[torch.randint(len(z), (1,), generator=generator)]
    while len(chosen) < K:
        distance = torch.cdist(z, chosen).square().amin(1)
        new = torch.multinomial(distance + 1e-12, 1, generator=generator)
        chosen = torch.cat([chosen, z[new]])
    return chosen
