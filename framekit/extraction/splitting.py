"""Train and test sides of a dataset, without leakage: whole films, shots or groups of near-duplicates."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from framekit.errors import CommandError
from framekit.extraction.deciding import Frames, first_of_runs, stored_frames
from framekit.extraction.shots import find_scenes
from framekit.files import whole_file
from framekit.images.duplicates import components
from framekit.images.rules import left_out
from framekit.manifest.decisions import state
from framekit.manifest.reading import SPLIT, TEST, TRAIN, Manifest, read_sides
from framekit.manifest.schema import SPLITS, DatasetInfo, Split
from framekit.options import Limits

NEITHER = ""


class _Unit(NamedTuple):
    """Frames that must not be parted: their positions, a name that stays, their side so far, their weight."""

    frames: np.ndarray
    name: str
    side: str | None
    weight: int


def write_split(root: Path, info: DatasetInfo, spec: Split, limits: Limits, *, anew: bool) -> None:
    """Write split.parquet of the dataset in folder `root`.

    Args:
        root: The dataset's folder.
        info: Its dataset.json.
        spec: How to split.
        limits: Of near-duplicates, and of what is left out: black pictures link no shots.
        anew: Forget the sides that frames have.

    Raises:
        CommandError: There is only one film to split by.
        FramekitError: A film whose shots are needed is not at hand.
    """
    manifest = Manifest(root, info)
    frames = stored_frames(manifest)
    rows = manifest.frames(["source", "fingerprint", "frame_number"])
    if spec.by == "film" and len(info.sources) < 2:
        advice = "add films, or split by scene or duplicate-group"
        raise CommandError("one source can't be split by film", where=root, advice=advice)
    shows = left_out(frames.measures, limits.frame_rules(), len(frames.ids)) == None  # noqa: E711
    kept_by_hand = {item for item, word in state(root).items() if word.keep}
    shows |= np.array([id_ in kept_by_hand for id_ in frames.ids], bool)
    same = _linked(len(frames.ids), _alike(frames, shows, limits), first_of_runs(frames, ~shows, limits))
    units = {
        "film": lambda: _numbered(rows["source"]),
        "scene": lambda: _linked(len(frames.ids), same, _shots(root, info, rows)),
        "duplicate-group": lambda: same,
    }[spec.by]()
    put = {} if anew else read_sides(root / SPLIT, "assigned") or {}
    before = [put[id_] or NEITHER if id_ in put else None for id_ in frames.ids]
    prints, numbers = rows["fingerprint"].to_pylist(), rows["frame_number"].to_pylist()
    keys = [f"{fingerprint}:{number}" for fingerprint, number in zip(prints, numbers, strict=True)]
    with_pairs = set(manifest.pairs(["frame_id"])["frame_id"].to_pylist())
    weights = np.array([id_ in with_pairs for id_ in frames.ids], np.int64)
    assigned = assign(keys, units, before, spec, weights)
    placed = shows & (assigned != NEITHER)
    sides = without_leaks(assigned, _alike(frames, placed, limits))
    columns = frames.ids, [side or None for side in sides], [side or None for side in assigned]
    table = pa.table([pa.array(column, pa.string()) for column in columns], schema=SPLITS)
    with whole_file(root / SPLIT) as temporary:
        pq.write_table(table, temporary)


def _alike(frames: Frames, among: np.ndarray, limits: Limits) -> np.ndarray:
    """(N,) int64, equal for near-duplicates `among` the frames, directly or not; others stand alone."""
    places = np.flatnonzero(among)
    groups = components(frames.hashes[places], limits.dedup_distance, signatures=frames.signatures[places])
    alike = np.arange(len(frames.ids))
    alike[places] = places[groups]
    return alike


def _linked(count: int, *links: np.ndarray) -> np.ndarray:
    """(N,) int64, equal for frames that any of `links` links: each is (N,) int64, equal for linked ones."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts, ends = [], []
    for link in links:
        _, firsts, group = np.unique(link, return_index=True, return_inverse=True)
        starts.append(np.arange(count))
        ends.append(firsts[group])
    edges = np.concatenate(starts), np.concatenate(ends)
    graph = coo_array((np.ones(len(edges[0]), bool), edges), shape=(count, count))
    linked: np.ndarray = connected_components(graph, directed=False)[1].astype(np.int64)
    return linked


def _shots(root: Path, info: DatasetInfo, rows: pa.Table) -> np.ndarray:
    """(N,) int64, equal for frames of one shot; every still stands alone."""
    starts = find_scenes(root, info)
    sources, numbers = _numbered(rows["source"]), rows["frame_number"].to_numpy()
    scenes = numbers.copy()
    for source in np.unique(sources):
        inside = np.flatnonzero(sources == source)
        of_film = starts.get(rows["source"][int(inside[0])].as_py())
        if of_film is not None:
            scenes[inside] = np.searchsorted(of_film, numbers[inside], side="right")
    return _numbered(list(zip(sources.tolist(), scenes.tolist(), strict=True)))


def _numbered(names: pa.ChunkedArray | list[tuple[int, int]]) -> np.ndarray:
    """(N,) int64, equal for equal names."""
    numbers: dict[object, int] = {}
    listed = names if isinstance(names, list) else names.to_pylist()
    return np.array([numbers.setdefault(name, len(numbers)) for name in listed], np.int64)


def assign(
    keys: list[str], units: np.ndarray, before: list[str | None], spec: Split, weights: np.ndarray
) -> np.ndarray:
    """Give each frame a side.

    A frame that has a side keeps it, whatever is added. What comes new joins the side that its unit has.
    Units that have none are taken in an order that depends on the seed and on their frames' keys alone, and
    go to the test side as long as that brings it nearer to the share asked for, by weight; if one side would
    be empty, the lightest goes there. Units without weight are dealt out among themselves, by frames: they
    count for nothing now, but other limits may bring them in.

    Args:
        keys: (N,) names of frames that stay the same in every run, as `<fingerprint>:<frame number>`.
        units: (N,) int64, equal for frames that must not be parted.
        before: (N,) side of each frame so far, None for new ones.
        spec: How to split.
        weights: (N,) int64, how much each frame counts towards the share.

    Returns:
        (N,) objects: `train`, `test` or, for new frames of a unit that is on both sides, an empty text.
    """
    heavy: list[_Unit] = []
    light: list[_Unit] = []
    for frames in _members(units):
        weight, name = int(weights[frames].sum()), min(keys[frame] for frame in frames)
        among = heavy if weight else light
        among.append(_Unit(frames, name, _side(before, frames), weight or len(frames)))
    given = np.empty(len(keys), object)
    for among in (heavy, light):
        for unit, side in zip(among, _deal(among, spec), strict=True):
            given[unit.frames] = side
    for frame, side in enumerate(before):
        given[frame] = given[frame] if side is None else side
    return given


def _deal(units: list[_Unit], spec: Split) -> list[str | None]:
    """The side of each unit, with one for those that had none."""
    sides = [unit.side for unit in units]
    test = sum(unit.weight for unit in units if unit.side == TEST)
    aim = spec.test * sum(unit.weight for unit in units)
    undecided = [number for number, side in enumerate(sides) if side is None]
    for number in sorted(undecided, key=lambda number: _rank(units[number].name, spec.seed)):
        weight = units[number].weight
        nearer = abs(test + weight - aim) < abs(test - aim)
        sides[number] = TEST if nearer else TRAIN
        test += weight if nearer else 0
    if len(undecided) > 1 and len(set(sides) - {NEITHER}) == 1:  # no side is left empty
        lightest = min(undecided, key=lambda number: (units[number].weight, units[number].name))
        sides[lightest] = TRAIN if sides[lightest] == TEST else TEST
    return sides


def without_leaks(sides: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """Take frames off the test side that are like some of the train side.

    Args:
        sides: (N,) objects from `assign`.
        alike: (N,) int64, equal for frames that are near-duplicates, directly or through others.
    """
    in_train = np.unique(alike[sides == TRAIN])
    leaks = (sides == TEST) & np.isin(alike, in_train)
    return np.where(leaks, NEITHER, sides)


def _members(units: np.ndarray) -> list[np.ndarray]:
    """Frames of each unit, units by their first frame."""
    _, firsts, unit = np.unique(units, return_index=True, return_inverse=True)
    order = np.argsort(unit, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(unit))[:-1]) if len(units) else []
    return [parts[number] for number in np.argsort(firsts)]


def _side(before: list[str | None], frames: np.ndarray) -> str | None:
    """The side that a unit has already; with frames on both, new ones go to neither."""
    known = {before[frame] for frame in frames} - {None}
    sides = known - {NEITHER}
    if len(sides) == 1:
        return sides.pop()
    return NEITHER if known else None


def _rank(name: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
