"""The colours of a film: a palette by k-means, and how colour goes through its time."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from framekit.audit.measures import rounded, spread
from framekit.audit.pictures import Pictures
from framekit.audit.rows import Rows
from framekit.images.likeness import COLUMNS, ROWS

COLOURS = 8
LOOKED_AT = 24
"""Frames of a film that its palette is made from, evenly spread over those that are in."""
MOST_SOURCES = 40
"""Sources that get a palette: those with most frames."""
SIZE = (64, 36)
"""What these are sampled to, without mixing colours."""
ATTEMPTS, ROUNDS, NEAR = 3, 50, 0.2
SEED = 0
MOST_COLUMNS = 240
"""Of the picture of colour over time."""


@dataclass(frozen=True)
class Colour:
    """A colour as `#rrggbb`, and its share of the film's pixels."""

    colour: str
    share: float


@dataclass(frozen=True)
class Palette:
    """The colours of a source, most frequent first, from so many of its frames."""

    source: str
    frames: int
    colours: list[Colour]


def palettes(rows: Rows, pictures: Pictures) -> list[Palette]:
    """The palette of each source, of the largest ones where there are many; in the sources' order."""
    frames = rows.frames
    members = [np.flatnonzero((frames.source == place) & frames.kept) for place in range(len(rows.sources))]
    largest = sorted(range(len(members)), key=lambda place: -len(members[place]))[:MOST_SOURCES]
    found = []
    for place in sorted(largest):
        kept = members[place]
        chosen = [pictures.thumbnail(row) for row in spread(kept.tolist(), LOOKED_AT)]
        images = [image for image in chosen if image is not None]
        if images:
            small = [cv2.resize(image, SIZE, interpolation=cv2.INTER_NEAREST) for image in images]
            found.append(Palette(rows.sources[place].id, len(images), palette(np.stack(small))))
    return found


def palette(images: np.ndarray, colours: int = COLOURS) -> list[Colour]:
    """The colours of pictures: k-means (Lloyd 1982, seeded as by Arthur & Vassilvitskii 2007) in CIELAB.

    Args:
        images: (N, H, W, 3) uint8 RGB.
        colours: How many, at most.

    Returns:
        Most frequent first; fewer where there are fewer.
    """
    pixels = images.reshape(1, -1, 3)
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    count = min(colours, len(np.unique(pixels[0], axis=0)))
    cv2.setRNGSeed(SEED)
    criteria = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, ROUNDS, NEAR
    _, labels, centres = cv2.kmeans(lab, count, None, criteria, ATTEMPTS, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    shares = np.bincount(labels.ravel(), minlength=count) / len(lab)
    rgb = cv2.cvtColor(centres[None].astype(np.float32), cv2.COLOR_LAB2RGB)[0]
    levels = (rgb.clip(0, 1) * 255).round().astype(int)
    order = np.lexsort((np.arange(count), -shares))
    return [Colour("#{:02x}{:02x}{:02x}".format(*levels[at]), rounded(float(shares[at]))) for at in order]


def over_time(rows: Rows, place: int) -> np.ndarray | None:
    """How colour goes through a film: one column for a part of its samples, each the means of nine heights.

    Returns:
        (9, C, 3) uint8 RGB; None for stills and where signatures are missing.
    """
    frames = rows.frames
    of = np.flatnonzero((frames.source == place) & np.isfinite(frames.seconds))
    if frames.signatures is None or len(of) < 2:
        return None
    of = of[np.argsort(frames.seconds[of], kind="stable")]
    cells = frames.signatures[of].reshape(-1, ROWS, COLUMNS, 3).mean(axis=2)
    columns = min(MOST_COLUMNS, len(of))
    starts = np.arange(columns) * len(of) // columns
    sums = np.add.reduceat(cells, starts, axis=0)
    means = sums / np.diff([*starts, len(of)])[:, None, None]
    return cv2.cvtColor(means.round().astype(np.uint8).transpose(1, 0, 2), cv2.COLOR_YCrCb2RGB)
