"""Flags from an options model: one pydantic class gives types, ranges, defaults and help."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from framekit.storage.paths import is_address, path_of
from framekit.validating import validated

UNSET: Any = None


class Here(click.Path):
    """A path on this machine; never an empty text, as a variable gives that is not set, for this folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A `Path`."""
        if value == "":
            self.fail("is empty. Write . for this folder", param, ctx)
        return super().convert(value, param, ctx)


class Place(Here):
    """A path on this machine, or an address, as `s3://bucket/dataset`; see `framekit.storage.paths`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A `Path`, or what serves as one."""
        if isinstance(value, str) and is_address(value):
            return path_of(value)
        return super().convert(value, param, ctx)


def flags_of(
    model: type[BaseModel],
    *,
    into: str = "options",
    shorter: Mapping[str, str] | None = None,
    defaults: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a click command one flag per field of `model`; it receives a filled model as argument `into`.

    `every: int = Field(50, ge=1, description=…)` becomes `--every`, a bool becomes `--x/--no-x`, a Literal
    a choice, a tuple a flag that may be repeated. Ranges are checked by the model itself. A model's own
    fields come before those that it inherits.

    Args:
        model: The options.
        into: Name of the command's argument.
        shorter: Another spelling of a field's flag, for commands where it says enough.
        defaults: Tell the model's defaults; not where a flag that isn't given means something else.

    Raises (when the command runs):
        CommandError: A value is out of range; the message names the flag.
    """
    own = [name for name in model.model_fields if name in model.__annotations__]
    fields = {name: model.model_fields[name] for name in dict.fromkeys([*own, *model.model_fields])}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(**values: Any) -> Any:
            given = {name: values.pop(name) for name in fields}
            given = {name: value for name, value in given.items() if value is not UNSET and value != ()}
            values[into] = validated(model, given, name_of=flag_name)
            return command(**values)

        flagged: Callable[..., Any] = run
        for name, field in reversed(fields.items()):
            help_text = _with_default(field) if defaults else field.description or ""
            names = [flag_name(name), *filter(None, [(shorter or {}).get(name)])]
            flagged = _option(name, field.annotation, names, help_text)(flagged)
        return flagged

    return decorate


def flag_name(field_name: str) -> str:
    """The flag of a field: `crop_size` → `--crop-size`."""
    return "--" + field_name.replace("_", "-")


def _option(
    name: str, annotation: Any, flags: list[str], help_text: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    kind = _without_none(annotation)
    if kind is bool:
        return click.option(f"{flags[0]}/--no-{flags[0][2:]}", name, default=UNSET, help=help_text)
    if typing.get_origin(kind) is tuple:
        each = _click_type(typing.get_args(kind)[0])
        return click.option(*flags, name, type=each, multiple=True, help=help_text)
    return click.option(*flags, name, type=_click_type(kind), default=UNSET, help=help_text)


def _with_default(field: FieldInfo) -> str:
    text = field.description or ""
    if field.default is None or field.default in ("", ()) or field.is_required():
        return text
    shown = ("off", "on")[field.default] if isinstance(field.default, bool) else field.default
    return f"{text}  [default: {shown}]"


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else str
    return annotation


def _click_type(kind: Any) -> click.ParamType:
    if typing.get_origin(kind) is typing.Literal:
        return click.Choice([str(choice) for choice in typing.get_args(kind)])
    if kind is Path:
        return click.Path(path_type=Path)
    if kind is int:
        return click.INT
    return click.FLOAT if kind is float else click.STRING
