"""Options, written down once: a field of a frozen dataclass, with the words that a command line has for it.

    @dataclass(frozen=True)
    class Request:
        n: Annotated[int, Option("Images of each.")] = 4

        def __post_init__(self) -> None:
            at_least(self, n=1)

`fgs.commands.interface` makes a command of such a class. A setting that is out of range is a ValueError that begins
with the name of its field, of which the command line makes the name of the option.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple


class Option(NamedTuple):
    """What a command line says of a field.

    Attributes:
        help: what it does.
        panel: heading in the help under which it stands.
        metavar: what may be given.
        flag: its name, where that is not the name of the field: "--json", or "--blind/--sigma-input".
        typed: type of what is typed, where that is not the type of the field.
        read: makes the value of the field of what is typed.
    """

    help: str
    panel: str | None = None
    metavar: str | None = None
    flag: str | None = None
    typed: Any = None
    read: Callable[[Any], Any] | None = None


class Argument(NamedTuple):
    """What a command line says of a field that has no flag, but a place."""

    help: str
    metavar: str | None = None


def require(options: object, name: str, holds: bool, what: str) -> None:
    """Raise a ValueError that begins with the name of the field, unless it holds what must hold."""
    if not holds:
        raise ValueError(f"{name}: {what}, got {getattr(options, name)}")


def at_least(options: object, **least: float) -> None:
    """Require of each field, unless it is None, to be no less than so much."""
    for name, lowest in least.items():
        value = getattr(options, name)
        what = "must not be negative" if lowest == 0 else f"must be at least {lowest}"
        require(options, name, value is None or value >= lowest, what)


def positive(options: object, *names: str) -> None:
    """Require of each field, unless it is None, to be positive and finite."""
    for name in names:
        value = getattr(options, name)
        require(options, name, value is None or 0 < value < float("inf"), "must be positive and finite")


def one_of(options: object, **allowed: Collection[str]) -> None:
    """Require of each field to be one of those allowed."""
    for name, known in allowed.items():
        require(options, name, getattr(options, name) in known, f"must be one of {', '.join(known)}")
