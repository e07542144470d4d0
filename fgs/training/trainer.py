"""A training loop that knows nothing of the method: it is handed a loss and yields what happened.

It reads and writes no files; `state_dict` holds everything that an exact continuation needs.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Generator, Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fgs.noise import seeded
from fgs.training.processes import average, averaging_gradients

Loss = Callable[[nn.Module, Generator], Tensor]
"""(network, generator) -> (): draws a batch and returns its loss."""

Optimizers = Callable[[nn.Module, float], list[Optimizer]]
"""(network, learning rate) -> the optimisers that share its weights among them."""


class NotFiniteError(RuntimeError):
    """The loss or its gradient is not finite; the weights are those before that step."""


class Spent(NamedTuple):
    """How far a training is: steps taken, and seconds."""

    steps: int
    seconds: float


NOTHING = Spent(0, 0.0)


@dataclass(frozen=True)
class Budget:
    """How long to train: until so many steps are taken, or so many seconds spent, not both.

    `start` is what had been spent when this leg of the training began, over which the learning rate rises and falls.

    Raises:
        ValueError: neither or both are given, or one is not positive, or spent before.
    """

    steps: int | None = None  # in all
    seconds: float | None = None  # in all
    start: Spent = NOTHING

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise ValueError("budget: give either steps or seconds")
        amount = self.seconds if self.steps is None else self.steps
        if not (amount is not None and self._start < amount < math.inf):
            what = f"more than the {self._start:g} spent" if self._start else "positive"
            raise ValueError(f"budget: must be {what} and finite, got {amount}")

    @property
    def _start(self) -> float:
        return self.start.steps if self.steps else self.start.seconds

    def progress(self, step: int, seconds: float) -> float:
        """Return the share of this leg that is spent, 1 and more when it is over."""
        spent = step if self.steps else seconds
        return (spent - self._start) / ((self.steps or self.seconds or math.inf) - self._start)


class Record(NamedTuple):
    """One step of training."""

    step: int  # number of steps taken, from 1
    loss: float  # of this step's batch, before the step
    gradient: float  # norm of the gradient before clipping
    learning_rate: float  # of this step
    seconds: float  # spent in training so far, continuations included
    progress: float  # share of the budget spent, of its present leg


Watch = Callable[[str, Record], None]
"""(name of the network, its last step): is told of every step."""


def adam(network: nn.Module, learning_rate: float) -> list[Optimizer]:
    """Return Adam of all weights that are trained, the paper's."""
    return [Adam([p for p in network.parameters() if p.requires_grad], learning_rate, foreach=True)]


Tensors = tuple[Tensor, ...] | list[Tensor]
Move = Callable[[Tensors, Tensors, Tensor | int], None]
"""(averaged, current, n): moves the averaged weights towards the current ones, for the n-th time."""


def _moving_average(decay: float) -> Move:
    """Average with a memory that is short at first: the initial weights, which are random, are soon forgotten."""

    def move(averaged: Tensors, current: Tensors, n: Tensor | int) -> None:
        memory = min(decay, (1 + float(n)) / (10 + float(n)))
        get_ema_multi_avg_fn(memory)(averaged, current, n)  # type: ignore[no-untyped-call]

    return move


class _Objective(nn.Module):
    """The loss as the forward pass of one module, which is what can be spread over processes."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, generator: Generator) -> Tensor:
        return self.loss(self.network, generator)


class Trainer:
    """Steps with warm-up, cosine decay and clipping, and an exponential moving average (EMA) of the weights.

    Args:
        network: trained in place.
        loss: draws a batch and returns its loss.
        budget: steps or seconds; the learning rate falls to 0 over it.
        learning_rate: the highest.
        warm_up: share of the budget over which the learning rate rises to it.
        clip: largest norm of the gradient.
        ema_decay: weight of the past in a step of the average, once n steps are more than 10/(1 − decay).
        seed: of everything that `loss` draws from its generator.
        optimizers: take the steps.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        budget: Budget,
        learning_rate: float = 1e-3,
        warm_up: float = 0.02,
        clip: float = 1.0,
        ema_decay: float = 0.999,
        seed: int = 0,
        optimizers: Optimizers = adam,
    ) -> None:
        self.network, self.budget = network, budget
        self.learning_rate, self.warm_up, self.clip = learning_rate, warm_up, clip
        self.generator = seeded(seed)
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizers = optimizers(network, learning_rate)
        self._average = AveragedModel(network, multi_avg_fn=_moving_average(ema_decay))
        self.objective = averaging_gradients(_Objective(network, loss))  # draws a batch and returns its loss
        self.step, self.seconds = 0, 0.0  # taken and spent so far

    @property
    def ema(self) -> nn.Module:
        """The averaged network: the one to sample with, after `eval()` where it has dropout or the like."""
        averaged: nn.Module = self._average.module
        return averaged

    def start_at(self, weights: Mapping[str, Tensor]) -> None:
        """Begin at these weights, as the averaged ones too."""
        self.network.load_state_dict(weights)
        self.ema.load_state_dict(weights)

    def run(self) -> Iterator[Record]:
        """Take steps until the budget is spent, from where it stands, and yield each.

        Raises:
            NotFiniteError: a loss or gradient is not finite; the step is not taken.
        """
        self.network.train()
        begin = time.perf_counter() - self.seconds
        while (progress := self.budget.progress(self.step, self.seconds)) < 1:
            learning_rate = self.learning_rate * self._schedule(progress)
            loss, gradient = self._take_step(learning_rate)
            self.step += 1
            [self.seconds] = average([time.perf_counter() - begin])
            spent = self.budget.progress(self.step, self.seconds)
            yield Record(self.step, loss, gradient, learning_rate, self.seconds, spent)

    def _take_step(self, learning_rate: float) -> tuple[float, float]:
        mean = self.objective(self.generator)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        mean.backward()
        [loss] = average([mean.item()])
        gradient = float(nn.utils.clip_grad_norm_(self.parameters, self.clip))
        if not math.isfinite(gradient + loss):
            raise NotFiniteError(
                f"step {self.step + 1}: the loss is {loss:g} and its gradient {gradient:g}; "
                "the weights before this step are kept; use a smaller learning rate, or look for odd data"
            )
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()
        self._average.update_parameters(self.network)
        return loss, gradient

    def _schedule(self, progress: float) -> float:
        rise = min(1.0, (progress + 1e-3) / self.warm_up) if self.warm_up else 1.0
        return rise * 0.5 * (1 + math.cos(math.pi * progress))

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes in training: a trainer that loads it goes on to the same weights, to the bit."""
        state: dict[str, Any] = {"network": self.network.state_dict(), "average": self._average.state_dict()}
        state |= {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}
        return state | {"generator": self.generator.get_state(), "step": self.step, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where `state_dict` was taken, with the same network, loss and settings."""
        self.network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.generator.set_state(state["generator"])
        self.step, self.seconds = state["step"], state["seconds"]
