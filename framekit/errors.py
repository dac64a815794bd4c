"""Errors that a user can act on: what is wrong, where, and what to do about it."""

from __future__ import annotations

import errno
import os

LONGEST = 2_000
"""Letters of what is wrong that are shown: it may quote what a stranger's file holds."""


def printable(value: object) -> str:
    """Text of `value` that is safe on a terminal and stays on one line.

    File names come from strangers: control characters, line breaks, direction marks and undecodable
    bytes are shown as escapes.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text
    )


def shortened(text: str) -> str:
    """A line that is not longer than anyone reads."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def reason_of(error: OSError) -> str:
    """What the system says is wrong, in its own words and without the file: `No space left on device`.

    Libraries put more around it, or have numbers of their own.
    """
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno)
    return error.strerror or str(error)


class FramekitError(Exception):
    """Something a user should know about, as one line.

    Args:
        what: What is wrong, without a full stop.
        where: The file, option or field it is about.
        advice: What to do about it, as a sentence without a full stop.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: object = None, advice: str = "") -> None:
        super().__init__(what, where, advice)
        self.what, self.where, self.advice = what, where, advice

    def __str__(self) -> str:
        place = f"{printable(self.where)}: " if self.where is not None else ""
        advice = f". {printable(self.advice)}" if self.advice else ""
        return f"{place}{shortened(printable(self.what))}{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling between processes.
        return _rebuild, (type(self), self.what, self.where, self.advice)


def _rebuild(kind: type[FramekitError], what: str, where: object, advice: str) -> FramekitError:
    return kind(what, where=where, advice=advice)


class CommandError(FramekitError):
    """The command itself was wrong: an option, a value, a path that is not there."""

    exit_code = 2
