"""High dynamic range and wide colour, brought to what an ordinary screen shows (BT.709, BT.1886)."""

from __future__ import annotations

from functools import cache

import numpy as np

PQ, HLG = 16, 18
"""`color_trc` of SMPTE ST 2084 and ARIB STD-B67, in the numbers of ITU-T H.273."""
BT2020_PRIMARIES = 9
MAX_PQ, PEAK, WHITE = 10_000.0, 1_000.0, 203.0
"""Nits: the top of PQ; the brightest light that is kept apart; and ordinary white (BT.2408). The peak is a
constant and not the film's mastering data, which decoders hand out on some frames only: a picture must not
depend on which frames were decoded before it."""
TO_BT709 = (
    (1.660491, -0.587641, -0.072850),
    (-0.124550, 1.132899, -0.008349),
    (-0.018151, -0.100579, 1.118730),
)
"""Linear RGB from BT.2020 to BT.709 primaries (BT.2407, section 2); rows add up to 1, so greys stay."""
LUMINANCE = (0.2627, 0.6780, 0.0593)
STEPS = 65_535


def to_sdr(rgb: np.ndarray, transfer: int, *, wide: bool) -> np.ndarray:
    """Tone-map, and bring BT.2020 primaries to BT.709.

    PQ and HLG are turned into the light of a 1000 nit screen (BT.2100); the largest channel goes through the
    tone curve of BT.2390 and takes the others along, so hues and greys stay. Diffuse white (203 nits) comes
    out at 230 of 255, 1000 nits at 255. Any other transfer is taken as BT.1886 and keeps its brightness.
    What lies outside BT.709 is clipped. Sums of planes and tables give the same bytes on every processor.

    Args:
        rgb: (H, W, 3) uint16 over the full range, as coded.
        transfer: `color_trc` of the frame.
        wide: Primaries are those of BT.2020.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    planes = [_light_of_codes(transfer)[rgb[..., channel]] for channel in range(3)]
    if transfer == HLG:
        luminance = _weighted(LUMINANCE, planes)
        gain = _look_up(_hlg_system_gain(), luminance)
        planes = [plane * gain for plane in planes]
    if transfer in (PQ, HLG):
        gain = _look_up(_tone_gain(), np.maximum.reduce(planes))
        planes = [plane * gain for plane in planes]
    if wide:
        planes = [_weighted(weights, planes) for weights in TO_BT709]
    return np.stack([_look_up(_screen_codes(), plane) for plane in planes], axis=-1)


def _weighted(weights: tuple[float, ...], planes: list[np.ndarray]) -> np.ndarray:
    red, green, blue = (np.float32(weight) * plane for weight, plane in zip(weights, planes, strict=True))
    return red + green + blue


def _look_up(table: np.ndarray, light: np.ndarray) -> np.ndarray:
    """A table's entries for `light`, clipped to 0…1. Tables run over its square root: finer in the dark."""
    return table[(np.sqrt(np.clip(light, 0, 1)) * np.float32(STEPS) + np.float32(0.5)).astype(np.uint16)]


def _table_light() -> np.ndarray:
    """The light, 0…1, that each entry of a table stands for."""
    return (np.arange(STEPS + 1) / STEPS) ** 2


@cache
def _light_of_codes(transfer: int) -> np.ndarray:
    """Light for each 16-bit code: PQ and HLG 1 = `PEAK` (HLG before its OOTF), BT.1886 1 = white."""
    code = np.arange(STEPS + 1) / STEPS
    if transfer == PQ:
        light = np.minimum(_pq_to_nits(code) / PEAK, 1)
    elif transfer == HLG:
        light = _hlg_to_scene(code)
    else:
        light = code**2.4
    return light.astype(np.float32)


@cache
def _hlg_system_gain() -> np.ndarray:
    """OOTF of HLG on a 1000 nit screen (BT.2100, table 5): gain of scene luminance Y is Y^(1.2 - 1)."""
    return (_table_light() ** 0.2).astype(np.float32)


@cache
def _tone_gain() -> np.ndarray:
    """Gain for light (1 = `PEAK`) to light (1 = `WHITE`) by the EETF of BT.2390-11, section 5.4.1.1.

    In PQ codes relative to the peak: 1:1 below the knee, from there a Hermite spline that ends level at the
    target's white. Both blacks are 0.
    """
    nits = np.maximum(_table_light() * PEAK, 1e-9)
    top = _nits_to_pq(np.array(PEAK))
    code = _nits_to_pq(nits) / top
    white = _nits_to_pq(np.array(WHITE)) / top
    knee = 1.5 * white - 0.5
    t = np.maximum(code - knee, 0) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * white
    )
    mapped = np.where(code > knee, _pq_to_nits(spline * top), nits)
    return (mapped / nits * (PEAK / WHITE)).astype(np.float32)


@cache
def _screen_codes() -> np.ndarray:
    """8-bit codes of light (1 = white) on a screen with the gamma of 2.4 of BT.1886, black at 0."""
    return np.rint(255 * _table_light() ** (1 / 2.4)).astype(np.uint8)


def _pq_to_nits(code: np.ndarray) -> np.ndarray:
    """EOTF of SMPTE ST 2084 (BT.2100, table 4): codes 0…1 to nits."""
    m1, m2, c1, c2, c3 = _pq_constants()
    root = code ** (1 / m2)
    return MAX_PQ * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _nits_to_pq(nits: np.ndarray) -> np.ndarray:
    """Inverse EOTF of SMPTE ST 2084: nits to codes 0…1."""
    m1, m2, c1, c2, c3 = _pq_constants()
    power = (nits / MAX_PQ) ** m1
    return ((c1 + c2 * power) / (1 + c3 * power)) ** m2


def _pq_constants() -> tuple[float, float, float, float, float]:
    return 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128


def _hlg_to_scene(code: np.ndarray) -> np.ndarray:
    """Inverse OETF of HLG (BT.2100, table 5): codes 0…1 to scene light 0…1."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
