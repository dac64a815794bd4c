"""Compacting: pairs that are left out are taken out of the shards, for readers that know no decisions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framekit.errors import FramekitError, reason_of
from framekit.extraction.opening import alone
from framekit.extraction.settling import DATASET_LOCK, settle
from framekit.extraction.shards import Shards, footer_of
from framekit.files import sha256_of
from framekit.manifest.decisions import locked
from framekit.manifest.reading import Manifest, read_info
from framekit.manifest.schema import COMPACTED, PAIRS, DatasetInfo, ShardInfo, uncompacted
from framekit.manifest.writing import shard, write_info
from framekit.storage.paths import path_of
from framekit.terminal.progress import Progress


@dataclass
class Compacted:
    """What was taken out of a dataset.

    Attributes:
        root: Its folder.
        info: Its dataset.json.
        pairs: How many.
        shards: Shards that were written anew.
        bytes: By how many it is smaller.
    """

    root: Path
    info: DatasetInfo
    pairs: int = 0
    shards: int = 0
    bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        taken_out = {"pairs": self.pairs, "shards": self.shards, "bytes": self.bytes}
        return {"dataset": str(self.root), "totals": self.info.totals, "taken_out": taken_out}


def compact(root: str | Path) -> Compacted:
    """Write the shards of the dataset in folder `root` anew without the pairs that decisions leave out.

    Rows of frames stay, and so do decisions: a frame that is wanted back is cut anew by the next extraction.
    New shards stand beside the old ones until dataset.json names them, so that a reader has either all the
    old ones or all the new ones.

    Raises:
        CommandError: There is no dataset.
        FramekitError: A shard is damaged, another run is at work on the dataset, or none came to its end yet.
    """
    root = path_of(root)
    read_info(root)
    try:
        return _compact(root)
    except OSError as error:
        what = f"shards could not be written anew ({reason_of(error)})"
        advice = "make room and run the same command again: the dataset is as it was"
        raise FramekitError(what, where=root, advice=advice) from error


def _compact(root: Path) -> Compacted:
    with alone(root), locked(root, DATASET_LOCK):
        info = read_info(root)
        if not info.shards:
            advice = "run the same framekit extract again, then this command"
            raise FramekitError("holds no finished shards yet", where=root, advice=advice)
        _clear(root, info)
        manifest, done = Manifest(root, info), Compacted(root, info)
        rows = {shard.path: shard.rows for shard in info.shards}
        left_out = {path: kept for path, kept in manifest.kept.items() if len(kept) < rows[path]}
        with Progress("compact", total=len(left_out), unit="shards") as progress:
            stand_ins = {}
            for path, kept in left_out.items():
                stand_ins[path] = _without_others(manifest, path, kept)
                progress.advance()
        for old in [shard for shard in info.shards if shard.path in stand_ins]:
            new = stand_ins[old.path]
            done.pairs += old.rows - new.rows
            done.bytes += old.bytes - new.bytes
            done.shards += 1
        info.totals["pairs"] = len(manifest)
        if stand_ins:
            info.shards = [stand_ins.get(shard.path, shard) for shard in info.shards]
            settle(root, info)
            write_info(root, info)
            _clear(root, info)
    return done


def _clear(root: Path, info: DatasetInfo) -> None:
    for path in Shards(root, info.shards).superseded():
        path.unlink(missing_ok=True)


def _without_others(manifest: Manifest, path: str, kept: np.ndarray) -> ShardInfo:
    """Write the rows at positions `kept` of a shard of pairs to a new shard."""
    root = manifest.root
    stem = Path(path).stem
    before = COMPACTED.fullmatch(stem)
    number = int(before["number"]) + 1 if before else 1
    new = root / "pairs" / f"{uncompacted(stem)}-compacted-{number:05d}.parquet"
    with shard(new, PAIRS) as writer:
        for batch in manifest.stored(path, kept):
            for row in batch.to_pylist():
                writer.add(row)
        writer.close(footer_of(root / path))
    return ShardInfo(
        path=f"pairs/{new.name}", rows=len(kept), bytes=new.stat().st_size, sha256=sha256_of(new)
    )
