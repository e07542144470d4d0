"""Optimal transport against its laws and an exact solver; clusters where classes are known; pairs of one cluster."""

import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from fgs.clusters import _scores, find_clusters, sinkhorn
from fgs.noise import seeded
from fgs.self_labels import Assigner


def scores_of(N, K, seed=0, scale=1.0):
    return scale * torch.randn(N, K, dtype=torch.float64, generator=seeded(seed))


def gaussians(n, centres, sd=0.1, seed=0):
    """n samples a centre (K, F), and their classes."""
    y = torch.arange(len(centres)).repeat_interleave(n)
    noise = torch.randn(len(y), centres.shape[1], generator=seeded(seed))
    return centres[y] + sd * noise, y


def purity(clusters, y):
    counts = torch.zeros(int(clusters.max()) + 1, int(y.max()) + 1)
    counts.index_put_((clusters, y), torch.ones(len(y)), accumulate=True)
    return float(counts.amax(1).sum()) / len(y)


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_met(seed):
    K = 2 + seed
    P = sinkhorn(scores_of(100, K, seed), 0.3)
    torch.testing.assert_close(P.sum(1), torch.ones(100).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(P.mean(0), torch.full((K,), 1 / K).double(), rtol=0, atol=1e-6)


def test_it_is_the_optimum():
    """Only P_ik = u_i exp(scores_ik/ε) v_k is stationary: what is left of log P is a sum of a row's and a column's."""
    scores = scores_of(40, 5)
    rest = sinkhorn(scores, 0.5).log() - scores / 0.5
    double = rest - rest.mean(0) - rest.mean(1, keepdim=True) + rest.mean()
    assert float(double.abs().max()) < 1e-10


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("each", [1, 3])
def test_towards_zero_it_is_the_best_assignment(seed, each):
    scores = scores_of(8 * each, 8, seed)
    P = sinkhorn(scores, 0.01, iterations=20_000)
    rows, columns = linear_sum_assignment(scores.repeat_interleave(each, 1), maximize=True)
    assert P.argmax(1)[rows].tolist() == (columns // each).tolist()
    value, best = float((P * scores).sum()), float(scores.repeat_interleave(each, 1)[rows, columns].sum())
    assert best - 0.01 * len(P) * math.log(8) <= value <= best + 1e-6  # what entropy can be worth


def test_an_order_means_nothing():
    scores, rows, columns = scores_of(30, 4), torch.randperm(30, generator=seeded(1)), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(sinkhorn(scores[rows][:, columns], 0.2), sinkhorn(scores, 0.2)[rows][:, columns])


def test_huge_scores_are_no_trouble():
    for scale in (1e4, 1e-4):
        P = sinkhorn(scores_of(50, 6, scale=scale).clamp(-1e4, 1e4))
        assert P.isfinite().all()
        torch.testing.assert_close(P.sum(1), torch.ones(50).double())


@pytest.mark.parametrize("shares", [(300, 300, 300), (540, 60, 300)])
def test_classes_are_found_whatever_the_scale_of_a_channel(shares):
    centres = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    phi, y = gaussians(600, centres)
    kept = torch.cat([torch.arange(600 * k, 600 * k + n) for k, n in enumerate(shares)])
    phi, y = phi[kept] * torch.tensor([1.0, 1e3, 1e-3]), y[kept]
    found = find_clusters(phi, 3, generator=seeded(0))
    assert purity(found.assign(phi), y) == 1
    assert sorted((found.shares * len(y)).round().int().tolist()) == sorted(shares)
    assert found.collapsed == []
    torch.testing.assert_close(found.assign(phi * 1.0), find_clusters(phi, 3, found).assign(phi))


def test_channels_that_say_nothing_are_left_out():
    """Dead where clusters were found and alive later, or constant but for rounding."""
    phi, y = gaussians(300, torch.tensor([[0.0], [1.0]]))
    rounding = 5 + 1e-6 * torch.randn(600, 60, generator=seeded(1))
    found = find_clusters(torch.cat([phi, torch.zeros(600, 1), rounding], 1), 2, generator=seeded(0))
    later = torch.cat([phi, torch.full((600, 1), 0.5), rounding], 1)
    assert purity(found.assign(later), y) == 1


def test_clusters_of_another_number_are_no_start():
    phi, _ = gaussians(50, torch.arange(3.0)[:, None])
    assert len(find_clusters(phi, 3, find_clusters(phi, 2, generator=seeded(0)), seeded(1)).prototypes) == 3


def test_six_in_a_row_are_found_from_every_start():
    """Where means of what is nearest get stuck, since nothing holds the shares, this does not."""
    phi, y = gaussians(200, torch.arange(6.0)[:, None])
    assert min(purity(find_clusters(phi, 6, generator=seeded(seed)).assign(phi), y) for seed in range(10)) == 1


def apart(K, F=40):
    """Centres of K classes, each 10 sd from every other."""
    return torch.eye(K, F) / 2**0.5


def test_a_bad_start_is_left():
    """Clusters of a network that took two classes for one, and divided another, are one start of several."""
    phi, y = gaussians(200, apart(12))
    cluster = torch.where(y == 1, 0, y)
    cluster[(y == 2) & (phi[:, 0] > 0)] = 1
    bad = find_clusters(phi, 12, generator=seeded(0))
    z = (phi - bad.mean) / bad.sd
    bad = bad._replace(prototypes=torch.stack([z[cluster == k].mean(0) for k in range(12)]))
    assert purity(bad.assign(phi), y) < 0.95
    assert purity(find_clusters(phi, 12, bad, seeded(1)).assign(phi), y) == 1


@pytest.mark.parametrize("shares", [(900, 100), (400, 400, 170, 30)])
def test_rare_classes_are_found(shares):
    """Even shares alone divide the large class, and take the rare one for a part of it: purity .9 and .97."""
    phi, y = gaussians(900, apart(len(shares), 8))
    kept = torch.cat([torch.arange(900 * k, 900 * k + n) for k, n in enumerate(shares)])
    assert purity(find_clusters(phi[kept], len(shares), generator=seeded(0)).assign(phi[kept]), y[kept]) == 1


def test_a_collapse_is_named():
    nothing = torch.zeros(100, 4)
    assert find_clusters(nothing, 3, generator=seeded(0)).collapsed == [1, 2]


@pytest.mark.parametrize("K", [0, 1, 11])
def test_too_few_and_too_many_clusters_are_refused(K):
    with pytest.raises(ValueError, match=r"^clusters: must lie between 2 and the number of samples, 10, got"):
        find_clusters(torch.randn(10, 3), K)


class _Itself:
    """φ(x) = x, and how often it was asked."""

    def __init__(self):
        self.asked = 0

    def features(self, x, sigma=None):
        self.asked += 1
        return x


def test_pairs_are_different_samples_of_one_cluster():
    def draw(n, generator):
        y = torch.randint(3, (n,), generator=generator)
        return 10.0 * y[:, None] + torch.rand(n, 1, generator=generator)

    extractor, generator = _Itself(), seeded(0)
    assigner = Assigner(draw, 3, size=300, every=1000)
    drawn = [assigner.pairs(100, extractor, generator=generator) for _ in range(25)]
    x, x_prime = (torch.cat(part) for part in zip(*drawn, strict=True))
    assert extractor.asked == 3
    assert torch.equal((x / 10).floor(), (x_prime / 10).floor())
    assert not (x == x_prime).any()
    assert len(x_prime[:1000].unique()) > 0.9 * 300
    counts = (x / 10).floor()[:, 0].long().bincount().double() / len(x)
    torch.testing.assert_close(counts, torch.full((3,), 1 / 3).double(), rtol=0, atol=0.06)


def test_several_partners_stand_in_a_row_and_clusters_may_be_kept():
    def draw(n, generator):
        return 10.0 * torch.randint(2, (n, 1), generator=generator) + torch.rand(n, 1, generator=generator)

    for once in (False, True):
        assigner, generator = Assigner(draw, 2, size=200, every=100, once=once), seeded(0)
        x, x_prime = assigner.pairs(100, _Itself(), generator=generator, primes=3)
        assert torch.equal((x / 10).floor().expand(100, 3), (x_prime / 10).floor().reshape(100, 3))
        assert not (x == x_prime.reshape(100, 3)).any()
        before = assigner.clusters
        assigner.pairs(100, _Itself(), generator=generator)
        assert (assigner.clusters is before) == once


def test_a_cluster_of_one_is_its_own_partner():
    bank = torch.tensor([[0.0], [0.1], [5.0]])
    x, x_prime = Assigner(lambda n, generator: bank, 2, size=3).pairs(60, _Itself(), generator=seeded(0))
    assert torch.equal(x[x == 5], x_prime[x == 5])
    assert not (x == x_prime)[x < 5].any()


def test_scores_are_half_the_mean_square_over_channels():
    z, prototypes = scores_of(4, 3, seed=1), scores_of(2, 3, seed=2)
    expected = [[-float((a - c).square().mean()) / 2 for c in prototypes] for a in z]
    torch.testing.assert_close(_scores(z, prototypes), torch.tensor(expected, dtype=torch.float64))
