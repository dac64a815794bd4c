"""What others read of a dataset, of a manifest and of an export for the hub, by their own tools."""

import duckdb
import numpy as np
import pandas
import polars
import pyarrow.parquet as pq
import pytest
import yaml

import framekit.manifest
from framekit.extraction.extract import extract
from framekit.images.encoding import decode
from framekit.manifest import decide
from framekit.manifest.exporting import ExportOptions, export
from framekit.manifest.schema import PAIRS
from framekit.options import ExtractOptions
from tests.films import numbered_film
from tests.framekit.manifest.datasets import SOURCES, dataset, noise, speckled

HEIDI, PONYO = SOURCES
SIDE = 128
VIEWER_ROWS = 100
"""Rows of a page of the hub's dataset viewer."""
VIEWER_BYTES = 300_000_000
"""What the viewer reads for a page at most: "Scan size limit exceeded: … limit is 300000000 bytes"."""
SHARD_BYTES = 500_000_000
LEFT_OUT = {f"{HEIDI}:0#0", f"{HEIDI}:0#1", f"{PONYO}:2#1"}
SIDES = {f"{source}:{number}": "test" if number in (1, 4) else "train"
         for source in SOURCES for number in range(6)}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """6 frames a source, 2 pairs a frame; three pairs are left out, and it is split."""
    root = speckled(tmp_path_factory.mktemp("formats") / "cartoons", 6, side=SIDE, sides=SIDES)
    decide(root, [f"{HEIDI}:0", f"{PONYO}:2#1"], keep=False, reason="logo", by="ada")
    return root


@pytest.fixture(scope="module")
def hub(root):
    """Its export for the hub."""
    export(root, root.parent / "hub", ExportOptions(format="hf", shard_rows=5))
    return root.parent / "hub"


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    return datasets


def of_side(root, side):
    """Rows that a reader of an export has to find, in order, without pictures."""
    rows = framekit.manifest.open(root).pairs().to_pylist()
    return [row for row in rows if SIDES[row["frame_id"]] == side]


def plain(row):
    return {name: value for name, value in row.items() if name not in ("image", "smoothed")}


def is_noise(row):
    """Whether a row's encoded pictures are those of its pair."""
    id_ = row["pair_id"]
    return np.array_equal(decode(row["image"]["bytes"]), noise(id_, SIDE)) and np.array_equal(
        decode(row["smoothed"]["bytes"]), noise(id_ + "s", SIDE)
    )


# The export for the hub: what is in, each side apart.


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_reads_an_export(root, hub, datasets, streaming):
    loaded = datasets.load_dataset(str(hub), streaming=streaming)
    assert set(loaded) == {"train", "test"}
    for side, rows in loaded.items():
        found = list(rows)
        assert isinstance(rows.features["image"], datasets.Image)
        assert [plain(row) for row in found] == of_side(root, side)
        for row in found:
            assert np.array_equal(np.array(row["image"]), noise(row["pair_id"], SIDE))
            assert np.array_equal(np.array(row["smoothed"]), noise(row["pair_id"] + "s", SIDE))


def test_an_export_s_card_tells_what_datasets_would_tell(hub, datasets):
    card = yaml.safe_load((hub / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    loaded = datasets.load_dataset(str(hub), streaming=True)["train"]
    features = datasets.Features.from_arrow_schema(PAIRS)
    assert loaded.features == features
    assert card["dataset_info"]["features"] == features._to_yaml_list()
    counts = {split["name"]: split["num_examples"] for split in card["dataset_info"]["splits"]}
    assert counts == {"train": 13, "test": 8}


def test_pandas_reads_an_export(root, hub):
    for side in ("train", "test"):
        frame = pandas.concat(map(pandas.read_parquet, sorted(hub.glob(f"data/{side}-*.parquet"))))
        assert frame["pair_id"].tolist() == [row["pair_id"] for row in of_side(root, side)]
        assert all(is_noise(row) for row in frame.to_dict("records"))


def test_polars_reads_an_export(root, hub):
    for side in ("train", "test"):
        frame = polars.scan_parquet(hub / f"data/{side}-*.parquet").collect()
        assert [plain(row) for row in frame.to_dicts()] == of_side(root, side)
        assert all(is_noise(row) for row in frame.to_dicts())


def test_duckdb_reads_an_export(root, hub):
    table = duckdb.read_parquet(f"{hub}/data/test-*.parquet")
    assert table.aggregate("count(*), max(seconds)").fetchall() == [(8, 4 / 3)]
    rows = table.order("pair_id").project("pair_id, image, smoothed").to_arrow_table().to_pylist()
    assert [row["pair_id"] for row in rows] == sorted(row["pair_id"] for row in of_side(root, "test"))
    assert all(is_noise(row) for row in rows)


def test_shards_have_the_hub_s_names(hub):
    names = sorted(path.name for path in (hub / "data").iterdir())
    assert names == [f"test-{number:05}-of-00002.parquet" for number in range(2)] + [
        f"train-{number:05}-of-00003.parquet" for number in range(3)
    ]
    assert sorted(path.name for path in hub.iterdir()) == ["README.md", "data", "export.json"]


# The dataset itself: all that was cut, and decisions beside it.


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_reads_a_dataset(root, datasets, streaming):
    pairs = datasets.load_dataset(str(root), "pairs", split="train", streaming=streaming)
    found = list(pairs)
    assert len(found) == 24
    assert {row["pair_id"] for row in found} > LEFT_OUT
    for row in found:
        assert np.array_equal(np.array(row["image"]), noise(row["pair_id"], SIDE))
    frames = datasets.load_dataset(str(root), "frames", split="train", streaming=streaming)
    assert len(list(frames)) == 12


@pytest.mark.parametrize("smooth", [True, False])
def test_datasets_reads_what_was_extracted(tmp_path, datasets, smooth):
    numbered_film(tmp_path / "film.mp4", 40)
    options = ExtractOptions(every=10, crop_size=64, smooth=smooth)
    extract([str(tmp_path / "film.mp4")], tmp_path / "cartoons", options, workers=1)
    pairs = datasets.load_dataset(str(tmp_path / "cartoons"))["train"]
    assert len(pairs) == 16
    assert pairs[0]["image"].size == (64, 64)
    fifth = framekit.manifest.open(tmp_path / "cartoons")[5].image
    assert np.array_equal(np.array(pairs[5]["image"]), fifth)
    assert (pairs[0]["smoothed"].size == (64, 64)) if smooth else (pairs[0]["smoothed"] is None)
    frames = datasets.load_dataset(str(tmp_path / "cartoons"), "frames")["train"]
    assert frames[0]["thumbnail"].size == (256, 192)


def test_pandas_reads_a_dataset(root):
    frame = pandas.read_parquet(root / "pairs")
    assert len(frame) == 24 and all(is_noise(row) for row in frame.to_dict("records"))
    assert len(pandas.read_parquet(root / "frames", columns=["frame_id", "brightness"])) == 12


def test_polars_reads_a_dataset_and_its_decisions(root):
    pairs = polars.scan_parquet(root / "pairs/*.parquet")
    out = polars.scan_parquet(root / "decisions.parquet").filter(~polars.col("keep"))
    kept = pairs.join(out, left_on="pair_id", right_on="item", how="anti")
    kept = kept.join(out, left_on="frame_id", right_on="item", how="anti").collect()
    assert set(kept["pair_id"]) == {
        row["pair_id"] for row in framekit.manifest.open(root).pairs().to_pylist()
    }
    assert all(is_noise(row) for row in kept.to_dicts())


def test_duckdb_reads_a_dataset_and_its_decisions(root):
    query = f"""select pair_id, image, smoothed from '{root}/pairs/*.parquet' where not exists
        (from '{root}/decisions.parquet' where not keep and item in (pair_id, frame_id))"""
    kept = duckdb.sql(query).to_arrow_table().to_pylist()
    known = framekit.manifest.open(root).pairs()["pair_id"].to_pylist()
    assert {row["pair_id"] for row in kept} == set(known)
    assert all(is_noise(row) for row in kept)


# What a manifest gives, filtered by decisions.


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """20 frames a source, 2 pairs a frame; frame 3 of the first is left out."""
    root = dataset(tmp_path_factory.mktemp("reading") / "dataset", 20)
    decide(root, [f"{HEIDI}:3"], keep=False, reason="logo", by="ada")
    return framekit.manifest.open(root)


def test_pandas_takes_tables(manifest):
    table = manifest.frames(["source", "brightness"]).to_pandas()
    assert table.groupby("source")["brightness"].mean().to_dict() == {HEIDI: 9.5, PONYO: 9.5}


def test_polars_takes_tables_and_batches(manifest):
    frames = polars.from_arrow(manifest.frames(["frame_id", "brightness"]))
    pairs = polars.from_arrow(manifest.batches(["frame_id", "image"], size=5))
    assert len(pairs) == 78
    dark = pairs.join(frames, on="frame_id").filter(polars.col("brightness") < 6)
    assert (len(dark), dark["brightness"].max()) == (22, 5.0)


def test_duckdb_takes_tables_and_batches(manifest):
    frames = duckdb.from_arrow(manifest.frames(["frame_id", "brightness"])).set_alias("frames")
    pairs = duckdb.from_arrow(manifest.batches(["frame_id"], size=5)).set_alias("pairs")
    dark = pairs.join(frames, "frame_id").filter("brightness < 6")
    assert dark.aggregate("count(*), max(brightness)").fetchall() == [(22, 5.0)]
    assert duckdb.from_arrow(manifest.batches(["image"], size=5)).count("image").fetchall() == [(78,)]


# The viewer's limits.


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Pairs that are larger than a row group should be, and many small ones."""
    root = tmp_path_factory.mktemp("large")
    speckled(root / "large", 2, side=900, sources=(HEIDI,))
    speckled(root / "small", 150, side=SIDE, sources=(HEIDI,))
    for name in ("large", "small"):
        export(root / name, root / f"hub-{name}", ExportOptions(format="hf"))
    return root


@pytest.mark.parametrize("name", ["large", "small"])
def test_the_viewer_s_limits_are_kept(large, name):
    """What the viewer reads at least is a row group; those that a page's rows lie in must fit its limit."""
    shards = [*(large / name).glob("pairs/*.parquet"), *(large / f"hub-{name}").glob("data/*.parquet")]
    assert len(shards) == 2
    for path in shards:
        metadata = pq.read_metadata(path)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        assert all(group.total_byte_size < 3_000_000 or group.num_rows == 1 for group in groups)
        for first in range(len(groups)):
            page, rows = 0, 0
            for group in groups[first:]:
                page, rows = page + group.total_byte_size, rows + group.num_rows
                if rows >= VIEWER_ROWS + group.num_rows:
                    break
            assert page < VIEWER_BYTES
        assert path.stat().st_size < SHARD_BYTES


def test_pictures_stand_plain(large):
    for path in large.glob("*/*/*.parquet"):
        if path.parent.name == "frames":
            continue
        metadata = pq.read_metadata(path)
        leaves = {metadata.schema.column(number).path: number for number in range(metadata.num_columns)}
        for group in range(metadata.num_row_groups):
            for leaf in ("image.bytes", "smoothed.bytes"):
                column = metadata.row_group(group).column(leaves[leaf])
                assert column.compression == "UNCOMPRESSED"
                assert "RLE_DICTIONARY" not in column.encodings
