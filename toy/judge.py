"""The measures of stage 1: samples of one class against true ones, all distances divided by their floor."""

from dataclasses import dataclass, replace
from statistics import fmean

from torch import Generator, Tensor

from fgs.measures.distances import class_hit, mean_and_sd, mean_distance, two_sample_floor, wasserstein_1
from fgs.noise import add_noise, seeded
from toy.geometry import ClassAxis, class_axis
from toy.mixture import GaussianMixture

TRUE_SETS = 8  # independent true sets, whose 28 distances make the floor
ENERGY_ROWS = 2**12  # the energy distance takes time N², so it is measured on the first rows
ENERGY_SETS = 4


@dataclass(frozen=True)
class Row:
    """What was measured of one method; lengths in units of λ unless said, `error` set where it did not converge."""

    label: str  # what the method is
    steps: float | None = None  # mean number of updates
    class_hit: float | None = None  # share of samples in the target class by the posterior at σ_∞
    mean_error: float | None = None  # error of the mean along u, positive away from the other classes
    sd: float | None = None  # sd along u
    distance: float | None = None  # W1 along u to the true samples, in the units of x
    distance_over_floor: float | None = None  # that, divided by the W1 of true to true samples
    energy: float | None = None  # energy distance to the target smoothed by σ_∞, in the units of x; None for d = 1
    energy_over_floor: float | None = None  # likewise divided
    error: str | None = None  # why there are no samples


@dataclass(frozen=True)
class Judge:
    """The true class, drawn several times over, against which samples are measured."""

    mixture: GaussianMixture
    target: int
    axis: ClassAxis
    sigma_inf: float
    true: Tensor
    along: list[Tensor]
    smoothed: list[Tensor]
    within: float
    floor: float
    energy_floor: float | None

    @classmethod
    def draw(cls, mixture: GaussianMixture, target: int, n: int, sigma_inf: float, generator: Generator) -> "Judge":
        """Draw one true set (n, d) to show, and `TRUE_SETS` independent ones for the floor."""
        axis = class_axis(mixture, target)
        true = mixture.sample(n, target, generator=generator)
        along = [mixture.sample(n, target, generator=generator) @ axis.u for _ in range(TRUE_SETS)]
        floor = two_sample_floor(wasserstein_1, along)
        if mixture.d == 1:
            return cls(mixture, target, axis, sigma_inf, true, along, [], 0.0, floor, None)
        rows = min(n, ENERGY_ROWS)
        smoothed = [mixture.sample(rows, target, sigma_inf, generator).float() for _ in range(ENERGY_SETS)]
        within = fmean(float(mean_distance(each, each)) for each in smoothed)
        energy_floor = 2 * (two_sample_floor(mean_distance, smoothed) - within)
        return cls(mixture, target, axis, sigma_inf, true, along, smoothed, within, floor, energy_floor)

    def measure(self, label: str, x: Tensor, steps: float | None, x_noisy: Tensor | None = None) -> Row:
        """Measure the samples x (N, d); x_noisy is x with the noise σ_∞ that samples carry, x itself if left out."""
        x = x.to(self.true)
        mean_error, sd = mean_and_sd(x, self.mixture.means[self.target], *self.axis)
        hit = class_hit(self.mixture.log_posterior(x, self.sigma_inf), self.target)
        distance = fmean(float(wasserstein_1(x @ self.axis.u, true)) for true in self.along)
        row = Row(label, steps, hit, mean_error, sd, distance, distance / self.floor)
        if self.energy_floor is None:
            return row
        x = (x if x_noisy is None else x_noisy)[:ENERGY_ROWS].float()
        across = fmean(float(mean_distance(x, true)) for true in self.smoothed)
        energy = 2 * across - float(mean_distance(x, x)) - self.within
        return replace(row, energy=energy, energy_over_floor=energy / self.energy_floor)

    def measure_true(self) -> Row:
        """Measure the true set that is shown."""
        noisy, _ = add_noise(self.true, self.true.new_tensor(self.sigma_inf), seeded(0))
        return self.measure("true samples", self.true, None, noisy)
