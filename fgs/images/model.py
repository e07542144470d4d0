"""A trained network of images as something to sample from: its classes, their centroids φ_y and means m_y."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgs.images.conditions import Condition
from fgs.images.held_out import class_features, class_means
from fgs.images.patches import Patches
from fgs.images.reading import UnusableError, read_image
from fgs.images.recipe import Recipe
from fgs.networks.unet import GuidedUNet, UNet
from fgs.training.checkpoints import CheckpointError, load_checkpoint

SHIPPED = "textures.pt"  # in the folder of this module
BATCH = 64  # images at a time
LARGEST = 2**21  # pixels of an image to be made: some gigabytes of activations
NAMED = 24  # classes that are named where one is not found


@dataclass(frozen=True)
class Model:
    """A network of images and what belongs to it."""

    network: UNet  # in evaluation mode; a `ProjectedScore`
    classes: tuple[str, ...]  # K names
    targets: Tensor | None  # (K, F) what each class is asked for by: φ_y, or one-hot labels; None for the mixture alone
    means: Tensor  # (K, C, 1, 1) m_y, the mean of each class over pixels, around which sampling starts
    covariance: Tensor | None  # (K, C, C) Σ_y of that mean, as `means_of` says
    spread: Tensor | None  # (K,) how much φ varies within each class, as `class_features` says
    recipe: Recipe  # how it was trained; where its images were is left out
    hashes: dict[str, str]  # of the pixels of each class that was trained on

    @property
    def patch(self) -> int:
        """Pixels a side of what it was trained on."""
        return self.recipe.patch

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Those of its classes whose images it was trained on: others it knows by φ alone."""
        return tuple(name for name in self.classes if name in self.hashes)

    @property
    def mean(self) -> Tensor:
        """The mean m of the mixture of all classes in equal shares, (C, 1, 1)."""
        return self.means.mean(0)

    @property
    def unguided(self) -> Condition:
        """No condition: the mixture."""
        return Condition(None, self.mean[None])

    def only(self, names: Sequence[str], option: str = "class") -> "Model":
        """Return the model as one that knows some of its classes, which an option named.

        Raises:
            ValueError: there is no such class; the message names near ones.
        """
        rows = [self._place(name, option) for name in names]
        hashes = {name: self.hashes[name] for name in names if name in self.hashes}
        parts = {name: getattr(self, name) for name in ("targets", "means", "covariance", "spread")}
        chosen: dict[str, Any] = {name: None if part is None else part[rows] for name, part in parts.items()}
        return replace(self, classes=tuple(names), hashes=hashes, **chosen)

    def showing(self, patches: Patches) -> "Model":
        """Return the model as one whose classes are those of patches, by φ and mean of their training parts.

        Raises:
            ValueError: the network has no features.
        """
        if not isinstance(self.network, GuidedUNet):
            raise ValueError("unseen: is for runs of --guidance features")
        phi, spread = class_features(self.network, patches)
        means, covariance = class_means(patches)
        own: dict[str, Any] = {"targets": phi, "means": means, "covariance": covariance, "spread": spread}
        return replace(self, classes=patches.classes, hashes={}, **own)

    def condition(self, names: Sequence[str] | None = None, option: str = "class") -> Condition:
        """Ask for classes, a row each; None is all that it knows, of a network of the mixture alone the mixture.

        Raises:
            ValueError: there is no such class; the message begins with the option that named it.
        """
        model = self if names is None else self.only(names, option)
        if model.targets is not None:
            return Condition(model.targets, model.means, model.covariance)
        if names is not None:
            raise ValueError(f"{option}: the model was trained without classes (guidance none)")
        return self.unguided

    def _place(self, name: str, option: str) -> int:
        """Return which of the classes is named so."""
        if name not in self.classes:
            near = get_close_matches(name, self.classes, 3)
            known = f"it knows {', '.join(self.classes)}" if len(self.classes) <= NAMED else "see fgs sample RUN --list"
            hint = f"did you mean {' or '.join(near)}?" if near else known
            raise ValueError(f"{option}: the model knows no {name}; {hint}")
        return self.classes.index(name)

    def read(self, path: Path, smallest: int, downscale: int | None = None) -> Tensor:
        """Read an image of `smallest` pixels a side or more, (C, H, W) in [0, 1], prepared as those trained on were.

        But for `downscale`, if given: average blocks of so many pixels a side.

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
        """Return the patches side by side of one image, (N, C, patch, patch); arguments and errors as in `read`."""
        image = self.read(path, self.patch, downscale)
        return image.unfold(1, self.patch, self.patch).unfold(2, self.patch, self.patch).flatten(1, 2).transpose(0, 1)

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Return φ of images, (N, C, H, W) in [0, 1], that need not be of any class it knows, (N, F).

        Raises:
            UnusableError: the network has no features.
        """
        if not isinstance(self.network, GuidedUNet):
            raise UnusableError("the model has no features φ of pictures: it was not trained by --guidance features")
        parts = (x[first : first + BATCH] for first in range(0, len(x), BATCH))
        return torch.cat([self.network.features(part) for part in parts])


def load_model(path: Path | str | None = None, option: str | None = None) -> Model:
    """Load the model of a run's folder, or of a checkpoint in one; without a path, or by its name, the one that ships.

    Raises:
        CheckpointError: there is none, or it is damaged; the message names the file.
        ValueError: the same, where an option named it, with which the message begins.
    """
    path = None if path is None else Path(path)
    try:
        if path is None or (path == Path("shipped") and not path.exists()):
            path = Path(__file__).parent / SHIPPED
            if not path.exists():
                raise CheckpointError("no model ships with this version; name the folder of a run")
        elif path.is_dir():
            path = path / "network.pt"
        networks, about = load_checkpoint(path)
        return _model(path, list(networks.values()), about)
    except CheckpointError as error:
        if option is None:
            raise
        raise ValueError(f"{option}: {error}") from None


def _model(path: Path, networks: list[Any], about: dict[str, Any]) -> Model:
    """Check what a checkpoint says of its network against the network."""
    if about.get("kind") != "images" or len(networks) != 1 or not isinstance(networks[0], UNet):
        raise CheckpointError(f"{path}: holds no network of images")
    network, targets, means = networks[0], about.get("targets"), about.get("means")
    covariance, spread = about.get("covariance"), about.get("spread")
    classes = tuple(str(name) for name in about.get("classes", ()))
    try:
        if not isinstance(means, Tensor) or means.shape != (len(classes), network.settings["colors"], 1, 1):
            raise ValueError("means")
        for name, part in {"targets": targets, "covariance": covariance, "spread": spread}.items():
            if part is not None and len(part) != len(classes):
                raise ValueError(name)
        means = means.float()
        targets, covariance, spread = (None if p is None else p.float() for p in (targets, covariance, spread))
        side = 2 ** (network.settings["levels"] + 1)  # the least that leaves the middle block more than one position
        with torch.no_grad():
            network(means[[0, 0]].expand(-1, -1, side, side), None if targets is None else targets[[0, 0]])
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # two thirds of the time on a CPU
        about = {"recipe": Recipe.read(about["recipe"]), "hashes": dict(about["hashes"])}
        return Model(network, classes, targets, means, covariance, spread, **about)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError):
        raise CheckpointError(f"{path}: what it says of its network does not fit it") from None
