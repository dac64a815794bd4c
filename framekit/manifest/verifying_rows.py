"""What is wrong with single rows of frames and pairs: who they are, where they were cut, what they show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from framekit.errors import FramekitError
from framekit.images.edges import smooth_edges
from framekit.images.encoding import decode
from framekit.images.likeness import SIZE
from framekit.manifest.schema import DatasetInfo

SMOOTHING_TOLERANCE = 1
"""Grey levels by which a stored smoothed crop may differ from smoothing its crop, in lossless encodings."""
LOSSY_TOLERANCE = 10.0
"""The same on average, in lossy ones. On crops of two films it was up to 1.8 in jpeg:90, 3.0 in webp:80, 8.2
in jpeg:1. A smoothed half of another crop was 53 away in the middle, and less than 11 in one of a hundred."""

_IDENTITY = ("frame_id", "source", "fingerprint", "frame_number", "hash")
_NEEDED = {
    "frames": (*_IDENTITY, "width", "height", "signature", "brightness", "contrast", "sharpness"),
    "pairs": (*_IDENTITY, "pair_id", "crop_index", "crop_x", "crop_y", "crop_size", "seed"),
}
_REPEATED = ("pts", "seconds", "name", "group", "hash")
"""What a pair's row repeats of its frame's."""


class Known(NamedTuple):
    """What rows are held against: the dataset's options, and the fingerprints of its sources by id."""

    options: dict[str, Any]
    fingerprints: dict[str, str]

    @classmethod
    def of(cls, info: DatasetInfo) -> Known:
        """From a dataset's papers."""
        return cls(info.options, {source.id: source.fingerprint for source in info.sources})

    def number(self, option: str) -> int | None:
        """A whole number among the options; None where it is something else."""
        value = self.options.get(option)
        return value if isinstance(value, int) else None


class Frame(NamedTuple):
    """What pairs are held against of their frame: its size, and the columns that they repeat."""

    width: int | None
    height: int | None
    pts: int | None
    seconds: float | None
    name: str | None
    group: str | None
    hash: int | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Frame:
        """The frame of a row of frames."""
        return cls(*(row[name] for name in cls._fields))


def frame_faults(row: dict[str, Any], known: Known) -> Iterator[str]:
    """What is wrong with a row of frames, but for its picture.

    Args:
        row: Without its picture.
        known: What it is held against.
    """
    yield from _identity_faults(row, known, "frames")
    for side in ("width", "height"):
        if row[side] is not None and row[side] < 1:
            yield f"its {side} is {row[side]}"
    if row["signature"] is not None and len(row["signature"]) != SIZE:
        yield f"its signature has {len(row['signature'])} bytes, not {SIZE}"


def pair_faults(row: dict[str, Any], known: Known, frame: Frame | None) -> Iterator[str]:
    """What is wrong with a row of pairs, but for its pictures.

    Args:
        row: Without its pictures.
        known: What it is held against.
        frame: The row's frame, where it is known.
    """
    yield from _identity_faults(row, known, "pairs")
    if None not in (row["frame_id"], row["crop_index"]):
        named = f"{row['frame_id']}#{row['crop_index']}"
        if row["pair_id"] != named:
            yield f"its frame and its crop index make {named}"
    options = known.options
    for column in ("crop_size", "seed", "style"):
        if column in options and row[column] != options[column]:
            yield f"its {column} is {row[column]}, that of the dataset {options[column]}"
    most = known.number("crops_per_frame")
    if most is not None and row["crop_index"] is not None and not 0 <= row["crop_index"] < most:
        yield f"its crop index is {row['crop_index']}; a frame has {most} crops at most"
    if frame is not None:
        for column in _REPEATED:
            if row[column] != getattr(frame, column):
                yield f"its {column} is {row[column]}, that of its frame {getattr(frame, column)}"
        squashed = options.get("resize") is True
        yield from _squashed_faults(row) if squashed else _place_faults(row, frame, _height(row, known))


def _identity_faults(row: dict[str, Any], known: Known, table: str) -> Iterator[str]:
    missing = [name for name in _NEEDED[table] if row[name] is None]
    if missing:
        yield f"says nothing of {', '.join(missing)}"
    if None not in (row["source"], row["frame_number"]):
        named = f"{row['source']}:{row['frame_number']}"
        if row["frame_id"] != named:
            yield f"its source and its frame number make the frame {named}"
    theirs = known.fingerprints.get(row["source"], row["fingerprint"])
    if row["fingerprint"] != theirs:
        yield f"its fingerprint is {row['fingerprint']}, that of its source {theirs}"


def _height(row: dict[str, Any], known: Known) -> int | None:
    """That a row's frame was to be shrunk to: every second crop has another one, where that was asked for."""
    second = known.number("second_height")
    odd = isinstance(row["crop_index"], int) and row["crop_index"] % 2 == 1
    return second if odd and second is not None else known.number("frame_height")


def _squashed_faults(row: dict[str, Any]) -> Iterator[str]:
    """Of a row that stands for a whole frame."""
    if row["scale"] is not None:
        yield f"its scale is {row['scale']}, where --resize leaves none"
    if (row["crop_x"], row["crop_y"]) != (0, 0):
        yield f"stands at ({row['crop_x']}, {row['crop_y']}), where --resize takes whole frames"


def _place_faults(row: dict[str, Any], frame: Frame, asked: int | None) -> Iterator[str]:
    if frame.width is None or frame.height is None or min(frame.width, frame.height) < 1:
        return
    scale = asked / frame.height if asked is not None and asked < frame.height else 1.0
    if row["scale"] is None:
        yield "says nothing of scale"
    elif row["scale"] != scale:
        yield f"its scale is {row['scale']}, where --frame-height makes it {scale}"
    width, height = max(1, round(frame.width * scale)), round(frame.height * scale)
    x, y, size = row["crop_x"], row["crop_y"], row["crop_size"]
    if None not in (x, y, size) and not (0 <= x <= width - size and 0 <= y <= height - size):
        yield f"its crop of {size}×{size} at ({x}, {y}) lies outside its frame of {width}×{height}"


def thumbnail_faults(thumbnail: bytes | None) -> Iterator[str]:
    """What is wrong with the encoded picture of a row of frames."""
    if _decoded(thumbnail) is None:
        yield "thumbnail is no picture"


def picture_faults(
    image: bytes | None, smoothed: bytes | None, size: int | None, known: Known
) -> Iterator[str]:
    """What is wrong with the encoded pictures of a row of pairs.

    Args:
        image, smoothed: As they are stored; None where there is none.
        size: Side in pixels that the row gives.
        known: Says whether there are smoothed halves, and how all are encoded.
    """
    crop = _decoded(image)
    yield from _size_faults("image", crop, size)
    if not known.options.get("smooth", True):
        if smoothed is not None:
            yield "smoothed is there in a dataset made with --no-smooth"
        return
    half = _decoded(smoothed)
    yield from _size_faults("smoothed", half, size)
    if crop is not None and half is not None and crop.shape == half.shape:
        away = np.abs(half.astype(np.int16) - smooth_edges(crop))
        lossless = known.options.get("encoding", "png") == "png"
        if away.max() > SMOOTHING_TOLERANCE if lossless else away.mean() > LOSSY_TOLERANCE:
            yield "smoothed is not the crop with its edges smoothed"


def _size_faults(name: str, image: np.ndarray | None, size: int | None) -> Iterator[str]:
    if image is None:
        yield f"{name} is no picture"
    elif size is not None and image.shape[:2] != (size, size):
        yield f"{name} is {image.shape[1]}×{image.shape[0]}, not {size}×{size}"


def _decoded(data: bytes | None) -> np.ndarray | None:
    try:
        return decode(data)
    except FramekitError:
        return None
