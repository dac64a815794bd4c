"""Train and test sides of a dataset, without leakage: whole films, shots or groups of near-duplicates."""

from __future__ import annotations

import hashlib
from pathlib import Path

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
    sides_now = {} if anew else read_sides(root / SPLIT) or {}
    known = {frame: side or NEITHER for frame, side in sides_now.items()}
    prints, numbers = rows["fingerprint"].to_pylist(), rows["frame_number"].to_pylist()
    keys = [f"{fingerprint}:{number}" for fingerprint, number in zip(prints, numbers, strict=True)]
    sides = assign(keys, units, [known.get(id_) for id_ in frames.ids], spec)
    placed = shows & (sides != NEITHER)
    sides = without_leaks(sides, _alike(frames, placed, limits))
    names = pa.array([side or None for side in sides], pa.string())
    with whole_file(root / SPLIT) as temporary:
        pq.write_table(pa.table([pa.array(frames.ids, pa.string()), names], schema=SPLITS), temporary)


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


def assign(keys: list[str], units: np.ndarray, before: list[str | None], spec: Split) -> np.ndarray:
    """Give each frame a side.

    A frame that has a side keeps it, whatever is added. What comes new joins the side that its unit has.
    Units that have none are taken in an order that depends on the seed and on their frames' keys alone, and
    go to the test side as long as that brings it nearer to the share asked for; if one side would be empty,
    the smallest goes there.

    Args:
        keys: (N,) names of frames that stay the same in every run, as `<fingerprint>:<frame number>`.
        units: (N,) int64, equal for frames that must not be parted.
        before: (N,) side of each frame so far, None for new ones.
        spec: How to split.

    Returns:
        (N,) objects: `train`, `test` or, for new frames of a unit that is on both sides, an empty text.
    """
    members = _members(units)
    sides = [_side(before, frames) for frames in members]
    test = sum(len(frames) for frames, side in zip(members, sides, strict=True) if side == TEST)
    names = [min(keys[frame] for frame in frames) for frames in members]
    undecided = [unit for unit, side in enumerate(sides) if side is None]
    aim = spec.test * len(keys)
    for unit in sorted(undecided, key=lambda unit: _rank(names[unit], spec.seed)):
        nearer = abs(test + len(members[unit]) - aim) < abs(test - aim)
        sides[unit] = TEST if nearer else TRAIN
        test += len(members[unit]) if nearer else 0
    if len(undecided) > 1 and len(set(sides) - {NEITHER}) == 1:  # no side is left empty
        smallest = min(undecided, key=lambda unit: (len(members[unit]), names[unit]))
        sides[smallest] = TRAIN if sides[smallest] == TEST else TEST
    given = np.empty(len(keys), object)
    for frames, side in zip(members, sides, strict=True):
        given[frames] = side
    for frame, side in enumerate(before):
        given[frame] = given[frame] if side is None else side
    return given


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
