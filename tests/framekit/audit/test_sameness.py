"""Near-duplicates that are in, on both sides of a split, in two datasets: against comparing all with all."""

import shutil

import numpy as np
import pytest

from framekit.audit.rows import read_rows
from framekit.audit.sameness import find_common, find_leaks, find_near_duplicates
from framekit.images.hashing import distance
from tests.framekit.audit.datasets import varied
from tests.oracles.audit import SlowAudit, is_alike, linked


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """A dataset in which every fourth frame is a copy of an earlier one, a few bits away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.framekit.audit.datasets.written", _with_copies)
        return varied(tmp_path_factory.mktemp("alike") / "dataset", frames=24, seed=3)


def _with_copies(root, path, schema, rows):
    from tests.framekit.manifest.datasets import written

    for number in range(4, len(rows), 4):
        if path.startswith("frames/"):
            rows[number]["signature"] = rows[number // 8]["signature"]
            rows[number]["hash"] = rows[number // 8]["hash"] ^ (1 << number % 60 | 1)
    return written(root, path, schema, rows)


@pytest.fixture(scope="module")
def slow(alike):
    return SlowAudit(alike)


def test_frames_that_are_in_are_compared_with_each_other(alike, slow):
    sets = [members for members in linked(slow.kept) if len(members) > 1]
    near = find_near_duplicates(read_rows(alike))
    assert near.still_in == sum(len(members) - 1 for members in sets) > 3
    kept = {row["frame_id"]: row for row in slow.kept}
    for twins in near.twins:
        assert is_alike(kept[twins.first], kept[twins.second], 6)
        assert twins.distance == distance(kept[twins.first]["hash"], kept[twins.second]["hash"])


def test_the_largest_groups_come_first_with_their_distances(alike, slow):
    near = find_near_duplicates(read_rows(alike))
    assert near.left_out == sum(bool(word.because_of) for word in slow.manifest.dropped.values())
    sizes = [group.size for group in near.largest]
    assert sizes == sorted(sizes, reverse=True)
    frames = {row["frame_id"]: row for row in slow.frames}
    for group in near.largest:
        for other in group.others:
            assert other.distance == distance(frames[group.kept]["hash"], frames[other.frame]["hash"])


def test_a_leak_is_a_test_frame_like_one_that_trains(alike, slow):
    sides = dict(zip(*(column.to_pylist() for column in slow.manifest.split.columns), strict=True))
    placed = [row for row in slow.kept if sides[row["frame_id"]]]
    leaking = set()
    for members in linked(placed):
        ids = [placed[member]["frame_id"] for member in members]
        if {sides[id_] for id_ in ids} == {"train", "test"}:
            leaking |= {id_ for id_ in ids if sides[id_] == "test"}
    leaks = find_leaks(read_rows(alike))
    assert leaks.first == len(leaking) > 0
    for twins in leaks.twins:
        assert (sides[twins.first], sides[twins.second]) == ("test", "train")


def test_without_a_split_there_is_nothing_to_leak(tmp_path):
    assert find_leaks(read_rows(varied(tmp_path / "d", frames=3, split=False))) is None


def test_two_datasets_have_what_looks_the_same_in_common(alike, mixed, tmp_path):
    rows = read_rows(alike)
    assert find_common(rows, read_rows(mixed)).first == 0
    same = find_common(rows, read_rows(alike))
    assert same.first == same.second == rows.frames.kept.sum()
    assert {twins.distance for twins in same.twins} == {0}


def test_other_hashes_don_t_compare(alike, tmp_path):
    copy = shutil.copytree(alike, tmp_path / "d")
    text = (copy / "dataset.json").read_text().replace('"phash"', '"dhash"')
    (copy / "dataset.json").write_text(text)
    assert find_common(read_rows(alike), read_rows(copy)) is None


def test_frames_without_a_hash_are_like_none(alike):
    rows = read_rows(alike)
    rows.frames.comparable[:] = False
    assert find_near_duplicates(rows).still_in == 0
    rows.frames.comparable[:2] = True
    rows.frames.kept[:2] = True
    rows.frames.hashes = np.full(len(rows.frames), 7, np.uint64)
    rows.frames.signatures = None
    assert find_near_duplicates(rows).still_in == 1
