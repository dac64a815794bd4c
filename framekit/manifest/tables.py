"""Parquet files opened for reading, wherever they lie: a local one by its path, a remote one in ranges."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from framekit.storage.paths import RemotePath
from framekit.storage.ranges import SMALL_BLOCK, RangeFile


def open_table(path: Path, *, footer: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """Open a Parquet file.

    Args:
        path: The file.
        footer: Its footer, where it was read before; a large one takes long.

    Raises:
        OSError, ArrowException: It is not there, or is none.
        RemoteError: It cannot be reached; from what reads on, too.
    """
    if isinstance(path, RemotePath):
        # Columns that lie beside each other come in one request.
        file = RangeFile(path, block=SMALL_BLOCK, ahead=1)
        return pq.ParquetFile(file, metadata=footer, pre_buffer=True)
    return pq.ParquetFile(path, metadata=footer)


def read_table(path: Path) -> pa.Table:
    """All of a Parquet file; raises as `open_table`.

    It is opened once, which `pq.read_table` does not do, and fetched in one request: another file may come
    into its place meanwhile.
    """
    source = pa.BufferReader(path.read_bytes()) if isinstance(path, RemotePath) else path
    with pq.ParquetFile(source) as file:
        return file.read()


def read_footer(path: Path) -> pq.FileMetaData:
    """The footer of a Parquet file; raises as `open_table`."""
    if isinstance(path, RemotePath):
        with open_table(path) as file:
            return file.metadata
    return pq.read_metadata(path)
