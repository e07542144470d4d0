"""Networks of three kinds, made of the exact score of a mixture, against that score; φ and matching by hooks."""

import pytest
import torch
from torch import nn

from conftest import random_mixture
from fgs.features import channel_means
from fgs.networks import GuidedUNet
from fgs.networks.adapters import FromDenoiser, FromNoisePrediction, FromVelocity, Scaled, WithFeatures
from fgs.noise import per_row, seeded
from fgs.protocols import FeatureExtractor, ProjectedScore
from toy import ExactScore

SIGMAS = torch.tensor([0.05, 0.3, 1.0, 5.0], dtype=torch.float64)
ALPHAS_BAR = torch.linspace(0, 12, 1000, dtype=torch.float64).neg().exp() * 0.9999


def dressed(mixture):
    """The same exact score as a denoiser, a noise prediction of (x_t, t), and a velocity of (x_t, t)."""
    exact = ExactScore(mixture)

    def epsilon(x_t, t):
        low = t.floor().long().clamp(0, len(ALPHAS_BAR) - 2)
        levels = ((1 - ALPHAS_BAR) / ALPHAS_BAR).sqrt().log()
        sigma = torch.lerp(levels[low], levels[low + 1], t - low).exp()
        x = x_t * per_row((1 + sigma**2).sqrt(), x_t)
        return -exact(x, None, sigma) / per_row(sigma, x)

    def velocity(x_t, t):
        sigma, x = t / (1 - t), x_t / per_row(1 - t, x_t)
        s = exact(x, None, sigma)
        return -s / per_row(sigma, x) - (x + s)  # E[z | x] − E[x | x]

    return {
        "denoiser": FromDenoiser(lambda x, sigma: x + exact(x, None, sigma)),
        "noise": FromNoisePrediction(epsilon, ALPHAS_BAR),
        "velocity": FromVelocity(velocity),
    }


@pytest.mark.parametrize("kind", ["denoiser", "noise", "velocity"])
@pytest.mark.parametrize("seed", range(3))
def test_a_network_of_any_kind_gives_the_exact_score(kind, seed):
    mixture = random_mixture(seed)
    score = dressed(mixture)[kind]
    assert isinstance(score, ProjectedScore)
    x = 3 * torch.randn(4, mixture.d, dtype=torch.float64, generator=seeded(seed))
    expected = ExactScore(mixture)(x, None, SIGMAS)
    torch.testing.assert_close(score(x, None, SIGMAS), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(score(x, None, SIGMAS[1]), ExactScore(mixture)(x, None, SIGMAS[1]), rtol=1e-6, atol=1e-6)
    scaled = Scaled(lambda y, phi, sigma: 2 * score((y + 1) / 2, phi, sigma / 2))
    torch.testing.assert_close(scaled(x, None, SIGMAS), expected, rtol=1e-6, atol=1e-6)


def test_times_of_a_noise_prediction_are_held_at_the_ends_and_met_between():
    score = FromNoisePrediction(lambda x, t: x, ALPHAS_BAR)
    levels = ((1 - ALPHAS_BAR) / ALPHAS_BAR).sqrt()
    torch.testing.assert_close(score.time(levels[[0, 7, 999]]), torch.tensor([0.0, 7, 999]).double(), atol=1e-6, rtol=0)
    assert score.time(torch.tensor([1e-9, 1e9])).tolist() == [0, 999]


@pytest.mark.parametrize("kind", ["denoiser", "noise", "velocity"])
def test_what_they_must_be_told(kind):
    score = dressed(random_mixture(0))[kind]
    x = torch.zeros(2, random_mixture(0).d).double()
    with pytest.raises(ValueError, match=r"^sigma: this network must be told"):
        score(x)
    with pytest.raises(ValueError, match=r"^phi: this network takes no condition"):
        score(x, x, SIGMAS[0])


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return GuidedUNet(channels=4, levels=2).eval()


NAMES = ["encoder.0", "encoder.1", "middle", "decoder.0"]


def test_hooks_do_what_the_networks_own_matching_does(unet):
    """Blocks of our own UNet end in a ReLU, whose output is what φ is made of."""
    hooked = WithFeatures(unet, unet, NAMES)
    assert isinstance(hooked, FeatureExtractor)
    assert isinstance(hooked, ProjectedScore)
    x = torch.rand(3, 1, 16, 16, generator=seeded(0))
    phi = unet.features(torch.rand(1, 1, 16, 16, generator=seeded(1)))[0]
    torch.testing.assert_close(hooked(x, phi), unet(x, phi))  # widths are found by the first call
    torch.testing.assert_close(hooked.features(x), unet.features(x))
    torch.testing.assert_close(hooked(x), unet(x))
    assert hooked.widths == unet.widths
    assert not any(module._forward_hooks for module in unet.modules())


def test_gain_and_gradient_pass_through_hooks(unet):
    x = torch.rand(2, 1, 16, 16, generator=seeded(0), requires_grad=True)
    seen = {}
    hooked = WithFeatures(unet, unet, ["middle"], gain=0.5)
    before, target = hooked.features(x), torch.full((16,), 0.3)
    handle = unet.up[0].register_forward_pre_hook(lambda module, inputs: seen.update(h=inputs[0]))
    hooked(x, target).square().sum().backward()
    handle.remove()
    torch.testing.assert_close(channel_means(seen["h"]), before + 0.5 * (target - before))
    assert x.grad.abs().sum() > 0


def test_layers_that_cannot_be_matched_are_named(unet):
    x = torch.rand(1, 1, 16, 16)
    with pytest.raises(ValueError, match=r"^layers: the network has no encoder.9"):
        WithFeatures(unet, unet, ["encoder.9"]).features(x)
    unet.unused = nn.Linear(1, 1)
    with pytest.raises(ValueError, match=r"^layers: the network does not come by unused"):
        WithFeatures(unet, unet, ["unused"]).features(x)
    with pytest.raises(ValueError, match=r"^phi: 3 features, the network has 4"):
        WithFeatures(unet, unet, ["encoder.0"])(x, torch.zeros(3))
    unet.middle.register_forward_hook(lambda module, inputs, h: (h, h))
    with pytest.raises(ValueError, match=r"^layers: middle puts out tuple, not one tensor"):
        WithFeatures(unet, unet, ["middle"]).features(x)


def test_a_layer_that_is_not_there_leaves_no_hook():
    network = nn.Sequential(nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv1d(4, 1, 3, padding=1))
    guided = WithFeatures(FromDenoiser(lambda x, sigma: network(x)), network, ["0", "nope"])
    with pytest.raises(ValueError, match="the network has no nope"):
        guided.features(torch.zeros(2, 1, 8), torch.ones(()))
    assert not network[0]._forward_hooks


def test_a_schedule_may_begin_at_no_noise_and_end_at_nothing_else():
    """ᾱ = 1 at t = 0, as a cosine schedule has it, and 0 at the end."""
    score = FromNoisePrediction(lambda x, t: x, torch.linspace(0, torch.pi / 2, 101).cos().square())
    t = score.time(torch.tensor([1e-9, 0.005, 0.05, 1.0, 20.0, 1e9]))
    assert t.isfinite().all()
    assert t.diff().gt(0).all()
    assert t[[0, -1]].tolist() == [0, 100]
    assert float(t[3]) == pytest.approx(50, abs=1e-3)


@pytest.mark.parametrize("how", ["in place", "wrapped"])
def test_a_compiled_network_is_refused(unet, how):
    """It does not see hooks that come later, so that guidance would be lost without a word."""
    network = nn.Sequential(nn.Conv2d(1, 2, 1))
    if how == "in place":
        network.compile(backend="eager")
    else:
        network = torch.compile(network, backend="eager")
    layer = "0" if how == "in place" else "_orig_mod.0"
    with pytest.raises(ValueError, match=r"^network: is compiled"):
        WithFeatures(lambda x, phi=None, sigma=None: network(x), network, [layer]).features(torch.rand(1, 1, 4, 4))
