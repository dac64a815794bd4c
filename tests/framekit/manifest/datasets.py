"""Small datasets by construction, without films: two sources of frames, two pairs to a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from framekit.files import sha256_of
from framekit.images.encoding import encode
from framekit.manifest.decisions import write_rules
from framekit.manifest.schema import FRAMES, PAIRS, SCHEMA_VERSION, DatasetInfo, ShardInfo
from framekit.manifest.writing import shard, write_info

SOURCES = ("heidi-0000000a", "ponyo-0000000b")
PAIRS_PER_FRAME = 2
SIDE = 8  # pixels of a crop


def dataset(root: Path, frames: int, sources: tuple[str, ...] = SOURCES) -> Path:
    """A dataset of `frames` frames a source; brightness is the frame number, no rule leaves anything out."""
    shards = []
    for source in sources:
        identities = [identity(source, number) for number in range(frames)]
        pairs = [pair(row, index) for row in identities for index in range(PAIRS_PER_FRAME)]
        thumbnails = [row | {"thumbnail": picture(row["frame_number"])} for row in identities]
        shards += [written(root, f"frames/{source}-0000.parquet", FRAMES, thumbnails)]
        shards += [written(root, f"pairs/{source}-0000.parquet", PAIRS, pairs)]
    write_rules(root, [])
    info = DatasetInfo(schema_version=SCHEMA_VERSION, framekit_version="test", options={}, shards=shards)
    write_info(root, info)
    return root


def identity(source, number):
    return {
        "frame_id": f"{source}:{number}",
        "source": source,
        "frame_number": number,
        "brightness": float(number),
    }


def pair(frame, index):
    grey = frame["frame_number"] * PAIRS_PER_FRAME + index
    own = {"pair_id": f"{frame['frame_id']}#{index}", "crop_index": index, "crop_size": SIDE}
    return frame | own | {"image": picture(grey), "smoothed": picture(grey)}


def picture(grey):
    return {"bytes": encode(np.full((SIDE, SIDE, 3), grey % 256, np.uint8)), "path": f"{grey}.png"}


def written(root, path, schema, rows):
    with shard(root / path, schema) as writer:
        for row in rows:
            writer.add(dict.fromkeys(schema.names) | row)
        writer.close({})
    size = (root / path).stat().st_size
    return ShardInfo(path=path, rows=len(rows), bytes=size, sha256=sha256_of(root / path))
