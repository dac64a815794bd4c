"""Near-duplicates where none should be: among what is in, on both sides of a split, in two datasets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from framekit.audit.measures import spread
from framekit.audit.rows import Frames, Rows
from framekit.images.duplicates import components
from framekit.manifest.groups import near_duplicates
from framekit.options import Limits

DISTANCE: int = Limits.model_fields["dedup_distance"].default
"""Bits that hashes of near-duplicates may differ by, whatever a dataset was made with: so figures compare."""
NAMED = 24
"""Pairs of near-duplicates that are named."""
LARGEST_GROUPS, SHOWN_OTHERS = 8, 7
"""Groups that are named, and how many of the others of each."""
COMPARED = 200
"""Frames of a component, from each side, among which the two nearest are looked for."""


@dataclass(frozen=True)
class Twins:
    """Two frames that are near-duplicates, and the bits in which their hashes differ."""

    first: str
    second: str
    distance: int


@dataclass(frozen=True)
class Other:
    """A frame that is left out as a near-duplicate; distance is None where a hash is missing."""

    frame: str
    distance: int | None


@dataclass(frozen=True)
class Group:
    """Near-duplicates: the frame that is kept, how many are left out for it, and some of them."""

    kept: str
    size: int
    others: list[Other]


@dataclass(frozen=True)
class NearDuplicates:
    """Near-duplicates of a dataset.

    Attributes:
        groups, left_out: Groups, and frames left out in them.
        largest: The largest groups.
        still_in: Frames beyond the first of each set of near-duplicates among what is in.
        twins: Of some of these sets the two nearest.
    """

    groups: int
    left_out: int
    largest: list[Group]
    still_in: int
    twins: list[Twins]


@dataclass(frozen=True)
class Common:
    """Near-duplicates on two sides.

    Attributes:
        first, second: How many frames of each side have one on the other.
        twins: Of some sets of near-duplicates the nearest two, one from each side.
    """

    first: int
    second: int
    twins: list[Twins]


def find_near_duplicates(rows: Rows) -> NearDuplicates:
    """The groups that are left out but for one, and what near-duplicates are in all the same."""
    frames, row_of = rows.frames, rows.frames.row_of
    groups = near_duplicates(rows.manifest, frames.likes)
    largest = []
    for group in groups[:LARGEST_GROUPS]:
        others = [
            Other(id_, _distance(frames, row_of[group.kept], row_of[id_]))
            for id_ in spread(group.others, SHOWN_OTHERS)
        ]
        largest.append(Group(group.kept, len(group.others), others))
    compared = _compared(frames)
    labels = _linked([(frames, compared)])
    twins = [
        _nearest(frames, compared[members[:1]], frames, compared[members[1:]])
        for members in _members(labels)[:NAMED]
    ]
    return NearDuplicates(
        groups=len(groups),
        left_out=sum(len(group.others) for group in groups),
        largest=largest,
        still_in=len(compared) - len(np.unique(labels)),
        twins=twins,
    )


def find_leaks(rows: Rows) -> Common | None:
    """Near-duplicates on both sides of the split, test first; None where there is no split."""
    frames = rows.frames
    if frames.side is None:
        return None
    among = _compared(frames)
    test, train = (among[frames.side[among] == side] for side in ("test", "train"))
    return _common(frames, test, frames, train)


def find_common(rows: Rows, others: Rows) -> Common | None:
    """Near-duplicates in two datasets, of frames that are in; None where their hashes don't compare."""
    if rows.manifest.info.options.get("hash") != others.manifest.info.options.get("hash"):
        return None
    return _common(rows.frames, _compared(rows.frames), others.frames, _compared(others.frames))


def _compared(frames: Frames) -> np.ndarray:
    """Places of the frames that are in and have a hash."""
    return np.flatnonzero(frames.kept & frames.comparable)


def _linked(parts: list[tuple[Frames, np.ndarray]]) -> np.ndarray:
    """(N,) int64 over all parts, equal for near-duplicates, directly or through others."""
    hashes = np.concatenate([frames.hashes[places] for frames, places in parts])
    signatures = None
    if all(frames.signatures is not None for frames, places in parts if len(places)):
        known = [frames.signatures[places] for frames, places in parts if frames.signatures is not None]
        signatures = np.concatenate(known) if known else None
    return components(hashes, DISTANCE, signatures=signatures)


def _members(labels: np.ndarray) -> list[np.ndarray]:
    """Positions of what has one label, where that is more than one; largest sets first."""
    order = np.argsort(labels, kind="stable")
    sets = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(labels) else []
    return sorted(
        (members for members in sets if len(members) > 1), key=lambda members: (-len(members), members[0])
    )


def _common(first: Frames, of_first: np.ndarray, second: Frames, of_second: np.ndarray) -> Common:
    labels = _linked([(first, of_first), (second, of_second)])
    here, there = labels[: len(of_first)], labels[len(of_first) :]
    both = np.intersect1d(here, there)
    twins = [
        _nearest(first, of_first[here == label], second, of_second[there == label]) for label in both[:NAMED]
    ]
    return Common(int(np.isin(here, both).sum()), int(np.isin(there, both).sum()), sorted(twins, key=_order))


def _nearest(first: Frames, of_first: np.ndarray, second: Frames, of_second: np.ndarray) -> Twins:
    """The two whose hashes are nearest, one from each side."""
    a, b = of_first[:COMPARED], of_second[:COMPARED]
    bits = np.bitwise_count(first.hashes[a][:, None] ^ second.hashes[b][None, :])
    row, column = np.unravel_index(int(np.argmin(bits)), bits.shape)
    return Twins(first.ids[a[row]], second.ids[b[column]], int(bits[row, column]))


def _distance(frames: Frames, first: int, second: int) -> int | None:
    if not (frames.comparable[first] and frames.comparable[second]):
        return None
    return int(np.bitwise_count(frames.hashes[first] ^ frames.hashes[second]))


def _order(twins: Twins) -> tuple[int, str, str]:
    return twins.distance, twins.first, twins.second
