"""A command made of a dataclass of options: its fields are the options, its docstring the help.

Typer reads the signature of a function; here one is made of the fields, so that an option is one line, in one place,
and reaches the code that uses it as an attribute that an editor can follow.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from fgs.commands.console import as_option, fail
from fgs.common.options import Argument, Option

T = TypeVar("T")
GIVEN = "given"  # a field of this name is told which options were typed, as against left at their defaults


def make_command(options: type[T], run: Callable[[T], None]) -> TyperCommand:
    """Return a command that makes an object of the class `options`, a frozen dataclass, of what is typed, and runs it.

    A field is an option by an `Option` or `Argument` in its annotation; one that is such a dataclass itself brings its
    own fields with it. A ValueError of theirs is an error of usage.
    """

    def callback(context: typer.Context, **typed: Any) -> None:
        given = frozenset(name for name in typed if str(context.get_parameter_source(name)).endswith("COMMANDLINE"))
        try:
            asked = _build(options, typed, given)
        except ValueError as error:
            fail(as_option(error), 2)
        run(asked)

    parameters = [_parameter(field, hint) for field, hint in _options(options)]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    callback.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    callback.__annotations__ = {parameter.name: parameter.annotation for parameter in (context, *parameters)}
    app = typer.Typer(rich_markup_mode="rich", add_completion=False)
    app.command(help=inspect.cleandoc(options.__doc__ or "").partition("\n\nRaises:")[0])(callback)
    made = typer.main.get_command(app)
    assert isinstance(made, TyperCommand)
    return made


def _options(options: type) -> Iterator[tuple[Field[Any], Any]]:
    """Yield every field that is an option, with its annotation, those of nested dataclasses in their places."""
    hints = get_type_hints(options, include_extras=True)
    for field in fields(options):
        if is_dataclass(hints[field.name]):
            yield from _options(hints[field.name])
        elif field.name != GIVEN:
            yield field, hints[field.name]


def _parameter(field: Field[Any], hint: object) -> inspect.Parameter:
    kind, word = get_args(hint)
    default = inspect.Parameter.empty if field.default is MISSING else field.default
    if isinstance(word, Argument):
        info: Any = typer.Argument(help=word.help, metavar=word.metavar)
    else:
        flags = [word.flag] if word.flag else [f"--{field.name.strip('_').replace('_', '-')}"] if kind is bool else []
        info = typer.Option(*flags, help=word.help, metavar=word.metavar or word.choices, rich_help_panel=word.panel)
        kind = word.typed or kind
    if get_origin(kind) is tuple and get_args(kind)[-1] is ...:  # Typer's word for "may be given again"
        kind = list[get_args(kind)[0]]  # type: ignore[misc]
        default = default if field.default is MISSING else list(field.default) or None
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info]
    )


def _build(options: type[T], typed: dict[str, Any], given: frozenset[str]) -> T:
    """Make the object: nested dataclasses first, lists as tuples, and what `Option.read` makes of what was typed."""
    hints = get_type_hints(options, include_extras=True)
    values: dict[str, Any] = {}
    for field in fields(options):  # type: ignore[arg-type]
        hint = hints[field.name]
        if is_dataclass(hint):
            values[field.name] = _build(cast(type, hint), typed, given)
        elif field.name == GIVEN:
            values[field.name] = given
        elif field.name in given or field.default is MISSING:
            value = tuple(typed[field.name]) if isinstance(typed[field.name], list) else typed[field.name]
            word = get_args(hint)[1]
            values[field.name] = word.read(value) if isinstance(word, Option) and word.read else value
    return options(**values)
