"""Stage 2 on one tiny trained set of networks, and statistics of properly trained ones (slow)."""

import json
import math
from dataclasses import replace

import pytest
import torch

from fgs.denoising import denoising_loss
from fgs.guidance import ClassifierFreeGuidance
from fgs.networks.mlp import GuidedMLP, LabelMLP
from fgs.validate import validate
from mixtures import LEARNED
from toy.config import ToyConfig
from toy.experiment import planned_steps, prepare, run_block, run_toy
from toy.geometry import residual_shortfall
from toy.learned.scores import LEARNED_METHODS, methods_of, network_of
from toy.learned.training import Learning, learn
from toy.methods import EXACT_METHODS

TOLD = methods_of(("guided", "label", "mixture"))
CONFIG = ToyConfig(components=3, dim=16, covariance="rank1", samples=400, h=0.1, beta=0.2, methods=("exact", *TOLD))


@pytest.fixture(scope="session")
def tiny():
    """All three networks, trained for some seconds."""
    mixture = CONFIG.build_mixture()
    return learn(mixture, CONFIG.build_sampler(mixture), Learning(training_steps=800), CONFIG.networks())


@pytest.fixture(scope="session")
def result(tiny):
    return run_toy(CONFIG, learned=tiny)


def test_even_a_tiny_network_guides_to_the_class(result):
    rows = result.blocks[0].rows
    assert tuple(rows) == ("true", "exact", *TOLD)
    for name in ("learned", "learned_n1", "label", "label_cfg1"):
        assert rows[name].class_hit > 0.95, name
    assert rows["learned_mixture"].class_hit < 0.8
    assert len(result.blocks[1].samples) == len(CONFIG.methods)


def test_every_class_is_sampled_from_one_network(result):
    assert [tuple(x.shape) for x in result.classes] == [(400, 16)] * 3
    mixture = result.judge.mixture
    for y, x in enumerate(result.classes):
        assert (torch.cdist(x, mixture.means).argmin(1) == y).double().mean() > 0.95


def test_the_embedding_is_measured(result):
    embedding = result.metrics()["embedding"]
    assert embedding["nearest_mean_accuracy"] > 0.98
    assert embedding["separation_ratio_worst"] < 0.2
    assert embedding["density_distance_exact"][0][1] == pytest.approx(100, rel=0.02)  # 10λ apart: Mahalanobis
    assert embedding["density_distance_exact"][0][2] == pytest.approx(400, rel=0.02)
    fit = embedding["euclidean_fit_exact"]
    assert fit["B_over_A"] == pytest.approx(fit["B"] / fit["A"])
    assert fit["r"] > 0.8


def test_metrics_are_plain_json(result):
    metrics = json.loads(json.dumps(result.metrics()))
    assert set(metrics["training"]) == {"guided", "label", "mixture"}
    assert all(record["steps"] == 800 for record in metrics["training"].values())
    assert set(metrics["methods"]) == {"true", *CONFIG.methods}


def test_trained_networks_keep_the_protocols(tiny):
    mixture = CONFIG.build_mixture()
    findings = validate(tiny.networks["guided"], mixture.sample(32).float(), sigma=0.05)
    assert all(finding.holds for finding in findings), "\n".join(map(str, findings))


def test_methods_are_what_they_say(tiny):
    mixture = CONFIG.build_mixture()
    method = {name: tiny.method(name, mixture, 1, seed=0) for name in TOLD}
    assert method["learned_mixture"].phi is None
    assert method["label"].phi.tolist() == [0, 1, 0]
    assert method["learned"].phi.shape == method["learned_n1"].phi.shape == tiny.centroids(mixture, 0)[1].shape
    assert isinstance(method["label_cfg4"].score, ClassifierFreeGuidance)
    assert method["label_cfg4"].score.omega == 4
    x = mixture.sample(5)
    s, s_null = (method["label"].score(x, phi, torch.tensor(0.1)) for phi in (method["label"].phi, None))
    torch.testing.assert_close(method["label_cfg1"].score(x, method["label"].phi, torch.tensor(0.1)), 2 * s - s_null)


def test_the_same_seed_trains_the_same_network(tiny):
    mixture = CONFIG.build_mixture()
    sampler = CONFIG.build_sampler(mixture)
    runs = [learn(mixture, sampler, Learning(training_steps=30), {"guided"}, seed) for seed in (0, 0, 1)]
    x = mixture.sample(5)
    scores = [run.score("guided")(x) for run in runs]
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])
    assert set(runs[0].networks) == {"guided"}


def test_phi_is_averaged_over_the_primes(monkeypatch):
    """The mean of n independent φ has their mean, and an n-th of their variance."""
    from toy.learned import training as learning

    conditions = []

    def spy(network, x, phi, *rest, **settings):
        conditions.append(phi)
        return denoising_loss(network, x, phi, *rest, **settings)

    monkeypatch.setattr(learning, "denoising_loss", spy)
    config = replace(CONFIG, components=1, covariance="isotropic")
    mixture = config.build_mixture()
    for primes in (1, 16):
        learn(mixture, config.build_sampler(mixture), Learning(training_steps=1, primes=primes), {"guided"})
    one, many = (phi.detach() for phi in conditions)  # of the same weights
    assert one.shape == many.shape
    spread = one.std(0)
    assert 1 / 20 < float(many.var(0).sum() / spread.square().sum()) < 1 / 13
    assert float(((many.mean(0) - one.mean(0)) / spread).abs().max()) < 4 * (1 / 128 + 1 / 2048) ** 0.5


def test_what_samples_is_the_average_of_the_weights(monkeypatch):
    from toy.learned import training as learning

    trainers = []

    class Spy(learning.Trainer):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            trainers.append(self)

    monkeypatch.setattr(learning, "Trainer", Spy)
    mixture = CONFIG.build_mixture()
    learned = learn(mixture, CONFIG.build_sampler(mixture), Learning(training_steps=20), {"guided"})
    (trainer,) = trainers
    returned, raw = learned.networks["guided"].state_dict(), trainer.network.state_dict()
    for name, weight in trainer.ema.state_dict().items():
        assert torch.equal(returned[name], weight)
    assert not torch.equal(returned["hidden.0.weight"], raw["hidden.0.weight"])


def test_only_networks_that_are_needed_are_trained_and_used(tiny):
    assert ToyConfig(methods=("learned_n1", "exact")).networks() == {"guided"}
    assert ToyConfig(methods=("label_cfg4",)).networks() == {"label"}
    assert ToyConfig(methods=EXACT_METHODS).networks() == set()
    assert methods_of({"mixture"}) == ("learned_mixture",)
    assert {network_of(name) for name in LEARNED_METHODS} == {"guided", "label", "mixture", "offline", "online"}
    label_only = run_toy(
        replace(CONFIG, methods=("label",)), learned=replace(tiny, networks={"label": tiny.networks["label"]})
    )
    assert label_only.embedding is None
    with pytest.raises(ValueError, match="needs trained networks"):
        run_toy(replace(CONFIG, methods=("label",)))


def test_planned_steps_count_the_classes(tiny):
    config, taken = replace(CONFIG, samples=20), 0

    def advance(label, steps):
        nonlocal taken
        taken += steps

    run_toy(config, advance, tiny)
    assert taken == planned_steps(config)


@pytest.mark.parametrize(
    ("settings", "blind"),
    [
        ({"dim": 1}, False),
        ({"dim": 2, "covariance": "rank1"}, False),
        ({"dim": 16, "covariance": "isotropic"}, False),
        ({"dim": 8, "covariance": "rank1"}, True),
        ({"dim": 64, "covariance": "rank1"}, True),
    ],
)
def test_networks_are_blind_where_x_shows_its_noise(settings, blind):
    """The shortfall of the residual is that of the exact score: E‖s‖²/d = σ²(1 − shortfall) at σ = λ, one class."""
    config = ToyConfig(components=1, **settings)
    mixture = config.build_mixture()
    sigma = torch.tensor(config.std, dtype=torch.float64)
    x = mixture.sample(20_000, sigma=config.std)
    residual = (sigma**2 * mixture.score(x, sigma)).square().mean()
    assert float(residual / sigma**2) == pytest.approx(1 - residual_shortfall(mixture), rel=0.02)
    learned = learn(mixture, config.build_sampler(mixture), Learning(training_steps=1), {"guided", "label"})
    assert isinstance(learned.networks["guided"], GuidedMLP)
    assert isinstance(learned.networks["label"], LabelMLP)
    assert all(network.sigma_input is not blind for network in learned.networks.values())


def test_a_full_space_and_an_estimated_noise_level_are_warned_of():
    with pytest.warns(UserWarning, match="noise_level pooled: .*misses 50% .*use noise_level known"):
        prepare(ToyConfig(dim=16, noise_level="pooled"))
    prepare(ToyConfig(dim=16, noise_level="pooled", covariance="rank1"))


@pytest.mark.parametrize("settings", [{"minutes": 0}, {"minutes": float("nan")}, {"training_steps": 0}, {"primes": 0}])
def test_odd_training_settings_are_refused(settings):
    with pytest.raises(ValueError, match=f"^{next(iter(settings))}:"):
        Learning(**settings)


@pytest.mark.slow
def test_the_paper_s_toy_is_sampled_at_the_floor():
    """Fig. 6: two Gaussians of rank 1 in d = 64, blind network, Algorithm 1 with the blind estimate, n = 1 too."""
    config = replace(LEARNED, methods=("learned", "learned_n1"))
    mixture = config.build_mixture()
    learned = learn(mixture, config.build_sampler(mixture), Learning(training_steps=4000), {"guided"})
    for target in (0, 1):
        at = replace(config, target=target)
        rows = run_block(at, *prepare(at), learned=learned).rows
        for name, bound in (("learned", 2.0), ("learned_n1", 2.5)):
            assert rows[name].class_hit >= 0.999
            assert abs(rows[name].mean_error) < 0.1
            assert rows[name].sd == pytest.approx(1, abs=0.07)
            assert rows[name].distance_over_floor < bound


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:a blind network", "ignore:(pooled|per_sample) estimates")
def test_one_dimension_needs_sigma():
    """With σ given and the known schedule at the floor; blind above it, and with an estimated σ nowhere near it."""
    config = ToyConfig(beta=0.2, methods=("learned",))
    mixture = config.build_mixture()
    sampler = config.build_sampler(mixture)
    seeing, blind = (
        learn(mixture, sampler, Learning(training_steps=3000, blind=blind), {"guided"}) for blind in (False, True)
    )

    def distance(learned, noise_level):
        at = replace(config, noise_level=noise_level)
        row = run_block(at, *prepare(at), learned=learned).rows["learned"]
        return math.inf if row.error else row.distance_over_floor

    assert distance(seeing, "known") < 2 < distance(blind, "known")
    assert min(distance(learned, "pooled") for learned in (seeing, blind)) > 5
    assert distance(blind, "per-sample") > 5


@pytest.mark.slow
def test_without_biases_samples_are_too_wide(monkeypatch):
    """s(x, φ) is then homogeneous in x and φ together: x' is its only unit of length, and it pulls towards x'."""
    config = ToyConfig(
        dim=64, std=0.15, separation=1.4 / 0.15, covariance="rank1", beta=0.2, samples=2000, methods=("learned",)
    )
    mixture = config.build_mixture()

    def sd():
        learned = learn(mixture, config.build_sampler(mixture), Learning(training_steps=3000), {"guided"})
        return run_block(config, *prepare(config), learned=learned).rows["learned"].sd

    with_biases = sd()
    monkeypatch.setattr("toy.learned.training._build", lambda *arguments: GuidedMLP(64))
    assert sd() > 1.2 > 1.1 > with_biases
