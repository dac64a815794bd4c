"""The manifest's tables: what a frame row, a pair row and a decision row hold. Docs: docs/manifest.md."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, Field, field_validator

SCHEMA_VERSION = 1
SHARD_PATH = re.compile(r"(frames|pairs)/[A-Za-z0-9_][A-Za-z0-9._-]*\.parquet")

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""An encoded picture as the Hugging Face viewer wants it: bytes first, then a file name."""

_IDENTITY = [
    ("source", pa.string()),  # id of the film or image folder: name plus 8 digits of its fingerprint
    ("fingerprint", pa.string()),  # 32 hexadecimal digits of the source's content
    ("frame_number", pa.int64()),  # place in display order from 0; place in the sorted list for stills
    ("pts", pa.int64()),  # presentation timestamp in the stream's time base; null where there is none
    ("seconds", pa.float64()),  # time since the film's first frame; null for stills
    ("name", pa.string()),  # path of a still inside its folder; null for films
    ("group", pa.string()),  # first subfolder of a still (photos/people/… → people); null for films
]
_MEASURES = [
    ("hash", pa.uint64()),  # perceptual hash, by the algorithm in dataset.json
    ("brightness", pa.float32()),  # mean luma, 0 to 255
    ("contrast", pa.float32()),  # standard deviation of luma, 0 to 127.5
    ("sharpness", pa.float32()),  # variance of the Laplacian at 640 pixels' width
]


def _hugging_face(fields: list[tuple[str, pa.DataType]]) -> dict[str, str]:
    """Schema metadata by which `datasets` shows struct columns as pictures."""

    def feature(kind: pa.DataType) -> dict[str, str]:
        if kind == PICTURE:
            return {"_type": "Image"}
        return {
            "dtype": {"float": "float32", "double": "float64"}.get(str(kind), str(kind)),
            "_type": "Value",
        }

    return {"huggingface": json.dumps({"info": {"features": {name: feature(kind) for name, kind in fields}}})}


def _table(*parts: list[tuple[str, pa.DataType]]) -> pa.Schema:
    fields = [field for part in parts for field in part]
    return pa.schema(fields, metadata=_hugging_face(fields))


FRAMES = _table(
    [("frame_id", pa.string())],
    _IDENTITY,
    [("width", pa.int32()), ("height", pa.int32())],  # upright, square pixels, black bars cut
    _MEASURES,
    [
        ("reason", pa.string()),  # why no pairs were cut from it; null when they were
        ("duplicate_of", pa.string()),  # frame_id of the sharper neighbour that stands for it
        ("thumbnail", PICTURE),
    ],
)
"""One row per sampled frame, kept or not."""

PAIRS = _table(
    [("pair_id", pa.string()), ("frame_id", pa.string())],
    _IDENTITY,
    [
        ("style", pa.string()),
        ("crop_index", pa.int32()),
        ("crop_x", pa.int32()),  # left edge in pixels of that frame, possibly scaled
        ("crop_y", pa.int32()),  # top edge
        ("crop_size", pa.int32()),
        ("scale", pa.float64()),  # frame size used / frame size in the film; 1 unless --frame-height asked
        ("seed", pa.int64()),
    ],
    _MEASURES,
    [("image", PICTURE), ("smoothed", PICTURE)],
)
"""One row per crop; `smoothed` is null in datasets made with --no-smooth."""

DECISIONS = pa.schema(
    [
        ("item", pa.string()),  # a frame_id or a pair_id
        ("keep", pa.bool_()),
        ("reason", pa.string()),
        ("by", pa.string()),  # "rule:<name>" or a person
        ("because_of", pa.string()),  # the frame it is a near-duplicate of
        ("at", pa.timestamp("us", tz="UTC")),  # null for rules: they follow from the data alone
    ]
)
"""Why something is left out, or kept against a rule. The last row about an item counts."""
SOURCE_ID = r"[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{8}"


class SourceInfo(BaseModel):
    """A film or an image folder that pictures were taken from."""

    id: str = Field(pattern=rf"^{SOURCE_ID}$")
    path: str  # as it was given; only a hint, the fingerprint is what identifies it
    kind: Literal["film", "stills"]
    fingerprint: str
    facts: dict[str, Any] = {}


class ShardInfo(BaseModel):
    """A Parquet file of the dataset, with what is needed to notice damage."""

    path: str
    rows: int
    bytes: int
    sha256: str

    @field_validator("path")
    @classmethod
    def _inside_the_dataset(cls, path: str) -> str:
        if not SHARD_PATH.fullmatch(path):
            raise ValueError("a shard's path must be frames/NAME.parquet or pairs/NAME.parquet")
        return path


class Problem(BaseModel):
    """A source that gave nothing, or less than it should, and why."""

    path: str
    what: str


class DatasetInfo(BaseModel):
    """What `dataset.json` holds."""

    schema_version: int
    framekit_version: str
    options: dict[str, Any]
    sources: list[SourceInfo] = []
    shards: list[ShardInfo] = []
    problems: list[Problem] = []
    totals: dict[str, int] = {}
    finished: bool = False  # false while shards are made, and after an interruption
