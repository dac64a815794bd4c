import json
import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest

import framekit.manifest
from framekit.extraction.extract import extract
from framekit.manifest.decisions import drop
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
    assert len(faults) == 2
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
    assert verify(manifest) == [
        f"pairs/{path.name}: {rows[2]['pair_id']}: smoothed is not the crop with its edges smoothed"
    ]


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


@pytest.mark.parametrize("smooth", [True, False])
def test_hugging_face_datasets_shows_pictures_in_both_columns(root, tmp_path, smooth, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    if not smooth:
        root = tmp_path / "photos"
        options = ExtractOptions(every=10, crop_size=64, smooth=False)
        extract([str(tmp_path / "film.mp4")], root, options, workers=1)
    pairs = datasets.load_dataset(str(root), cache_dir=str(tmp_path / "cache"))["train"]
    assert len(pairs) == 16
    assert pairs[0]["image"].size == (64, 64)
    assert np.array_equal(np.array(pairs[5]["image"]), framekit.manifest.open(root)[5].image)
    assert (pairs[0]["smoothed"].size == (64, 64)) if smooth else (pairs[0]["smoothed"] is None)
    frames = datasets.load_dataset(str(root), "frames", cache_dir=str(tmp_path / "cache"))["train"]
    assert frames[0]["thumbnail"].size == (256, 192)
