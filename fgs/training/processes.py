"""Several processes as one, where `torchrun` has started them: they share the batches, and the first one writes.

Every process draws the whole batch from the same seed and computes its share of it, so that together they take the step
that one would take alone.
"""

import gc
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous
from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that `torchrun` has started, each with the GPU of its number; without it, do nothing."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    # the first step of an optimiser imports it, and what is imported while there is a group keeps the group for good
    import torch._dynamo

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store, rank, size = next(rendezvous("env://"))
    # the store outlives a failure, and holds the addresses of processes that have died
    store = PrefixStore(f"attempt {restarts()}", store)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        # a group that something keeps has threads that now and then abort a process that exits
        gc.collect()
        distributed.destroy_process_group()


def joined() -> bool:
    """Return whether this is one process of several."""
    return distributed.is_available() and distributed.is_initialized()


def processes() -> int:
    """Return how many processes share the work."""
    return distributed.get_world_size() if joined() else 1


def is_first() -> bool:
    """Return whether this process is the one that writes."""
    return not joined() or distributed.get_rank() == 0


def restarts() -> int:
    """Return how often `torchrun` has started the processes again after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def share(n: int) -> slice:
    """Return which of the n rows of every batch are this process's; n is a multiple of their number."""
    rank, size = (distributed.get_rank(), n // processes()) if joined() else (0, n)
    return slice(rank * size, (rank + 1) * size)


def averaging_gradients(module: Module) -> Module:
    """Return the module, its gradients averaged over the processes on the way back."""
    return DistributedDataParallel(module) if joined() else module


def average(values: list[float]) -> list[float]:
    """Return the averages of numbers over the processes: the same for all, so that they decide alike."""
    if not joined():
        return values
    tensor = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(tensor)
    return [value / processes() for value in tensor.tolist()]
