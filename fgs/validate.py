"""Does a network of yours keep the protocols? Every law is tried on a few of your signals, with what to mend.

for finding in validate(network, x):
    print(finding)
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from fgs.noise import per_row, seeded, standard_normal
from fgs.protocols import FeatureExtractor, ProjectedScore, require_score


class GuidedNetwork(FeatureExtractor, ProjectedScore, Protocol):
    """Score and features in one object."""


class Finding(NamedTuple):
    """One law: its name, whether it holds, and if not what was seen and what to mend."""

    law: str
    holds: bool
    advice: str

    def __str__(self) -> str:
        return f"ok    {self.law}" if self.holds else f"FAILS {self.law}: {self.advice}"


@torch.no_grad()
def validate(network: GuidedNetwork, x: Tensor, sigma: float = 0.1) -> list[Finding]:
    """Try whether `network` is a `ProjectedScore` and a `FeatureExtractor` that the samplers can rely on.

    It is called as network(x, phi=None, sigma=None), and as network.features(x, sigma=None), on x, (N, *shape), four or
    more clean signals, unlike one another, on the network's device; `sigma`, in their units, is small against them. A
    law that could not be tried, because the network raised, does not hold. Switch dropout and the like off first
    (`network.eval()`).

    Raises:
        ValueError: x has fewer than four rows.
    """
    if len(x) < 4:
        raise ValueError(f"x: needs four signals or more, got {len(x)}")
    level = x.new_tensor(sigma)
    laws = (_call, _score_shape, _feature_shape, _rows, _self_matching, _broadcast, _guidance, _scale, _shift, _finite)
    return [_try(law, network, x, level) for law in laws]


Law = Callable[[GuidedNetwork, Tensor, Tensor], tuple[bool, str]]
"""(network, x, sigma) -> whether the law (first line of the docstring) holds, and what to mend if not."""


def _try(law: Law, network: GuidedNetwork, x: Tensor, sigma: Tensor) -> Finding:
    name = (law.__doc__ or "").splitlines()[0].rstrip(".")
    try:
        holds, advice = law(network, x, sigma)
    except Exception as error:  # a user's network may raise anything
        holds, advice = False, f"{type(error).__name__}: {' '.join(str(error).split())}"
    return Finding(name, holds, "" if holds else advice)


def _call(network: GuidedNetwork, x: Tensor, sigma: Tensor) -> tuple[bool, str]:
    """It is called as s(x, φ, σ)."""
    require_score(network)
    return True, ""


def _score_shape(network: GuidedNetwork, x: Tensor, sigma: Tensor) -> tuple[bool, str]:
    """s(x, None, σ) has the shape of x."""
    s = network(x, None, sigma)
    return s.shape == x.shape, f"got {tuple(s.shape)} for {tuple(x.shape)}; return x̂ − x"


def _feature_shape(network: GuidedNetwork, x: Tensor, sigma: Tensor) -> tuple[bool, str]:
    """φ(x, σ) is one flat vector a sample, (N, F)."""
    phi = network.features(x, sigma)
    return phi.dim() == 2 and len(phi) == len(x), f"got {tuple(phi.shape)}; concatenate the channel means"


def _rows(network: GuidedNetwork, x: Tensor, sigma: Tensor) -> tuple[bool, str]:
    """A sample's s and φ do not depend on the rest of the batch, each with a σ of its own."""
    sigma = sigma * torch.linspace(1, 2, len(x)).to(sigma)
    phi, parts = network.features(x, sigma), (slice(0, 2), slice(2, None))
    alone = torch.cat([network.features(x[k], sigma[k]) for k in parts])
    s, s_alone = network(x, phi, sigma), torch.cat([network(x[k], phi[k], sigma[k]) for k in parts])
    advice = "normalise each sample by itself, or freeze batch statistics with eval(); σ is (N,), or ()"
    return _close(phi, alone) and _close(s, s_alone), advice


def _self_matching(network: GuidedNetwork, x: Tensor, sigma: Tensor) -> tuple[bool, str]:
    """Matching a signal to its own features changes nothing, s(x, φ(x, σ), σ) = s(x, None, σ)."""
    gap = _relative(network(x, network.features(x, sigma), sigma), network(x, None, sigma))
    advice = f"they differ by {gap:.2g}; record φ before matching, in the layers that are matched and in their order"
    return gap < 1e-3, advice


def _broadcast(network: GuidedNetwork, x: Tensor, sigma: Tensor) -> tuple[bool, str]:
    """One φ, (F,), guides a whole batch as the same φ in every row, (N, F)."""
    phi = network.features(x[:1], sigma)
    same = _close(network(x, phi[0], sigma), network(x, phi.expand(len(x), -1), sigma))
    return same, "split φ along its last dimension, and let it broadcast over the batch"


def _guidance(network: GuidedNetwork, x: Tensor, sigma: Tensor) -> tuple[bool, str]:
    """φ of another signal changes the score."""
    moved = _relative(network(x, network.features(x.roll(1, 0), sigma), sigma), network(x, None, sigma))
    return moved > 1e-6, "it does not; match a layer whose channel means differ between signals, and train"


def _scale(network: GuidedNetwork, x: Tensor, sigma: Tensor) -> tuple[bool, str]:
    """The residual of pure noise grows with the noise."""
    z = standard_normal(x, seeded(0))
    noise = [a * float(x.std()) for a in (1.0, 2.0)]
    small, large = (float(network(a * z, None, x.new_tensor(a)).norm()) for a in noise)
    advice = f"twice the noise, {large / max(small, 1e-30):.2f} times the residual; "
    advice += "a per-sample normalisation hides the scale: add biases, or carry the scale round the network"
    return large > 1.3 * small, advice


def _shift(network: GuidedNetwork, x: Tensor, sigma: Tensor) -> tuple[bool, str]:
    """The guided score of a very noisy signal pulls back when a constant is added."""
    width = x.std()
    level = 5 * width
    x_sigma = x + level * standard_normal(x, seeded(0))
    phi = network.features(x, sigma)
    pull = float((network(x_sigma + width, phi, level) - network(x_sigma, phi, level)).mean() / width)
    advice = f"by {-pull:.2f} of the shift, and should by nearly all of it; matching sets the means, so the shift is "
    return pull < -0.3, advice + "lost on the way: let the score be x̂ − x, with x taken round the matched layers"


def _finite(network: GuidedNetwork, x: Tensor, sigma: Tensor) -> tuple[bool, str]:
    """The score and φ are finite, of x = 0 and of very noisy x too."""

    def finite(v: Tensor) -> bool:
        return bool(network(v, None, sigma).isfinite().all() and network.features(v, sigma).isfinite().all())

    z = standard_normal(x, seeded(0))
    inputs = {"x": x, "x = 0": 0 * x, "noise of level 100": x + per_row(x.new_tensor(100.0), x) * z}
    odd = [name for name, v in inputs.items() if not finite(v)]
    return not odd, f"not for {', '.join(odd)}; add a small constant where you divide"


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm().clamp(min=1e-30))


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and _relative(a, b) < 1e-3
