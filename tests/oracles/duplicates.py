"""Grouping of near-identical hashes, the obvious way."""


def group_one_by_one(hashes: list[int], max_distance: int) -> list[int]:
    """For each hash the position of the first picture of its group."""
    firsts: list[int] = []
    for position, value in enumerate(hashes):
        leaders = [i for i, first in enumerate(firsts) if first == i]
        near = [i for i in leaders if bin(hashes[i] ^ value).count("1") <= max_distance]
        firsts.append(near[0] if near else position)
    return firsts
