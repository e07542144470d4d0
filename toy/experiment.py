"""Sample one class of a mixture by every method, exact (stage 1) or learned (stage 2), and measure it by the floor."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fgs.noise import known_schedule, seeded
from toy.config import ToyConfig
from toy.drawing import ROWS, Advance, Drawn, Outcome, draw_together
from toy.geometry import LARGEST_SHORTFALL, residual_shortfall
from toy.judge import Judge, Row
from toy.learned.embedding import Embedding, measure_embedding
from toy.learned.scores import LEARNED_METHODS, Learned
from toy.methods import Method, ToySampler, build_method

CLASS_SAMPLES = 2000  # of each class, to show

TRUE = 1  # what the seed is used for


@dataclass(frozen=True)
class Block:
    """All methods at one β."""

    sampler: ToySampler  # its settings
    start: str  # what the start was drawn from
    samples: dict[str, Tensor]  # (N, d) by the name of the method; a method that did not converge is absent
    rows: dict[str, Row]  # the measures by the same names, "true" first


@dataclass(frozen=True)
class ToyResult:
    """What `run_toy` found: the first block at the β asked for, the second, if any, at β = 1.

    Beside networks stand the features of the guided one, measured, and its samples (n, d) of every class.
    """

    config: ToyConfig
    judge: Judge
    blocks: list[Block]
    learned: Learned | None = None
    embedding: Embedding | None = None
    classes: Sequence[Tensor] = ()

    def metrics(self) -> dict[str, Any]:
        """Everything measured, as plain numbers for JSON."""
        first = self.blocks[0]
        config = asdict(self.config) | {
            "weights": self.judge.mixture.weights.tolist(),
            "sigma_start": first.sampler.sigma_0,
            "sigma_end": first.sampler.sigma_inf,
            "sampler": "sisa" if self.config.by_sisa else self.config.sampler,
            "beta": first.sampler.beta,
            "lambda": self.judge.axis.width,
        }
        floor = {"kind": "mean distance of true to true samples", "n": self.config.samples, "w1": self.judge.floor}
        if self.judge.energy_floor is not None:
            floor |= {"energy_n": len(self.judge.smoothed[0]), "energy": self.judge.energy_floor}
        result: dict[str, Any] = {"config": config, "floor": floor}
        for key, block in zip(("methods", "methods_beta_1"), self.blocks, strict=False):
            rows = {name: asdict(row).items() for name, row in block.rows.items()}
            result[key] = {n: {k: v for k, v in row if k == "steps" or v is not None} for n, row in rows.items()}
        if self.learned:
            found = self.learned.found.items()
            agreement = {name: labels.metrics(self.judge.mixture, self.config.seed) for name, labels in found}
            result["training"] = {name: of | agreement.get(name, {}) for name, of in self.learned.training.items()}
        if self.embedding:
            result["embedding"] = self.embedding.metrics()
        return result


def run_toy(
    config: ToyConfig, advance: Advance = lambda label, steps: None, learned: Learned | None = None
) -> ToyResult:
    """Sample the target class by every method, at `config.beta` and then at β = 1, and measure the samples.

    Within a block every method starts from the same points and meets the same noise.

    Args:
        config: the settings.
        advance: told of the steps done, for a progress bar.
        learned: the networks, if `config.methods` has learned ones; see `toy.learned.training.learn`.
    """
    judge, sampler = prepare(config)
    blocks = [run_block(config, judge, each, advance, learned) for each in _with_and_without_noise(sampler)]
    if learned is None or "guided" not in learned.networks:
        return ToyResult(config, judge, blocks, learned)
    mixture, n, drawn = judge.mixture, min(config.samples, CLASS_SAMPLES), list[Outcome]()
    for y in range(mixture.K):
        method = {"learned": learned.method("learned", mixture, y, config.seed)}
        drawn += draw_together(method, y, mixture.to(torch.float32), sampler, n, config.seed, advance).values()
    seen = [found.x.to(mixture.means) for found in drawn if isinstance(found, Drawn)]
    classes = seen if len(seen) == mixture.K else []  # if one did not converge, as the row of the method says, none
    return ToyResult(config, judge, blocks, learned, measure_embedding(learned, mixture, config.seed), classes)


def prepare(config: ToyConfig) -> tuple[Judge, ToySampler]:
    """Build the mixture with its true samples, and the sampler."""
    mixture = config.build_mixture()
    sampler = config.build_sampler(mixture)
    shortfall = residual_shortfall(mixture)
    if sampler.noise_level is not known_schedule and config.dim > 2 and shortfall > LARGEST_SHORTFALL:
        warnings.warn(
            f"noise_level {config.noise_level}: at σ = λ the residual misses {shortfall:.0%} of the noise variance, "
            "since a class fills much of its space; use noise_level known",
            stacklevel=2,
        )
    true = seeded(config.seed, TRUE)
    return Judge.draw(mixture, config.target, config.samples, sampler.sigma_inf, true), sampler


def planned_steps(config: ToyConfig) -> int:
    """Count the steps that `run_toy` is going to report, for the known schedule."""
    sampler = config.build_sampler(config.build_mixture())
    blocks = sum(each.planned_steps() for each in _with_and_without_noise(sampler))
    classes = config.components * sampler.planned_steps() if "guided" in config.networks() else 0
    return blocks * len(config.methods) * math.ceil(config.samples / ROWS) + classes


def _with_and_without_noise(sampler: ToySampler) -> list[ToySampler]:
    return [sampler] if sampler.beta == 1 else [sampler, replace(sampler, beta=1.0)]


def run_block(
    config: ToyConfig,
    judge: Judge,
    sampler: ToySampler,
    advance: Advance = lambda label, steps: None,
    learned: Learned | None = None,
) -> Block:
    """Sample by every method with one sampler, and measure; arguments as in `run_toy` and from `prepare`."""
    start = "N(m, σ_0² Id)" if sampler.beta < 1 else "the exact p_{σ_0,y}"
    mixture = judge.mixture.to(torch.float32)  # it changes a sample by far less than its error, in half the time
    methods: dict[str, Method] = {}
    for name in config.methods:
        if name not in LEARNED_METHODS:
            methods[name] = build_method(name, mixture, config.target, sampler)
        elif learned is None:
            raise ValueError(f"method: {name} needs trained networks")
        else:
            methods[name] = learned.method(name, mixture, config.target, config.seed)
    drawn = draw_together(methods, config.target, mixture, sampler, config.samples, config.seed, advance)
    samples = {name: found.x.to(judge.true) for name, found in drawn.items() if isinstance(found, Drawn)}
    rows = {"true": judge.measure_true()}
    for name, found in drawn.items():
        label = methods[name].label
        if isinstance(found, Drawn):
            rows[name] = judge.measure(label, samples[name], float(found.steps.double().mean()))
        else:
            rows[name] = Row(label, error=str(found))
    return Block(sampler, start, samples, rows)
