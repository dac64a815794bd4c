import itertools
import multiprocessing
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import framekit.manifest
from framekit.manifest import ManifestError, decide
from framekit.manifest.schema import PAIRS
from tests.framekit.manifest.datasets import SOURCES, dataset

HEIDI, PONYO = SOURCES


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """20 frames a source, 2 pairs a frame; frame 3 of the first is left out."""
    root = dataset(tmp_path_factory.mktemp("reading") / "dataset", 20)
    decide(root, [f"{HEIDI}:3"], keep=False, reason="logo", by="ada")
    return root


@pytest.fixture
def manifest(whole):
    return framekit.manifest.open(whole)


@pytest.fixture
def root(tmp_path):
    return dataset(tmp_path / "dataset", 4)


def ids(table, name="pair_id"):
    return table[name].to_pylist()


def write_split(root, sides, **other):
    table = {"frame_id": list(sides), "split": pa.array(sides.values(), pa.string())} | other
    pq.write_table(pa.table(table), root / "split.parquet")


def test_a_view_holds_the_frames_that_match_and_their_pairs_that_are_in(manifest):
    view = manifest.where((pc.field("source") == HEIDI) & (pc.field("brightness") < 5))
    assert ids(view.frames(), "frame_id") == [f"{HEIDI}:{number}" for number in range(5)]
    pairs = [f"{HEIDI}:{number}#{index}" for number in (0, 1, 2, 4) for index in range(2)]
    assert ids(view.pairs()) == [pair.pair_id for pair in view] == pairs
    assert len(view) == len(view.reader()) == 8
    assert view[-1].pair_id == pairs[-1]
    assert ids(view.batches().read_all()) == pairs
    assert "8 pairs of 5 chosen frames" in repr(view)
    assert len(manifest) == 78


def test_views_of_views_hold_what_both_hold(manifest):
    both = manifest.where(pc.field("source") == PONYO).where(pc.field("brightness") < 2)
    assert ids(both.frames(), "frame_id") == [f"{PONYO}:0", f"{PONYO}:1"]
    assert len(both.where(pc.field("source") == HEIDI)) == 0


def test_views_have_digests_of_their_own(manifest, whole):
    dark, bright = (manifest.where(c) for c in (pc.field("brightness") < 5, pc.field("brightness") >= 5))
    assert len({manifest.digest, dark.digest, bright.digest}) == 3
    again = framekit.manifest.open(whole).where(pc.field("brightness") <= 4)
    assert again.digest == dark.digest


def test_a_filter_that_nothing_meets_gives_an_empty_manifest(manifest):
    nothing = manifest.where(pc.field("width") > 0)  # null in every row
    assert (len(nothing), list(nothing), nothing[:]) == (0, [], [])
    assert nothing.frames().num_rows == nothing.pairs(["image"]).num_rows == 0
    assert nothing.frames().schema.names == manifest.frames().schema.names
    assert nothing.batches().read_all().num_rows == 0
    with pytest.raises(IndexError):
        nothing[0]


def test_tables_and_batches_filter_pairs_by_their_own_columns(manifest):
    second = pc.field("crop_index") == 1
    expected = [id_ for id_ in ids(manifest.pairs()) if id_.endswith("#1")]
    assert ids(manifest.pairs(["pair_id"], where=second)) == expected
    reader = manifest.batches(["pair_id"], where=second, size=4)
    assert reader.schema.names == ["pair_id"]
    assert ids(reader.read_all()) == expected
    frames = manifest.frames(["brightness", "frame_id"], where=pc.field("source") == PONYO)
    assert frames.schema.names == ["brightness", "frame_id"]
    assert frames.num_rows == 20


def test_batches_are_the_table_bit_by_bit(manifest):
    for columns in (None, ["pair_id", "image"], ["smoothed"]):
        for size in (1, 7, 1000):
            batches = list(manifest.batches(columns, size=size))
            assert max(batch.num_rows for batch in batches) <= size
            assert pa.Table.from_batches(batches).equals(manifest.pairs(columns))


def test_pictures_come_only_when_they_are_named(manifest):
    pictures = {"image", "smoothed", "thumbnail"}
    assert not pictures & {*manifest.pairs().schema.names, *manifest.frames().schema.names}
    images = manifest.pairs(["image"])["image"].to_pylist()
    assert len(images) == 78
    assert images[0]["bytes"].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda m: m.frames(["wdith"]), "frames have no column wdith; there are frame_id, source,"),
        (
            lambda m: m.where(pc.field("wdith") > 1),
            "frames have no column wdith; there are frame_id, source,",
        ),
        (lambda m: m.where(pc.field("crop_index") == 0), "frames have no column crop_index; there are"),
        (lambda m: m.where(pc.field("thumbnail").is_null()), "frames have no column thumbnail; there are"),
        (lambda m: m.pairs(where=pc.field("x") == 1), "pairs have no column x; there are pair_id,"),
        (lambda m: m.batches(["pair_id", "y"]), "pairs have no column y; there are pair_id,"),
        (lambda m: m.where(pc.field("source") > 1), "a filter that does not fit frames"),
        (lambda m: m.where(pc.field("source")), "a filter that does not fit frames"),
        (lambda m: m.where("source == 1"), "a filter is an expression"),
        (lambda m: m.batches(size=0), "a batch has 1 row or more; got size=0"),
        (lambda m: m.batches(["pair_id"], size=-3), "a batch has 1 row or more; got size=-3"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(manifest, ask, words):
    with pytest.raises(ManifestError, match=words) as error:
        ask(manifest)
    assert "\n" not in str(error.value)


def test_without_a_split_train_is_everything_and_test_nothing(manifest):
    assert len(manifest.train) == 78
    assert manifest.train.digest == manifest.digest
    assert len(manifest.test) == manifest.test.frames().num_rows == 0
    assert set(ids(manifest.split, "split")) == {"train"}


def test_train_and_test_are_what_the_split_says(root):
    sides = {
        f"{HEIDI}:0": "train",
        f"{HEIDI}:1": "test",
        f"{HEIDI}:2": None,
        f"{PONYO}:3": "train",
        "x:1": "test",
    }
    write_split(root, sides)
    manifest = framekit.manifest.open(root)
    assert ids(manifest.train.frames(), "frame_id") == [f"{HEIDI}:0", f"{PONYO}:3"]
    assert ids(manifest.test.pairs()) == [f"{HEIDI}:1#0", f"{HEIDI}:1#1"]
    assert len(manifest.train.where(pc.field("source") == PONYO)) == 2
    assert len(manifest.where(pc.field("source") == PONYO).train) == 2
    assert len(manifest.train.test) == 0
    named = dict(zip(ids(manifest.split, "frame_id"), ids(manifest.split, "split"), strict=True))
    frames = [f"{source}:{number}" for source in SOURCES for number in range(4)]
    assert named == {id_: sides.get(id_) for id_ in frames}
    assert ids(manifest.test.split, "split") == ["test"]
    assert len({manifest.digest, manifest.train.digest, manifest.test.digest}) == 3


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda root: (root / "split.parquet").write_bytes(b"PAR1 PAR1"), "cannot be read"),
        (lambda root: write_split(root, {"a": "valid"}), "knows only the sides train and test; .* 'valid'"),
        (
            lambda root: write_split(root, {}, frame_id=["a", "a"], split=["train", "test"]),
            "names a frame twice",
        ),
        (lambda root: pq.write_table(pa.table({"a": [1]}), root / "split.parquet"), "cannot be read"),
        (lambda root: write_split(root, {"a": "train"}, assigned=["tset"]), "knows only .* 'tset'"),
    ],
)
def test_a_damaged_split_is_said_in_one_line(root, damage, words):
    damage(root)
    manifest = framekit.manifest.open(root)
    for side in (lambda: manifest.train, lambda: manifest.test, lambda: manifest.split):
        with pytest.raises(ManifestError, match=rf"split\.parquet: {words}") as error:
            side()
        assert "\n" not in str(error.value)


def test_a_reader_gives_every_pair_at_its_place(manifest):
    reader = manifest.where(pc.field("brightness") > 1).reader()
    expected = [pair.pair_id for pair in reader]
    assert [reader[place].pair_id for place in range(-len(reader), 0)] == expected
    assert [pair.pair_id for pair in reader[60:3:-7]] == expected[60:3:-7]
    assert [pair.pair_id for pair in pickle.loads(pickle.dumps(reader))] == expected
    for place in (len(reader), -len(reader) - 1):
        with pytest.raises(IndexError):
            reader[place]
    for pair in itertools.islice(reader, 5):
        number, index = pair.pair_id.split(":")[1].split("#")
        assert (pair.image == int(number) * 2 + int(index)).all()


def second_id(reader):
    return reader[1].pair_id


def test_a_view_s_reader_works_in_another_process(manifest):
    reader = manifest.where(pc.field("source") == PONYO).reader()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(second_id, (reader,)) == f"{PONYO}:0#1"


def test_a_damaged_shard_is_named_while_batches_are_read(root):
    path = next((root / "pairs").iterdir())
    manifest = framekit.manifest.open(root)
    batches = manifest.batches(["image"])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ManifestError, match=path.name):
        batches.read_all()


def test_columns_that_an_earlier_framekit_did_not_write_are_null(root):
    for path in (root / "pairs").iterdir():
        pq.write_table(pq.read_table(path).drop_columns(["style", "scale"]), path)
    table = framekit.manifest.open(root).pairs()
    assert table.schema.names == [name for name in PAIRS.names if name not in ("image", "smoothed")]
    assert table["scale"].null_count == table.num_rows == 16


def test_pairs_are_found_in_row_groups_of_every_size(root):
    for path, size in zip(sorted((root / "pairs").iterdir()), (1, 3), strict=True):
        pq.write_table(pq.read_table(path), path, row_group_size=size)
    decide(root, [f"{HEIDI}:1", f"{PONYO}:2#1"], keep=False, reason="", by="ada")
    manifest = framekit.manifest.open(root)
    expected = [pair.pair_id for pair in manifest]
    assert len(expected) == 13
    assert ids(manifest.pairs()) == ids(manifest.batches(size=2).read_all()) == expected
    assert np.array_equal(manifest[5].image, framekit.manifest.open(root)[5].image)
