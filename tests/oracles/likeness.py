"""Whether signatures agree, as it was first written: NumPy's own gradient, solver and median."""

import numpy as np

from framekit.images.likeness import COLUMNS, ELSEWHERE, MOVE, ROWS, SHIFT, SLACK, SUBTITLES, TOLERANCE


def agree_by_solving(first: np.ndarray, second: np.ndarray, *, still: bool) -> np.ndarray:
    """(N,) bool: whether (N, 432) uint8 signatures agree in nearly all cells; `still`: without any move."""
    a, b = (cells.reshape(-1, ROWS, COLUMNS, 3).astype(np.float32) for cells in (first, second))
    apart, allowed = a - b, np.float32(TOLERANCE)
    if not still:
        apart = apart[:, :-SUBTITLES]
        down, across = (np.asarray(np.gradient((a + b) / 2, axis=axis))[:, :-SUBTITLES] for axis in (1, 2))
        allowed = TOLERANCE + SLACK * (np.abs(down) + np.abs(across))
        slopes = np.stack([_centred(down), _centred(across)], axis=-1).reshape(len(a), -1, 2)
        turned = slopes.swapaxes(1, 2)
        squares = turned @ slopes + np.eye(2, dtype=np.float32)
        moves = np.linalg.solve(squares, turned @ _centred(apart).reshape(len(a), -1, 1)).clip(-MOVE, MOVE)
        apart = apart - (slopes @ moves).reshape(apart.shape)
    apart = apart - np.median(apart, axis=(1, 2), keepdims=True).clip(-SHIFT, SHIFT)
    return (np.abs(apart) > allowed).any(axis=3).mean(axis=(1, 2)) <= ELSEWHERE


def _centred(cells: np.ndarray) -> np.ndarray:
    return cells - cells.mean(axis=(1, 2), keepdims=True)
