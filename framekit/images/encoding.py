"""Pictures as bytes: PNG, JPEG or WebP, and back."""

from __future__ import annotations

import cv2
import numpy as np

from framekit.errors import FramekitError

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our own line says what is wrong, once

PNG_WAY = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH),
]
"""On crops of real films: 10 % fewer bytes than zlib's level 3 without these, in 0.4 of the time."""

LARGEST = 1 << 26
"""Pixels of a picture that is decoded: four times those of the largest crop there can be."""


def encode(image: np.ndarray, encoding: str = "png") -> bytes:
    """Encode a picture.

    Args:
        image: (H, W, 3) uint8 RGB.
        encoding: `png`, `jpeg:Q` or `webp:Q` with Q from 1 to 100 (95 when left out); webp:100 is the
            best lossy quality.
    """
    kind, quality = parse_encoding(encoding)
    flags = {
        "png": PNG_WAY,
        "jpeg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
    }[kind]
    done, data = cv2.imencode(suffix_of(encoding), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)
    if not done:
        raise FramekitError(f"a picture of shape {image.shape} could not be encoded as {encoding}")
    return data.tobytes()


def decode(data: bytes | np.ndarray | None) -> np.ndarray:
    """Decode an encoded picture, given as bytes or as an array of uint8, to (H, W, 3) uint8 RGB.

    Raises:
        FramekitError: The bytes are no picture.
    """
    encoded = np.frombuffer(b"" if data is None else data, np.uint8)
    height, width = claimed_size(encoded.tobytes())
    if height * width > LARGEST:
        what = f"{encoded.size} bytes that claim {width}×{height} pixels are no picture of a dataset"
        raise FramekitError(what)
    try:
        rgb = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB) if height * width else None
    except cv2.error:
        rgb = None
    if rgb is None:
        raise FramekitError(f"{encoded.size} bytes that are no picture")
    return rgb


def claimed_size(data: bytes) -> tuple[int, int]:
    """Height and width as the header of a PNG, JPEG or WebP states them; (0, 0) for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return int.from_bytes(data[20:24]), int.from_bytes(data[16:20])
    if data.startswith(b"\xff\xd8"):
        return _size_of_jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _size_of_webp(data)
    return 0, 0


def _size_of_jpeg(data: bytes) -> tuple[int, int]:
    """Markers are looked for as libjpeg does, which passes over what stands between them."""
    at = data.find(b"\xff", 2)
    while 0 <= at < len(data) - 8:
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            return int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
        alone = marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8
        length = 0 if alone else 1 + int.from_bytes(data[at + 2 : at + 4])
        at = data.find(b"\xff", at + 1 + length)
    return 0, 0


_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers behind which a frame's size stands: ITU-T T.81, table B.1."""


def _size_of_webp(data: bytes) -> tuple[int, int]:
    """RFC 9649: extended, lossless, lossy."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[27:30], "little"), 1 + int.from_bytes(data[24:27], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    if kind == b"VP8 ":
        sides = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (28, 26))
        return next(sides), next(sides)
    return 0, 0


def parse_encoding(encoding: str) -> tuple[str, int]:
    """Split `jpeg:90` into (`jpeg`, 90); quality is 95 when left out.

    Raises:
        ValueError: Another format, or a quality outside 1 to 100.
    """
    kind, _, quality = encoding.partition(":")
    if kind not in ("png", "jpeg", "webp") or (kind == "png" and quality):
        raise ValueError("must be png, jpeg[:Q] or webp[:Q]")
    if quality and not (quality.isascii() and quality.isdecimal() and 1 <= int(quality) <= 100):
        raise ValueError("quality must be a whole number from 1 to 100")
    return kind, int(quality or 95)


def suffix_of(encoding: str) -> str:
    """File name suffix of an encoding, with its dot."""
    return {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}[parse_encoding(encoding)[0]]
