"""A trained network of images as something to sample from: its classes, their centroids φ_y and means m_y."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgs.embedding import centroid
from fgs.images.conditions import Condition
from fgs.images.reading import UnusableError, read_image
from fgs.images.recipe import Recipe
from fgs.networks.unet import GuidedUNet, UNet
from fgs.training.checkpoints import CheckpointError, load_checkpoint

SHIPPED = "textures.pt"  # in the folder of this module
BATCH = 64  # images at a time


@dataclass(frozen=True)
class Model:
    """A network of images and what belongs to it.

    Attributes:
        network: in evaluation mode; a `ProjectedScore`.
        classes: K names.
        targets: (K, F) what each class is asked for by: centroids φ_y, or one-hot labels; None for a network of the
            mixture alone.
        means: (K, C, 1, 1) m_y, the mean of each class over pixels, around which sampling starts.
        recipe: how it was trained; where its images were is left out.
        hashes: of the pixels of each class.
    """

    network: UNet
    classes: tuple[str, ...]
    targets: Tensor | None
    means: Tensor
    recipe: Recipe
    hashes: dict[str, str]

    @property
    def patch(self) -> int:
        """Pixels a side of what it was trained on."""
        return self.recipe.patch

    @property
    def colors(self) -> int:
        """The number of channels C."""
        return self.means.shape[1]

    @property
    def mean(self) -> Tensor:
        """The mean m of the mixture of all classes in equal shares, (C, 1, 1)."""
        return self.means.mean(0)

    @property
    def unguided(self) -> Condition:
        """No condition: the mixture."""
        return Condition(None, self.mean[None])

    def condition(self, names: Sequence[str] | None = None) -> Condition:
        """Ask for classes, a row each; None is all that it knows, of a network of the mixture alone the mixture.

        Raises:
            ValueError: there is no such class.
        """
        if names is None:
            return self.unguided if self.targets is None else Condition(self.targets, self.means)
        phi = torch.stack([self.target(name) for name in names])
        return Condition(phi, self.means[[self.classes.index(name) for name in names]])

    def target(self, name: str) -> Tensor:
        """Return what class `name` is asked for by, (F,).

        Raises:
            ValueError: there is no such class; the message names near ones.
        """
        if name not in self.classes:
            near = get_close_matches(name, self.classes, 3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it knows {', '.join(self.classes)}"
            raise ValueError(f"class: the model knows no {name}; {hint}")
        if self.targets is None:
            raise ValueError("class: the model was trained without classes (guidance none)")
        return self.targets[self.classes.index(name)]

    def read(self, path: Path, smallest: int, downscale: int | None = None) -> Tensor:
        """Read an image as those that it was trained on were prepared, (C, H, W) in [0, 1].

        Args:
            path: of the image.
            smallest: pixels a side that it must have.
            downscale: average blocks of so many pixels a side; None is as in the training.

        Raises:
            UnusableError: it cannot be used; the message names it.
        """
        try:
            how = self.recipe.preparation
            image = read_image(path, how._replace(downscale=downscale or how.downscale))
            if min(image.shape[1:]) < smallest:
                size = f"{image.shape[2]} × {image.shape[1]}"
                raise UnusableError(f"{size} pixels are too few; needs {smallest} a side")
        except UnusableError as error:
            raise UnusableError(f"{path}: {error}") from None
        return image.float() / 255

    def tiles(self, path: Path, downscale: int | None = None) -> Tensor:
        """Return the patches side by side of one image, (N, C, patch, patch); arguments as in `read`.

        Raises:
            UnusableError: the image cannot be used; the message names it.
        """
        image = self.read(path, self.patch, downscale)
        return image.unfold(1, self.patch, self.patch).unfold(2, self.patch, self.patch).flatten(1, 2).transpose(0, 1)

    @torch.no_grad()
    def phi(self, x: Tensor) -> Tensor:
        """Return the centroid of φ over images that need not be of any class it knows, (F,).

        Args:
            x: (N, C, H, W) in [0, 1].

        Raises:
            ValueError: the network has no features.
        """
        if not isinstance(self.network, GuidedUNet):
            raise ValueError("RUN: needs a network guided by features; this one was trained otherwise")
        parts = [x[first : first + BATCH] for first in range(0, len(x), BATCH)]
        return torch.stack([centroid(self.network, part) * len(part) for part in parts]).sum(0) / len(x)

    def like(self, *shown: Tensor) -> Condition:
        """Ask for what sets of images show, a row for each set; arguments and errors are those of `phi`."""
        means = torch.stack([x.mean((0, 2, 3)) for x in shown])
        return Condition(torch.stack([self.phi(x) for x in shown]), means[..., None, None])


def load_model(path: Path | None = None) -> Model:
    """Load the model of a run's folder, or of a checkpoint in one; without a path, or by its name, the one that ships.

    Raises:
        CheckpointError: there is none, or it is damaged; the message names the file.
    """
    if path is None or (path == Path("shipped") and not path.exists()):
        path = Path(__file__).parent / SHIPPED
        if not path.exists():
            raise CheckpointError("no model ships with this version; name the folder of a run")
    elif path.is_dir():
        path = path / "network.pt"
    networks, about = load_checkpoint(path)
    return _model(path, list(networks.values()), about)


def load_companion(option: str, path: Path) -> Model:
    """Load a model that stands beside another.

    Raises:
        ValueError: there is none, or it is damaged; the message begins with the option that named it.
    """
    try:
        return load_model(path)
    except CheckpointError as error:
        raise ValueError(f"{option}: {error}") from None


def _model(path: Path, networks: list[Any], about: dict[str, Any]) -> Model:
    """Check what a checkpoint says of its network against the network."""
    if about.get("kind") != "images" or len(networks) != 1 or not isinstance(networks[0], UNet):
        raise CheckpointError(f"{path}: holds no network of images")
    network, targets, means = networks[0], about.get("targets"), about.get("means")
    classes = tuple(str(name) for name in about.get("classes", ()))
    try:
        if means is None:  # an older run, which knows m alone
            means = about["mean"].expand(len(classes), -1, -1, -1)
        if not isinstance(means, Tensor) or means.shape != (len(classes), network.settings["colors"], 1, 1):
            raise ValueError("means")
        if targets is not None and len(targets) != len(classes):
            raise ValueError("targets")
        side = 2 ** (network.settings["levels"] + 1)  # the least that leaves the middle block more than one position
        with torch.no_grad():
            network(means[[0, 0]].expand(-1, -1, side, side), None if targets is None else targets[[0, 0]])
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # two thirds of the time on a CPU
        return Model(network, classes, targets, means, Recipe.read(about["recipe"]), dict(about["hashes"]))
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError):
        raise CheckpointError(f"{path}: what it says of its network does not fit it") from None
