"""Pictures larger than memory: made in overlapping tiles that are blended into each other.

An output pixel of the generator depends on inputs up to `reach_of` pixels away. A tile's outputs nearer than
that to an edge inside the picture are not used. So with batch norm, whose statistics are fixed, tiles give
what the whole picture gives. The other norms measure statistics on what they see, which would be a tile: they
are given those of the whole picture, shrunk to a tile's size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from cartoongan.networks import SIZE_MULTIPLE
from cartoongan.options import GeneratorOptions
from framekit.errors import CommandError

BAND = 32
"""Pixels over which a tile passes into the next."""


@dataclass(frozen=True)
class Span:
    """A tile along one axis.

    Attributes:
        start, stop: What the generator sees.
        first, last: What is used of it; shares `BAND` pixels with the next tile's.
    """

    start: int
    stop: int
    first: int
    last: int


def reach_of(options: GeneratorOptions) -> int:
    """How far an output pixel sees: in pixels to each side, rounded up to a multiple of 4.

    From in to out, at strides 1, 2, 4, 2, 1: 3 for k7; 1, 2, 2, 4 down; 8 a residual block; 4, 2, 2, 1 up; 3
    for k7. And 4 since a stride's grid may lie to either side.
    """
    return 28 + 8 * options.residual_blocks


def shrunk(images: np.ndarray, size: int) -> np.ndarray:
    """Whole pictures, (N, H, W, 3), with as many pixels as a tile at most; sides are multiples of 4."""
    height, width = images.shape[1:3]
    scale = min(1.0, size / math.sqrt(height * width))
    to = [max(SIZE_MULTIPLE, int(side * scale) // SIZE_MULTIPLE * SIZE_MULTIPLE) for side in (width, height)]
    return np.stack([cv2.resize(image, to, interpolation=cv2.INTER_AREA) for image in images])


def spans(length: int, size: int, reach: int) -> list[Span]:
    """Tiles of `size` pixels that cover `length` pixels, all three multiples of 4.

    Raises:
        CommandError: `size` leaves nothing between what is not used.
    """
    if length <= size:
        return [Span(0, length, 0, length)]
    step = size - 2 * reach - BAND
    if step < 2 * BAND:
        advice = f"give at least {2 * reach + 3 * BAND}"
        raise CommandError(
            f"--tile-size {size} is too small: this generator sees {reach} pixels to each side", advice=advice
        )
    starts = [*range(0, length - size, step), length - size]
    seams = [(left + size + right) // 2 for left, right in itertools.pairwise(starts)]
    firsts = [0, *(seam - BAND // 2 for seam in seams)]
    lasts = [*(seam + BAND // 2 for seam in seams), length]
    return [
        Span(start, start + size, first, last)
        for start, first, last in zip(starts, firsts, lasts, strict=True)
    ]


def in_tiles(
    make: Callable[[slice, slice], Tensor], height: int, width: int, size: int, reach: int
) -> Iterator[Tensor]:
    """A picture of `height` × `width` from tiles, in strips from top to bottom.

    Args:
        make: The picture's (N, 3, h, w) for given rows and columns.
        height, width: Multiples of 4.
        size: Side of a tile, a multiple of 4.
        reach: From `reach_of`.
    """
    columns = spans(width, size, reach)

    def strip(rows: Span) -> Tensor:
        return torch.cat(list(merged((piece(rows, each) for each in columns), dim=3)), dim=3)

    def piece(rows: Span, cols: Span) -> Tensor:
        made = make(slice(rows.start, rows.stop), slice(cols.start, cols.stop))
        made = made[:, :, rows.first - rows.start : rows.last - rows.start]
        return made[..., cols.first - cols.start : cols.last - cols.start]

    return merged((strip(rows) for rows in spans(height, size, reach)), dim=2)


def merged(pieces: Iterable[Tensor], dim: int) -> Iterator[Tensor]:
    """Pieces that share `BAND` pixels with the next along `dim`, each blended into it in a line."""
    held = None
    for each in pieces:
        piece = each
        if held is not None:
            shape = [-1 if axis == dim else 1 for axis in range(piece.ndim)]
            share = (torch.arange(BAND, device=piece.device, dtype=piece.dtype) + 0.5) / BAND
            yield torch.lerp(held, piece.narrow(dim, 0, BAND), share.reshape(shape))
            piece = piece.narrow(dim, BAND, piece.shape[dim] - BAND)
        cut = max(piece.shape[dim] - BAND, 0)
        yield piece.narrow(dim, 0, cut)
        held = piece.narrow(dim, cut, piece.shape[dim] - cut)
    if held is not None:
        yield held
