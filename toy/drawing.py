"""Samples of one class by several methods that go step by step together, so that what they share is drawn once."""

from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
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

    def follow(method: Method) -> Iterator[Outcome | None]:
        parts = []
        try:
            for part, first in enumerate(range(0, n, ROWS)):
                generator = seeded(seed, SAMPLES, part)
                x = draw_toy_start(y, mixture, min(ROWS, n - first), sampler, generator)
                steps = torch.zeros(len(x), dtype=torch.long)
                for step in sampler.iterate(method.score, x, method.phi, generator):
                    x, steps = step.x, steps + step.moved
                    advance(f"β = {sampler.beta:g}", 1)
                    yield None
                parts.append(Drawn(x, steps))
            yield Drawn(*map(torch.cat, zip(*parts, strict=True)))
        except NotConvergingError as error:
            yield error

    drawn: dict[str, Outcome] = {}
    for outcomes in zip_longest(*map(follow, methods.values())):
        drawn |= {name: outcome for name, outcome in zip(methods, outcomes, strict=True) if outcome}
    return {name: drawn[name] for name in methods}


def draw_toy_start(y: int, mixture: GaussianMixture, n: int, sampler: ToySampler, generator: Generator) -> Tensor:
    """Draw the start (n, d): N(m, σ_0² Id) as in the paper; for β = 1, which never forgets it, the exact p_{σ_0,y}."""
    if sampler.beta < 1:
        return draw_start((n, mixture.d), mixture.centre, sampler.sigma_0, generator=generator)
    return mixture.sample(n, y, sampler.sigma_0, generator)
