"""Training: a loop that knows no method, an optimiser, several processes as one, networks in files."""

from fgs.training.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from fgs.training.trainer import Budget, NotFiniteError, Record, Trainer

__all__ = ["Budget", "CheckpointError", "NotFiniteError", "Record", "Trainer", "load_checkpoint", "save_checkpoint"]
