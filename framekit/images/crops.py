"""Random square crops: never a resize, the same crops whatever ran before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

FLAT_CONTRAST = 4.0
"""Standard deviation of luma below which a crop shows one flat colour and teaches nothing."""
DRAWS = 6
"""How often a place is drawn before a crop is given up as flat."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Crop:
    """A square of a frame.

    Attributes:
        index: Which of the frame's crops it is, from 0.
        x, y: Left and top edge in pixels.
        image: (P, P, 3) uint8 RGB.
    """

    index: int
    x: int
    y: int
    image: np.ndarray = field(repr=False)


def random_crops(
    image: np.ndarray, *, count: int, size: int, generator: np.random.Generator
) -> Iterator[Crop]:
    """Cut up to `count` random squares; nearly flat places are drawn again, then skipped.

    Args:
        image: (H, W, 3) uint8 RGB with H and W at least `size`.
        count: Squares to cut.
        size: Side of a square in pixels.
        generator: From `crop_generator`.

    Yields:
        Crops that are not flat; `index` counts the attempts, so a skipped one leaves a gap.
    """
    height, width = image.shape[:2]
    for index in range(count):
        for _ in range(DRAWS):
            x = int(generator.integers(0, width - size + 1))
            y = int(generator.integers(0, height - size + 1))
            crop = image[y : y + size, x : x + size]
            if contrast(crop) >= FLAT_CONTRAST:
                yield Crop(index, x, y, crop)
                break


def contrast(image: np.ndarray) -> float:
    """Standard deviation of luma of an (H, W, 3) uint8 RGB picture, on every second pixel each way."""
    return float((image[::2, ::2].astype(np.float32) @ LUMA).std())


def crop_generator(seed: int, fingerprint: str, frame_number: int) -> np.random.Generator:
    """A generator for one frame's crops, the same wherever and whenever that frame is cut."""
    name = f"{seed}/{fingerprint}/{frame_number}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "big"))
