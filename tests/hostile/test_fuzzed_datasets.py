"""Datasets of strangers: whatever they hold, each thing done with one is done or refused in a line."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framekit.cli import main
from framekit.errors import FramekitError
from framekit.files import sha256_of
from framekit.manifest.decisions import add_from
from framekit.manifest.reading import open_manifest
from tests.hostile import bombs, children
from tests.hostile.spoiling import spoilt
from tests.hostile.uses import (
    USES,
    assert_all_done_or_refused,
    assert_done_or_refused,
    assert_is_a_line,
    copied,
    files_in,
    gone_on_with,
)

WORDS: list[Any] = [
    *(None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**30, 2**63, "", "x", "\x1b[31m\n", "\u202e"),
    *("\ud800", "../x", "nan", "a" * 5000, [], {}, [[]], [None], ["a"], [1, 2, 3, 4], ["x"] * 4, {"a": 1}),
]


def spoil_papers(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    papers = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    change(papers)
    (root / "dataset.json").write_text(json.dumps(papers), encoding="utf-8")


def places_in(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value; of a list the first."""
    inner = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    return [place, *(found for key, part in inner for found in places_in(part, (*place, key)))]


def test_the_sound_dataset_is_refused_nothing(sound, tmp_path):
    assert not assert_all_done_or_refused(copied(sound, tmp_path))


@pytest.mark.parametrize("seed", range(6))
def test_papers_with_another_value_in_a_place_are_taken_or_refused(sound, tmp_path, seed):
    chance = random.Random(seed)
    root = copied(sound, tmp_path)

    def change(papers: dict[str, Any]) -> None:
        for _ in range(3):
            *way, last = chance.choice([place for place in places_in(papers) if place])
            inner: Any = papers
            for key in way:
                inner = inner[key]
            if chance.random() < 0.2:
                del inner[last]
            else:
                inner[last] = chance.choice(WORDS)

    spoil_papers(root, change)
    assert_all_done_or_refused(root)


PAPERS = {
    "nothing": b"",
    "no text": b"\xff\xfe",
    "no JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "a deep nest": b"[" * 200_000,
    "a deep nest of options": b'{"schema_version": 2, "options": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
    "a number of many digits": b'{"schema_version": ' + b"9" * 5_000 + b"}",
    "a version without end": b'{"schema_version": 1e999}',
    "a version of all there is": json.dumps({"schema_version": ["a" * 100_000] * 10}).encode(),
    "controls": b'{"schema_version": "\\u001b[31m\\u202e\\n"}',
}


@pytest.mark.parametrize("name", PAPERS)
def test_papers_that_are_none_are_refused_by_all(sound, tmp_path, name):
    root = copied(sound, tmp_path)
    (root / "dataset.json").write_bytes(PAPERS[name])
    assert assert_all_done_or_refused(root).keys() == USES.keys()


def test_of_keys_that_stand_twice_the_last_counts_and_paths_are_checked(sound, tmp_path):
    root = copied(sound, tmp_path)
    papers = (root / "dataset.json").read_text(encoding="utf-8").rstrip().removesuffix("}")
    outside = json.dumps([{"path": "../frames/a.parquet", "rows": 1, "bytes": 1, "sha256": ""}])
    (root / "dataset.json").write_text(f'{papers}, "shards": [], "shards": {outside}}}', encoding="utf-8")
    with pytest.raises(FramekitError, match="a shard's path must be"):
        open_manifest(root)


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "s3://bucket/frames/a.parquet", "memory://a",
        "frames/../../a.parquet", "frames//etc/a.parquet", "frames/a\0.parquet", "frames/.a.parquet",
        "frames/a.parquet/", "frames/a.parquet\n", "frames\\..\\a.parquet", "pairs/..parquet/a.parquet",
        "frames/%2e%2e/a.parquet", "frames/\u202ea.parquet", "FRAMES/a.parquet", "frames/",
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused_before_anything_is_opened(sound, tmp_path, path):
    root = copied(sound, tmp_path)
    spoil_papers(root, lambda papers: papers["shards"][0].update(path=path))
    refused = assert_all_done_or_refused(root)
    assert refused.keys() == USES.keys()
    assert all("a shard's path must be" in str(error) for error in refused.values())


# --- shards ---


def shards_of(root: Path) -> list[Path]:
    return sorted(root.glob("*/*.parquet"))


def listed_anew(root: Path) -> None:
    """A stranger's papers fit the stranger's files."""

    def change(papers: dict[str, Any]) -> None:
        for shard in papers["shards"]:
            path = root / shard["path"]
            shard.update(bytes=path.stat().st_size, sha256=sha256_of(path))
            try:
                shard["rows"] = pq.read_metadata(path).num_rows
            except (OSError, pa.ArrowException):
                shard["rows"] = 5

    spoil_papers(root, change)


@pytest.mark.parametrize("seed", range(6))
def test_a_spoilt_shard_is_read_or_refused(sound, tmp_path, seed):
    root = copied(sound, tmp_path)
    path = random.Random(seed).choice(shards_of(root))
    path.write_bytes(next(spoilt(path.read_bytes(), path.name, range(seed, seed + 1))))
    if seed % 3:
        listed_anew(root)
    assert_all_done_or_refused(root)


PICTURES = ("image", "smoothed", "thumbnail")
CELLS: dict[pa.DataType, list[Any]] = {
    pa.string(): ["", "\x1b[31m\n", "../../x", "<script>", "\u202e", "x:1#1", "a" * 100_000, None],
    pa.int64(): [-1, 2**63 - 1, -(2**63), None],
    pa.int32(): [-1, 2**31 - 1, -(2**31), 0, None],
    pa.uint64(): [2**64 - 1, None],
    pa.float32(): [float("nan"), float("inf"), -1e38, None],
    pa.float64(): [float("nan"), float("inf"), 1e300, -1.0, 0.0, None],
    pa.binary(): [b"", b"x", bytes(1_000_000), None],
    pa.list_(pa.string()): [[], ["<script>"], [None], ["a"] * 10_000, None],
}
STORED: list[Any] = [
    None,
    {"bytes": None, "path": None},
    {"bytes": b"", "path": "../x"},
    {"bytes": b"no picture" * 10, "path": None},
    {"bytes": bombs.CLAIMS["claims.png"], "path": "/etc/passwd"},
    {"bytes": bombs.CLAIMS["claims.jpg"], "path": "a\0"},
    {"bytes": bombs.flat_png(9_000), "path": "a"},
    {"bytes": bombs.encoded("TIFF"), "path": "a"},
]
KINDS = [
    *(pa.string(), pa.int64(), pa.float64(), pa.binary(), pa.bool_(), pa.null(), pa.list_(pa.int32())),
    *(pa.struct([("bytes", pa.int64())]), pa.struct([("path", pa.string())]), pa.timestamp("us")),
    *(pa.large_string(), pa.large_binary()),
]


def with_cell(table: pa.Table, name: str, value: Any, *, everywhere: bool) -> pa.Table:
    field = table.schema.field(name)
    values = table[name].to_pylist()
    values = [value] * len(values) if everywhere else [value, *values[1:]]
    return table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))


def with_kind(table: pa.Table, name: str, kind: pa.DataType) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, pa.nulls(len(table), kind))


@pytest.mark.parametrize("seed", range(6))
def test_a_shard_with_another_value_or_kind_of_column_is_read_or_refused(sound, tmp_path, seed):
    chance = random.Random(seed)
    root = copied(sound, tmp_path)
    path = chance.choice(shards_of(root))
    table = pq.read_table(path, partitioning=None)
    name = chance.choice(table.column_names)
    values = STORED if name in PICTURES else CELLS[table.schema.field(name).type]
    if chance.random() < 0.6:
        table = with_cell(table, name, chance.choice(values), everywhere=chance.random() < 0.5)
    else:
        table = with_kind(table, name, chance.choice(KINDS))
    pq.write_table(table, path)
    listed_anew(root)
    assert_all_done_or_refused(root)


def of_another_table(root: Path, table: pa.Table) -> pa.Table:
    return pq.read_table(root / "decisions.parquet", partitioning=None)


def first_column_twice(root: Path, table: pa.Table) -> pa.Table:
    return pa.table([*table.columns, table.columns[0]], names=[*table.column_names, table.column_names[0]])


def with_footer(said: bytes) -> Callable[[Path, pa.Table], pa.Table]:
    return lambda root, table: table.replace_schema_metadata(
        {b"framekit": said, b"framekit.lengths": said, b"huggingface": said}
    )


def every(name: str, value: Any) -> Callable[[Path, pa.Table], pa.Table]:
    def change(root: Path, table: pa.Table) -> pa.Table:
        if name not in table.column_names:
            return table
        return with_cell(table, name, value, everywhere=True)

    return change


SHARDS: dict[str, Callable[[Path, pa.Table], pa.Table]] = {
    "another table": of_another_table,
    "no rows": lambda root, table: table.slice(0, 0),
    "no columns": lambda root, table: pa.table({}),
    "rows twice": lambda root, table: pa.concat_tables([table, table]),
    "a column twice": first_column_twice,
    "names of controls": lambda root, table: table.append_column("\x1b[31m\n\u202e", [[1] * len(table)]),
    "a thousand columns": lambda root, table: pa.table({str(n): [1] for n in range(1000)}),
    "a footer of nothing": with_footer(b""),
    "a footer of a list": with_footer(b"[1]"),
    "a footer of odd facts": with_footer(b'{"hash": 3, "decoded": "x", "pairs": [], "uncuttable": 1}'),
    "a footer of a deep nest": with_footer(b"[" * 100_000),
    "a footer of many digits": with_footer(b'{"decoded": ' + b"9" * 5_000 + b"}"),
    "times without end": every("seconds", float("inf")),
    "times before all": every("seconds", -1e300),
    "no ids": every("pair_id", None),
    "no frames": every("frame_id", None),
    "crops outside": every("crop_x", 2**31 - 1),
    "crops before the edge": every("crop_y", -(2**31)),
    "crops of no size": every("crop_size", 0),
    "crops of all sizes": every("crop_size", 2**31 - 1),
    "an absurd scale": every("scale", 1e300),
    "a scale below nothing": every("scale", -1.0),
    "frames of no size": every("width", 0),
    "frames without end": every("height", 2**31 - 1),
    "sources of all there is": every("source", "a" * 100_000),
    "no sources": every("source", None),
    "short signatures": every("signature", b"x"),
    "tags without end": every("tags", "[" * 100_000),
    "tags of many digits": every("tags", '{"a": ' + "9" * 5_000 + "}"),
    "content of markup": every("content", ["<script>"]),
    "bombs": every("image", STORED[4]),
    "large bombs": every("image", STORED[6]),
    "bombs for thumbnails": every("thumbnail", STORED[6]),
    "half a picture": every("image", STORED[1]),
    "half a smoothed picture": every("smoothed", STORED[1]),
}


@pytest.mark.parametrize("name", SHARDS)
def test_a_hostile_shard_is_read_or_refused(sound, tmp_path, name):
    root = copied(sound, tmp_path)
    for path in shards_of(root):
        pq.write_table(SHARDS[name](root, pq.read_table(path, partitioning=None)), path)
    listed_anew(root)
    assert_all_done_or_refused(root)


@pytest.mark.parametrize("rows", [0, 1, 1_000, 2**62])
def test_a_count_of_rows_that_lies_is_refused_by_all_that_read_rows(sound, tmp_path, rows):
    root = copied(sound, tmp_path)
    spoil_papers(root, lambda papers: [shard.update(rows=rows) for shard in papers["shards"]])
    assert assert_all_done_or_refused(root).keys() >= {"read", "review", "dedup", "split"}


@pytest.mark.parametrize("name", [name for name in SHARDS if "footer" in name or "row" in name])
def test_a_hostile_dataset_is_gone_on_with_or_refused(sound, tmp_path, name):
    root = copied(sound, tmp_path)
    for path in shards_of(root):
        pq.write_table(SHARDS[name](root, pq.read_table(path, partitioning=None)), path)
    listed_anew(root)
    assert_done_or_refused(gone_on_with, root)


@pytest.mark.parametrize("word", [None, "x", [], -1, float("nan"), 2**63], ids=str)
def test_facts_of_other_kinds_are_no_facts(sound, tmp_path, word):
    root = copied(sound, tmp_path)
    named = ("stated_frames", "frames", "seconds", "telecine", "decoder", "decoding", "letterbox", "overlay")
    spoil_papers(root, lambda papers: papers["sources"][0].update(facts=dict.fromkeys(named, word)))
    spoil_papers(root, lambda papers: papers["options"].update(leave_out=["crop.overlay>0.5"]))
    for how in (gone_on_with, USES["dedup"], USES["audit"]):
        assert_done_or_refused(how, root)


def test_the_card_of_a_stranger_s_dataset_is_text(sound, tmp_path):
    root = copied(sound, tmp_path)
    markup = "<script>\ud800\u202e\n# "
    spoil_papers(root, lambda papers: papers.update(framekit_version=markup, totals={}))
    spoil_papers(root, lambda papers: papers["options"].update(crop_size=markup, style=markup))
    USES["dedup"](root)
    text = (root / "README.md").read_text(encoding="utf-8")
    assert "<script" not in text.partition("```")[0] and "\u202e" not in text


# --- tables beside the shards ---


@pytest.mark.parametrize("name", ["decisions.parquet", "split.parquet", "scenes.parquet"])
@pytest.mark.parametrize("seed", range(2))
def test_a_spoilt_table_is_read_or_refused(sound, tmp_path, name, seed):
    root = copied(sound, tmp_path)
    USES["split"](root)
    if not (root / name).exists():
        pq.write_table(pa.table({"source": ["a"], "scene": [0], "start": [0], "stop": [1]}), root / name)
    data = (root / name).read_bytes()
    (root / name).write_bytes(next(spoilt(data, name, range(seed, seed + 1))))
    assert_all_done_or_refused(root)


DECISIONS: dict[str, dict[str, Any]] = {
    "of unknown frames": {"item": ["x:1"], "keep": [False], "reason": ["no"], "by": ["ada"]},
    "of no rule": {"item": ["film:0"], "keep": [False], "reason": [None], "by": ["rule:"]},
    "of markup and controls": {
        "item": ["\x1b[31m"],
        "keep": [True],
        "reason": ["<script>\u202e"],
        "by": ["\n"],
    },
    "of all there is": {
        "item": ["a" * 100_000] * 50,
        "keep": [False] * 50,
        "reason": ["r"] * 50,
        "by": ["b"] * 50,
    },
    "of no item": {"item": [None], "keep": [False], "reason": ["no"], "by": ["ada"]},
    "of another kind": {"item": [1], "keep": ["x"], "reason": [2.5], "by": [b"\xff"]},
}


@pytest.mark.parametrize("name", DECISIONS)
def test_hostile_decisions_are_read_or_refused(sound, tmp_path, name):
    root = copied(sound, tmp_path)
    rows = len(DECISIONS[name]["item"])
    table = pa.table(
        DECISIONS[name] | {"because_of": ["\x1b"] * rows, "at": pa.nulls(rows, pa.timestamp("us"))}
    )
    pq.write_table(table, root / "decisions.parquet")
    assert_all_done_or_refused(root)
    sound_too = copied(sound, tmp_path / "sound")
    with pytest.raises(FramekitError) as error:
        add_from(sound_too, root / "decisions.parquet")
        raise FramekitError("nothing to refuse")
    assert_is_a_line(str(error.value))


# --- links ---


def test_a_folder_that_leads_to_itself_is_no_dataset(tmp_path):
    (tmp_path / "dataset").symlink_to(tmp_path / "dataset")
    for name, how in USES.items():
        with pytest.raises((FramekitError, OSError)) as error:
            how(tmp_path / "dataset")
        assert name and str(error.value)
    for words in (["audit"], ["verify"], ["compact"], ["dedup"], ["review"]):
        ended = children.run_here(main, *words, tmp_path / "dataset", codes=[1, 2])
        assert ended.stderr.count("\n") == 1


def test_what_a_dataset_links_to_outside_is_never_written(sound, tmp_path):
    """A link in a stranger's folder may stand for one's own file."""
    root, mine = copied(sound, tmp_path), tmp_path / "mine"
    mine.mkdir()
    names = [path.relative_to(root) for path in files_in(root)]
    locks = ("extract.lock", "dataset.json.lock", "decisions.parquet.lock")
    names += [Path(name) for name in ("split.parquet", *locks)]
    for name in dict.fromkeys(names):
        own = mine / name.name
        if (root / name).exists():
            shutil.copy(root / name, own)
        else:
            own.write_text("precious")
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(own)
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    assert_all_done_or_refused(root)
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before
