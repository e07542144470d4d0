"""The networks of stage 2 in a file, with the mixture that they were trained on."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from fgs.networks.mlp import MLP
from fgs.training.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from toy.config import ToyConfig
from toy.learned.scores import Learned

MIXTURE = ("components", "dim", "separation", "std", "weights", "means", "covariance")


class Saved(NamedTuple):
    """Networks, and the settings of `ToyConfig` that describe their mixture."""

    learned: Learned
    mixture: dict[str, Any]


def mixture_settings(config: ToyConfig) -> dict[str, Any]:
    """Return the settings that the mixture depends on; the seed is one of them where it draws the means."""
    names = (*MIXTURE, "seed") if config.means == "random" else MIXTURE
    return {name: value for name, value in asdict(config).items() if name in names}


def save_learned(path: Path, learned: Learned, config: ToyConfig) -> None:
    """Write the networks that were trained under `config`, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    about = {
        "kind": "toy",
        "mixture": mixture_settings(config),
        "sigma_range": list(learned.sigma_range),
        "sigma_phi": learned.sigma_phi,
        "training": learned.training,
    }
    save_checkpoint(path, learned.networks, about)


def load_learned(path: Path) -> Saved:
    """Read what `save_learned` wrote.

    Raises:
        CheckpointError: the file is missing, or holds no networks of a toy mixture.
    """
    networks, about = load_checkpoint(path)
    try:
        if about["kind"] != "toy" or not set(networks) <= {"guided", "label", "mixture"}:
            raise ValueError(f"kind {about['kind']!r}")
        mixture = dict(about["mixture"])
        if mixture["weights"] is not None:
            mixture["weights"] = tuple(mixture["weights"])
        config = ToyConfig(**mixture)
        fitting = {name: n for name, n in networks.items() if isinstance(n, MLP) and n.settings["d"] == config.dim}
        if mixture != mixture_settings(config) or len(fitting) < len(networks):
            raise ValueError("the networks do not fit the mixture")
        low, high = (float(sigma) for sigma in about["sigma_range"])
        learned = Learned(fitting, (low, high), float(about["sigma_phi"]), dict(about["training"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: no networks of a toy mixture ({error})") from None
    return Saved(learned, mixture)
