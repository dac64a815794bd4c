"""What is wrong with the tables beside the shards: decisions, split, scenes; each must fit what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from framekit.errors import FramekitError
from framekit.manifest.decisions import NAME as DECIDED
from framekit.manifest.decisions import RULE, history
from framekit.manifest.reading import SHOTS, SPLIT, Manifest, read_scenes, read_split, split_faults


class Held(NamedTuple):
    """What shards hold: ids, and the sources of which a shard cannot be read."""

    frames: Collection[str]
    pairs: Collection[str]
    hidden_frames: set[str]
    hidden_pairs: set[str]

    def lack_frame(self, id_: str) -> bool:
        """Whether no shard can hold this frame."""
        return id_ not in self.frames and source_in(id_) not in self.hidden_frames

    def lack(self, item: str) -> bool:
        """Whether no shard can hold this frame or pair."""
        known = item in self.frames or item in self.pairs
        hidden = self.hidden_pairs if "#" in item else self.hidden_frames
        return not known and source_in(item) not in hidden


def source_in(item: str) -> str:
    """The source that a frame_id or pair_id names."""
    return item.rpartition(":")[0]


def table_faults(manifest: Manifest, held: Held) -> Iterator[str]:
    """One line for each fault of the tables, each beginning with its file's name.

    Args:
        manifest: The dataset.
        held: What its shards hold.
    """
    sources = {source.id for source in manifest.info.sources}
    yield from (f"{DECIDED}: {fault}" for fault in _decision_faults(manifest, held))
    yield from (f"{SPLIT}: {fault}" for fault in _split_faults(manifest, held))
    yield from (f"{SHOTS}: {fault}" for fault in _scene_faults(manifest.root / SHOTS, sources))


def _decision_faults(manifest: Manifest, held: Held) -> Iterator[str]:
    if not manifest.info.shards and not (manifest.root / DECIDED).exists():
        return  # an extraction that was interrupted before its first decision
    try:
        words = history(manifest.root)
    except FramekitError as error:
        yield error.what
        return
    for item in sorted({word.item for word in words}):
        if held.lack(item) and held.lack(manifest.frame_of(item)):
            yield f"{item}: no frame or pair has this id"
    by_rules = {word.item: word.by for word in words if word.by.startswith(RULE) and word.keep is False}
    for word in words:
        if word.because_of is None:
            continue
        if held.lack_frame(word.because_of):
            yield f"{word.item}: {word.because_of}, which stands for it, is no frame of the dataset"
        elif word.because_of in by_rules:
            rule = by_rules[word.because_of]
            yield f"{word.item}: {word.because_of}, which stands for it, is left out itself by {rule}"


def _split_faults(manifest: Manifest, held: Held) -> Iterator[str]:
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
        if id_ is not None and held.lack_frame(id_):
            yield f"{id_}: no frame has this id"
        if side and side != put:
            yield f"{id_}: stands on the side {side} and was assigned {put or 'none'}"
    yield from (f"{id_}: this frame has no row" for id_ in sorted(set(held.frames).difference(ids)))


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
