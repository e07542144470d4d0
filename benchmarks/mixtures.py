"""The mixtures of `sampling.py`: exact scores, the default forcing, a trained network."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from fgs.few_steps import FewSteps
from fgs.noise import seeded
from fgs.sampling import SISA, StepByStep, draw_start
from samplers import Counted, Task
from toy.config import ToyConfig
from toy.experiment import prepare
from toy.gains import separation_gain
from toy.judge import Judge
from toy.learned.scores import Learned
from toy.learned.training import Learning, learn
from toy.methods import Method
from toy.mixture import GaussianMixture
from toy.scores import ExactScore, ForcedScore

CLASSES, DIMENSIONS = (2, 3, 8), (1, 16, 64)
EXACT_CASES = 2 * len(CLASSES) * len(DIMENSIONS)
LEARNED = ToyConfig(
    dim=64,
    std=0.15,
    separation=1.4 / 0.15,
    covariance="rank1",
    noise_level="pooled",
    beta=0.2,
    methods=("learned",),
)
"""Two classes of rank 1 in d = 64, after the paper's Fig. 6."""
END = 0.1  # σ_∞ in units of λ: what noise is left widens a class by half a percent
STARTS = 15  # what the seed is used for, beside the uses elsewhere in `toy`

Guide = Callable[[GaussianMixture, StepByStep], Method]
"""(mixture, sampler) -> how class 0 is sampled."""


@dataclass(frozen=True)
class MixtureCase:
    """A class of a mixture; distances are W1 along u and, for d > 1, the energy distance, ÷ floor.

    Attributes:
        group: cases that are drawn together.
        name: what it is called.
        judge: of the class, for samples that carry noise σ_∞ = λ/10.
        sigma_0: noise level of the start.
        guide: what to sample by.
        seeds: sets of samples, over which the distances are averaged.
        compared: a sampler of many calls to compare with, and its name.
    """

    group: str
    name: str
    judge: Judge
    sigma_0: float
    guide: Guide
    seeds: range
    compared: tuple[str, StepByStep] | None = None

    def task(self, calls: int) -> Task:
        """Say what to build a sampler for."""
        return Task(calls, self.sigma_0, self.judge.sigma_inf, False)

    def reference(self) -> tuple[str, StepByStep] | None:
        """Return a sampler of many calls to compare with, and its name."""
        return self.compared

    def measure(self, sampler: StepByStep) -> tuple[float, dict[str, float]]:
        """Sample and measure: calls for each sample, and distances ÷ floor."""
        mixture, n = self.judge.mixture, len(self.judge.true)
        method = self.guide(mixture, sampler)
        score, sums = Counted(method.score), {"W1": 0.0, "energy": 0.0}
        for seed in self.seeds:
            generator = seeded(seed, STARTS)
            x = draw_start((n, mixture.d), mixture.centre, self.sigma_0, generator=generator)
            row = self.judge.measure("", sampler(score, x, method.phi, generator).x, None)
            sums["W1"] += row.distance_over_floor or 0.0
            sums["energy"] += row.energy_over_floor or 0.0
        distances = {name: total / len(self.seeds) for name, total in sums.items() if total}
        return score.calls / (n * len(self.seeds)), distances


def exact_cases(samples: int, seeds: range) -> Iterator[MixtureCase]:
    """Yield every mixture, sampled by the exact conditional score and by the default forcing."""
    for K in CLASSES:
        for d in DIMENSIONS:
            config = ToyConfig(components=K, dim=d, samples=samples, seed=seeds[0])
            config = replace(config, sigma_end=END * config.std)
            judge, sampler = prepare(config)
            for group, guide in (("exact score", _exact), ("default forcing", _forcing)):
                yield MixtureCase(group, f"K = {K}, d = {d}", judge, sampler.sigma_0, guide, seeds)


def learned_case(samples: int, seeds: range, training_steps: int, watch: Callable[[float], None]) -> MixtureCase:
    """Train the feature-guided network on two classes of rank 1 in d = 64, blind, and return the case.

    Args:
        samples: for each measurement.
        seeds: sets of samples.
        training_steps: of the network.
        watch: told of the share of the training that is done.
    """
    usual = replace(LEARNED, samples=samples)
    _, sampler = prepare(usual)
    mixture = usual.build_mixture()
    learning = Learning(training_steps=training_steps)
    learned = learn(mixture, sampler, learning, {"guided"}, watch=lambda name, record: watch(record.progress))
    judge, _ = prepare(replace(usual, sigma_end=END * LEARNED.std))
    sampler = replace(sampler, sigma_inf=judge.sigma_inf)  # samples with other noise in them could not be compared
    name = f"SISA, h = {sampler.h:g}, β = {sampler.beta:g}, σ pooled"
    return MixtureCase(
        "learned network", "d = 64, rank 1", judge, sampler.sigma_0, _learned(learned), seeds, (name, sampler)
    )


def _exact(mixture: GaussianMixture, sampler: StepByStep) -> Method:
    return Method("exact", ExactScore(mixture), mixture.one_hot(0))


def _forcing(mixture: GaussianMixture, sampler: StepByStep) -> Method:
    h, beta = _step_and_beta(sampler)
    return Method("forcing", ForcedScore(mixture, separation_gain(mixture, beta), 0.5 / h), mixture.means[0])


def _learned(learned: Learned) -> Guide:
    return lambda mixture, sampler: learned.method("learned", mixture, 0, 0)


def _step_and_beta(sampler: StepByStep) -> tuple[float, float]:
    assert isinstance(sampler, SISA | FewSteps)
    return (sampler.h if isinstance(sampler, SISA) else sampler.step.h), sampler.beta
