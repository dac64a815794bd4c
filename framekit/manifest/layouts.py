"""How pairs lie in an export: loose pictures in folders, tar shards, Parquet shards."""

from __future__ import annotations

import json
import math
import tarfile
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import count, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from framekit.errors import FramekitError
from framekit.files import whole_file
from framekit.images.encoding import decode, encode
from framekit.manifest.reading import ROWS_WITH_PICTURES, Manifest, ManifestError
from framekit.manifest.schema import PAIRS
from framekit.manifest.writing import shard
from framekit.terminal.progress import Progress

PAIR_ID = r"^[a-z0-9][a-z0-9-]{0,150}:[0-9]{1,18}#[0-9]{1,9}$"
"""Ids that file names are made of; a dataset may come from a stranger."""
WRITERS = 8
"""Threads that write files: most of their time they wait for the disk."""
TAR_END = tarfile.RECORDSIZE
PICTURES = ("image", "smoothed")
SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpg"), (b"RIFF", "webp"))
_VERIFY = "see what else is damaged with: framekit verify"


def key_of(pair_id: str) -> str:
    """File name of a pair, without its suffix: `ponyo-0a1b2c3d:1200#2` → `ponyo-0a1b2c3d_1200_2`.

    No two pairs have the same: sources' ids have no underscore.
    """
    return pair_id.replace(":", "_").replace("#", "_")


@dataclass(frozen=True)
class Part:
    """The pairs of one side of a dataset.

    Attributes:
        name: The side, train or test.
        side: The view of its pairs.
        ids: `pair_id` and `frame_id` of all of them, in order.
    """

    name: str
    side: Manifest
    ids: pa.Table

    @classmethod
    def of(cls, name: str, side: Manifest) -> Part:
        """Read which pairs there are.

        Raises:
            ManifestError: An id that no file can be named after, or that two pairs have.
        """
        ids = side.pairs(["pair_id", "frame_id"])
        fit = pc.fill_null(pc.match_substring_regex(ids["pair_id"], PAIR_ID), False)
        strange = ids.filter(pc.invert(fit))["pair_id"]
        if len(strange):
            raise ManifestError(f"{strange[0].as_py()!r} is no id of a pair", where=side.root, advice=_VERIFY)
        if pc.count_distinct(ids["pair_id"]).as_py() < len(ids):
            raise ManifestError("two pairs have the same id", where=side.root, advice=_VERIFY)
        return cls(name, side, ids)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, todo: Collection[str]) -> Iterator[dict[str, Any]]:
        """Rows of `schema.PAIRS`, bit by bit and in order, of the pairs `todo`; others are hardly read."""
        view = self.side
        if len(todo) < len(self):
            wanted = pc.is_in(self.ids["pair_id"], value_set=pa.array(todo, pa.string()))
            frames = self.ids.filter(wanted)["frame_id"].to_pylist()
            view = Manifest(view.root, view.info, chosen=frames)
            view.dropped = self.side.dropped  # as it was when the ids were read
        for batch in view.batches(PAIRS.names, size=ROWS_WITH_PICTURES):
            for row in batch.to_pylist():
                if row["pair_id"] in todo:
                    yield row


class Job(Protocol):
    """Something to write, of which an earlier run may have written some: `done` pairs."""

    part: Part
    done: int

    def run(self, progress: Progress) -> None:
        """Write the rest, counting pairs."""
        ...


class PicturesJob:
    """Writes the pairs of a part as loose files.

    Args:
        part: Which pairs.
        folders: Where to; the same name in each of them.
        pictures_of: Encoded pictures of a row, one for each folder.
    """

    def __init__(
        self, part: Part, folders: list[Path], pictures_of: Callable[[dict[str, Any]], list[bytes]]
    ) -> None:
        self.part, self._folders, self._pictures_of = part, folders, pictures_of
        there = set.intersection(*({path.name.partition(".")[0] for path in f.iterdir()} for f in folders))
        ids = part.ids["pair_id"].to_pylist()
        self._todo = {id_ for id_ in ids if key_of(id_) not in there}
        self.done = len(ids) - len(self._todo)

    def run(self, progress: Progress) -> None:
        """Write the pictures that are not there."""
        rows = self.part.rows(self._todo)
        with ThreadPoolExecutor(WRITERS) as pool:
            while some := list(islice(rows, 2 * WRITERS)):
                for _ in pool.map(self._write, some):
                    progress.advance()

    def _write(self, row: dict[str, Any]) -> None:
        for folder, data in zip(self._folders, self._pictures_of(row), strict=True):
            with whole_file(folder / f"{key_of(row['pair_id'])}.{_kind(data, row)}") as temporary:
                temporary.write_bytes(data)


def photo_of(row: dict[str, Any]) -> list[bytes]:
    """The crop alone."""
    return [_bytes(row, "image")]


def crop_and_smoothed(row: dict[str, Any]) -> list[bytes]:
    """The crop and its smoothed half, as they are stored."""
    return [_bytes(row, "image"), _bytes(row, "smoothed")]


def crop_and_both(row: dict[str, Any]) -> list[bytes]:
    """The crop, and a PNG of twice its width: the crop on the left, its smoothed half on the right.

    Raises:
        ManifestError: A picture that cannot be decoded.
    """
    crop, smoothed = crop_and_smoothed(row)
    try:
        both = np.concatenate([decode(crop), decode(smoothed)], axis=1)
    except (FramekitError, ValueError) as error:
        what = f"not two pictures of a size ({error})"
        raise ManifestError(what, where=row["pair_id"], advice=_VERIFY) from None
    return [crop, encode(both)]


class Shards(Protocol):
    """A kind of shard."""

    def path(self, number: int) -> Path:
        """Where a shard is written."""
        ...

    def found(self, number: int) -> Path | None:
        """Where it is, if it is there."""
        ...

    def name_all(self, total: int) -> None:
        """Give shards the names by which they go once their number is known."""
        ...

    def rows_in(self, path: Path) -> int:
        """Rows of a shard that is there."""
        ...

    def size(self, row: dict[str, Any]) -> int:
        """Bytes that a row takes, at most."""
        ...

    @contextmanager
    def writing(self, path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Open a shard, which appears whole or not at all; gives what appends a row."""
        ...


class ShardsJob:
    """Writes the pairs of a part into shards.

    Args:
        part: Which pairs.
        shards: What kind of shards.
        most_bytes: Of a shard; one that holds a single pair may be larger.
        most_rows: Of a shard.
    """

    def __init__(self, part: Part, shards: Shards, *, most_bytes: int, most_rows: int) -> None:
        self.part, self._shards, self._most_bytes, self._most_rows = part, shards, most_bytes, most_rows
        self._finished = 0
        self.done = 0
        # Shards follow from the pairs alone, so how many rows an earlier run wrote says which.
        for number in count():
            path = shards.found(number)
            rows = path and _readable(shards, path)
            if not rows or self.done + rows > len(part):
                break
            self._finished, self.done = number + 1, self.done + rows

    def run(self, progress: Progress) -> None:
        """Write the shards that are not there, and give all their names."""
        todo = set(self.part.ids["pair_id"].slice(self.done).to_pylist())
        rows = self.part.rows(todo)
        row = next(rows, None)
        while row is not None:
            with self._shards.writing(self._shards.path(self._finished)) as append:
                held, size = 0, self._shards.size(row)
                while row is not None and (not held or (held < self._most_rows and size <= self._most_bytes)):
                    append(row)
                    progress.advance()
                    held, row = held + 1, next(rows, None)
                    size += self._shards.size(row) if row else 0
            self._finished += 1
        self._shards.name_all(self._finished)


def _readable(shards: Shards, path: Path) -> int:
    try:
        return shards.rows_in(path)
    except (OSError, tarfile.TarError, pa.ArrowException):
        return 0


class Tars:
    """WebDataset's shards: `train-000000.tar`, in it KEY.image.png, KEY.json, KEY.smoothed.png.

    Equal rows give equal bytes: no times, no owners.
    """

    def __init__(self, root: Path, side: str) -> None:
        self._root, self._side = root, side

    def path(self, number: int) -> Path:
        """Where a shard is written."""
        return self._root / f"{self._side}-{number:06}.tar"

    def found(self, number: int) -> Path | None:
        """Where it is, if it is there."""
        path = self.path(number)
        return path if path.exists() else None

    def name_all(self, total: int) -> None:
        """Nothing: shards have their names."""

    def rows_in(self, path: Path) -> int:
        """Rows of a shard that is there."""
        with tarfile.open(path, "r:") as tar:
            return sum(name.endswith(".json") for name in tar.getnames())

    def size(self, row: dict[str, Any]) -> int:
        """Bytes that a row takes, at most."""
        blocks = sum(1 + -(-len(data) // tarfile.BLOCKSIZE) for data in self._members(row).values())
        return tarfile.BLOCKSIZE * blocks

    @contextmanager
    def writing(self, path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Open a shard, which appears whole or not at all; gives what appends a row."""
        with whole_file(path) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:

            def append(row: dict[str, Any]) -> None:
                for name, data in self._members(row).items():
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, BytesIO(data))

            yield append

    def _members(self, row: dict[str, Any]) -> dict[str, bytes]:
        key = key_of(row["pair_id"])
        members = {f"{key}.json": self._facts(row)}
        for name in PICTURES:
            if name == "image" or row[name] is not None:
                data = _bytes(row, name)
                members[f"{key}.{name}.{_kind(data, row)}"] = data
        return dict(sorted(members.items()))

    def _facts(self, row: dict[str, Any]) -> bytes:
        facts = {name: value for name, value in row.items() if name not in PICTURES}
        for name, value in facts.items():
            if isinstance(value, float) and not math.isfinite(value):  # JSON knows none of these
                facts[name] = None
        return json.dumps(facts | {"split": self._side}, sort_keys=True, allow_nan=False).encode()


class Parquets:
    """The hub's shards: `data/train-00000-of-00004.parquet`, with the columns of `schema.PAIRS`."""

    def __init__(self, root: Path, side: str) -> None:
        self._folder, self._side = root / "data", side

    def path(self, number: int) -> Path:
        """Where a shard is written; how many there will be is not known then."""
        return self._folder / f".framekit-{self._side}-{number:05}.parquet"

    def found(self, number: int) -> Path | None:
        """Where it is, if it is there."""
        named = self._folder.glob(f"{self._side}-{number:05}-of-*.parquet")
        return self.path(number) if self.path(number).exists() else next(named, None)

    def name_all(self, total: int) -> None:
        """Give shards the names by which they go once their number is known."""
        for number in range(total):
            if self.path(number).exists():
                name = f"{self._side}-{number:05}-of-{total:05}.parquet"
                self.path(number).replace(self._folder / name)

    def rows_in(self, path: Path) -> int:
        """Rows of a shard that is there."""
        rows: int = pq.read_metadata(path).num_rows
        return rows

    def size(self, row: dict[str, Any]) -> int:
        """Bytes that a row takes, at most: its pictures, its other columns, its share of the footer."""
        pictures = sum(len(_bytes(row, name)) for name in PICTURES if name == "image" or row[name])
        return pictures + pictures // 100 + 2_000

    @contextmanager
    def writing(self, path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Open a shard, which appears whole or not at all; gives what appends a row."""
        with shard(path, PAIRS) as writer:
            yield writer.add
            writer.close({})


def _bytes(row: Mapping[str, Any], name: str) -> bytes:
    data: bytes | None = (row[name] or {}).get("bytes")
    if not data:
        raise ManifestError(f"has no {name}", where=row["pair_id"], advice=_VERIFY)
    return data


def _kind(data: bytes, row: Mapping[str, Any]) -> str:
    kind = next((kind for start, kind in SIGNATURES if data.startswith(start)), None)
    if kind is None:
        raise ManifestError("neither PNG nor JPEG nor WebP", where=row["pair_id"], advice=_VERIFY)
    return kind
