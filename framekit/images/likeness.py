"""Whether two pictures show the same: their hashes, and a thumbnail of 16×9 colours that checks them."""

from __future__ import annotations

import cv2
import numpy as np

COLUMNS, ROWS = 16, 9
SIZE = ROWS * COLUMNS * 3
"""Bytes of a signature."""
FLAT = 6.0
"""Standard deviation of a signature's luma below which a picture is nearly flat and its hash noise."""
TOLERANCE = 8
"""Levels, of 255, that a cell may differ by."""
SHIFT = 24
"""Levels that the whole picture may be brighter or otherwise coloured."""
ELSEWHERE = 0.02
"""Share of the cells that may show something else, as a mouth does."""
MOVE = 0.4
"""Cells that the whole picture may have moved each way: 2.5 % of its width, 4.4 % of its height."""
SLACK = 0.4
"""Cells by which the edges in a picture may be elsewhere after that."""
SUBTITLES = 2
"""Lowest rows, which are not compared: lines of text stand there."""
AT_ONCE = 256
"""Pairs that are compared at a time: few, so that what is made of them stays in a core's cache."""

CELLS = ROWS * COLUMNS
COMPARED = (ROWS - SUBTITLES) * COLUMNS
SPARED = int(ELSEWHERE * CELLS + 1e-6)
"""Cells that may show something else, at most."""
SKETCHED = [
    3 * (row * COLUMNS + column) + channel
    for channel, every in enumerate((2, 4, 4))
    for row in range(every // 4, ROWS - SUBTITLES, every)
    for column in range(every // 4, COLUMNS, every)
]
"""Places in a signature that a sketch holds: 32 of Y, then 8 of Cr, then 8 of Cb."""
CHANNELS = (slice(0, 32), slice(32, 40), slice(40, 48))
"""Where in a sketch the channels stand."""
ROUNDING = 0.05
"""Levels, far more than is lost to rounding on the way to an answer."""


def signature(image: np.ndarray) -> np.ndarray:
    """A picture's mean colours on a grid, as bytes.

    Args:
        image: (H, W, 3) uint8 RGB, of any size.

    Returns:
        (432,) uint8: 9 rows of 16 cells of Y, Cr, Cb (BT.601, full range), by area averaging.
    """
    cells = cv2.resize(image, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(cells, cv2.COLOR_RGB2YCrCb).reshape(-1)


def is_flat(signatures: np.ndarray) -> np.ndarray:
    """Which pictures are nearly of one brightness all over, so that their hashes say nothing.

    Args:
        signatures: (N, 432) uint8.

    Returns:
        (N,) bool.
    """
    return signatures[:, ::3].std(axis=1, dtype=np.float32) < FLAT


def alike(
    hashes_a: np.ndarray,
    signatures_a: np.ndarray,
    hashes_b: np.ndarray,
    signatures_b: np.ndarray,
    max_distance: int,
) -> np.ndarray:
    """Whether the pictures of each pair are near-duplicates; symmetric, and every picture is like itself.

    Two pictures are where their hashes are near and their signatures agree, but for a small move and a shift
    in colour of the whole picture. Where either is flat, hashes don't count and nothing may have moved: all
    but a share of `ELSEWHERE` of all cells then differ by `TOLERANCE` at most in each of Y, Cr and Cb, after
    a shift of up to `SHIFT`.

    So a search has all candidates if it finds the pairs within `max_distance`, and for each flat picture
    those that are flat or not far from it; what agrees with a flat picture is itself bounded in its spread.

    Args:
        hashes_a, hashes_b: (N,) uint64.
        signatures_a, signatures_b: (N, 432) uint8 from `signature`.
        max_distance: Bits that may differ, 0 to 64; ignored where either picture is flat.

    Returns:
        (N,) bool.
    """
    flat = is_flat(signatures_a) | is_flat(signatures_b)
    answer: np.ndarray = flat | (np.bitwise_count(hashes_a ^ hashes_b) <= max_distance)
    asked = np.flatnonzero(answer)
    answer[asked] = agree(signatures_a[asked], signatures_b[asked], flat[asked])
    return answer


def agree(signatures_a: np.ndarray, signatures_b: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Whether the signatures of each pair agree in nearly all cells: what `alike` asks beside the hashes.

    Args:
        signatures_a, signatures_b: (N, 432) uint8 from `signature`.
        flat: (N,) bool, whether either picture is flat.

    Returns:
        (N,) bool.
    """
    answer = np.empty(len(flat), bool)
    for still in (True, False):
        found = np.flatnonzero(flat == still)
        for start in range(0, len(found), AT_ONCE):
            part = found[start : start + AT_ONCE]
            answer[part] = _agree(signatures_a[part], signatures_b[part], still=still)
    return answer


def _agree(first: np.ndarray, second: np.ndarray, *, still: bool) -> np.ndarray:
    """(N,) bool: whether (N, 432) uint8 signatures agree in nearly all cells; `still`: without any move."""
    a, b = _planes(first), _planes(second)
    apart, allowed = a - b, np.full(1, TOLERANCE, np.float32)
    if not still:
        apart = apart[:, :, :COMPARED]
        down, across = _slopes(a, b)
        allowed = TOLERANCE + np.float32(SLACK) * (np.abs(down) + np.abs(across))
        apart = apart - _moved(apart, down, across)
    middle = apart.shape[2] // 2
    ranked = np.sort(apart, axis=2)  # several times as fast as a median
    shift = ((ranked[:, :, middle - 1] + ranked[:, :, middle]) / 2).clip(-SHIFT, SHIFT)
    differ = np.abs(apart - shift[:, :, None]) > allowed
    return np.count_nonzero(differ[:, 0] | differ[:, 1] | differ[:, 2], axis=1) <= ELSEWHERE * apart.shape[2]


def _planes(signatures: np.ndarray) -> np.ndarray:
    """(N, 3, 144) float32, one channel after another."""
    return signatures.reshape(-1, CELLS, 3).transpose(0, 2, 1).astype(np.float32, order="C")


def _slopes(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients down and across of the mean of two pictures, (N, 3, 112) float32 each, as `np.gradient`."""
    cells = (a + b) / 4
    down, across = np.empty((2, len(cells), 3, COMPARED), np.float32)
    below, above = cells[..., 2 * COLUMNS : COMPARED + COLUMNS], cells[..., : COMPARED - COLUMNS]
    np.subtract(below, above, out=down[..., COLUMNS:])
    down[..., :COLUMNS] = 2 * (cells[..., COLUMNS : 2 * COLUMNS] - cells[..., :COLUMNS])
    np.subtract(cells[..., 2 : COMPARED + 1], cells[..., : COMPARED - 1], out=across[..., 1:])  # edges follow
    for edge, inner, sign in ((0, 1, 2), (COLUMNS - 1, COLUMNS - 2, -2)):
        here, there = cells[..., edge:COMPARED:COLUMNS], cells[..., inner:COMPARED:COLUMNS]
        across[..., edge::COLUMNS] = sign * (there - here)
    return down, across


def _moved(apart: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """What of differences a small move explains: (N, 3, 112) float32, as all that it takes.

    The move is the least-squares fit of differences to gradients (Lucas & Kanade, IJCAI 1981), one for all
    three channels.
    """
    down, across = _centred(down), _centred(across)
    y, x, levels = (cells.reshape(len(cells), -1) for cells in (down, across, _centred(apart)))
    yy, xx, xy = (np.vecdot(*both).astype(np.float64) for both in ((y, y), (x, x), (x, y)))
    by_y, by_x = (np.vecdot(slopes, levels).astype(np.float64) for slopes in (y, x))
    yy, xx = yy + 1, xx + 1  # so that it can be solved without edges, too
    area = np.maximum(yy * xx - xy * xy, yy + xx - 1)  # no less, by Cauchy and Schwarz, but for rounding
    moves = np.stack([(xx * by_y - xy * by_x) / area, (yy * by_x - xy * by_y) / area])
    moves = moves.clip(-MOVE, MOVE).astype(np.float32)[:, :, None, None]
    return moves[0] * down + moves[1] * across


def _centred(cells: np.ndarray) -> np.ndarray:
    return cells - cells.mean(axis=2, keepdims=True)


def sketches(signatures: np.ndarray) -> np.ndarray:
    """What tells of most pictures at little cost that they are not alike.

    After the shift, a cell that agrees differs by at most `TOLERANCE`, `SLACK` of the gradients of the mean
    of both pictures, and what a move explains: `MOVE` of how far those gradients are from their own mean.
    These are no more than the mean of what they are in each picture alone. So every cell of a picture has a
    reach of its own, and two cells that agree are apart, but for the shift, by no more than both reaches.

    Args:
        signatures: (N, 432) uint8 from `signature`.

    Returns:
        (N, 2, 48) uint8: levels at `SKETCHED`, and their reaches, 226 at most.
    """
    made = np.empty((len(signatures), 2, len(SKETCHED)), np.uint8)
    for start in range(0, len(signatures), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        cells = _planes(signatures[part])
        reach = np.full_like(cells, TOLERANCE / 2)
        for slopes in _slopes(cells, cells):
            reach[..., :COMPARED] += (SLACK * np.abs(slopes) + MOVE * np.abs(_centred(slopes))) / 2
        reach = reach.transpose(0, 2, 1).reshape(len(cells), -1)
        made[part, 0] = signatures[part][:, SKETCHED]
        made[part, 1] = np.ceil(reach[:, SKETCHED] + ROUNDING)
    return made


def may_be_alike(sketches_a: np.ndarray, sketches_b: np.ndarray) -> np.ndarray:
    """Whether sketches leave it open that the pictures of each pair are alike, flat or not.

    Args:
        sketches_a, sketches_b: (N, 2, 48) uint8 from `sketches`.

    Returns:
        (N,) bool.
    """
    apart = np.subtract(sketches_a[:, 0], sketches_b[:, 0], dtype=np.int16)
    reach = np.add(sketches_a[:, 1], sketches_b[:, 1], dtype=np.int16)
    least, most = apart - reach, apart + reach
    answer = np.ones(len(apart), bool)
    for channel in CHANNELS:
        # The shift lies between least and most of all cells but the spared ones.
        above = np.sort(least[:, channel], axis=1)[:, -1 - SPARED]
        below = np.sort(most[:, channel], axis=1)[:, SPARED]
        answer &= (above <= np.minimum(below, SHIFT)) & (below >= -SHIFT)
    return answer
