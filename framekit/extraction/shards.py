"""Shards on disk: their names, whether they are whole, and what their footers say of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from framekit.files import sha256_of
from framekit.manifest.schema import SEGMENT_SHARD, ShardInfo


def shard_paths(root: Path, name: str) -> tuple[Path, Path]:
    """Paths of the frames shard and the pairs shard of a segment by its name."""
    return root / "frames" / f"{name}.parquet", root / "pairs" / f"{name}.parquet"


def footer_of(path: Path) -> dict[str, Any]:
    """What `extract_segment` wrote into the footer of a frames shard.

    Raises:
        OSError, ArrowException, ValueError: It cannot be read.
    """
    raw = (pq.read_metadata(path).metadata or {}).get(b"framekit", b"{}")
    facts: dict[str, Any] = json.loads(raw)
    return facts


class Shards:
    """The shards of segments that a dataset's folder holds, as they were when this was made.

    Args:
        root: The dataset's folder.
        listed: Shards that dataset.json lists: where their sizes are right, nothing has to be read.
    """

    def __init__(self, root: Path, listed: Iterable[ShardInfo]) -> None:
        self._root = root
        self._bytes = {shard.path: shard.bytes for shard in listed}
        self._names: dict[str, list[str]] = defaultdict(list)
        for path in sorted(root.glob("frames/*.parquet")):
            if name := SEGMENT_SHARD.fullmatch(path.stem):
                self._names[name["source"]].append(path.stem)

    def is_whole(self, name: str) -> bool:
        """Whether both shards of a segment are there, and whole as far as sizes and the footer tell."""
        frames, pairs = shard_paths(self._root, name)
        try:
            sizes = [path.stat().st_size for path in (frames, pairs)]
            if sizes == [self._bytes.get(f"{path.parent.name}/{path.name}") for path in (frames, pairs)]:
                return True
            return bool(sizes[1] == footer_of(frames)["pairs"]["bytes"])
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return False

    def of(self, source: str) -> list[str]:
        """Names of the shards of a source that count: one for all of it supersedes those of parts."""
        names = [name for name in self._names[source] if self.is_whole(name)]
        return [name for name in names if _of(name) == 1] or names

    def are_all_there(self, source: str) -> bool:
        """Whether every segment of a source, by its id, is done."""
        names = self.of(source)
        return bool(names) and len(names) == _of(names[0])

    def superseded(self, source: str) -> Iterator[Path]:
        """Paths of a source's shards that do not count."""
        counts = set(self.of(source))
        for name in self._names[source]:
            if name not in counts:
                yield from shard_paths(self._root, name)


def shard_infos(path: Path, facts: dict[str, Any], known: dict[str, ShardInfo]) -> list[ShardInfo]:
    """The frames shard at `path` and its pairs shard; what is `known` already is never measured anew.

    Else damage that came since would be taken for what was written.
    """
    name, size = f"frames/{path.name}", path.stat().st_size
    frames = known.get(name)
    if frames is None or frames.bytes != size:
        rows = pq.read_metadata(path).num_rows
        frames = ShardInfo(path=name, rows=rows, bytes=size, sha256=sha256_of(path))
    return [frames, ShardInfo(path=f"pairs/{path.name}", **facts["pairs"])]


def _of(name: str) -> int:
    match = SEGMENT_SHARD.fullmatch(name)
    return int(match["of"]) if match else 0
