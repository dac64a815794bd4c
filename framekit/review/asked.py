"""What the page asks for: parameters and bodies, checked and bounded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from framekit.errors import CommandError
from framekit.review.catalogue import View

LONGEST_TEXT, MOST_VALUES, MOST_ROWS = 1_000, 1_000, 500
NAMES = {
    *("source", "from", "to", "state", "reason", "measure", "min", "max", "content"),
    *("group", "duplicates", "q", "sort", "desc"),
}


def view_of(given: Mapping[str, Sequence[Any]]) -> View:
    """The view that parameters describe.

    Args:
        given: Values by name, each a list; texts, or numbers from JSON.

    Raises:
        CommandError: There is no such parameter, or a value is none.
    """
    unknown = set(given) - NAMES
    if unknown:
        raise CommandError(f"no parameter {sorted(unknown)[0]}")
    if any(len(values) > MOST_VALUES for values in given.values()):
        raise CommandError("too many values")

    def one(name: str) -> str:
        values = given.get(name) or [""]
        return text(values[-1], name)

    def number(name: str) -> float | None:
        return _float(one(name), name) if one(name) else None

    return View(
        source=tuple(integer(value, "source") for value in given.get("source", ())),
        start=number("from"),
        stop=number("to"),
        state=one("state"),
        reason=tuple(text(value, "reason") for value in given.get("reason", ())),
        measure=one("measure"),
        low=number("min"),
        high=number("max"),
        content=tuple(text(value, "content") for value in given.get("content", ())),
        group=integer(one("group"), "group") if one("group") else None,
        duplicates=one("duplicates") in ("1", "true", "True"),
        text=one("q"),
        sort=one("sort") or "order",
        descending=one("desc") in ("1", "true", "True"),
    )


def body_of(data: bytes) -> dict[str, Any]:
    """A request's JSON object.

    Raises:
        CommandError: It is none.
    """
    try:
        body = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise CommandError("a JSON object is expected")
    return body


def view_in(value: Any) -> View:
    """The view in a request's body: names as in an address, lists for those that may come more than once.

    Raises:
        CommandError: It is none.
    """
    if not isinstance(value, dict):
        raise CommandError("view is an object")
    lists = {name: its if isinstance(its, list) else [its] for name, its in value.items() if its is not None}
    return view_of(lists)


def rows_in(value: Any) -> list[int]:
    """A list of frames.

    Raises:
        CommandError: It is none.
    """
    if not isinstance(value, list) or not value or not all(type(row) is int for row in value):
        raise CommandError("rows is a list of numbers")
    return value


def crops_in(value: Any) -> list[tuple[int, int]]:
    """A list of [frame, index].

    Raises:
        CommandError: It is none.
    """
    pairs = isinstance(value, list) and all(isinstance(crop, list) and len(crop) == 2 for crop in value)
    if not pairs or not value:
        raise CommandError("crops is a list of [frame, index]")
    rows_in([number for crop in value for number in crop])
    return [(row, index) for row, index in value]


def keep_in(body: dict[str, Any]) -> bool | None:
    """Whether to keep, to leave out, or to take back.

    Raises:
        CommandError: It does not say.
    """
    if not isinstance(body.get("keep", 0), bool | None):
        raise CommandError("keep is true, false or null")
    return body["keep"]


def tab_in(body: dict[str, Any]) -> str:
    """The name that the page's tab gave itself.

    Raises:
        CommandError: It is no text.
    """
    return text(body.get("tab") or "", "tab")


def text(value: Any, name: str) -> str:
    """A text of bounded length.

    Raises:
        CommandError: It is none.
    """
    if isinstance(value, bool | int | float):
        value = str(value)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise CommandError(f"{name} is a text of at most {LONGEST_TEXT:,} letters")
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
        raise CommandError(f"{name} holds what is no letter")
    return value


def integer(value: Any, name: str) -> int:
    """A whole number from 0.

    Raises:
        CommandError: It is none.
    """
    digits = text(value, name)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise CommandError(f"{name} is a whole number, got {digits[:40]!r}")
    return int(digits)


def _float(value: str, name: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise CommandError(f"{name} is a number, got {value[:40]!r}")
    return number
