"""Several processes as one, where `torchrun` has started them: they share the batches, and the first one writes.

Every process draws the whole batch from the same seed and computes its share of it, so that together they take the step
that one would take alone.
"""

import gc
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed
from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel

_launch: dict[str, Any] = {}  # the store of all attempts of this launch, and which attempt this is, from 1


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that `torchrun` has started, each with the GPU of its number; without it, do nothing."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    # the first step of an optimiser imports it, and what is imported while there is a group keeps the group for good
    import torch._dynamo
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store, rank, size = next(rendezvous("env://"))
    # the store outlives a failure, and holds the addresses of processes that have died. A node whose processes did not
    # die counts no restart, and a process that died before it came here counts no start: one of the two has all
    restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    _launch.update(store=store, attempt=max(store.add(f"starts of {rank}", 1), restarts + 1))
    store = PrefixStore(f"attempt {_launch['attempt']}", store)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        _launch.clear()
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


def note_begun() -> None:
    """Tell attempts that may follow this one, if it fails, that what is in the folder of the results is their own."""
    if _launch and not begun():
        _launch["store"].set("begun", str(_launch["attempt"]))


def begun() -> bool:
    """Return whether an attempt before this one, which `torchrun` has started again after a failure, has begun."""
    store = _launch.get("store")
    return bool(store and store.check(["begun"]) and int(store.get("begun")) < _launch["attempt"])


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
