"""Writing a dataset: shards once and whole, then dataset.json and the dataset card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from framekit.files import sha256_of, whole_file, write_text
from framekit.manifest import places
from framekit.manifest.schema import DECISIONS, DatasetInfo

ROW_GROUP_BYTES = 2_000_000
"""Pictures per row group, in bytes: small enough for one row to be fetched in about a millisecond."""
ROW_GROUP_ROWS = 1_000


class ShardWriter:
    """Writes rows of one table to a temporary file; `facts` go into the footer when the shard is closed.

    Args:
        path: Where the shard will stand once whole.
        schema: `schema.FRAMES` or `schema.PAIRS`.

    Attributes:
        rows: How many were added.
        written: After `shard`: `rows`, `bytes` and `sha256` of the file, as it was before it went anywhere.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._pictures = [field.name for field in schema if pa.types.is_struct(field.type)]
        plain = {f"{name}.bytes": "PLAIN" for name in self._pictures}
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        compressed = dict.fromkeys(_leaves(schema), "zstd") | dict.fromkeys(plain, "none")
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression=compressed,
            use_dictionary=texts,
            column_encoding=plain,
            write_statistics=[leaf for leaf in _leaves(schema) if leaf not in plain],
            data_page_size=1 << 30,  # one page for each column of a row group: `places` counts on it
        )
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self._lengths: dict[str, list[int | None]] = {name: [] for name in self._pictures}
        self.rows = 0
        self.written: dict[str, Any] = {}

    def add(self, row: dict[str, Any]) -> None:
        """Append one row; rows reach the disk a row group at a time."""
        self._rows.append(row)
        for name, lengths in self._lengths.items():
            data = (row[name] or {}).get("bytes")
            lengths.append(None if data is None else len(data))
            self._bytes += lengths[-1] or 0
        self.rows += 1
        if self._bytes >= ROW_GROUP_BYTES or len(self._rows) >= ROW_GROUP_ROWS:
            self._flush()

    def close(self, facts: dict[str, Any]) -> None:
        """Write what is pending and the footer with `facts` about the shard."""
        self._flush()
        said = {"framekit": facts, places.KEY: self._lengths}
        self._writer.add_key_value_metadata({key: json.dumps(it, sort_keys=True) for key, it in said.items()})
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows, self._bytes = [], 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()


def _leaves(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        if pa.types.is_struct(field.type):
            yield from (f"{field.name}.{inner.name}" for inner in field.type)
        else:
            yield field.name


@contextmanager
def shard(path: Path, schema: pa.Schema) -> Iterator[ShardWriter]:
    """Open a shard for writing; it appears under `path` only when the block ends well and it was closed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        with ShardWriter(temporary, schema) as writer:
            yield writer
        size = temporary.stat().st_size
        writer.written = {"rows": writer.rows, "bytes": size, "sha256": sha256_of(temporary)}


def write_decisions(root: Path, rows: list[dict[str, Any]]) -> None:
    """Write `decisions.parquet` of the dataset in folder `root` as a whole.

    `decisions.decide` and `decisions.write_rules` see to what is there already.
    """
    write_table(root / "decisions.parquet", pa.Table.from_pylist(rows, DECISIONS))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table of decisions as a whole; equal rows give equal bytes."""
    # A person waits for each word: this takes half the time of zstd with statistics.
    texts = ["reason", "by", "because_of"]
    options = {"compression": "snappy", "use_dictionary": texts, "write_statistics": False}
    with whole_file(path) as temporary:
        # In one piece: how a table was put together would show in its pages.
        pq.write_table(table.combine_chunks(), temporary, **options)


def write_info(root: Path, info: DatasetInfo) -> None:
    """Write `dataset.json` of the dataset in folder `root`."""
    text = json.dumps(info.model_dump(mode="json"), indent=2, sort_keys=True, allow_nan=False)
    write_text(root / "dataset.json", text + "\n")
