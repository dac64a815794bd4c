"""Small datasets by construction, without films: two sources of frames, two pairs to a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from framekit.files import sha256_of, write_text
from framekit.images.encoding import encode
from framekit.manifest.card import card
from framekit.manifest.decisions import write_rules
from framekit.manifest.schema import FRAMES, PAIRS, SCHEMA_VERSION, DatasetInfo, ShardInfo, SourceInfo
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


def speckled(
    root: Path,
    frames: int = 6,
    *,
    side: int = 16,
    encoding: str = "png",
    smooth: bool = True,
    sides: dict[str, str | None] | None = None,
    sources: tuple[str, ...] = SOURCES,
) -> Path:
    """A dataset whose pictures are noise, no two alike, of `side` pixels; `sides` splits it."""
    shards = []
    for source in sources:
        rows = [
            pair(identity(source, number), index)
            | {"crop_size": side, "seconds": number / 3, "style": "dots"}
            for number in range(frames)
            for index in range(PAIRS_PER_FRAME)
        ]
        for row in rows:
            row["image"] = {"bytes": encode(noise(row["pair_id"], side), encoding), "path": "a"}
            half = {"bytes": encode(noise(row["pair_id"] + "s", side), encoding), "path": "b"}
            row["smoothed"] = half if smooth else None
        known = [identity(source, number) for number in range(frames)]
        thumbnails = [row | {"thumbnail": picture(row["frame_number"])} for row in known]
        shards += [written(root, f"frames/{source}-0000.parquet", FRAMES, thumbnails)]
        shards += [written(root, f"pairs/{source}-0000.parquet", PAIRS, rows)]
    write_rules(root, [])
    if sides is not None:
        table = {"frame_id": list(sides), "split": pa.array(sides.values(), pa.string())}
        pq.write_table(pa.table(table), root / "split.parquet")
    options = {"crop_size": side, "encoding": encoding, "smooth": smooth, "style": "dots"}
    infos = [SourceInfo(id=id_, path=f"{id_}.mkv", kind="film", fingerprint="0" * 32) for id_ in sources]
    info = DatasetInfo(
        schema_version=SCHEMA_VERSION,
        framekit_version="test",
        options=options,
        sources=infos,
        shards=shards,
        finished=True,
    )
    write_info(root, info)
    write_text(root / "README.md", card(info))
    return root


def noise(name: str, side: int) -> np.ndarray:
    """(side, side, 3) uint8 that follows from `name`."""
    return np.random.default_rng(list(name.encode())).integers(0, 256, (side, side, 3), np.uint8)
