"""Samples of one class by several methods that go step by step together, so that what they share is drawn once."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from fgs.noise import seeded
from fgs.sampling import NotConvergingError, draw_start
from toy.methods import Method, ToySampler
from toy.mixture import GaussianMixture

ROWS = 2**14  # samples drawn together: bounds the memory, and row i is the same for every number of samples
SAMPLES = 2  # what the seed is used for

Advance = Callable[[str, int], None]
"""(what is sampled, steps done since the last call)."""


class Drawn(NamedTuple):
    """Samples (N, d), and how many updates moved each: (N,)."""

    x: Tensor
    steps: Tensor


Outcome = Drawn | NotConvergingError


def draw_together(
    methods: Mapping[str, Method],
    y: int,
    mixture: GaussianMixture,
    sampler: ToySampler,
    n: int,
    seed: int,
    advance: Advance = lambda label, steps: None,
) -> dict[str, Outcome]:
    """Sample class y by every method, from the same start and with the same noise.

    The mixture gives the start, and the dtype of the samples; `advance` is told of the steps done.
    """
    parts = []
    for part, first in enumerate(range(0, n, ROWS)):
        runs, size = {}, min(ROWS, n - first)
        for name, method in methods.items():
            generator = seeded(seed, SAMPLES, part)
            x = draw_toy_start(y, mixture, size, sampler, generator)
            runs[name] = sampler.iterate(method.score, x, method.phi, generator)
        drawn: dict[str, Outcome] = {}
        while runs:
            for name, run in list(runs.items()):
                try:
                    step = next(run)
                except StopIteration:
                    del runs[name]
                except NotConvergingError as error:
                    drawn[name] = error
                    del runs[name]
                else:
                    before = drawn.get(name)
                    taken = before.steps if isinstance(before, Drawn) else torch.zeros(size, dtype=torch.long)
                    drawn[name] = Drawn(step.x, taken + step.moved)
                    advance(f"β = {sampler.beta:g}", 1)
        parts.append(drawn)
    return {name: _joined([drawn[name] for drawn in parts]) for name in methods}


def _joined(parts: list[Outcome]) -> Outcome:
    for part in parts:
        if isinstance(part, NotConvergingError):
            return part
    return Drawn(
        *(torch.cat(column) for column in zip(*(part for part in parts if isinstance(part, Drawn)), strict=True))
    )


def draw_toy_start(y: int, mixture: GaussianMixture, n: int, sampler: ToySampler, generator: Generator) -> Tensor:
    """Draw the start (n, d): N(m, σ_0² Id) as in the paper; for β = 1, which never forgets it, the exact p_{σ_0,y}."""
    if sampler.beta < 1:
        return draw_start((n, mixture.d), mixture.centre, sampler.sigma_0, generator=generator)
    return mixture.sample(n, y, sampler.sigma_0, generator)
