"""Shards on disk: their names, whether they are whole, and what their footers say of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from framekit.errors import CommandError
from framekit.files import sha256_of
from framekit.manifest.reading import ManifestError, damaged_shard
from framekit.manifest.schema import LATER_SHARD, SEGMENT_SHARD, ShardInfo, source_of, uncompacted
from framekit.manifest.tables import read_footer
from framekit.storage.paths import sizes_in
from framekit.validating import validated

SUFFIX = ".parquet"


def shard_paths(root: Path, name: str) -> tuple[Path, Path]:
    """Paths of the frames shard and the pairs shard of a segment by its name."""
    return root / "frames" / f"{name}.parquet", root / "pairs" / f"{name}.parquet"


def footer_of(path: Path) -> dict[str, Any]:
    """What a shard's writer put into its footer; see `_Footer`.

    Raises:
        ManifestError: It cannot be read.
    """
    try:
        facts = json.loads((read_footer(path).metadata or {}).get(b"framekit", b"{}"))
        said: dict[str, Any] = validated(_Footer, facts).model_dump(exclude_unset=True)
        return said
    except (OSError, ValueError, RecursionError, CommandError, pa.ArrowException) as error:
        raise damaged_shard(path, error) from error


class _Footer(BaseModel):
    """What footers say, where they say it; `pairs` is of the shard of pairs beside."""

    model_config = ConfigDict(extra="allow")

    hash: str | None = None
    decoded: int = 0
    damaged: int = 0
    damage: list[str] = []
    film: dict[str, Any] = {}
    overlay: _Overlay | None = None
    pairs: _Pairs | None = None
    uncuttable: dict[str, str] = {}


class _Pairs(BaseModel):
    """The shard of pairs as it was written."""

    rows: int = Field(ge=0, lt=2**63)
    bytes: int = Field(ge=0, lt=2**63)
    sha256: str


class _Overlay(BaseModel):
    """The static overlay of a part of a film, in shares of its width and height."""

    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None
    shots: int


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
        self._sizes = {
            f"{table}/{name}": size
            for table in ("frames", "pairs")
            for name, size in sorted(sizes_in(root / table).items())
            if name.endswith(SUFFIX)
        }
        self._segments: dict[str, list[str]] = defaultdict(list)
        for stem in self._stems("frames"):
            if segment := SEGMENT_SHARD.fullmatch(stem):
                self._segments[segment["source"]].append(stem)
        self._files: dict[str, list[str]] = defaultdict(list)
        self._later: dict[str, list[str]] = defaultdict(list)
        for stem in self._stems("pairs"):
            name = uncompacted(stem)
            self._files[name].append(stem)
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
        """Names of the segments of a source that count.

        One for all of it supersedes those of parts. Of parts that were cut otherwise, as other versions of
        libraries may, those count of which the larger share is done.
        """
        ways: dict[int, list[str]] = defaultdict(list)
        for name in self._segments[source]:
            if self.is_whole(name):
                ways[_of(name)].append(name)
        best = max(ways, key=lambda of: (of == 1, len(ways[of]) / of), default=0)
        return ways[best]

    def missing(self, source: str) -> tuple[int, int]:
        """How many segments of a source are not done, and how many it has as far as these tell."""
        names = self.of(source)
        of = _of(names[0]) if names else 0
        return of - len(names), of

    def are_all_there(self, source: str) -> bool:
        """Whether every segment of a source is done, and nothing that is listed of it was lost."""
        missing, of = self.missing(source)
        return of > 0 and not missing and source not in self._lost

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
            # Without its frames a shard is what a killed run had put there first; but where it is listed, its
            # frames were lost, and may be found again.
            listed = any(f"pairs/{stem}.parquet" in self._listed for stem in stems)
            half = SEGMENT_SHARD.fullmatch(name) and not listed
            if name in counts or LATER_SHARD.fullmatch(name) or half:
                gone += [self._root / "pairs" / f"{stem}.parquet" for stem in stems if stem not in stay]
        return gone

    def _stems(self, table: str) -> list[str]:
        return [
            path.partition("/")[2].removesuffix(SUFFIX)
            for path in self._sizes
            if path.startswith(table + "/")
        ]

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
        pairs = self._sizes.get(f"pairs/{name}.parquet")
        return name if pairs is not None and pairs == self._pairs_bytes(name) else None

    def _pairs_bytes(self, name: str) -> int | None:
        """Bytes of a segment's pairs when they were written, which its frames' footer knows."""
        try:
            return int(footer_of(shard_paths(self._root, name)[0])["pairs"]["bytes"])
        except (ManifestError, ValueError, KeyError, TypeError):
            return None

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
        return shard is not None and self._sizes.get(shard.path) == shard.bytes

    def _info(self, path: Path) -> ShardInfo:
        name = f"{path.parent.name}/{path.name}"
        listed = self._listed.get(name)
        if listed is not None and self._is_as_listed(listed):
            return listed
        try:
            rows = read_footer(path).num_rows
        except (OSError, pa.ArrowException) as error:
            raise damaged_shard(path, error) from error
        return ShardInfo(path=name, rows=rows, bytes=self._sizes[name], sha256=sha256_of(path))


def _is_readable(path: Path) -> bool:
    try:
        return footer_of(path) is not None
    except ManifestError:
        return False


def _of(name: str) -> int:
    match = SEGMENT_SHARD.fullmatch(name)
    return int(match["of"]) if match else 0
