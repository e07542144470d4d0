"""Measures over classes, of classes that are known: alike in distribution, made up, or in a given order of distance."""

from types import SimpleNamespace

import pytest
import torch

from fgs.evaluation import features
from fgs.evaluation.denoising import Subject
from fgs.evaluation.features import concentration
from fgs.evaluation.samples import samples, summarise
from fgs.images.model import load_model
from fgs.images.patches import Patches
from fgs.noise import seeded


def test_pictures_of_one_distribution_are_not_told_apart(tmp_path):
    """Six pictures of the same noise: the nearest φ_y is that of the right one in a sixth of the patches, by chance."""

    def noise(k):
        return (255 * (0.5 + 0.15 * torch.randn(3, 96, 96, generator=seeded(k))).clamp(0, 1)).round().to(torch.uint8)

    patches = Patches({f"noise{k}": [noise(k)] for k in range(6)}, 32)
    found = concentration(Subject(load_model().showing(patches), patches, tmp_path))["layers"]
    for layer in found.values():
        assert layer["nearest_centroid"] < 0.3
        assert layer["ratio_median"] > 0.5
    assert (tmp_path / "concentration.png").stat().st_size > 5000


def test_a_summary_of_four_classes():
    distances, diversities = (1.0, 2.0, 3.0, 11.0), (0.7, 0.85, 1.15, 1.3)
    classes = {
        str(k): {"hit": 0.2 * k, "real_hit": 1.0, "distance": distances[k], "diversity": diversities[k]}
        for k in range(4)
    }
    found = summarise(classes)
    assert found["hit"] == pytest.approx(0.3)
    assert found["real_hit"] == 1
    assert found["distance_median"] == 2.5
    assert found["distance_nine_tenths"] == pytest.approx(3 + 0.7 * 8)
    assert found["distance_worst"] == 11
    assert (found["diversity_least"], found["diversity_most"]) == pytest.approx((0.7, 1.3))
    assert found["diversity_right"] == 0.5


def test_a_class_never_trained_on_is_compared_with_the_nearest_that_were():
    places = torch.tensor([[0.0], [9.0], [5.0], [4.0], [1.0]])
    bank = SimpleNamespace(targets=places), SimpleNamespace(training_regions=lambda k: [float(places[k])])
    subject = Subject(SimpleNamespace(targets=torch.tensor([[4.6]])), None, None, bank)
    assert sorted(subject.trained_on(0)) == [1.0, 4.0, 5.0]


def test_the_distance_by_the_metric_is_twice_its_form(monkeypatch, tmp_path):
    """d² = 2ΔᵀMΔ a pixel: with M = I a density distance of 2‖Δ‖² is on the line of slope 1."""
    targets = torch.randn(5, 3, generator=seeded(0))
    monkeypatch.setattr(features, "feature_metric", lambda *_: torch.eye(3))
    monkeypatch.setattr(features, "density_distances", lambda *_: 2 * torch.cdist(targets, targets).square())
    model = SimpleNamespace(network=None, targets=targets, classes=list("abcde"))
    patches = SimpleNamespace(held_out_crops=lambda *_: torch.zeros(1), patch=8)
    found = features.embedding(Subject(model, patches, tmp_path))
    assert (found["metric"]["A"], found["metric"]["B"]) == pytest.approx((1, 1), rel=1e-5)
    assert (found["A"], found["B"]) == pytest.approx((2 / 64, 2 / 64), rel=1e-5)


def test_copies_are_seen_in_the_summary(tmp_path):
    """Samples that are places of the picture correlate with it as no held-out patch of noise does."""
    picture = torch.randint(256, (1, 64, 64), dtype=torch.uint8, generator=seeded(0))
    patches = Patches({"noise": [picture]}, 16)
    model = SimpleNamespace(classes=["noise"], network=None, condition=lambda: None)
    how = SimpleNamespace(seed=0, build=lambda: SimpleNamespace(planned_steps=lambda: 1))
    copies, others = patches.training(0, 8, seeded(1)), torch.rand(8, 1, 16, 16, generator=seeded(2))
    excess = []
    for x in (copies, others):
        judged = SimpleNamespace(
            subject=Subject(model, patches, tmp_path), judge=None, n=8, how=how, draw=lambda *_, x=x: x[None]
        )
        judged.classes = lambda x: {"noise": {}}
        excess.append(samples(judged)["summary"]["memorised_beyond_held_out"])
    assert excess[0] > 0.5
    assert abs(excess[1]) < 0.15
