"""Train and test sides: whole units, nothing alike on both, and what stands stays."""

import json
import shutil

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import framekit.manifest
from framekit.errors import FramekitError
from framekit.extraction import splitting
from framekit.extraction.extract import extract
from framekit.extraction.settling import after_decisions, decide_again
from framekit.extraction.settling import split as split_dataset
from framekit.extraction.shots import find_scenes
from framekit.extraction.splitting import NEITHER, TEST, TRAIN, without_leaks
from framekit.manifest import decide
from framekit.manifest.schema import SPLITS, Split
from framekit.options import ExtractOptions, Limits
from tests.films import numbered_film


def split(test: float, seed: int) -> Split:
    return Split(by="scene", test=test, seed=seed)


TENTH = split(0.1, 0)


def assign(keys, units, before, spec, weights=None):
    """`splitting.assign`, where frames weigh the same unless told."""
    weights = np.ones(len(keys), np.int64) if weights is None else np.array(weights)
    return splitting.assign(keys, units, before, spec, weights)


def keys(count: int) -> list[str]:
    return [f"film:{number}" for number in range(count)]


def new(count: int) -> list[str | None]:
    return [None] * count


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.floats(0.001, 0.999), st.integers(0, 5))
def test_a_unit_is_never_parted(units, test, seed):
    sides = assign(keys(len(units)), np.array(units), new(len(units)), split(test, seed))
    assert set(sides) <= {TRAIN, TEST}
    assert all(len({sides[i] for i in range(len(units)) if units[i] == unit}) == 1 for unit in units)


@given(st.permutations(range(60)), st.integers(0, 5))
def test_the_order_of_frames_changes_nothing(order, seed):
    units, spec = np.arange(60) // 4, split(0.2, seed)
    straight = assign(keys(60), units, new(60), spec)
    shuffled = assign([keys(60)[i] for i in order], units[order], new(60), spec)
    assert [straight[i] for i in order] == list(shuffled)


@given(st.integers(0, 1000))
def test_the_share_is_met_within_a_unit(seed):
    sides = assign(keys(1000), np.arange(1000) // 5, new(1000), split(0.1, seed))
    assert 95 <= np.sum(sides == TEST) <= 105


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1)), min_size=1, max_size=200),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_frames_without_weight_do_not_count_towards_the_share(frames, test, seed):
    units, weights = np.array([u for u, _ in frames]), np.array([w for _, w in frames])
    of_units = np.bincount(units, weights)
    sides = assign(keys(len(units)), units, new(len(units)), split(test, seed), weights)
    share = weights[sides == TEST].sum()
    # No side is left empty, which may bring the lightest unit over besides.
    assert abs(share - test * weights.sum()) <= of_units.max(initial=0)
    assert set(sides) <= {TRAIN, TEST}


def test_many_frames_without_weight_move_no_unit_that_has_some():
    units = np.arange(1000) // 5
    heavy = np.arange(1000) < 500
    alone = assign(keys(500), units[:500], new(500), TENTH)
    sides = assign(keys(1000), units, new(1000), TENTH, heavy.astype(int))
    assert list(sides[:500]) == list(alone)
    assert 45 <= np.sum(sides[500:] == TEST) <= 55  # which other limits may bring in


def test_where_nothing_has_weight_frames_count():
    units = np.arange(100) // 5
    assert list(assign(keys(100), units, new(100), TENTH, [0] * 100)) == list(
        assign(keys(100), units, new(100), TENTH)
    )


def test_seeds_choose_differently():
    choices = {tuple(assign(keys(50), np.arange(50), new(50), split(0.2, s))) for s in range(5)}
    assert len(choices) == 5


def test_few_large_units_give_the_smallest_to_test():
    sides = assign(keys(100), np.repeat([0, 1, 2], [40, 25, 35]), new(100), TENTH)
    assert set(np.flatnonzero(sides == TEST)) == set(range(40, 65))


def test_one_unit_alone_is_all_train():
    assert set(assign(keys(10), np.zeros(10, int), new(10), TENTH)) == {TRAIN}


@given(
    st.lists(st.integers(0, 15), min_size=1, max_size=60),
    st.lists(st.integers(0, 20), min_size=1, max_size=60),
    st.integers(0, 3),
)
def test_what_is_added_moves_nothing(first, added, seed):
    spec = split(0.2, seed)
    before = assign(keys(len(first)), np.array(first), new(len(first)), spec)
    count = len(first) + len(added)
    after = assign(keys(count), np.array(first + added), [*before, *new(len(added))], spec)
    assert list(after[: len(first)]) == list(before)
    joined = dict(zip(first, before, strict=True))
    assert all(side == joined.get(unit, side) for unit, side in zip(added, after[len(first) :], strict=True))


def test_a_new_frame_that_joins_both_sides_goes_to_neither():
    sides = assign(keys(3), np.zeros(3, int), [TRAIN, None, TEST], TENTH)
    assert list(sides) == [TRAIN, NEITHER, TEST]


@given(st.lists(st.tuples(st.sampled_from([TRAIN, TEST, NEITHER]), st.integers(0, 8)), min_size=1))
def test_nothing_alike_stands_on_both_sides(frames):
    sides, alike = np.array([s for s, _ in frames], object), np.array([a for _, a in frames])
    freed = without_leaks(sides, alike)
    assert not {a for s, a in zip(freed, alike, strict=True) if s == TRAIN} & {
        a for s, a in zip(freed, alike, strict=True) if s == TEST
    }
    changed = freed != sides
    assert set(sides[changed]) <= {TEST}
    assert all(any(s == TRAIN and b == a for s, b in zip(sides, alike, strict=True)) for a in alike[changed])


# Of whole datasets

OPTIONS = ExtractOptions(every=3, crop_size=96, crops_per_frame=2)
SPEC = Split(by="duplicate-group", test=0.3, seed=0)


NARROW, WIDE = 2, 40
"""Distances at which a few of the drawings are near-duplicates, and most."""


def faintly_different(folder, count):
    """Drawings of one gradient, each with shades of its own that no colour check minds but a hash does."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        shades = generator.uniform(-4, 4, (8, 8)).astype(np.float32)
        drawing = np.linspace(60, 180, 192)[:, None] + cv2.resize(shades, (256, 192))
        drawing[:, ::24] = 30  # stripes, so that no crop is flat
        cv2.imwrite(str(folder / f"{number:02}.png"), drawing.round().astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("split")
    drawings = faintly_different(folder / "drawings", 24)
    extract(
        [str(drawings)], folder / "dataset", OPTIONS.model_copy(update={"dedup_distance": NARROW}), workers=1
    )
    return folder / "dataset"


@pytest.fixture
def root(made, tmp_path):
    """A copy that a test may split."""
    shutil.copytree(made, tmp_path / "dataset")
    return tmp_path / "dataset"


def columns(root):
    return pq.read_table(root / "split.parquet").to_pydict()


def test_sides_come_back_when_the_distance_does(root):
    """At a wide distance what tests is like something that trains, and on neither side."""
    split_dataset(root, SPEC)
    before = columns(root)
    assert before["split"] == before["assigned"]
    decide_again(root, Limits(dedup_distance=WIDE))
    wide = columns(root)
    gone = [i for i, side in enumerate(wide["split"]) if side is None]
    assert gone
    assert {wide["assigned"][i] for i in gone} == {TEST}
    assert wide["assigned"] == before["assigned"]
    split_dataset(root, SPEC)  # the same again
    assert columns(root) == wide
    decide_again(root, Limits(dedup_distance=NARROW))
    assert columns(root) == before


def test_no_frame_that_ever_tested_ever_trains(root):
    split_dataset(root, SPEC)
    tested = set(framekit.manifest.open(root).test.frames(["frame_id"])["frame_id"].to_pylist())
    assert tested
    for distance in (WIDE, 0, 20, NARROW):
        decide_again(root, Limits(dedup_distance=distance))
        manifest = framekit.manifest.open(root)
        assert not tested & set(manifest.train.frames(["frame_id"])["frame_id"].to_pylist())


def test_a_split_by_an_earlier_framekit_keeps_its_sides(root):
    """Its file has no column `assigned`, and frames on neither side may have tested: they stay there."""
    split_dataset(root, SPEC)
    decide_again(root, Limits(dedup_distance=WIDE))
    sides = columns(root)["split"]
    assert None in sides
    pq.write_table(pq.read_table(root / "split.parquet").drop_columns(["assigned"]), root / "split.parquet")
    assert len(framekit.manifest.open(root).train)
    decide_again(root, Limits(dedup_distance=NARROW))
    assert pq.read_schema(root / "split.parquet").equals(SPLITS)
    assert columns(root)["split"] == columns(root)["assigned"] == sides


def test_a_damaged_column_of_assigned_sides_is_cured_by_splitting_again(root):
    split_dataset(root, SPEC)
    before, table = columns(root), pq.read_table(root / "split.parquet")
    wrong = pa.array(["valid"] * table.num_rows)
    pq.write_table(table.set_column(2, "assigned", wrong), root / "split.parquet")
    with pytest.raises(FramekitError, match=r"knows only the sides train and test; .*framekit split"):
        decide_again(root, Limits())
    split_dataset(root, SPEC)
    assert columns(root) == before


def test_the_share_is_of_frames_that_have_pairs(root):
    """What is left out is neither trained on nor tested with."""
    spec = Split(by="duplicate-group", test=0.5, seed=0)
    manifest = framekit.manifest.open(root)
    with_pairs = sorted(set(manifest.pairs(["frame_id"])["frame_id"].to_pylist()))
    decide(root, with_pairs[4:], keep=False, reason="few", by="ada")
    after_decisions(root)
    settled = split_dataset(root, spec)
    assert (settled.sides["test"], settled.sides["train"]) == (4, 4)
    assert not [note for note in settled.notes if "was asked for" in note]
    decide(root, with_pairs[1:4], keep=False, reason="fewer", by="ada")
    (root / "split.parquet").unlink()
    notes = split_dataset(root, spec).notes
    assert any("of the pairs where 50.0% of the frames with pairs was asked for" in note for note in notes)


def test_frames_that_are_kept_by_hand_and_have_no_pairs_are_told(films, tmp_path):
    root = tmp_path / "d"
    extract([str(films)], root, OPTIONS.model_copy(update={"min_contrast": 55}), workers=1)
    manifest = framekit.manifest.open(root)
    flat = [item for item, why in manifest.dropped.items() if why.reason == "flat"][:3]
    cut = manifest.pairs(["frame_id"])["frame_id"].to_pylist()[:1]
    decide(root, [*flat, *cut], keep=True, reason="meant", by="ada")
    told = (
        "3 frames that are wanted, or like one that is, have no pairs yet: "
        "run the same framekit extract again to cut them"
    )
    assert told in after_decisions(root).notes
    decide(root, flat, keep=None, reason="", by="ada")
    assert not [note for note in after_decisions(root).notes if "to be kept" in note]


def test_frames_that_are_kept_by_hand_and_can_never_be_cut_are_told(films, tmp_path):
    root = tmp_path / "d"
    extract([str(films)], root, OPTIONS.model_copy(update={"crop_size": 1024}), workers=1)
    frame = framekit.manifest.open(root).frames(["frame_id"])["frame_id"][0].as_py()
    decide(root, [frame], keep=True, reason="", by="ada")
    notes = [note for note in after_decisions(root).notes if "to be kept" in note]
    assert notes == [
        "1 frames that are to be kept give no pairs: "
        "smaller than the crop or no crop with content or could not be read again"
    ]


# Films that a split by scene needs


@pytest.fixture
def relative(tmp_path, monkeypatch):
    """A dataset made in a folder `home` of the film `films/one.mp4`, as it was typed there."""
    home = tmp_path / "home"
    (home / "films").mkdir(parents=True)
    numbered_film(home / "films/one.mp4", 24, seed=1, hold=8)
    monkeypatch.chdir(home)
    extract(["films/one.mp4"], home / "dataset", OPTIONS, workers=1)
    (tmp_path / "elsewhere").mkdir()
    return home / "dataset"


def scenes(root):
    return find_scenes(root, framekit.manifest.open(root).info)


def test_a_film_is_found_from_here_or_from_beside_the_dataset(relative, tmp_path, monkeypatch):
    assert json.loads((relative / "dataset.json").read_text())["sources"][0]["path"] == "films/one.mp4"
    found = [scenes(relative)]
    for root in (relative, relative.parent / "dataset/../dataset"):
        (relative / "scenes.parquet").unlink()
        monkeypatch.chdir(tmp_path / "elsewhere")
        found.append(scenes(root))
    (relative / "scenes.parquet").unlink()
    monkeypatch.chdir(relative)
    found.append(scenes(relative.relative_to(relative)))  # as `.`
    assert {tuple(starts) for by_source in found for starts in by_source.values()} == {
        tuple(found[0].popitem()[1])
    }


def test_another_film_of_the_same_name_is_passed_over(relative, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/films").mkdir()
    numbered_film(tmp_path / "elsewhere/films/one.mp4", 32, seed=9, hold=8)
    assert len(scenes(relative)) == 1
    (relative / "scenes.parquet").unlink()
    (relative.parent / "films/one.mp4").unlink()
    with pytest.raises(FramekitError, match="is another film than the dataset was made from") as error:
        scenes(relative)
    assert str(tmp_path / "elsewhere/films/one.mp4") in str(error.value)


def test_a_film_that_is_nowhere_is_said_with_where_it_was_looked_for(relative, tmp_path, monkeypatch):
    (relative.parent / "films/one.mp4").unlink()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(FramekitError, match=r"films/one\.mp4: the film is not there") as error:
        scenes(relative)
    for folder in ("elsewhere", "home"):
        assert str(tmp_path / folder / "films/one.mp4") in str(error.value)
    assert "run this in the folder that its path starts from" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (relative / "scenes.parquet").exists()
