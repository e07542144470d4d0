"""Muon against the singular value decomposition, against torch's own for matrices, and on a problem it is for."""

import pytest
import torch
from torch import Tensor, nn

from fgs.networks.unet import GuidedUNet
from fgs.training.muon import Muon, muon, orthogonalize


def _matrix(n: int, m: int, seed: int = 0) -> Tensor:
    """A matrix whose singular values fall from 1 to 1/30."""
    generator = torch.Generator().manual_seed(seed)
    u, _, vt = torch.linalg.svd(torch.randn(n, m, generator=generator), full_matrices=False)
    return u @ torch.diag(torch.logspace(0, -1.5, min(n, m))) @ vt


@pytest.mark.parametrize("shape", [(16, 40), (40, 16), (24, 24), (1, 30)])
def test_orthogonalize_keeps_the_singular_vectors_and_levels_the_values(shape: tuple[int, int]) -> None:
    matrix = _matrix(*shape)
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    in_its_basis = u.T @ orthogonalize(matrix) @ vt.T
    values = in_its_basis.diagonal()
    assert float(values.min()) > 0.65
    assert float(values.max()) < 1.25
    assert float((in_its_basis - torch.diag(values)).abs().max()) < 1e-3


def test_orthogonalize_knows_no_scale_and_takes_nothing() -> None:
    matrix = _matrix(8, 12)
    torch.testing.assert_close(orthogonalize(1e-6 * matrix), orthogonalize(1e4 * matrix), atol=1e-4, rtol=1e-3)
    assert torch.equal(orthogonalize(torch.zeros(4, 6)), torch.zeros(4, 6))


def test_steps_are_those_of_torch_for_matrices() -> None:
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch.optim.Muon came with torch 2.9")
    ours, theirs = (nn.Parameter(_matrix(12, 30, seed=5)) for _ in range(2))
    optimizers = [
        Muon([ours], lr=0.01),
        torch.optim.Muon([theirs], lr=0.01, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
    ]
    for k in range(4):
        for weight, optimizer in zip((ours, theirs), optimizers, strict=True):
            weight.grad = _matrix(12, 30, seed=k)
            optimizer.step()
    # theirs multiplies in bfloat16
    moved = (ours - _matrix(12, 30, seed=5)).detach().norm()
    assert float((ours - theirs).detach().norm()) < 0.02 * float(moved)


def test_every_weight_has_one_optimizer() -> None:
    network = GuidedUNet(channels=4, levels=1)
    convolutions, others = (
        [p for group in optimizer.param_groups for p in group["params"]] for optimizer in muon(network, 0.1)
    )
    assert all(p.ndim == 4 for p in convolutions)
    assert any(p is network.out.weight for p in others)
    trained = {id(p) for p in network.parameters() if p.requires_grad}
    assert {id(p) for p in convolutions} | {id(p) for p in others} == trained
    assert len(convolutions) + len(others) == len(trained)


@pytest.mark.parametrize("way", ["muon", "adam"])
def test_faint_directions_are_learned_as_fast_as_strong_ones(way: str) -> None:
    """A linear map with inputs of sd 1 to 1/100 along axes that are no coordinates, which Adam would scale."""
    generator = torch.Generator().manual_seed(1)
    scales = torch.logspace(0, -2, 8)
    axes, _ = torch.linalg.qr(torch.randn(8, 8, generator=generator))
    wanted = torch.randn(8, 8, generator=generator)
    weight = nn.Parameter(torch.zeros(8, 8))
    optimizer = Muon([weight], lr=0.3) if way == "muon" else torch.optim.Adam([weight], lr=0.3)
    for k in range(400):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - k / 400)
        optimizer.zero_grad()
        x = (torch.randn(64, 8, generator=generator) * scales) @ axes
        (x @ (weight - wanted).T).square().mean().backward()
        optimizer.step()
    error = ((weight - wanted) @ axes.T).detach().square().mean(0).sqrt()
    assert float(error.max()) < 0.1 if way == "muon" else float(error.max()) > 0.5


def test_what_it_is_not_for() -> None:
    with pytest.raises(ValueError, match=r"^network: Muon is for convolutions"):
        muon(nn.Linear(3, 2), 0.1)
    with pytest.raises(ValueError, match=r"^closure: "):
        Muon([nn.Parameter(torch.ones(2, 2))], lr=0.1).step(lambda: 0.0)
