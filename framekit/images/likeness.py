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
AT_ONCE = 2048
"""Pairs that are compared at a time; bounds memory."""


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
    answer = flat | (np.bitwise_count(hashes_a ^ hashes_b) <= max_distance)
    for still in (True, False):
        found = np.flatnonzero(answer & (flat == still))
        for start in range(0, len(found), AT_ONCE):
            part = found[start : start + AT_ONCE]
            answer[part] = _agree(signatures_a[part], signatures_b[part], still=still)
    return answer


def _agree(first: np.ndarray, second: np.ndarray, *, still: bool) -> np.ndarray:
    """(N,) bool: whether (N, 432) uint8 signatures agree in nearly all cells; `still`: without any move.

    The move is the least-squares fit of differences to gradients (Lucas & Kanade, IJCAI 1981), one for all
    three channels.
    """
    a, b = (cells.reshape(-1, ROWS, COLUMNS, 3).astype(np.float32) for cells in (first, second))
    apart, allowed = a - b, np.float32(TOLERANCE)
    if not still:
        apart = apart[:, :-SUBTITLES]
        down, across = (np.asarray(np.gradient((a + b) / 2, axis=axis))[:, :-SUBTITLES] for axis in (1, 2))
        allowed = TOLERANCE + SLACK * (np.abs(down) + np.abs(across))
        slopes = np.stack([_centred(down), _centred(across)], axis=-1).reshape(len(a), -1, 2)
        turned = slopes.swapaxes(1, 2)
        squares = turned @ slopes + np.eye(2, dtype=np.float32)  # so that it has full rank without edges, too
        moves = np.linalg.solve(squares, turned @ _centred(apart).reshape(len(a), -1, 1)).clip(-MOVE, MOVE)
        apart = apart - (slopes @ moves).reshape(apart.shape)
    apart = apart - np.median(apart, axis=(1, 2), keepdims=True).clip(-SHIFT, SHIFT)
    return (np.abs(apart) > allowed).any(axis=3).mean(axis=(1, 2)) <= ELSEWHERE


def _centred(cells: np.ndarray) -> np.ndarray:
    return cells - cells.mean(axis=(1, 2), keepdims=True)
