"""Command lines that do what a report advises, ready to be pasted into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from framekit.audit.rows import Rows
from framekit.errors import printable
from framekit.options import WAYS_TO_SAMPLE, ExtractOptions, Limits
from framekit.terminal.flags import flag_name

MOST_SOURCES = 40
"""Sources that a command names; of more it names their folders."""


def dedup(rows: Rows, *, leave_out: str | None = None, distance: int | None = None) -> str:
    """Leave out more by a rule, beside what rules leave out already, or near-duplicates by a distance."""
    words = ["framekit", "dedup", place(rows)]
    if distance is not None:
        words += ["--distance", str(distance)]
    if leave_out is not None:
        for rule in dict.fromkeys([*rows.options.leave_out, leave_out]):
            words += ["--leave-out", _quoted(rule)]
    return " ".join(words)


def extract_again(rows: Rows) -> str:
    """Go on with the extraction that made the dataset."""
    return " ".join(["framekit extract", *_sources(rows), "--out", place(rows), *_flags(rows, {})])


def extract_more(rows: Rows, what: str) -> str:
    """Add sources, which stand as a word in capitals."""
    return " ".join(["framekit extract", what, "--out", place(rows), *_flags(rows, {})])


def extract_anew(rows: Rows, name: str, changes: Mapping[str, Any]) -> str:
    """Make another dataset of the same sources, with other options.

    Args:
        rows: The dataset.
        name: Goes behind its name.
        changes: Options; None goes back to the default.
    """
    out = str(rows.root).rstrip("/") + name
    return " ".join(["framekit extract", *_sources(rows), "--out", _quoted(out), *_flags(rows, changes)])


def place(rows: Rows) -> str:
    """The dataset's folder as a word of a command line."""
    return _quoted(str(rows.root))


def command(*words: object) -> str:
    """A command line of words that are quoted where they need it."""
    return " ".join(_quoted(str(word)) for word in words)


def _sources(rows: Rows) -> list[str]:
    paths = [source.path for source in rows.manifest.info.sources]
    if len(paths) > MOST_SOURCES:
        paths = list(dict.fromkeys(str(PurePath(path).parent) for path in paths))
    return [_quoted(f"./{path}" if path.startswith("-") else path) for path in paths] or ["FILMS"]


def _flags(rows: Rows, changes: Mapping[str, Any]) -> list[str]:
    """The options that are not as they are by default; limits stay as a dataset has them."""
    options = rows.options.model_dump() | dict(changes)
    if not changes:
        options |= dict.fromkeys(Limits.model_fields)
    if any(changes.get(way) for way in WAYS_TO_SAMPLE):
        options |= {way: None for way in WAYS_TO_SAMPLE if not changes.get(way)}
        options["pictures_per_scene"] = None
    flags: list[str] = []
    for name, field in ExtractOptions.model_fields.items():
        value = options.get(name)
        if value is not None and value != field.default and value not in ([], ()):
            flags += _flag(flag_name(name), value)
    return flags


def _flag(flag: str, value: Any) -> Iterable[str]:
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, list | tuple):
        return [word for each in value for word in (flag, _quoted(str(each)))]
    return [flag, _quoted(str(value))]


def _quoted(word: str) -> str:
    """As a shell takes it; what no terminal shows as bash's escapes for its bytes."""
    if printable(word) == word:
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(letter: str) -> str:
    if letter in "\\'":
        return f"\\{letter}"
    if printable(letter) == letter:
        return letter
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))
