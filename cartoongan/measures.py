"""What can be measured of a cartoon's pixels: lines, flat areas, colours, the traces of enlarging.

Pure functions of pictures, (H, W, 3) uint8 RGB; docs/evaluate.md has the formulas. Noise in flat areas is
`framekit.images.artefacts.noise`, the same as an audit measures.
"""

from __future__ import annotations

import cv2
import numpy as np

from framekit.images.artefacts import noise

STRONGEST, WEAKEST = 0.5, 0.2
"""Of a picture's steepest gradient: where an edge begins, and how far it is followed."""
STEEPEST = 99.5
"""Percentile of gradients that counts as the steepest: a few pixels may be odd."""
FAINTEST = 4.0
"""Levels a pixel below which a picture's steepest gradient is no edge."""
SOBEL = 8.0
"""Sum of the positive weights of a 3×3 Sobel filter, times the two pixels that it reaches over."""

BLOCK = 32
"""Pixels across a block whose spectrum is taken; its bins are 1/32 cycles a pixel apart."""
STRIDE = 4
"""What the generator enlarges by in all: patterns that it leaves repeat after 4 pixels or 2."""
BESIDE = 3
"""Bins from a frequency to those it is held against: past what the window smears it over."""
LEVEL = 1 / 12
"""Variance of rounding to whole levels: keeps the ratio in bounds where a picture shows nothing at all."""


def edge_gradient(image: np.ndarray) -> float | None:
    """Mean gradient at a picture's edges, in levels a pixel; None where it has no edges.

    Edges are Canny's (1986), with limits of 0.5 and 0.2 of the picture's steepest gradient (its 99.5th
    percentile), so that a picture that is blurred as a whole keeps its edges, and only their gradient falls.
    """
    across, down = (
        cv2.Sobel(_luma(image), cv2.CV_16S, *way, ksize=3, borderType=cv2.BORDER_REPLICATE)
        for way in ((1, 0), (0, 1))
    )
    gradient = np.hypot(across.astype(np.float32), down.astype(np.float32))
    steepest = float(np.percentile(gradient, STEEPEST))
    if steepest / SOBEL < FAINTEST:
        return None
    edges = cv2.Canny(across, down, WEAKEST * steepest, STRONGEST * steepest, L2gradient=True) > 0
    return float(gradient[edges].mean()) / SOBEL if edges.any() else None


def flat_noise(image: np.ndarray) -> float:
    """Standard deviation of noise in a picture's flat areas, in levels."""
    return noise(_luma(image))


def mean_colour(image: np.ndarray) -> np.ndarray:
    """(3,) float64: a picture's mean colour in CIE L*a*b* (D65)."""
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).mean((0, 1), dtype=np.float64)


def colour_shift(image: np.ndarray, other: np.ndarray) -> float:
    """Distance of the mean colours of two pictures in L*a*b*: ΔE*ab of 1976."""
    return float(np.linalg.norm(mean_colour(image) - mean_colour(other)))


def checkerboard(image: np.ndarray) -> float | None:
    """How far a picture's spectrum stands out at the generator's stride, in decibels; 0 for not at all.

    The power of luma in Hann-windowed blocks of 32×32 pixels, half over each other, is averaged (Welch,
    1967). At each of the 15 frequencies (u/4, v/4) cycles a pixel other than 0 it is divided by the geometric
    mean of the power three bins away along both axes; along its own axis alone where u or v is 0, since
    straight lines fill the axes. 10 log₁₀ of the mean of these ratios; None for a picture smaller than a
    block.
    """
    luma = _luma(image).astype(np.float32)
    if min(luma.shape) < BLOCK:
        return None
    power = _power(luma) + LEVEL * np.square(_window()).sum()
    logarithm, step = np.log(power), BLOCK // STRIDE
    ratios = []
    for down in range(0, BLOCK, step):
        for across in range(0, BLOCK, step):
            beside = []
            if across:
                beside += [logarithm[down, (across + way) % BLOCK] for way in (-BESIDE, BESIDE)]
            if down:
                beside += [logarithm[(down + way) % BLOCK, across] for way in (-BESIDE, BESIDE)]
            if beside:
                ratios.append(np.exp(logarithm[down, across] - np.mean(beside)))
    return 10 * float(np.log10(np.mean(ratios)))


def _power(luma: np.ndarray) -> np.ndarray:
    """(32, 32) float64 mean power of the blocks of an (H, W) float32 picture, their means taken away."""
    views = np.lib.stride_tricks.sliding_window_view(luma, (BLOCK, BLOCK))[:: BLOCK // 2, :: BLOCK // 2]
    total, window = np.zeros((BLOCK, BLOCK)), _window()
    for row in views:  # row by row: all blocks together take four times the picture's memory
        blocks = (row - row.mean((1, 2), keepdims=True)) * window
        total += np.square(np.abs(np.fft.fft2(blocks))).sum(0)
    return total / (views.shape[0] * views.shape[1])


def _window() -> np.ndarray:
    """(32, 32) Hann window, periodic."""
    line = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(BLOCK) / BLOCK)
    return np.outer(line, line)


def _luma(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
