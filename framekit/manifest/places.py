"""Where in its shard a picture stands, so that one can be read without its neighbours.

Parquet knows where a row group's pictures begin and end, not where each of them does. But they lie there one
after the other as they are, each behind 4 bytes that give its length (plain encoding, no compression, one
page). So their lengths, which a shard keeps in its footer, give their places. Each is looked at again: where
the 4 bytes say something else, as after another program has written the shard anew, all of the row group is
read instead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

KEY = "framekit.lengths"
"""In a shard's footer: JSON, column of pictures → bytes of each row's picture, null where there is none."""
PREFIX = 4
HEAD = 500
"""Bytes before a page's first picture, at most: what it is, and which of its rows are null."""
NONE = -1


class PicturePlaces:
    """The places of the pictures of a shard.

    Args:
        footer: The shard's; other programs' and earlier ones say nothing of lengths.
        columns: Of pictures, as `image`.
    """

    def __init__(self, footer: pq.FileMetaData, columns: Sequence[str]) -> None:
        self._footer = footer
        self._lengths = _lengths(footer, columns)
        group = footer.row_group(0) if self._lengths else None
        numbers = {group.column(n).path_in_schema: n for n in range(group.num_columns)} if group else {}
        self._chunks = [numbers.get(f"{column}.bytes") for column in columns]

    def read(self, path: Path, group: int, rows: range, row: int) -> list[np.ndarray | None] | None:
        """The encoded pictures of a row, one for each column; None where their places are not known.

        Args:
            path: The shard, on a local disk.
            group: Its row group.
            rows: All rows of that row group.
            row: Which of these.

        Raises:
            OSError: It cannot be read.
        """
        if not self._lengths:
            return None
        pictures: list[np.ndarray | None] = []
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            for lengths, chunk in zip(self._lengths, self._chunks, strict=True):
                place = self._place(lengths, group, rows, row, chunk)
                if place is None or place[1] > size:
                    return None
                start, stop = place
                if start == stop:
                    pictures.append(None)
                    continue
                file.seek(start)
                found = file.read(stop - start)
                if int.from_bytes(found[:PREFIX], "little") != len(found) - PREFIX:
                    return None
                pictures.append(np.frombuffer(found, np.uint8, offset=PREFIX))
        return pictures

    def _place(
        self, lengths: np.ndarray, group: int, rows: range, row: int, number: int | None
    ) -> tuple[int, int] | None:
        """Where a picture and its length stand, nowhere where it is null; None where lengths do not fit."""
        if number is None:
            return None
        chunk = self._footer.row_group(group).column(number)
        taken = np.where(lengths == NONE, 0, lengths + PREFIX)[rows.start : rows.stop]
        head = chunk.total_compressed_size - int(taken.sum())
        if not 0 <= head <= HEAD:
            return None
        start = chunk.data_page_offset + head + int(taken[: row - rows.start].sum())
        return start, start + int(taken[row - rows.start])


def _lengths(footer: pq.FileMetaData, columns: Sequence[str]) -> list[np.ndarray]:
    """Lengths of the pictures of each column; none at all where the footer does not tell them."""
    try:
        told = json.loads((footer.metadata or {}).get(KEY.encode(), b"{}"))
        each = [[NONE if length is None else length for length in told[column]] for column in columns]
        found = [np.array(lengths, np.int64) for lengths in each]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return []
    fit = all(lengths.shape == (footer.num_rows,) and lengths.min(initial=0) >= NONE for lengths in found)
    return found if fit and footer.num_row_groups else []
