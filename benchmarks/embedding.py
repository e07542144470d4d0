"""Is the distance of two densities that of their φ (Fig. 5)? Measured over many classes, and taken apart.

`python benchmarks/embedding.py measure SEEN UNSEEN OUT.pt [MODEL]` (SEEN: folders, with commas between them) measures
for 100 classes trained on, and for those of UNSEEN, every noise level and every patch apart,

- the gaps ‖s_y(x) − s_y'(x)‖²/σ² of Eq. 7, for a circulant share of the pairs, and
- products vᵀJ/σ, J = ∂s/∂φ, with Gaussian v. Their outer products average to M_y = ∫ E JᵀJ/σ² dlog σ, the metric that
  φ has near class y: to first order d²(p_y, p_y') = 2 (φ_y − φ_y')ᵀ M (φ_y − φ_y').

Classes are taken as they are, and with one gray and one contrast.

`python benchmarks/embedding.py table OUT.pt` prints r, by the metric, the noise levels, and the block of φ;
`python benchmarks/embedding.py draw OUT.pt FIGURE.png` draws d² against ‖Δφ‖² and against 2 ΔφᵀMΔφ.
"""

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgs.common.files import atomic
from fgs.figures.style import CLASS_COLOURS, OTHER, new_figure, save_figure
from fgs.images.model import Model, load_model
from fgs.images.sources import flat_classes, patches_of, unseen_patches
from fgs.noise import add_noise, seeded
from script import fail

SIGMAS = torch.logspace(math.log10(0.02), 0, 7)
PROBES, OFFSETS, DIRECTIONS, SEEN = 4, 7, 2, 100
GRAY, CONTRAST = 0.5, 0.12  # of classes made equal
FEATURES = 64


def equalized(x: Tensor, like: Tensor) -> Tensor:
    """Return patches with the gray and contrast, over all of `like`, that every class gets."""
    mean = like.mean()
    sd = (like - like.mean((0, 2, 3), keepdim=True)).square().mean().sqrt()
    return (GRAY + CONTRAST * (x - mean) / sd).clamp(0, 1)


@torch.no_grad()
def gaps(model: Model, phi: Tensor, x: list[Tensor], offsets: list[int]) -> Tensor:
    """Return ‖s_y − s_y'‖²/σ²/d, (K, 2 offsets, levels, probes), with y' = y ± offset."""
    K, found = len(phi), []
    for y in range(K):
        others = [(y + sign * k) % K for k in offsets for sign in (1, -1)]
        levels = []
        for level, sigma in enumerate(SIGMAS):
            x_sigma, _ = add_noise(x[y], sigma, seeded(2, level))
            n = len(x_sigma)
            asked = phi[[y, *others]].repeat_interleave(n, 0)
            s = model.network(x_sigma.repeat(len(asked) // n, 1, 1, 1), asked, sigma).unflatten(0, (-1, n))
            levels.append((s[1:] - s[0]).flatten(2).square().mean(2) / sigma**2)
        found.append(torch.stack(levels, 1))
    return torch.stack(found)


def slopes(model: Model, phi: Tensor, x: list[Tensor]) -> Tensor:
    """Return vᵀJ/(σ√d), (K, levels, probes × directions, F)."""
    found = []
    for y in range(len(phi)):
        levels = []
        for level, sigma in enumerate(SIGMAS):
            x_sigma, _ = add_noise(x[y], sigma, seeded(2, level))
            x_sigma = x_sigma.repeat(DIRECTIONS, 1, 1, 1)
            asked = phi[y].repeat(len(x_sigma), 1).requires_grad_()
            s = model.network(x_sigma, asked, sigma)
            v = torch.randn(s.shape, generator=seeded(3, level, y))
            (g,) = torch.autograd.grad((v * s).sum(), asked)
            levels.append(g / sigma / math.sqrt(s[0].numel()))
        found.append(torch.stack(levels))
    return torch.stack(found)


def measure(seen: list[Path], unseen: Path, path: str | None) -> dict[str, Any]:
    """Return gaps and slopes of both sets of classes."""
    model = load_model(Path(path)) if path else load_model()
    all_seen = patches_of(model.only(model.trained_on), seen)
    flat = set(flat_classes(all_seen))
    names = [name for name in all_seen.classes if name not in flat]
    names = [names[k * len(names) // SEEN] for k in range(SEEN)]
    others = unseen_patches(replace(model.recipe, device="cpu"), unseen, model.trained_on)[0]
    found: dict[str, Any] = {"widths": model.network.widths, "sigmas": SIGMAS}
    for kind, patches in (("seen", all_seen), ("unseen", others)):
        classes = [patches.classes.index(name) for name in names] if kind == "seen" else range(len(patches.classes))
        plain = [patches.training(y, FEATURES, seeded(0, y)) for y in classes]
        held = [patches.held_out_crops(y, PROBES, seeded(1, y)) for y in classes]
        for equal in (False, True):
            like = [equalized(x, x) if equal else x for x in plain]
            x = [equalized(x, of) if equal else x for x, of in zip(held, plain, strict=True)]
            with torch.no_grad():
                phi = torch.stack([model.network.features(part).mean(0) for part in like])
            offsets = (torch.randperm(len(x) // 2 - 1, generator=seeded(4))[:OFFSETS] + 1).tolist()
            stats = [torch.stack([part.mean(), part.std((0, 2, 3)).square().mean().sqrt()]) for part in like]
            found[kind + (" equalised" if equal else "")] = {
                "phi": phi,
                "offsets": offsets,
                "gaps": gaps(model, phi, x, offsets),
                "slopes": slopes(model, phi, x),
                "stats": torch.stack(stats),
            }
            print(kind, equal, len(x), file=sys.stderr, flush=True)
    return found


class Pairs:
    """The pairs that were measured of a set of classes.

    Attributes:
        a, b: (P,) their classes.
        density: (levels, probes, P) integrand of d² over log σ, of both directions.
        offset: (P, F) φ_a − φ_b.
    """

    def __init__(self, found: dict[str, Any]) -> None:
        phi, gap = found["phi"].double(), found["gaps"].double()
        y = torch.arange(len(phi))
        self.a = y.repeat(len(found["offsets"]))
        self.b = torch.cat([(y + k) % len(y) for k in found["offsets"]])
        column = torch.arange(len(found["offsets"])).repeat_interleave(len(y))
        self.density = (gap[self.a, 2 * column] + gap[self.b, 2 * column + 1]).permute(1, 2, 0)
        self.offset = phi[self.a] - phi[self.b]

    def d2(self, probes: slice = slice(None)) -> Tensor:
        """Return d² ÷ pixels of every pair, (P,)."""
        return integral(self.density[:, probes].mean(1))

    def by_metric(self, slopes: Tensor) -> Tensor:
        """Return 2 ΔφᵀMΔφ with M of slopes (levels, n, F): what d² is to first order, (P,)."""
        return 2 * integral((slopes.double() @ self.offset.T).square().mean(1))

    def by_metric_of(self, slopes: Tensor, of: Tensor) -> Tensor:
        """Return it with M_y of a class of each pair, from slopes (K, levels, n, F)."""
        along = torch.einsum("plnf,pf->pln", slopes[of].double(), self.offset)
        return 2 * integral(along.square().mean(2).T)


def integral(values: Tensor) -> Tensor:
    """Integrate (levels, …) over log σ, with what lies beyond the ends, as `density_distances` does."""
    return torch.trapezoid(values, SIGMAS.double().log(), dim=0) + (values[0] + values[-1]) / 2


def r(x: Tensor, y: Tensor) -> float:
    """Return Pearson's correlation."""
    return float(torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1])


def row(name: str, between: Tensor, d2: Tensor) -> None:
    """Print how d² follows a squared distance: r, r of ranks and of logarithms, the spread of d² ÷ distance."""
    ranks = r(*(values.argsort().argsort() for values in (between, d2)))
    ratio = (d2 / between).quantile(torch.tensor([0.05, 0.5, 0.95], dtype=torch.double))
    spread, middle = float(ratio[2] / ratio[0]), float(ratio[1])
    print(f"  {name:34}{r(between, d2):7.2f}{ranks:7.2f}{r(between.log(), d2.log()):7.2f}{spread:9.1f}{middle:10.3g}")


def table(found: dict[str, Any]) -> None:
    """Print what follows from the measurements."""
    widths = found["widths"]
    half = torch.arange(SEEN) % 2 == 0  # classes that make the metric, for pairs of the others
    for name in ("seen", "seen equalised", "unseen", "unseen equalised"):
        pairs, own = Pairs(found[name]), found[name]
        d2 = pairs.d2()
        halves = r(pairs.d2(slice(0, None, 2)), pairs.d2(slice(1, None, 2)))
        reliable = 2 * halves / (1 + halves)
        print(
            f"{name}: {len(d2)} pairs; d² of half the patches against the other r = {halves:.2f}, so at most ", end=""
        )
        print(f"{math.sqrt(reliable):.2f}\n  {'':34}{'r':>7}{'ranks':>7}{'logs':>7}{'B/A 90%':>9}{'middle':>10}")
        row("‖Δφ‖²", pairs.offset.square().sum(1), d2)
        row("÷ sd of channels", (pairs.offset / own["phi"].double().std(0)).square().sum(1), d2)
        for k, block in enumerate(pairs.offset.split(widths, 1)):
            row(f"block {k + 1}", block.square().sum(1), d2)
        if name.startswith("seen"):
            slopes, tested = own["slopes"][half], ~half[pairs.a] & ~half[pairs.b]
        else:
            slopes, tested = found[name.replace("unseen", "seen")]["slopes"], torch.ones_like(pairs.a, dtype=torch.bool)
        common = pairs.by_metric(slopes.transpose(0, 1).flatten(1, 2))
        row("‖Δφ‖², the pairs tested below", pairs.offset.square().sum(1)[tested], d2[tested])
        row("ΔφᵀMΔφ, M of other classes", common[tested], d2[tested])
        diagonal = integral(slopes.double().square().mean((0, 2)))
        row("its diagonal alone", (pairs.offset.square() @ diagonal)[tested], d2[tested])
        local = torch.stack([pairs.by_metric_of(own["slopes"], of) for of in (pairs.a, pairs.b)]).mean(0)
        row("M_y of the two classes", local, d2)
        gray = own["stats"].double()
        if "equal" not in name:
            row("(Δ mean)²", (gray[pairs.a, 0] - gray[pairs.b, 0]).square() + 1e-9, d2)
            row("(Δ log sd)²", (gray[pairs.a, 1].log() - gray[pairs.b, 1].log()).square() + 1e-9, d2)
        shares = integral(torch.eye(len(SIGMAS)).double()) * pairs.density.mean((1, 2)) / d2.mean()
        for level, sigma in enumerate(SIGMAS.tolist()):
            at = pairs.density[level].mean(0)
            metric = (slopes[:, level].flatten(0, 1).double() @ pairs.offset.T).square().mean(0)
            print(f"  σ = {sigma:.3f}: share {float(shares[level]):.2f}, ", end="")
            print(f"r with ‖Δφ‖² {r(pairs.offset.square().sum(1), at):.2f}, with M of this σ {r(metric, at):.2f}")


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw d² over both distances, of classes seen and unseen; the metric is of other classes that were seen."""
    figure = new_figure(9.0, 4.0)
    axes = figure.subplots(1, 2, sharey=True)
    half = torch.arange(SEEN) % 2 == 0
    for colour, kind in zip(CLASS_COLOURS[1:3], ("seen", "unseen"), strict=True):
        pairs = Pairs(found[kind])
        slopes = found["seen"]["slopes"]
        shown = torch.ones_like(pairs.a, dtype=torch.bool)
        if kind == "seen":
            slopes, shown = slopes[half], ~half[pairs.a] & ~half[pairs.b]
        between = pairs.offset.square().sum(1)
        metric = pairs.by_metric(slopes.transpose(0, 1).flatten(1, 2))
        for axis, distance, some in zip(axes, (between, metric), (torch.ones_like(shown), shown), strict=True):
            x, y = distance[some], pairs.d2()[some]
            label = f"{kind}: r = {r(x, y):.2f}, {r(x.log(), y.log()):.2f} between logarithms"
            axis.loglog(x, y, ".", ms=4, color=colour, alpha=0.6, label=label)
    low, high = axes[1].get_ylim()
    axes[1].plot([low, high], [low, high], color=OTHER, lw=1, zorder=0)
    axes[0].set(xlabel=r"$\|\phi_y - \phi_{y'}\|^2$", ylabel=r"$d^2(p_y, p_{y'})$ ÷ values")
    axes[1].set(xlabel=r"$2\,(\phi_y - \phi_{y'})^{T} M (\phi_y - \phi_{y'})$ ÷ values, nothing fitted")
    for axis in axes:
        axis.legend(frameon=False, fontsize=8, loc="upper left")
        axis.grid(alpha=0.2)
    save_figure(figure, path)


def main() -> None:
    """Run one of the commands."""
    what, *rest = sys.argv[1:] or [""]
    if what == "measure" and len(rest) in (3, 4):
        found = measure([Path(name) for name in rest[0].split(",")], Path(rest[1]), rest[3] if len(rest) > 3 else None)
        with atomic(Path(rest[2])) as temporary:
            torch.save(found, temporary)
    elif what == "table" and len(rest) == 1:
        table(torch.load(rest[0], weights_only=True))
    elif what == "draw" and len(rest) == 2:
        draw(torch.load(rest[0], weights_only=True), Path(rest[1]))
    else:
        fail("give measure SEEN UNSEEN OUT.pt [MODEL], table OUT.pt, or draw OUT.pt FIGURE.png", 2)


if __name__ == "__main__":
    main()
