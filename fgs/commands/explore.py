"""`fgs explore`."""

import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fgs.commands.console import fail, step_bar, usage_errors
from fgs.commands.interface import make_command
from fgs.common.files import atomic
from fgs.common.options import Argument, Option, require
from fgs.explorer.classes import CALLS, feature_data, planned_images
from fgs.explorer.page import page
from fgs.images import load_model
from fgs.networks import GuidedUNet


@dataclass(frozen=True)
class Explore:
    """Write a page that shows guided sampling against exact answers, and the classes of a model by φ, and open it.

    It is one file that needs no network. A sample of every class is drawn for it, which takes minutes for what ships.
    """

    run: Annotated[Path | None, Argument("Folder of a run, or a checkpoint; the model that ships if left out.")] = None
    out: Annotated[Path, Option("File for the page.")] = Path("explorer.html")
    no_open: Annotated[bool, Option("Leave the browser alone.", flag="--no-open")] = False

    def __post_init__(self) -> None:
        require(self, "out", self.out.suffix in (".html", ".htm"), "must end in .html")


def explore(asked: Explore) -> None:
    """Sample what the page shows of the model, write the page, and open it."""
    with usage_errors():
        require(asked, "out", not asked.out.is_dir(), "must be a file, is a folder")
        model = load_model(asked.run)
    try:
        with atomic(asked.out) as temporary:  # a folder that cannot be written to is found before minutes of sampling
            features = None
            if isinstance(model.network, GuidedUNet) and model.targets is not None:
                with step_bar(planned_images(model) * CALLS, "image steps") as advance:
                    features = feature_data(model, lambda images: advance("sampling", images))
            else:
                print("fgs: the model has no features φ: the page has the mixture tab alone", file=sys.stderr)
            temporary.write_text(page(features), encoding="utf-8", errors="replace")
    except OSError as error:
        fail(f"--out: cannot write {asked.out}: {error.strerror}; name another file", 2)
    print(f"{asked.out}: open it in a browser")
    if sys.stdout.isatty() and not asked.no_open:
        webbrowser.open(asked.out.resolve().as_uri())


command = make_command(Explore, explore)
