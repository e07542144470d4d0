"""`fgs textures`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fgs.commands.console import results_in, step_bar
from fgs.commands.interface import make_command
from fgs.common.options import Argument, Option, at_least
from fgs.images.patches import write_textures


@dataclass(frozen=True)
class Textures:
    """Draw the library's own synthetic textures, as photographs to train on."""

    folder: Annotated[Path, Argument("New folder for the images.", metavar="DIR")]
    classes: Annotated[int, Option("How many; families come again with other looks.")] = 16
    images: Annotated[int, Option("Images of each: one is a file, several are a folder.")] = 1
    size: Annotated[int, Option("Pixels a side.")] = 512
    gray: Annotated[bool, Option("Gray instead of colours.")] = False
    seed: Annotated[int, Option("Seed of the looks and of the images.")] = 0

    def __post_init__(self) -> None:
        at_least(self, classes=1, images=1, size=1, seed=0)


def draw_into(asked: Textures) -> None:
    """Write synthetic textures into a new folder."""
    count = asked.classes * asked.images
    with results_in(asked.folder, option="DIR") as folder, step_bar(count, "images") as advance:
        for path in write_textures(folder, asked.classes, asked.images, asked.size, not asked.gray, asked.seed):
            advance(path.name, 1)
    print(f"{asked.classes} textures of {asked.images} {'image' if asked.images == 1 else 'images'} in {folder}")


command = make_command(Textures, draw_into)
