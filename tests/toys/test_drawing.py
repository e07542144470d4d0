"""Methods that go step by step together are sampled as if each went alone."""

import math
from statistics import fmean

import pytest
import torch

from fgs.measures.distances import energy_distance
from fgs.noise import seeded, standard_normal
from toy.config import ToyConfig
from toy.drawing import Drawn, draw_together
from toy.experiment import prepare, run_toy
from toy.methods import Method, build_method

CONFIG = ToyConfig(components=3, dim=3, target=1, samples=300, h=0.2, beta=0.3)


@pytest.fixture(scope="module")
def prepared():
    judge, sampler = prepare(CONFIG)
    methods = {name: build_method(name, judge.mixture, 1, sampler) for name in ("exact", "forcing", "mixture")}
    return judge, sampler, methods


def test_together_is_each_alone(prepared):
    judge, sampler, methods = prepared
    together = draw_together(methods, 1, judge.mixture, sampler, 300, 5)
    for name, method in methods.items():
        alone = draw_together({name: method}, 1, judge.mixture, sampler, 300, 5)[name]
        assert torch.equal(alone.x, together[name].x)
        assert alone.steps.tolist() == [sampler.planned_steps()] * 300


def test_one_that_fails_leaves_the_others_as_they_are(prepared):
    judge, sampler, methods = prepared
    failing = Method("bad", lambda x, phi=None, sigma=None: x * math.nan, None)
    found = draw_together({"bad": failing, **methods}, 1, judge.mixture, sampler, 300, 5)
    assert not isinstance(found["bad"], Drawn)
    assert torch.equal(found["exact"].x, draw_together(methods, 1, judge.mixture, sampler, 300, 5)["exact"].x)


def test_noise_that_is_remembered_cannot_be_changed():
    like = torch.empty(4, 3, dtype=torch.float64)
    first = standard_normal(like, seeded(0))
    kept = first.clone()
    first += 1
    assert torch.equal(standard_normal(like, seeded(0)), kept)


def test_single_precision_changes_a_sample_by_little(prepared):
    judge, sampler, methods = prepared
    single = judge.mixture.to(torch.float32)
    x = judge.mixture.sample(200, sigma=0.3, generator=seeded(1))
    sigma = torch.tensor(0.3)
    torch.testing.assert_close(
        single.score(x, sigma).double(), judge.mixture.score(x, sigma.double()), rtol=1e-3, atol=1e-3
    )
    rough = draw_together({"exact": build_method("exact", single, 1, sampler)}, 1, single, sampler, 300, 5)["exact"].x
    fine = draw_together(methods, 1, judge.mixture, sampler, 300, 5)["exact"].x
    assert (rough - fine).abs().max() < 1e-3 * CONFIG.std


def test_energy_is_that_of_the_distance(prepared):
    """The judge measures distances within a set once; the sum is the energy distance all the same."""
    judge, sampler, methods = prepared
    x = draw_together(methods, 1, judge.mixture, sampler, 300, 5)["mixture"].x
    expected = fmean(float(energy_distance(x.float(), true)) for true in judge.smoothed)
    row = judge.measure("", x, None)
    assert row.energy == pytest.approx(expected, rel=1e-4)
    pairs = [(a, b) for i, a in enumerate(judge.smoothed) for b in judge.smoothed[:i]]
    floor = fmean(float(energy_distance(a, b)) for a, b in pairs)
    assert row.energy_over_floor == pytest.approx(expected / floor, rel=1e-2)


def test_a_budget_of_calls_is_kept():
    result = run_toy(ToyConfig(samples=2000, calls=60, beta=0.2, methods=("exact", "forcing", "cfg4")))
    first, second = result.blocks
    for block in (first, second):
        assert all(row.steps == 60 for name, row in block.rows.items() if name != "true")
    assert first.rows["exact"].distance_over_floor < 2
    assert first.rows["forcing"].distance_over_floor < 2
    assert second.rows["cfg4"].sd < 0.8, "CFG narrows the class at β = 1"
