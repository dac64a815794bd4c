"""Near-identical pictures: grouping by hash distance, without chains."""

from __future__ import annotations

import numpy as np


def group_near_identical(hashes: np.ndarray, max_distance: int) -> np.ndarray:
    """Let each picture join the first group whose first picture is within `max_distance` bits.

    A group is measured from its first picture, so there are no chains: with A≈B, B≈C and A≠C, B joins A
    and C starts a group of its own.

    Args:
        hashes: (N,) uint64, in source order.
        max_distance: Bits that may differ, 0 to 64.

    Returns:
        (N,) int64: for each picture, the position of the first picture of its group.
    """
    firsts = np.empty(len(hashes), np.int64)
    leaders = np.empty(len(hashes), np.int64)
    found = 0
    for position, value in enumerate(hashes):
        apart = np.bitwise_count(hashes[leaders[:found]] ^ value)
        near = np.flatnonzero(apart <= max_distance)
        if len(near):
            firsts[position] = leaders[near[0]]
        else:
            firsts[position] = leaders[found] = position
            found += 1
    return firsts


def sharpest_of_groups(firsts: np.ndarray, sharpness: np.ndarray) -> np.ndarray:
    """Choose the sharpest picture of each group, the earliest of equals.

    Args:
        firsts: (N,) int64 from `group_near_identical`.
        sharpness: (N,) float.

    Returns:
        (N,) int64: for each picture, the position of the one that stands for its group.
    """
    order = np.lexsort((np.arange(len(firsts)), -np.asarray(sharpness, np.float64), firsts))
    groups, starts = np.unique(firsts[order], return_index=True)
    chosen = order[starts]
    return chosen[np.searchsorted(groups, firsts)]
