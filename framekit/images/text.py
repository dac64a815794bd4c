"""Lines of text in a picture: subtitles, credits, titles."""

from __future__ import annotations

import cv2
import numpy as np

LEVELS = 3
"""Sizes that a picture is looked at in: its own, a half, a quarter."""
STROKE = np.ones((9, 9), np.uint8)
"""What a stroke of a letter is narrower than, at the size it is found at."""
CONTRAST = 40
"""Levels by which a letter stands out from what is around it."""
HEIGHTS = (5, 24)
"""Pixels from the lowest to the highest letter, at the size they are found at."""
FEWEST_LETTERS = 5
SAME_INK = 16
"""Levels within which the brightest of each letter lie."""
MOST_FOR_16_BITS = 4 * 65_000
"""Pixels that can't hold more parts, touching at no corner, than 16 bits can number; 32 bits take longer."""
LETTER_GAP = 0.4
"""Heights that two letters reach out to each other."""


def text_share(grey: np.ndarray) -> float:
    """Share of a picture that lines of text cover.

    What is brighter (or darker) by 40 levels than all that is left after a 9×9 opening (closing) is a stroke.
    Connected strokes of a letter's height and shape are letters, and letters side by side make a line if
    there are five at least, on one base line, of no more than two or so heights, alike in width and in ink.
    The same at a half and at a quarter of the size finds larger letters. Connected components and rules for
    lines are the classic way (Jain & Yu, Pattern Recognition 1998).

    Args:
        grey: (H, W) uint8, 640 pixels wide or so for a frame.

    Returns:
        Area of the boxes around lines over the picture's area, 0 to 1.
    """
    covered = np.zeros(grey.shape, np.uint8)
    for level in range(LEVELS):
        size = grey.shape[1] >> level, grey.shape[0] >> level
        if min(size) < STROKE.shape[0]:
            break
        smaller = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        for picture in (smaller, cv2.bitwise_not(smaller)):
            for x, y, width, height in _bright_lines(picture) << level:
                covered[y : y + height, x : x + width] = 1
    return cv2.countNonZero(covered) / covered.size


def _bright_lines(grey: np.ndarray) -> np.ndarray:
    """(N, 4) int boxes x, y, width, height of the lines of bright text in an (H, W) uint8 picture."""
    strokes = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, STROKE)
    lit = cv2.threshold(strokes, CONTRAST, 255, cv2.THRESH_BINARY)[1]
    labels = cv2.CV_16U if lit.size < MOST_FOR_16_BITS else cv2.CV_32S
    _, _, boxes, _ = cv2.connectedComponentsWithStats(lit, connectivity=8, ltype=labels)
    x, y, width, height, area = boxes.T
    fill = area / (width * height)
    letters = (
        (height >= HEIGHTS[0])
        & (height <= HEIGHTS[1])
        & (width <= 3 * height)
        & (fill > 0.15)
        & (fill < 0.95)
    )
    letters[0] = False  # what is not lit
    boxes = boxes[letters, :4]
    if len(boxes) < FEWEST_LETTERS:
        return np.empty((0, 4), int)
    bands = np.zeros(grey.shape, np.uint8)
    for left, top, across, down in boxes.tolist():
        reach = round(down * LETTER_GAP)
        bands[
            top + round(down * 0.3) : top + round(down * 0.7) + 1,
            max(0, left - reach) : left + across + reach + 1,
        ] = 1
    x, y, width, height = boxes.T
    lines = cv2.connectedComponents(bands, connectivity=4, ltype=labels)[1]
    of_line = lines[y + height // 2, x + width // 2]
    long_enough = np.flatnonzero(np.bincount(of_line) >= FEWEST_LETTERS)
    found = [line for number in long_enough if _is_text(grey, line := boxes[of_line == number])]
    corners = [(*line[:, :2].min(0), *(line[:, :2] + line[:, 2:]).max(0)) for line in found]
    return np.array([(x, y, right - x, bottom - y) for x, y, right, bottom in corners], int).reshape(-1, 4)


def _is_text(grey: np.ndarray, letters: np.ndarray) -> bool:
    """Whether (N, 4) boxes x, y, width, height stand like the letters of a line, in one ink."""
    x, y, width, height = letters.T
    usual = np.median(height)
    near = max(1.0, 0.15 * usual)
    on_base = np.abs(y + height - np.median(y + height)) <= near
    alike = (height >= 0.6 * usual) & (height <= 1.7 * usual)
    if not (
        on_base.mean() >= 0.7
        and alike.mean() >= 0.8
        and 0.3 <= np.median(width) / usual <= 1.3
        and np.ptp(x) >= 3 * usual
    ):
        return False
    ink = np.array([grey[y : y + down, x : x + across].max() for x, y, across, down in letters.tolist()], int)
    return bool((np.abs(ink - np.median(ink)) <= SAME_INK).mean() >= 0.8)
