"""Shards on disk: their names, whether they are whole, and what their footers say of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from framekit.files import sha256_of
from framekit.manifest.schema import COMPACTED, LATER_SHARD, SEGMENT_SHARD, ShardInfo, uncompacted
from framekit.manifest.tables import read_footer


def shard_paths(root: Path, name: str) -> tuple[Path, Path]:
    """Paths of the frames shard and the pairs shard of a segment by its name."""
    return root / "frames" / f"{name}.parquet", root / "pairs" / f"{name}.parquet"


def footer_of(path: Path) -> dict[str, Any]:
    """What a shard's writer put into its footer.

    Raises:
        OSError, ArrowException, ValueError: It cannot be read.
    """
    raw = (read_footer(path).metadata or {}).get(b"framekit", b"{}")
    facts: dict[str, Any] = json.loads(raw)
    return facts


class Shards:
    """The shards that a dataset's folder holds, as they were when this was made.

    Args:
        root: The dataset's folder.
        listed: Shards that dataset.json lists: where their sizes are right, nothing has to be read, and what
            is listed is never measured anew, else damage that came since would be taken for what was written.
    """

    def __init__(self, root: Path, listed: Iterable[ShardInfo]) -> None:
        self._root = root
        self._listed = {shard.path: shard for shard in listed}
        self._pairs = {
            uncompacted(Path(path).stem): shard
            for path, shard in self._listed.items()
            if path.startswith("pairs/")
        }
        self._segments: dict[str, list[str]] = defaultdict(list)
        self._later: dict[str, list[str]] = defaultdict(list)
        for path in sorted(root.glob("frames/*.parquet")):
            if name := SEGMENT_SHARD.fullmatch(path.stem):
                self._segments[name["source"]].append(path.stem)
        for path in sorted(root.glob("pairs/*.parquet")):
            if name := LATER_SHARD.fullmatch(uncompacted(path.stem)):
                self._later[name["source"]].append(path.stem)

    def is_whole(self, name: str) -> bool:
        """Whether both shards of a segment are there, and whole as far as sizes and the footer tell."""
        frames, pairs = shard_paths(self._root, name)
        return (
            self._is_as_listed(self._listed.get(f"frames/{name}.parquet"))
            and self._is_as_listed(self._pairs.get(name))
        ) or _fit(frames, pairs)

    def of(self, source: str) -> list[str]:
        """Names of the segments of a source that count: one for all of it supersedes those of parts."""
        names = [name for name in self._segments[source] if self.is_whole(name)]
        return [name for name in names if _of(name) == 1] or names

    def are_all_there(self, source: str) -> bool:
        """Whether every segment of a source, by its id, is done."""
        names = self.of(source)
        return bool(names) and len(names) == _of(names[0])

    def infos(self, source: str) -> list[ShardInfo]:
        """All shards of a source that count, for dataset.json."""
        infos = []
        for name in self.of(source):
            frames = shard_paths(self._root, name)[0]
            infos.append(self._info(frames))
            listed = self._pairs.get(name)
            written = ShardInfo(path=f"pairs/{name}.parquet", **footer_of(frames)["pairs"])
            infos.append(listed if listed is not None and self._is_as_listed(listed) else written)
        return infos + [self._info(self._root / "pairs" / f"{name}.parquet") for name in self._later[source]]

    def later(self, source: str) -> int:
        """Number of the last shard of frames that were wanted back, 0 where there is none."""
        names = (LATER_SHARD.fullmatch(uncompacted(name)) for name in self._later[source])
        return max((int(name["number"]) for name in names if name), default=0)

    def superseded(self) -> Iterator[Path]:
        """Paths of shards that do not count: others took their place, or have not taken it yet."""
        for source, names in self._segments.items():
            counts = set(self.of(source))
            for name in names:
                if name not in counts:
                    yield from shard_paths(self._root, name)
        for path in sorted(self._root.glob("pairs/*.parquet")):
            listed = self._pairs.get(uncompacted(path.stem))
            stands_in = listed is not None and COMPACTED.fullmatch(Path(listed.path).stem)
            if f"pairs/{path.name}" not in self._listed and (stands_in or COMPACTED.fullmatch(path.stem)):
                yield path

    def _is_as_listed(self, shard: ShardInfo | None) -> bool:
        try:
            return shard is not None and (self._root / shard.path).stat().st_size == shard.bytes
        except OSError:
            return False

    def _info(self, path: Path) -> ShardInfo:
        name = f"{path.parent.name}/{path.name}"
        listed = self._listed.get(name)
        if listed is not None and self._is_as_listed(listed):
            return listed
        rows, size = read_footer(path).num_rows, path.stat().st_size
        return ShardInfo(path=name, rows=rows, bytes=size, sha256=sha256_of(path))


def _fit(frames: Path, pairs: Path) -> bool:
    try:
        return bool(pairs.stat().st_size == footer_of(frames)["pairs"]["bytes"])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return False


def _of(name: str) -> int:
    match = SEGMENT_SHARD.fullmatch(name)
    return int(match["of"]) if match else 0
