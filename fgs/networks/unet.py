"""The UNet score network for images: guided by features, conditioned on a label, or neither (Fig. 9, Appendix A).

All share one trunk F, blind and fully convolutional, for images of any size. Round it goes what it cannot carry:

    s = (q² − 1)(x − ½) + q·r·F((x − m)/r, m, log r),    q = min(1, τ/r),    m the mean of x, r its contrast

Normalisation takes the scale out of F; r gives it back. F is shown the image at a contrast of 1, since next to its gray
a faint texture is hardly there, and m and log r as constant planes, so that φ(x') holds gray and contrast of x'.
Where r exceeds τ, more contrast than images have, most of it is noise, and the first term is the linear estimate that
shrinks it, which takes off what is too much or too little of gray as well. F could not: matching sets the channel means
of x to those of x', so that past its first block F knows which gray the class has, but not which gray x has. At small
noise it need not know; where it is told, it relies on x' less, and samples are worse (benchmarks/README.md).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fgs.features import channel_means, match_means, require_phi
from fgs.networks.mlp import require_dtype

Visit = Callable[[int, Tensor], Tensor]
"""(b, h) -> h: what is done to the activations (N, C, H, W) at the end of block b = 0, 1, … on the way."""

PRESETS: dict[str, dict[str, int]] = {
    "paper": {"channels": 64, "levels": 3, "encoder_convs": 2, "middle_convs": 3, "decoder_convs": 4},
    "medium": {"channels": 48, "levels": 2, "encoder_convs": 2, "middle_convs": 2, "decoder_convs": 2},
    "small": {"channels": 32, "levels": 2, "encoder_convs": 2, "middle_convs": 2, "decoder_convs": 2},
}

CONTRAST = 0.3  # τ, the sd of an image with more contrast than textures have
TINY = 1e-6  # added to the variance of an image, which may be flat: (1/1000)², a quarter of a gray level of 8 bits


class Layer(nn.Sequential):
    """3 × 3 convolution with biases, normalisation of the whole image, ReLU."""

    def __init__(self, inputs: int, outputs: int, normalized: bool = True) -> None:
        norm = [nn.GroupNorm(1, outputs)] if normalized else []
        super().__init__(nn.Conv2d(inputs, outputs, 3, padding=1), *norm, nn.ReLU(inplace=True))


def _block(inputs: int, outputs: int, convs: int, first: bool = False) -> nn.Sequential:
    """`convs` layers in a row; the very first of the network is not normalised."""
    sizes = [inputs] + [outputs] * convs
    return nn.Sequential(*(Layer(sizes[k], sizes[k + 1], not (first and k == 0)) for k in range(convs)))


def _standardized(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the trunk sees of x, (N, 2C + 1, H, W): (x − m)/r, m and log r; and the contrast r, (N, 1, 1, 1)."""
    m = x.to(torch.promote_types(x.dtype, torch.float32)).mean((2, 3), keepdim=True)
    r = ((x - m).square().mean((1, 2, 3), keepdim=True) + TINY).sqrt()
    constant = torch.cat([m, r.log()], 1).expand(-1, -1, *x.shape[2:])
    planes = torch.cat([(x - m) / r, constant], 1).to(x.dtype)  # the statistics themselves are in single precision
    return planes.contiguous(memory_format=torch.channels_last), r


class UNet(nn.Module):
    """The trunk: encoder blocks with 2 × 2 average pools, a middle block, decoder blocks after transposed convolutions.

    By itself it is a network of the mixture alone (Algorithm 4). `settings` are the arguments, which make the same
    network again.

    Args:
        colors: C of the images.
        channels: of the first encoder block; every level doubles them.
        levels: encoder blocks, and decoder blocks.
        encoder_convs: convolutions of an encoder block; `middle_convs`, `decoder_convs`: of the others. The last one of
            the network is bare.

    Raises:
        ValueError: a size is too small; the message begins with its name.
    """

    def __init__(
        self,
        colors: int = 1,
        channels: int = 64,
        levels: int = 3,
        encoder_convs: int = 2,
        middle_convs: int = 3,
        decoder_convs: int = 4,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {"colors": colors, "channels": channels, "levels": levels}
        self.settings |= {"encoder_convs": encoder_convs, "middle_convs": middle_convs, "decoder_convs": decoder_convs}
        for name, size in self.settings.items():
            least = 2 if name == "decoder_convs" else 1
            if size < least:
                raise ValueError(f"{name}: must be at least {least}, got {size}")
        widths = [channels * 2**level for level in range(levels + 1)]
        self.widths = [*widths, *widths[-2:0:-1]]  # at the end of every block that can be matched: all but the last
        self.encoder = nn.ModuleList(
            _block(widths[level - 1] if level else 2 * colors + 1, widths[level], encoder_convs, first=level == 0)
            for level in range(levels)
        )
        self.middle = _block(widths[-2], widths[-1], middle_convs)
        self.up, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(levels)):
            self.up.append(nn.ConvTranspose2d(widths[level + 1], widths[level], 2, stride=2))
            convs = decoder_convs if level else decoder_convs - 1
            self.decoder.append(_block(2 * widths[level], widths[level], convs))
        self.out = nn.Conv2d(channels, colors, 3, padding=1)

    def forward(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s = x̂ − x, (N, C, H, W); arguments as in `ProjectedScore`, but φ must be None; σ is ignored."""
        if phi is not None:
            raise ValueError("phi: this network takes no condition; give None")
        return self._score(x)

    def _seen(self, x: Tensor) -> tuple[Tensor, Tensor]:
        require_dtype(x, self.out.weight)
        if x.shape[1] != self.settings["colors"]:
            raise ValueError(f"x: is of {x.shape[1]} colors, the network of {self.settings['colors']}")
        return _standardized(x)

    def _score(self, x: Tensor, visit: Visit | None = None) -> Tensor:
        planes, r = self._seen(x)
        q = (CONTRAST / r).clamp_max(1)
        s: Tensor = (q.square() - 1) * (x - 0.5) + q * r * self.out(self._walk(planes, visit, len(self.decoder)))
        return s.to(x.dtype)

    def _walk(self, h: Tensor, visit: Visit | None, decoders: int) -> Tensor:
        """Return the activations after so many decoder blocks, with every block but the last one visited at its end."""
        skips: list[Tensor] = []
        blocks = enumerate([*self.encoder, self.middle, *self.decoder[:decoders]])
        for number, block in blocks:
            if number > len(self.encoder):
                skip = skips.pop()
                h = self.up[number - len(self.encoder) - 1](h)[..., : skip.shape[-2], : skip.shape[-1]]
                h = torch.cat([skip, h], 1)
            elif number:
                # sizes that are odd are rounded up here and cut off after the transposed convolution
                h = nn.functional.avg_pool2d(h, 2, ceil_mode=True, count_include_pad=False)
            h = block(h)
            if visit and number < 2 * len(self.encoder):
                h = visit(number, h)
            if number < len(self.encoder):
                skips.append(h)
        return h


class GuidedUNet(UNet):
    """The projected score s(x_σ, φ_y − φ(x_σ)) and the features φ, in one network (Section 3, Fig. 9).

    φ is the channel means, after the ReLU, at the end of every block but the last: 1344 of them in the paper's network.

    With `matched` it is of these blocks alone, encoder, middle and decoder numbered from 0. `gain` is the factor g of
    every matched channel (Appendix A); with `learn_gain` it is trained from there on. The rest is as in `UNet`.
    """

    def __init__(
        self, gain: float = 1.0, learn_gain: bool = False, matched: tuple[int, ...] | None = None, **sizes: int
    ) -> None:
        super().__init__(**sizes)
        self.matched = tuple(range(len(self.widths))) if matched is None else tuple(sorted(set(matched)))
        if not self.matched or not set(self.matched) <= set(range(len(self.widths))):
            raise ValueError(f"matched: must be of 0 … {len(self.widths) - 1}, got {matched}")
        self.widths = [self.widths[number] for number in self.matched]  # channels of every matched block
        self.settings |= {"gain": gain, "learn_gain": learn_gain, "matched": self.matched}
        self.gain = nn.Parameter(torch.full((sum(self.widths),), float(gain)), requires_grad=learn_gain)

    def features(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Return φ(x), (N, F), by a pass without matching that leaves out the last decoder block."""
        means = []

        def record(number: int, h: Tensor) -> Tensor:
            if number in self.matched:
                means.append(channel_means(h))
            return h

        self._walk(self._seen(x)[0], record, max(0, self.matched[-1] - len(self.encoder)))
        return torch.cat(means, 1)

    def forward(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return s(x, φ − φ(x)), the shape of x; arguments as in `ProjectedScore`, None is s(x, 0)."""
        if phi is None:
            return self._score(x)
        require_phi(phi, sum(self.widths))
        targets = dict(zip(self.matched, torch.split(phi, self.widths, dim=-1), strict=True))
        gains = dict(zip(self.matched, torch.split(self.gain, self.widths), strict=True))
        return self._score(x, lambda b, h: match_means(h, targets[b], gains[b]) if b in targets else h)


class LabelUNet(UNet):
    """Standard conditioning, to compare with: an embedding of the label scales and shifts every channel of each block.

    φ is one-hot, its length K = `classes`; None is the null label of classifier-free guidance. The rest is as in
    `UNet`.
    """

    def __init__(self, classes: int, **sizes: int) -> None:
        super().__init__(**sizes)
        self.settings |= {"classes": classes}
        self.embedding = nn.Linear(classes, 2 * sum(self.widths), bias=False)
        nn.init.zeros_(self.embedding.weight)

    def forward(self, x: Tensor, phi: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """Return the score of the class φ, the shape of x; as in `ProjectedScore`, φ one-hot (K,) or (N, K)."""
        if phi is None:
            s = self._score(x)
            # of several processes one may have no labels in its share, yet all must have a gradient of every weight
            return s + 0 * self.embedding.weight.sum() if torch.is_grad_enabled() else s
        require_phi(phi, self.embedding.in_features)
        embedded = self.embedding(phi.to(x))[..., None, None].chunk(2, dim=-3)
        scales, shifts = (torch.split(part, self.widths, dim=-3) for part in embedded)

        def modulate(number: int, h: Tensor) -> Tensor:
            return h * (1 + scales[number]) + shifts[number]

        return self._score(x, modulate)


def receptive_field(network: UNet) -> int:
    """Return the pixels a side of the image that one activation at the end of the middle block depends on.

    Normalisation makes everything depend on everything, weakly; its statistics are taken as fixed here.
    """
    sizes = network.settings
    stride, field = 1, 1
    for _ in range(sizes["levels"]):
        field += (2 * sizes["encoder_convs"] + 1) * stride
        stride *= 2
    return int(field + 2 * sizes["middle_convs"] * stride)
