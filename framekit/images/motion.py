"""Pans and zooms: whether a picture is an earlier one seen through a moved camera."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

SEARCHED = (48, 27)
"""Width and height that moves are searched at; what is found is refined on the small grey picture itself."""
REACH = (24, 13)
"""Pixels of those by which a picture is moved at most, each way: half of it."""
ZOOMS = tuple(1.1**step for step in range(-3, 4))
"""Zooms tried, 0.75 to 1.33; at the size searched, gradients forgive half a step."""
LEAST_OVERLAP = 0.35
"""Of what is searched for: by less, too much fits by chance."""
LEAST_CORRELATION = 0.5
"""Of gradients, where the search finds most; below, nothing is refined."""
COARSE_STEPS, FINE_STEPS = 4, 3
"""Of the fit, at the size searched and on the whole small picture."""
OUTLIER = 12.0
"""Grey levels by which a pixel may differ before it counts for less than half: a figure has moved there."""

WINDOW = (9, 9)
"""Pixels around each place that are compared."""
NOISE = 30.0
"""Variance of grey levels in a window that grain and compression make."""
UNLIKE = 0.5
"""Correlation in a window below which a place shows something else."""
SHADE = 16.0
"""Grey levels by which a window's mean may differ; beyond, a place shows something else."""

MOST_CHANGED = 0.15
"""Share of the overlap that may look otherwise: a small figure that went its own way."""
MOST_LEFT = 0.5
"""Of what has changed, the share that a move may leave unexplained; else it is not the camera that moved."""
AS_GOOD_AS_NONE = 0.02
"""Share of changes that needs no explaining: the same picture, if the camera stood still."""
LEAST_DRAWN = 0.15
"""Share of the overlap with something drawn in it; on less, anything fits."""
LEAST_CONTRAST = 6.0
"""Grey levels, standard deviation: what a fade leaves does not tell."""
LEAST_TIED = 0.5
"""Correlation of gradients the one way that they agree least: a lone horizon tells nothing along it."""
NO_SLOPE = 0.05
"""Squared grey levels a pixel: a slope that means nothing."""


class Move(NamedTuple):
    """What the camera did to a picture: what stood at `u` stands at `zoom · u + (dx, dy)` now.

    `u` counts from the picture's centre, in shares of its width and height.

    Attributes:
        dx, dy: Where the centre went; right and down are positive.
        zoom: How much larger things became; above 1 the camera came nearer.
    """

    dx: float
    dy: float
    zoom: float


class Support(NamedTuple):
    """How well a move explains a picture, over the area that both show.

    Attributes:
        changed: Share of it that looks otherwise than the moved picture, 0 to 1.
        changed_unmoved: The same against the picture as it was, had the camera stood still.
        drawn: Share of it where there is more than a flat colour to compare, 0 to 1.
        contrast: Standard deviation of its grey levels.
        tied: How well gradients agree in the direction in which they agree least, at most 1.
    """

    changed: float
    changed_unmoved: float
    drawn: float
    contrast: float
    tied: float

    @property
    def enough(self) -> bool:
        """Whether the move is to be believed."""
        return (
            self.changed <= max(AS_GOOD_AS_NONE, min(MOST_CHANGED, MOST_LEFT * self.changed_unmoved))
            and self.drawn >= LEAST_DRAWN
            and self.contrast >= LEAST_CONTRAST
            and self.tied >= LEAST_TIED
        )


def camera_move(before: np.ndarray, after: np.ndarray) -> Move | None:
    """How the camera went from one picture to another of the same drawing.

    Small things may have moved on their own; the rest must fit, over enough that is drawn to tell.

    Args:
        before, after: (72, 128) uint8 luma from `hashing.small_grey`.

    Returns:
        None where the second picture is not the first one moved or zoomed, or nothing tells whether it is.
    """
    fitted = fit(before, after)
    return fitted[0] if fitted and fitted[1].enough else None


def overlap(move: Move) -> float:
    """Share of the frame that both pictures show, 0 to 1; after a zoom, of the wider view's frame."""
    width, height = (
        max(0.0, min(0.5, shift + move.zoom / 2) - max(-0.5, shift - move.zoom / 2))
        for shift in (move.dx, move.dy)
    )
    return width * height / max(1.0, move.zoom**2)


def combined(first: Move, second: Move) -> Move:
    """The one move that `first` and then `second` make."""
    zoom = second.zoom
    return Move(zoom * first.dx + second.dx, zoom * first.dy + second.dy, zoom * first.zoom)


def fit(before: np.ndarray, after: np.ndarray) -> tuple[Move, Support] | None:
    """The move that explains most, good or bad, with what speaks for it; None where none comes near.

    Args:
        before, after: (72, 128) uint8 luma.
    """
    before, after = (cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 0.8) for grey in (before, after))
    first, second = (cv2.resize(grey, SEARCHED, interpolation=cv2.INTER_AREA) for grey in (before, after))
    correlation, move = max(search(first, second))
    if correlation < LEAST_CORRELATION:
        return None
    move = refine(first, second, move, COARSE_STEPS)
    if overlap(move) < LEAST_OVERLAP:
        return None
    move = refine(before, after, move, FINE_STEPS)
    if overlap(move) < LEAST_OVERLAP:
        return None
    return move, _support(before, after, move)


def search(before: np.ndarray, after: np.ndarray) -> Iterator[tuple[float, Move]]:
    """For each zoom the shift that brings most edges together, with the correlation it reaches.

    Gradients as complex numbers are correlated over every overlap through one Fourier transform
    (Tzimiropoulos et al., IEEE TPAMI 2010), and divided by the energy that the overlap holds (Padfield, IEEE
    TIP 2012).

    Args:
        before, after: (27, 48) float32 luma.

    Yields:
        Correlation, up to 1, and move.
    """
    target = _gradient(after)
    spectrum = _spectrum(target) * _centring()
    target_energy = _energies(target)
    floor = 0.05 * target_energy.max() + 1
    for zoom in ZOOMS:
        zoomed = Move(0.0, 0.0, zoom)
        moved = _gradient(_seen(before, zoomed))
        if zoom < 1:
            moved *= _shown(zoomed, SEARCHED)
        product = np.fft.ifft2(spectrum * _spectrum(moved).conj()).real
        product = product[: 2 * REACH[1] + 1, : 2 * REACH[0] + 1]
        score = product / (np.sqrt(target_energy * _energies(moved)[::-1, ::-1]) + floor)
        score[~_near_enough(zoom)] = -1
        row, column = divmod(int(score.argmax()), score.shape[1])
        shift = (column - REACH[0]) / SEARCHED[0], (row - REACH[1]) / SEARCHED[1]
        yield float(score[row, column]), Move(*shift, zoom)


def refine(before: np.ndarray, after: np.ndarray, move: Move, steps: int) -> Move:
    """Fit shift, zoom and a change of brightness and contrast by Gauss-Newton (Lucas and Kanade, IJCAI 1981).

    The gradient is the mean of both pictures' (Malis, ICRA 2004); what differs by far counts for little.

    Args:
        before, after: (H, W) float32 luma.
        move: Where to begin: within some pixels of the truth.
        steps: Of the fit.
    """
    height, width = after.shape
    across, down = _grid(width, height)
    slopes = _slopes(after)
    parts = np.empty((6, height, width), np.float32)
    for _ in range(steps):
        moved = _seen(before, move)
        parts[:2] = (slopes + _slopes(moved)) / 2
        parts[2] = (parts[0] * (across - move.dx * width) + parts[1] * (down - move.dy * height)) / move.zoom
        parts[3] = moved - 128
        parts[4] = 1
        parts[5] = after - moved
        weight = np.sqrt(_shown(move, (width, height)) / (1 + (parts[5] / OUTLIER) ** 2))
        sums = cv2.mulTransposed((parts * weight).reshape(6, -1), False, dtype=cv2.CV_64F)
        change = np.linalg.solve(sums[:5, :5] + 1e-3 * np.eye(5), sums[:5, 5])
        zoom = min(max(move.zoom - change[2], 0.5), 2.0)
        move = Move(float(move.dx - change[0] / width), float(move.dy - change[1] / height), float(zoom))
    return move


def _support(before: np.ndarray, after: np.ndarray, move: Move) -> Support:
    height, width = after.shape
    shown = _shown(move, (width, height))
    moved = _seen(before, move)
    variance = _windows(after * after) - _windows(after) ** 2
    return Support(
        changed=_changed(moved, after, shown),
        changed_unmoved=_changed(before, after, shown),
        drawn=float((variance > NOISE)[shown].mean()),
        contrast=float(after[shown].std()),
        tied=_tied(moved, after, shown),
    )


def _tied(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> float:
    """Correlation of two pictures' gradients in the direction in which they agree least, -1 to 1."""
    slopes = np.vstack([_slopes(first)[:, where], _slopes(second)[:, where]])
    sums = cv2.mulTransposed(slopes, False, scale=1 / slopes.shape[1], dtype=cv2.CV_64F)
    own = (sums[:2, :2] + sums[2:, 2:]) / 2 + NO_SLOPE * np.eye(2)
    shared = (sums[:2, 2:] + sums[2:, :2]) / 2
    return float(np.linalg.eigvals(np.linalg.solve(own, shared)).real.min())


def _changed(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> float:
    """Share of the places in `where` that look otherwise, window by window.

    The likeness is the product of SSIM's contrast and structure (Wang et al., IEEE TIP 2004). Brightness may
    have changed as a whole.
    """
    mean, other_mean = _windows(first), _windows(second)
    variances = _windows(first * first + second * second) - mean * mean - other_mean * other_mean
    covariance = _windows(first * second) - mean * other_mean
    alike = (2 * covariance + NOISE) / (variances + NOISE)
    shade = mean - other_mean
    shade -= cv2.mean(shade, where.view(np.uint8))[0]
    changed = (alike < UNLIKE) | (np.abs(shade) > SHADE)
    return float(changed[where].mean())


def _seen(grey: np.ndarray, move: Move) -> np.ndarray:
    """A float32 picture as the moved camera shows it; beyond its border, its border goes on."""
    height, width = grey.shape
    middle_x, middle_y, scale = (width - 1) / 2, (height - 1) / 2, 1 / move.zoom
    back = np.array(
        [
            [scale, 0, middle_x - scale * (middle_x + move.dx * width)],
            [0, scale, middle_y - scale * (middle_y + move.dy * height)],
        ]
    )
    way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(grey, back, (width, height), flags=way, borderMode=cv2.BORDER_REPLICATE)


def _shown(move: Move, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: the pixels of the second picture that the first one shows as well."""
    across, down = _grid(*size)
    columns = np.abs(across - move.dx * size[0]) <= move.zoom * (size[0] - 1) / 2
    rows = np.abs(down - move.dy * size[1]) <= move.zoom * (size[1] - 1) / 2
    return rows & columns


@cache
def _grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """(1, W) and (H, 1) float32: pixels from the centre."""
    across = np.arange(width, dtype=np.float32) - (width - 1) / 2
    down = np.arange(height, dtype=np.float32) - (height - 1) / 2
    return across[None, :], down[:, None]


def _slopes(grey: np.ndarray) -> np.ndarray:
    """(2, H, W) float32: grey levels a pixel, across and down."""
    return np.stack([cv2.Sobel(grey, cv2.CV_32F, *way, scale=1 / 8) for way in ((1, 0), (0, 1))])


def _gradient(grey: np.ndarray) -> np.ndarray:
    across, down = _slopes(grey)
    return across + 1j * down


def _spectrum(gradient: np.ndarray) -> np.ndarray:
    """Fourier transform, padded so that a shift within reach wraps nothing around."""
    return np.fft.fft2(gradient, s=(SEARCHED[1] + REACH[1], SEARCHED[0] + REACH[0]))


@cache
def _centring() -> np.ndarray:
    """What moves the shift by -REACH to the corner of a correlation."""
    ramps = (
        np.exp(-2j * np.pi * reach * np.arange(side + reach) / (side + reach))
        for side, reach in zip(SEARCHED, REACH, strict=True)
    )
    across, down = ramps
    return (down[:, None] * across[None, :]).astype(np.complex64)


@cache
def _near_enough(zoom: float) -> np.ndarray:
    """(27, 49) bool: the shifts that leave enough overlap."""
    return np.array(
        [
            [
                overlap(Move(dx / SEARCHED[0], dy / SEARCHED[1], zoom)) >= LEAST_OVERLAP
                for dx in range(-REACH[0], REACH[0] + 1)
            ]
            for dy in range(-REACH[1], REACH[1] + 1)
        ]
    )


def _energies(gradient: np.ndarray) -> np.ndarray:
    """(27, 49): squared gradients of a picture in what each shift of the other one covers of it."""
    sums = cv2.integral(gradient.real**2 + gradient.imag**2)
    for axis in (0, 1):
        side, reach = SEARCHED[1 - axis], REACH[1 - axis]
        shifts = np.arange(-reach, reach + 1)
        sums = sums.take(np.minimum(side + shifts, side), axis) - sums.take(np.maximum(shifts, 0), axis)
    return np.maximum(sums, 0)  # rounding may leave less


def _windows(grey: np.ndarray) -> np.ndarray:
    return cv2.boxFilter(grey, -1, WINDOW)
