"""What an audit counts, row by row in plain Python."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter

import numpy as np

import framekit.manifest
from framekit.images.hashing import distance
from framekit.images.likeness import alike


class SlowAudit:
    """Every frame and every pair as a dictionary."""

    def __init__(self, root):
        self.manifest = framekit.manifest.open(root)
        self.frames = self.manifest.frames().to_pylist()
        self.pairs = self.manifest.pairs().to_pylist()
        self.kept = [row for row in self.frames if row["frame_id"] not in self.manifest.dropped]

    def reasons(self):
        gone = [row for row in self.frames if row["frame_id"] in self.manifest.dropped]
        return Counter(self.manifest.dropped[row["frame_id"]].reason for row in gone)

    def source(self, id_):
        """Sampled, kept, pairs."""
        mine = [
            [row for row in rows if row["source"] == id_] for rows in (self.frames, self.kept, self.pairs)
        ]
        return tuple(map(len, mine))

    def content(self):
        told = [row["content"] for row in self.kept if row["content"] is not None]
        return Counter(group for groups in told for group in groups), len(told)

    def share(self, measure, meets, *, crops=False):
        """How many, of how many that were measured."""
        values = [row[measure] for row in (self.pairs if crops else self.kept)]
        told = [value for value in values if value is not None]
        return sum(map(meets, told)), len(told)

    def median(self, measure, *, crops=False):
        values = [row[measure] for row in (self.pairs if crops else self.kept)]
        return statistics.median(value for value in values if value is not None)

    def effective_sources(self):
        shares = [count / len(self.pairs) for count in Counter(row["source"] for row in self.pairs).values()]
        return math.exp(-sum(share * math.log(share) for share in shares))

    def pairs_between(self, source, start, stop):
        """Pairs of a film from its second `start` on, up to `stop`."""
        return sum(
            row["source"] == source and row["seconds"] is not None and start <= row["seconds"] < stop
            for row in self.pairs
        )

    def pairs_on(self, side):
        sides = dict(zip(*(column.to_pylist() for column in self.manifest.split.columns), strict=True))
        return sum(sides[row["frame_id"]] == side for row in self.pairs)


def linked(frames, max_distance=6):
    """Sets of near-duplicates, directly or through others: every pair is compared."""
    sets = [{number} for number in range(len(frames))]
    where = list(range(len(frames)))
    for a, b in itertools.combinations(range(len(frames)), 2):
        if where[a] != where[b] and is_alike(frames[a], frames[b], max_distance):
            old, new = where[b], where[a]
            sets[new] |= sets[old]
            for member in sets[old]:
                where[member] = new
    return [sets[number] for number in sorted(set(where))]


def is_alike(a, b, max_distance):
    if distance(a["hash"], b["hash"]) > max_distance:
        return False
    hashes = [np.array([row["hash"]], np.uint64) for row in (a, b)]
    signatures = [np.frombuffer(row["signature"], np.uint8)[None] for row in (a, b)]
    return bool(alike(hashes[0], signatures[0], hashes[1], signatures[1], max_distance)[0])
