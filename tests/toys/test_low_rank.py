"""The denoiser of low-rank Gaussians: the exact one of its subspaces, and what samples can teach of them."""

import math

import pytest
import torch

from fgs import Budget, Trainer, denoising_loss, log_uniform
from fgs.noise import seeded
from fgs.protocols import ProjectedScore
from toy import ExactScore
from toy.low_rank import LowRankDenoiser, low_rank_mixture, random_subspaces, subspace_error


def train(network, x, steps):
    """Train by the denoising loss; return the mean of the last losses."""

    def loss(network, generator):
        some = x[torch.randint(len(x), (256,), generator=generator)]
        return denoising_loss(network, some, None, log_uniform(0.1), lambda s: 1 / s.square(), generator=generator)

    losses = [record.loss for record in Trainer(network, loss, Budget(steps=steps), learning_rate=0.03).run()]
    return sum(losses[-50:]) / 50


@pytest.mark.parametrize("K", [1, 3])
def test_with_the_true_subspaces_it_is_the_exact_score(K):
    network = LowRankDenoiser(K, 8, 2)
    network.U = random_subspaces(K, 8, 2, seed=5).float()  # the parametrization takes orthonormal matrices as they are
    assert isinstance(network, ProjectedScore)
    assert subspace_error(network.U.detach(), random_subspaces(K, 8, 2, seed=5)).max() < 1e-3
    mixture, sigma = low_rank_mixture(K, 8, 2, seed=5), torch.linspace(0.2, 2, 50).double()
    x = mixture.sample(50, generator=seeded(0)) + sigma[:, None] * torch.randn(50, 8, generator=seeded(1)).double()
    exact = ExactScore(mixture)(x, None, sigma)
    torch.testing.assert_close(network(x.float(), None, sigma.float()).detach().double(), exact, atol=1e-3, rtol=1e-3)


def test_the_error_is_0_of_the_same_and_1_of_orthogonal_subspaces():
    eye = torch.eye(6).double()
    first, second = eye[:, :2], eye[:, 2:4]
    turned = first @ torch.linalg.qr(torch.randn(2, 2, dtype=torch.float64, generator=seeded(0)))[0]
    found = subspace_error(torch.stack([turned, second]), torch.stack([second, first]))
    torch.testing.assert_close(found, torch.zeros(2).double(), atol=1e-7, rtol=0)
    torch.testing.assert_close(subspace_error(first[None], second[None]), torch.ones(1).double())


def test_trained_on_one_class_it_finds_the_principal_components():
    """Of n samples with r < n < d dimensions; the error of what is found is that of PCA, and n = r/2 leaves √½."""
    d, r = 16, 4
    true = random_subspaces(1, d, r, 2)
    x = low_rank_mixture(1, d, r, 2).sample(24, generator=seeded(3)).float() + 0.02 * torch.randn(
        24, d, generator=seeded(4)
    )
    network = LowRankDenoiser(1, d, r)
    train(network, x, 500)
    components = torch.linalg.svd(x)[2][:r].T[None]  # about the mean 0, which is known
    assert subspace_error(network.U.detach(), components) < 0.02
    few = low_rank_mixture(1, d, r, 2).sample(r // 2, generator=seeded(3)).float()
    half = LowRankDenoiser(1, d, r)
    train(half, few, 500)
    assert float(subspace_error(half.U.detach(), true)) == pytest.approx(math.sqrt(0.5), abs=0.1)


def test_trained_on_two_classes_it_finds_both():
    true, mixture = random_subspaces(2, 12, 2, 1), low_rank_mixture(2, 12, 2, 1)
    x = mixture.sample(40, torch.arange(40) % 2, generator=seeded(0)).float()
    found = []
    for seed in range(4):  # of several starts that of the least loss, as for any clustering
        network = LowRankDenoiser(2, 12, 2, seed)
        found.append((train(network, x, 300), seed, network.U.detach()))
    assert subspace_error(min(found)[2], true).max() < 0.05


def test_sigma_is_required():
    with pytest.raises(ValueError, match=r"^sigma:"):
        LowRankDenoiser(1, 4, 2)(torch.zeros(1, 4))
