"""Shards on disk: their names, whether they are whole, and what their footers say of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from framekit.files import sha256_of
from framekit.manifest.schema import LATER_SHARD, SEGMENT_SHARD, ShardInfo, source_of, uncompacted
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
        self._segments: dict[str, list[str]] = defaultdict(list)
        for path in sorted(root.glob("frames/*.parquet")):
            if segment := SEGMENT_SHARD.fullmatch(path.stem):
                self._segments[segment["source"]].append(path.stem)
        self._files: dict[str, list[str]] = defaultdict(list)
        self._later: dict[str, list[str]] = defaultdict(list)
        for path in sorted(root.glob("pairs/*.parquet")):
            name = uncompacted(path.stem)
            self._files[name].append(path.stem)
            if (later := LATER_SHARD.fullmatch(name)) and name not in self._later[later["source"]]:
                self._later[later["source"]].append(name)
        self._lost = {
            source_of(shard.path) for shard in self._listed.values() if not self._is_as_listed(shard)
        }
        self._whole: dict[str, str | None] = {}

    def is_whole(self, name: str) -> bool:
        """Whether both shards of a segment are there, and whole as far as sizes and the footer tell."""
        return self._pairs_of(name) is not None

    def of(self, source: str) -> list[str]:
        """Names of the segments of a source that count: one for all of it supersedes those of parts."""
        names = [name for name in self._segments[source] if self.is_whole(name)]
        return [name for name in names if _of(name) == 1] or names

    def are_all_there(self, source: str) -> bool:
        """Whether every segment of a source is done, and nothing that is listed of it was lost."""
        names = self.of(source)
        return bool(names) and len(names) == _of(names[0]) and source not in self._lost

    def infos(self, source: str) -> list[ShardInfo]:
        """All shards of a source that count, for dataset.json."""
        infos = []
        for name in self.of(source):
            frames = shard_paths(self._root, name)[0]
            stem = self._pairs_of(name)
            if stem == name and f"pairs/{name}.parquet" not in self._listed:
                pairs = ShardInfo(path=f"pairs/{name}.parquet", **footer_of(frames)["pairs"])
            else:
                pairs = self._info(self._root / "pairs" / f"{stem}.parquet")
            infos += [self._info(frames), pairs]
        return infos + [
            self._info(self._root / "pairs" / f"{stem}.parquet") for stem in self._later_of(source)
        ]

    def later(self, source: str) -> int:
        """Number of the last shard of frames that were wanted back, 0 where there is none."""
        names = (LATER_SHARD.fullmatch(uncompacted(stem)) for stem in self._later_of(source))
        return max((int(name["number"]) for name in names if name), default=0)

    def superseded(self) -> list[Path]:
        """Paths of shards that do not count: others took their place, or have not taken it yet."""
        counts = {name for source in self._segments for name in self.of(source)}
        names = [name for of_source in self._segments.values() for name in of_source]
        gone = [path for name in names if name not in counts for path in shard_paths(self._root, name)]
        stay = {self._pairs_of(name) for name in counts}
        stay |= {stem for source in self._segments for stem in self._later_of(source)}
        for name, stems in self._files.items():
            if name in counts or LATER_SHARD.fullmatch(name):
                gone += [self._root / "pairs" / f"{stem}.parquet" for stem in stems if stem not in stay]
        return gone

    def _pairs_of(self, name: str) -> str | None:
        """The file of pairs of a segment, which may be a compacted one; None where it is not whole."""
        if name not in self._whole:
            self._whole[name] = self._find_pairs_of(name)
        return self._whole[name]

    def _find_pairs_of(self, name: str) -> str | None:
        if self._is_as_listed(self._listed.get(f"frames/{name}.parquet")):
            for stem in self._files.get(name, ()):
                if self._is_as_listed(self._listed.get(f"pairs/{stem}.parquet")):
                    return stem
        return name if _fit(*shard_paths(self._root, name)) else None

    def _later_of(self, source: str) -> list[str]:
        """Files of the frames that were wanted back of a source; none once one of its segments is made again,
        which cuts by the limits of now."""
        if not all(
            self._is_as_listed(self._listed.get(f"frames/{name}.parquet")) for name in self.of(source)
        ):
            return []
        found = []
        for name in self._later.get(source, ()):
            listed = [stem for stem in self._files[name] if f"pairs/{stem}.parquet" in self._listed]
            found += [stem for stem in listed if self._is_as_listed(self._listed[f"pairs/{stem}.parquet"])]
            if not listed and _is_readable(self._root / "pairs" / f"{name}.parquet"):
                found.append(name)
        return found

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


def _is_readable(path: Path) -> bool:
    try:
        return footer_of(path) is not None
    except (OSError, ValueError, pa.ArrowException):
        return False


def _of(name: str) -> int:
    match = SEGMENT_SHARD.fullmatch(name)
    return int(match["of"]) if match else 0
