"""What a run was asked for, as its `config.json` keeps it: the recipe, and the legs of the training."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from fgs.common.files import write_text
from fgs.common.text import json_text
from fgs.images.recipe import Recipe
from fgs.training.checkpoints import CheckpointError
from fgs.training.trainer import Spent

CONFIG = "config.json"


class ContradictionError(ValueError):
    """A run cannot be continued as asked; the message begins with the setting that differs."""


@dataclass(frozen=True)
class Leg:
    """A stretch of training, over which the learning rate rises and falls once."""

    steps: int | None  # to be taken in all when it ends, or None, and then
    minutes: float  # to be spent in all
    from_step: int = 0  # steps taken when it began
    from_seconds: float = 0.0  # seconds spent by then


class Config(NamedTuple):
    """What `config.json` holds: the recipe, the hash of every class, the legs, and what it was started with."""

    recipe: Recipe
    hashes: dict[str, str]
    legs: list[Leg]
    versions: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write it into the folder of a run, atomically."""
        contents = {"recipe": asdict(self.recipe), "legs": [asdict(leg) for leg in self.legs], "classes": self.hashes}
        write_text(folder / CONFIG, json_text(contents | {"versions": self.versions}) + "\n")

    def lengthened(self, asked: Mapping[str, Any], state: Mapping[str, Any]) -> "Config":
        """Return it with another leg, from where the state is, if a budget is asked for that it does not have.

        Raises:
            ContradictionError: less is asked for than was spent.
        """
        recipe = self.recipe
        budget = {"steps": asked.get("steps"), "minutes": asked.get("minutes", recipe.minutes)}
        if not {"steps", "minutes"} & set(asked) or budget == {"steps": recipe.steps, "minutes": recipe.minutes}:
            return self
        try:
            spent = Spent(int(state["trainer"]["step"]), float(state["trainer"]["seconds"]))
        except (KeyError, TypeError, ValueError):
            return self  # which the state does not fit, as loading it will say
        if (budget["steps"] or math.inf) <= spent.steps:
            taken = f"the run has taken {spent.steps} already"
            raise ContradictionError(f"steps: {taken}; give more, got {budget['steps']}")
        if not budget["steps"] and 60 * budget["minutes"] <= spent.seconds:
            taken = f"the run has spent {spent.seconds / 60:.3g} already"
            raise ContradictionError(f"minutes: {taken}; give more, got {budget['minutes']:g}")
        leg = Leg(**budget, from_step=spent.steps, from_seconds=spent.seconds)
        return self._replace(recipe=replace(recipe, **budget), legs=[*self.legs, leg])


def read_config(folder: Path) -> Config:
    """Read what a run was started with.

    Raises:
        CheckpointError: there is no run, or its settings are damaged.
    """
    try:
        config = json.loads((folder / CONFIG).read_text())
        recipe = Recipe.read(config["recipe"])
        legs = [Leg(**leg) for leg in config["legs"]]
        return Config(recipe, dict(config["classes"]), legs, dict(config["versions"]))
    except OSError as error:
        raise CheckpointError(f"{folder} holds no run (config.json: {error.strerror})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / CONFIG}: not the settings of a run ({error})") from None
