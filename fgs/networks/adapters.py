"""Any network as a projected score: denoisers, noise predictions of DDPM, velocities of flow matching; φ by hooks.

In the end all of them know x̂ = E[x | x_σ], each for an input and a name of the noise level of its own. What is theirs
is computed from x_σ = x + σz and σ on the way in, and s = x̂ − x_σ on the way out. `Scaled` changes the range of x.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from fgs.features import channel_means, match_means, require_phi
from fgs.noise import per_row
from fgs.protocols import ProjectedScore

Network = Callable[[Tensor, Tensor], Tensor]
"""(x_t, t) -> the shape of x_t, with t (N,)."""


def _level(sigma: Tensor | None, x: Tensor, phi: Tensor | None) -> Tensor:
    """Return σ of every sample, (N,)."""
    if sigma is None:
        raise ValueError("sigma: this network must be told the noise level of x")
    if phi is not None:
        raise ValueError("phi: this network takes no condition; WithFeatures gives it one")
    return sigma.to(x).expand(len(x))


@dataclass(frozen=True)
class FromDenoiser:
    """The score of a network D(x_σ, σ) = x̂; of a blind one `lambda x, sigma: D(x)`."""

    denoiser: Network

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s, the shape of x; arguments as in `ProjectedScore`, σ required, φ None."""
        return self.denoiser(x, _level(sigma, x, phi)) - x


@dataclass(frozen=True)
class FromNoisePrediction:
    """The score of a network ε(x_t, t) that predicts the noise of x_t = √ᾱ_t·(x + σz), σ² = (1 − ᾱ_t)/ᾱ_t (DDPM)."""

    epsilon: Network  # its t is interpolated between the steps, and is no integer
    alphas_bar: Tensor  # (T,) ᾱ_t of t = 0, 1, …, falling

    def time(self, sigma: Tensor) -> Tensor:
        """Return the t at which the network knows σ, (N,): linear in log σ, held at both ends."""
        eps = torch.finfo(self.alphas_bar.dtype).eps
        kept = self.alphas_bar.clamp(eps, 1 - eps)  # a schedule may begin at 1, and end at 0
        known = ((1 - kept) / kept).sqrt().log().to(sigma)
        at = sigma.log().clamp(known[0], known[-1])
        above = torch.searchsorted(known, at).clamp(1, len(known) - 1)
        return above - 1 + (at - known[above - 1]) / (known[above] - known[above - 1])

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s = −σε, the shape of x; arguments as in `ProjectedScore`, σ required, φ None."""
        sigma = _level(sigma, x, phi)
        x_t = x / per_row((1 + sigma.square()).sqrt(), x)
        return -per_row(sigma, x) * self.epsilon(x_t, self.time(sigma))


@dataclass(frozen=True)
class FromVelocity:
    """The score of a network v(x_t, t) = E[z − x | x_t] for x_t = (1 − t)x + tz, σ = t/(1 − t) (flow matching)."""

    velocity: Network

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s, the shape of x; arguments as in `ProjectedScore`, σ required, φ None."""
        sigma = _level(sigma, x, phi)
        t = sigma / (1 + sigma)
        x_t = per_row(1 - t, x) * x
        return x_t - per_row(t, x) * self.velocity(x_t, t) - x  # x_t − t(z − x) = x


@dataclass(frozen=True)
class Scaled:
    """The score of x in [0, 1] of a score that knows it in another range, as [−1, 1]."""

    score: ProjectedScore  # of x in its own range
    low: float = -1.0  # what it knows 0 as
    high: float = 1.0  # what it knows 1 as

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s, the shape of x; arguments as in `ProjectedScore`."""
        width = self.high - self.low
        return self.score(self.low + width * x, phi, None if sigma is None else width * sigma) / width


@dataclass
class WithFeatures:
    """φ and matching for a network that has neither: hooks on its layers, and no change to its code.

    Such a network was not trained to be guided by φ(x') (Algorithm 2), so matching may lead it astray.
    """

    score: ProjectedScore  # made of the network, called with φ = None
    network: nn.Module  # the module whose layers are matched
    layers: Sequence[str]  # their names, as in `named_modules`; each puts out a tensor (N, C, *positions), once a call
    gain: float = 1.0  # g of Appendix A, of every channel
    widths: list[int] = field(init=False, default_factory=list)  # channels of each layer, after the first `features`

    def features(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Return φ(x), (N, F), of a pass without matching; arguments as in `FeatureExtractor`.

        Raises:
            ValueError: there is no such layer, or it puts out something else than one tensor, or none.
        """
        seen: dict[str, Tensor] = {}

        def record(name: str, h: Tensor) -> Tensor:
            seen[name] = channel_means(h)
            return h

        with self._visited(record):
            self.score(x, None, sigma)
        if missing := [name for name in self.layers if name not in seen]:
            raise ValueError(f"layers: the network does not come by {missing[0]}")
        self.widths = [seen[name].shape[1] for name in self.layers]
        return torch.cat([seen[name] for name in self.layers], 1)

    def __call__(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s(x, φ − φ(x)), the shape of x; arguments as in `ProjectedScore`, None is s(x, 0)."""
        if phi is None:
            return self.score(x, None, sigma)
        if not self.widths:
            self.features(x[:1], sigma if sigma is None else sigma.flatten()[:1])
        require_phi(phi, sum(self.widths))
        targets = dict(zip(self.layers, phi.split(self.widths, -1), strict=True))  # type: ignore[no-untyped-call]
        with self._visited(lambda name, h: match_means(h, targets[name], self.gain)):
            return self.score(x, None, sigma)

    @contextmanager
    def _visited(self, visit: Callable[[str, Tensor], Tensor]) -> Iterator[None]:
        """Let `visit`, (name, h) -> h, see and change what the layers put out, and no longer."""
        handles, modules = [], dict(self.network.named_modules())
        if any(getattr(m, "_compiled_call_impl", None) or hasattr(m, "_orig_mod") for m in modules.values()):
            raise ValueError("network: is compiled, and would not see the hooks; give it as it was before")
        if unknown := [name for name in self.layers if name not in modules]:
            raise ValueError(f"layers: the network has no {unknown[0]}")
        for name in self.layers:

            def hook(module: nn.Module, inputs: object, h: object, name: str = name) -> Tensor:
                if not isinstance(h, Tensor):
                    raise ValueError(f"layers: {name} puts out {type(h).__name__}, not one tensor; name one within")
                return visit(name, h)

            handles.append(modules[name].register_forward_hook(hook))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
