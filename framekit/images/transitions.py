"""Fades and cross-fades, told from a sample and its two neighbours."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

SURROUNDINGS = (41, 41)
"""Pixels each way whose mean is taken off a picture for fades: what is left is its drawing."""
LEAST_DETAIL = 1.0
"""Levels that a picture deviates by at least for anything to be told from it."""
SAME_SHOT = 0.65
"""Correlation of two drawings from which they are one shot's, and not only on the same black ground."""
OTHER_SHOT = 0.5
"""Correlation of two pictures below which they are two shots'."""
BLACK, WHITE = 40, 215
"""Levels within which a fade does not end."""
LEAST_WEIGHT, LEAST_SUM, MOST_SUM = 0.22, 0.5, 1.2
"""Of the neighbours in a cross-fade: each one's weight, and both together."""


class Transition(NamedTuple):
    """What a sample shares with its neighbours.

    Attributes:
        fade: 0 to 1: how far the picture is on its way to black or white; 0 where nothing says so.
        dissolve: 0 to 1: how much of the picture a mix of both neighbours explains; 0 unless both weigh in.
    """

    fade: float
    dissolve: float


def transition(before: np.ndarray | None, small: np.ndarray, after: np.ndarray | None) -> Transition:
    """Tell fades and cross-fades.

    A fade is a neighbour's drawing (correlation 0.65 at least, light taken off) with less contrast, whose
    mean has gone towards black or white as far as its contrast fell. A cross-fade is explained by a mix of
    two pictures that have little to do with each other (correlation below 0.5), each with at least 0.22 of
    its contrast, both together with 0.5 to 1.2: less than 1 where they moved on since. The model, a weighted
    sum of two shots, is that of Lienhart (SPIE 2001).

    Args:
        before: (72, 128) uint8 luma of the sample before, or None at the start.
        small: The same of the sample, from `hashing.small_grey`.
        after: The same of the sample after, or None at the end.
    """
    fades = [_fade(small, neighbour) for neighbour in (before, after) if neighbour is not None]
    mixed = 0.0 if before is None or after is None else _dissolve(before, small, after)
    return Transition(max(fades, default=0.0), mixed)


def _fade(small: np.ndarray, neighbour: np.ndarray) -> float:
    mine, other = _drawing(small), _drawing(neighbour)
    deviations = float(mine.std()), float(other.std())
    if min(deviations) < LEAST_DETAIL or deviations[0] >= deviations[1]:
        return 0.0
    if float((mine * other).mean()) / (deviations[0] * deviations[1]) < SAME_SHOT:
        return 0.0
    gain = deviations[0] / deviations[1]
    end = (float(small.mean()) - gain * float(neighbour.mean())) / (1 - gain)
    return 1 - gain if end <= BLACK or end >= WHITE else 0.0


def _dissolve(before: np.ndarray, small: np.ndarray, after: np.ndarray) -> float:
    levels = np.stack([picture.ravel() for picture in (before, small, after)]).astype(np.float32)
    levels -= levels.mean(1, keepdims=True)
    products = levels @ levels.T / levels.shape[1]
    deviations = np.sqrt(products.diagonal())
    if deviations.min() < LEAST_DETAIL or products[0, 2] > OTHER_SHOT * deviations[0] * deviations[2]:
        return 0.0
    weights = np.linalg.solve(products[np.ix_((0, 2), (0, 2))], products[(0, 2), 1])
    if weights.min() < LEAST_WEIGHT or not LEAST_SUM <= weights.sum() <= MOST_SUM:
        return 0.0
    return float(np.clip(weights @ products[(0, 2), 1] / products[1, 1], 0, 1))


def _drawing(small: np.ndarray) -> np.ndarray:
    """(H, W) uint8 → (H, W) float32 without its light, of mean 0."""
    levels = small.astype(np.float32)
    detail = levels - cv2.blur(levels, SURROUNDINGS)
    return detail - detail.mean()
