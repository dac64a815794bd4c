"""Every fault is made by hand on a small dataset, and found; so are all of them at once."""

import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import framekit.manifest
from framekit.cli import main
from framekit.extraction.extract import extract
from framekit.extraction.settling import split
from framekit.files import sha256_of
from framekit.images.edges import smooth_edges
from framekit.images.encoding import decode, encode
from framekit.manifest.decisions import decide, drop, history
from framekit.manifest.digesting import digest
from framekit.manifest.schema import FRAMES, PAIRS, Split
from framekit.manifest.verifying import THREADS, verify
from framekit.manifest.writing import ROW_GROUP_BYTES, ShardWriter, write_decisions
from framekit.options import ExtractOptions
from tests.films import numbered_film
from tests.framekit.manifest.datasets import speckled

SIDE = 48


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset of two films, two frames and four pairs each."""
    folder = tmp_path_factory.mktemp("made")
    for seed, name in enumerate(("one.mp4", "two.mkv")):
        numbered_film(folder / name, 12, seed=seed)
    options = ExtractOptions(every=6, crop_size=SIDE, crops_per_frame=2, style="dots")
    films = [str(folder / name) for name in ("one.mp4", "two.mkv")]
    extract(films, folder / "set", options, workers=1)
    return folder / "set"


@pytest.fixture
def root(made, tmp_path):
    shutil.copytree(made, tmp_path / "set")
    return tmp_path / "set"


def found(root: Path) -> list[str]:
    return verify(framekit.manifest.open(root))


def ran(root: Path, *flags: str):
    """Exit code, and what `verify --json` says."""
    done = CliRunner(catch_exceptions=False).invoke(main, ["verify", str(root), "--json", *flags])
    return done.exit_code, json.loads(done.stdout)


def shards(root: Path, table: str) -> list[Path]:
    return sorted((root / table).glob("*.parquet"))


def edit_papers(root: Path, change) -> None:
    path = root / "dataset.json"
    papers = json.loads(path.read_text())
    change(papers)
    path.write_text(json.dumps(papers))


def rewrite(path: Path, change, *, schema: pa.Schema | None = None) -> list[dict]:
    """Write a shard anew with changed rows, and put down sum and size as if it had been made so."""
    rows = pq.read_table(path).to_pylist()
    rows = change(rows) or rows
    with ShardWriter(path, schema or (PAIRS if path.parent.name == "pairs" else FRAMES)) as writer:
        for row in rows:
            writer.add(row)
        writer.close({})

    def list_anew(papers):
        for shard in papers["shards"]:
            if shard["path"] == f"{path.parent.name}/{path.name}":
                shard |= {"rows": len(rows), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
        papers["totals"]["bytes"] = sum(shard["bytes"] for shard in papers["shards"])

    edit_papers(path.parent.parent, list_anew)
    return rows


def with_row(root: Path, table: str, **columns) -> tuple[str, str]:
    """Change columns of the second row of a table's first shard; its file and its id."""
    path = shards(root, table)[0]
    rows = rewrite(path, lambda rows: rows[1].update(columns))
    name = "pair_id" if table == "pairs" else "frame_id"
    return f"{table}/{path.name}", rows[1][name]


def test_a_dataset_as_extract_made_it_has_no_faults(root):
    code, said = ran(root)
    assert (code, said["faults"], said["frames"], said["pairs"], said["compared"]) == (0, [], 4, 8, None)
    done = CliRunner().invoke(main, ["verify", str(root)])
    assert done.stdout == f"no faults in 4 frames and 8 stored pairs\ndigest  {said['digest']}\n"


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"crop_x": 320 - SIDE + 1, "crop_y": 0}, "lies outside its frame of 320×240"),
        (
            {"crop_x": 0, "crop_y": -1},
            f"its crop of {SIDE}×{SIDE} at (0, -1) lies outside its frame of 320×240",
        ),
        ({"crop_y": None}, "says nothing of crop_y"),
        ({"crop_size": 16}, f"its crop_size is 16, that of the dataset {SIDE}"),
        ({"seed": 7}, "its seed is 7, that of the dataset 0"),
        ({"style": "lines"}, "its style is lines, that of the dataset dots"),
        ({"crop_index": 2}, "its crop index is 2; a frame has 2 crops at most"),
        ({"scale": 0.5}, "its scale is 0.5, where --frame-height makes it 1.0"),
        ({"fingerprint": "0" * 32}, f"its fingerprint is {'0' * 32}, that of its source "),
        ({"hash": 5}, "its hash is 5, that of its frame "),
        ({"pts": -3}, "its pts is -3, that of its frame 0"),
        ({"seconds": 0.5}, "its seconds is 0.5, that of its frame 0.0"),
        ({"frame_number": 3}, "its source and its frame number make the frame "),
        ({"pair_id": "one"}, "its frame and its crop index make "),
        ({"frame_id": "one:7"}, "its frame one:7 has no row"),
        ({"image": None}, "image is no picture"),
        ({"image": {"bytes": b"\x89PNG nothing", "path": "a.png"}}, "image is no picture"),
        ({"smoothed": None}, "smoothed is no picture"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_row_of_pairs_that_is_wrong_is_found(root, columns, fault):
    path, id_ = with_row(root, "pairs", **columns)
    faults = found(root)
    assert any(line.startswith(f"{path}: {id_}: ") and fault in line for line in faults), faults
    assert all(line.startswith(f"{path}: {id_}: ") for line in faults)


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"thumbnail": None}, "thumbnail is no picture"),
        ({"thumbnail": {"bytes": b"\xff\xd8\xff", "path": "a.jpg"}}, "thumbnail is no picture"),
        ({"signature": b"123"}, "its signature has 3 bytes, not 432"),
        ({"sharpness": None, "signature": None}, "says nothing of signature, sharpness"),
        ({"fingerprint": "f" * 32}, f"its fingerprint is {'f' * 32}, that of its source "),
        ({"width": 0}, "its width is 0"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_row_of_frames_that_is_wrong_is_found(root, columns, fault):
    path, id_ = with_row(root, "frames", **columns)
    (line,) = found(root)
    assert line.startswith(f"{path}: {id_}: {fault}")


def test_a_picture_of_another_size_is_found(root):
    small = {"bytes": encode(np.zeros((16, 20, 3), np.uint8)), "path": "a.png"}
    path, id_ = with_row(root, "pairs", image=small, smoothed=small)
    assert found(root) == [
        f"{path}: {id_}: {name} is 20×16, not {SIDE}×{SIDE}" for name in ("image", "smoothed")
    ]


@pytest.mark.parametrize(("away", "faults"), [(1, 0), (2, 1)])
def test_a_smoothed_half_is_smoothing_its_crop_to_a_level(root, away, faults):
    path = shards(root, "pairs")[0]
    image = pq.read_table(path)["image"][1].as_py()
    half = smooth_edges(decode(image["bytes"]))
    half[5, 7] = np.where(half[5, 7] > 99, half[5, 7] - away, half[5, 7] + away)
    with_row(root, "pairs", smoothed={"bytes": encode(half), "path": "a.png"})
    assert len(found(root)) == faults


@pytest.mark.parametrize("encoding", ["jpeg:90", "jpeg:20", "webp:80"])
def test_a_smoothed_half_of_another_crop_is_found_in_lossy_datasets_too(made, tmp_path, encoding):
    options = ExtractOptions(every=6, crop_size=SIDE, encoding=encoding)
    out = extract([str(made.parent / "one.mp4")], tmp_path / "set", options, workers=1).root
    assert found(out) == []
    path = shards(out, "pairs")[0]
    others = [row["smoothed"] for row in pq.read_table(path).to_pylist()]
    with_row(out, "pairs", smoothed=others[-1])
    (line,) = found(out)
    assert line.endswith("smoothed is not the crop with its edges smoothed")


def test_a_smoothed_half_where_none_was_asked_for_is_found(root):
    edit_papers(root, lambda papers: papers["options"].update(smooth=False))
    assert len([line for line in found(root) if line.endswith("made with --no-smooth")]) == 8


def test_ids_that_stand_there_twice_are_found(root):
    path = shards(root, "pairs")[0]
    rows = rewrite(path, lambda rows: [rows[0], rows[0], *rows[2:]])
    assert found(root) == [f"{rows[0]['pair_id']}: 2 rows have this id"]
    frames = shards(root, "frames")[0]
    rows = rewrite(frames, lambda rows: [rows[0], rows[1], rows[1]])
    assert f"{rows[1]['frame_id']}: 2 rows have this id" in found(root)


def test_totals_that_do_not_add_up_are_found(root):
    def change(papers):
        papers["totals"] |= {"frames_sampled": 5, "frames_kept": 9, "pairs": 7, "bytes": 1}

    size = json.loads((root / "dataset.json").read_text())["totals"]["bytes"]
    edit_papers(root, change)
    assert found(root) == [
        "dataset.json: totals: 5 frames_sampled, where the shards have 4 rows",
        "dataset.json: totals: 9 frames_kept, of 4",
        "dataset.json: totals: 7 pairs and 0 pairs_left_out, where the shards have 8 rows",
        f"dataset.json: totals: 1 bytes, where the shards have {size}",
    ]


def test_what_a_person_decided_since_is_no_fault(root):
    frame = framekit.manifest.open(root).frames(["frame_id"])["frame_id"][0].as_py()
    decide(root, [frame], keep=False, reason="logo", by="ada")
    assert found(root) == []


def test_a_source_without_shards_and_shards_without_a_source_are_found(root):
    def change(papers):
        other = papers["sources"][0] | {"id": "gone-00000000"}
        papers |= {"sources": [papers["sources"][1], papers["sources"][1], other], "finished": True}

    one, two = (source.id for source in framekit.manifest.open(root).info.sources)
    edit_papers(root, change)
    assert found(root) == [
        *(f"{table}/{one}-00000-of-00001.parquet: the source {one} of its rows is not in dataset.json"
          for table in ("frames", "pairs")),
        f"dataset.json: sources: {two} stands there 2 times",
        "dataset.json: sources: gone-00000000 has no shard",
    ]  # fmt: skip
    edit_papers(root, lambda papers: papers.update(finished=False))
    assert not any("has no shard" in line for line in found(root))


def test_options_that_no_extraction_takes_are_found(root):
    edit_papers(root, lambda papers: papers["options"].update(every=0, colour="red"))
    code, said = ran(root)
    (line,) = said["faults"]
    assert code == 1
    assert line.startswith("dataset.json: options: ")
    assert "every: must be greater than or equal to 1" in line
    assert "colour: unknown option" in line
    assert len(ran(root, "--against-films")[1]["faults"]) == 2


@pytest.mark.parametrize("value", ["four", None, [], 1.5])
def test_options_of_another_kind_break_nothing(root, value):
    keys = ("crops_per_frame", "frame_height", "crop_size", "seed", "smooth", "encoding", "style")
    edit_papers(root, lambda papers: papers["options"].update(dict.fromkeys(keys, value)))
    assert any(line.startswith("dataset.json: options: ") for line in ran(root)[1]["faults"])


def test_other_rows_and_other_columns_than_the_papers_say_are_found(root):
    path, other = shards(root, "pairs")
    edit_papers(root, lambda papers: papers["shards"][-1].update(rows=9))
    rewrite(path, lambda rows: None, schema=PAIRS.remove(PAIRS.get_field_index("group")))
    assert found(root)[:2] == [
        f"pairs/{path.name}: has other columns than this schema version",
        f"pairs/{other.name}: 4 rows, not 9",
    ]


def test_a_shard_that_nobody_lists_is_found(root):
    shutil.copy(shards(root, "pairs")[0], root / "pairs/zzz.parquet")
    assert found(root) == ["pairs/zzz.parquet: is not listed in dataset.json"]


def test_the_pair_that_damage_hit_is_named_and_no_other(root):
    path = shards(root, "pairs")[0]
    row = pq.read_table(path).to_pylist()[2]
    data = path.read_bytes()
    at = data.index(row["image"]["bytes"])
    path.write_bytes(data[: at + 60] + bytes(8) + data[at + 68 :])
    first, *others = found(root)
    assert first == f"pairs/{path.name}: has other bytes than were written"
    assert others
    assert all(line.startswith(f"pairs/{path.name}: {row['pair_id']}: ") for line in others)


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8, 0.97, 0.999])
def test_damage_anywhere_in_a_shard_hides_nothing_of_the_others(root, place):
    path, other = shards(root, "pairs")
    data = bytearray(path.read_bytes())
    at = int(len(data) * place)
    data[at : at + 40] = bytes(255 - byte for byte in data[at : at + 40])
    path.write_bytes(data)
    rewrite(other, lambda rows: rows[3].update(seed=9))
    faults = found(root)
    assert f"pairs/{path.name}: has other bytes than were written" in faults
    last = pq.read_table(other)["pair_id"][3].as_py()
    assert f"pairs/{other.name}: {last}: its seed is 9, that of the dataset 0" in faults
    assert all("\n" not in line for line in faults)


def test_a_shard_cut_short_or_gone_says_nothing_false_of_its_rows(root):
    split(root, Split(by="film", test=0.5, seed=0))
    frames = shards(root, "frames")
    write_decisions(root, [drop(f"{path.name[:12]}:0", "logo", by="ada") for path in frames])
    frames[0].write_bytes(frames[0].read_bytes()[:1000])
    frames[1].unlink()
    first, second, third = (line.partition(": ")[2] for line in found(root) if "frames/" in line)
    assert first == "has other bytes than were written"
    assert second.startswith("cannot be read (")
    assert third == "is missing"
    assert not any("has no row" in line for line in found(root))


def test_all_faults_are_found_at_once_and_escaped_in_the_same_order_each_time(root):
    path, other = shards(root, "pairs")
    rewrite(path, lambda rows: rows[0].update(source="a\nb\x1b[31m", image=None))
    rewrite(other, lambda rows: [row.update(seed=row["crop_index"] + 1) for row in rows] and None)
    edit_papers(root, lambda papers: papers["totals"].update(pairs=0))
    (root / "decisions.parquet").write_bytes(b"nothing")
    faults = found(root)
    assert len(faults) == 9
    assert [line.split(": ")[-1] for line in faults if "its seed" in line] == [
        f"its seed is {index + 1}, that of the dataset 0" for index in (0, 1, 0, 1)
    ]
    assert all(line.isprintable() for line in faults)
    assert any("a\\nb\\x1b[31m" in line for line in faults)
    assert faults == found(root)


@pytest.mark.parametrize(
    ("papers", "code", "words"),
    [
        (None, 2, "no dataset here"),
        ("{", 1, "damaged"),
        ('{"schema_version": 99}', 1, "schema version 99"),
        ('{"schema_version": 2}', 1, "is missing"),
    ],
)
def test_papers_that_cannot_be_read_are_one_line(tmp_path, papers, code, words):
    if papers is not None:
        (tmp_path / "dataset.json").write_text(papers)
    done = CliRunner().invoke(main, ["verify", str(tmp_path)])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert words in done.stderr


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Of pictures no more is held than what is under way."""
    root = speckled(tmp_path / "set", frames=150, side=192, sources=("noise-0000000a",))
    assert sum(path.stat().st_size for path in shards(root, "pairs")) > 30 * ROW_GROUP_BYTES
    tracemalloc.start()
    try:
        verify(framekit.manifest.open(root))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * THREADS * ROW_GROUP_BYTES


# The digest


def test_equal_content_has_an_equal_digest(made, tmp_path):
    options = ExtractOptions(every=6, crop_size=SIDE, crops_per_frame=2, style="dots")
    films = [str(made.parent / name) for name in ("two.mkv", "one.mp4")]
    extract(films, tmp_path / "again", options, workers=2)
    assert digest(tmp_path / "again") == digest(made)
    assert ran(made)[1]["digest"] == digest(made)


def test_times_costs_and_the_order_of_rows_are_left_out_of_the_digest(root):
    ids = framekit.manifest.open(root).frames(["frame_id"])["frame_id"].to_pylist()
    split(root, Split(by="scene", test=0.3, seed=0))
    for id_ in ids[:2]:
        decide(root, [id_], keep=False, reason="logo", by="ada")
    before = digest(root)
    words = [word._asdict() for word in history(root)]
    write_decisions(root, [word | {"at": None} for word in reversed(words)])
    for name in ("split.parquet", "scenes.parquet"):
        table = pq.read_table(root / name)
        pq.write_table(table.take(list(reversed(range(table.num_rows)))), root / name, compression="none")
    edit_papers(root, lambda papers: papers.update(spent={"decode": 12.5}))
    (root / "README.md").write_text("anything")
    assert digest(root) == before


def repainted(root):
    path = shards(root, "pairs")[0]
    image = decode(pq.read_table(path)["image"][1].as_py()["bytes"])
    image[3, 4, 1] ^= 1
    with_row(root, "pairs", image={"bytes": encode(image), "path": "a.png"})


def overruled(root):
    item = framekit.manifest.open(root).frames(["frame_id"])["frame_id"][1].as_py()
    words = [drop(item, "logo", by="ada"), drop(item, "logo", by="ada") | {"keep": True}]
    write_decisions(root, words)
    before = digest(root)
    write_decisions(root, words[::-1])
    assert digest(root) != before


@pytest.mark.parametrize(
    "change",
    [
        repainted,
        overruled,
        lambda root: with_row(root, "frames", reason="flat"),
        lambda root: edit_papers(root, lambda papers: papers["options"].update(seed=1)),
        lambda root: edit_papers(root, lambda papers: papers.update(finished=not papers["finished"])),
        lambda root: split(root, Split(by="film", test=0.5, seed=0)),
        lambda root: (root / "decisions.parquet").unlink(),
        lambda root: (root / "decisions.parquet").write_bytes(b"nothing"),
        lambda root: (root / "split.parquet").write_bytes(b"nothing"),
        lambda root: shards(root, "pairs")[0].unlink(),
        lambda root: shutil.copy(shards(root, "pairs")[0], root / "pairs/zzz.parquet"),
    ],
)
def test_any_change_of_content_changes_the_digest(made, root, change):
    assert digest(root) == digest(made)
    change(root)
    assert digest(root) != digest(made)
    assert ran(root)[1]["digest"] == digest(root)
    assert len(digest(root)) == 64
