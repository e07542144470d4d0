"""Files are written whole or not at all, and folders belong to one writer."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WRITING = ".writing"  # a file that says that somebody is at work in the folder


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; if the block ends well the file written there replaces `path`.

    The temporary name keeps the suffix, by which many writers choose their format.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file of text, in UTF-8, atomically; what of a file's name is no text becomes ?."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


class TakenError(FileExistsError):
    """The folder is not this writer's to write into; the message says why."""


def require_free(path: Path, new: bool = True) -> None:
    """Raise a TakenError if `path` is a file, or, where it should be new, a folder that holds anything."""
    if path.exists() and not path.is_dir():
        raise TakenError(f"{path} is a file")
    if new and path.exists() and any(entry.name != WRITING for entry in path.iterdir()):
        raise TakenError(f"{path} exists and holds files")


@contextmanager
def output_folder(path: Path, new: bool = True) -> Iterator[Path]:
    """Make the folder `path` and give it to this writer alone; if the block fails, take away what is still empty.

    Of two that ask for one folder at the same time one gets it. It may be there, but empty if it should be `new`.

    Raises:
        TakenError: before the block, if it is a file, holds anything and should not, or somebody is writing there.
        OSError: before the block, if nothing can be written there.
    """
    require_free(path, new=False)
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    mine = False
    try:
        path.mkdir(parents=True, exist_ok=True)
        try:
            (path / WRITING).open("x").close()
        except FileExistsError:
            raise TakenError(f"another process is writing into {path} (if none is, remove {path / WRITING})") from None
        mine = True
        require_free(path, new)
        yield path
    except BaseException:
        if mine:
            (path / WRITING).unlink(missing_ok=True)
        with suppress(OSError):
            for folder in missing:
                folder.rmdir()
        raise
    (path / WRITING).unlink(missing_ok=True)
