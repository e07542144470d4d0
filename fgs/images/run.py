"""Training on images as a run: a folder that says what was asked for, grows while training, and can be taken up again.

config.json    the recipe, the legs of the training, the versions, and the classes with hashes of their pixels
last.pt        everything that an exact continuation needs
network.pt     the averaged weights, as `load_checkpoint` reads them
best.pt        those of the check at which held-out patches were denoised best
metrics.jsonl  a line for each check: step, loss, PSNR of held-out patches conditioned right, wrong and not at all
denoised.png   some of those patches
"""

import math
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgs.common.files import output_folder, require_free, write_text
from fgs.common.text import json_text
from fgs.figures.images import image_grid
from fgs.images.config import CONFIG, Config, ContradictionError, Leg, read_config
from fgs.images.heap import Heap
from fgs.images.held_out import class_features, class_means, denoise, denoise_held_out
from fgs.images.model import load_model
from fgs.images.patches import Patches
from fgs.images.recipe import OPTIMIZERS, Recipe
from fgs.images.sources import check_hashes, chosen_classes, read_patches, stream_of, unseen_patches
from fgs.networks.unet import GuidedUNet, LabelUNet, UNet
from fgs.noise import seeded
from fgs.training.checkpoints import CheckpointError, read_data, save_checkpoint, save_data
from fgs.training.devices import check_device
from fgs.training.processes import begun, is_first, note_begun
from fgs.training.trainer import Record, Spent, Trainer

SOMEWHERE = "images"  # for the folder of the images
PLACES = ("data", "unseen")  # settings that say where images lie, which may have moved when a run is taken up
SIGMAS = [1.0, 0.5, 0.2, 0.1, 0.05]  # noise levels of a check
DRAWS, SORTED = 3, 5  # what the seed is used for, beside those of `fgs.images.recipe`
CHECKS = 20  # in a run
PAUSE = 300.0  # seconds after which the state is saved, whether or not a check is due
MOST = 24  # classes that a check measures
ENOUGH = 16  # patches of a class that make up its φ, at the least, when the training is over
SHOWN = 8  # classes in the picture


class Run:
    """A training and its folder; make it with `start` or `resume`."""

    def __init__(self, folder: Path, recipe: Recipe, legs: list[Leg] | None = None) -> None:
        self.folder = folder
        self.legs = legs or [Leg(recipe.steps, recipe.minutes)]  # the last one is under way, or over
        self.patches, self.hashes, self.skipped = read_patches(recipe)
        self.recipe = recipe = replace(recipe, classes=chosen_classes(recipe, self.patches))
        self.unseen: Patches | None = None  # of classes that are measured and never trained on
        if recipe.unseen:
            self.unseen, skipped = unseen_patches(recipe, Path(recipe.unseen), self.patches.classes)
            self.skipped += skipped
        network = recipe.build_network(len(self.patches.classes))
        network.to(recipe.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        seed = int(seeded(recipe.seed, DRAWS, *[1] * bool(recipe.from_)).initial_seed())  # other batches than theirs
        self.heap: Heap | None = None
        if recipe.clusters:
            assert isinstance(network, GuidedUNet)
            self.heap = Heap(self.patches, recipe.clusters, network, seeded(recipe.seed, SORTED))
        loss = recipe.build_loss(self.heap or stream_of(recipe, self.patches), len(self.patches.classes))
        budget = recipe.budget(Spent(self.legs[-1].from_step, self.legs[-1].from_seconds))
        optimizers = OPTIMIZERS[recipe.optimizer]
        self.trainer = Trainer(network, loss, budget, recipe.learning_rate, seed=seed, optimizers=optimizers)
        if self.heap:
            assert isinstance(self.network, GuidedUNet)
            self.heap.extractor = self.network
        if recipe.compile_:  # after the trainer has copied the network, whose average is only measured now and then
            network.compile()
            if isinstance(network, GuidedUNet):
                network.features = torch.compile(network.features)  # type: ignore[method-assign]
        self.metrics: list[dict[str, Any]] = []  # the checks made so far
        self.loss: float | None = None  # averaged over some 50 steps

    @property
    def classes(self) -> Patches:
        """Patches of the classes that the network is asked for: those of the data, or what it has found in the heap."""
        return self.heap.found if self.heap else self.patches

    @classmethod
    def start(cls, folder: Path, recipe: Recipe) -> "Run":
        """Begin a run in a new folder, which from then on can be resumed.

        Raises:
            ValueError: there is too little to train on, or the device is not here.
            OSError: the folder is another's or cannot be written, or the data not read.
        """
        recipe = recipe.on_this_machine()
        if not is_first():
            return cls(folder, recipe).at_given_weights()
        again = begun()  # what the attempt before has left is written over
        if not again:
            require_free(folder)  # before much is read
        run = cls(folder, recipe).at_given_weights()
        with nullcontext() if again else output_folder(folder):
            folder.mkdir(parents=True, exist_ok=True)
            note_begun()
            versions = {name: version(name) for name in ("fgs", "torch", "numpy")}
            versions["python"] = platform.python_version()
            try:
                run.save()
                Config(run.recipe, run.hashes, run.legs, versions).write(folder)  # last: with it a run can be resumed
            except BaseException:
                for name in (CONFIG, "last.pt", "network.pt"):
                    (folder / name).unlink(missing_ok=True)
                raise
        return run

    @classmethod
    def resume(cls, folder: Path, asked: Mapping[str, Any]) -> "Run":
        """Take up a run where its state was last saved; with more steps or minutes than it had, for another leg.

        What else is `asked` for of the recipe must be as it was, but for where pictures lie; unseen ones may change.

        Raises:
            ContradictionError: other settings are asked for, less than was spent, or the images have changed.
            ValueError: its device is not here.
            CheckpointError: there is no run to resume, or its files are damaged.
        """
        config = read_config(folder)
        check_device(config.recipe.device, "go on where the run was started")
        for name, value in asked.items():
            stored = getattr(config.recipe, name)
            free = name in ("steps", "minutes") or (name in PLACES and stored)
            if not free and value not in (stored, "auto"):
                raise ContradictionError(f"{name}: the run was started with {stored}; leave this option out")
        state = read_data(folder / "last.pt")
        longer = config.lengthened(asked, state)
        moved = {name: asked[name] for name in PLACES if name in asked}
        longer = longer._replace(recipe=replace(longer.recipe, **moved))
        run = cls(folder, longer.recipe, longer.legs)
        check_hashes(config.hashes, run.hashes)
        if list(config.hashes) != list(run.hashes):  # a label is a place among them
            raise ContradictionError("data: its classes come in another order; give the folders in that of before")
        run._load(state)
        if longer != config and is_first():
            longer.write(folder)
        return run

    def at_given_weights(self) -> "Run":
        """Start at the weights of another run, if the recipe names one; a ValueError if its labels mean others."""
        if self.recipe.from_:
            model = load_model(Path(self.recipe.from_), "from")
            if self.recipe.guidance == "label" and model.classes != self.patches.classes:
                raise ValueError("from: its labels name other classes; start at a run of --guidance features")
            self.trainer.start_at(model.network.state_dict())
            self._sort()
        return self

    def _load(self, state: dict[str, Any]) -> None:
        try:
            self.trainer.load_state_dict(state["trainer"])
            self.metrics, self.loss = [dict(line) for line in state["metrics"]], state["loss"]
            self._sort()
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{self.folder / 'last.pt'}: not the state of this run ({reason})") from None

    def train(self) -> Iterator[Record]:
        """Train until the budget is spent, with checks on the way; stop at any record, `save`, and go on another day.

        Yields:
            Records with the averaged loss.

        Raises:
            NotFiniteError: a loss is not finite; the state that was last saved is kept.
            OSError: a file cannot be written; those before are kept.
        """
        saved = self.trainer.seconds
        of_a_leg = CHECKS if len(self.patches.classes) <= 4 * MOST else CHECKS // 4  # φ of many classes takes long
        checked = self.trainer.budget.progress(self.trainer.step, saved)  # at the end of a check, which takes long
        for record in self.trainer.run():
            self.loss = record.loss if self.loss is None else 0.98 * self.loss + 0.02 * record.loss
            if record.progress >= min(1.0, (math.floor(of_a_leg * checked + 1e-9) + 1) / of_a_leg):
                begin = time.perf_counter()
                self._check(record.step, record.seconds)
                saved = record.seconds + time.perf_counter() - begin
                checked = self.trainer.budget.progress(record.step, saved)
            elif record.seconds - saved > PAUSE:
                self._save_state()
                saved = record.seconds
            yield record._replace(loss=self.loss)

    def save(self) -> None:
        """Write the state that `resume` reads, and the averaged network; of several processes the first one does.

        Raises:
            OSError: a file cannot be written; the one before is kept.
        """
        if is_first():
            self._save_state()
            self._save_network("network.pt", *self._asked_for())

    def _save_state(self) -> None:
        if is_first():
            state = {"trainer": self.trainer.state_dict(), "metrics": self.metrics, "loss": self.loss}
            save_data(self.folder / "last.pt", state)

    def _save_network(self, name: str, targets: Tensor | None, spread: Tensor | None) -> None:
        means, covariance = class_means(self.classes) if self.heap else self._means
        hidden: dict[str, Any] = {"data": (SOMEWHERE,) if self.recipe.data else (), "unseen": None, "from_": None}
        about: dict[str, Any] = {"kind": "images", "guidance": self.recipe.guidance}
        about |= {"classes": list(self.classes.classes), "hashes": {} if self.heap else self.hashes}
        about |= {"recipe": asdict(replace(self.recipe, **hidden)), "step": self.trainer.step}
        targets, spread = (None if part is None else part.cpu() for part in (targets, spread))
        about |= {"targets": targets, "spread": spread, "means": means, "covariance": covariance}
        save_checkpoint(self.folder / name, {self.recipe.guidance: self.network}, about)

    @property
    def network(self) -> UNet:
        """The network with averaged weights, the one to use."""
        averaged = self.trainer.ema
        assert isinstance(averaged, UNet)
        return averaged

    @cached_property
    def _means(self) -> tuple[Tensor, Tensor]:
        return class_means(self.patches)

    def _over(self) -> bool:
        return self.trainer.budget.progress(self.trainer.step, self.trainer.seconds) >= 1

    def _sort(self) -> None:
        """Let the averaged network sort the heap, if there is one; what serves until the next time is no part of it."""
        if self.heap:
            self.heap.sort(seeded(self.recipe.seed, SORTED, self.trainer.step))

    def _asked_for(self) -> tuple[Tensor | None, Tensor | None]:
        """Return targets (classes, F), if any, centroids φ_y or one-hot labels, and the spread of φ in each class.

        Where classes are many, they are of few patches until the training is over: every check needs them.
        """
        few = _few(self.classes, 64)
        if isinstance(self.network, GuidedUNet):
            return class_features(self.network, self.classes, max(ENOUGH, few) if self._over() else few)
        if isinstance(self.network, LabelUNet):
            return torch.eye(len(self.patches.classes), device=self.patches.device), None
        return None, None

    def _check(self, step: int, seconds: float) -> None:
        """Measure held-out patches, and save everything; of several processes the first one does."""
        if not is_first():
            return
        if self._over():
            self._sort()
        targets, spread = self._asked_for()
        measured = denoise_held_out(self.network, targets, self.classes, SIGMAS, _few(self.classes, 8), MOST)
        unseen: dict[str, list[float]] = {}
        if self.unseen and isinstance(self.network, GuidedUNet):
            others = class_features(self.network, self.unseen, _few(self.unseen, 64))
            unseen = denoise_held_out(self.network, others.phi, self.unseen, SIGMAS, _few(self.unseen, 8), MOST)
        best = max((line["psnr"] for line in self.metrics), default=-torch.inf)
        psnr = sum(measured["none" if targets is None else "right"]) / len(SIGMAS)
        line: dict[str, Any] = {"leg": len(self.legs), "step": step, "seconds": round(seconds, 1)}
        line |= {"loss": self.loss, "psnr": psnr, "sigma": SIGMAS}
        line |= {f"psnr_{name}": curve for name, curve in measured.items()}
        line |= self.heap.agreement if self.heap else {}
        line |= {f"psnr_unseen_{name}": curve for name, curve in unseen.items() if name != "noisy"}
        self.metrics.append(line)
        self._save_state()
        self._save_network("network.pt", targets, spread)
        if psnr > best:
            self._save_network("best.pt", targets, spread)
        write_text(self.folder / "metrics.jsonl", "".join(json_text(line, None) + "\n" for line in self.metrics))
        self._draw(targets)

    def _draw(self, targets: Tensor | None, sigma: float = 0.5) -> None:
        """Draw one held-out patch of each class, denoised under every condition."""
        x, y = self.classes.held_out(1, SHOWN)
        rows = {"clean": x, **denoise(self.network, targets, x, y, sigma)}
        columns = [self.classes.classes[k] for k in y.tolist()]
        title = f"Held-out patches, σ = {sigma:g}, after {self.trainer.step:,} steps"
        image_grid(rows, columns, title, self.folder / "denoised.png")


def _few(patches: Patches, n: int) -> int:
    """Return how many of n patches a class a check makes do with, which should not take longer than what it checks."""
    return max(2, min(n, n * MOST // len(patches.classes)))
