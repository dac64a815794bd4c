"""What coders, cameras and interlacing leave in a picture: block edges, noise, combing."""

from __future__ import annotations

import math

import cv2
import numpy as np

GRID = 8
"""Lines from one edge of a coded block to the next."""
STRONGEST_BLOCK_EDGE = 12
"""Levels up to which a step counts in full as a block's edge: what a drawing's outlines do is no artefact."""
UNSEEN = 0.05
"""Levels that are added to both sides of the ratio, so that pictures without any detail give 1."""

NOISE_BLOCK, CELL = 16, 4
"""Pixels across a block that noise is taken from, and across the cells whose means say whether it is flat."""
FLATTEST = 0.1
"""Share of the blocks that noise is taken from at most, the flattest first."""
MOST_RANGE = 12
"""Levels between the darkest and the brightest cell of a block that still counts as flat."""
DARK_CLIP, BRIGHT_CLIP = 8, 247
"""Mean levels outside which noise is cut off by black or white."""
TOOTH = 10
"""Levels that a tooth of combing stands out by, and that the lines above and below it differ by at most."""
LAPLACIAN_DIFFERENCE = np.array([1, -2, 1], np.float32)


def blockiness(luma: np.ndarray) -> float:
    """How much lines eight apart stand out as edges of coded blocks, whatever line the grid begins at.

    For each pair of neighbouring lines: the mean over x of how far their step exceeds the larger of the steps
    above and below it, cut off at 12 levels. Medians of that are taken over the lines of each of the eight
    phases; the measure is the strongest phase over the mean of the others. The idea of a step against its
    surroundings is that of Wang, Bovik & Evans (ICIP 2000). Only lines count: columns lose their grid when
    pictures are stretched to square pixels.

    Args:
        luma: (H, W) uint8.

    Returns:
        1.0 without blocks, up to 240 or so; a picture under 32 lines gives 1.0.
    """
    if luma.shape[0] < 4 * GRID:
        return 1.0
    steps = cv2.absdiff(luma[1:], luma[:-1])
    beside = cv2.max(steps[2:], steps[:-2])
    excess = np.minimum(cv2.subtract(steps[1:-1], beside), STRONGEST_BLOCK_EDGE)
    lines = cv2.reduce(excess, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F)[:, 0]
    phases = np.array([np.median(lines[phase::GRID]) for phase in range(GRID)])
    strongest = phases.max()
    others = (phases.sum() - strongest) / (GRID - 1)
    return float((strongest + UNSEEN) / (others + UNSEEN))


def noise(luma: np.ndarray) -> float:
    """Standard deviation of the noise in flat parts of a picture.

    Immerkær's estimate (CVIU 1996), sqrt(pi/2) / 6 times the mean of |luma * N| with N the difference of two
    Laplacians, for each 16×16 block; the median over the flattest tenth of the blocks. How flat a block is
    say the means of its 4×4 cells, which lines and texture move and noise hardly does. Blocks near black or
    white don't count.

    Args:
        luma: (H, W) uint8.

    Returns:
        Levels, 0 to about 50; 0 where no block is flat.
    """
    down, across = (side // NOISE_BLOCK for side in luma.shape)
    if not down or not across:
        return 0.0
    luma = luma[: down * NOISE_BLOCK, : across * NOISE_BLOCK]
    response = cv2.convertScaleAbs(
        cv2.sepFilter2D(luma, cv2.CV_16S, LAPLACIAN_DIFFERENCE, LAPLACIAN_DIFFERENCE)
    )
    columns = response.reshape(down, NOISE_BLOCK, -1).sum(1, dtype=np.uint16)
    strength = columns.reshape(down, across, NOISE_BLOCK).sum(2, dtype=np.float64) / NOISE_BLOCK**2
    cells = cv2.resize(luma, None, fx=1 / CELL, fy=1 / CELL, interpolation=cv2.INTER_AREA)
    means = cv2.resize(cells, (across, down), interpolation=cv2.INTER_AREA)
    block = np.ones((NOISE_BLOCK // CELL, NOISE_BLOCK // CELL), np.uint8)
    spread = cv2.subtract(cv2.dilate(cells, block), cv2.erode(cells, block))
    spread = spread[2 :: NOISE_BLOCK // CELL, 2 :: NOISE_BLOCK // CELL]  # OpenCV's centre of a 4×4 block
    usable = (spread <= MOST_RANGE) & (means >= DARK_CLIP) & (means <= BRIGHT_CLIP)
    flattest = np.sort(np.where(usable, spread, 255), axis=None)[math.ceil(usable.size * FLATTEST) - 1]
    chosen = strength[usable & (spread <= flattest)]
    return math.sqrt(math.pi / 2) / 6 * float(np.median(chosen)) if len(chosen) else 0.0


def combing(luma: np.ndarray) -> float:
    """How much of a picture shows the teeth of interlaced motion.

    A pixel counts where it is brighter than both its upper and its lower neighbour by more than 10 levels, or
    darker than both, while these two are within 10 levels of each other. A thin level line counts too, so
    only compare a picture with the same picture, or ask for more than lines can give.

    Args:
        luma: (H, W) uint8.

    Returns:
        Percent of the pixels, 0 to 100; 0 under three lines.
    """
    if luma.shape[0] < 3:
        return 0.0
    upper, middle, lower = luma[:-2], luma[1:-1], luma[2:]
    high, low = cv2.max(upper, lower), cv2.min(upper, lower)
    tooth = cv2.max(cv2.subtract(middle, high), cv2.subtract(low, middle))
    stands_out = cv2.threshold(tooth, TOOTH, 255, cv2.THRESH_BINARY)[1]
    alike = cv2.threshold(cv2.subtract(high, low), TOOTH, 255, cv2.THRESH_BINARY_INV)[1]
    teeth = cv2.bitwise_and(stands_out, alike)
    return 100 * cv2.countNonZero(teeth) / teeth.size
