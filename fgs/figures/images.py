"""Figures of images: grids."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fgs.common.files import atomic
from fgs.figures.style import new_figure, save_figure


def image_grid(rows: Mapping[str, Tensor], columns: Sequence[str], title: str, path: Path) -> None:
    """Draw rows of images by name, (columns, C, H, W) in [0, 1], C = 1 or 3, under the names of their columns.

    Rows may be shorter.
    """
    figure = new_figure(1.3 + 1.5 * len(columns), 0.9 + 1.5 * len(rows))
    figure.suptitle(title, parse_math=False)  # no $ in a name is mathematics
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes_of_row, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, image in zip(axes_of_row, images.detach().clamp(0, 1).cpu().double().numpy(), strict=False):
            axes.set_axis_on()
            axes.imshow(image[0] if len(image) == 1 else image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        label = "\n".join(fill(line, 14) for line in _drawable(name).replace("_", " ").split("\n"))
        axes_of_row[0].set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center", parse_math=False)
    for axes, column in zip(grid[0], columns, strict=True):
        axes.set_title(fill(_drawable(column).replace("_", " "), 18), fontsize=8, parse_math=False)
    save_figure(figure, path, dpi=120, bbox_inches="tight", pad_inches=0.1)  # long names reach out


def contact_sheet(images: Mapping[str, Tensor], path: Path, columns: int = 16, zoom: int = 3) -> None:
    """Write a picture of many small images of one size, (C, H, W) in [0, 1], each over its name.

    A pixel takes `zoom` × `zoom` of the screen.
    """
    height, width = (zoom * side for side in next(iter(images.values())).shape[1:])
    rows, across, down = -(-len(images) // columns), width + 8, height + 22
    sheet = Image.new("RGB", (across * min(columns, len(images)), down * rows), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (name, image) in enumerate(images.items()):
        left, top = number % columns * across, number // columns * down
        pixels = (255 * image.cpu().clamp(0, 1)).round().to(torch.uint8).expand(3, -1, -1).permute(1, 2, 0)
        sheet.paste(Image.fromarray(pixels.numpy()).resize((width, height), Image.Resampling.NEAREST), (left, top))
        name = _drawable(name)
        while pen.textlength(name) > width:
            name = name.removesuffix("…")[:-1] + "…"
        pen.text((left, top + height + 2), name, fill="black")
    with atomic(path) as temporary:
        sheet.save(temporary)


def _drawable(name: str) -> str:
    """Return a name with ? for what of a file's name is no text."""
    return name.encode(errors="replace").decode()
