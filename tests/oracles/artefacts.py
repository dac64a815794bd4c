"""Combing and noise, one pixel at a time."""

import math

import numpy as np


def combing_pixel_by_pixel(luma: np.ndarray) -> float:
    """Percent of the pixels between the first and the last line that are teeth."""
    height, width = luma.shape
    teeth = 0
    for y in range(1, height - 1):
        for x in range(width):
            upper, it, lower = (int(luma[v, x]) for v in (y - 1, y, y + 1))
            stands_out = min(upper, lower) - it > 10 or it - max(upper, lower) > 10
            teeth += stands_out and abs(upper - lower) <= 10
    return 100 * teeth / ((height - 2) * width)


def noise_of_all(luma: np.ndarray) -> float:
    """Immerkær's noise of a whole picture, without its border."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    height, width = luma.shape
    total = 0
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            total += abs(int((luma[y - 1 : y + 2, x - 1 : x + 2].astype(int) * kernel).sum()))
    return math.sqrt(math.pi / 2) / 6 * total / ((height - 2) * (width - 2))
