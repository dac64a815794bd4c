"""Thumbnails of frames by their places, a row group at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from framekit.manifest.tables import open_table

CACHED_ROW_GROUPS = 64
"""Row groups (of about 2 MB) that are kept."""
OPEN_SHARDS = 64
THUMBNAIL = pa.struct([("bytes", pa.binary())])
"""What is read of a picture."""


class Thumbnails:
    """The thumbnails of all frames, by place in `Manifest.frames()`; not for several threads at once.

    Args:
        root: The dataset's folder.
        shards: Paths of the shards of frames in it, in order.
        rows: Rows of each.
    """

    def __init__(self, root: Path, shards: Sequence[str], rows: Sequence[int]) -> None:
        self._root, self._shards = root, list(shards)
        self._rows = list(rows)
        self._ends = np.cumsum(rows, dtype=np.int64)
        self._files: OrderedDict[int, tuple[pq.ParquetFile, np.ndarray]] = OrderedDict()
        self._groups: OrderedDict[tuple[int, int], pa.ChunkedArray] = OrderedDict()

    def __getitem__(self, place: int) -> bytes | None:
        """A JPEG of at most 256 pixels a side; None where the frame has none.

        Raises:
            IndexError: There is no such frame.
            OSError, pa.ArrowException: Its shard cannot be read.
        """
        if not 0 <= place < (self._ends[-1] if len(self._ends) else 0):
            raise IndexError(place)
        shard = int(np.searchsorted(self._ends, place, side="right"))
        row = place - (int(self._ends[shard - 1]) if shard else 0)
        starts = self._file(shard)[1]
        group = int(np.searchsorted(starts, row, side="right")) - 1
        thumbnail = self._group(shard, group)[row - int(starts[group])].as_py()
        return thumbnail and thumbnail["bytes"]

    def _file(self, shard: int) -> tuple[pq.ParquetFile, np.ndarray]:
        """A shard, and the rows at which its row groups begin."""
        if shard not in self._files:
            file = open_table(self._root / self._shards[shard])
            if file.metadata.num_rows != self._rows[shard]:
                raise pa.ArrowInvalid(f"{file.metadata.num_rows} rows, not {self._rows[shard]}")
            groups = range(file.metadata.num_row_groups)
            starts = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in groups)])
            self._files[shard] = file, starts[:-1]
            while len(self._files) > OPEN_SHARDS:
                self._files.popitem(last=False)[1][0].close()
        self._files.move_to_end(shard)
        return self._files[shard]

    def _group(self, shard: int, group: int) -> pa.ChunkedArray:
        key = shard, group
        if key not in self._groups:
            file = self._file(shard)[0]
            table = file.read_row_group(group, columns=["thumbnail.bytes"], use_threads=False)
            if "thumbnail" not in table.column_names:
                raise pa.ArrowInvalid("no thumbnails")
            self._groups[key] = table["thumbnail"].cast(THUMBNAIL)
            while len(self._groups) > CACHED_ROW_GROUPS:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key]
