import pytest
import torch
from torch import nn

from fgs.features import channel_means, match_means
from fgs.networks.mlp import GuidedMLP
from fgs.noise import seeded
from fgs.validate import validate


class Convolutional(nn.Module):
    """A user's own network on images, right in every respect; each subclass below spoils one thing."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 1, 3, padding=1)
        self.eval()

    def normalise(self, h):
        return h

    def match(self, h, phi):
        return match_means(h, phi)

    def hidden(self, x):
        return self.normalise(self.second(self.first(self.normalise(x)).relu())).relu()

    def features(self, x, sigma=None):
        return channel_means(self.hidden(x))

    def forward(self, x, phi=None, sigma=None):
        h = self.hidden(x)
        return self.last(h if phi is None else self.match(h, phi)) - self.normalise(x)


class WrongShape(Convolutional):
    def forward(self, x, phi=None, sigma=None):
        return super().forward(x, phi, sigma)[:, :, 1:]


class Maps(Convolutional):
    def features(self, x, sigma=None):
        return self.hidden(x)


class WholeBatch(Convolutional):
    def normalise(self, h):
        return h / h.std()


class WrongLayer(Convolutional):
    def features(self, x, sigma=None):
        return channel_means(self.first(x).relu())


class NoBroadcast(Convolutional):
    def match(self, h, phi):
        return match_means(h, phi[:, :8])


class Deaf(Convolutional):
    def match(self, h, phi):
        return h


class BlindToScale(Convolutional):
    def normalise(self, h):
        return h / h.flatten(1).std(1)[:, None, None, None]


class Divides(Convolutional):
    def forward(self, x, phi=None, sigma=None):
        return super().forward(x, phi, sigma) / x.square().mean((1, 2, 3), keepdim=True)


class Residual(Convolutional):
    """Its output is the residual itself: what matching takes out of the means is nowhere to be found."""

    def forward(self, x, phi=None, sigma=None):
        return super().forward(x, phi, sigma) + x


class OneSigma(Convolutional):
    """Takes σ as one number: a σ for each sample meets the columns of the image."""

    def forward(self, x, phi=None, sigma=None):
        return super().forward(x, phi, sigma) * (1 + sigma)


class NoPhi(Convolutional):
    def forward(self, x):
        return x


@pytest.fixture
def images():
    return torch.rand(6, 1, 8, 8, generator=seeded(0)) * torch.linspace(0.3, 1, 6)[:, None, None, None]


def failing(findings):
    return {finding.law for finding in findings if not finding.holds}


def test_a_good_network_keeps_every_law(images):
    findings = validate(Convolutional(), images)
    assert len(findings) == 10
    assert not failing(findings), "\n".join(map(str, findings))
    assert all(str(finding).startswith("ok") for finding in findings)


@pytest.mark.parametrize(
    ("network", "law", "advice"),
    [
        (WrongShape, "shape of x", "return x̂ − x"),
        (Maps, "one flat vector", "channel means"),
        (WholeBatch, "rest of the batch", "each sample by itself"),
        (OneSigma, "σ of its own", "size of tensor"),
        (WrongLayer, "its own features", "in the layers that are matched"),
        (NoBroadcast, "guides a whole batch", "IndexError"),
        (Deaf, "changes the score", "match a layer"),
        (BlindToScale, "grows with the noise", "add biases"),
        (Divides, "finite", "x = 0"),
        (Residual, "pulls back", "round the matched layers"),
        (NoPhi, "shape of x", "TypeError"),
    ],
)
def test_what_is_wrong_is_found_and_what_to_mend_said(images, network, law, advice):
    broken = [f for f in validate(network(), images) if not f.holds]
    found = [f for f in broken if law in f.law]
    assert found, f"found only {[f.law for f in broken]}"
    assert advice in found[0].advice
    assert str(found[0]).startswith("FAILS")
    assert "\n" not in str(found[0])


@pytest.mark.parametrize("settings", [{}, {"bias": True}, {"sigma_input": True, "bias": True}, {"matched": (0, 1, 2)}])
def test_the_library_s_own_networks_keep_every_law(settings):
    torch.manual_seed(0)
    network = GuidedMLP(5, **settings).eval()
    nn.init.normal_(network.out.weight, std=0.1)
    assert not failing(validate(network, torch.randn(8, 5, generator=seeded(1)), sigma=0.1))


def test_a_network_that_was_never_trained_does_not_guide_yet():
    findings = validate(GuidedMLP(5).eval(), torch.randn(8, 5, generator=seeded(1)))
    assert failing(findings) == {"φ of another signal changes the score"}


def test_it_needs_a_few_signals(images):
    with pytest.raises(ValueError, match="four signals"):
        validate(Convolutional(), images[:3])


def test_a_network_that_takes_something_else_is_told_what_it_takes():
    class OfXAndT(nn.Module):
        def forward(self, x, t):
            return -x

        def features(self, x, sigma=None):
            return x

    first = validate(OfXAndT(), torch.randn(4, 8))[0]
    assert not first.holds
    assert "called as score(x, phi, sigma)" in first.advice
