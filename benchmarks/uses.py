"""Other uses of a score, on mixtures where the answer is known: restoration, steering by particles, OR.

`python benchmarks/uses.py` prints energy distances to exact samples ÷ the floor of samples as many. The score is exact:
what is off is the method's. One table is of the model that ships: ‖J − Jᵀ‖²/‖J‖², and drift over variance of x̂.
"""

import torch
from torch import Tensor

from fgs.composition import AnyOf, Several
from fgs.few_steps import FewSteps, MultiStep
from fgs.field import asymmetry, inconsistency
from fgs.images import Patches, draw_images, load_model
from fgs.measures import energy_distance, two_sample_floor
from fgs.noise import seeded, standard_normal
from fgs.protocols import ProjectedScore
from fgs.restoration import Posterior, Projected
from fgs.sampling import StepByStep, draw_start
from fgs.steering import Steered
from toy import ExactScore, GaussianMixture

N, TRUE = 2048, 4


def normal(*shape: int, seed: int) -> Tensor:
    """Draw in double precision."""
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


def mixture_of(d: int, seed: int) -> GaussianMixture:
    """Three classes of any covariance, some of their widths apart."""
    factor = 0.1 * normal(3, d, d, seed=seed)
    covariances = factor @ factor.mT / d + 0.0025 * torch.eye(d)
    return GaussianMixture(torch.full((3,), 1 / 3).double(), 0.5 * normal(3, d, seed=seed + 1), covariances)


def over_floor(x: Tensor, density: GaussianMixture) -> float:
    """Return the energy distance of samples to the density ÷ floor."""
    true = [density.sample(len(x), generator=seeded(20 + k)) for k in range(TRUE)]
    return sum(float(energy_distance(x, t)) for t in true) / TRUE / two_sample_floor(energy_distance, true)


def restoration(d: int, m: int, share: float, seed: int) -> list[str]:
    """Return a row of the table for m numbers measured of d, with noise of a share of the sd of the data."""
    mixture = mixture_of(d, seed)
    M = torch.linalg.qr(normal(d, m, seed=seed + 2))[0].T
    sd = float(mixture.sample(4000, generator=seeded(9)).std(0).mean())
    noise = share * sd
    y = (mixture.sample(1, generator=seeded(seed, 3)) @ M.T + noise * normal(1, m, seed=4))[0]
    posterior, exact = mixture.given(M, y, noise), ExactScore(mixture)
    unknown = float(mixture.covariances.diagonal(dim1=1, dim2=2).mean())

    def log_y(x: Tensor, x_hat: Tensor, sigma: Tensor) -> Tensor:
        variance = noise**2 + sigma**2 * unknown / (sigma**2 + unknown)
        return -(x_hat @ M.T - y).square().sum(1) / (2 * variance)

    ends = (3 * sd, 0.1 * noise)
    guided = Posterior(exact, lambda x: x @ M.T, y, noise, iterations=m)
    ways: list[tuple[StepByStep, ProjectedScore]] = [
        (MultiStep(300, 0.05, *ends), ExactScore(posterior)),
        (MultiStep(300, 1.0, *ends), guided),
        (MultiStep(300, 0.05, *ends), guided),
        (Steered(300, 0.5, *ends, potential=log_y, free=exact), guided),
        (MultiStep(300, 0.05, *ends), Projected(exact, lambda x: x @ M.T, y)),
    ]
    start = draw_start((N, d), mixture.centre, 3 * sd, sd, seeded(5))
    found = [over_floor(sampler(score, start, None, seeded(6)).x, posterior) for sampler, score in ways]
    return [f"{m} of {d}", f"{share:g}", f"{float(posterior.weights.max()):.2f}", *(f"{one:.3g}" for one in found)]


def steering(d: int) -> list[str]:
    """Return a row: a class by particles of the mixture's score, and by the exact conditional one, three seeds each."""
    mixture = mixture_of(d, 0)
    ends, one = (5.0, 0.02), mixture.one_hot(1)
    density = GaussianMixture([1.0], mixture.means[1:2], mixture.covariances[1:2] + ends[1] ** 2 * torch.eye(d))
    cells = []
    particles = Steered(400, 0.3, *ends, potential=lambda x, x_hat, sigma: mixture.log_posterior(x, sigma)[:, 1])
    for sampler, phi in ((particles, None), (FewSteps(400, 0.3, *ends), one)):
        for seed in range(3):
            start = draw_start((2 * N, d), mixture.centre, ends[0], 0.5, seeded(seed, 5))
            cells.append(f"{over_floor(sampler(ExactScore(mixture), start, phi, seeded(seed, 6)).x, density):.3g}")
    return [str(d), " ".join(cells[:3]), " ".join(cells[3:])]


def either(d: int) -> list[str]:
    """Return a row: the mixture of three as OR of its classes, and by its own score."""
    mixture = mixture_of(d, 0)
    several = Several((ExactScore(mixture),) * 3, tuple(mixture.one_hot(torch.arange(3))))
    start = draw_start((N, d), mixture.centre, 5.0, 0.5, seeded(5))
    sampler = AnyOf(300, 5.0, 0.005)
    scores: tuple[tuple[StepByStep, ProjectedScore], ...] = (
        (sampler, several),
        (FewSteps(300, 0.5, 5.0, 0.005), ExactScore(mixture)),
    )
    return [str(d), *(f"{over_floor(s(score, start, None, seeded(6)).x, mixture):.3g}" for s, score in scores)]


def field_of_images(sigma: float) -> list[str]:
    """Return a row: how far the model that ships is from a gradient on the library's own textures, and how x̂ drifts."""
    model = load_model()
    model.network.requires_grad_(False)
    patches = Patches(draw_images(8, 1, 128, color=True), model.patch)
    x = torch.cat([patches.training(y, 2, seeded(y)) for y in range(8)])
    phi = torch.stack([model.features(patches.training(y, 32, seeded(y, 1))).mean(0) for y in range(8)])
    x_sigma, cells = x + sigma * standard_normal(x, seeded(2)), []
    for asked in (phi.repeat_interleave(2, 0), None, phi.roll(1, 0).repeat_interleave(2, 0)):
        level = torch.tensor(sigma)
        skew = asymmetry(model.network, x_sigma, asked, level, probes=8, generator=seeded(3))
        with torch.no_grad():
            drift = inconsistency(model.network, x_sigma, asked, level, draws=32, generator=seeded(4))
        cells.append(f"{float(skew.mean()):.2f} / {float(drift.mean()):.2f}")
    return [f"{sigma:g}", *cells]


def table(*header: str) -> None:
    """Print the head of a table."""
    print(f"\n| {' | '.join(header)} |\n|{'---|' * len(header)}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    table("measured", "noise ÷ sd", "largest share", "exact", "β = 1", "β = .05", "particles", "projected")
    for d, m in ((2, 1), (16, 4), (16, 8)):
        for share in (0.05, 0.2, 0.5):
            for seed in (0, 10):
                print(f"| {' | '.join(restoration(d, m, share, seed))} |", flush=True)
    table("d", "particles, three seeds", "conditional score")
    for d in (2, 16):
        print(f"| {' | '.join(steering(d))} |", flush=True)
    table("σ", "φ of the class", "no φ", "a wrong φ")
    for sigma in (0.05, 0.1, 0.2, 0.5, 1.0):
        print(f"| {' | '.join(field_of_images(sigma))} |", flush=True)
    table("d", "OR of three classes", "the mixture's score")
    for d in (2, 16):
        print(f"| {' | '.join(either(d))} |", flush=True)
