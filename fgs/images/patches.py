"""Images as classes of patches: all pixels in one tensor on the device, batches gathered from it by index.

A part of every class is held out, and no patch that is trained on reaches into it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Generator, Tensor

import fgs.images.reading as reading
from fgs.common.files import atomic
from fgs.images.synthetic import IMAGE, draw_textures
from fgs.images.windows import Region, Windows, split
from fgs.noise import seeded

Images = dict[str, list[Tensor]]
"""Name of a class -> its images, (C, H, W) uint8 each."""


def read_images(
    folder: Path | Sequence[Path],
    smallest: int,
    how: reading.Preparation = reading.AS_IT_IS,
    only: Sequence[str] | None = None,
    fewest: int = 2,
) -> tuple[Images, list[reading.Skipped]]:
    """Read the classes of a folder, or of several; see `find_classes` for its layout and the names.

    Each side of an image must have `smallest` pixels; `only` names the classes to read, None is all, and there must be
    `fewest`. Also returned are the files that were left out. One that is a class of its own takes its class with it.

    Raises:
        ValueError: a folder has no image that can be used, or too few classes are left; the message begins with "data".
            Or there is no such class; it begins with "class".
        OSError: a folder cannot be read.
    """
    images: Images = {}
    folders = [folder] if isinstance(folder, Path) else folder
    found, skipped = reading.find_classes(*folders)
    named = " and ".join(map(str, folders))
    missing = [name for name in only or () if name not in found]
    if missing:
        near = get_close_matches(missing[0], found, 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"class: {named} has no {missing[0]}{hint}")
    classes = {name: place for name, place in found.items() if only is None or name in only}
    for name, (place, files) in classes.items():
        usable = []
        for file in files:
            try:
                image = reading.read_image(file, how)
                if min(image.shape[1:]) < smallest:
                    size = f"{image.shape[2]} × {image.shape[1]}"
                    raise reading.UnusableError(f"{size} pixels; a patch has {smallest} a side")
                usable.append(image)
            except reading.UnusableError as error:
                skipped.append(reading.Skipped(file, str(error)))
        if usable:
            images[name] = usable
        elif place.is_dir():
            raise ValueError(
                f"data: {place} has {len(files)} files with the suffixes {', '.join(reading.SUFFIXES)}, and none can "
                f"be used{f' ({skipped[-1]})' if files else ''}; mend or remove it"
            )
    if len(images) < fewest:
        raise ValueError(
            f"data: {named} has {len(images)} classes that can be used, of {len(classes)} with the suffixes "
            f"{', '.join(reading.SUFFIXES)}; needs {fewest} or more: an image file, or a folder of them, for each"
            f"{f' ({skipped[0]})' if skipped else ''}"
        )
    return images, skipped


def draw_images(classes: int = 16, images: int = 1, size: int = 512, color: bool = False, seed: int = 0) -> Images:
    """Draw the library's own textures as if they had been read; gray is the luma of the colours."""
    drawn: Images = {}
    for name, image in _draw(classes, images, size, color, seed):
        drawn.setdefault(name, []).append(image)
    return drawn


def write_textures(folder: Path, classes: int, images: int, size: int, color: bool, seed: int) -> Iterator[Path]:
    """Write what `draw_images` draws as PNG files, and yield each: one file a class, or a folder a class if many.

    Raises:
        OSError: a file cannot be written.
    """
    for count, (name, image) in enumerate(_draw(classes, images, size, color, seed)):
        path = folder / f"{name}.png" if images == 1 else folder / name / f"{count % images:04d}.png"
        path.parent.mkdir(exist_ok=True)
        with atomic(path) as temporary:
            reading.write_image(temporary, image)
        yield path


def _draw(classes: int, images: int, size: int, color: bool, seed: int) -> Iterator[tuple[str, Tensor]]:
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    for k, texture in enumerate(draw_textures(classes, seed)):
        for number in range(images):
            image = texture(size, seeded(seed, IMAGE, k, number))
            yield texture.name, image if color else (luma * image).sum(0, keepdim=True).round().to(torch.uint8)


def content_hash(images: Sequence[Tensor]) -> str:
    """Return a hash of the shapes and pixels of a class: equal hashes, equal data."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(repr(tuple(image.shape)).encode())
        digest.update(image.numpy().tobytes())
    return digest.hexdigest()[:16]


class Patches:
    """Patches of several classes, for training and held out.

    Args:
        images: of each class, (C, H, W) uint8, C the same for all.
        patch: pixels a side.
        overlapping: train on every crop; else on patches side by side, as the paper does. Held-out patches never
            overlap.
        share: of each image that is held out.
        device: where the pixels are kept and batches are made.

    Raises:
        ValueError: a class cannot be divided; the message begins with "data".
    """

    def __init__(
        self,
        images: Mapping[str, Sequence[Tensor]],
        patch: int,
        overlapping: bool = True,
        share: float = 0.25,
        device: torch.device | str = "cpu",
    ) -> None:
        self.classes, self.patch, self.device = tuple(images), patch, torch.device(device)
        train: list[list[Region]] = []
        held_out: list[list[Region]] = []
        number = 0
        for name, of_class in images.items():
            try:
                parts = split([(image.shape[1], image.shape[2]) for image in of_class], patch, share)
            except ValueError as error:
                raise ValueError(f"data: class {name}: {error}; use smaller patches or give more images") from None
            for regions, part in zip((train, held_out), parts, strict=True):
                regions.append([region._replace(image=region.image + number) for region in part])
            number += len(of_class)
        flat = [image for of_class in images.values() for image in of_class]
        if any(image.dtype != torch.uint8 for image in flat):
            raise ValueError("data: images must be of whole gray levels, uint8")
        sizes = torch.tensor([image[0].numel() for image in flat])
        widths, offsets = torch.tensor([image.shape[2] for image in flat]), sizes.cumsum(0) - sizes
        self.pixels = torch.cat([image.flatten(1) for image in flat], 1).to(self.device)  # (C, all pixels) uint8
        self._train = Windows(train, widths, offsets, patch, 1 if overlapping else patch)
        self._held_out = Windows(held_out, widths, offsets, patch, patch)
        self._held_out_crops = Windows(held_out, widths, offsets, patch, 1)
        self.counts, self.held_out_counts = self._train.counts, self._held_out.counts  # (classes,) patches of each
        self._images, self._train_regions = flat, train

    def pairs(
        self, n: int, generator: Generator | None = None, shared: int = 1, primes: int = 1
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw n pairs of different patches of one class, each class as often as any other (Algorithm 2, lines 1 to 2).

        `shared` pairs in a row have x' in common, and n is a multiple of it; `primes` patches in a row of x' belong
        together. The generator is one of the CPU; None is torch's own.

        Returns:
            x (n, C, patch, patch) and x' (n · primes / shared, C, patch, patch) in [0, 1], and the classes y (n,) of x.
            x is not the first of its x', unless its class has one patch.
        """
        y_prime = torch.randint(len(self.classes), (n // shared,), generator=generator)
        y, counts = y_prime.repeat_interleave(shared), self.counts[y_prime]
        prime = (torch.rand(len(y_prime), primes, dtype=torch.float64, generator=generator) * counts[:, None]).long()
        offset = torch.rand(n, dtype=torch.float64, generator=generator) * (self.counts[y] - 1)
        number = (prime[:, 0].repeat_interleave(shared) + 1 + offset.long()) % self.counts[y]
        x_prime = self._gather(self._train, y_prime.repeat_interleave(primes), prime.flatten())
        return self._gather(self._train, y, number), x_prime, y.to(self.device)

    def training_pixels(self, y: int) -> list[Tensor]:
        """Return the parts of the images of class y that are trained on, (C, H, W) uint8 each."""
        return [self._images[k][:, top : top + h, left : left + w] for k, top, left, h, w in self._train_regions[y]]

    def training_regions(self, y: int) -> list[Tensor]:
        """Return the parts of the images of class y that are trained on, (C, H, W) in [0, 1] each."""
        return [pixels.float() / 255 for pixels in self.training_pixels(y)]

    def training(self, y: int, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n training patches of class y, (n, C, patch, patch)."""
        return self._draw(self._train, y, n, generator)

    def mixed(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw n training patches of all classes, each as often as it has pictures: x (n, C, patch, patch), y (n,)."""
        pictures = torch.tensor([float(len(regions)) for regions in self._train_regions])
        y = pictures.multinomial(n, replacement=True, generator=generator)
        number = (torch.rand(n, dtype=torch.float64, generator=generator) * self.counts[y]).long()
        return self._gather(self._train, y, number), y

    def held_out_crops(self, y: int, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n patches of class y anywhere in what was held out, (n, C, patch, patch); they may overlap."""
        return self._draw(self._held_out_crops, y, n, generator)

    def held_out(self, n: int, most: int | None = None) -> tuple[Tensor, Tensor]:
        """Return at most n held-out patches of every class, spread evenly, (N, C, patch, patch), and classes (N,).

        Of more classes than `most` so many are taken, spread evenly; None is all.
        """
        of = torch.arange(len(self.classes))
        if most is not None and most < len(of):
            of = of[torch.arange(most) * len(of) // most]
        counts = self.held_out_counts[of].clamp_max(n)
        y = of.repeat_interleave(counts)
        number = torch.cat([torch.arange(int(k)) for k in counts])
        number = number * self.held_out_counts[y] // counts.repeat_interleave(counts)
        return self._gather(self._held_out, y, number), y.to(self.device)

    def _draw(self, windows: Windows, y: int, n: int, generator: Generator | None) -> Tensor:
        number = (torch.rand(n, dtype=torch.float64, generator=generator) * windows.counts[y]).long()
        return self._gather(windows, torch.full((n,), y), number)

    def _gather(self, windows: Windows, y: Tensor, number: Tensor) -> Tensor:
        begin, stride = (part.to(self.device) for part in windows.corners(y, number))
        within = torch.arange(self.patch, device=self.device)
        index = begin[:, None, None] + stride[:, None, None] * within[:, None] + within
        return self.pixels[:, index].transpose(0, 1).float() / 255
