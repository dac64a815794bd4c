import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset
from click.testing import CliRunner

import framekit.manifest
from framekit.cli import main
from framekit.errors import CommandError, FramekitError
from framekit.images.encoding import decode
from framekit.manifest import ManifestError, decide
from framekit.manifest.card import export_card
from framekit.manifest.exporting import ExportOptions, export
from framekit.manifest.layouts import key_of
from framekit.manifest.schema import PAIRS
from framekit.terminal.progress import Progress
from tests.framekit.manifest.datasets import SOURCES, noise, speckled

HEIDI, PONYO = SOURCES
HOLIDAY = "holiday-0000000c"
FORMATS = ("folders", "webdataset", "hf")
# Of each source's frames 0 to 5: two test, one is on neither side, and one is not in the split at all.
SIDES = {f"{source}:{number}": side for source in (*SOURCES, HOLIDAY)
         for number, side in enumerate(["train", "test", "train", None, "test"])}  # fmt: skip


@pytest.fixture(scope="module")
def cartoons(tmp_path_factory):
    root = speckled(tmp_path_factory.mktemp("cartoons") / "cartoons", sides=SIDES)
    decide(root, [f"{HEIDI}:0", f"{PONYO}:2#1", f"{PONYO}:4#0"], keep=False, reason="logo", by="ada")
    return root


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos") / "photos"
    return speckled(root, smooth=False, sides=SIDES, sources=(HOLIDAY,))


def options(format_, **more):
    return ExportOptions(format=format_, **more)


def expected(root, side):
    """Ids of the pairs on a side, by the slow and obvious way."""
    whole = {f"{frame}#{index}" for frame, its in SIDES.items() if its == side for index in range(2)}
    out = {f"{HEIDI}:0#0", f"{HEIDI}:0#1", f"{PONYO}:2#1", f"{PONYO}:4#0"}
    known = set(framekit.manifest.open(root).pairs(["pair_id"])["pair_id"].to_pylist())
    return (whole - out) & known


def bytes_of(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_folders_are_as_pytorch_cartoongan_reads_them(cartoons, photos, tmp_path):
    made = export(cartoons, tmp_path / "data", options("folders"), photos=photos)
    out, train = tmp_path / "data", expected(cartoons, "train")
    assert len(train) == 5
    names = sorted(f"{key_of(id_)}.png" for id_ in train)
    assert names_in(out / "tgt_data/train") == names_in(out / "tgt_data/pair") == names
    for id_ in train:
        crop, smoothed = noise(id_, 16), noise(id_ + "s", 16)
        assert np.array_equal(read(out / f"tgt_data/train/{key_of(id_)}.png"), crop)
        both = read(out / f"tgt_data/pair/{key_of(id_)}.png")
        assert both.shape == (16, 32, 3)
        assert np.array_equal(both[:, :16], crop), "the cartoon on the left"
        assert np.array_equal(both[:, 16:], smoothed), "its smoothed half on the right"
    for side in ("train", "test"):
        ids = expected(photos, side)
        assert names_in(out / f"src_data/{side}") == sorted(f"{key_of(id_)}.png" for id_ in ids)
        for id_ in ids:
            assert np.array_equal(read(out / f"src_data/{side}/{key_of(id_)}.png"), noise(id_, 16))
    assert names_in(out) == ["export.json", "src_data", "tgt_data"]
    assert made.counts == {
        "src_data/train": 4,
        "src_data/test": 4,
        "tgt_data/train": 5,
        "tgt_data/pair": 5,
    }
    assert any("7 test pairs are left out: tgt_data has no place" in note for note in made.notes)
    assert any(f"{cartoons}: 8 pairs on neither side" in note for note in made.notes)


def test_folders_with_smoothed_halves_alone(cartoons, tmp_path):
    export(cartoons, tmp_path / "data", options("folders", pairs="smoothed"))
    for id_ in expected(cartoons, "train"):
        assert np.array_equal(read(tmp_path / f"data/tgt_data/pair/{key_of(id_)}.png"), noise(id_ + "s", 16))


@pytest.mark.parametrize(("encoding", "suffix"), [("jpeg:90", "jpg"), ("webp:90", "webp")])
def test_pictures_keep_their_bytes_and_get_the_suffix_that_fits(tmp_path, encoding, suffix):
    root = speckled(tmp_path / "cartoons", 2, encoding=encoding)
    stored = {row["pair_id"]: row for row in framekit.manifest.open(root).pairs(PAIRS.names).to_pylist()}
    export(root, tmp_path / "data", options("folders", pairs="smoothed"))
    export(root, tmp_path / "tars", options("webdataset"))
    with tarfile.open(tmp_path / "tars/train-000000.tar") as tar:
        for id_, row in stored.items():
            train, half = (
                tmp_path / f"data/tgt_data/{name}/{key_of(id_)}.{suffix}" for name in ("train", "pair")
            )
            assert train.read_bytes() == row["image"]["bytes"]
            assert half.read_bytes() == row["smoothed"]["bytes"]
            member = tar.extractfile(f"{key_of(id_)}.smoothed.{suffix}")
            assert member.read() == row["smoothed"]["bytes"]


def test_webdataset_reads_shards(cartoons, tmp_path):
    made = export(cartoons, tmp_path / "tars", options("webdataset", shard_rows=2))
    assert made.counts == {"train": 5, "test": 7}
    rows = {row["pair_id"]: row for row in framekit.manifest.open(cartoons).pairs().to_pylist()}
    for side, last in (("train", 2), ("test", 3)):
        urls = f"{tmp_path}/tars/{side}-{{000000..{last:06}}}.tar"
        samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"))
        assert {sample["json"]["pair_id"] for sample in samples} == expected(cartoons, side)
        for sample in samples:
            id_ = sample["json"]["pair_id"]
            assert sample["__key__"] == key_of(id_)
            assert sample["json"] == rows[id_] | {"split": side}
            assert np.array_equal(sample["image.png"], noise(id_, 16))
            assert np.array_equal(sample["smoothed.png"], noise(id_ + "s", 16))


def test_tars_are_plain_posix_and_tell_nothing_of_who_made_them(cartoons, tmp_path):
    export(cartoons, tmp_path / "tars", options("webdataset"))
    with tarfile.open(tmp_path / "tars/test-000000.tar") as tar:
        members = tar.getmembers()
    assert len(members) == 3 * 7
    for member in members:
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
        assert member.isreg() and not member.pax_headers
        assert re.fullmatch(r"[a-z0-9_-]+\.(image\.png|json|smoothed\.png)", member.name)
    names = [member.name for member in members]
    triples = [sorted(names[at : at + 3]) for at in range(0, len(names), 3)]
    assert names == [name for triple in triples for name in triple]


def test_datasets_reads_tars_too(cartoons, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    export(cartoons, tmp_path / "tars", options("webdataset"))
    files = {side: f"{tmp_path}/tars/{side}-*.tar" for side in ("train", "test")}
    loaded = datasets.load_dataset("webdataset", data_files=files, cache_dir=str(tmp_path / "cache"))
    row = loaded["test"][3]
    assert np.array_equal(np.array(row["image.png"]), noise(row["json"]["pair_id"], 16))


@pytest.mark.parametrize("format_", ["webdataset", "hf"])
def test_photos_go_without_smoothed_halves(photos, tmp_path, format_):
    export(photos, tmp_path / "out", options(format_))
    if format_ == "hf":
        table = pq.read_table(tmp_path / "out/data/test-00000-of-00001.parquet")
        assert table["smoothed"].null_count == table.num_rows == 4
    else:
        with tarfile.open(tmp_path / "out/test-000000.tar") as tar:
            assert {name.partition(".")[2] for name in tar.getnames()} == {"image.png", "json"}


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_dataset_gives_the_same_bytes(cartoons, photos, tmp_path, format_):
    with_photos = photos if format_ == "folders" else None
    for name in ("one", "two"):
        export(cartoons, tmp_path / name, options(format_), photos=with_photos)
    one = bytes_of(tmp_path / "one")
    assert len(one) > 2
    assert one == bytes_of(tmp_path / "two")
    assert not any(str(tmp_path).encode() in data for data in one.values())


class Killed(BaseException):
    pass


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("after", [1, 4, 6, 12])
def test_a_stopped_run_goes_on_where_it_was(cartoons, tmp_path, monkeypatch, format_, after):
    rows = {} if format_ == "folders" else {"shard_rows": 2}
    after = min(after, 5) if format_ == "folders" else after
    export(cartoons, tmp_path / "whole", options(format_, **rows))
    whole = bytes_of(tmp_path / "whole")
    written = []

    def stop(progress, units=1, note=None):
        written.append(units)
        if len(written) == after:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "advance", stop)
        with pytest.raises(Killed):
            export(cartoons, tmp_path / "out", options(format_, **rows))
    before = times_of(tmp_path / "out")
    made = export(cartoons, tmp_path / "out", options(format_, **rows))
    assert bytes_of(tmp_path / "out") == whole
    assert before <= times_of(tmp_path / "out"), "what was written is not written again"
    if after > 4:
        assert before
    if format_ != "folders" and after > 4:
        assert any("were there already and kept" in note for note in made.notes)


def times_of(root):
    """When each shard and picture was written; a new name changes none."""
    return {path.stat().st_mtime_ns for kind in ("tar", "parquet", "png") for path in root.rglob(f"*.{kind}")}


KILLED = """
import os, signal, sys
from pathlib import Path
import framekit.files, framekit.manifest.layouts
from framekit.manifest.exporting import ExportOptions, export

syncs = 0
def counted(really):
    def sync(path):
        global syncs
        syncs += 1
        if syncs == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        really(path)
    return sync

framekit.files._sync = counted(framekit.files._sync)
framekit.files._sync_folder = counted(framekit.files._sync_folder)
framekit.manifest.layouts.WRITERS = 1
rows = {} if sys.argv[4] == "folders" else {"shard_rows": 3}
export(Path(sys.argv[2]), Path(sys.argv[3]), ExportOptions(format=sys.argv[4], **rows))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("format_", FORMATS)
def test_a_killed_run_leaves_nothing_half_done(cartoons, tmp_path, format_):
    rows = {} if format_ == "folders" else {"shard_rows": 3}
    export(cartoons, tmp_path / "whole", options(format_, **rows))
    whole, out = bytes_of(tmp_path / "whole"), tmp_path / "out"
    for at in (1, 2, 5, 6):
        words = [sys.executable, "-c", KILLED, str(at), str(cartoons), str(out), format_]
        assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
        for name, data in bytes_of(out).items():
            if not Path(name).name.startswith(".framekit-"):
                assert data == whole[name], "what stands under its name is whole"
    export(cartoons, out, options(format_, **rows))
    assert bytes_of(out) == whole


def test_shards_for_the_hub_that_were_half_named_are_all_named(cartoons, tmp_path, monkeypatch):
    export(cartoons, tmp_path / "whole", options("hf", shard_rows=2))
    renamed, really = [], Path.replace

    def replace(path, target):
        renamed.append(path)
        if "-of-" in str(target) and len(renamed) > 4:
            raise Killed
        return really(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(Killed):
            export(cartoons, tmp_path / "out", options("hf", shard_rows=2))
    export(cartoons, tmp_path / "out", options("hf", shard_rows=2))
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_missing_or_cut_short_is_written_again(cartoons, tmp_path, format_):
    rows = {} if format_ == "folders" else {"shard_rows": 2}
    out = tmp_path / "out"
    export(cartoons, out, options(format_, **rows))
    whole = bytes_of(out)
    files = sorted(path for path in out.rglob("*") if path.suffix in (".tar", ".parquet", ".png"))
    files[1].unlink()
    if format_ != "folders":
        files[2].write_bytes(files[2].read_bytes()[:700])
    export(cartoons, out, options(format_, **rows))
    assert bytes_of(out) == whole


@pytest.mark.parametrize("format_", ["webdataset", "hf"])
def test_no_shard_is_larger_than_asked(tmp_path, format_):
    root = speckled(tmp_path / "cartoons", 6, side=160)
    for name, most in (("bytes", {"shard_size": 1}), ("rows", {"shard_rows": 5})):
        export(root, tmp_path / name, options(format_, **most))
    pattern = "*.tar" if format_ == "webdataset" else "data/*.parquet"
    sizes = [path.stat().st_size for path in (tmp_path / "bytes").glob(pattern)]
    assert len(sizes) == 4
    assert max(sizes) <= 1_000_000
    assert sorted(sizes)[1] > 700_000, "full as far as they can be"
    assert len(list((tmp_path / "rows").glob(pattern))) == 5


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ("file", "is there already and is no folder"),
        ("other files", "is there already and is no export"),
        ("damaged", "is there already and is no export"),
        ("dataset", "is there already and is no export"),
        ("other options", "holds an export with other options"),
        ("other state", "a dataset that has changed since"),
    ],
)
def test_nothing_else_is_written_over(tmp_path, there, words):
    root, out = speckled(tmp_path / "cartoons", 2), tmp_path / "out"
    if there == "file":
        out.write_text("mine")
    elif there in ("other files", "damaged"):
        out.mkdir()
        (out / ("export.json" if there == "damaged" else "mine.txt")).write_text("mine")
    elif there == "dataset":
        out = root
    else:
        export(root, out, options("webdataset", shard_rows=3 if there == "other options" else 10_000))
    if there == "other state":
        decide(root, [f"{HEIDI}:1"], keep=False, reason="", by="ada")
    before = bytes_of(tmp_path)
    with pytest.raises(CommandError, match=words):
        export(root, out, options("webdataset"))
    assert bytes_of(tmp_path) == before


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.framekit-0123.7.tmp").write_text("half")  # killed before its first paper
    made = export(speckled(tmp_path / "cartoons", 2), tmp_path / "out", options("webdataset"))
    assert names_in(tmp_path / "out") == ["export.json", "train-000000.tar"]
    assert made.files == 2 and made.size == sum(map(len, bytes_of(tmp_path / "out").values()))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_full_disk_is_one_clear_line(cartoons, tmp_path, monkeypatch, format_):
    def full(path, *rest):
        if path.suffix == ".tmp" and path.parent.name != "out":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("framekit.files._sync", full)
        if format_ == "webdataset":
            out = tmp_path / "elsewhere"
        with pytest.raises(FramekitError, match=r"No space left .*make room and run the same") as error:
            export(cartoons, out, options(format_))
    assert error.value.exit_code == 1
    assert "\n" not in str(error.value)
    export(cartoons, out, options(format_))


def rewrite(root, change):
    """Change rows of the first shard of pairs."""
    path = sorted((root / "pairs").iterdir())[0]
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(table.from_pylist(rows, table.schema), path)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    "id_", ["../../up:1#0", "a/b:1#0", "a.b:1#0", ".a:1#0", "a:1#0\n", "A:1#0", "a:1", "", None, "a" * 300]
)
def test_ids_that_would_lead_elsewhere_are_refused(tmp_path, format_, id_):
    root = speckled(tmp_path / "cartoons", 1)
    rewrite(root, lambda rows: rows[1].update(pair_id=id_))
    with pytest.raises(ManifestError, match="is no id of a pair") as error:
        export(root, tmp_path / "out", options(format_))
    assert "\n" not in str(error.value)
    assert names_in(tmp_path) == ["cartoons"]


@pytest.mark.parametrize("format_", FORMATS)
def test_two_pairs_of_one_id_are_refused(tmp_path, format_):
    root = speckled(tmp_path / "cartoons", 2)
    rewrite(root, lambda rows: rows[1].update(pair_id=rows[0]["pair_id"]))
    with pytest.raises(ManifestError, match="two pairs have the same id"):
        export(root, tmp_path / "out", options(format_))


@pytest.mark.parametrize("picture", [None, {"bytes": None, "path": None}, {"bytes": b"GIF89a", "path": ""}])
@pytest.mark.parametrize("format_", ["folders", "webdataset"])
def test_a_damaged_picture_is_named(tmp_path, format_, picture):
    root = speckled(tmp_path / "cartoons", 2)
    rewrite(root, lambda rows: rows[1].update(image=picture))
    with pytest.raises(ManifestError, match=f"{HEIDI}:0#1.*framekit verify"):
        export(root, tmp_path / "out", options(format_))


def test_key_of_is_one_to_one_and_safe():
    ids = [
        f"{name}:{frame}#{crop}" for name in ("a-1", "a", "a-1-1") for frame in (1, 11) for crop in (1, 11)
    ]
    keys = {key_of(id_) for id_ in ids}
    assert len(keys) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9_-]+", key) for key in keys)


def test_a_card_says_no_paths_of_whoever_made_the_dataset(cartoons):
    info = framekit.manifest.open(cartoons).info.model_copy(deep=True)
    info.options |= {"tagger": "/home/ada/tagger", "style": "<img src=x>\n---\nlicense: mit"}
    card = export_card(info, {"train": 3}, {"train": 900})
    assert "/home/ada" not in card
    assert "<img" not in card.split("```")[0]
    assert card.count("\n---\n") == 1


def run(*words):
    return CliRunner().invoke(main, ["export", *map(str, words)])


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path):
    root = speckled(tmp_path / "cartoons", 2)
    done = run(root, tmp_path / "out", "--format", "hf")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("8 in train; 3 files, ")
    assert f"note: {root} is not split, so nothing is held back to test" in done.stdout
    assert f"next: hf upload USER/NAME {tmp_path / 'out'} --repo-type dataset --private" in done.stdout
    again = run(root, tmp_path / "out", "--format", "hf")
    assert "note: 8 pairs were there already and kept" in again.stdout
    folders = run(root, tmp_path / "data", "--format", "folders", "--photos", root)
    assert f"note: {root} is not split, so src_data/test is empty" in folders.stdout
    assert "--src_data src_data --tgt_data tgt_data --input_size 16\n      in a clone of" in folders.stdout
    made = json.loads(run(root, tmp_path / "tars", "--format", "webdataset", "--json").stdout)
    assert made["counts"] == {"train": 8} and made["files"] == 2 and made["format"] == "webdataset"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("cartoons out", 2, "Missing option '--format'"),
        ("cartoons out --format zip", 2, "is not one of"),
        ("nothing out --format hf", 2, "no dataset here"),
        ("cartoons out --format folders --photos nothing", 2, "no dataset here"),
        ("cartoons out --format hf --photos photos", 2, "--photos: goes with --format folders only"),
        ("cartoons out --format hf --pairs smoothed", 2, "--pairs: goes with --format folders only"),
        ("cartoons out --format folders --shard-size 5", 2, "--shard-size: goes with"),
        ("cartoons out --format hf --shard-size 0", 2, "--shard-size: must be greater"),
        ("cartoons out --format hf --shard-rows 0", 2, "--shard-rows: must be greater"),
        ("photos out --format folders", 2, "photos: has no smoothed halves. photos go in by --photos"),
        ("cartoons cartoons --format hf", 2, "is there already and is no export"),
        ("none out --format hf", 1, "holds no pairs to export"),
    ],
)
def test_a_wrong_command_is_one_clear_line(tmp_path, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    speckled(Path("cartoons"), 1)
    speckled(Path("photos"), 1, smooth=False)
    speckled(Path("none"), 1)
    decide(Path("none"), [f"{source}:0" for source in SOURCES], keep=False, reason="", by="ada")
    done = run(*words.split())
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert not Path("out").exists()


def test_json_is_valid_where_a_measure_is_not_a_number(tmp_path):
    root = speckled(tmp_path / "cartoons", 1)
    rewrite(root, lambda rows: rows[0].update(sharpness=float("nan"), noise=float("inf")))
    export(root, tmp_path / "out", options("webdataset"))
    with tarfile.open(tmp_path / "out/train-000000.tar") as tar:
        facts = json.loads(tar.extractfile(f"{HEIDI}_0_0.json").read())
        image = decode(io.BytesIO(tar.extractfile(f"{HEIDI}_0_0.image.png").read()).read())
    assert facts["sharpness"] is facts["noise"] is None
    assert np.array_equal(image, noise(f"{HEIDI}:0#0", 16))
