"""Near-duplicates, the obvious way: from a matrix that says of all pairs whether they are alike."""

import numpy as np

from framekit.images import likeness


def alike_by_comparing(
    hashes: np.ndarray, max_distance: int, signatures: np.ndarray | None = None
) -> np.ndarray:
    """(N, N) bool."""
    count = len(hashes)
    if signatures is None:
        return np.bitwise_count(hashes[:, None] ^ hashes) <= max_distance
    first, second = np.indices((count, count)).reshape(2, -1)
    return likeness.alike(
        hashes[first], signatures[first], hashes[second], signatures[second], max_distance
    ).reshape(count, count)


def group_one_by_one(alike: np.ndarray) -> list[int]:
    """For each picture the position of the first picture of its group."""
    firsts: list[int] = []
    for position in range(len(alike)):
        near = [leader for leader in range(position) if firsts[leader] == leader and alike[leader, position]]
        firsts.append(near[0] if near else position)
    return firsts


def group_by_every_leader(hashes: np.ndarray, max_distance: int) -> np.ndarray:
    """The same from (N,) uint64 hashes, as fast as comparing each with every leader can be."""
    firsts, leaders = np.empty(len(hashes), np.int64), np.empty(len(hashes), np.int64)
    found = 0
    for position, value in enumerate(hashes):
        near = np.flatnonzero(np.bitwise_count(hashes[leaders[:found]] ^ value) <= max_distance)
        firsts[position] = leaders[near[0]] if len(near) else position
        if not len(near):
            leaders[found] = position
            found += 1
    return firsts


def components_by_flooding(alike: np.ndarray) -> list[int]:
    """For each picture the position of the first picture that a chain of alike pictures leads to."""
    labels = [-1] * len(alike)
    for start in range(len(alike)):
        reached = [start] if labels[start] < 0 else []
        while reached:
            here = reached.pop()
            labels[here] = start
            reached += [other for other in np.flatnonzero(alike[here]) if labels[other] < 0]
    return labels
