"""What resizing would have cost: edges and lines of crops against the same places of squashed frames.

A frame of W×H pixels that is squashed to P×P by area averaging has, in each of its pixels, the mean of W/P by
H/P pixels of the frame. So what a crop would look like in it follows from the crop alone, exactly; no film is
needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from scipy.sparse import csr_array

from framekit.audit.measures import rounded, spread
from framekit.audit.rows import Rows
from framekit.errors import FramekitError
from framekit.images.quality import CANNY_HIGH, CANNY_LOW

SAMPLED = 96
"""Crops that are looked at, evenly spread over all pairs."""
SHOWN = 4
"""Of these, those that are named as examples."""
FEWEST = 64
"""Pixels of edges, and of lines, from which a crop counts."""
LINE_DEPTH = 24
"""Levels by which a pixel of a line is darker than what lies on both sides of it, in the crop."""
BORDER = 3
"""Pixels at the border of a piece that are not measured: there the squashed one knows no neighbours."""


class Piece(NamedTuple):
    """The part of a crop that is made of whole pixels of the squashed frame.

    Attributes:
        squashed: (h, w, 3) uint8 RGB, those pixels of the squashed frame.
        box: Left, top, right and bottom edge of what they cover in the crop, in pixels; may be fractions.
        cell: Width and height that one of them covers, in the frame's pixels.
    """

    squashed: np.ndarray
    box: tuple[float, float, float, float]
    cell: tuple[float, float]


@dataclass(frozen=True)
class Cost:
    """A measure, in levels or levels per pixel, of crops and of the same places of squashed frames."""

    crops: float
    squashed: float

    @property
    def left(self) -> float:
        """Share that squashing leaves."""
        return self.squashed / self.crops if self.crops else 1.0


@dataclass(frozen=True)
class Example:
    """A crop, with both measures of it and of its place in the squashed frame."""

    pair: str
    edge_sharpness: Cost
    line_contrast: Cost


@dataclass(frozen=True)
class Resizing:
    """What squashing whole frames to the crops' size would have cost.

    Attributes:
        side: Pixels of a crop, and of a squashed frame.
        crops: How many were measured.
        cell: Median width and height in a frame of what becomes one pixel.
        edge_sharpness: Steepness of edges.
        line_contrast: Depth of dark lines.
        examples: Those crops with most of both.
    """

    side: int
    crops: int
    cell: tuple[float, float]
    edge_sharpness: Cost
    line_contrast: Cost
    examples: list[Example]


def piece_of(image: np.ndarray, left: int, top: int, width: float, height: float) -> Piece | None:
    """What is left of a crop when its whole frame is squashed to the crop's size by area averaging.

    Args:
        image: (P, P, 3) uint8 RGB, the crop.
        left, top: Where it stands in its frame.
        width, height: Of the frame, in pixels, at the size at which the crop was cut.

    Returns:
        None where no whole pixel of the squashed frame lies in the crop.
    """
    side = image.shape[0]
    across, down = _weights(left, side, width / side), _weights(top, side, height / side)
    if across is None or down is None:
        return None
    rows = (down.of_pixels @ image.reshape(side, -1).astype(np.float64)).reshape(-1, side, 3)
    columns = across.of_pixels @ rows.transpose(1, 0, 2).reshape(side, -1)
    averaged = columns.reshape(-1, len(rows), 3).transpose(1, 0, 2)
    box = across.start, down.start, across.stop, down.stop
    return Piece(averaged.round().clip(0, 255).astype(np.uint8), box, (width / side, height / side))


class _Weights(NamedTuple):
    """How much each of P pixels of a crop adds to n of the squashed frame, along one side.

    Attributes:
        of_pixels: (n, P) float64, sparse.
        start, stop: Of what these n cover in the crop.
    """

    of_pixels: csr_array
    start: float
    stop: float


def _weights(start: int, side: int, cell: float) -> _Weights | None:
    first, last = int(np.ceil(start / cell - 1e-9)), int(np.floor((start + side) / cell + 1e-9))
    if last <= first:
        return None
    edges = np.arange(first, last + 1) * cell - start
    pixels = np.arange(side)
    common = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return _Weights(csr_array(common.clip(0) / cell), float(edges[0]), float(edges[-1]))


def enlarged(piece: Piece, side: int) -> np.ndarray:
    """A piece of a squashed frame at the crop's pixels by cubic interpolation: (P, P, 3) uint8."""
    left, top = piece.box[:2]
    pixels = np.arange(side, dtype=np.float32) + 0.5
    across = (pixels - np.float32(left)) / np.float32(piece.cell[0]) - 0.5
    down = (pixels - np.float32(top)) / np.float32(piece.cell[1]) - 0.5
    maps = np.broadcast_to(across, (side, side)).copy(), np.broadcast_to(down[:, None], (side, side)).copy()
    return cv2.remap(piece.squashed, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def edges_of(grey: np.ndarray) -> np.ndarray:
    """(H, W) bool: the edge pixels of an (H, W) uint8 picture, those that edge smoothing softens."""
    return cv2.Canny(grey, CANNY_LOW, CANNY_HIGH) > 0


def edge_sharpness(grey: np.ndarray, at: np.ndarray) -> float:
    """Mean steepness of edges, in levels per pixel; a straight ramp of h levels over w pixels has h/w.

    Of each pixel, the largest gradient among it and its eight neighbours; gradients by Sobel's 3×3 / 8.

    Args:
        grey: (H, W) uint8.
        at: (H, W) bool, the pixels of edges.
    """
    levels = grey.astype(np.float32)
    across, down = (cv2.Sobel(levels, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    steepest = cv2.dilate(cv2.magnitude(across, down), np.ones((3, 3), np.uint8))
    return float(steepest[at].mean(dtype=np.float64))


def line_depth(grey: np.ndarray, width: int) -> np.ndarray:
    """How much darker each pixel is than its surroundings, in levels: the black top-hat.

    The closing with a square fills what is dark and narrower than the square, to the level of its brightest
    way out; the depth is what was filled in (Serra, Image Analysis and Mathematical Morphology, 1982).

    Args:
        grey: (H, W) uint8.
        width: Side of the square in pixels, odd.
    """
    return cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, np.ones((width, width), np.uint8))


def line_contrast(grey: np.ndarray, at: np.ndarray, width: int) -> float:
    """Mean depth of dark lines, in levels; a line of one colour on another has their difference.

    Args:
        grey: (H, W) uint8.
        at: (H, W) bool, the pixels of lines.
        width: As for `line_depth`.
    """
    return float(line_depth(grey, width)[at].mean())


def surroundings(piece: Piece) -> int:
    """Side of the square that lines are told by: three pixels of the squashed frame, at its wider side."""
    return 2 * int(1.5 * max(piece.cell)) + 1


def costs(image: np.ndarray, piece: Piece) -> tuple[Cost | None, Cost | None]:
    """Edge sharpness and line contrast of a crop, and of its place in the squashed frame.

    Both are measured at the crop's own edges and lines and at its size; None where it has next to none.
    """
    grey, other = (cv2.cvtColor(its, cv2.COLOR_RGB2GRAY) for its in (image, enlarged(piece, len(image))))
    left, top, right, bottom = piece.box
    inside = np.zeros(grey.shape, bool)
    inside[
        int(np.ceil(top)) + BORDER : int(bottom) - BORDER, int(np.ceil(left)) + BORDER : int(right) - BORDER
    ] = True
    width = surroundings(piece)
    edges, lines = edges_of(grey) & inside, (line_depth(grey, width) >= LINE_DEPTH) & inside
    sharpness = contrast = None
    if edges.sum() >= FEWEST:
        sharpness = Cost(*(rounded(edge_sharpness(its, edges)) for its in (grey, other)))
    if lines.sum() >= FEWEST:
        contrast = Cost(*(rounded(line_contrast(its, lines, width)) for its in (grey, other)))
    return sharpness, contrast


def resizing(rows: Rows, notes: list[str]) -> Resizing | None:
    """Measure what resizing would have cost on crops spread evenly over the dataset.

    Returns:
        None where no crop can be measured: there is none, none has edges and lines, or frames are no larger.
    """
    found, cells, side = [], [], 0
    for position, image, piece in _pieces(rows, notes):
        cells.append(piece.cell)
        side = len(image)
        sharpness, contrast = costs(image, piece)
        if sharpness and contrast:
            found.append(Example(rows.crops.ids[position].as_py(), sharpness, contrast))
    if not found:
        return None
    telling = sorted(found, key=lambda one: (-one.edge_sharpness.crops * one.line_contrast.crops, one.pair))
    return Resizing(
        side=side,
        crops=len(found),
        cell=(
            rounded(float(np.median([cell[0] for cell in cells]))),
            rounded(float(np.median([cell[1] for cell in cells]))),
        ),
        edge_sharpness=_mean([one.edge_sharpness for one in found]),
        line_contrast=_mean([one.line_contrast for one in found]),
        examples=_of_different_films(telling),
    )


def _of_different_films(examples: list[Example]) -> list[Example]:
    firsts: dict[str, Example] = {}
    for example in examples:
        firsts.setdefault(example.pair.rpartition(":")[0], example)
    chosen = [*firsts.values()][:SHOWN]
    return [*chosen, *(example for example in examples if example not in chosen)][:SHOWN]


def _mean(costs: list[Cost]) -> Cost:
    return Cost(
        *(rounded(float(np.mean(side))) for side in zip(*((c.crops, c.squashed) for c in costs), strict=True))
    )


def _pieces(rows: Rows, notes: list[str]) -> Iterator[tuple[int, np.ndarray, Piece]]:
    """Position of a pair, its crop and what would be left of it; pictures that cannot be read are noted."""
    crops, reader = rows.crops, rows.manifest.reader(smoothed=False)
    usable = np.flatnonzero(
        (crops.frame >= 0) & np.isfinite(crops.places).all(axis=1) & np.isfinite(crops.scale)
    )
    sizes = rows.frames.sizes
    unread = 0
    for position in spread(usable.tolist(), SAMPLED):
        width, height = sizes[crops.frame[position]] * crops.scale[position]
        left, top, side = crops.places[position].tolist()
        try:
            image = reader[position].image
        except FramekitError:
            unread += 1
            continue
        if image.shape[:2] != (side, side) or not (
            width >= side and height >= side and max(width, height) > side
        ):
            continue
        piece = piece_of(image, int(left), int(top), float(width), float(height))
        if piece is not None:
            yield position, image, piece
    if unread:
        notes.append(f"{unread:,} crops could not be read to tell what resizing would have cost")
