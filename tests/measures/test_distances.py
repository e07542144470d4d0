import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from fgs.measures import distances as measures
from fgs.measures.distances import (
    class_hit,
    energy_distance,
    mean_and_sd,
    two_sample_floor,
    wasserstein_1,
)

SIZES = st.integers(1, 40)


def draw(n, d=1, seed=0, shift=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


@given(SIZES, SIZES, st.booleans())
def test_w1_is_scipy_s(n, m, ties):
    x, y = draw(n, seed=n), draw(m, seed=100 + m, shift=0.5)
    if ties:
        x, y = x.round(), y.round()
    expected = scipy.stats.wasserstein_distance(x[:, 0].numpy(), y[:, 0].numpy())
    assert float(wasserstein_1(x, y)) == pytest.approx(expected, abs=1e-12)


@given(SIZES, SIZES)
def test_energy_distance_on_a_line_is_scipy_s(n, m):
    x, y = draw(n, seed=n), draw(m, seed=100 + m, shift=0.5).round()
    expected = scipy.stats.energy_distance(x[:, 0].numpy(), y[:, 0].numpy()) ** 2
    assert float(energy_distance(x, y)) == pytest.approx(expected, abs=1e-12)


@given(SIZES, SIZES)
def test_energy_distance_does_not_depend_on_the_way(n, m):
    """A line laid into d = 3 has the same distances, by pairs instead of by sorting."""
    x, y = draw(n, seed=n), draw(m, seed=100 + m, shift=0.5)
    direction = torch.tensor([[1.0, 2.0, -2.0]], dtype=torch.float64) / 3
    expected = float(energy_distance(x, y))
    assert float(energy_distance(x @ direction, y @ direction)) == pytest.approx(expected, abs=1e-6)


def test_energy_distance_in_small_pieces(monkeypatch):
    x, y = draw(57, 3), draw(41, 3, seed=1)
    whole = energy_distance(x, y)
    monkeypatch.setattr(measures.mean_distance, "__defaults__", (100,))
    torch.testing.assert_close(energy_distance(x, y), whole)


@pytest.mark.parametrize("distance", [energy_distance])
def test_distances_vanish_on_equal_sets_and_grow_with_a_shift(distance):
    x = draw(500, 3)
    assert float(distance(x, x.flip(0))) == pytest.approx(0, abs=1e-6)
    near, far = (float(distance(x, draw(500, 3, seed=1, shift=shift))) for shift in (0.3, 1.0))
    assert 0 < near < far


def test_distances_scale_with_the_units():
    x, y = draw(100, 2), draw(100, 2, seed=1, shift=1.0)
    assert float(energy_distance(3 * x, 3 * y)) == pytest.approx(3 * float(energy_distance(x, y)))
    assert float(wasserstein_1(3 * x[:, 0], 3 * y[:, 0])) == pytest.approx(3 * float(wasserstein_1(x[:, 0], y[:, 0])))


def test_floor_is_the_mean_over_pairs_and_falls_with_the_size():
    sets = [draw(100, seed=seed) for seed in range(3)]
    expected = sum(float(wasserstein_1(sets[i], sets[j])) for i, j in ((0, 1), (0, 2), (1, 2))) / 3
    assert two_sample_floor(wasserstein_1, sets) == pytest.approx(expected)
    large = two_sample_floor(wasserstein_1, [draw(10_000, seed=seed) for seed in range(6)])
    assert large == pytest.approx(expected / 10, rel=0.5)  # ∝ 1/√N
    with pytest.raises(ValueError, match=r"^true_sets"):
        two_sample_floor(wasserstein_1, sets[:1])


def test_class_hit_counts():
    log_posterior = torch.tensor([[0.0, -1.0], [-1.0, 0.0], [-2.0, 0.0], [0.0, -3.0]])
    assert class_hit(log_posterior, 1) == 0.5
    assert class_hit(log_posterior, torch.tensor([0, 1, 1, 1])) == 0.75


def test_mean_and_sd_in_units_of_the_class():
    u = torch.tensor([0.6, 0.8], dtype=torch.float64)
    x = torch.tensor([1.0, 2.0], dtype=torch.float64) + (0.5 + 3 * draw(100_000)) * u
    error, sd = mean_and_sd(x, torch.tensor([1.0, 2.0], dtype=torch.float64), u, 2.0)
    assert error == pytest.approx(0.25, abs=0.02)
    assert sd == pytest.approx(1.5, abs=0.02)


@pytest.mark.slow
def test_energy_distance_of_many_points_in_bounded_memory():
    """10⁵ points: all distances at once would take 80 GB."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    x, y = draw(100_000, 8).float(), draw(100_000, 8, seed=1).float()
    assert 0 <= float(energy_distance(x, y)) < 1e-3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


def test_what_is_not_finite_hits_no_class():
    assert measures.class_hit(torch.tensor([[0.0, -1.0], [torch.nan, torch.nan]]), 0) == 0.5


def test_w1_is_of_numbers():
    with pytest.raises(ValueError, match=r"^x, y: must be sets of numbers"):
        measures.wasserstein_1(torch.zeros(3, 2), torch.zeros(3, 2))
