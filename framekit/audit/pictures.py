"""Pictures for a report: thumbnails and crops as data URIs, checked, and bounded in number of bytes."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import cv2
import numpy as np
import pyarrow as pa

from framekit.audit.rows import Rows
from framekit.errors import FramekitError
from framekit.images.encoding import decode, encode

BUDGET = 9_000_000
"""Bytes that all pictures of a report may take in it."""
THUMBNAIL_SIDE = 256
THUMBNAIL_ENCODING = "webp:80"
LARGEST = 4096
"""Pixels a side from which what claims to be a thumbnail is none."""
SHOWN_SIDE = 256
"""Pixels of a crop that are shown, at most, from its middle: at their own size, since lines are the point."""


@dataclass(frozen=True)
class Picture:
    """An encoded picture as a data URI, and its size in pixels."""

    uri: str
    width: int
    height: int


class Pictures:
    """The pictures of a dataset that a report shows.

    Args:
        rows: The dataset.
        spent: Bytes that are spent already, by other datasets' pictures; shared with them.

    Attributes:
        unread: Thumbnails and crops that are not there or cannot be read.
        over: Pictures that were left out since the report would have become too large.
    """

    def __init__(self, rows: Rows, spent: list[int] | None = None) -> None:
        self._rows = rows
        self._thumbnails = rows.manifest.all_thumbnails()
        self._reader = rows.manifest.reader()
        self._spent = [0] if spent is None else spent
        self.unread = 0
        self.over = 0

    def thumbnail(self, row: int) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB of at most 256 pixels a side; None where a frame has none."""
        try:
            data = self._thumbnails[row]
            image = None if data is None or not _is_small(data) else decode(data)
        except (FramekitError, IndexError, OSError, pa.ArrowException):
            image = None
        if image is None:
            self.unread += 1
            return None
        scale = THUMBNAIL_SIDE / max(image.shape[:2])
        if scale >= 1:
            return image
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    def frame(self, row: int) -> Picture | None:
        """The thumbnail of the frame at a place among all."""
        image = self.thumbnail(row)
        return None if image is None else self.encoded(image, THUMBNAIL_ENCODING)

    def pair(self, position: int) -> tuple[np.ndarray, np.ndarray | None] | None:
        """A pair's crop and its smoothed half, (P, P, 3) uint8 RGB each."""
        try:
            pair = self._reader[position]
        except (FramekitError, IndexError):
            self.unread += 1
            return None
        return pair.image, pair.smoothed

    def encoded(self, image: np.ndarray, encoding: str = "png") -> Picture | None:
        """A picture as a data URI; None where the report has no room for it any more."""
        data = encode(image, encoding)
        size = -(-len(data) // 3) * 4
        if self._spent[0] + size > BUDGET:
            self.over += 1
            return None
        self._spent[0] += size
        kind = encoding.partition(":")[0]
        uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        return Picture(uri, image.shape[1], image.shape[0])


def middle(image: np.ndarray) -> np.ndarray:
    """The middle of a picture, at most `SHOWN_SIDE` pixels a side."""
    top, left = (max(0, (side - SHOWN_SIDE) // 2) for side in image.shape[:2])
    return image[top : top + SHOWN_SIDE, left : left + SHOWN_SIDE]


def _is_small(data: bytes) -> bool:
    """By its header alone: a few bytes may claim gigapixels."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as picture:
            return max(picture.size) <= LARGEST
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
