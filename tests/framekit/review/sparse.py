"""Datasets in which there is little to see, or more than this framekit knows of."""

import pyarrow as pa

import framekit.manifest
from framekit.files import write_text
from framekit.manifest.schema import FRAMES, PAIRS
from tests.framekit.manifest.datasets import dataset as plain_dataset
from tests.framekit.manifest.datasets import written

SOURCE = "film-0000000a"
FRAME_SHARD, PAIR_SHARD = f"frames/{SOURCE}-0000.parquet", f"pairs/{SOURCE}-0000.parquet"


def empty(root):
    return plain_dataset(root, 0, sources=())


def one_frame_without_pairs(root):
    return as_dataset(root, [written(root, FRAME_SHARD, FRAMES, frames(1))])


def without_thumbnails_or_numbers(root):
    rows = [row | {"brightness": float("nan")} for row in frames(3)]
    shards = [written(root, FRAME_SHARD, FRAMES, rows), written(root, PAIR_SHARD, PAIRS, pairs(5))]
    return as_dataset(root, shards)


def with_measures_of_a_later_schema(root):
    later = FRAMES.append(pa.field("beauty", pa.float32())).append(pa.field("mood", pa.string()))
    rows = [row | {"beauty": 0.5, "mood": "calm", "brightness": 80.0} for row in frames(2)]
    shards = [written(root, FRAME_SHARD, later, rows), written(root, PAIR_SHARD, PAIRS, pairs(2))]
    return as_dataset(root, shards)


SPARSE = {
    empty: 0,
    one_frame_without_pairs: 1,
    without_thumbnails_or_numbers: 3,
    with_measures_of_a_later_schema: 2,
}
"""What makes them, and how many frames they have."""


def frames(count):
    return [{"frame_id": f"{SOURCE}:{number}", "source": SOURCE} for number in range(count)]


def pairs(count):
    return [{"pair_id": f"{SOURCE}:{number}#0", "frame_id": f"{SOURCE}:{number}"} for number in range(count)]


def as_dataset(root, shards):
    plain_dataset(root, 0, sources=())
    info = framekit.manifest.open(root).info
    info.shards = shards
    write_text(root / "dataset.json", info.model_dump_json())
    return root
