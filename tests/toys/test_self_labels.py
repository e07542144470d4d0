"""Networks that find the classes by themselves: they see no label, and sample a class as if they had been told."""

import json

import pytest
import torch

from fgs.denoising import denoising_loss
from toy.config import ToyConfig
from toy.experiment import prepare, run_block
from toy.learned import training
from toy.learned.training import Learning, learn

CONFIG = ToyConfig(2, 16, covariance="rank1", samples=500, calls=30, methods=("self_offline", "self_online"))


@pytest.fixture(scope="module")
def learned():
    mixture = CONFIG.build_mixture()
    return learn(mixture, CONFIG.build_sampler(mixture), Learning(training_steps=400), CONFIG.networks())


def test_the_classes_are_found_and_sampled(learned):
    mixture = CONFIG.build_mixture()
    for name in ("offline", "online"):
        agreement = learned.found[name].metrics(mixture, 0)
        assert agreement["clusters"] == 2
        assert agreement["purity"] > 0.99
        assert agreement["nmi"] > 0.95
        assert learned.training[name]["steps"] == 400
    rows = run_block(CONFIG, *prepare(CONFIG), learned=learned).rows
    assert min(rows[name].class_hit for name in CONFIG.methods) > 0.99


def test_a_target_is_the_cluster_that_holds_most_of_the_class(learned):
    mixture = CONFIG.build_mixture()
    for y in range(2):
        phi = learned.method("self_online", mixture, y, 0).phi
        own = [learned.features(mixture.sample(300, k), name="online").mean(0) for k in range(2)]
        assert (phi - own[y]).norm() < 0.1 * (phi - own[1 - y]).norm()


def test_a_class_too_rare_to_be_among_the_samples_has_a_cluster(fgs):
    rare = ["--weights", ".99999,.00001", "--target", 1, "--samples", 20, "--calls", 5, "--method", "self_online"]
    code, out, err = fgs("toy", "--learned", "--labels", "online", "--training-steps", 2, *rare, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["methods"]["self_online"]["sd"] is not None


def test_offline_trains_a_quarter_without_features_and_then_keeps_its_clusters(monkeypatch):
    conditions = []

    def spy(network, x, phi, *rest, **settings):
        conditions.append(phi)
        return denoising_loss(network, x, phi, *rest, **settings)

    monkeypatch.setattr(training, "denoising_loss", spy)
    mixture = CONFIG.build_mixture()
    found = learn(mixture, CONFIG.build_sampler(mixture), Learning(training_steps=80), {"offline"}).found["offline"]
    assert [phi is None for phi in conditions] == [True] * 20 + [False] * 60
    frozen = found.extractor
    x = mixture.sample(50)
    before = found.assign(x)
    another = learn(mixture, CONFIG.build_sampler(mixture), Learning(training_steps=1), {"guided"}).networks["guided"]
    found.settle(another, torch.Generator())
    assert found.extractor is frozen
    assert torch.equal(found.assign(x), before)


def test_a_collapse_is_said(monkeypatch):
    monkeypatch.setattr("fgs.networks.mlp.GuidedMLP.features", lambda self, x, sigma=None: torch.zeros(len(x), 16))
    mixture = CONFIG.build_mixture()
    with pytest.warns(UserWarning, match="1 of 2 clusters hold next to nothing: φ tells fewer"):
        learn(mixture, CONFIG.build_sampler(mixture), Learning(training_steps=2), {"online"})


def test_no_class_is_asked_for(monkeypatch):
    """Samples are drawn from the mixture as it is."""
    mixture = CONFIG.build_mixture()
    asked = []
    original = type(mixture).sample

    def sample(self, n, y=None, *rest, **settings):
        asked.append(y)
        return original(self, n, y, *rest, **settings)

    monkeypatch.setattr(type(mixture), "sample", sample)
    learn(mixture, CONFIG.build_sampler(mixture), Learning(training_steps=8), {"online"})
    assert asked
    assert set(asked) == {None}


def test_rows_of_a_table(fgs):
    command = ["toy", "--learned", "--labels", "both", "--clusters", 3, "--dim", 8, "--covariance", "rank1"]
    quick = ["--training-steps", 40, "--samples", 50, "--calls", 5, "--method", "exact,self_offline,self_online"]
    code, out, err = fgs(*command, *quick, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert set(found["methods"]) == {"true", "exact", "self_offline", "self_online"}
    assert found["training"]["online"]["clusters"] == 3
    assert 0 <= found["training"]["offline"]["nmi"] <= 1
    code, out, err = fgs(*command, *quick)
    assert "classes found without labels: " in " ".join(out.split())
    for options, line in (
        (["--learned", "--clusters", 3], "--clusters: is for classes found without labels; add --labels online"),
        (["--learned", "--labels", "both", "--clusters", 1], "--clusters: must be at least 2, got 1"),
        (["--learned", "--labels", "online", "--components", 1], "--clusters: must lie in [2, 2048], got 1"),
        (["--learned", "--labels", "online", "--clusters", 3000], "--clusters: must lie in [2, 2048], got 3000"),
        (["--labels", "online"], "--labels: is for networks to be trained; add --learned"),
        (["--learned", "--labels", "some"], "--labels: must be one of none, offline, online, both, got some"),
        (["--method", "self_online"], "--method: needs the online network; add --learned"),
    ):
        code, out, err = fgs("toy", *options)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"fgs: {line}")
