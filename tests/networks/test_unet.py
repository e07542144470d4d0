"""The UNet keeps the laws that the MLP keeps, and is the paper's network to the number."""

import pytest
import torch
from torch import nn

from fgs.features import channel_means
from fgs.networks.mlp import GuidedMLP, LabelMLP
from fgs.networks.unet import PRESETS, GuidedUNet, LabelUNet, UNet, receptive_field
from fgs.protocols import FeatureExtractor, ProjectedScore
from fgs.validate import validate

LIGHT = {"channels": 4, "levels": 2, "middle_convs": 1, "decoder_convs": 2}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(
    params=[{}, {"gain": 0.7, "learn_gain": True}, {"levels": 1}, {"levels": 3}, {"matched": (0, 2)}], ids=str
)
def network(request):
    return GuidedUNet(**LIGHT | request.param).eval()


@pytest.fixture
def x(generator):
    return torch.rand(5, 1, 16, 20, generator=generator)


def without_norms(network):
    """The network with the statistics of its normalisation held fixed, at no matter which values."""
    for block in network.modules():
        if isinstance(block, nn.Sequential):
            for name, layer in block.named_children():
                if isinstance(layer, nn.GroupNorm):
                    setattr(block, name, nn.Identity())
    return network


@torch.no_grad()
def test_it_answers_to_the_protocols(network, x):
    assert isinstance(network, ProjectedScore)
    assert isinstance(network, FeatureExtractor)
    phi = network.features(x)
    assert phi.shape == (5, sum(network.widths))
    assert network(x).shape == network(x, phi).shape == network(x, phi[0]).shape == x.shape


@torch.no_grad()
def test_matching_to_its_own_features_changes_nothing(network, x):
    torch.testing.assert_close(network(x, network.features(x)), network(x))


@torch.no_grad()
def test_phi_of_some_blocks_is_that_part_of_the_whole(x):
    whole, some = GuidedUNet(**LIGHT).eval(), GuidedUNet(matched=(3, 1), **LIGHT).eval()
    some.load_state_dict(whole.state_dict() | {"gain": some.gain})
    parts = whole.features(x).split(whole.widths, dim=1)
    torch.testing.assert_close(some.features(x), torch.cat([parts[1], parts[3]], 1))
    for matched in ((), (4,), (-1,)):
        with pytest.raises(ValueError, match=r"^matched: must be of 0 … 3"):
            GuidedUNet(matched=matched, **LIGHT)


@torch.no_grad()
def test_matching_reaches_the_features_asked_for(x):
    """At gain 1 every matched block has the target's means, whatever x: seen from inside the walk."""
    network = GuidedUNet(**LIGHT).eval()
    target, reached = network.features(x.roll(1, 0)), []

    def spy(number, h):
        shift = target.split(network.widths, dim=1)[number] - channel_means(h)
        h = h + shift[..., None, None]
        reached.append(channel_means(h))
        return h

    s = network._score(x, spy)
    torch.testing.assert_close(torch.cat(reached, 1), target)
    torch.testing.assert_close(s, network(x, target))
    assert (s - network(x)).norm() > 1e-3


def test_validate_finds_nothing_but_the_scale_that_training_teaches(x):
    failing = [finding.law for finding in validate(GuidedUNet(**LIGHT).eval(), x) if not finding.holds]
    assert failing in ([], ["The residual of pure noise grows with the noise"])


@pytest.mark.parametrize("size", [(16, 16), (17, 16), (19, 23), (5, 9)], ids=str)
@torch.no_grad()
def test_sizes_that_are_no_multiple_of_the_pools(size):
    network = GuidedUNet(**LIGHT | {"levels": 3}).eval()
    x = torch.rand(2, 1, *size)
    assert network(x, network.features(x)).shape == x.shape


@torch.no_grad()
def test_colour():
    network, x = GuidedUNet(colors=3, **LIGHT).eval(), torch.rand(2, 3, 16, 16)
    assert network(x, network.features(x)).shape == x.shape


def test_the_paper_s_network():
    network = GuidedUNet(**PRESETS["paper"])
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(11.6e6, rel=0.005)
    assert sum(network.widths) == 1344
    assert receptive_field(network) == 84


@pytest.mark.parametrize("preset", PRESETS)
def test_receptive_field_is_the_support_of_the_gradient(preset):
    """Weights are made positive so that no ReLU and no cancellation hides a pixel."""
    network = without_norms(UNet(**PRESETS[preset] | {"channels": 2}))
    for weight in network.parameters():
        nn.init.constant_(weight, 0.01)
    x = torch.ones(1, 3, 160, 160, requires_grad=True)  # with the planes that say how gray and how contrasted it is
    h = x
    for block in network.encoder:
        h = nn.functional.avg_pool2d(block(h), 2)
    middle = network.middle(h)
    middle[0, 0, middle.shape[2] // 2, middle.shape[3] // 2].backward()
    rows = x.grad[0, 0].abs().amax(1).nonzero()
    assert rows.max() - rows.min() + 1 == receptive_field(network)


@torch.no_grad()
def test_a_shift_of_the_image_shifts_the_score():
    """By a multiple of the pools, where the edges are out of reach; all blocks are left as they are (φ = None)."""
    network = UNet(**LIGHT | {"levels": 3}).eval()
    x = torch.zeros(1, 1, 160, 160)
    x[..., 72:88, 70:90] = torch.rand(16, 20)
    s, moved = network(x), network(x.roll((8, -8), (2, 3)))
    inner = (..., slice(60, 100), slice(60, 100))
    torch.testing.assert_close(moved[inner], s.roll((8, -8), (2, 3))[inner], rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_features_leave_out_the_last_decoder_block(x):
    network = GuidedUNet(**LIGHT).eval()
    phi = network.features(x)
    for weight in (*network.decoder[-1].parameters(), *network.up[-1].parameters(), *network.out.parameters()):
        weight.fill_(torch.nan)
    assert torch.equal(network.features(x), phi)


def test_the_features_carry_gradients_to_every_block_but_the_last(x):
    network = GuidedUNet(**LIGHT)
    network(x, network.features(x.roll(1, 0))).square().sum().backward()
    assert all(weight.grad.norm() > 0 for weight in network.parameters() if weight.requires_grad)


def test_the_label_network():
    network, x = LabelUNet(3, **LIGHT), torch.rand(4, 1, 16, 16)
    one_hot = torch.eye(3)
    torch.testing.assert_close(network(x, one_hot[0]), network(x))  # the embedding starts at zero
    nn.init.normal_(network.embedding.weight)
    torch.testing.assert_close(network(x, one_hot[[0, 1, 2, 0]])[1:2], network(x[1:2], one_hot[1]))
    assert (network(x, one_hot[0]) - network(x, one_hot[1])).norm() > 1e-3


def test_an_unconditional_network_refuses_a_condition():
    with pytest.raises(ValueError, match="phi"):
        UNet(**LIGHT)(torch.rand(1, 1, 8, 8), torch.zeros(4))


@pytest.mark.parametrize("name", ["colors", "channels", "levels", "encoder_convs", "middle_convs", "decoder_convs"])
def test_a_size_that_is_too_small_is_named(name):
    with pytest.raises(ValueError, match=name):
        UNet(**{name: 0})


@torch.no_grad()
def test_the_residual_has_the_scale_of_the_contrast():
    """An image with a thousandth of the contrast has a residual some thousandth as large; a flat one has none."""
    network, x = UNet(**LIGHT).eval(), 0.5 + 0.2 * torch.randn(4, 1, 16, 16)
    faint = 0.5 + 0.001 * (x - 0.5)
    ratio = network(faint).square().mean().sqrt() / network(x).square().mean().sqrt()
    assert 1e-4 < ratio < 1e-2
    assert network(torch.full_like(x, 0.5)).abs().max() < 1e-3


@torch.no_grad()
def test_round_the_trunk_noise_is_shrunk_and_images_are_kept():
    """With F = 0: x̂ = x where the contrast r is below τ, else the linear estimate ½ + (τ²/r²)(x − ½)."""
    network = UNet(**LIGHT).eval()
    network.out.weight.zero_()
    network.out.bias.zero_()
    z = torch.randn(4, 1, 32, 32)
    assert network(0.5 + 0.2 * z / z.std()).abs().max() == 0
    x = 0.6 + z
    contrast = x.std((1, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(x + network(x), 0.5 + (0.3 / contrast) ** 2 * (x - 0.5))


@torch.no_grad()
def test_a_matched_network_sees_how_gray_a_noisy_image_is():
    """Matching at gain 1 hides it from the trunk; what goes round it shows it where there is more noise than τ."""
    network = GuidedUNet(**LIGHT).eval()
    phi = network.features(torch.rand(1, 1, 32, 32))[0]
    for noise, pull in ((0.1, 0.0), (1.0, 1 - 0.3**2)):
        x = 0.5 + noise * torch.randn(8, 1, 32, 32)
        change = (network(x + 0.1, phi) - network(x, phi)).mean()
        assert change == pytest.approx(-0.1 * pull, abs=0.02)


def test_without_labels_every_weight_has_a_gradient_all_the_same():
    """Of several processes one may have none in its share, and DistributedDataParallel waits for every gradient."""
    network = LabelUNet(3, channels=4, levels=1)
    network(torch.rand(2, 1, 8, 8)).square().sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
    assert not network.embedding.weight.grad.any()


def networks():
    torch.manual_seed(0)
    sizes = {"channels": 8, "levels": 2, "middle_convs": 2, "decoder_convs": 2}
    yield GuidedUNet(**sizes), torch.rand(2, 1, 16, 16), 8 + 16 + 32 + 16
    yield LabelUNet(3, **sizes), torch.rand(2, 1, 16, 16), 3
    yield GuidedMLP(8), torch.randn(2, 8), 16
    yield LabelMLP(8, 3), torch.randn(2, 8), 3


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_every_precision_computes_about_the_same(dtype):
    for network, x, features in networks():
        phi = torch.rand(2, features)
        single = network(x, phi)
        other = network.to(dtype)(x.to(dtype), phi)
        assert other.dtype == dtype
        tolerance = 0.05 if dtype == torch.bfloat16 else 1e-4
        assert float((other.float() - single).norm() / single.norm()) < tolerance


def test_what_does_not_fit_the_network_is_told_in_one_line():
    for network, x, features in networks():
        with pytest.raises(ValueError, match=r"^x: is of torch.float64, the network of torch.float32; give x.to\("):
            network(x.double())
        with pytest.raises(ValueError, match=rf"^phi: 7 features, the network has {features}$"):
            network(x, torch.rand(7))
        if hasattr(network, "features"):
            with pytest.raises(ValueError, match=r"^x: is of torch.float64"):
                network.features(x.double())


def test_a_gain_may_be_an_integer():
    assert GuidedUNet(channels=4, levels=1, gain=1, learn_gain=True).gain.dtype == torch.float32


def test_colours_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match=r"^x: is of 3 colors, the network of 1$"):
        GuidedUNet(channels=4, levels=1).features(torch.rand(2, 3, 16, 16))
