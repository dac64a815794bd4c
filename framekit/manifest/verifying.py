"""Verifying a dataset: whole shards, unique ids, pictures that decode, true pairs, tables that fit them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from framekit.errors import printable, shortened
from framekit.manifest.digesting import shard_paths, sum_of
from framekit.manifest.reading import Manifest
from framekit.manifest.schema import FRAMES, PAIRS, DatasetInfo, ShardInfo, source_of
from framekit.manifest.tables import open_table
from framekit.manifest.verifying_rows import (
    Frame,
    Known,
    frame_faults,
    pair_faults,
    picture_faults,
    thumbnail_faults,
)
from framekit.manifest.verifying_tables import Held, source_in, table_faults
from framekit.terminal.progress import Progress

THREADS = 8
"""That decode pictures, at most; each holds a row group."""
UNREADABLE = (OSError, ValueError, pa.ArrowException)
"""What Arrow raises at a damaged file."""


@dataclass
class Findings:
    """What `look_through` found.

    Attributes:
        faults: One line each.
        frames, pairs: Rows that were looked at.
        sums: SHA-256 of every shard as it lies there, by its path; None for those out of reach.
    """

    faults: list[str] = field(default_factory=list)
    frames: int = 0
    pairs: int = 0
    sums: dict[str, str | None] = field(default_factory=dict)


def verify(manifest: Manifest) -> list[str]:
    """Check every shard, row and picture, decisions, split and scenes; all faults found, one line each."""
    return look_through(manifest).faults


def look_through(manifest: Manifest) -> Findings:
    """Look at everything in a dataset's folder; what is found of one shard hides nothing of the others.

    Of rows only ids, and what pairs repeat of their frames, are held.
    """
    look = _Look(manifest)
    total = sum(shard.rows for shard in manifest.info.shards)
    with (
        Progress("verify", total=total, unit="rows") as progress,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        for part in _in_order(pool, look.parts(), ahead=2 * THREADS):
            look.take(part)
            progress.advance(len(part.rows))
    look.conclude()
    return look.findings


class _Part(NamedTuple):
    """A row group of a shard: rows without pictures, each with what is wrong with its pictures.

    Without rows, `fault` says what is wrong with the shard; `lost`, that rows cannot be read.
    """

    path: str
    rows: list[tuple[dict[str, Any], list[str]]]
    fault: str | None = None
    lost: bool = False


class _Look:
    """A look through a dataset, part by part; frames come before pairs."""

    def __init__(self, manifest: Manifest) -> None:
        self.findings = Findings()
        self._manifest = manifest
        self._known = Known.of(manifest.info)
        self._frames: dict[str, Frame] = {}
        self._ids: dict[str, Counter[str]] = {"frames": Counter(), "pairs": Counter()}
        self._sources: dict[str, set[str]] = {}  # by shard, those that its rows name
        self._hidden: dict[str, set[str]] = {"frames": set(), "pairs": set()}

    def parts(self) -> Iterator[Callable[[], _Part]]:
        """What there is to do, in order; other threads may do it."""
        info, root, sums = self._manifest.info, self._manifest.root, self.findings.sums
        why = "" if info.finished else ": the extraction is not finished, run it again"
        for path in sorted({*shard_paths(root)} - {shard.path for shard in info.shards}):
            sums[path] = sum_of(root / path)
            yield _done(_Part(path, [], f"is not listed in dataset.json{why}"))
        for shard in sorted(info.shards, key=lambda shard: shard.path):
            place = root / shard.path
            sums[shard.path] = sum_of(place)
            faults, footer = _looked_over(place, shard, sums[shard.path])
            if faults:
                self._hide(shard.path)
            yield from (_done(_Part(shard.path, [], fault)) for fault in faults)
            for group in range(footer.num_row_groups if footer else 0):
                yield partial(_read, place, footer, shard.path, group, self._known)

    def take(self, part: _Part) -> None:
        """Look at the rows of a part."""
        if part.fault is not None:
            self._add(part.path, part.fault)
        if part.lost:
            self._hide(part.path)
        table = _table_of(part.path)
        sources = self._sources.setdefault(part.path, set())
        for row, of_pictures in part.rows:
            id_ = str(row["pair_id"] if table == "pairs" else row["frame_id"])
            self._ids[table][id_] += 1
            sources.add(str(row["source"]))
            if table == "frames":
                self.findings.frames += 1
                self._frames[id_] = Frame.of(row)
                faults = frame_faults(row, self._known)
            else:
                self.findings.pairs += 1
                faults = self._pair_faults(row)
            for fault in (*faults, *of_pictures):
                self._add(part.path, f"{id_}: {fault}")

    def _pair_faults(self, row: dict[str, Any]) -> Iterator[str]:
        id_ = str(row["frame_id"])
        frame = self._frames.get(id_)
        if frame is None and source_in(id_) not in self._hidden["frames"]:
            yield f"its frame {row['frame_id']} has no row"
        yield from pair_faults(row, self._known, frame)

    def conclude(self) -> None:
        """Look at what only all rows together show."""
        held = Held(self._ids["frames"], self._ids["pairs"], self._hidden["frames"], self._hidden["pairs"])
        for ids in self._ids.values():
            self._add_all(f"{id_}: {count} rows have this id" for id_, count in ids.items() if count > 1)
        self._add_all(self._source_faults())
        self._add_all(f"dataset.json: totals: {fault}" for fault in _total_faults(self._manifest.info))
        self._add_all(table_faults(self._manifest, held))

    def _source_faults(self) -> Iterator[str]:
        info = self._manifest.info
        for path, sources in self._sources.items():
            for id_ in sorted(sources - self._known.fingerprints.keys()):
                yield f"{path}: the source {id_} of its rows is not in dataset.json"
        times = Counter(source.id for source in info.sources)
        for id_, count in times.items():
            if count > 1:
                yield f"dataset.json: sources: {id_} stands there {count} times"
        if not info.finished:
            return  # of some there are no shards yet
        there = set().union(self._hidden["frames"], *self._sources.values())
        for id_ in times:
            if id_ not in there:
                yield f"dataset.json: sources: {id_} has no shard"

    def _hide(self, path: str) -> None:
        """Frames or pairs that are not found may stand in this shard."""
        self._hidden[_table_of(path)].add(source_of(path))

    def _add(self, where: str, fault: str) -> None:
        self._add_all([f"{where}: {fault}"])

    def _add_all(self, faults: Iterable[str]) -> None:
        self.findings.faults += (shortened(printable(fault)) for fault in faults)


def _table_of(path: str) -> str:
    return path.partition("/")[0]


def _done(part: _Part) -> Callable[[], _Part]:
    return lambda: part


def _in_order(
    pool: ThreadPoolExecutor, parts: Iterable[Callable[[], _Part]], *, ahead: int
) -> Iterator[_Part]:
    """What parts give, in their order; at most `ahead` are done or under way before they are asked for."""
    waiting: deque[Future[_Part]] = deque()
    for part in parts:
        waiting.append(pool.submit(part))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _looked_over(path: Path, shard: ShardInfo, found: str | None) -> tuple[list[str], pq.FileMetaData | None]:
    """What is wrong with a shard as a whole, and its footer where its rows can be looked at.

    Args:
        path: Where it lies.
        shard: What was written.
        found: Its SHA-256.
    """
    if not path.exists():
        return ["is missing"], None
    faults = []
    if path.stat().st_size != shard.bytes or found != shard.sha256:
        faults.append("has other bytes than were written")
    try:
        with open_table(path) as file:
            schema, metadata = file.schema_arrow.remove_metadata(), file.metadata
    except UNREADABLE as error:
        return [*faults, f"cannot be read ({_line(error)})"], None
    expected = FRAMES if _table_of(shard.path) == "frames" else PAIRS
    if not schema.equals(expected.remove_metadata()):
        return [*faults, "has other columns than this schema version"], None
    if metadata.num_rows != shard.rows:
        faults.append(f"{metadata.num_rows} rows, not {shard.rows}")
    return faults, metadata


def _read(path: Path, footer: pq.FileMetaData, name: str, group: int, known: Known) -> _Part:
    """Read a row group and look at its pictures."""
    try:
        with open_table(path, footer=footer) as file:
            table = file.read_row_group(group, use_threads=False)
        rows = [_looked_at(row, name, known) for row in table.to_pylist()]
    except UNREADABLE as error:
        return _Part(name, [], f"row group {group} cannot be read ({_line(error)})", lost=True)
    return _Part(name, rows)


def _looked_at(row: dict[str, Any], name: str, known: Known) -> tuple[dict[str, Any], list[str]]:
    """A row without its pictures, and what is wrong with these."""
    if _table_of(name) == "frames":
        faults = thumbnail_faults(_bytes(row.pop("thumbnail")))
    else:
        image, smoothed = _bytes(row.pop("image")), _bytes(row.pop("smoothed"))
        faults = picture_faults(image, smoothed, row["crop_size"], known)
    return row, list(faults)


def _bytes(picture: dict[str, Any] | None) -> bytes | None:
    return picture["bytes"] if picture else None


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _total_faults(info: DatasetInfo) -> Iterator[str]:
    """Totals that contradict the list of shards, or one another."""
    frames = [shard.rows for shard in info.shards if shard.path.startswith("frames/")]
    rows = {"frames": sum(frames), "pairs": sum(shard.rows for shard in info.shards) - sum(frames)}
    totals = info.totals
    sampled, kept = totals.get("frames_sampled"), totals.get("frames_kept")
    if sampled is not None and sampled != rows["frames"]:
        yield f"{sampled} frames_sampled, where the shards have {rows['frames']} rows"
    if kept is not None and not 0 <= kept <= rows["frames"]:
        yield f"{kept} frames_kept, of {rows['frames']}"
    if "pairs" in totals:
        pairs, out = totals["pairs"], totals.get("pairs_left_out", 0)
        if min(pairs, out) < 0 or pairs + out != rows["pairs"]:
            yield f"{pairs} pairs and {out} pairs_left_out, where the shards have {rows['pairs']} rows"
    size = sum(shard.bytes for shard in info.shards)
    if totals.get("bytes", size) != size:
        yield f"{totals['bytes']} bytes, where the shards have {size}"
