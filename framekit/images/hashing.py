"""Perceptual hashes of small grey pictures, as 64-bit integers."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

HashKind = Literal["phash", "dhash", "whash", "average"]

VERSION = 1
"""Counts up whenever the same picture would get another hash than before."""
SMALL = (128, 72)
"""Width and height that hashes are taken at: 16 times cheaper than a full frame, and nearly the same hash."""


def small_grey(image: np.ndarray) -> np.ndarray:
    """Shrink by area averaging to the size that hashes are taken at.

    Args:
        image: (H, W, 3) uint8 RGB.

    Returns:
        (72, 128) uint8 luma.
    """
    return cv2.cvtColor(cv2.resize(image, SMALL, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)


def perceptual_hash(grey: np.ndarray, kind: HashKind = "phash") -> int:
    """Hash a small grey picture with `imagehash`, first bit highest.

    Args:
        grey: (72, 128) uint8 from `small_grey`.
        kind: phash (DCT), dhash (differences), whash (wavelets) or average.

    Returns:
        64 bits as an integer from 0 to 2**64 - 1.
    """
    import imagehash
    from PIL import Image

    hashers = {
        "phash": imagehash.phash,
        "dhash": imagehash.dhash,
        "whash": imagehash.whash,
        "average": imagehash.average_hash,
    }
    bits = hashers[kind](Image.fromarray(grey)).hash  # never hash(): it keeps 8 bits of the 64
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hash_name(kind: str) -> str:
    """What hashes are told apart by: only those of one name compare."""
    return f"{kind}-{VERSION}"


def distance(first: int, second: int) -> int:
    """Number of bits in which two hashes differ, from 0 to 64."""
    return (first ^ second).bit_count()
