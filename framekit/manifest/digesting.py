"""The digest of a dataset as it lies there: equal for equal content, whenever it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from framekit.errors import FramekitError
from framekit.files import sha256_of
from framekit.manifest.decisions import NAME as DECIDED
from framekit.manifest.decisions import history
from framekit.manifest.reading import SHOTS, SPLIT, read_info, read_scenes, read_split

COSTS = ("spent",)
"""Keys of dataset.json that say what it cost, not what it is."""
ROWS_AT_ONCE = 10_000


def digest(root: Path, *, sums: Mapping[str, str | None] | None = None) -> str:
    """64 hexadecimal digits for the content of the dataset in folder `root`, read from its files.

    SHA-256 over all shards (path and SHA-256 of each as it lies there, listed or not), the rows of decisions,
    split and scenes, and dataset.json. When something was decided and what the dataset cost to make are left
    out. A table that cannot be read counts by its bytes.

    Args:
        root: The dataset's folder.
        sums: From `shard_sums`, where they are known already.

    Raises:
        ManifestError: dataset.json is not there or damaged.
    """
    read_info(root)
    papers = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    whole = hashlib.sha256()
    for part in _parts(root, papers, shard_sums(root) if sums is None else sums):
        whole.update(json.dumps(part, sort_keys=True).encode() + b"\n")
    return whole.hexdigest()


def shard_paths(root: Path) -> list[str]:
    """Paths in the dataset of all files that lie where shards belong, sorted."""
    found = (path for folder in ("frames", "pairs") for path in (root / folder).glob("*.parquet"))
    return sorted(f"{path.parent.name}/{path.name}" for path in found)


def shard_sums(root: Path) -> dict[str, str | None]:
    """SHA-256 of all files that lie where shards belong, by their paths; None for those out of reach."""
    return {path: sum_of(root / path) for path in shard_paths(root)}


def sum_of(path: Path) -> str | None:
    """SHA-256 of a file's bytes; None where it cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return None


def _parts(root: Path, papers: dict[str, Any], sums: Mapping[str, str | None]) -> Iterator[Any]:
    yield ["shards", sorted((path, found) for path, found in sums.items() if found is not None)]
    for name, rows_of in _TABLES.items():
        yield ["table", name]
        try:
            yield from rows_of(root) if (root / name).exists() else ["is missing"]
        except FramekitError:
            yield ["damaged", sum_of(root / name)]
    yield ["dataset.json", {name: value for name, value in papers.items() if name not in COSTS}]


def _decided(root: Path) -> Iterable[list[Any]]:
    """Without the time. What was said of one item stays in its order: the last word counts."""
    rows = (list(word._replace(at=None)) for word in history(root))
    return sorted(rows, key=lambda row: str(row[0]))


def _split(root: Path) -> Iterator[list[Any]]:
    return _sorted_rows(read_split(root / SPLIT))


def _scenes(root: Path) -> Iterator[list[Any]]:
    return _sorted_rows(read_scenes(root / SHOTS))


def _sorted_rows(table: pa.Table | None) -> Iterator[list[Any]]:
    if table is None:
        return
    for batch in table.sort_by([(name, "ascending") for name in table.column_names]).to_batches(ROWS_AT_ONCE):
        yield from (list(row.values()) for row in batch.to_pylist())


_TABLES: dict[str, Callable[[Path], Iterable[list[Any]]]] = {
    DECIDED: _decided,
    SPLIT: _split,
    SHOTS: _scenes,
}
