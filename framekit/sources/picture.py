"""From a decoded video frame to a picture: right colours, square pixels, upright."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

SQUARE_ENOUGH = Fraction(1, 100)
"""Pixel aspect ratios this near to 1 (1280:1281 and the like) are rounding in an encoder. Resampling a whole
film for them would soften every line to move none by a visible amount."""
HD_LINES = 720
BT709, BT601 = 1, 5  # swscale's names of the matrices
UNTAGGED = 2
# swscale's flags by number, since PyAV 17 has no names for all: bicubic, full chroma, exact rounding.
SCALING = 0x4 | 0x2000 | 0x4000 | 0x40000 | 0x80000


def to_rgb(frame: VideoFrame, pixel_aspect: Fraction = Fraction(1)) -> np.ndarray:
    """Convert a decoded frame.

    The matrix and range are those that the frame is tagged with; an untagged frame is BT.709 from 720 lines
    up and BT.601 below. More than 8 bits are rounded once, at the end.

    Args:
        frame: As PyAV's decoder gives it.
        pixel_aspect: Width of a pixel over its height.

    Returns:
        (H, W, 3) uint8 RGB, upright, with square pixels.
    """
    width, height = square_size(frame.width, frame.height, pixel_aspect)
    rgb = frame.reformat(
        width=width,
        height=height,
        format="rgb24",
        src_colorspace=matrix_of(frame),
        interpolation=SCALING,
    )
    return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), quarter_turns(frame.rotation)))


def matrix_of(frame: VideoFrame) -> int:
    """The YUV matrix of a frame in swscale's numbering: as tagged, else by its height."""
    if frame.colorspace in (0, UNTAGGED):
        return BT709 if frame.height >= HD_LINES else BT601
    return frame.colorspace


def square_size(width: int, height: int, pixel_aspect: Fraction) -> tuple[int, int]:
    """Width and height in square pixels of a frame of `width` × `height` pixels of another shape."""
    if abs(pixel_aspect - 1) < SQUARE_ENOUGH:
        return width, height
    return max(1, round(width * pixel_aspect)), height


def quarter_turns(degrees: int) -> int:
    """Counter-clockwise quarter turns, 0 to 3, that bring a frame upright.

    Args:
        degrees: Counter-clockwise, from the film's display matrix; damaged files hold nonsense here, which
            is taken as no rotation.
    """
    return round(degrees / 90) % 4 if abs(degrees) <= 360 else 0
