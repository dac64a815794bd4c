"""A dataset after its first run: what comes later, other options, compacting, two runs at once, kills."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import framekit.manifest
from framekit.errors import CommandError, FramekitError
from framekit.extraction import segment as segment_module
from framekit.extraction.compacting import compact
from framekit.extraction.extract import extract
from framekit.extraction.opening import alone
from framekit.extraction.settling import after_decisions, decide_again
from framekit.extraction.shards import Shards
from framekit.manifest import decide, state
from framekit.manifest.verifying import verify
from framekit.options import ExtractOptions, Limits
from tests.films import numbered_film, write_film
from tests.framekit.extraction.test_extract import digests

OPTIONS = ExtractOptions(every=4, crop_size=64, crops_per_frame=3)
SEGMENTED = ExtractOptions(every=30, crop_size=32, crops_per_frame=1, encoding="jpeg")
FLAGS = ["--every", "4", "--crop-size", "64", "--crops-per-frame", "3", "--workers", "1"]


@pytest.fixture
def dataset(made, tmp_path):
    return Path(shutil.copytree(made.root, tmp_path / "dataset"))


def pairs_by_id(root: Path) -> dict[str, bytes]:
    table = framekit.manifest.open(root).pairs(
        ["pair_id", "image", "smoothed", "crop_x", "crop_y", "sharpness"]
    )
    return {row["pair_id"]: json.dumps(row, default=bytes.hex).encode() for row in table.to_pylist()}


def test_frames_that_limits_want_back_are_cut_alone_and_as_if_from_the_start(films, tmp_path):
    strict, loose = tmp_path / "strict", tmp_path / "loose"
    extract([str(films)], loose, OPTIONS, workers=1)
    dark = OPTIONS.model_copy(update={"min_contrast": 60.0})
    first = extract([str(films)], strict, dark, workers=1)
    assert 0 < first.info.totals["frames_kept"] < len(framekit.manifest.open(loose).frames())
    settled = decide_again(strict, Limits(min_contrast=6.0))
    assert settled.info.totals["frames_to_cut"] > 0
    before = {path: path.stat().st_mtime_ns for path in strict.glob("*/*.parquet")}
    again = extract([str(films)], strict, OPTIONS, workers=1)
    assert again.info.totals["frames_to_cut"] == 0
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert list(strict.glob("pairs/*-later-00001.parquet"))
    assert pairs_by_id(strict) == pairs_by_id(loose)
    assert verify(framekit.manifest.open(strict)) == []
    assert extract([str(films)], strict, OPTIONS, workers=1).info.totals == again.info.totals


def test_frames_that_a_person_keeps_are_cut(dataset, films):
    manifest = framekit.manifest.open(dataset)
    duplicates = sorted(item for item, why in manifest.dropped.items() if why.reason == "near-duplicate")[:2]
    decide(dataset, duplicates, keep=True, reason="wanted", by="ada")
    assert after_decisions(dataset).info.totals["frames_to_cut"] == 2
    run = extract([str(films)], dataset, OPTIONS, workers=2)
    assert run.info.totals["frames_to_cut"] == 0
    manifest = framekit.manifest.open(dataset)
    rows = [row for row in manifest.pairs().to_pylist() if row["frame_id"] in duplicates]
    assert {row["frame_id"] for row in rows} == set(duplicates)
    assert len(rows) == 2 * OPTIONS.crops_per_frame
    assert verify(manifest) == []


def test_what_cannot_be_cut_is_tried_once(tmp_path):
    flat = [np.full((96, 128, 3), 128, np.uint8)] * 8
    film = write_film(tmp_path / "flat.mp4", flat)
    run = extract([str(film)], tmp_path / "d", OPTIONS, workers=1)
    frame = framekit.manifest.open(tmp_path / "d").frames()["frame_id"][0].as_py()
    assert run.info.totals["pairs"] == 0
    decide(tmp_path / "d", [frame], keep=True, reason="", by="ada")
    assert after_decisions(tmp_path / "d").info.totals["frames_to_cut"] == 1
    run = extract([str(film)], tmp_path / "d", OPTIONS, workers=1)
    assert run.info.totals["frames_to_cut"] == 0
    assert any("give no pairs" in note for note in run.notes)


def test_stills_are_cut_later_too(tmp_path):
    import cv2

    from tests.films import numbered_frame

    (tmp_path / "photos").mkdir()
    for number in range(6):
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.png"), numbered_frame(number // 2)[:, :, ::-1])
    run = extract([str(tmp_path / "photos")], tmp_path / "d", OPTIONS, workers=1)
    assert run.dropped["near-duplicate"] == 3
    left_out = list(framekit.manifest.open(tmp_path / "d").dropped)
    decide(tmp_path / "d", left_out, keep=True, reason="", by="ada")
    after_decisions(tmp_path / "d")
    run = extract([str(tmp_path / "photos")], tmp_path / "d", OPTIONS, workers=1)
    assert run.info.totals["frames_kept"] == 6
    assert {row["frame_number"] for row in framekit.manifest.open(tmp_path / "d").pairs().to_pylist()} == set(
        range(6)
    )


def test_a_run_that_finds_all_done_writes_nothing(dataset, films):
    before = {path: path.stat().st_mtime_ns for path in dataset.rglob("*") if path.name != "extract.lock"}
    run = extract([str(films)], dataset, OPTIONS, workers=1)
    after = {path: path.stat().st_mtime_ns for path in dataset.rglob("*") if path.name != "extract.lock"}
    assert {path for path in after if path.is_file()} == {path for path in before if path.is_file()}
    assert all(before[path] == after[path] for path in before if path.is_file())
    assert run.done_before == 2
    assert run.dropped == {
        "near-duplicate": run.info.totals["frames_sampled"] - run.info.totals["frames_kept"]
    }


def test_other_options_say_what_would_change(dataset, films):
    other = OPTIONS.model_copy(update={"every": 2})
    with pytest.raises(
        CommandError, match=r"--every 4 → 2; .* 2 shards of 2 sources, would be .*--overwrite"
    ):
        extract([str(films)], dataset, other, workers=1)
    limits = OPTIONS.model_copy(update={"min_contrast": 20.0})
    with pytest.raises(CommandError, match=r"--min-contrast 6.0 → 20.0.*framekit dedup"):
        extract([str(films)], dataset, limits, workers=1)


def test_overwriting_makes_it_anew_and_keeps_what_persons_said(dataset, films, tmp_path):
    frame = framekit.manifest.open(dataset).pairs()["frame_id"][0].as_py()
    decide(dataset, [frame], keep=False, reason="ugly", by="ada")
    other = OPTIONS.model_copy(update={"every": 8, "seed": 3})
    extract([str(films)], dataset, other, workers=1, overwrite=True)
    extract([str(films)], tmp_path / "new", other, workers=1)
    now, new = framekit.manifest.open(dataset), framekit.manifest.open(tmp_path / "new")
    assert now.info.shards == new.info.shards
    assert now.dropped[frame].reason == "ugly"
    assert not set(now.dropped) - set(new.dropped) - {frame}
    assert verify(now) == []


def test_a_film_that_changed_under_its_name_is_noticed(films, tmp_path):
    film = tmp_path / "film.mp4"
    shutil.copy(films / "one.mp4", film)
    extract([str(film)], tmp_path / "d", OPTIONS, workers=1)
    numbered_film(film, 48, seed=9, hold=8)
    run = extract([str(film)], tmp_path / "d", OPTIONS, workers=1)
    assert any("has changed: it is taken anew" in note for note in run.notes)
    assert len(run.info.sources) == 2
    shutil.move(film, tmp_path / "moved.mp4")
    run = extract([str(tmp_path / "moved.mp4")], tmp_path / "d", OPTIONS, workers=1)
    assert any("nothing of it is taken twice" in note for note in run.notes)
    assert len(run.info.sources) == 2


def test_compacting_takes_out_what_is_left_out_and_nothing_else(dataset, films):
    manifest = framekit.manifest.open(dataset)
    frame, other = manifest.pairs()["frame_id"][0].as_py(), manifest.pairs()["pair_id"][-1].as_py()
    decide(dataset, [frame, other], keep=False, reason="ugly", by="ada")
    after_decisions(dataset)
    stay = pairs_by_id(dataset)
    done = compact(dataset)
    assert (done.pairs, done.shards) == (4, 2)
    listed = sorted(path.name for path in dataset.glob("pairs/*.parquet"))
    assert len(listed) == 2 and all("-compacted-00001" in name for name in listed)
    raw = pq.ParquetDataset([dataset / "pairs" / name for name in listed]).read(["pair_id"])
    assert sorted(raw["pair_id"].to_pylist()) == sorted(stay)
    assert pairs_by_id(dataset) == stay
    assert verify(framekit.manifest.open(dataset)) == []
    assert compact(dataset).pairs == 0
    before = digests(dataset)
    assert extract([str(films)], dataset, OPTIONS, workers=1).done_before == 2
    assert digests(dataset) == before


def test_what_was_compacted_comes_back(dataset, films):
    whole = pairs_by_id(dataset)
    frame = framekit.manifest.open(dataset).pairs()["frame_id"][0].as_py()
    decide(dataset, [frame], keep=False, reason="ugly", by="ada")
    after_decisions(dataset)
    compact(dataset)
    assert not any(pair.startswith(f"{frame}#") for pair in pairs_by_id(dataset))
    decide(dataset, [frame], keep=None, reason="", by="ada")
    assert after_decisions(dataset).info.totals["frames_to_cut"] > 0
    extract([str(films)], dataset, OPTIONS, workers=1)
    assert pairs_by_id(dataset) == whole
    assert verify(framekit.manifest.open(dataset)) == []


def test_a_killed_compaction_loses_nothing(dataset, films, tmp_path):
    manifest = framekit.manifest.open(dataset)
    frames = sorted(set(manifest.pairs()["frame_id"].to_pylist()))
    decide(dataset, [frames[0], frames[-1]], keep=False, reason="ugly", by="ada")
    after_decisions(dataset)
    stay = pairs_by_id(dataset)
    for moment in range(1, 30):
        root = tmp_path / f"killed-{moment}"
        shutil.copytree(dataset, root)
        killed = run_killed(root, moment, "from framekit.extraction.compacting import compact; compact(root)")
        assert pairs_by_id(root) == stay
        compact(root)
        assert pairs_by_id(root) == stay
        assert verify(framekit.manifest.open(root)) == []
        if not killed:
            break
    else:
        pytest.fail("it was never left alone")


def run_killed(root: Path, moment: int, statement: str) -> bool:
    """Run a statement about `root` and kill it at its `moment`-th tick, from 1 on; whether it came to that.

    There is one before and one after each file is put in place.
    """
    program = (
        "import os, pathlib, signal, sys\n"
        "root, left = pathlib.Path(sys.argv[1]), int(sys.argv[2])\n"
        "real = pathlib.Path.replace\n"
        "def tick():\n"
        "    global left\n"
        "    left -= 1\n"
        "    if not left: os.kill(os.getpid(), signal.SIGKILL)\n"
        "def replace(self, target):\n"
        "    tick(); real(self, target); tick()\n"
        "pathlib.Path.replace = replace\n"
        f"{statement}\n"
    )
    command = [sys.executable, "-c", program, str(root), str(moment)]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode != 0


def test_same_bytes_whenever_it_was_killed(films, tmp_path, dataset):
    """Thirty times, while files are put in place: after each kill it is started again."""
    root = tmp_path / "killed"
    given = OPTIONS.model_dump(include={"every", "crop_size", "crops_per_frame"})
    statement = (
        "from framekit.extraction.extract import extract\n"
        "from framekit.options import ExtractOptions\n"
        f"extract([{str(films)!r}], root, ExtractOptions(**{given}), workers=1)"
    )
    for attempt in range(30):
        if not run_killed(root, 1 + attempt // 2, statement):
            break
        for path in root.glob("*/*.parquet"):
            if not path.name.startswith("."):
                pq.read_metadata(path)
    else:
        run_killed(root, -1, statement)
    assert digests(root) == digests(dataset)
    assert not list(root.rglob(".framekit-*"))


def later_dataset(films: Path, root: Path) -> dict[str, bytes]:
    """A dataset with a shard of frames that a person wanted back; its pairs."""
    extract([str(films)], root, OPTIONS, workers=1)
    duplicates = [
        item for item, why in framekit.manifest.open(root).dropped.items() if item.startswith("one-")
    ]
    decide(root, sorted(duplicates)[:2], keep=True, reason="wanted", by="ada")
    after_decisions(root)
    extract([str(films)], root, OPTIONS, workers=1)
    assert len(list(root.glob("pairs/*-later-00001.parquet"))) == 1
    return pairs_by_id(root)


@pytest.mark.parametrize(
    "lost", ["pairs/one-*-of-*", "frames/one-*", "pairs/*-later-*", "pairs/*-compacted-*"]
)
@pytest.mark.parametrize("how", ["gone", "cut short"])
def test_whatever_shard_is_lost_is_made_again(films, tmp_path, lost, how):
    root = tmp_path / "dataset"
    later_dataset(films, root)
    if "compacted" in lost:
        frame = framekit.manifest.open(root).pairs()["frame_id"][0].as_py()
        decide(root, [frame], keep=False, reason="ugly", by="ada")
        after_decisions(root)
        compact(root)
    stay = pairs_by_id(root)
    for path in root.glob(lost + ".parquet"):
        path.unlink() if how == "gone" else os.truncate(path, path.stat().st_size // 2)
    run = extract([str(films)], root, OPTIONS, workers=1)
    assert run.problems == []
    assert pairs_by_id(root) == stay
    assert verify(framekit.manifest.open(root)) == []


@pytest.mark.parametrize("moment", [3, 9])
def test_a_compaction_that_was_killed_does_not_disturb_the_next_run(films, tmp_path, moment):
    root = tmp_path / "dataset"
    pairs = later_dataset(films, root)
    frame = next(pair.rpartition("#")[0] for pair in pairs if pair.startswith("one-"))
    kept = [item for item in state(root) if state(root)[item].by == "ada"]
    decide(root, [frame, kept[0]], keep=False, reason="ugly", by="ada")
    after_decisions(root)
    stay = pairs_by_id(root)
    run_killed(root, moment, "from framekit.extraction.compacting import compact; compact(root)")
    numbered_film(tmp_path / "three.mp4", 32, seed=3, hold=8)
    extract([str(films), str(tmp_path / "three.mp4")], root, OPTIONS, workers=1)
    now = pairs_by_id(root)
    assert {pair: row for pair, row in now.items() if not pair.startswith("three-")} == stay
    assert verify(framekit.manifest.open(root)) == []


def test_a_film_that_is_replaced_while_it_is_read_is_a_problem(films, tmp_path, monkeypatch):
    film = tmp_path / "film.mp4"
    shutil.copy(films / "one.mp4", film)
    real = segment_module.held_drawings

    def replaced_meanwhile(*words):
        shutil.copy(films / "two.mkv", film)
        return real(*words)

    monkeypatch.setattr(segment_module, "held_drawings", replaced_meanwhile)
    run = extract([str(film)], tmp_path / "d", OPTIONS, workers=1)
    assert ["it changed while it was read" in problem.what for problem in run.problems] == [True]
    assert not list((tmp_path / "d").glob("*/*.parquet"))


def test_limits_that_are_not_given_stay_as_the_dataset_has_them(dataset, films):
    decide_again(dataset, Limits(dedup_distance=0))
    run = extract([str(films)], dataset, OPTIONS, workers=1)
    assert run.info.options["dedup_distance"] == 0
    assert run.info.totals["frames_to_cut"] == 0
    with pytest.raises(CommandError, match=r"--dedup-distance 0 → 6"):
        extract([str(films)], dataset, OPTIONS.model_copy(update={"dedup_distance": 6}), workers=1)


@pytest.mark.parametrize(
    "edit",
    [
        {"totals": {}},
        {"spent": {"decode": float("nan")}},
        {"shards": [{"rows": 10**30}]},
        {"shards": [{"rows": -5}]},
    ],
)
def test_papers_that_were_edited_end_in_a_line(dataset, films, edit):
    info = json.loads((dataset / "dataset.json").read_text())
    for name, value in edit.items():
        info[name] = [info[name][0] | value[0], *info[name][1:]] if name == "shards" else value
    (dataset / "dataset.json").write_text(json.dumps(info))
    for command in (["extract", str(films), "--out", str(dataset), *FLAGS], ["compact", str(dataset)]):
        done = subprocess.run(
            [sys.executable, "-m", "framekit.cli", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1, 2)
        assert "a fault in this program" not in done.stderr


def test_two_runs_at_once_are_told(dataset, films):
    with alone(dataset):
        for work in (lambda: extract([str(films)], dataset, OPTIONS, workers=1), lambda: compact(dataset)):
            with pytest.raises(FramekitError, match="another run is making shards of this dataset"):
                work()
    extract([str(films)], dataset, OPTIONS, workers=1)


@pytest.mark.skipif(
    os.geteuid() != 0 if hasattr(os, "geteuid") else True, reason="only root may mount a small disk"
)
def test_a_full_disk_ends_in_a_line_and_is_gone_on_with(films, tmp_path, dataset):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(disk)], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        with pytest.raises((FramekitError, OSError)) as full:
            extract([str(films)], disk / "d", OPTIONS, workers=1)
        assert "No space left" in str(full.value) or "takes no more" in str(full.value)
        assert not [
            path for path in disk.rglob("*.parquet") if not path.name.startswith(".") and not whole(path)
        ]
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        extract([str(films)], disk / "d", OPTIONS, workers=1)
        assert digests(disk / "d") == digests(dataset)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises((FramekitError, OSError)) as read_only:
            extract(
                [str(films), str(films / "one.mp4")],
                disk / "d",
                OPTIONS.model_copy(update={"seed": 1}),
                overwrite=True,
            )
        assert "ead-only" in str(read_only.value)
        assert len(framekit.manifest.open(disk / "d")) == len(framekit.manifest.open(dataset))
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_a_dataset_that_cannot_be_written_to_ends_the_run(films, dataset, tmp_path, monkeypatch):
    film = numbered_film(tmp_path / "three.mp4", 16, seed=3)

    def refuse(self, path, *_):
        raise PermissionError(errno.EACCES, f"Failed to open '{path}'")  # as Arrow does: it names no file

    with monkeypatch.context() as patched:
        patched.setattr("framekit.manifest.writing.ShardWriter.__init__", refuse)
        with pytest.raises(
            FramekitError, match=r"three-\w+-00000-of-00001\.parquet: Permission denied\. see to it"
        ):
            extract([str(films), str(film)], dataset, OPTIONS, workers=1)
    assert extract([str(films), str(film)], dataset, OPTIONS, workers=1).done_before == 2


def begun(dataset: Path, **papers: object) -> None:
    """Make of a dataset what a run leaves that is killed before it comes to its end."""
    info = json.loads((dataset / "dataset.json").read_text())
    none: dict[str, object] = {"finished": False, "shards": [], "totals": {}, "dropped": {}, "spent": {}}
    (dataset / "dataset.json").write_text(json.dumps(info | none | papers))
    for name in ("decisions.parquet", "README.md"):
        (dataset / name).unlink()


def test_a_film_of_which_a_killed_run_did_a_part_is_not_taken_for_whole(two_segments, films, tmp_path):
    film, _ = two_segments
    root = tmp_path / "dataset"
    options = SEGMENTED.model_copy(update={"crop_size": 48})
    extract([str(film), str(films)], root, options, workers=1)
    whole = digests(root)
    begun(root)
    next(root.glob("frames/long-*-00001-of-00002.parquet")).unlink()
    next(root.glob("frames/two-*")).unlink()  # of which only the pairs were in place
    run = extract([str(films / "one.mp4")], root, options, workers=1)
    (problem,) = run.info.problems
    assert problem.path == str(film) and problem.what.startswith("1 of its 2 segments are not done")
    assert run.problems == [] and f"{problem.path}: {problem.what}" in run.notes
    assert [source.id[:4] for source in run.info.sources] == ["long", "one-"]
    assert verify(framekit.manifest.open(root)) == []
    assert extract([str(film), str(films)], root, options, workers=1).info.problems == []
    assert digests(root) == whole


def test_a_film_that_was_cut_into_other_segments_before_is_not_there_twice(dataset, films):
    before = digests(dataset)
    info = framekit.manifest.open(dataset).info
    one = next(source.id for source in info.sources if source.id.startswith("one-"))
    begun(dataset)
    for table in ("frames", "pairs"):
        shard = dataset / table / f"{one}-00000-of-00001.parquet"
        for name in ("00000-of-00003", "00001-of-00003", "00001-of-00002"):
            shutil.copy(shard, dataset / table / f"{one}-{name}.parquet")
        shard.unlink()
    assert Shards(dataset, []).missing(one) == (1, 3)
    assert {path.name.split("-", 2)[2] for path in Shards(dataset, []).superseded()} == {
        "00001-of-00002.parquet"
    }
    extract([str(films)], dataset, OPTIONS, workers=1)
    assert digests(dataset) == before


def test_compacting_what_was_never_finished_says_what_to_do(dataset, films):
    begun(dataset)
    with pytest.raises(FramekitError, match=r"no finished shards yet.*run the same framekit extract again"):
        compact(dataset)
    faults = verify(framekit.manifest.open(dataset))
    assert len(faults) == 4 and all("the extraction is not finished" in fault for fault in faults)


def whole(path: Path) -> bool:
    try:
        return pq.read_metadata(path) is not None
    except Exception:
        return False


@pytest.fixture(scope="module")
def two_segments(tmp_path_factory):
    """A film of two segments, and what one process makes of it."""
    folder = tmp_path_factory.mktemp("long")
    noise = np.random.default_rng(0).integers(0, 255, (64, 48, 48, 3), np.uint8)
    frames = [noise[number // 60 % 64] for number in range(6_100)]
    film = write_film(folder / "long.mp4", frames, options={"g": "120", "preset": "ultrafast"})
    return film, extract([str(film)], folder / "dataset", SEGMENTED, workers=1)


def test_a_film_of_several_segments_is_the_same_however_it_is_done(two_segments, tmp_path):
    film, one = two_segments
    extract([str(film)], tmp_path / "two", SEGMENTED, workers=2)
    assert len([shard for shard in one.info.shards if shard.path.startswith("frames/")]) == 2
    assert one.info.totals["frames"] == 6_100
    numbers = framekit.manifest.open(one.root).frames()["frame_number"].to_pylist()
    assert numbers == list(range(0, 6_100, 30))
    assert digests(one.root) == digests(tmp_path / "two")
    (tmp_path / "two" / "frames" / Path(one.info.shards[0].path).name).unlink()
    extract([str(film)], tmp_path / "two", SEGMENTED, workers=1)
    assert digests(one.root) == digests(tmp_path / "two")


def test_a_damaged_film_of_several_segments_is_one(tmp_path):
    frames = [np.full((48, 64, 3), 40 + number // 50 % 160, np.uint8) for number in range(9_000)]
    for number, frame in enumerate(frames):
        frame[8:40:4, (number // 50) % 32 :: 8] = 255
    film = write_film(tmp_path / "long.mkv", frames, options={"g": "120", "preset": "ultrafast"})
    data = bytearray(film.read_bytes())
    middle = len(data) * 7 // 10
    for offset in range(0, 60, 3):
        data[middle + offset] ^= 0x5A
    film.write_bytes(data)
    options = ExtractOptions(every=30, crop_size=32, crops_per_frame=1, encoding="jpeg", letterbox="off")
    for workers in (1, 2):
        extract([str(film)], tmp_path / str(workers), options, workers=workers)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")
    manifest = framekit.manifest.open(tmp_path / "1")
    assert verify(manifest) == []
    numbers = manifest.frames()["frame_number"].to_pylist()
    assert numbers == sorted(set(numbers))
