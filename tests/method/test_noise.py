import pytest
import torch

from fgs.noise import add_noise, known_schedule, per_row, per_sample, pooled, seeded, standard_normal


def rows(n, *shape, dtype=torch.float64):
    return torch.zeros(n, *shape, dtype=dtype)


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 5, 5)])
def test_a_row_of_noise_does_not_depend_on_the_rows_that_follow(shape):
    few = standard_normal(rows(3, *shape), torch.Generator().manual_seed(4))
    many = standard_normal(rows(1000, *shape), torch.Generator().manual_seed(4))
    assert torch.equal(few, many[:3])


def test_the_generator_moves_on_alike_for_any_number_of_rows():
    a, b = torch.Generator().manual_seed(4), torch.Generator().manual_seed(4)
    standard_normal(rows(3, 2), a)
    standard_normal(rows(500, 2), b)
    assert torch.equal(standard_normal(rows(2, 2), a), standard_normal(rows(2, 2), b))


def test_a_seed_means_the_same_in_both_precisions():
    a = standard_normal(rows(5, 3), torch.Generator().manual_seed(1))
    b = standard_normal(rows(5, 3, dtype=torch.float32), torch.Generator().manual_seed(1))
    assert torch.equal(a.float(), b)


def test_noise_is_standard_normal_and_white(generator):
    first, second = (standard_normal(rows(100_000, 2), generator) for _ in range(2))
    z = torch.cat([first, second], 1)
    torch.testing.assert_close(z.T.cov(), torch.eye(4, dtype=torch.float64), atol=0.015, rtol=0)
    assert float(z.pow(4).mean()) == pytest.approx(3, abs=0.05)


def test_without_a_generator_torch_s_own_is_used():
    torch.manual_seed(3)
    a = standard_normal(rows(4, 2))
    torch.manual_seed(3)
    assert torch.equal(a, standard_normal(rows(4, 2)))


def test_streams_of_a_seed_differ():
    draws = [float(torch.rand((), generator=seeded(*path))) for path in ((0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 1))]
    assert len(set(draws)) == len(draws)
    assert draws[2] == float(torch.rand((), generator=seeded(0, 0)))


def test_add_noise_scales_each_row(generator):
    x = torch.ones(3, 4, 5, dtype=torch.float64)
    sigma = torch.tensor([0.0, 1.0, 10.0], dtype=torch.float64)
    x_sigma, z = add_noise(x, sigma, generator)
    torch.testing.assert_close(x_sigma - x, sigma[:, None, None] * z)
    assert torch.equal(x_sigma[0], x[0])


def test_noise_levels_of_a_residual():
    s = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    sigma = torch.tensor(0.7)
    assert known_schedule(s, sigma) is sigma
    torch.testing.assert_close(per_sample(s, sigma), torch.tensor([12.5**0.5, 0.0]))
    torch.testing.assert_close(pooled(s, sigma), torch.tensor((25 / 4) ** 0.5))


def test_per_row_broadcasts():
    x = torch.zeros(3, 2, 2)
    assert per_row(torch.tensor(1.0), x).shape == (1, 1, 1)
    assert per_row(torch.ones(3), x).shape == (3, 1, 1)
