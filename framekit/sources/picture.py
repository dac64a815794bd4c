"""From a decoded video frame to a picture: right colours, square pixels, upright."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from framekit.errors import FramekitError
from framekit.sources.hdr import BT2020_PRIMARIES, HLG, PQ, to_sdr

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

SQUARE_ENOUGH = Fraction(1, 100)
"""Pixel aspect ratios this near to 1 (1280:1281 and the like) are rounding in an encoder. Resampling a whole
film for them would soften every line to move none by a visible amount."""
HD_LINES = 720
BT709, BT601, BT2020 = 1, 5, 9  # swscale's names of the matrices
CONVERTIBLE = (BT709, 4, BT601, 6, 7, BT2020)
NEAREST = {10: BT2020, 13: BT2020}
"""BT.2020 with constant luminance is taken as without: greys are the same, colours nearly."""
NO_MATRIX = (0, 2, 3, 12)
"""Tags that name none: RGB, unspecified, reserved, and derived from primaries."""
LIMITED = 1
TINY = 16
# swscale's flags by number, since PyAV 17 has no names for all: bicubic, full chroma, exact rounding. With
# these it doesn't dither, and gives the same bytes with and without SIMD and on any number of threads.
SCALING = 0x4 | 0x2000 | 0x4000 | 0x40000 | 0x80000

_scalers = threading.local()


def to_rgb(frame: VideoFrame, pixel_aspect: Fraction = Fraction(1)) -> np.ndarray:
    """Convert a decoded frame.

    The matrix and range are those that the frame is tagged with; an untagged frame is BT.709 from 720 lines
    up and BT.601 below. More than 8 bits are rounded once, at the end. PQ and HLG are tone-mapped, and
    primaries tagged as BT.2020 brought to BT.709. Transparent pixels are laid on white, as those of stills.

    Args:
        frame: As PyAV's decoder gives it.
        pixel_aspect: Width of a pixel over its height.

    Returns:
        (H, W, 3) uint8 RGB, upright, with square pixels.

    Raises:
        FramekitError: Colours are coded in a way that FFmpeg's scaler can't convert, as YCgCo or ICtCp.
    """
    transfer, wide = int(frame.color_trc), int(frame.color_primaries) == BT2020_PRIMARIES
    if transfer in (PQ, HLG) or wide:
        rgb = to_sdr(_converted(frame, pixel_aspect, "rgb48le"), transfer, wide=wide)
    elif _has_alpha(frame):
        rgb = _on_white(_converted(frame, pixel_aspect, "rgba"))
    elif frame.format.name.startswith("gray") and frame.color_range == LIMITED:
        rgb = _widened(_converted(frame, pixel_aspect, "gray16le"))
    else:
        rgb = _merged(_squared(frame, pixel_aspect, "gbrp"))
    if is_mirrored(frame):
        rgb = rgb[::-1]
    return np.ascontiguousarray(np.rot90(rgb, quarter_turns(frame.rotation)))


def _converted(frame: VideoFrame, pixel_aspect: Fraction, pixel_format: str) -> np.ndarray:
    return _squared(frame, pixel_aspect, pixel_format).to_ndarray()


def _merged(planar: VideoFrame) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a gbrp frame.

    The same bytes as rgb24 for a quarter of the time: for exact rounding FFmpeg's scaler has fast code for
    planes only.
    """
    lines = [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size) for plane in planar.planes
    ]
    green, blue, red = (plane[: planar.height, : planar.width] for plane in lines)
    return cv2.merge([red, green, blue])


def _squared(frame: VideoFrame, pixel_aspect: Fraction, pixel_format: str) -> VideoFrame:
    matrix = matrix_of(frame)
    if matrix not in CONVERTIBLE:
        raise FramekitError(
            f"colours are coded with matrix {matrix} of ITU-T H.273, which cannot be converted",
            advice="convert the film to BT.709 first",
        )
    width, height = square_size(frame.width, frame.height, pixel_aspect)
    return reformatted(
        frame, width=width, height=height, format=pixel_format, src_colorspace=matrix, interpolation=SCALING
    )


def reformatted(frame: VideoFrame, **how: Any) -> VideoFrame:
    """The same as `frame.reformat(**how)`, by a scaler that all frames of a thread share.

    To make a scaler takes a millisecond, and a frame's own is used for nothing else. There is one for each
    pixel format and interpolation that is asked for.
    """
    from av.video.reformatter import VideoReformatter

    kind = f"{how['format']} {how['interpolation']}"
    if kind not in _scalers.__dict__:
        _scalers.__dict__[kind] = VideoReformatter()
    scaler: VideoReformatter = _scalers.__dict__[kind]
    return scaler.reformat(frame, **how)


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.has_palette or any(component.is_alpha for component in frame.format.components)


def _on_white(rgba: np.ndarray) -> np.ndarray:
    """Lay (H, W, 4) uint8 with straight alpha on white: (H, W, 3) uint8."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _widened(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint16 limited-range grey to (H, W, 3) uint8; FFmpeg's scaler takes all grey for full range."""
    levels = np.rint((grey.astype(np.float32) / 257 - 16) * np.float32(255 / 219))
    return np.repeat(np.clip(levels, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def matrix_of(frame: VideoFrame) -> int:
    """The YUV matrix of a frame in the numbers of ITU-T H.273: as tagged, else by its height."""
    tag = int(frame.colorspace)
    if tag in NO_MATRIX:
        return BT709 if frame.height >= HD_LINES else BT601
    return NEAREST.get(tag, tag)


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


def is_mirrored(frame: VideoFrame) -> bool:
    """Whether the film's display matrix mirrors a frame: top to bottom, before its rotation is applied."""
    # A frame and its side data hold on to each other until garbage is collected: ask a tiny copy.
    tiny = reformatted(
        frame,
        width=TINY,
        height=TINY,
        format="gray",
        src_colorspace=BT709,  # any that FFmpeg can convert
        dst_colorspace=BT709,
        interpolation="POINT",
    )
    try:
        found: Any = tiny.side_data.get("DISPLAYMATRIX")
    except ValueError:  # from PyAV: side data of a kind that it has no name for
        return False
    if found is None or len(bytes(found)) != 36:
        return False
    a, b, _, c, d = np.frombuffer(bytes(found), np.int32)[:5].tolist()
    return bool(a * d < b * c)
