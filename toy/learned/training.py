"""Training the networks of stage 2 on a mixture, all in the same way and for the same time."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from fgs.common.options import Option, at_least, positive
from fgs.denoising import denoising_loss, inverse_variance, log_uniform
from fgs.networks.mlp import MLP, GuidedMLP, LabelMLP
from fgs.noise import seeded
from fgs.sampling import StepByStep
from fgs.training.muon import muon_of
from fgs.training.trainer import Budget, Loss, Record, Trainer, Watch
from toy.geometry import LARGEST_SHORTFALL, class_axis, residual_shortfall
from toy.learned.scores import Learned
from toy.learned.self_labels import WARM_UP, SelfLabels
from toy.mixture import GaussianMixture

LABELS = {"guided": "feature-guided", "label": "label-conditional", "mixture": "mixture"}
OWN = {"offline": "classes of its own, found once", "online": "classes of its own, found all the while"}
PAIRS = 128  # samples of a batch, each with the noise z and −z
P_DROP = 0.1  # share of them without φ, or without a label
LEARNING_RATE = 4e-3

INIT, DRAWS = range(20, 22)  # what the seed is used for, beside the uses elsewhere in `toy`

Pairs = Callable[[nn.Module, Generator], tuple[Tensor, Tensor | None]]
"""(network, generator) -> samples x (N, d), and the φ (N, F) that they are conditioned on."""

_networks = partial(Option, panel="Networks")


@dataclass(frozen=True)
class Learning:
    """How the networks of `fgs toy --learned` are trained."""

    minutes: Annotated[float, _networks("Training time of each network.")] = 0.25
    training_steps: Annotated[int | None, _networks("Steps of each instead, the same on every machine.")] = None
    primes: Annotated[int, _networks("Samples x' whose φ is averaged in training; 4 where classes overlap.")] = 1
    blind: Annotated[bool | None, _networks("Keep σ from them; else by mixture.", flag="--blind/--sigma-input")] = None
    clusters: Annotated[int | None, _networks("Classes to be found without labels; as there are if unsaid.")] = None

    def __post_init__(self) -> None:
        positive(self, "minutes")
        at_least(self, training_steps=1, primes=1, clusters=2)

    def budget(self, share: float = 1.0) -> Budget:
        """Return what one network may spend, or a share of it."""
        steps = self.training_steps and max(1, round(share * self.training_steps))
        return Budget(steps, None if steps else 60 * share * self.minutes)


def learn(
    mixture: GaussianMixture,
    sampler: StepByStep,
    learning: Learning,
    names: Collection[str] = tuple(LABELS),
    seed: int = 0,
    watch: Watch = lambda name, record: None,
    sizes: Mapping[str, Any] | None = None,
) -> Learned:
    """Train networks for the noise levels of a sampler.

    Args:
        mixture: what they learn; every batch is drawn anew.
        sampler: the noise levels are those from its σ_0 to a quarter of its σ_∞.
        learning: how long, on how many x', and whether blind.
        names: which of "guided", "label", "mixture", "offline", "online".
        seed: of the initial weights and of the batches.
        watch: told of every step.
        sizes: of the networks, where they differ from those of `MLP`, and what is matched (`GuidedMLP`).

    Raises:
        NotFiniteError: a training failed.
    """
    blind = residual_shortfall(mixture) <= LARGEST_SHORTFALL if learning.blind is None else learning.blind
    sigma_range, sigma_phi = (sampler.sigma_inf / 4, sampler.sigma_0), sampler.sigma_inf
    networks: dict[str, MLP] = {}
    training: dict[str, dict[str, float]] = {}
    found: dict[str, SelfLabels] = {}
    single = mixture.to(torch.float32)
    for name in (name for name in LABELS | OWN if name in names):
        phases = [(1.0, _given(name, single, sigma_phi, learning.primes))]
        if name in OWN:
            found[name] = SelfLabels(single, learning.clusters or mixture.K, sigma_phi, once=name == "offline")
            first = [(WARM_UP, _given("mixture", single, sigma_phi, 1))] if name == "offline" else []
            phases = [*first, (1 - WARM_UP * len(first), _own(found[name], sigma_phi, learning.primes))]
        network: nn.Module = _build(name, mixture, blind, seed, sizes or {})
        for share, pairs in phases:
            loss = _loss(single, pairs, sigma_range)
            trainer = Trainer(network, loss, learning.budget(share), LEARNING_RATE, seed=seed + DRAWS, optimizers=_muon)
            training[name] = _train(trainer, partial(watch, name), training.get(name, {}))
            network = trainer.ema
        averaged = trainer.ema.eval().requires_grad_(False)
        assert isinstance(averaged, MLP)
        networks[name] = averaged
        if name in found:
            assert isinstance(averaged, GuidedMLP)
            found[name].settle(averaged, seeded(seed, DRAWS))
    return Learned(networks, sigma_range, sigma_phi, training, found)


def _train(trainer: Trainer, watch: Callable[[Record], None], before: Mapping[str, float]) -> dict[str, float]:
    """Train, and return steps and seconds together with those before, and the running mean of the loss."""
    recent = math.nan
    with _few_threads():
        for record in trainer.run():
            recent = record.loss if math.isnan(recent) else 0.99 * recent + 0.01 * record.loss
            watch(record._replace(loss=recent))
    steps, seconds = float(trainer.step) + before.get("steps", 0), trainer.seconds + before.get("seconds", 0)
    return {"steps": steps, "seconds": seconds, "loss": recent}


def _muon(network: nn.Module, learning_rate: float) -> list[Optimizer]:
    """Muon of the hidden layers: after 4,000 steps at the floor, where Adam is not after 25,000."""
    assert isinstance(network, MLP)
    hidden = [layer.weight for layer in network.hidden if isinstance(layer, nn.Linear)]
    return muon_of(hidden, network, learning_rate)


@contextmanager
def _few_threads() -> Iterator[None]:
    """Compute on two cores at most: with so small tensors more threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(min(2, threads))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _build(name: str, mixture: GaussianMixture, blind: bool, seed: int, own: Mapping[str, Any]) -> MLP:
    """Build a network; all have biases.

    Without biases s(x, φ) is homogeneous in x and φ together, so that the only unit of length it knows is φ(x') itself:
    it pulls x towards x' instead of towards the mean of the class, and samples come out 1.4 times too wide.
    """
    sizes: dict[str, Any] = {"bias": True, "sigma_input": not blind} | dict(own)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seeded(seed, INIT).initial_seed()))
        if name in ("guided", *OWN):
            return GuidedMLP(mixture.d, **sizes)
        return LabelMLP(mixture.d, mixture.K, **sizes) if name == "label" else MLP(mixture.d, **sizes)


def _given(name: str, mixture: GaussianMixture, sigma_phi: float, primes: int) -> Pairs:
    """Return what draws samples of classes that are known, and the condition that is the network's."""

    def pairs(network: nn.Module, generator: Generator) -> tuple[Tensor, Tensor | None]:
        y = mixture.draw_labels(PAIRS, generator)
        x = mixture.sample(PAIRS, y, generator=generator)
        if name == "mixture":
            return x, None
        if name == "label":
            return x, mixture.one_hot(y)
        assert isinstance(network, GuidedMLP)
        x_prime = mixture.sample(primes * PAIRS, y.repeat_interleave(primes), generator=generator)
        return x, _mean_features(network, x_prime, sigma_phi)

    return pairs


def _own(labels: SelfLabels, sigma_phi: float, primes: int) -> Pairs:
    """Return what draws pairs of one cluster each."""

    def pairs(network: nn.Module, generator: Generator) -> tuple[Tensor, Tensor | None]:
        assert isinstance(network, GuidedMLP)
        x, x_prime = labels.pairs(PAIRS, primes, network, generator)
        return x, _mean_features(network, x_prime, sigma_phi)

    return pairs


def _mean_features(network: GuidedMLP, x_prime: Tensor, sigma_phi: float) -> Tensor:
    """Return the mean φ of the x' of each pair, which stand in a row."""
    return network.features(x_prime, torch.tensor(sigma_phi)).reshape(PAIRS, len(x_prime) // PAIRS, -1).mean(1)


def _loss(mixture: GaussianMixture, pairs: Pairs, sigma_range: tuple[float, float]) -> Loss:
    noise_levels = log_uniform(*sigma_range)
    weight = inverse_variance(0.5 * min(class_axis(mixture, y).width for y in range(mixture.K)))

    def loss(network: nn.Module, generator: Generator) -> Tensor:
        x, phi = pairs(network, generator)
        return denoising_loss(network, x, phi, noise_levels, weight, P_DROP, antithetic=True, generator=generator)

    return loss
