"""Scalars of a training for TensorBoard, if that package is there: it is no part of what the library needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fgs.training.trainer import Record

EVERY = 20  # steps
Write = Callable[[Record, Sequence[Mapping[str, Any]]], None]
"""(the last step, the checks so far): is told of every step."""


def require_tensorboard() -> None:
    """Raise a ValueError if the package is not there."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise ValueError("tensorboard: needs a package; pip install 'fgs[tensorboard]' brings it") from None


@contextmanager
def scalars(folder: Path | None, checks: int = 0) -> Iterator[Write]:
    """Write loss, gradient and learning rate by step, and PSNR of later checks, into a folder; None writes nothing."""
    if folder is None:
        yield lambda record, checks: None
        return
    from torch.utils.tensorboard import SummaryWriter

    written = checks if folder.exists() else 0  # those so far are there already, of a run that goes on
    with SummaryWriter(str(folder)) as board:

        def write(record: Record, checks: Sequence[Mapping[str, Any]]) -> None:
            nonlocal written
            if record.step % EVERY == 0:
                for name in ("loss", "gradient", "learning_rate"):
                    board.add_scalar(name, getattr(record, name), record.step)
            for line in checks[written:]:
                board.add_scalar("held out PSNR", line["psnr"], line["step"])
            written = len(checks)

        yield write
