"""Reading a dataset: shards filtered by decisions, and pictures by position."""

from __future__ import annotations

import json
import re
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from framekit.errors import CommandError, FramekitError, reason_of
from framekit.images.encoding import decode
from framekit.manifest.decisions import Dropped, dropped
from framekit.manifest.loading import WINDOW, PairStream, Share
from framekit.manifest.places import PicturePlaces
from framekit.manifest.schema import FRAMES, PAIRS, SCENES, SCHEMA_VERSION, SPLITS, DatasetInfo, source_of
from framekit.manifest.tables import open_table, read_table
from framekit.manifest.thumbnails import Thumbnails
from framekit.storage.paths import is_remote, path_of
from framekit.validating import validated

_VERIFY = "see what else is damaged with: framekit verify"
CACHED_ROW_GROUPS = 32
"""Row groups (of about 2 MB) that a PairReader keeps."""
OPEN_SHARDS = 256
"""Files that a PairReader keeps open for random access; a footer takes about 30 kB for each row group."""
OPEN_IN_ORDER = 32
"""Files that it keeps open while it reads row group after row group, where each seldom comes twice."""
ROWS_AT_ONCE = 65_536
"""Rows that are read together where no picture is."""
ROWS_WITH_PICTURES = 8
"""Rows that are read together with their pictures: crops may be large."""
SPLIT = "split.parquet"
SHOTS = "scenes.parquet"
TRAIN, TEST = "train", "test"


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
    """A dataset folder, as its decisions leave it, or a view of some of its frames and of their pairs.

    Views are made of views: `manifest.train.where(...)`. What is read of decisions is kept: open the dataset
    again to see later ones.

    Args:
        root: The dataset's folder.
        info: Its dataset.json; in a view too, of the whole dataset.
        chosen: frame_ids of a view, all by default.

    Examples:
        >>> manifest = framekit.manifest.open("dataset")
        >>> len(manifest), manifest[0].image.shape
        (412, (256, 256, 3))
        >>> import pyarrow.compute as pc
        >>> len(manifest.train.where(pc.field("brightness") > 60))
        287
    """

    def __init__(self, root: Path, info: DatasetInfo, *, chosen: Collection[str] | None = None) -> None:
        self.root, self.info = root, info
        self._chosen = None if chosen is None else frozenset(chosen)

    def __repr__(self) -> str:
        view = "" if self._chosen is None else f" of {len(self._chosen)} chosen frames"
        return f"Manifest({str(self.root)!r}, {len(self.info.sources)} sources, {len(self)} pairs{view})"

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

    def where(self, condition: pc.Expression) -> Manifest:
        """The view of the frames that meet `condition`, and of their pairs.

        Args:
            condition: Over the columns of frames, pictures excepted: `pc.field("brightness") > 60`.
                Where it is null, as comparisons with null are, the frame is not in the view.

        Raises:
            ManifestError: A column that frames do not have, or a comparison that does not fit its column.
        """
        frames = self.frames(["frame_id"], where=condition)
        return Manifest(self.root, self.info, chosen=frames["frame_id"].to_pylist())

    @property
    def train(self) -> Manifest:
        """The view of the train side; all of it where the dataset is not split.

        Raises:
            ManifestError: split.parquet is damaged.
        """
        return self if self._sides is None else self._side(TRAIN)

    @property
    def test(self) -> Manifest:
        """The view of the test side; empty where the dataset is not split.

        Raises:
            ManifestError: split.parquet is damaged.
        """
        return self._side(TEST)

    @property
    def undecided(self) -> Manifest:
        """The same with all that was cut, whatever decisions say."""
        whole = Manifest(self.root, self.info, chosen=self._chosen)
        whole.dropped = {}  # in its cache: decisions are not even read
        return whole

    @property
    def kept(self) -> Mapping[str, np.ndarray]:
        """Path of each shard of pairs → (N,) int64, rising: the rows in it that are in."""
        return self._kept

    @cached_property
    def split(self) -> pa.Table:
        """`frame_id` and `split` of every frame, in the order of `frames()`.

        `split` is `train`, `test`, or null for frames on neither side: those that split.parquet leaves there
        or does not know. Where the dataset is not split, all are `train`.

        Raises:
            ManifestError: split.parquet is damaged.
        """
        ids = self.frames(["frame_id"])["frame_id"]
        sides = self._sides
        named = [TRAIN if sides is None else sides.get(id_) for id_ in ids.to_pylist()]
        return pa.table({"frame_id": ids, "split": pa.array(named, pa.string())})

    @property
    def sides(self) -> dict[str, int]:
        """Pairs on each side of the split: `train`, `test` and `neither`.

        Raises:
            ManifestError: split.parquet is damaged.
        """
        train, test = len(self.train), len(self.test)
        return {"train": train, "test": test, "neither": len(self) - train - test}

    def frames(self, columns: Sequence[str] | None = None, *, where: pc.Expression | None = None) -> pa.Table:
        """Every sampled frame, kept or not: all of `schema.FRAMES` but the thumbnails, or `columns`.

        Args:
            columns: Which to read; pictures come only when they are named.
            where: Only the frames that meet this, as in `Manifest.where`.
        """
        return self._table("frames", columns, where)

    def pairs(self, columns: Sequence[str] | None = None, *, where: pc.Expression | None = None) -> pa.Table:
        """The pairs that decisions leave in: all of `schema.PAIRS` but the pictures, or `columns`.

        Args:
            columns: Which to read; pictures come only when they are named.
            where: Only the pairs that meet this, over their own columns.
        """
        return self._table("pairs", columns, where)

    def batches(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: pc.Expression | None = None,
        size: int = 1_000,
    ) -> pa.RecordBatchReader:
        """`pairs` bit by bit, for what is larger than memory: `duckdb.from_arrow(manifest.batches())`.

        Args:
            columns: Which to read; pictures come only when they are named.
            where: Only the pairs that meet this, over their own columns.
            size: Rows of a batch at most; with pictures take fewer.

        Raises:
            ManifestError: `size` is not positive, or pairs have no such columns.
        """
        if size < 1:
            raise ManifestError(f"a batch has 1 row or more; got size={size}", where=self.root)
        schema, batches = self._stream("pairs", columns, where, size)
        return pa.RecordBatchReader.from_batches(schema, batches)

    def stored(self, shard: str, rows: np.ndarray) -> Iterator[pa.RecordBatch]:
        """All columns of the rows at rising positions `rows` of a shard of pairs, bit by bit.

        Raises:
            ManifestError: It is damaged.
        """
        return self._batches(shard, PAIRS, rows, ROWS_WITH_PICTURES)

    def thumbnails(self, frame_ids: Collection[str]) -> dict[str, bytes]:
        """JPEGs of at most 256 pixels a side, by frame_id; frames that have none are left out."""
        wanted = pa.array(sorted(frame_ids), pa.string())
        found: dict[str, bytes] = {}
        for path in self._shards("frames"):
            ids = self._read(path, ["frame_id"])["frame_id"]
            thumbnails = Thumbnails(self.root, [path], [len(ids)])
            try:
                places = np.flatnonzero(pc.is_in(ids.cast(pa.string()), value_set=wanted))
                pictures = {ids[place].as_py(): thumbnails[int(place)] for place in places}
            except (OSError, pa.ArrowException) as error:
                raise damaged_shard(self.root / path, error) from error
            found |= {id_: picture for id_, picture in pictures.items() if picture}
        return found

    def all_thumbnails(self) -> Thumbnails:
        """Thumbnails by place in `frames()`, of a dataset that is no view."""
        shards = self._shards("frames")
        return Thumbnails(self.root, shards, [self._rows[path] for path in shards])

    def unknown(self, items: Iterable[str]) -> list[str]:
        """Those of `items` that are no frame_id and no pair_id of the dataset, left out or not.

        A pair that its frame would have were it cut again, after compacting or later, is no unknown one.
        """
        frame_of = {item: self.frame_of(item) for item in items}
        left = dict.fromkeys([*frame_of, *frame_of.values()])
        sources = {item.rpartition(":")[0] for item in left}

        def elsewhere(path: str) -> bool:
            return source_of(path) not in sources

        # Shards are named after their source, and those of the items' sources are mostly all that is needed.
        for path in sorted([*self._shards("frames"), *self._shards("pairs")], key=elsewhere):
            if not left:
                break
            columns = ["frame_id"] if path.startswith("frames/") else ["frame_id", "pair_id"]
            for column in self._read(path, columns).columns:
                for id_ in column.to_pylist():
                    left.pop(id_, None)
        return [item for item, frame in frame_of.items() if item in left and frame in left]

    def frame_of(self, item: str) -> str:
        """The frame_id in a pair_id with an index that crops can have; anything else as it is."""
        frame, _, index = item.rpartition("#")
        crops = self.info.options.get("crops_per_frame")
        if not isinstance(crops, int) or not re.fullmatch(r"[0-9]{1,8}", index):
            return item
        return frame if int(index) < crops else item

    @cached_property
    def dropped(self) -> dict[str, Dropped]:
        """Frames and pairs that a decision leaves out, and why; in a view too, of the whole dataset."""
        if not self.info.shards:
            return {}  # an extraction that was interrupted before its first decision
        return dropped(self.root)

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits that change when a shard, an option, a decision or a view's frames do."""
        import hashlib

        shards = sorted((shard.path, shard.sha256) for shard in self.info.shards)
        state = [self.info.schema_version, self.info.options, shards, sorted(self.dropped.items())]
        if self._chosen is not None:
            state.append(sorted(self._chosen))
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
        return PairReader(self.root, self._kept, smoothed=smoothed)

    def stream(
        self,
        *,
        seed: int = 0,
        epoch: int = 0,
        position: int = 0,
        rank: int = 0,
        ranks: int = 1,
        batch: int = 1,
        even: bool = False,
        smoothed: bool = True,
        window: int = WINDOW,
    ) -> PairStream:
        """The kept pairs for training: shuffled anew in each epoch, read in pieces of whole row groups.

        Args:
            seed: Of the order, from 0.
            epoch: Where to begin, from 0.
            position: Pairs of that epoch that all ranks together have been given.
            rank: Which of `ranks` processes this is, from 0.
            ranks: Processes that share an epoch; the order over all of them is the same for any number.
            batch: Pairs that go to one rank, and to one of its workers, in a row.
            even: Leave out the epoch's last pairs that don't make a batch for every rank: as many for each.
            smoothed: Read the smoothed halves too; without them a pair costs half as much.
            window: Row groups that are shuffled together; `framekit.manifest.loading` says what that means.

        Raises:
            ValueError: A number that makes no sense.
        """
        share = Share(rank=rank, ranks=ranks, batch=batch, even=even)
        reader = self.reader(smoothed=smoothed)
        return PairStream(reader, seed=seed, epoch=epoch, position=position, window=window, share=share)

    def pair(self, pair_id: str) -> Pair:
        """The kept pair of this id.

        The first call reads all ids; from then on little more than the pair itself is read.

        Raises:
            ManifestError: There is none in this view, or decisions leave it out.
        """
        if pair_id not in self._positions:
            advice = "see what was left out, and why: framekit audit"
            raise ManifestError(f"no pair {pair_id!r} here", where=self.root, advice=advice)
        return self._reader.alone(self._positions[pair_id])

    @cached_property
    def _positions(self) -> dict[str, int]:
        """pair_id → place among the kept pairs."""
        return {id_: place for place, id_ in enumerate(self.pairs(["pair_id"])["pair_id"].to_pylist())}

    @cached_property
    def _reader(self) -> PairReader:
        return self.reader()

    @cached_property
    def _kept(self) -> dict[str, np.ndarray]:
        """Shard path → positions of the pairs in it that decisions and the view leave in."""
        chosen, out = self._chosen, self.dropped
        kept = {}
        for path in self._shards("pairs"):
            ids = self._read(path, ["frame_id", "pair_id"])
            # Sets and not Arrow's is_in, which would sort all that is left out anew for every shard.
            stays = [
                frame not in out and pair not in out and (chosen is None or frame in chosen)
                for frame, pair in zip(*(column.to_pylist() for column in ids.columns), strict=True)
            ]
            kept[path] = np.flatnonzero(stays)
        return kept

    @cached_property
    def _chosen_frames(self) -> dict[str, np.ndarray] | None:
        """Shard path → positions of the view's frames in it; None for all."""
        chosen = self._chosen
        if chosen is None:
            return None
        ids = {path: self._read(path, ["frame_id"])["frame_id"] for path in self._shards("frames")}
        return {path: np.flatnonzero([id_ in chosen for id_ in ids[path].to_pylist()]) for path in ids}

    @cached_property
    def _sides(self) -> dict[str, str | None] | None:
        """frame_id → side, None for those on neither; None where the dataset is not split."""
        sides = read_sides(self.root / SPLIT)
        if sides is None and self.info.split:  # else the test side would train
            raise _bad_split(self.root / SPLIT, "is missing")
        return sides

    def _side(self, side: str) -> Manifest:
        inside = {id_ for id_, its in (self._sides or {}).items() if its == side}
        return Manifest(
            self.root, self.info, chosen=inside if self._chosen is None else inside & self._chosen
        )

    @cached_property
    def _rows(self) -> dict[str, int]:
        """Rows of each shard, as dataset.json has them."""
        return {shard.path: shard.rows for shard in self.info.shards}

    def _shards(self, table: str) -> list[str]:
        return sorted(shard.path for shard in self.info.shards if shard.path.startswith(table + "/"))

    def _table(self, table: str, columns: Sequence[str] | None, where: pc.Expression | None) -> pa.Table:
        schema, batches = self._stream(table, columns, where, ROWS_AT_ONCE)
        return pa.Table.from_batches(batches, schema)

    def _stream(
        self, table: str, columns: Sequence[str] | None, where: pc.Expression | None, size: int
    ) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The rows of a table that are in, batch by batch, after a look at what is asked for."""
        whole = _TABLES[table]
        plain = [field.name for field in whole if not pa.types.is_struct(field.type)]
        names = plain if columns is None else list(columns)
        self._refuse_unknown(table, [name for name in names if name not in whole.names], whole.names)
        schema = pa.schema([whole.field(name) for name in names])
        needed = schema
        if where is not None:
            self._refuse_unfit(table, where, pa.schema([whole.field(name) for name in plain]))
            needed = pa.schema([whole.field(name) for name in dict.fromkeys([*names, *plain])])
        rows = self._kept if table == "pairs" else self._chosen_frames

        def batches() -> Iterator[pa.RecordBatch]:
            for path in self._shards(table):
                for batch in self._batches(path, needed, None if rows is None else rows[path], size):
                    found = batch if where is None else batch.filter(where)
                    if found.num_rows:
                        yield found.select(names)

        return schema, batches()

    def _batches(
        self, path: str, schema: pa.Schema, rows: np.ndarray | None, size: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows at positions `rows` of a shard, in order; row groups without any are not read."""
        try:
            file = open_table(self.root / path)
            if file.metadata.num_rows != self._rows[path]:
                what = f"it has {file.metadata.num_rows} rows, and {self._rows[path]} were written"
                raise pa.ArrowInvalid(what)
            stays = np.full(file.metadata.num_rows, rows is None)
            stays[[] if rows is None else rows] = True
            parts = [stays[slice(*ends)] for ends in pairwise(_starts(file))]
            groups = [number for number, part in enumerate(parts) if part.any()]
            if not groups:
                return
            stays, done = np.concatenate([parts[number] for number in groups]), 0
            for batch in file.iter_batches(size, row_groups=groups, columns=schema.names):
                whole = [_column(batch, field) for field in schema]
                found = pa.RecordBatch.from_arrays(whole, schema=schema)
                yield found.filter(pa.array(stays[done : done + batch.num_rows]))
                done += batch.num_rows
        except (OSError, KeyError, pa.ArrowException) as error:
            raise damaged_shard(self.root / path, error) from error

    def _refuse_unknown(self, table: str, unknown: Sequence[str], names: Sequence[str]) -> None:
        if unknown:
            what = f"{table} have no column {', '.join(unknown)}; there are {', '.join(names)}"
            raise ManifestError(what, where=self.root)

    def _refuse_unfit(self, table: str, where: pc.Expression, schema: pa.Schema) -> None:
        if not isinstance(where, pc.Expression):
            what = f"a filter is an expression, as pc.field('source') == 'ponyo-0a1b2c3d'; got {where!r}"
            raise ManifestError(what, where=self.root)
        try:
            schema.empty_table().filter(where)
        except pa.ArrowException as error:
            self._refuse_unknown(
                table, re.findall(r"No match for FieldRef\.Name\((.*?)\)", str(error)), schema.names
            )
            what = f"a filter that does not fit {table} ({str(error).splitlines()[0]})"
            raise ManifestError(what, where=self.root) from error

    def _read(self, path: str, names: list[str]) -> pa.Table:
        try:
            # Half of what pq.read_table takes where row groups are many.
            with open_table(self.root / path) as file:
                return file.read(names).select(names).replace_schema_metadata(None)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise damaged_shard(self.root / path, error) from error


class PairReader(Sequence[Pair]):
    """Random access to pairs by position, over row groups read when needed.

    Args:
        root: The dataset's folder.
        rows: Shard path → positions of its pairs.
        smoothed: Read the smoothed halves too.
    """

    def __init__(self, root: Path, rows: Mapping[str, np.ndarray], *, smoothed: bool = True) -> None:
        self._root = root
        self._paths = list(rows)
        self._rows = np.concatenate([*rows.values(), np.empty(0, np.int64)]).astype(np.int64)
        self._ends = np.cumsum([len(its) for its in rows.values()], dtype=np.int64)
        self._pictures = ["image", *(["smoothed"] if smoothed else [])]
        self._columns = ["pair_id", "group", *(f"{name}.bytes" for name in self._pictures)]
        self._files: OrderedDict[str, tuple[pq.ParquetFile, np.ndarray]] = OrderedDict()
        self._groups: OrderedDict[tuple[int, int], _RowGroup] = OrderedDict()
        self._places: dict[Path, PicturePlaces] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, position: int) -> Pair: ...
    @overload
    def __getitem__(self, position: slice) -> list[Pair]: ...
    def __getitem__(self, position: int | slice) -> Pair | list[Pair]:
        if isinstance(position, slice):
            return [self[place] for place in range(len(self))[position]]
        shard, row = self._located(range(len(self))[position])
        starts = self._file(shard)[1]
        group = int(np.searchsorted(starts, row, side="right")) - 1
        return self._pair(self._cached(shard, group), row - int(starts[group]))

    def alone(self, position: int) -> Pair:
        """The pair at `position`, where its neighbours are not wanted: they are not read, if that can be."""
        shard, row = self._located(range(len(self))[position])
        file, starts = self._file(shard)
        group = int(np.searchsorted(starts, row, side="right")) - 1
        path = self._root / self._paths[shard]
        if (shard, group) in self._groups or is_remote(path):
            return self[position]
        rows = range(int(starts[group]), int([*starts, file.metadata.num_rows][group + 1]))
        if path not in self._places:
            self._places[path] = PicturePlaces(file.metadata, self._pictures)
        try:
            pictures = self._places[path].read(path, group, rows, row)
        except OSError as error:
            raise damaged_shard(path, error) from error
        if pictures is None:
            return self[position]
        names = self._read(shard, group, ["pair_id", "group"]).slice(row - rows.start, 1)
        image, smoothed = (*pictures, None)[:2]
        pair = _RowGroup(names["pair_id"].to_pylist(), names["group"].to_pylist(), [image], [smoothed])
        return self._pair(pair, 0)

    def encoded(self, position: int) -> tuple[bytes | None, bytes | None]:
        """The crop at `position` and its smoothed half as they are stored: PNG, JPEG or WebP."""
        shard, row = self._located(range(len(self))[position])
        starts = self._file(shard)[1]
        group = int(np.searchsorted(starts, row, side="right")) - 1
        pairs, number = self._cached(shard, group), row - int(starts[group])
        image, smoothed = pairs.images[number], pairs.smoothed[number]
        return None if image is None else image.tobytes(), None if smoothed is None else smoothed.tobytes()

    def gather(self, positions: Sequence[int] | np.ndarray) -> Iterator[Pair]:
        """Pairs at `positions`, in that order; a row group is read once and let go after its last pair.

        Of a row group only the pairs asked for are held, encoded.
        """
        places = np.asarray(positions, np.int64)
        which = np.searchsorted(self._group_ends, places, side="right").tolist()
        wanted: dict[int, set[int]] = {}
        left = Counter(which)
        for run, row in zip(which, self._rows[places].tolist(), strict=True):
            wanted.setdefault(run, set()).add(row)
        held: dict[int, tuple[_RowGroup, dict[int, int]]] = {}
        for run, row in zip(which, self._rows[places].tolist(), strict=True):
            if run not in held:
                rows = sorted(wanted.pop(run))
                held[run] = self._picked(run, rows), {its: number for number, its in enumerate(rows)}
            pairs, numbers = held[run]
            left[run] -= 1
            if not left[run]:
                del held[run]
            yield self._pair(pairs, numbers[row])

    @property
    def row_groups(self) -> np.ndarray:
        """How many of the pairs lie in each row group, in their order; row groups with none are left out."""
        return np.diff(self._group_ends, prepend=0)

    def __getstate__(self) -> dict[str, Any]:
        # Open files stay in their process.
        return {**self.__dict__, "_files": OrderedDict(), "_groups": OrderedDict(), "_places": {}}

    @cached_property
    def _group_ends(self) -> np.ndarray:
        """Number of pairs up to the end of each row group that has any."""
        ends = [np.empty(0, np.int64)]
        for shard, (start, stop) in enumerate(pairwise([0, *self._ends.tolist()])):
            if start < stop:
                starts = self._file(shard, OPEN_IN_ORDER)[1]
                inside = np.searchsorted(self._rows[start:stop], [*starts[1:], 2**62])
                ends.append(start + np.unique(inside[inside > 0]))
        return np.concatenate(ends)

    def _located(self, position: int) -> tuple[int, int]:
        """Number of the shard of the pair at `position`, and its row there."""
        return int(np.searchsorted(self._ends, position, side="right")), int(self._rows[position])

    def _pair(self, pairs: _RowGroup, number: int) -> Pair:
        pair_id = pairs.pair_ids[number]
        image = self._picture(pairs.images[number], "image", pair_id)
        if image is None:
            raise ManifestError("a pair without its picture", where=pair_id, advice=_VERIFY)
        smoothed = self._picture(pairs.smoothed[number], "smoothed", pair_id)
        return Pair(pair_id=pair_id, group=pairs.groups[number], image=image, smoothed=smoothed)

    def _picture(self, data: np.ndarray | None, column: str, pair_id: str) -> np.ndarray | None:
        if data is None:
            return None
        try:
            return decode(data)
        except FramekitError as error:
            where = f"{self._root}: {column} of {pair_id}"
            raise ManifestError(error.what, where=where, advice=_VERIFY) from None

    def _file(self, shard: int, most: int = OPEN_SHARDS) -> tuple[pq.ParquetFile, np.ndarray]:
        """A shard, and the rows at which its row groups begin; of open ones the last `most` stay open."""
        path = self._paths[shard]
        if path not in self._files:
            try:
                file = open_table(self._root / path)
            except (OSError, pa.ArrowException) as error:
                raise damaged_shard(self._root / path, error) from error
            self._files[path] = file, _starts(file)[:-1]
            while len(self._files) > most:
                closed, (its, _) = self._files.popitem(last=False)
                its.close()
                self._places.pop(self._root / closed, None)
        self._files.move_to_end(path)
        return self._files[path]

    def _cached(self, shard: int, group: int) -> _RowGroup:
        """A whole row group, from among the last ones where it is there."""
        key = shard, group
        if key not in self._groups:
            self._groups[key] = self._encoded(shard, self._read(shard, group))
            if len(self._groups) > CACHED_ROW_GROUPS:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key]

    def _picked(self, run: int, rows: Sequence[int]) -> _RowGroup:
        """The pairs at `rows` of a shard, all in one row group, number `run` of those that have any."""
        shard, _ = self._located(int(self._group_ends[run]) - 1)
        starts = self._file(shard, OPEN_IN_ORDER)[1]
        group = int(np.searchsorted(starts, rows[0], side="right")) - 1
        table = self._read(shard, group)
        if len(rows) < table.num_rows:
            table = table.take(np.asarray(rows) - starts[group])
        return self._encoded(shard, table)

    def _encoded(self, shard: int, table: pa.Table) -> _RowGroup:
        try:
            return _RowGroup.of(table)
        except (KeyError, pa.ArrowException) as error:
            raise damaged_shard(self._root / self._paths[shard], error) from error

    def _read(self, shard: int, group: int, columns: Sequence[str] | None = None) -> pa.Table:
        columns = columns or self._columns
        try:
            # One thread: more only cost time on pieces as small as these.
            return self._file(shard)[0].read_row_group(group, columns=columns, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise damaged_shard(self._root / self._paths[shard], error) from error


@dataclass(frozen=True)
class _RowGroup:
    """Pairs of one row group, with their pictures still encoded: views of what was read, nothing copied."""

    pair_ids: list[str]
    groups: list[str | None]
    images: list[np.ndarray | None]
    smoothed: list[np.ndarray | None]

    @classmethod
    def of(cls, table: pa.Table) -> _RowGroup:
        pictures = (_encoded(table, name) for name in ("image", "smoothed"))
        return cls(table["pair_id"].to_pylist(), table["group"].to_pylist(), *pictures)


def _encoded(table: pa.Table, column: str) -> list[np.ndarray | None]:
    """Bytes of the pictures of a column as arrays of uint8, None for those that are not there."""
    if column not in table.column_names:
        return [None] * table.num_rows
    found: list[np.ndarray | None] = []
    for pictures in table[column].chunks:
        values = pictures.field("bytes").cast(pa.binary())
        _, offsets, data = values.buffers()
        ends = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1].tolist()
        whole = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
        there = pictures.is_valid().to_pylist()
        found += [
            whole[start:end] if is_there else None
            for (start, end), is_there in zip(pairwise(ends), there, strict=True)
        ]
    return found


def open_manifest(path: str | Path) -> Manifest:
    """Open the dataset in folder `path`, which may be an address, as `s3://bucket/dataset`.

    Raises:
        ManifestError: There is no dataset, it is damaged, or another schema version wrote it.
    """
    root = path_of(path)
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


_TABLES = {"frames": FRAMES, "pairs": PAIRS}


def _starts(file: pq.ParquetFile) -> np.ndarray:
    """Row at which each row group begins, and the number of rows."""
    groups = range(file.metadata.num_row_groups)
    return np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in groups)])


def _column(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    if field.name not in batch.schema.names:  # an earlier framekit did not have it
        return pa.nulls(batch.num_rows, field.type)
    return batch[field.name].cast(field.type)


def read_sides(path: Path, column: str = "split") -> dict[str, str | None] | None:
    """Sides of the frames in a split.parquet, None for those on neither; None where there is no such file.

    Args:
        path: The file.
        column: `split`, where they stand now, or `assigned`, where they were put.

    Raises:
        ManifestError: It cannot be read, or says what no split says.
    """
    table = read_split(path)
    if table is None:
        return None
    for fault in split_faults(table):
        raise _bad_split(path, fault)
    ids, sides = (table[name].to_pylist() for name in ("frame_id", column))
    return {id_: side or None for id_, side in zip(ids, sides, strict=True)}


def read_split(path: Path) -> pa.Table | None:
    """A split.parquet as `schema.SPLITS`, whatever it says; None where there is no such file.

    Raises:
        ManifestError: It cannot be read.
    """
    try:
        table = read_table(path)
        # An earlier framekit kept only where frames stand.
        assigned = "assigned" if "assigned" in table.column_names else "split"
        columns = [table[name].cast(pa.string()) for name in ("frame_id", "split", assigned)]
    except FileNotFoundError:
        return None
    except (OSError, KeyError, pa.ArrowException) as error:
        raise _bad_split(path, f"cannot be read ({str(error).splitlines()[0]})") from error
    return pa.table(columns, schema=SPLITS)


def split_faults(table: pa.Table) -> Iterator[str]:
    """What no split says, in a table of `schema.SPLITS`."""
    named = {side for name in ("split", "assigned") for side in table[name].unique().to_pylist()}
    for other in sorted(named - {TRAIN, TEST, "", None}):
        yield f"knows only the sides {TRAIN} and {TEST}; there is {other!r}"
    times = Counter(table["frame_id"].to_pylist())
    if None in times:
        yield "has rows without a frame"
    yield from (f"names a frame twice: {id_}" for id_, count in times.items() if count > 1 and id_)


def read_scenes(path: Path) -> pa.Table:
    """A scenes.parquet as `schema.SCENES`; no rows where there is no such file.

    Raises:
        ManifestError: It cannot be read.
    """
    try:
        return read_table(path).select(SCENES.names).cast(SCENES)
    except FileNotFoundError:
        return SCENES.empty_table()
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        what = f"cannot be read ({str(error).splitlines()[0]})"
        raise ManifestError(what, where=path, advice="remove it: shots are then found again") from error


def _bad_split(path: Path, what: str) -> ManifestError:
    return ManifestError(what, where=path, advice="split the dataset again with: framekit split")


def damaged_shard(path: Path, error: Exception) -> ManifestError:
    """A shard that cannot be read, in one line."""
    if isinstance(error, OSError) and error.errno is not None:  # it may be whole, and out of reach
        return ManifestError(f"shard cannot be read ({reason_of(error)})", where=path)
    advice = "move this shard away and run the same framekit extract again"
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ManifestError(f"shard cannot be read ({reason:.500})", where=path, advice=advice)
