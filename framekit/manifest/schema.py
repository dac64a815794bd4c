"""The manifest's tables: what a frame row, a pair row and a decision row hold. Docs: docs/manifest.md."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, field_validator

SCHEMA_VERSION = 2
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
_HASH = [("hash", pa.uint64())]  # perceptual hash of the frame, by the algorithm in dataset.json
_MEASURES = [
    # Of a frame at 640 pixels' width, of a crop at its own pixels; images/quality.py has the formulas.
    ("brightness", pa.float32()),  # mean luma, 0 to 255
    ("contrast", pa.float32()),  # standard deviation of luma, 0 to 127.5
    ("luma_p1", pa.float32()),  # level that 1 % of the pixels don't exceed, 0 to 255
    ("luma_p50", pa.float32()),
    ("luma_p99", pa.float32()),
    ("entropy", pa.float32()),  # of luma, 0 to 8 bits
    ("sharpness", pa.float32()),  # variance of the Laplacian
    ("edge_density", pa.float32()),  # share of edge pixels, 0 to 1
    ("flatness", pa.float32()),  # share of blocks without detail, 0 to 1
    ("colourfulness", pa.float32()),  # Hasler & Süsstrunk, 0 for grey
    ("blockiness", pa.float32()),  # of compression; 1 for none
    ("combing", pa.float32()),  # percent of pixels with the teeth of interlaced motion
    ("noise", pa.float32()),  # standard deviation in flat areas, levels
    ("text", pa.float32()),  # share under lines of text, 0 to 1
]
_IN_TIME = [
    ("fade", pa.float32()),  # how far it has faded to black or white, 0 to 1
    ("dissolve", pa.float32()),  # how much a mix of the samples before and after explains, 0 to 1
    ("pan_x", pa.float32()),  # the camera's move since the sample before, in widths; null where there is none
    ("pan_y", pa.float32()),  # in heights
    ("zoom", pa.float32()),  # size of things over their size in the sample before
]
_CONTENT = [
    ("tags", pa.string()),  # JSON object, tag → probability, by --tagger; null without one
    ("content", pa.list_(pa.string())),  # groups that these tags belong to; null without a tagger
]


def _hugging_face(fields: list[tuple[str, pa.DataType]]) -> dict[str, str]:
    """Schema metadata by which `datasets` shows struct columns as pictures."""

    def feature(kind: pa.DataType) -> dict[str, Any]:
        if kind == PICTURE:
            return {"_type": "Image"}
        if pa.types.is_list(kind):
            return {"feature": feature(kind.value_type), "_type": "List"}
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
    _HASH,
    [("signature", pa.binary())],  # 432 bytes: its mean colours on a grid of 16×9, images/likeness.py
    _MEASURES,
    _IN_TIME,
    _CONTENT,
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
        ("scale", pa.float64()),  # frame size used / that in the film; null where frames were squashed
        ("seed", pa.int64()),
    ],
    _HASH,
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
SPLITS = pa.schema(
    [
        ("frame_id", pa.string()),
        ("split", pa.string()),  # null where it would leak now
        ("assigned", pa.string()),  # the side it was given once and for all; null where it never had one
    ]
)
"""The side of each frame, train or test: where it stands now, and where it was put."""
SCENES = pa.schema(
    [("source", pa.string()), ("scene", pa.int32()), ("start", pa.int64()), ("stop", pa.int64())]
)
"""The shots of films: frames [start, stop)."""
SOURCE_ID = r"[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{8}"
SEGMENT_SHARD = re.compile(rf"(?P<source>{SOURCE_ID})-(?P<index>\d{{5}})-of-(?P<of>\d{{5}})")
"""Name of the shards of a segment, without suffix."""
LATER_SHARD = re.compile(rf"(?P<source>{SOURCE_ID})-later-(?P<number>\d{{5}})")
"""Name of a shard of pairs of frames that were wanted back later."""
COMPACTED = re.compile(r"(?P<name>.+)-compacted-(?P<number>\d{5})")
"""Name of the shard that took the place of the pairs shard `name`."""


_FACTS: dict[str, Any] = {
    "stated_frames": int,
    "frames": int | None,
    "seconds": int | float,
    "decoder": str,
    "decoding": str,
    "letterbox": str | None,
    "telecine": str | None,
}
"""Facts that are made use of, and what they are."""


def sound_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of a source without those of another kind than is written: a stranger's may be anything."""
    wrong = {name for name, kind in _FACTS.items() if name in facts and not isinstance(facts[name], kind)}
    if not _is_box(facts.get("overlay")):
        wrong.add("overlay")
    return {name: its for name, its in facts.items() if name not in wrong}


def _is_box(overlay: Any) -> bool:
    """Four shares of a picture, or none."""
    if overlay is None:
        return True
    numbers = isinstance(overlay, list | tuple) and all(isinstance(side, int | float) for side in overlay)
    return numbers and len(overlay) == 4 and all(0 <= side <= 1 for side in overlay)


class SourceInfo(BaseModel):
    """A film or an image folder that pictures were taken from."""

    id: str = Field(pattern=rf"^{SOURCE_ID}$")
    path: str  # as it was given; only a hint, the fingerprint is what identifies it
    kind: Literal["film", "stills"]
    fingerprint: str
    facts: Annotated[dict[str, Any], AfterValidator(sound_facts)] = {}


class ShardInfo(BaseModel):
    """A Parquet file of the dataset, with what is needed to notice damage."""

    path: str
    rows: int = Field(ge=0, lt=2**63)
    bytes: int = Field(ge=0, lt=2**63)
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


class Split(BaseModel):
    """How a dataset is split into a train and a test side."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["film", "scene", "duplicate-group"]  # what stays together
    test: float = Field(gt=0, lt=1, allow_inf_nan=False)  # share of the frames with pairs that is aimed at
    seed: int = Field(0, ge=0)  # of the choice among what stays together


class DatasetInfo(BaseModel):
    """What `dataset.json` holds."""

    schema_version: int
    framekit_version: str
    options: dict[str, Any]
    sources: list[SourceInfo] = []
    shards: list[ShardInfo] = []
    problems: list[Problem] = []
    totals: dict[str, int] = {}
    dropped: dict[str, int] = {}  # frames left out, by reason
    spent: dict[str, FiniteFloat] = {}  # CPU seconds that it took to make, by stage
    split: Split | None = None  # null where the dataset is not split
    tagger: dict[str, str] | None = None  # SHA-256 of the image tagger's files
    finished: bool = False  # false while shards are made, and after an interruption


def source_of(shard: str) -> str:
    """Id of the source that a shard's rows come from, by the shard's path in the dataset."""
    name = uncompacted(shard.rpartition("/")[2].removesuffix(".parquet"))
    match = SEGMENT_SHARD.fullmatch(name) or LATER_SHARD.fullmatch(name)
    return match["source"] if match else name


def uncompacted(name: str) -> str:
    """Name that a shard had when it was first written."""
    compacted = COMPACTED.fullmatch(name)
    return compacted["name"] if compacted else name


def is_later(shard: str) -> bool:
    """Whether a shard, by its path in the dataset, is of frames that were wanted back later."""
    return LATER_SHARD.fullmatch(uncompacted(shard.rpartition("/")[2].removesuffix(".parquet"))) is not None
