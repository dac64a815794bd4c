"""What a picture looks like, in figures: light, contrast, detail, colour, artefacts, text."""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np

from framekit.images.artefacts import blockiness, combing, noise
from framekit.images.text import text_share

MEASURED_WIDTH = 640
"""Pixels across at which detail of whole frames is measured, so that films of different sizes compare."""
WINDOW = (540, 960)
"""Lines and columns from the middle of a picture that artefacts are looked for in: enough to tell, and what
fits into a processor's cache."""
CANNY_LOW, CANNY_HIGH = 100, 200
FLAT_BLOCK, FLAT_DEVIATION = 8, 2.0
"""Pixels across a block, and the standard deviation of luma below which it is flat."""


class Quality(NamedTuple):
    """Measures of one picture.

    Light, detail, colour and text of a frame are taken from it at 640 pixels' width (its own, where that is
    less), those of a crop at its own pixels; artefacts always at the picture's own pixels.

    Attributes:
        brightness: Mean luma, 0 to 255.
        contrast: Standard deviation of luma, 0 to 127.5; below about 4 a picture is one flat colour.
        luma_p1, luma_p50, luma_p99: Levels that 1, 50 and 99 % of the pixels don't exceed, 0 to 255.
        entropy: Of the histogram of luma, 0 to 8 bits (Shannon 1948).
        sharpness: Variance of the 3×3 Laplacian of luma, from 0 up (Pech-Pacheco et al., ICPR 2000).
        edge_density: Share of the pixels that are edges to Canny(100, 200), 0 to 1 (Canny, PAMI 1986).
        flatness: Share of the 8×8 blocks whose luma deviates by less than 2 levels, 0 to 1.
        colourfulness: sqrt(var rg + var yb) + 0.3 sqrt(mean² rg + mean² yb) with rg = R - G and
            yb = (R + G)/2 - B, 0 for grey, about 15 for slightly and 60 for quite colourful (Hasler &
            Süsstrunk, SPIE 2003).
        blockiness: Of lines, 1.0 for none; `artefacts.blockiness`.
        combing: Percent of the pixels; `artefacts.combing`.
        noise: Standard deviation in levels; `artefacts.noise`.
        text: Share of the picture under lines of text, 0 to 1; `text.text_share`.
    """

    brightness: float
    contrast: float
    luma_p1: float
    luma_p50: float
    luma_p99: float
    entropy: float
    sharpness: float
    edge_density: float
    flatness: float
    colourfulness: float
    blockiness: float
    combing: float
    noise: float
    text: float


def measure(
    image: np.ndarray, *, scale: Literal["fixed", "native"] = "fixed", small: np.ndarray | None = None
) -> Quality:
    """Measure a picture.

    Args:
        image: (H, W, 3) uint8 RGB.
        scale: `fixed` for frames, which are brought to 640 pixels' width where they are wider; `native` for
            crops, whose pixels are what a model sees.
        small: What `at_fixed_width` makes of it, where that is at hand.
    """
    if small is None:
        small = at_fixed_width(image) if scale == "fixed" else image
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    mean, deviation = cv2.meanStdDev(grey)
    shares = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() / grey.size
    p1, p50, p99 = np.searchsorted(np.cumsum(shares, dtype=np.float64), (0.01, 0.5, 0.99))
    luma = cv2.cvtColor(_middle(image), cv2.COLOR_RGB2GRAY) if image is not small else grey
    return Quality(
        brightness=float(mean[0, 0]),
        contrast=float(deviation[0, 0]),
        luma_p1=float(p1),
        luma_p50=float(p50),
        luma_p99=float(p99),
        entropy=float(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum()) + 0.0,
        sharpness=float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0] ** 2),
        edge_density=cv2.countNonZero(cv2.Canny(grey, CANNY_LOW, CANNY_HIGH)) / grey.size,
        flatness=flatness(grey),
        colourfulness=colourfulness(small),
        blockiness=blockiness(luma),
        combing=combing(luma),
        noise=noise(luma),
        text=text_share(grey),
    )


def at_fixed_width(image: np.ndarray) -> np.ndarray:
    """Bring an (H, W, 3) uint8 picture to 640 pixels' width by area averaging, unless it is narrower."""
    height, width = image.shape[:2]
    if width <= MEASURED_WIDTH:
        return image
    size = MEASURED_WIDTH, max(1, round(height * MEASURED_WIDTH / width))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def flatness(grey: np.ndarray) -> float:
    """Share of the 8×8 blocks of an (H, W) uint8 picture that show next to nothing; 1.0 if there are none."""
    down, across = (side // FLAT_BLOCK for side in grey.shape)
    if not down or not across:
        return 1.0
    levels = grey[: down * FLAT_BLOCK, : across * FLAT_BLOCK].astype(np.float32)
    means, squares = (
        cv2.resize(values, (across, down), interpolation=cv2.INTER_AREA) for values in (levels, levels**2)
    )
    return float((squares - means**2 < FLAT_DEVIATION**2).mean())


def colourfulness(image: np.ndarray) -> float:
    """Hasler & Süsstrunk's measure (SPIE 2003) of an (H, W, 3) uint8 RGB picture, from 0 up."""
    red, green, blue = cv2.split(image)
    wide = cv2.CV_16S
    red_green = cv2.meanStdDev(cv2.subtract(red, green, dtype=wide))
    twice_yellow_blue = cv2.meanStdDev(
        cv2.subtract(cv2.add(red, green, dtype=wide), cv2.add(blue, blue, dtype=wide))
    )
    mean, deviation = (
        float(np.hypot(first, second / 2).item())
        for first, second in zip(red_green, twice_yellow_blue, strict=True)
    )
    return deviation + 0.3 * mean


def _middle(image: np.ndarray) -> np.ndarray:
    top, left = (max(0, (side - most) // 2) for side, most in zip(image.shape, WINDOW, strict=False))
    return image[top : top + WINDOW[0], left : left + WINDOW[1]]
