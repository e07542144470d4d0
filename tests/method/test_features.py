"""The laws of matching, the same for the activations of an MLP and of an image network."""

import pytest
import torch

from fgs.features import channel_means, match_means

SHAPES = [(5, 4, 7), (5, 4, 3, 6)]


@pytest.fixture(params=SHAPES, ids=["NCP", "NCHW"])
def h(request, generator):
    return torch.randn(request.param, generator=generator, dtype=torch.float64)


@pytest.fixture(params=["one for all", "one a sample"])
def target(request, generator):
    return torch.randn((4,) if request.param == "one for all" else (5, 4), generator=generator, dtype=torch.float64)


def test_means_are_means_over_positions(h):
    expected = [[float(h[n, c].sum()) / h[n, c].numel() for c in range(4)] for n in range(5)]
    torch.testing.assert_close(channel_means(h), torch.tensor(expected, dtype=torch.float64))


def test_matching_reaches_its_target(h, target):
    torch.testing.assert_close(channel_means(match_means(h, target, 1.0)), target.expand(5, 4))


def test_matching_twice_is_matching_once(h, target):
    once = match_means(h, target)
    torch.testing.assert_close(match_means(once, target), once)


@pytest.mark.parametrize("gain", [0.0, 0.3, 1.7])
def test_a_gain_leaves_its_share_of_the_difference(h, target, gain):
    before, after = (channel_means(a) - target for a in (h, match_means(h, target, gain)))
    torch.testing.assert_close(after, (1 - gain) * before)


def test_a_gain_may_differ_between_channels(h, target):
    gain = torch.tensor([0.0, 0.5, 1.0, 1.5], dtype=torch.float64)
    torch.testing.assert_close(
        channel_means(match_means(h, target, gain)) - target, (1 - gain) * (channel_means(h) - target)
    )


def test_deviations_from_the_mean_are_left_alone(h, target):
    def deviations(a):
        return a - channel_means(a).reshape(5, 4, *[1] * (a.dim() - 2))

    torch.testing.assert_close(deviations(match_means(h, target, 0.7)), deviations(h))


def test_matching_to_its_own_means_changes_nothing(h):
    torch.testing.assert_close(match_means(h, channel_means(h)), h)


def test_the_gradient_of_a_projection_is_blind_to_the_mean(h, target):
    """∂(matched)/∂h is the projection off the mean: what a constant added to h does not reach the output."""
    h = h.requires_grad_()
    weights = torch.randn(h.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((weights * match_means(h, target)).sum(), h)
    torch.testing.assert_close(channel_means(gradient), torch.zeros(5, 4, dtype=torch.float64))


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 1, 1)])
def test_one_position_would_erase_the_input_and_raises(shape):
    with pytest.raises(ValueError, match="two positions or more"):
        match_means(torch.zeros(shape), torch.zeros(4))


def test_a_gain_given_as_a_number_keeps_the_precision_of_h():
    h, target = torch.rand(4, 3, 5, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    left = target - channel_means(match_means(h, target, 0.3))
    torch.testing.assert_close(left, 0.7 * (target - channel_means(h)), rtol=0, atol=1e-14)
