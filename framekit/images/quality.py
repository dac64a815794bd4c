"""What a frame looks like, in figures: brightness, contrast, sharpness."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

MEASURED_WIDTH = 640
"""Pixels across at which sharpness is measured, so that films of different sizes compare."""


class Quality(NamedTuple):
    """Measures of one picture.

    Attributes:
        brightness: Mean luma, 0 to 255.
        contrast: Standard deviation of luma, 0 to 127.5; below about 4 a picture is one flat colour.
        sharpness: Variance of the 3×3 Laplacian of luma at 640 pixels' width, from 0 up
            (Pech-Pacheco et al., ICPR 2000).
    """

    brightness: float
    contrast: float
    sharpness: float


def measure(image: np.ndarray, small: np.ndarray) -> Quality:
    """Measure a picture.

    Args:
        image: (H, W, 3) uint8 RGB.
        small: (72, 128) uint8 luma of it, from `hashing.small_grey`.
    """
    mean, deviation = cv2.meanStdDev(small)
    return Quality(float(mean[0, 0]), float(deviation[0, 0]), sharpness(image))


def sharpness(image: np.ndarray) -> float:
    """Variance of the Laplacian of an (H, W, 3) uint8 RGB picture brought to 640 pixels' width."""
    height, width = image.shape[:2]
    if width > MEASURED_WIDTH:
        size = MEASURED_WIDTH, max(1, round(height * MEASURED_WIDTH / width))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    edges = cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_16S)
    return float(cv2.meanStdDev(edges)[1][0, 0] ** 2)
