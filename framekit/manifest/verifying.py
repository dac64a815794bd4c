"""Verifying a dataset: whole shards, unique ids, pictures that decode, true pairs, tables that fit them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from framekit.errors import FramekitError, printable
from framekit.files import sha256_of
from framekit.images.edges import smooth_edges
from framekit.images.encoding import decode
from framekit.manifest.decisions import NAME as DECIDED
from framekit.manifest.decisions import RULE, history, unknown_items
from framekit.manifest.reading import SHOTS, SPLIT, Manifest, read_scenes, read_split, split_faults
from framekit.manifest.schema import FRAMES, PAIRS, ShardInfo
from framekit.terminal.progress import Progress

SMOOTHING_TOLERANCE = 1
"""Grey levels by which a stored smoothed crop may differ from smoothing its crop (lossless encodings)."""


class _Frames(NamedTuple):
    """The frames that shards hold: their ids, and sources of which a shard cannot be read."""

    ids: set[str]
    hidden: set[str]

    def lack(self, id_: str) -> bool:
        """Whether no shard can hold this frame."""
        return id_ not in self.ids and id_.rpartition(":")[0] not in self.hidden


def verify(manifest: Manifest) -> list[str]:
    """Check every shard, row and picture, decisions, split and scenes; all faults found, one line each."""
    faults = [f"{path}: is not listed in dataset.json" for path in _unlisted(manifest)]
    ids: Counter[str] = Counter()
    frames = _Frames(set(), set())
    known = {source.id for source in manifest.info.sources}
    lossless = manifest.info.options.get("encoding") == "png"
    total = sum(shard.rows for shard in manifest.info.shards)
    with Progress("verify", total=total, unit="rows") as progress:
        for shard in sorted(manifest.info.shards, key=lambda shard: shard.path):  # frames before pairs
            path = manifest.root / shard.path
            broken = _shard_fault(path, shard)
            if broken:
                faults.append(f"{shard.path}: {broken}")
                if shard.path.startswith("frames/"):
                    frames.hidden.add(path.name.rpartition("-")[0])
                continue
            for row in _rows(path):
                id_ = str(row["pair_id"] if "pair_id" in row else row["frame_id"])
                ids[id_] += 1
                if "pair_id" not in row:
                    frames.ids.add(id_)
                elif row["frame_id"] not in frames.ids:
                    faults.append(f"{shard.path}: {id_}: its frame {row['frame_id']} has no row")
                if row["source"] not in known:
                    faults.append(f"{shard.path}: {id_}: its source {row['source']} is not in dataset.json")
                faults += [f"{shard.path}: {fault}" for fault in _row_faults(row, lossless)]
                progress.advance()
    faults += [f"{id_}: {count} rows have this id" for id_, count in ids.items() if count > 1]
    faults += [f"{DECIDED}: {fault}" for fault in _decision_faults(manifest, frames)]
    faults += [f"{SPLIT}: {fault}" for fault in _split_faults(manifest, frames)]
    faults += [f"{SHOTS}: {fault}" for fault in _scene_faults(manifest.root / SHOTS, known)]
    return [printable(fault) for fault in faults]


def _decision_faults(manifest: Manifest, frames: _Frames) -> Iterator[str]:
    if not manifest.info.shards and not (manifest.root / DECIDED).exists():
        return  # an extraction that was interrupted before its first decision
    try:
        words = history(manifest.root)
    except FramekitError as error:
        yield error.what
        return
    yield from (f"{item}: no frame or pair has this id" for item in _unknown(manifest))
    by_rules = {word.item: word.by for word in words if word.by.startswith(RULE) and word.keep is False}
    for word in words:
        if word.because_of is None:
            continue
        if frames.lack(word.because_of):
            yield f"{word.item}: {word.because_of}, which stands for it, is no frame of the dataset"
        elif word.because_of in by_rules:
            rule = by_rules[word.because_of]
            yield f"{word.item}: {word.because_of}, which stands for it, is left out itself by {rule}"


def _unknown(manifest: Manifest) -> list[str]:
    try:
        return unknown_items(manifest)
    except FramekitError:  # a shard that cannot be read is listed already
        return []


def _split_faults(manifest: Manifest, frames: _Frames) -> Iterator[str]:
    try:
        table = read_split(manifest.root / SPLIT)
    except FramekitError as error:
        yield error.what
        return
    if table is None:
        if manifest.info.split:
            yield "is missing"
        return
    yield from split_faults(table)
    ids, sides, assigned = (column.to_pylist() for column in table.columns)
    for id_, side, put in zip(ids, sides, assigned, strict=True):
        if id_ is not None and frames.lack(id_):
            yield f"{id_}: no frame has this id"
        if side and side != put:
            yield f"{id_}: stands on the side {side} and was assigned {put or 'none'}"
    yield from (f"{id_}: this frame has no row" for id_ in sorted(frames.ids.difference(ids)))


def _scene_faults(path: Path, sources: set[str]) -> Iterator[str]:
    try:
        rows = read_scenes(path).to_pylist()
    except FramekitError as error:
        yield error.what
        return
    numbers: Counter[str] = Counter()
    free: Counter[str] = Counter()  # the frame from which on a source's next shot may begin
    for row in rows:
        if None in row.values():
            yield f"a row says nothing of {', '.join(name for name, value in row.items() if value is None)}"
            continue
        source, scene, start, stop = row.values()
        if source not in sources and source not in numbers:
            yield f"{source}: this source is not in dataset.json"
        if scene != numbers[source]:
            yield f"{source}: shot {scene} stands where shot {numbers[source]} belongs"
        if start < free[source]:
            yield f"{source}: shot {scene} begins with frame {start}; the earliest free one is {free[source]}"
        if stop <= start:
            yield f"{source}: shot {scene} is empty: from frame {start} up to {stop}"
        numbers[source] += 1
        free[source] = max(free[source], stop)


def digest_of(manifest: Manifest) -> str | None:
    """The dataset's digest; None where its decisions cannot be read, which `verify` says."""
    try:
        return manifest.digest
    except FramekitError:
        return None


def _unlisted(manifest: Manifest) -> list[str]:
    listed = {shard.path for shard in manifest.info.shards}
    present = (f"{path.parent.name}/{path.name}" for path in manifest.root.glob("*/*.parquet"))
    return sorted(path for path in present if path.startswith(("frames/", "pairs/")) and path not in listed)


def _shard_fault(path: Path, shard: ShardInfo) -> str | None:
    if not path.exists():
        return "is missing"
    if path.stat().st_size != shard.bytes or sha256_of(path) != shard.sha256:
        return "has other bytes than were written"
    schema = FRAMES if shard.path.startswith("frames/") else PAIRS
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        return f"cannot be read ({str(error).splitlines()[0]})"
    if not file.schema_arrow.remove_metadata().equals(schema.remove_metadata()):
        return "has other columns than this schema version"
    return (
        None if file.metadata.num_rows == shard.rows else f"{file.metadata.num_rows} rows, not {shard.rows}"
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    file = pq.ParquetFile(path)
    for group in range(file.metadata.num_row_groups):
        yield from file.read_row_group(group).to_pylist()


def _row_faults(row: dict[str, Any], lossless: bool) -> Iterator[str]:
    if "pair_id" not in row:
        yield from _picture_fault(row["frame_id"], "thumbnail", row["thumbnail"])
        return
    id_, size = row["pair_id"], row["crop_size"] or 0
    yield from _picture_fault(id_, "image", row["image"], size)
    if row["smoothed"] is not None:
        fault = next(_picture_fault(id_, "smoothed", row["smoothed"], size), None)
        if fault:
            yield fault
        elif lossless and not _smoothing_holds(row):
            yield f"{id_}: smoothed is not the crop with its edges smoothed"


def _picture_fault(
    id_: str, name: str, picture: dict[str, Any] | None, size: int | None = None
) -> Iterator[str]:
    try:
        image = decode(picture["bytes"] if picture else None)
    except FramekitError:
        yield f"{id_}: {name} is no picture"
        return
    if size is not None and image.shape[:2] != (size, size):
        yield f"{id_}: {name} is {image.shape[1]}×{image.shape[0]}, not {size}×{size}"


def _smoothing_holds(row: dict[str, Any]) -> bool:
    try:
        expected = smooth_edges(decode(row["image"]["bytes"]))
    except FramekitError:
        return True  # said already of the image itself
    stored = decode(row["smoothed"]["bytes"])
    if stored.shape != expected.shape:
        return False
    return int(np.abs(stored.astype(np.int16) - expected).max()) <= SMOOTHING_TOLERANCE
