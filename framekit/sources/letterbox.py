"""Black bars: the box of a film's picture inside them, found from many pictures of the film.

One picture says little: a night sky is as black as a bar. So a bar must be black in practically every
picture, and end in a straight, sharp edge that enough bright pictures show over most of its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

DARK = 32
"""The brightest channel of a bar's pixel stays up to here: black at 16 (a wrong range tag) plus noise."""
BRIGHT = 56
"""From here on a pixel beside a bar is evidence of its edge."""
TEXT_OF_LINE = 0.5
"""Subtitles light at most this share of a line of a bar; more is a picture without the bar."""
TEXT_OF_PICTURES = 0.7
"""A pixel of a bar may be lit in this share of the pictures: subtitles come and go, stars and logos stay."""
WITHOUT_BAR = 0.03
"""Share of the pictures that may lack the bar: a studio's logo, but no scene."""
USUALLY = 50
"""Pictures, at most, that are looked at."""
EDGE_OF_LINE = 0.6
"""A picture shows an edge when the line inside it is bright over this share of its length, and sharp."""
SHARP = 0.35
"""Outside a sharp edge a line has at most this share of the brightness inside."""
SEEN = (5, 0.15)
"""An edge must be shown by this many pictures and this share of them."""
FULL = 0.8
"""An outermost line with less than this share of its neighbour's brightness is half a bar, and is cut."""
BLUR = 16
"""Pixels from the first lit line on in which the edge is looked for: ringing fills a block of chroma."""
LEAST = 4
"""Pixels: narrower dark lines at a side are what a camera or capture card leaves, and no bars."""
NARROW = 0.05
"""A bar wider than this share of its side has one much like it opposite; else it is a black sky or floor."""


@dataclass(frozen=True)
class Box:
    """A rectangle in the upright picture with square pixels; `str()` gives W:H:X:Y.

    Attributes:
        width, height: Pixels, at least 1.
        x, y: Pixels left of and above the box.
    """

    width: int
    height: int
    x: int
    y: int

    def __str__(self) -> str:
        return f"{self.width}:{self.height}:{self.x}:{self.y}"

    @classmethod
    def parse(cls, text: str) -> Box:
        """Read what `str()` writes.

        Raises:
            ValueError: It is something else, or the box is empty.
        """
        found = re.fullmatch(":".join(["([0-9]{1,5})"] * 4), text.strip())
        if not found:
            raise ValueError(f"{text!r} is not W:H:X:Y in pixels, such as 1280:544:0:88")
        box = cls(*map(int, found.groups()))
        if not (box.width and box.height):
            raise ValueError(f"{text!r}: the box is empty; give W:H:X:Y with width and height of at least 1")
        return box

    def fits(self, width: int, height: int) -> bool:
        """Whether the box lies within a picture of that size."""
        return self.x + self.width <= width and self.y + self.height <= height

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The part of an (H, W, …) image inside the box, as a view.

        Raises:
            ValueError: The box reaches beyond the image.
        """
        height, width = image.shape[:2]
        if not self.fits(width, height):
            raise ValueError(f"box {self} does not fit a picture of {width}x{height}")
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True)
class _Lines:
    """All lines of N pictures parallel to one side, from that side inwards: L rows or columns.

    Attributes:
        often: (L,) number of pictures in which the most often lit pixel of a line is lit.
        mean: (N, L) mean brightness.
        lit, bright: (N, L) number of pixels above `DARK` and above `BRIGHT`.
    """

    often: np.ndarray
    mean: np.ndarray
    lit: np.ndarray
    bright: np.ndarray

    def reversed(self) -> _Lines:
        return _Lines(self.often[::-1], self.mean[:, ::-1], self.lit[:, ::-1], self.bright[:, ::-1])

    def black(self, length: int) -> int:
        """Number of lines of `length` pixels before the first that holds more than text."""
        filled = (self.lit > TEXT_OF_LINE * length).sum(axis=0) > WITHOUT_BAR * len(self.lit)
        return int(filled.argmax()) if filled.any() else len(filled)


def find_bars(pictures: Iterable[np.ndarray]) -> Box | None:
    """Find the box inside constant black bars at any of the four sides.

    A bar is black in practically every picture. Text in it may come and go (subtitles, which are cut off
    with it); what stays there, such as a logo or stars, makes it part of the picture. Its edge must be shown,
    straight and sharp over most of its length, by enough bright pictures. The box is as tight as the edge
    can be placed: a line that is half bar is cut, so that no dark line remains.

    Args:
        pictures: (H, W, 3) uint8 RGB, up to 50, spread over one film. They are gone through once, at most
            until no side can have a bar; only one plane and a few numbers a line are kept.

    Returns:
        The box, or None where there are no bars, too little evidence, or pictures of different sizes.
    """
    sides = _measure(pictures)
    if sides is None:
        return None
    rows, columns = sides
    height, width = len(rows.often), len(columns.often)
    inner_height = height - rows.black(width) - rows.reversed().black(width)
    inner_width = width - columns.black(height) - columns.reversed().black(height)
    if inner_height < max(height / 4, 4 * BLUR) or inner_width < max(width / 4, 4 * BLUR):
        return None
    top, bottom = _pair(rows, inner_width)
    left, right = _pair(columns, inner_height)
    if not (top or bottom or left or right):
        return None
    return Box(width - left - right, height - top - bottom, left, top)


def _measure(pictures: Iterable[np.ndarray]) -> tuple[_Lines, _Lines] | None:
    """Rows and columns of all pictures; None for no pictures, several sizes, or no side with a bar."""
    import cv2

    often: np.ndarray | None = None
    filled = np.zeros(4, int)
    sums: list[list[np.ndarray]] = []  # a picture each: mean, lit, bright of the rows, then of the columns
    for image in pictures:
        brightness = cv2.max(cv2.max(image[..., 0], image[..., 1]), image[..., 2])
        if often is None:
            often = np.zeros(brightness.shape, np.uint16)
        if often.shape != brightness.shape:
            return None
        lit, bright = brightness > DARK, brightness > BRIGHT
        often += lit
        filled += _outermost_filled(lit)
        if filled.min() > WITHOUT_BAR * max(USUALLY, len(sums)):
            return None
        sums.append([measure(axis) for axis in (1, 0) for measure in (brightness.mean, lit.sum, bright.sum)])
    if often is None:
        return None
    stacked = [np.stack(column) for column in zip(*sums, strict=True)]
    return _Lines(often.max(1), *stacked[:3]), _Lines(often.max(0), *stacked[3:])


def _outermost_filled(lit: np.ndarray) -> np.ndarray:
    """(4,) bool: whether more than text stands in the line at each side of an (H, W) bool picture."""
    return np.array([line.mean() > TEXT_OF_LINE for line in (lit[0], lit[-1], lit[:, 0], lit[:, -1])])


def _pair(lines: _Lines, length: int) -> tuple[int, int]:
    """Pixels of the bars at a side and at the one opposite; 0 for none."""
    bars = _bar(lines, length), _bar(lines.reversed(), length)
    if max(bars) > NARROW * len(lines.often) and min(bars) < max(bars) / 2:
        return 0, 0
    return bars


def _bar(lines: _Lines, length: int) -> int:
    """Pixels of the bar at a side whose lines are `length` pixels long between the other bars; 0 for none."""
    black, pictures = lines.black(length), len(lines.mean)
    if black == 0:
        return 0
    level = lines.mean.mean(axis=0)
    first = max(0, black - 2)
    edge = first + int(np.diff(level[first : black + BLUR]).argmax()) + 1
    if level[edge] < FULL * level[edge + 1]:
        edge += 1
    if edge < LEAST:
        return 0
    if lines.often[: max(1, edge - BLUR)].max() > TEXT_OF_PICTURES * pictures:
        return 0
    outside, inside = lines.mean[:, max(0, edge - 3)], lines.mean[:, edge + 1]
    sharp = (lines.bright[:, edge + 1] >= EDGE_OF_LINE * length) & (outside <= SHARP * inside)
    return edge if sharp.sum() >= max(SEEN[0], SEEN[1] * pictures) else 0
