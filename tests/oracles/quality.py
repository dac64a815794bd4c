"""Measures of light, detail and colour by their formulas."""

import math

import numpy as np


def entropy_by_counting(grey: np.ndarray) -> float:
    levels = grey.ravel().tolist()
    shares = [levels.count(level) / len(levels) for level in set(levels)]
    return -sum(share * math.log2(share) for share in shares)


def percentile_by_sorting(grey: np.ndarray, share: float) -> int:
    """The lowest level that at least `share` of the pixels don't exceed."""
    levels = sorted(grey.ravel().tolist())
    return levels[math.ceil(share * len(levels)) - 1]


def flatness_block_by_block(grey: np.ndarray) -> float:
    height, width = (side // 8 * 8 for side in grey.shape)
    blocks = [grey[y : y + 8, x : x + 8] for y in range(0, height, 8) for x in range(0, width, 8)]
    return sum(block.std() < 2 for block in blocks) / len(blocks)


def colourfulness_by_formula(image: np.ndarray) -> float:
    red, green, blue = (image[..., channel].astype(float) for channel in range(3))
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    deviation = math.sqrt(red_green.var() + yellow_blue.var())
    return deviation + 0.3 * math.sqrt(red_green.mean() ** 2 + yellow_blue.mean() ** 2)
