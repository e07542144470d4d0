"""Options, written down once: a field of a frozen dataclass, with the words that a command line has for it.

    @dataclass(frozen=True)
    class Request:
        n: Annotated[int, Option("Images of each.")] = 4

        def __post_init__(self) -> None:
            at_least(self, n=1)

`fgs.commands.interface` makes a command of such a class. A setting that is out of range is a ValueError that begins
with the name of its field, of which the command line makes the name of the option.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, get_args, get_type_hints


class Option(NamedTuple):
    """What a command line says of a field."""

    help: str  # what it does
    choices: str | None = None  # what may be given, as "line|random"; `check_choices` requires one of them
    panel: str | None = None  # heading in the help under which it stands
    flag: str | None = None  # its name, where that is not the name of the field: "--json", or "--blind/--sigma-input"
    metavar: str | None = None  # what stands for a value in the help
    typed: Any = None  # type of what is typed, where that is not the type of the field
    read: Callable[[Any], Any] | None = None  # makes the value of the field of what is typed


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


def check_choices(options: object) -> None:
    """Require of every field whose `Option` has choices to be one of them, or None where that is its default."""
    for name, hint in get_type_hints(type(options), include_extras=True).items():
        words = [word for word in get_args(hint) if isinstance(word, Option) and word.choices]
        value = getattr(options, name)
        for word in words:
            known = str(word.choices).split("|")
            allowed = value in known or (value is None and getattr(type(options), name) is None)
            require(options, name, allowed, f"must be one of {', '.join(known)}")
