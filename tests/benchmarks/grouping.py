"""What it costs to find near-duplicates among stored hashes: `python -m tests.benchmarks.grouping`.

Seconds of CPU and of the clock, and memory at its peak, of `group_near_identical` and `components` on

- uniform: random hashes, so nearly all pictures lead a group; nothing is harder to search.
- films: bits that are balanced but hang together, as those of a perceptual hash do; most pictures lie
  within 4 bits of one before them, in groups of a long-tailed size, up to 10,000.
- one cluster: all within 4 bits of one picture.
- films, signatures: as above, each near-duplicate's signature checked too; one picture in
  twenty is of low contrast, one in `--flat` is flat.
- one hash, unlike: equal hashes, each picture with colours of its own, so that every pair is compared;
  `EQUAL` of them whatever the counts.

Every measurement has a process of its own; its memory is counted with what it reads. Beside them stands the
comparison with every leader, on as many hashes as it can take, which must give the same; and, where it is
installed, imagededup, which lists all that is near to each picture.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

import numpy as np

from framekit.images.duplicates import components, group_near_identical
from framekit.images.likeness import SIZE
from tests.benchmarks.other_library import imagededup_hasher
from tests.oracles.duplicates import group_by_every_leader

EVERY_LEADER, OTHER = "every leader", "imagededup"
WAYS = {"groups": group_near_identical, "components": components, EVERY_LEADER: group_by_every_leader}
SIGNED = "films, signatures"
UNLIKE = "one hash, unlike"
KINDS = ("uniform", "films", "one cluster", SIGNED, UNLIKE)
COUNTS = (20_000, 100_000, 1_000_000)
COMPARED = 20_000
"""Hashes that are compared with every leader, too."""
COMPARED_WITH_OTHER = 5_000
"""Hashes that imagededup is given."""
EQUAL = 3_000
DISTANCES = (6, 12)
FLAT = 1_000
LARGEST = 10_000
FLIPS = 4
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes that `ru_maxrss` counts in."""


@dataclass
class Cost:
    """One measurement; `cpu` and `clock` in seconds, `peak` in bytes."""

    kind: str
    count: int
    max_distance: int
    way: str
    cpu: float
    clock: float
    peak: int
    found: int
    same: bool | None


def hashes_of(kind: str, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(N,) uint64 hashes, and for each the number of the picture it is a print of."""
    originals = np.arange(count)
    if kind == "uniform":
        return generator.integers(0, 2**64, count, dtype=np.uint64), originals
    if kind == UNLIKE:
        return np.zeros(count, np.uint64), originals
    if kind == "one cluster":
        return _prints(np.zeros(count, np.uint64), generator), np.zeros(count, np.int64)
    sizes = generator.zipf(2.2, count).clip(max=LARGEST)
    originals = np.repeat(originals, sizes)[:count]
    themes, weights = generator.normal(size=(originals[-1] + 1, 12)), generator.normal(size=(12, 64))
    own = generator.normal(size=(len(themes), 64))
    bits = themes @ weights / np.sqrt(12) + own > 0
    return _prints(np.packbits(bits, axis=1).view(np.uint64)[originals, 0], generator), originals


def _prints(hashes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    changed = generator.integers(0, FLIPS + 1, len(hashes))
    for flip in range(FLIPS):
        bits = np.uint64(1) << generator.integers(0, 64, len(hashes), dtype=np.uint64)
        hashes = hashes ^ np.where(changed > flip, bits, np.uint64(0))
    return hashes


def signatures_of(originals: np.ndarray, flat: int, generator: np.random.Generator) -> np.ndarray:
    """(N, 432) uint8: pictures of their own, prints within a few levels of them."""
    made = np.empty((len(originals), SIZE), np.uint8)
    for start in range(0, len(originals), 2**16):
        here = originals[start : start + 2**16]
        numbers, rows = np.unique(here, return_inverse=True)
        seeds = np.random.default_rng(int(numbers[0]))
        levels = seeds.integers(70, 180, (len(numbers), 1))
        contrast = np.where(numbers % flat == 0, 0.03, np.where(numbers % 20 == 0, 0.3, 1.0))
        cells = levels + contrast[:, None] * seeds.integers(-60, 60, (len(numbers), SIZE))
        made[start : start + 2**16] = cells.astype(np.uint8)[rows] + generator.integers(
            -3, 4, (len(here), SIZE)
        )
    return made


def by_other_library(hashes: np.ndarray, max_distance: int) -> np.ndarray:
    """For each picture the first of those that imagededup finds near to it, or itself; by one process."""
    multiprocessing.set_start_method("fork", force=True)  # a fresh one would import what is not there
    named = {str(number): f"{value:016x}" for number, value in enumerate(hashes.tolist())}
    near = imagededup_hasher().find_duplicates(
        encoding_map=named, max_distance_threshold=max_distance, num_dist_workers=0
    )
    return np.array([min([number, *map(int, near[str(number)])]) for number in range(len(hashes))])


def cpu_seconds() -> float:
    """Of this process and those it has started."""
    used = [getrusage(whose) for whose in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(its.ru_utime + its.ru_stime for its in used)


def measure(kind: str, count: int, max_distance: int, way: str, flat: int) -> Cost:
    """Run one way on drawn hashes, in this process."""
    generator = np.random.default_rng(0)
    hashes, originals = hashes_of(kind, count, generator)
    shown = generator.permutation(count)  # prints lie anywhere, as in a dataset of many films
    hashes = hashes[shown]
    signed = {}
    if kind in (SIGNED, UNLIKE):
        signed["signatures"] = signatures_of(originals, flat, generator)[shown]
    find = by_other_library if way == OTHER else WAYS[way]
    clock, cpu = time.perf_counter(), cpu_seconds()
    firsts = find(hashes, max_distance, **signed)
    cpu, clock = cpu_seconds() - cpu, time.perf_counter() - clock
    peak = getrusage(RUSAGE_SELF).ru_maxrss * RSS_UNIT
    same = None
    if way == EVERY_LEADER:
        same = np.array_equal(firsts, group_near_identical(hashes, max_distance))
    return Cost(kind, count, max_distance, way, cpu, clock, peak, len(np.unique(firsts)), same)


def measurements(
    kinds: list[str], counts: list[int], distances: list[int]
) -> list[tuple[str, int, int, str]]:
    most = {EVERY_LEADER: COMPARED, OTHER: COMPARED_WITH_OTHER}
    return [
        (kind, count, distance, way)
        for kind in kinds
        for count in ([EQUAL] if kind == UNLIKE else counts)
        for distance in distances
        for way in [*WAYS, *([OTHER] if imagededup_hasher() else [])]
        if way not in most or (count <= most[way] and kind not in (SIGNED, UNLIKE))
    ]


def line(cost: Cost) -> str:
    same = "" if cost.same is None else "   the same" if cost.same else "   DIFFERS"
    about = f"{cost.kind:<18}{cost.count:>10,}{cost.max_distance:4}  {cost.way:<13}"
    return f"{about}{cost.cpu:8.1f}{cost.clock:8.1f}{cost.peak / 1e6:8.0f}{cost.found:>10,}{same}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.grouping", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--counts", nargs="+", type=int, default=list(COUNTS), metavar="N")
    parser.add_argument("--distances", nargs="+", type=int, default=list(DISTANCES), metavar="D")
    parser.add_argument("--flat", type=int, default=FLAT, metavar="N", help="one picture in N is flat")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    chosen = parser.parse_args()

    if not chosen.json:
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, NumPy {np.__version__}")
        print(
            f"{'kind':<18}{'hashes':>10}{'D':>4}  {'way':<13}{'CPU s':>8}{'clock s':>8}{'MB':>8}{'found':>10}"
        )
    costs = []
    for what in measurements(chosen.kinds, chosen.counts, chosen.distances):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            costs.append(pool.submit(measure, *what, chosen.flat).result())
        if not chosen.json:
            print(line(costs[-1]), flush=True)
    if chosen.json:
        print(json.dumps({"cores": os.cpu_count(), "costs": [asdict(cost) for cost in costs]}))


if __name__ == "__main__":
    main()
