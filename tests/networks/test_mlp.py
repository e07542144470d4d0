import pytest
import torch

from fgs.features import channel_means
from fgs.networks.mlp import MLP, GuidedMLP, LabelMLP
from fgs.protocols import FeatureExtractor, ProjectedScore

GUIDED = {
    "blind": {},
    "all layers": {"matched": (0, 1, 2)},
    "learned gain": {"gain": 0.8, "learn_gain": True},
    "biases": {"bias": True},
    "two layers, more channels": {"layers": 2, "channels": 24, "positions": 3},
    "sigma": {"sigma_input": True, "bias": True},
}


def randomised(network, seed=0):
    """Give every weight a random value: some start at zero, where laws hold for want of anything to break them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name != "gain":
                weight.copy_(torch.randn(weight.shape, generator=generator) / weight.shape[-1] ** 0.5)
    return network.eval()


@pytest.fixture(params=GUIDED.values(), ids=GUIDED.keys())
def network(request):
    return randomised(GuidedMLP(6, **request.param))


@pytest.fixture
def x(generator):
    return torch.randn(10, 6, generator=generator)


SIGMA = torch.tensor(0.3)


def test_it_answers_to_the_protocols(network, x):
    assert isinstance(network, ProjectedScore)
    assert isinstance(network, FeatureExtractor)
    phi = network.features(x, SIGMA)
    assert phi.shape == (10, len(network.matched) * network.shape[0])
    assert network(x, None, SIGMA).shape == network(x, phi, SIGMA).shape == network(x, phi[0], SIGMA).shape == x.shape


def test_matching_to_its_own_features_changes_nothing(network, x):
    """Of the first matched layer exactly; deeper ones are recorded where those before them were not moved."""
    torch.testing.assert_close(network(x, network.features(x, SIGMA), SIGMA), network(x, None, SIGMA))


def test_guidance_moves_the_score(network, x):
    phi = network.features(x.roll(1, 0), SIGMA)
    assert (network(x, phi, SIGMA) - network(x, None, SIGMA)).norm() > 1e-2


def test_features_are_the_channel_means_of_the_matched_layers(x):
    network = randomised(GuidedMLP(6, matched=(1, 2)))
    h = x
    means = []
    for layer in network.hidden:
        h = (h @ layer.weight.T).relu()
        means.append(channel_means(h.view(10, 16, 8)))
    torch.testing.assert_close(network.features(x), torch.cat(means[1:], 1))


def test_the_score_is_that_of_the_formula(x):
    """s = Ax + B h₃ − x with the middle layer's means set to the target, written out."""
    network = randomised(GuidedMLP(6))
    target = torch.randn(16, generator=torch.Generator().manual_seed(3))
    W1, W2, W3 = (layer.weight for layer in network.hidden)
    h2 = (x @ W1.T).relu() @ W2.T
    h2 = h2.relu().view(10, 16, 8)
    h2 = (h2 - h2.mean(2, keepdim=True) + target[:, None]).flatten(1)
    x_hat = x @ network.skip.weight.T + (h2 @ W3.T).relu() @ network.out.weight.T
    torch.testing.assert_close(network(x, target), x_hat - x)


@pytest.mark.parametrize("a", [1e-3, 0.1, 7.0, 1e3])
def test_without_biases_the_score_is_homogeneous(x, a):
    for network in (randomised(GuidedMLP(6)), randomised(MLP(6))):
        torch.testing.assert_close(network(a * x), a * network(x), rtol=1e-3, atol=1e-3 * a)
    guided = randomised(GuidedMLP(6))
    phi = guided.features(x.roll(1, 0))
    torch.testing.assert_close(guided(a * x, a * phi), a * guided(x, phi), rtol=1e-3, atol=1e-3 * a)


def test_with_biases_it_is_not(x):
    network = randomised(GuidedMLP(6, bias=True))
    assert (network(7 * x) - 7 * network(x)).norm() > 0.02 * network(7 * x).norm()


def test_at_the_start_everything_is_taken_for_noise(x):
    for network in (MLP(6), GuidedMLP(6), LabelMLP(6, 3)):
        assert torch.equal(network(x), -x)


def test_gains_are_trained_only_if_asked():
    assert not GuidedMLP(6).gain.requires_grad
    assert GuidedMLP(6, learn_gain=True).gain.requires_grad
    phi = torch.ones(16)
    still = randomised(GuidedMLP(6, gain=0.0))
    x = torch.randn(4, 6)
    torch.testing.assert_close(still(x, phi), still(x))


def test_a_blind_network_ignores_sigma_and_another_does_not(x):
    blind, seeing = randomised(GuidedMLP(6)), randomised(GuidedMLP(6, sigma_input=True))
    phi = torch.ones(16)
    assert torch.equal(blind(x, phi, torch.tensor(0.1)), blind(x, phi, torch.tensor(2.0)))
    assert not torch.allclose(seeing(x, phi, torch.tensor(0.1)), seeing(x, phi, torch.tensor(2.0)))
    torch.testing.assert_close(seeing(x, phi, torch.full((10,), 0.1)), seeing(x, phi, torch.tensor(0.1)))
    with pytest.raises(ValueError, match="sigma"):
        seeing(x, phi)


def test_a_label_scales_and_shifts(x):
    network = randomised(LabelMLP(6, 3))
    labels = torch.eye(3)[torch.arange(10) % 3]
    together = network(x, labels)
    for n in range(10):
        torch.testing.assert_close(together[n : n + 1], network(x[n : n + 1], labels[n]))
    assert (network(x, labels) - network(x, labels.roll(1, 1))).norm() > 1e-2
    torch.testing.assert_close(network(x, torch.zeros(3)), network(x))


def test_a_mixture_network_takes_no_condition(x):
    with pytest.raises(ValueError, match="phi"):
        MLP(6)(x, torch.ones(16))


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"d": 0}, "d"), ({"positions": 1}, "positions"), ({"channels": 0}, "channels"), ({"layers": 0}, "layers")],
)
def test_sizes_too_small_are_refused(settings, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        MLP(**{"d": 6} | settings)


@pytest.mark.parametrize("matched", [(), (3,), (-1,)])
def test_layers_that_are_not_there_cannot_be_matched(matched):
    with pytest.raises(ValueError, match=r"^matched:"):
        GuidedMLP(6, matched=matched)


@pytest.mark.parametrize("d", [1, 2])
def test_a_blind_network_in_few_dimensions_is_warned_of(d):
    with pytest.warns(UserWarning, match="cannot tell the noise level.*sigma_input"):
        GuidedMLP(d)
    GuidedMLP(d, sigma_input=True)


def test_settings_rebuild_the_network(x):
    for network in (MLP(6, layers=2), GuidedMLP(6, matched=(0, 2), learn_gain=True, bias=True), LabelMLP(6, 3)):
        again = type(network)(**network.settings)
        again.load_state_dict(network.state_dict())
        assert torch.equal(again(x), network(x))


def test_no_noise_is_a_noise_level_too():
    network = MLP(4, sigma_input=True)
    assert network(torch.zeros(2, 4), None, torch.tensor([0.0, 1.0])).isfinite().all()


def test_a_gain_may_be_an_integer():
    assert GuidedMLP(64, gain=1, learn_gain=True).gain.dtype == torch.float32
