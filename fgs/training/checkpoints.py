"""Networks in files: weights and what it takes to rebuild them, nothing that could run code.

A checkpoint holds named networks and plain data about them. What is read is checked before it is used: a file that was
tampered with, or is no checkpoint, is refused with one line.
"""

import io
import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fgs.common.files import atomic
from fgs.networks.mlp import MLP, GuidedMLP, LabelMLP
from fgs.networks.unet import GuidedUNet, LabelUNet, UNet

FORMAT = 1

Network = MLP | UNet

_KINDS: tuple[type[Network], ...] = (MLP, GuidedMLP, LabelMLP, UNet, GuidedUNet, LabelUNet)
KINDS = {kind.__name__: kind for kind in _KINDS}

STORED = (torch.float32, torch.float16)  # the latter for a file of half the size


class CheckpointError(ValueError):
    """The file is missing, damaged, tampered with, or no checkpoint; the message names it."""


class Checkpoint(NamedTuple):
    """Networks by name, in evaluation mode on the CPU, and what was stored beside them."""

    networks: dict[str, Network]
    about: dict[str, Any]


def save_checkpoint(path: Path, networks: Mapping[str, Network], about: Mapping[str, Any]) -> None:
    """Write networks and plain data (numbers, strings, lists, dicts, None) about them.

    Raises:
        ValueError: a network is none of `KINDS`, or has weights that are not finite numbers in float32 or float16.
        OSError, TypeError: as in `save_data`.
    """
    stored: dict[str, dict[str, Any]] = {}
    for name, network in networks.items():
        weights = {key: value.cpu() for key, value in network.state_dict().items()}
        stored[name] = {"kind": type(network).__name__, "settings": network.settings, "weights": weights}
        _rebuild(**stored[name])  # what could not be read again is not written
    save_data(path, {"format": FORMAT, "about": dict(about), "networks": stored})


def save_data(path: Path, contents: Mapping[str, Any]) -> None:
    """Write a dict of tensors and plain data for `read_data`, atomically.

    It is put together in memory: of a disk that is full `torch.save` would say so in its own way.

    Raises:
        OSError: the file cannot be written; an earlier one is left as it was.
        TypeError: there is more in it than could be read again, as a number of numpy's.
    """
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    buffer.seek(0)
    try:
        torch.load(buffer, weights_only=True)
    except pickle.UnpicklingError:
        raise TypeError(f"{path}: plain data and tensors can be written, no numbers of numpy's or the like") from None
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_data(path: Path) -> dict[str, Any]:
    """Read a dict of tensors and plain data that `save_data` wrote, and nothing that could run code.

    Raises:
        CheckpointError: there is no such file, or it holds something else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles, which are refused anyway
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError, struct.error):
        raise CheckpointError(f"{path}: no checkpoint, damaged, or with more in it than data") from None
    if not isinstance(contents, dict):
        raise CheckpointError(f"{path}: its contents are not those of a checkpoint")
    return contents


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises:
        CheckpointError: there is no such file, or it does not hold what it should.
    """
    contents = read_data(path)
    try:
        if contents["format"] != FORMAT:
            raise CheckpointError(f"{path}: checkpoint format {contents['format']!r}, this version reads {FORMAT}")
        networks = {str(name): _rebuild(**stored) for name, stored in contents["networks"].items()}
        return Checkpoint(networks, dict(contents["about"]))
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: its contents are not those of a checkpoint ({reason})") from None


def _rebuild(kind: str, settings: dict[str, Any], weights: dict[str, Tensor]) -> Network:
    if kind not in KINDS:
        raise ValueError(f"unknown network {kind!r}")
    with torch.device("meta"):  # no memory is taken before the sizes have been compared with the tensors
        network = KINDS[kind](**settings)
    expected = {key: value.shape for key, value in network.state_dict().items()}
    if expected != {key: value.shape for key, value in weights.items()}:
        raise ValueError(f"the weights do not fit the settings of {kind}")
    if not all(value.dtype in STORED and bool(value.isfinite().all()) for value in weights.values()):
        raise ValueError(f"the weights of {kind} are not finite numbers in float32 or float16")
    network.load_state_dict({key: value.float() for key, value in weights.items()}, assign=True)
    return network.eval()
