"""Values against a pydantic model: what is wrong, in one line that names each field."""

from __future__ import annotations

import reprlib
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from framekit.errors import CommandError


class _Short(reprlib.Repr):
    """Values in a few words: what a stranger's file holds may be longer than any line, or without end."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 200

    def repr_int(self, value: int, level: int) -> str:
        """Python writes no number of more than 4,300 digits."""
        return super().repr_int(value, level) if value.bit_length() < 9_999 else "a number without end"

    def repr_instance(self, value: Any, level: int) -> str:
        """Kinds of dict are shortened as a dict is."""
        shortened = self.repr_dict if isinstance(value, dict) else super().repr_instance
        return shortened(value, level)


def validated(model: type[BaseModel], values: dict[str, Any], *, name_of: Callable[[str], str] = str) -> Any:
    """Build `model` from `values`, turning what pydantic finds into one line that names each field.

    Raises:
        CommandError: With every wrong field, its value and what it takes.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        raise CommandError("; ".join(_fault_line(fault, model, name_of) for fault in faults)) from None
    except ValueError as error:  # a number of more digits than Python writes, where a text is wanted
        raise CommandError(str(error)) from None


def _fault_line(fault: Any, model: type[BaseModel], name_of: Callable[[str], str]) -> str:
    place = ".".join(name_of(str(part)) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = ", ".join(name_of(name) for name in _fields_at(model, fault["loc"][:-1]))
        return f"{place}: unknown option; known here: {known}"
    message = fault["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "must be").replace("Field required", "is missing")
    told = fault["type"] != "missing" and not isinstance(fault["input"], dict | BaseModel)
    got = f" (got {_Short().repr(fault['input'])})" if told else ""
    return f"{place}: {message}{got}" if place else message  # of several fields together, which it names


def _fields_at(model: type[BaseModel], place: Sequence[str | int]) -> Iterable[str]:
    for part in place:
        kinds = [model.model_fields[str(part)].annotation] if str(part) in model.model_fields else []
        kinds += [inner for kind in kinds for inner in typing.get_args(kind)]
        model = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), model)
    return model.model_fields
