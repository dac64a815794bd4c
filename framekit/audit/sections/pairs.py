"""Pairs with a slider between their halves, and crops beside what resizing would have left of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from framekit.audit.measures import spread
from framekit.audit.pictures import Picture, middle
from framekit.audit.resizing import Example, enlarged, piece_of
from framekit.audit.sheet import Sheet, Shown

SHOWN_PAIRS = 12


@dataclass(frozen=True)
class ShownPair:
    """A pair; `edges` is the share of its pixels that are edges, None where it was not measured."""

    origin: Shown
    image: Picture | None
    smoothed: Picture | None
    edges: float | None


@dataclass(frozen=True)
class Resized:
    """A crop, its place in the squashed frame enlarged to its size, and that place as it is."""

    origin: Shown
    example: Example
    crop: Picture | None
    enlarged: Picture | None
    squashed: Picture | None
    size: tuple[int, int]


def pairs(sheet: Sheet) -> dict[str, Any]:
    """Some pairs of every film."""
    crops = sheet.rows.crops
    shown = [_pair(sheet, position) for position in spread_over(crops.source, SHOWN_PAIRS)]
    return {"pairs": [pair for pair in shown if pair is not None]}


def _pair(sheet: Sheet, position: int) -> ShownPair | None:
    found = sheet.pictures.pair(position)
    if found is None:
        return None
    edges = sheet.rows.crops.measures.get("edge_density")
    halves = [None if half is None else sheet.pictures.encoded(middle(half)) for half in found]
    return ShownPair(
        sheet.origin(position), halves[0], halves[1], None if edges is None else float(edges[position])
    )


def resizing(sheet: Sheet) -> dict[str, Any]:
    """What resizing would have cost, in pictures."""
    found = sheet.audit.figures.resizing
    examples = [_resized(sheet, example) for example in (found.examples if found else ())]
    return {
        "resizing": found,
        "resized": [example for example in examples if example is not None],
        "frame_height": sheet.rows.options.frame_height,
    }


def _resized(sheet: Sheet, example: Example) -> Resized | None:
    crops, pictures = sheet.rows.crops, sheet.pictures
    position = pc.index(crops.ids, pa.scalar(example.pair, pa.string())).as_py()
    found = pictures.pair(position)
    if found is None:
        return None
    width, height = sheet.rows.frames.sizes[crops.frame[position]] * crops.scale[position]
    left, top, side = crops.places[position].astype(int).tolist()
    piece = piece_of(found[0], left, top, float(width), float(height))
    assert piece is not None  # as it was when it was measured
    return Resized(
        origin=sheet.origin(position),
        example=example,
        crop=pictures.encoded(middle(found[0])),
        enlarged=pictures.encoded(middle(enlarged(piece, side))),
        squashed=pictures.encoded(piece.squashed),
        size=(piece.squashed.shape[1], piece.squashed.shape[0]),
    )


def spread_over(source: np.ndarray, count: int) -> list[int]:
    """At most `count` positions, as many of each source as of any other; of some, where there are more.

    Args:
        source: (P,) int64, the source at each position.
        count: How many.
    """
    chosen = spread(np.unique(source).tolist(), count)
    each = -(-count // max(1, len(chosen)))
    return [at for its in chosen for at in spread(np.flatnonzero(source == its).tolist(), each)][:count]
