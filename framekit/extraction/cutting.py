"""One frame → the squares that a dataset keeps of it: crops, or the whole frame squashed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from framekit.images.crops import FLAT_CONTRAST, Crop, contrast, crop_generator, random_crops
from framekit.options import ExtractOptions


class Size(NamedTuple):
    """A frame at a size that crops are cut at.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        scale: Its size over the frame's; None where width and height differ in it.
    """

    image: np.ndarray
    scale: float | None


def sizes(image: np.ndarray, options: ExtractOptions) -> list[Size]:
    """Sizes of an (H, W, 3) uint8 RGB frame that its crops are cut at in turn: number i at i modulo N."""
    if options.resize:
        return [squashed(image, options.crop_size)]
    heights = [options.frame_height, *filter(None, [options.second_height])]
    return [scaled(image, height) for height in heights]


def squares(at: list[Size], options: ExtractOptions, fingerprint: str, number: int) -> Iterator[Crop]:
    """Cut a frame's squares; they follow from seed, content and frame number alone.

    Args:
        at: From `sizes`.
        options: How many, how large.
        fingerprint: Of the source.
        number: Of the frame.

    Yields:
        Crops in the order of their index; none that is flat, or larger than the frame.
    """
    if options.resize:
        image = at[0].image
        yield from [Crop(0, 0, 0, image)] if contrast(image) >= FLAT_CONTRAST else []
        return
    cuts: list[Crop] = []
    for which, size in enumerate(at):
        if min(size.image.shape[:2]) < options.crop_size:
            continue
        # A generator of its own for the second size: the places at the first one stay what they were.
        generator = crop_generator(options.seed, fingerprint + "/2" * which, number)
        crops = random_crops(
            size.image, count=options.crops_per_frame, size=options.crop_size, generator=generator
        )
        cuts += [crop for crop in crops if crop.index % len(at) == which]  # views, no pixels
    yield from sorted(cuts, key=lambda crop: crop.index)


def scaled(image: np.ndarray, height: int | None) -> Size:
    """Shrink a picture to `height` pixels if it is higher; with the scale used (1.0 when left alone)."""
    if height is None or height >= image.shape[0]:
        return Size(image, 1.0)
    scale = height / image.shape[0]
    size = max(1, round(image.shape[1] * scale)), height
    return Size(cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale)


def squashed(image: np.ndarray, side: int) -> Size:
    """Bring a whole picture to a square of `side` pixels, whatever becomes of its shape."""
    return Size(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), None)
