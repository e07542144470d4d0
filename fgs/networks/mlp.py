"""Small score networks for vectors: guided by features, conditioned on a label, or neither.

All share one trunk, a multi-layer perceptron whose hidden layers have channels and positions, (N, C, P), so that a
channel has a mean and deviations from it, as in an image network. By default it is blind (σ is no input) and has no
biases: with ReLU it is then homogeneous, s(a·x) = a·s(x), which carries it from one noise level to another.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fgs.features import channel_means, match_means, require_phi
from fgs.noise import per_row

Visit = Callable[[int, Tensor], Tensor]
"""(l, h) -> h: what is done to the activations (N, C, P) of hidden layer l = 0, 1, … on the way."""


def require_dtype(x: Tensor, weight: Tensor) -> None:
    """Raise a ValueError that says which dtype is needed, where x has another one than the network."""
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        want = str(weight.dtype).removeprefix("torch.")
        raise ValueError(f"x: is of {x.dtype}, the network of {weight.dtype}; give x.to(torch.{want})")


class MLP(nn.Module):
    """The trunk: x̂(x) = Ax + B h_L with h_l = ReLU(W_l h_{l−1}), h_0 = x. By itself a network of the mixture alone.

    A and B start at 0, so that x̂ = 0: where there are no data in a direction, that is the answer, and stays it.
    `settings` are the arguments, which make the same network again.

    Args:
        d: dimension of x.
        channels: C of each hidden layer.
        positions: P of each hidden layer, two or more.
        layers: L, how many hidden layers.
        bias: give every hidden layer a bias. Without, the network is homogeneous; with, it knows the unit of length,
            which it needs where classes of one width lie at several distances from the origin.
        sigma_input: let the network see σ, where x does not show it: few dimensions, or a class that fills them.

    Raises:
        ValueError: a size is too small; the message begins with its name.
    """

    def __init__(
        self,
        d: int,
        channels: int = 16,
        positions: int = 8,
        layers: int = 3,
        bias: bool = False,
        sigma_input: bool = False,
    ) -> None:
        super().__init__()
        sizes = {"d": (d, 1), "channels": (channels, 1), "positions": (positions, 2), "layers": (layers, 1)}
        for name, (size, least) in sizes.items():
            if size < least:
                raise ValueError(f"{name}: must be at least {least}, got {size}")
        if d <= 2 and not sigma_input:
            warnings.warn(f"a blind network cannot tell the noise level of x in d = {d}; use sigma_input", stacklevel=2)
        self.settings: dict[str, Any] = {name: size for name, (size, _) in sizes.items()}
        self.settings |= {"bias": bias, "sigma_input": sigma_input}
        self.shape, self.sigma_input = (channels, positions), sigma_input
        width = channels * positions
        inputs = [d + 2 * sigma_input] + [width] * (layers - 1)
        self.hidden = nn.ModuleList(nn.Linear(size, width, bias=bias) for size in inputs)
        self.skip = nn.Linear(d, d, bias=False)
        self.out = nn.Linear(width, d, bias=False)
        nn.init.zeros_(self.skip.weight)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s = x̂ − x, (N, d); arguments as in `ProjectedScore`, but φ must be None."""
        if phi is not None:
            raise ValueError("phi: this network takes no condition; give None")
        return self._score(x, sigma)

    def _score(self, x: Tensor, sigma: Tensor | None, visit: Visit | None = None) -> Tensor:
        h = self._walk(x, sigma, visit, len(self.hidden))
        x_hat: Tensor = self.skip(x) + self.out(h)
        return x_hat - x

    def _walk(self, x: Tensor, sigma: Tensor | None, visit: Visit | None, layers: int) -> Tensor:
        """Return (N, C·P) after so many hidden layers, each visited on the way."""
        h = self._input(x, sigma)
        for number, layer in enumerate(self.hidden[:layers]):
            h = layer(h).relu()
            if visit:
                h = visit(number, h.unflatten(1, self.shape)).flatten(1)
        return h

    def _input(self, x: Tensor, sigma: Tensor | None) -> Tensor:
        require_dtype(x, self.skip.weight)
        if not self.sigma_input:
            return x
        if sigma is None:
            raise ValueError("sigma: this network takes the noise level of x")
        sigma = per_row(torch.as_tensor(sigma).to(x), x).expand(x.shape[0], 1)
        return torch.cat([x, sigma, sigma.clamp_min(1e-6).log()], 1)  # a σ drawn from Uniform[0, 1] may be 0


class GuidedMLP(MLP):
    """The projected score s(x_σ, φ_y − φ(x_σ)) and the features φ, in one network (Section 3, Fig. 9).

    φ is made of the hidden layers `matched`, from 0, the middle one if left out. `gain` is the factor g of every
    matched channel (Appendix A); with `learn_gain` it is trained from there on. The rest is as in `MLP`.
    """

    def __init__(
        self, d: int, matched: tuple[int, ...] | None = None, gain: float = 1.0, learn_gain: bool = False, **sizes: Any
    ) -> None:
        super().__init__(d, **sizes)
        self.matched = (len(self.hidden) // 2,) if matched is None else tuple(sorted(set(matched)))
        if not self.matched or not set(self.matched) <= set(range(len(self.hidden))):
            raise ValueError(f"matched: must be of 0 … {len(self.hidden) - 1}, got {matched}")
        self.settings |= {"matched": self.matched, "gain": gain, "learn_gain": learn_gain}
        self.gain = nn.Parameter(torch.full((len(self.matched), self.shape[0]), float(gain)), requires_grad=learn_gain)

    def features(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Return φ(x), (N, F) with F = channels × matched layers, by a pass without matching that ends at the last."""
        means = []

        def record(number: int, h: Tensor) -> Tensor:
            if number in self.matched:
                means.append(channel_means(h))
            return h

        self._walk(x, sigma, record, layers=self.matched[-1] + 1)
        return torch.cat(means, 1)

    def forward(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s(x, φ − φ(x)), (N, d); arguments as in `ProjectedScore`, None is s(x, 0)."""
        if phi is None:
            return self._score(x, sigma)
        require_phi(phi, len(self.matched) * self.shape[0])
        targets = dict(zip(self.matched, torch.split(phi, self.shape[0], dim=-1), strict=True))
        gains = dict(zip(self.matched, self.gain, strict=True))

        def match(number: int, h: Tensor) -> Tensor:
            return match_means(h, targets[number], gains[number]) if number in targets else h

        return self._score(x, sigma, match)


class LabelMLP(MLP):
    """Standard conditioning, to compare with: an embedding of the label scales and shifts every channel.

    φ is one-hot, its length K = `classes`; None is the null label of classifier-free guidance. The rest is as in `MLP`.
    """

    def __init__(self, d: int, classes: int, **sizes: Any) -> None:
        super().__init__(d, **sizes)
        self.settings |= {"classes": classes}
        self.embedding = nn.Linear(classes, len(self.hidden) * 2 * self.shape[0], bias=False)
        nn.init.zeros_(self.embedding.weight)

    def forward(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return the score of the class φ, (N, d); arguments as in `ProjectedScore`, φ one-hot (K,) or (N, K)."""
        if phi is None:
            return self._score(x, sigma)
        require_phi(phi, self.embedding.in_features)
        embedded = self.embedding(phi.to(x)).unflatten(-1, (len(self.hidden), 2, self.shape[0], 1))

        def modulate(number: int, h: Tensor) -> Tensor:
            scale, shift = embedded[..., number, :, :, :].unbind(-3)
            modulated: Tensor = h * (1 + scale) + shift
            return modulated

        return self._score(x, sigma, modulate)
