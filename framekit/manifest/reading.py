"""Reading a dataset: shards filtered by decisions, and pictures by position."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from framekit.errors import CommandError, FramekitError
from framekit.images.encoding import decode
from framekit.manifest.decisions import Dropped, dropped
from framekit.manifest.schema import FRAMES, PAIRS, SCHEMA_VERSION, DatasetInfo
from framekit.validating import validated

_VERIFY = "see what else is damaged with: framekit verify"
CACHED_ROW_GROUPS = 32
"""Row groups (of about 2 MB) that a PairReader keeps."""
OPEN_SHARDS = 32
"""Files that a PairReader keeps open."""


class ManifestError(FramekitError):
    """A dataset that is not there, not whole, or of another version."""


class NoDatasetError(ManifestError, CommandError):
    """There is no dataset where the command says."""


@dataclass(frozen=True)
class Pair:
    """One training sample.

    Attributes:
        pair_id: Its identity, `<source>:<frame number>#<crop index>`.
        group: Content group from the photo's subfolder, or None.
        image: (P, P, 3) uint8 RGB.
        smoothed: (P, P, 3) uint8 RGB, `image` with its edges smoothed; None where it was not made.
    """

    pair_id: str
    group: str | None
    image: np.ndarray
    smoothed: np.ndarray | None

    def __repr__(self) -> str:
        return f"Pair({self.pair_id!r}, {'x'.join(map(str, self.image.shape))}, group={self.group!r})"


class Manifest:
    """A dataset folder, as its decisions leave it.

    Example:
        >>> manifest = framekit.manifest.open("dataset")
        >>> len(manifest), manifest[0].image.shape
        (412, (256, 256, 3))
    """

    def __init__(self, root: Path, info: DatasetInfo) -> None:
        self.root, self.info = root, info

    def __repr__(self) -> str:
        return f"Manifest({str(self.root)!r}, {len(self.info.sources)} sources, {len(self)} pairs)"

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._kept.values())

    @overload
    def __getitem__(self, position: int) -> Pair: ...
    @overload
    def __getitem__(self, position: slice) -> list[Pair]: ...
    def __getitem__(self, position: int | slice) -> Pair | list[Pair]:
        return self._reader[position]

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._reader)

    def frames(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Every sampled frame, kept or not: all of `schema.FRAMES` but the thumbnails, or `columns`."""
        return self._rows("frames", FRAMES, columns)

    def pairs(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The pairs that decisions leave in: all of `schema.PAIRS` but the pictures, or `columns`."""
        return self._rows("pairs", PAIRS, columns, rows=self._kept)

    def thumbnails(self, frame_ids: Collection[str]) -> dict[str, bytes]:
        """JPEGs of at most 256 pixels a side, by frame_id."""
        wanted = pa.array(sorted(frame_ids), pa.string())
        found: dict[str, bytes] = {}
        for path in self._shards("frames"):
            ids = self._read(path, ["frame_id"])["frame_id"]
            if pc.any(pc.is_in(ids, value_set=wanted)).as_py():
                table = self._read(path, ["frame_id", "thumbnail"])
                rows = table.filter(pc.is_in(table["frame_id"], value_set=wanted)).to_pylist()
                found |= {row["frame_id"]: row["thumbnail"]["bytes"] for row in rows}
        return found

    @cached_property
    def dropped(self) -> dict[str, Dropped]:
        """Frames and pairs that a decision leaves out, and why."""
        if not self.info.shards:
            return {}  # an extraction that was interrupted before its first decision
        return dropped(self.root)

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits that change when a shard, an option or a decision does."""
        import hashlib

        shards = sorted((shard.path, shard.sha256) for shard in self.info.shards)
        state = [self.info.schema_version, self.info.options, shards, sorted(self.dropped.items())]
        return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()

    @property
    def has_smoothed(self) -> bool:
        """Whether pairs carry their edge-smoothed half."""
        return bool(self.info.options.get("smooth", True))

    def reader(self, *, smoothed: bool = True) -> PairReader:
        """Random access to the pictures of the kept pairs; cheap to send to another process.

        Args:
            smoothed: Read the smoothed halves too; without them a pair costs half as much.
        """
        places = [(path, int(row)) for path, rows in self._kept.items() for row in rows]
        return PairReader(self.root, places, smoothed=smoothed)

    @cached_property
    def _reader(self) -> PairReader:
        return self.reader()

    @cached_property
    def _kept(self) -> dict[str, np.ndarray]:
        """Shard path → positions of the pairs in it that decisions leave in."""
        out = pa.array(list(self.dropped), pa.string())
        kept = {}
        for path in self._shards("pairs"):
            ids = self._read(path, ["pair_id", "frame_id"])
            drop = pc.or_(*(pc.is_in(ids[column], value_set=out) for column in ("pair_id", "frame_id")))
            kept[path] = np.flatnonzero(~drop.to_numpy())
        return kept

    def _shards(self, table: str) -> list[str]:
        return sorted(shard.path for shard in self.info.shards if shard.path.startswith(table + "/"))

    def _rows(
        self,
        table: str,
        schema: pa.Schema,
        columns: Sequence[str] | None,
        rows: Mapping[str, np.ndarray] | None = None,
    ) -> pa.Table:
        plain = [field.name for field in schema if not pa.types.is_struct(field.type)]
        names = plain if columns is None else list(columns)
        unknown = [name for name in names if name not in schema.names]
        if unknown:
            what = f"{table} have no column {', '.join(unknown)}; there are {', '.join(schema.names)}"
            raise ManifestError(what, where=self.root)
        wanted = pa.schema([schema.field(name) for name in names])
        parts = []
        for path in self._shards(table):
            part = self._read(path, names).cast(wanted)
            parts.append(part if rows is None else part.take(pa.array(rows[path])))
        return pa.concat_tables(parts) if parts else wanted.empty_table()

    def _read(self, path: str, names: list[str]) -> pa.Table:
        try:
            table = pq.read_table(self.root / path, columns=names, partitioning=None)
            return table.replace_schema_metadata(None)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self.root / path, error) from error


class PairReader(Sequence[Pair]):
    """Random access to pairs by position, over row groups read when needed.

    Args:
        root: The dataset's folder.
        places: (shard path, row in that shard) of every pair.
        smoothed: Read the smoothed halves too.
    """

    def __init__(self, root: Path, places: list[tuple[str, int]], *, smoothed: bool = True) -> None:
        self._root, self._places = root, places
        self._columns = ["pair_id", "group", "image", *(["smoothed"] if smoothed else [])]
        self._files: OrderedDict[str, tuple[pq.ParquetFile, np.ndarray]] = OrderedDict()
        self._groups: OrderedDict[tuple[str, int], pa.Table] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, position: int) -> Pair: ...
    @overload
    def __getitem__(self, position: slice) -> list[Pair]: ...
    def __getitem__(self, position: int | slice) -> Pair | list[Pair]:
        if isinstance(position, slice):
            return [self._pair(*place) for place in self._places[position]]
        return self._pair(*self._places[position])

    def _pair(self, path: str, row: int) -> Pair:
        try:
            file, starts = self._file(path)
            group = int(np.searchsorted(starts, row, side="right")) - 1
            found = self._group(path, file, group).slice(row - int(starts[group]), 1).to_pylist()[0]
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self._root / path, error) from error
        image, smoothed = (self._picture(found, column) for column in ("image", "smoothed"))
        if image is None:
            raise ManifestError("a pair without its picture", where=found["pair_id"], advice=_VERIFY)
        return Pair(pair_id=found["pair_id"], group=found["group"], image=image, smoothed=smoothed)

    def __getstate__(self) -> dict[str, Any]:
        # Open files stay in their process.
        return {**self.__dict__, "_files": OrderedDict(), "_groups": OrderedDict()}

    def _picture(self, row: dict[str, Any], column: str) -> np.ndarray | None:
        picture = row.get(column)
        if picture is None:
            return None
        try:
            return decode(picture["bytes"])
        except FramekitError as error:
            where = f"{self._root}: {column} of {row['pair_id']}"
            raise ManifestError(error.what, where=where, advice=_VERIFY) from None

    def _file(self, path: str) -> tuple[pq.ParquetFile, np.ndarray]:
        if path not in self._files:
            file = pq.ParquetFile(self._root / path)
            rows = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
            self._files[path] = file, np.cumsum([0, *rows[:-1]])
            if len(self._files) > OPEN_SHARDS:
                self._files.popitem(last=False)[1][0].close()
        self._files.move_to_end(path)
        return self._files[path]

    def _group(self, path: str, file: pq.ParquetFile, group: int) -> pa.Table:
        key = path, group
        if key not in self._groups:
            self._groups[key] = file.read_row_group(group, columns=self._columns)
            if len(self._groups) > CACHED_ROW_GROUPS:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key]


def open_manifest(path: str | Path) -> Manifest:
    """Open the dataset in folder `path`.

    Raises:
        ManifestError: There is no dataset, it is damaged, or another schema version wrote it.
    """
    root = Path(path)
    return Manifest(root, read_info(root))


def read_info(root: Path) -> DatasetInfo:
    """Read `dataset.json` of the dataset in folder `root`.

    Raises:
        ManifestError: It is not there, not JSON, of another version, or names files outside the folder.
    """
    try:
        raw = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        advice = "make one with: framekit extract FILMS --out " + str(root)
        raise NoDatasetError("no dataset here (no dataset.json)", where=root, advice=advice) from None
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"dataset.json is damaged ({error})", where=root, advice="make the dataset again"
        ) from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise ManifestError(
            f"dataset of schema version {version!r}; this framekit reads version {SCHEMA_VERSION}",
            where=root,
            advice="use the framekit that made it, or extract again into a new folder",
        )
    try:
        return validated(DatasetInfo, raw)
    except FramekitError as error:
        raise ManifestError(
            f"dataset.json is damaged ({error.what})", where=root, advice="make the dataset again"
        ) from None


def _damaged(path: Path, error: Exception) -> ManifestError:
    if isinstance(error, OSError) and error.errno is not None:  # it may be whole, and out of reach
        return ManifestError(f"shard cannot be read ({error.strerror})", where=path)
    advice = "move this shard away and run the same framekit extract again"
    return ManifestError(f"shard cannot be read ({str(error).splitlines()[0]})", where=path, advice=advice)
