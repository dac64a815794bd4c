"""Near-identical pictures: groups without chains, and connected components.

A million pictures are never compared pair by pair. Hashes are cut into parts, each with a radius rᵢ, so that
Σ(rᵢ + 1) = D + 1. Two hashes that differ in at most D bits differ in at most rᵢ in one part at least, else
D + 1 bits would differ (multi-index hashing: Norouzi, Punjani and Fleet, CVPR 2012). So only hashes that are
that near in a part are compared, whole buckets at once. The search is exact whatever the parts; they are
chosen by cost alone. It runs on one thread and allots next to nothing, so NumPy alone is fast enough.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from math import comb
from typing import NamedTuple

import numpy as np

from framekit.images import likeness

Pairs = Iterator[tuple[np.ndarray, np.ndarray]]
Wanted = Callable[[np.ndarray, np.ndarray], np.ndarray]

FEW = 256
"""Pictures that are not halved again."""
TILE = 2**18
"""Pairs of hashes compared at a time: 2 MB, so that they stay in a core's cache."""
TILE_COLUMNS = 4096
CHECKED = 2**12
"""Candidates whose signatures are compared at a time. Few, as what these tell spares many of the next."""
COUNTS = (4, 5, 6, 7, 8, 9, 10, 12)
"""Parts that hashes may be cut into."""
READ = 2**16
"""Signatures looked at at a time: 28 MB."""
BUCKET_COST, KEY_COST = 2**15, 2**8
"""What a bucket, and looking up one key for it, cost beside one comparison: some 30 µs, 250 ns and 1 ns."""

CELLS, SPARED = likeness.CELLS, likeness.SPARED
"""Cells of a signature, and in how many of them alike ones may differ by anything."""
REACH = likeness.SHIFT + likeness.TOLERANCE
"""Levels by which the others may differ."""
PLAIN = 2 * likeness.FLAT * (CELLS / (2 * (SPARED + 1))) ** 0.5 + 2 * likeness.TOLERANCE
"""Most levels between the (2·SPARED + 1)th darkest and brightest cell of what can be alike to a flat picture.

A flat picture's (SPARED + 1)th darkest and brightest cells are R apart, so its variance is at least
2·(SPARED + 1)·(R/2)²/CELLS, and that is less than FLAT². In a picture alike to it, all but SPARED cells
follow it to within TOLERANCE, after one shift of all."""


class _Part(NamedTuple):
    """`width` bits of hashes from bit `low` on, its key, in which at most `radius` bits may differ."""

    low: int
    width: int
    radius: int

    def keys(self, hashes: np.ndarray) -> np.ndarray:
        """(N,) uint16."""
        return ((hashes >> np.uint64(self.low)) & np.uint64(2**self.width - 1)).astype(np.uint16)

    def buckets(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Order of (N,) uint64 by their keys, and where in it each key starts, with the end."""
        keys = self.keys(hashes)
        starts = np.zeros(2**self.width + 1, np.int64)
        np.cumsum(np.bincount(keys, minlength=2**self.width), out=starts[1:])
        return np.argsort(keys, kind="stable"), starts

    def cost(self, firsts: int, seconds: int) -> float:
        """Of the search by this part, were the keys spread evenly; the unit is one comparison."""
        all_keys = 2**self.width
        near_keys = sum(comb(self.width, bits) for bits in range(self.radius + 1))
        buckets = min(firsts, all_keys)
        return firsts * seconds * near_keys / all_keys + buckets * (BUCKET_COST + KEY_COST * near_keys)


class _Near:
    """Search for hashes of one set within `max_distance` bits of those of another."""

    def __init__(self, max_distance: int) -> None:
        self.max_distance = max_distance
        self._differing = np.empty(TILE, np.uint64)
        self._bits = np.empty(TILE, np.uint8)

    def pairs(self, first: np.ndarray, second: np.ndarray) -> Pairs:
        """All near pairs of (N,) and (M,) uint64, each once, as (K,) indices into both, block by block."""
        parts = _parts(len(first), len(second), self.max_distance)
        if not parts:
            yield from self._all(first, second)
        for number, part in enumerate(parts):
            for a, b in self._by_part(first, second, part):
                differing = first[a] ^ second[b]
                known = np.zeros(len(a), bool)
                for earlier in parts[:number]:
                    known |= np.bitwise_count(earlier.keys(differing)) <= earlier.radius
                yield a[~known], b[~known]

    def _by_part(self, first: np.ndarray, second: np.ndarray, part: _Part) -> Pairs:
        a_order, a_starts = part.buckets(first)
        b_order, b_starts = part.buckets(second)
        a_hashes, b_hashes = first[a_order], second[b_order]
        keys = np.arange(2**part.width)
        flips = keys[np.bitwise_count(keys) <= part.radius]
        for key in np.flatnonzero(np.diff(a_starts)).tolist():
            bucket = slice(a_starts[key], a_starts[key + 1])
            theirs = _ranges(b_starts[key ^ flips], b_starts[(key ^ flips) + 1])
            for a, b in self._all(a_hashes[bucket], b_hashes[theirs]):
                yield a_order[bucket][a], b_order[theirs[b]]

    def _all(self, first: np.ndarray, second: np.ndarray) -> Pairs:
        """Near pairs, by comparing all with all; in each block in rising order."""
        columns = min(len(second), TILE_COLUMNS)
        rows = min(len(first), TILE // max(1, columns))
        for top in range(0, len(first), max(1, rows)):
            for left in range(0, len(second), max(1, columns)):
                a, b = first[top : top + rows, None], second[None, left : left + columns]
                shape, size = (len(a), b.shape[1]), len(a) * b.shape[1]
                differing = np.bitwise_xor(a, b, out=self._differing[:size].reshape(shape))
                bits = np.bitwise_count(differing, out=self._bits[:size].reshape(shape))
                near = np.flatnonzero(bits <= self.max_distance)
                if len(near):
                    row, column = np.divmod(near, shape[1])
                    yield row + top, column + left


def _parts(firsts: int, seconds: int, max_distance: int) -> list[_Part]:
    """The parts by which so many hashes are compared at least cost; none where all are compared with all."""
    best: list[_Part] = []
    least = float(firsts * seconds)
    for count in COUNTS:
        edges = [64 * part // count for part in range(count + 1)]
        radii = [(max_distance + 1 + part) // count - 1 for part in range(count)]
        parts = [
            _Part(low, high - low, radius)
            for radius, (low, high) in zip(radii, itertools.pairwise(edges), strict=True)
            if radius >= 0
        ]
        cost = sum(part.cost(firsts, seconds) for part in parts)
        if cost < least:
            best, least = parts, cost
    return best


def _ranges(starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """(M,) int64: the numbers of all ranges, one after another."""
    sizes = stops - starts
    ends = np.cumsum(sizes)
    return np.arange(ends[-1]) + np.repeat(starts - (ends - sizes), sizes)


class _Pictures:
    """All pictures, and the search for those that are alike."""

    def __init__(self, hashes: np.ndarray, signatures: np.ndarray | None, max_distance: int) -> None:
        self.hashes = np.asarray(hashes, np.uint64)
        self.signatures = signatures
        self._near = _Near(max_distance)
        self._flat, self._plain = np.zeros((2, len(hashes)), bool)
        self._low, self._middle, self._high = np.zeros((3, len(hashes), 3), np.int16)
        self._sketches = np.empty((0, 2, 0), np.uint8)
        if signatures is None:
            return
        self._sketches = likeness.sketches(signatures)
        for start in range(0, len(hashes), READ):
            part = slice(start, start + READ)
            cells = signatures[part].reshape(-1, CELLS, 3).transpose(0, 2, 1)
            ranked = np.sort(cells.astype(np.int16, order="C"), axis=2)
            spread = ranked[:, 0, -1 - 2 * SPARED] - ranked[:, 0, 2 * SPARED]
            self._flat[part] = likeness.is_flat(signatures[part])
            self._plain[part] = self._flat[part] | (spread <= PLAIN)
            self._low[part] = ranked[:, :, CELLS // 2 - SPARED] - REACH
            self._middle[part] = ranked[:, :, CELLS // 2]
            self._high[part] = ranked[:, :, CELLS // 2 + SPARED] + REACH

    def alike(self, first: np.ndarray, second: np.ndarray, wanted: Wanted) -> Pairs:
        """Alike pairs of one of `first` and one of `second`, (N,) positions each, as far as they are wanted.

        Candidates are asked about block by block, so what is made of one block may spare the next.
        """
        for a, b in _gathered(self.candidates(first, second)):
            for start in range(0, len(a), CHECKED):
                part = slice(start, start + CHECKED)
                asked = wanted(a[part], b[part])
                yield self.checked(a[part][asked], b[part][asked])

    def checked(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those candidates, (K,) positions each, that are alike."""
        if self.signatures is None or not len(a):
            return a, b
        fitting = likeness.may_be_alike(self._sketches[a], self._sketches[b])
        a, b = a[fitting], b[fitting]
        agree = likeness.agree(self.signatures[a], self.signatures[b], self._flat[a] | self._flat[b])
        return a[agree], b[agree]

    def candidates(self, first: np.ndarray, second: np.ndarray) -> Pairs:
        """Pairs of one of `first` and one of `second` among which all are that are alike."""
        for a, b in self._near.pairs(self.hashes[first], self.hashes[second]):
            yield first[a], second[b]
        flat, plain = self._flat, self._plain
        others = second[plain[second]]
        for position in first[flat[first]]:
            fitting = self._fitting(position, others)
            yield np.full(len(fitting), position), fitting
        others = first[plain[first] & ~flat[first]]
        for position in second[flat[second]]:
            fitting = self._fitting(position, others)
            yield fitting, np.full(len(fitting), position)

    def _fitting(self, position: np.intp, others: np.ndarray) -> np.ndarray:
        """Those whose middle levels do not rule out that they are alike to one picture."""
        middle = self._middle[others]
        return others[((middle >= self._low[position]) & (middle <= self._high[position])).all(axis=1)]


def _gathered(pairs: Pairs) -> Pairs:
    """The same pairs, in blocks of at least `CHECKED`, but for the last one."""
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    size = 0
    for block in pairs:
        waiting.append(block)
        size += len(block[0])
        if size >= CHECKED:
            yield _joined(waiting)
            waiting, size = [], 0
    yield _joined(waiting)


def _joined(blocks: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    nothing = np.empty(0, np.int64)
    first, second = zip((nothing, nothing), *blocks, strict=True)
    return np.concatenate(first), np.concatenate(second)


def group_near_identical(
    hashes: np.ndarray, max_distance: int, *, signatures: np.ndarray | None = None
) -> np.ndarray:
    """Let each picture join the first group whose first picture is alike to it.

    A group is measured from its first picture, so there are no chains: with A≈B, B≈C and A≠C, B joins A
    and C starts a group of its own.

    Time grows with the square of how many pictures are near by hash, or flat, and unlike by their signatures:
    each pair of them is compared; 1,000 make half a million pairs.

    Args:
        hashes: (N,) uint64, in source order.
        max_distance: Bits that may differ, 0 to 64.
        signatures: (N, 432) uint8 from `likeness.signature`; without them hashes alone decide.

    Returns:
        (N,) int64: for each picture, the position of the first picture of its group.
    """
    firsts = np.arange(len(hashes))
    _lead(_Pictures(hashes, signatures, max_distance), firsts.copy(), firsts)
    return firsts


def _lead(pictures: _Pictures, members: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """Those of `members`, positions in rising order, that lead a group; sets `firsts` in place."""
    if len(members) <= FEW:
        return _lead_few(pictures, members, firsts)
    half = len(members) // 2
    left, right = _lead(pictures, members[:half], firsts), members[half:]
    for leader, joining in pictures.alike(left, right, lambda a, b: a < firsts[b]):
        np.minimum.at(firsts, joining, leader)
    return np.concatenate([left, _lead(pictures, right[firsts[right] == right], firsts)])


def _lead_few(pictures: _Pictures, members: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    earlier, later = _joined([(a[a < b], b[a < b]) for a, b in pictures.candidates(members, members)])
    order = np.argsort(earlier, kind="stable")
    earlier, later = earlier[order], later[order]
    starts = np.flatnonzero(np.diff(earlier, prepend=-1))
    for start, stop in itertools.pairwise([*starts.tolist(), len(earlier)]):
        if firsts[earlier[start]] == earlier[start]:
            free = start + np.flatnonzero(firsts[later[start:stop]] == later[start:stop])
            leaders, joining = pictures.checked(earlier[free], later[free])
            firsts[joining] = leaders
    return members[firsts[members] == members]


def components(hashes: np.ndarray, max_distance: int, *, signatures: np.ndarray | None = None) -> np.ndarray:
    """Connected components: pictures that a chain of alike pictures links, so that none leaks across a split.

    Groups are found first, then what else is alike to their first pictures: that links nearly all there is to
    link at little cost. What is left are links between pictures of two components, so those of one are not
    compared again: a cluster of 100,000 near-identical pictures never becomes ten thousand million pairs.
    Pictures of two components that are near by hash, or flat, all have their signatures compared, so this
    takes longer than grouping.

    Args:
        hashes, max_distance, signatures: As in `group_near_identical`.

    Returns:
        (N,) int64: for each picture, the position of the first picture of its component.
    """
    labels = np.arange(len(hashes))
    pictures = _Pictures(hashes, signatures, max_distance)
    leaders = _lead(pictures, labels.copy(), labels)
    others = np.setdiff1d(np.arange(len(hashes)), leaders, assume_unique=True)
    _link_alike(pictures, leaders, others, labels)
    sizes = np.bincount(labels[others], minlength=len(labels))
    members = others[np.lexsort((labels[others], sizes[labels[others]]))]
    _link_across(pictures, members, np.flatnonzero(np.diff(labels[members], prepend=-1)), labels)
    return labels


def _link_across(pictures: _Pictures, members: np.ndarray, starts: np.ndarray, labels: np.ndarray) -> None:
    """Link what is alike among components that lie one after another in `members`, from `starts` on."""
    if len(starts) < 2:
        return
    if len(members) <= FEW:
        _link_alike(pictures, members, members, labels)
        return
    middle = min(max(1, int(np.searchsorted(starts, len(members) // 2))), len(starts) - 1)
    cut = int(starts[middle])
    _link_across(pictures, members[:cut], starts[:middle], labels)
    _link_across(pictures, members[cut:], starts[middle:] - cut, labels)
    _link_alike(pictures, members[:cut], members[cut:], labels)


def _link_alike(pictures: _Pictures, first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> None:
    for a, b in pictures.alike(first, second, lambda a, b: labels[a] != labels[b]):
        _link(labels, a, b)


def _link(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
    """Give linked pictures, (M,) positions each, one label in place: the lowest of what they link."""
    while True:
        a, b = labels[first], labels[second]
        if (a == b).all():
            return
        np.minimum.at(labels, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(upper := labels[labels], labels):
            labels[:] = upper


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
