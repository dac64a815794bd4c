"""Colour by the written-out formulas: RGB to YUV, and HDR to SDR one pixel at a time."""

import math

import numpy as np

MATRICES = {  # H.273's number: Kr, Kb
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}


def yuv_planes(rgb: np.ndarray, *, matrix: int, bits: int, full: bool) -> list[np.ndarray]:
    """Three (H, W) uint16 planes of (H, W, 3) RGB given in 0…255, which need not be whole numbers."""
    kr, kb = MATRICES[matrix]
    red, green, blue = np.moveaxis(rgb / 255, -1, 0)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    top, step = 2**bits - 1, 2 ** (bits - 8)
    if full:
        planes = [top * luma, top * cb + 128 * step, top * cr + 128 * step]
    else:
        planes = [step * (16 + 219 * luma), step * (128 + 224 * cb), step * (128 + 224 * cr)]
    return [np.clip(np.rint(plane), 0, top).astype(np.uint16) for plane in planes]


def pq_code(nits: float) -> float:
    """Inverse EOTF of ST 2084."""
    y = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def pq_nits(code: float) -> float:
    """EOTF of ST 2084."""
    e = code ** (1 / 78.84375)
    return 10000 * (max(e - 0.8359375, 0) / (18.8515625 - 18.6875 * e)) ** (1 / 0.1593017578125)


def hlg_nits(rgb: list[float]) -> list[float]:
    """Codes of ARIB STD-B67 to light on a screen of 1000 nits."""
    scene = [
        e * e / 3 if e <= 0.5 else (math.exp((e - 0.55991073) / 0.17883277) + 0.28466892) / 12 for e in rgb
    ]
    luminance = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]
    return [1000 * luminance**0.2 * e if luminance else 0.0 for e in scene]


def tone_mapped_nits(nits: float) -> float:
    """The EETF of BT.2390 from a screen of 1000 nits to one of 203, black at 0 on both."""
    code = pq_code(min(nits, 1000)) / pq_code(1000)
    white = pq_code(203) / pq_code(1000)
    knee = 1.5 * white - 0.5
    if code < knee:
        return nits
    t = (code - knee) / (1 - knee)
    hermite = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee)
    return pq_nits((hermite + (3 * t**2 - 2 * t**3) * white) * pq_code(1000))


def sdr_pixel(code: list[float], transfer: str) -> list[int]:
    """8-bit BT.709 RGB of BT.2020 RGB codes 0…1, by `transfer`: pq, hlg or bt1886."""
    if transfer == "bt1886":
        light = [203 * e**2.4 for e in code]
    else:
        light = hlg_nits(code) if transfer == "hlg" else [min(pq_nits(e), 1000) for e in code]
        brightest = max(light)
        light = [c * tone_mapped_nits(brightest) / brightest if brightest else 0.0 for c in light]
    r, g, b = (c / 203 for c in light)
    linear = [
        1.660491 * r - 0.587641 * g - 0.072850 * b,
        -0.124550 * r + 1.132900 * g - 0.008349 * b,
        -0.018151 * r - 0.100579 * g + 1.118730 * b,
    ]
    return [round(255 * min(max(c, 0), 1) ** (1 / 2.4)) for c in linear]
