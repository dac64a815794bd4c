"""Decisions: what is left out of the dataset and why, beside shards that never change.

Rules decide anew whenever they are asked to; what persons said is a history that only grows. Of an item
the last word of a person counts, whatever rules say. Where no person spoke, or where that word was taken
back, the last word of a rule counts; where none spoke either, the item is in. A frame's word and its pairs'
words stand beside each other: a pair is in when neither it nor its frame is left out, so to keep a frame
does not bring back a pair of it that someone left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from framekit.errors import CommandError, FramekitError, printable
from framekit.manifest.schema import DECISIONS
from framekit.manifest.tables import read_table
from framekit.manifest.writing import write_table
from framekit.storage import locks
from framekit.storage.paths import path_of

if TYPE_CHECKING:
    from framekit.manifest.reading import Manifest

NAME = "decisions.parquet"
LOCK = NAME + ".lock"
"""Held while decisions are read, changed and put back; the file stays, the lock ends with its process."""
PATIENCE = locks.PATIENCE
"""Seconds to wait for others who write decisions."""
LockedError = locks.LockedError
RULE = "rule:"
SHOWN = 3
"""Unknown ids that an error names."""
LARGEST = 256 << 20
"""Bytes of a file of decisions that comes from elsewhere."""


class Dropped(NamedTuple):
    """Why an item is left out, and the frame that stands for it where it is a near-duplicate."""

    reason: str
    because_of: str | None


class Decision(NamedTuple):
    """One row of decisions.parquet.

    Attributes:
        item: A frame_id or a pair_id.
        keep: Whether it stays in; None takes back what persons said of it.
        reason: Why.
        by: `rule:<name>` or a person.
        because_of: The frame that stands for it, for near-duplicates.
        at: When, in UTC; None for rules, which follow from the data alone.
    """

    item: str
    keep: bool | None
    reason: str
    by: str
    because_of: str | None
    at: datetime | None


def drop(item: str, reason: str, *, by: str, because_of: str | None = None) -> dict[str, Any]:
    """A decision row that leaves a frame or a pair out.

    Args:
        item: A frame_id or pair_id.
        reason: Why, in a word or two; counted in summaries.
        by: `rule:<name>` or a person.
        because_of: The frame_id that stands for it, for near-duplicates.
    """
    return {"item": item, "keep": False, "reason": reason, "by": by, "because_of": because_of, "at": None}


def decide(root: str | Path, items: Iterable[str], *, keep: bool | None, reason: str, by: str) -> None:
    """Put down what a person decides about frames and pairs of the dataset in folder `root`; all or nothing.

    Args:
        root: The dataset's folder.
        items: frame_ids, each with all its pairs, and pair_ids.
        keep: False leaves them out, True keeps them whatever rules say, None takes back what persons said.
        reason: Why; may be empty.
        by: Who.

    Raises:
        CommandError: `by` is empty or a rule's name, or the dataset does not hold one of the items.
        FramekitError: Somebody else holds the lock for too long, or the dataset or its decisions cannot be
            read or written.
    """
    root, who = path_of(root), person(by)
    wanted = list(dict.fromkeys(items))
    _refuse_unknown(root, wanted)
    now = datetime.now(UTC)
    words = [Decision(item, keep, printable(reason), who, None, now) for item in wanted]
    add_words(root / NAME, lambda _: words)


def add_words(path: Path, words_after: Callable[[pa.Table], Sequence[Decision]]) -> None:
    """Put words at the end of a file of decisions, which may hang on what it holds by then; all or nothing.

    What they are about is not looked at; `decide` does that.

    Args:
        path: A dataset's decisions.parquet, or a file of words that are kept apart.
        words_after: Gives the words to add, all of persons, when told what the file holds; while it is asked
            nobody else writes.

    Raises:
        FramekitError: Somebody else holds the lock for too long, or the file cannot be read or written.
    """
    with locked_file(path):
        table = read_words(path)
        put_at_end(path, table, words_after(table))


@contextmanager
def locked_file(path: Path, *, patience: float | None = None) -> Iterator[None]:
    """Keep everybody else from writing the file of decisions at `path`.

    Raises:
        LockedError: Somebody else holds the lock for longer than `patience` seconds, `PATIENCE` by default.
        FramekitError: The folder cannot be written to.
    """
    with locked(path.parent, path.name + ".lock", patience=patience):
        yield


def put_at_end(path: Path, table: pa.Table, words: Sequence[Decision]) -> pa.Table:
    """Write a file of decisions that holds `table` and then `words`, and give that; for who holds its lock.

    Raises:
        FramekitError: It cannot be written: then it is as it was.
    """
    if not words:
        return table
    rows = pa.Table.from_pylist([word._asdict() for word in words], DECISIONS)
    table = pa.concat_tables([table, rows]).combine_chunks()
    try:
        write_table(path, table)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error).splitlines()[0]
        raise FramekitError(f"cannot be written ({why})", where=path) from error
    return table


def add_from(root: Path, file: Path) -> int:
    """Put the words of persons in `file` into the dataset in folder `root`, but for those that it has.

    Args:
        root: The dataset's folder.
        file: Words that were kept apart, as by `framekit review --decisions`.

    Returns:
        How many were added.

    Raises:
        CommandError: There is no such file, it is larger than any such file is, or the dataset does not hold
            what a word is about.
        FramekitError: The file or the dataset's decisions cannot be read or written.
    """
    if not file.is_file():
        raise CommandError("no such file", where=file)
    if file.stat().st_size > LARGEST:
        raise CommandError(f"larger than {LARGEST >> 20} MB: no file of decisions", where=file)
    table = read_words(file)
    words = list(_rows(table.filter(pc.invert(_of_rules(table)))))
    _refuse_unknown(root, dict.fromkeys(word.item for word in words))
    added: list[Decision] = []

    def new(there: pa.Table) -> list[Decision]:
        known = set(_rows(there.filter(pc.invert(_of_rules(there)))))
        added.extend(word for word in words if word not in known)
        return added

    add_words(root / NAME, new)
    return len(added)


def _refuse_unknown(root: Path, items: Iterable[str]) -> None:
    from framekit.manifest.reading import open_manifest  # which needs this module itself

    unknown = open_manifest(root).unknown(items)
    if unknown:
        more = f" and {len(unknown) - SHOWN:,} more" if len(unknown) > SHOWN else ""
        what = f"no frame or pair of this dataset: {', '.join(unknown[:SHOWN])}{more}; nothing was decided"
        raise CommandError(what, where=root)


def person(by: str) -> str:
    """A person's name as it is put down.

    Raises:
        CommandError: It is empty or a rule's name.
    """
    who = printable(by.strip())
    if not who or who.startswith(RULE):
        raise CommandError(f"a person's name is needed, and not one that begins with {RULE}", where=by)
    return who


def write_rules(root: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Put what rules decide in the place of what they decided before; what persons said stays.

    The file's bytes follow from `rows` and from persons' history alone: rules' rows are ordered by item,
    those about one item as they came.

    Args:
        root: The dataset's folder.
        rows: Rows made by `drop`, by `rule:<name>` each.

    Raises:
        FramekitError: Somebody else holds the lock for too long, or decisions that are there cannot be read.
    """
    rules = pa.Table.from_pylist(sorted(rows, key=lambda row: row["item"]), DECISIONS)
    if not pc.all(_of_rules(rules), min_count=0).as_py():
        raise ValueError(f"a rule's name begins with {RULE}")
    with locked(root):
        write_table(root / NAME, pa.concat_tables([rules, *_of_people(root)]))


def dropped(root: Path) -> dict[str, Dropped]:
    """Items left out of the dataset in folder `root`, and why.

    Raises:
        FramekitError: decisions.parquet is missing or cannot be read.
    """
    words = state(root).items()
    return {item: Dropped(word.reason, word.because_of) for item, word in words if not word.keep}


def state(root: str | Path) -> dict[str, Decision]:
    """The word that counts for each item of which there is one, in the dataset in folder `root`.

    Raises:
        FramekitError: decisions.parquet is missing or cannot be read.
    """
    table = _read(path_of(root))
    of_rules = _of_rules(table)
    words = {word.item: word for word in _rows(table.filter(of_rules))}
    said = {word.item: word for word in _rows(table.filter(pc.invert(of_rules)))}
    words |= {item: word for item, word in said.items() if word.keep is not None}
    return {item: word for item, word in words.items() if word.keep is not None}


def history(root: str | Path, item: str | None = None) -> list[Decision]:
    """All that was decided in the dataset in folder `root`, or about one item, oldest first.

    Rules come first: their words have no time, and only the newest are there.

    Raises:
        FramekitError: decisions.parquet is missing or cannot be read.
    """
    table = _read(path_of(root))
    if item is not None:
        try:
            table = table.filter(pc.equal(table["item"], pa.scalar(item, pa.string())))
        except UnicodeEncodeError:  # a command line may give bytes that no file holds as text
            return []
    of_rules = _of_rules(table)
    return [*_rows(table.filter(of_rules)), *_rows(table.filter(pc.invert(of_rules)))]


def unknown_items(manifest: Manifest) -> list[str]:
    """Items of which decisions.parquet speaks and which the dataset does not hold, sorted; they do nothing.

    Raises:
        FramekitError: decisions.parquet or a shard cannot be read.
    """
    if not manifest.info.shards and not (manifest.root / NAME).exists():
        return []  # an extraction that was interrupted before its first decision
    return sorted(manifest.unknown(pc.unique(_read(manifest.root)["item"]).drop_null().to_pylist()))


def by_people(root: Path) -> list[dict[str, Any]]:
    """Decision rows that persons made in the dataset in folder `root`, oldest first; rules are left out.

    Raises:
        FramekitError: decisions.parquet cannot be read.
    """
    return [row for table in _of_people(root) for row in table.to_pylist()]


@contextmanager
def locked(root: Path, name: str = LOCK, *, patience: float | None = None) -> Iterator[None]:
    """Keep everybody else from writing decisions in folder `root`; readers need no lock.

    Args:
        root: The dataset's folder.
        name: Of the lock's file, for what else is read, changed and put back.
        patience: Seconds to wait for others; `PATIENCE` by default.

    Raises:
        LockedError: Somebody else holds it for too long.
        FramekitError: The folder cannot be written to.
    """
    with locks.locked(root / name, patience=PATIENCE if patience is None else patience):
        yield


def _of_people(root: Path) -> list[pa.Table]:
    if not (root / NAME).exists():
        return []
    table = _read(root)
    return [table.filter(pc.invert(_of_rules(table)))]


def _of_rules(table: pa.Table) -> pa.ChunkedArray:
    return pc.fill_null(pc.starts_with(table["by"], RULE), False)


def _rows(table: pa.Table) -> Iterator[Decision]:
    return map(Decision._make, zip(*(column.to_pylist() for column in table.columns), strict=True))


def _read(root: Path) -> pa.Table:
    return read_words(root / NAME)


def read_words(path: Path) -> pa.Table:
    """A file of decisions as `schema.DECISIONS`.

    Raises:
        FramekitError: It is missing or cannot be read.
    """
    try:
        table = read_table(path).select(DECISIONS.names).cast(DECISIONS)
        if table["item"].null_count or table["by"].null_count:
            raise ValueError("rows without an item, or without who decided")
        return table
    except FileNotFoundError:
        advice = "run the same framekit extract again: it writes the rules' decisions anew"
        raise FramekitError("is missing", where=path, advice=advice) from None
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        advice = "move it away and run the same framekit extract again: it writes the rules' decisions anew"
        raise FramekitError(
            f"cannot be read ({str(error).splitlines()[0]})", where=path, advice=advice
        ) from error
