import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import framekit.manifest
from framekit.cli import main
from framekit.extraction.extract import extract
from framekit.extraction.settling import split
from framekit.manifest.decisions import drop
from framekit.manifest.schema import SCENES, SPLITS, Split
from framekit.manifest.verifying import verify
from framekit.manifest.writing import write_decisions
from framekit.options import ExtractOptions
from tests.films import numbered_film


@pytest.fixture
def root(tmp_path):
    """A small dataset of one film."""
    numbered_film(tmp_path / "film.mp4", 40)
    out = tmp_path / "dataset"
    extract([str(tmp_path / "film.mp4")], out, ExtractOptions(every=10, crop_size=64), workers=1)
    return out


def edit_info(root, **changes):
    path = root / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_reading_by_position_and_in_order(root):
    manifest = framekit.manifest.open(root)
    assert len(manifest) == 16
    ids = [pair.pair_id for pair in manifest]
    assert ids == manifest.pairs(["pair_id"])["pair_id"].to_pylist()
    for position in (15, 0, 7):
        assert manifest[position].pair_id == ids[position]
    assert manifest[0].image.shape == manifest[0].smoothed.shape == (64, 64, 3)
    assert manifest[0].image.dtype == np.uint8
    assert "64x64x3" in repr(manifest[0])


def test_a_reader_can_be_sent_to_another_process(root):
    reader = framekit.manifest.open(root).reader()
    first = reader[3]
    again = pickle.loads(pickle.dumps(reader))
    assert np.array_equal(again[3].image, first.image)


def test_a_reader_without_smoothed_halves(root):
    assert framekit.manifest.open(root).reader(smoothed=False)[0].smoothed is None


def test_decisions_leave_frames_and_single_pairs_out_and_the_last_word_counts(root):
    manifest = framekit.manifest.open(root)
    before = manifest.digest
    frame, pair = (manifest.pairs([column])[column].to_pylist()[0] for column in ("frame_id", "pair_id"))
    write_decisions(root, [drop(frame, "ugly", by="ada")])
    assert len(framekit.manifest.open(root)) == 12
    write_decisions(root, [drop(pair, "ugly", by="ada")])
    changed = framekit.manifest.open(root)
    assert len(changed) == 15
    assert changed.dropped[pair].reason == "ugly"
    assert changed.digest != before
    write_decisions(root, [drop(pair, "ugly", by="ada"), drop(pair, "", by="ada") | {"keep": True}])
    assert len(framekit.manifest.open(root)) == 16


def test_what_a_person_decided_survives_the_next_extraction(root, tmp_path):
    frame = framekit.manifest.open(root).frames(["frame_id"])["frame_id"].to_pylist()[0]
    write_decisions(root, [drop(frame, "ugly", by="ada")])
    extract([str(tmp_path / "film.mp4")], root, ExtractOptions(every=10, crop_size=64), workers=1)
    assert framekit.manifest.open(root).dropped[frame].reason == "ugly"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no dataset here"),
        ("{", "damaged"),
        ("[1]", "schema version None"),
        ('{"schema_version": 99}', "schema version 99; this framekit reads version 2"),
        ('{"schema_version": 2}', "framekit_version: is missing"),
        ("[" * 100_000, "damaged"),
    ],
)
def test_what_is_no_dataset_is_said_in_one_line(tmp_path, content, words):
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(framekit.manifest.ManifestError, match=words) as error:
        framekit.manifest.open(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "path", ["../secret.parquet", "/etc/passwd", "pairs/../../x.parquet", "pairs/.x.parquet", "x"]
)
def test_shards_outside_the_dataset_are_refused(root, path):
    edit_info(root, shards=[{"path": path, "rows": 1, "bytes": 1, "sha256": ""}])
    with pytest.raises(framekit.manifest.ManifestError, match="a shard's path must be"):
        framekit.manifest.open(root)


def test_damage_is_found_by_verify_all_of_it(root):
    assert verify(framekit.manifest.open(root)) == []
    pairs, frames = next((root / "pairs").iterdir()), next((root / "frames").iterdir())
    data = bytearray(pairs.read_bytes())
    data[len(data) // 2] ^= 255
    pairs.write_bytes(data)
    frames.unlink()
    faults = verify(framekit.manifest.open(root))
    assert any("is missing" in fault for fault in faults)
    assert any("other bytes" in fault for fault in faults)


def test_a_smoothed_half_that_is_not_its_crop_s_is_found(root):
    manifest = framekit.manifest.open(root)
    path = next((root / "pairs").iterdir())
    rows = pq.read_table(path).to_pylist()
    rows[2]["smoothed"] = rows[9]["smoothed"]
    schema = pq.read_schema(path)
    from framekit.files import sha256_of
    from framekit.manifest.writing import shard

    with shard(path, schema) as writer:
        for row in rows:
            writer.add(row)
        writer.close({})
    for info in manifest.info.shards:
        if info.path.startswith("pairs"):
            info.sha256, info.bytes = sha256_of(path), path.stat().st_size
    manifest.info.totals["bytes"] = sum(info.bytes for info in manifest.info.shards)
    assert verify(manifest) == [
        f"pairs/{path.name}: {rows[2]['pair_id']}: smoothed is not the crop with its edges smoothed"
    ]


# Tables beside the shards


def faults(root, name):
    """What verify finds, all of which is about one file."""
    found = verify(framekit.manifest.open(root))
    assert all(fault.startswith(name + ": ") and "\n" not in fault for fault in found)
    return [fault.removeprefix(name + ": ") for fault in found]


def write_split(root, rows):
    pq.write_table(pa.Table.from_pylist(rows, SPLITS), root / "split.parquet")


@pytest.fixture
def ids(root):
    return framekit.manifest.open(root).frames(["frame_id"])["frame_id"].to_pylist()


def test_a_split_that_fits_has_no_faults(root, ids):
    sides = [("train", "train"), ("test", "test"), (None, "test"), (None, None)]
    write_split(
        root, [{"frame_id": i, "split": s, "assigned": a} for i, (s, a) in zip(ids, sides, strict=True)]
    )
    assert faults(root, "split.parquet") == []
    pq.write_table(pq.read_table(root / "split.parquet").drop_columns(["assigned"]), root / "split.parquet")
    assert faults(root, "split.parquet") == []


def test_all_that_is_wrong_with_a_split_is_listed(root, ids):
    rows = [
        {"frame_id": ids[0], "split": "train", "assigned": "test"},
        {"frame_id": ids[1], "split": "valid", "assigned": "valid"},
        {"frame_id": ids[1], "split": "tset", "assigned": "tset"},
        {"frame_id": "gone-00000000:7\n", "split": "test", "assigned": "test"},
        {"frame_id": None, "split": "test", "assigned": "test"},
    ]
    write_split(root, rows)
    assert sorted(faults(root, "split.parquet")) == sorted(
        [
            "knows only the sides train and test; there is 'tset'",
            "knows only the sides train and test; there is 'valid'",
            "has rows without a frame",
            f"names a frame twice: {ids[1]}",
            "gone-00000000:7\\n: no frame has this id",
            f"{ids[0]}: stands on the side train and was assigned test",
            f"{ids[2]}: this frame has no row",
            f"{ids[3]}: this frame has no row",
        ]
    )


@pytest.mark.parametrize("name", ["split.parquet", "scenes.parquet", "decisions.parquet"])
@pytest.mark.parametrize("damage", [b"", b"PAR1 nothing PAR1", None])
def test_a_table_that_cannot_be_read_is_one_fault(root, name, damage):
    if damage is None:
        pq.write_table(pa.table({"other": [1]}), root / name)
    else:
        (root / name).write_bytes(damage)
    (fault,) = faults(root, name)
    assert fault.startswith("cannot be read (")
    done = CliRunner().invoke(main, ["verify", str(root), "--json"])
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert said["faults"] == [f"{name}: {fault}"]
    assert len(said["digest"]) == 64


@pytest.mark.parametrize("name", ["split.parquet", "decisions.parquet"])
def test_a_table_that_is_lost_is_a_fault(root, name):
    edit_info(root, split={"by": "scene", "test": 0.1, "seed": 0})
    write_split(root, [])
    (root / name).unlink()
    assert "is missing" in [fault.removeprefix(name + ": ") for fault in verify(framekit.manifest.open(root))]


def test_all_that_is_wrong_with_scenes_is_listed(root):
    film = framekit.manifest.open(root).info.sources[0].id
    shots = [
        (film, 0, 0, 10),
        (film, 1, 9, 20),
        (film, 3, 20, 20),
        (film, 3, 30, 40),
        (film, None, 40, 50),
        ("gone-00000000", 0, -1, 5),
        ("gone-00000000", 1, 5, 9),
    ]
    pq.write_table(
        pa.Table.from_pylist([dict(zip(SCENES.names, shot, strict=True)) for shot in shots], SCENES),
        root / "scenes.parquet",
    )
    assert faults(root, "scenes.parquet") == [
        f"{film}: shot 1 begins with frame 9; the earliest free one is 10",
        f"{film}: shot 3 stands where shot 2 belongs",
        f"{film}: shot 3 is empty: from frame 20 up to 20",
        "a row says nothing of scene",
        "gone-00000000: this source is not in dataset.json",
        "gone-00000000: shot 0 begins with frame -1; the earliest free one is 0",
    ]


def test_what_extract_and_split_write_has_no_faults(root):
    split(root, Split(by="scene", test=0.3, seed=0))
    assert (root / "scenes.parquet").exists()
    assert verify(framekit.manifest.open(root)) == []


def test_what_stands_for_a_frame_is_there_and_not_left_out_by_a_rule(root, ids):
    def like(item, other):
        return drop(item, "near-duplicate", by="rule:near-duplicate", because_of=other)

    write_decisions(root, [like(ids[0], ids[3]), drop(ids[3], "logo", by="ada")])
    assert faults(root, "decisions.parquet") == []  # a person may leave it out
    write_decisions(root, [like(ids[0], ids[1]), like(ids[1], "x:1"), drop(ids[3], "flat", by="rule:flat"),
                           like(ids[2], ids[3])])  # fmt: skip
    assert faults(root, "decisions.parquet") == [
        f"{ids[0]}: {ids[1]}, which stands for it, is left out itself by rule:near-duplicate",
        f"{ids[1]}: x:1, which stands for it, is no frame of the dataset",
        f"{ids[2]}: {ids[3]}, which stands for it, is left out itself by rule:flat",
    ]


def test_frames_of_a_shard_that_is_gone_are_not_said_to_be_unknown(root, ids):
    write_split(root, [{"frame_id": id_, "split": "train", "assigned": "train"} for id_ in ids])
    write_decisions(root, [drop(ids[0], "near-duplicate", by="rule:near-duplicate", because_of=ids[1])])
    for folder in ("frames", "pairs"):
        next((root / folder).iterdir()).unlink()
    assert [fault.partition(": ")[2] for fault in verify(framekit.manifest.open(root))] == ["is missing"] * 2


def test_a_shard_that_cannot_be_read_is_named(root):
    path = next((root / "pairs").iterdir())
    path.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(framekit.manifest.ManifestError, match=path.name):
        list(framekit.manifest.open(root))


def test_pictures_stand_plain_in_small_row_groups(root):
    for path in root.glob("pairs/*.parquet"):
        metadata = pq.read_metadata(path)
        for group in range(metadata.num_row_groups):
            columns = {metadata.row_group(group).column(i).path_in_schema: metadata.row_group(group).column(i)
                       for i in range(metadata.num_columns)}  # fmt: skip
            assert columns["image.bytes"].compression == "UNCOMPRESSED"
            assert "RLE_DICTIONARY" not in columns["image.bytes"].encodings
            assert metadata.row_group(group).total_byte_size < 4_000_000
