import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import framekit.manifest
from framekit.audit.auditing import audit
from framekit.errors import CommandError, FramekitError
from framekit.extraction.extract import extract
from framekit.images.edges import smooth_edges
from framekit.images.encoding import decode
from framekit.manifest.verifying import verify
from framekit.options import ExtractOptions
from tests.films import number_of, numbered_film, numbered_frame, write_film
from tests.oracles.edge_smoothing import smooth_edges_pixel_by_pixel
from tests.oracles.full_decode import every_by_full_decode
from tests.processes import until

OPTIONS = ExtractOptions(every=4, crop_size=64, crops_per_frame=3)


def digests(root: Path) -> dict[str, str]:
    """Every file of a dataset by its content, but for what it has cost."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    contents = {str(path.relative_to(root)): path.read_bytes() for path in files}
    if "dataset.json" in contents:
        info = json.loads(contents["dataset.json"])
        del info["spent"]
        contents["dataset.json"] = json.dumps(info).encode()
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


@pytest.fixture(scope="module")
def dataset(made):
    return made


@pytest.fixture(scope="module")
def manifest(dataset):
    return framekit.manifest.open(dataset.root)


def test_every_nth_frame_is_sampled_and_has_a_row(manifest):
    rows = manifest.frames().to_pylist()
    one = [row for row in rows if row["source"].startswith("one-")]
    assert [row["frame_number"] for row in one] == list(range(0, 96, 4))
    assert [row["seconds"] for row in one] == pytest.approx([n / 24 for n in range(0, 96, 4)])
    assert len(rows) == 24 + 16


def test_held_drawings_give_one_picture_each(manifest):
    kept = [row for row in manifest.frames().to_pylist() if row["frame_id"] not in manifest.dropped]
    assert len(kept) == 12 + 8
    assert [row["frame_number"] // 8 for row in kept if row["source"].startswith("one-")] == list(range(12))


def test_each_dropped_frame_says_why_and_what_stands_for_it(manifest):
    rows = {row["frame_id"]: row for row in manifest.frames().to_pylist()}
    assert len(manifest.dropped) == 20
    for item, (reason, because_of) in manifest.dropped.items():
        assert reason == "near-duplicate"
        assert because_of not in manifest.dropped
        assert rows[because_of]["sharpness"] >= rows[item]["sharpness"]
        assert rows[because_of]["frame_number"] // 8 == rows[item]["frame_number"] // 8


def test_crops_are_the_film_s_own_pixels_at_their_place(manifest, films):
    pairs = manifest.pairs().to_pylist()
    assert len(pairs) == len(manifest) == 20 * 3
    for name in ("one.mp4", "two.mkv"):
        oracle = every_by_full_decode(films / name, 4)
        for row, pair in zip(pairs, manifest, strict=True):
            if row["source"].startswith(name[:3]):
                frame = oracle[row["frame_number"]][1]
                x, y, size = row["crop_x"], row["crop_y"], row["crop_size"]
                assert np.array_equal(pair.image, frame[y : y + size, x : x + size])
                assert row["pair_id"] == pair.pair_id
                assert (row["pts"], row["scale"], row["seed"]) == (oracle[row["frame_number"]][0], 1.0, 0)


def test_smoothed_halves_are_what_the_oracle_makes_of_the_crops(manifest):
    for position in range(0, len(manifest), 20):
        pair = manifest[position]
        slow = smooth_edges_pixel_by_pixel(pair.image)
        assert np.abs(pair.smoothed.astype(int) - slow).max() <= 1
    assert any((pair.image != pair.smoothed).any() for pair in manifest)


def test_rows_say_where_they_come_from(dataset, manifest):
    source = next(source for source in dataset.info.sources if source.id.startswith("one-"))
    row = manifest.pairs().to_pylist()[0]
    assert (row["source"], row["fingerprint"]) == (source.id, source.fingerprint)
    assert source.facts["codec"] == "h264"
    assert row["frame_id"] == f"{source.id}:{row['frame_number']}"
    frames = {frame["frame_id"]: frame for frame in manifest.frames().to_pylist()}
    assert row["hash"] == frames[row["frame_id"]]["hash"]


def test_the_dataset_is_sound(manifest):
    assert verify(manifest) == []


def test_same_bytes_with_two_workers_and_any_order_of_sources(dataset, films, tmp_path):
    words = [str(films / "two.mkv"), str(films / "one.mp4")]
    extract(words, tmp_path / "two", OPTIONS, workers=2)
    ours, theirs = digests(dataset.root), digests(tmp_path / "two")
    assert ours == theirs


def test_same_bytes_when_a_film_is_added_later(dataset, films, tmp_path):
    extract([str(films / "two.mkv")], tmp_path / "grown", OPTIONS, workers=1)
    run = extract([str(films)], tmp_path / "grown", OPTIONS, workers=1)
    assert run.done_before == 1
    assert digests(dataset.root) == digests(tmp_path / "grown")


def test_running_again_does_nothing_again(dataset, films):
    times = {
        path: path.stat().st_mtime_ns
        for path in dataset.root.rglob("*.parquet")
        if path.parent != dataset.root
    }
    run = extract([str(films)], dataset.root, OPTIONS, workers=1)
    assert run.done_before == 2
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in times.items())


def test_same_bytes_after_being_killed_at_random_moments(dataset, films, tmp_path):
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "framekit.cli", "extract", str(films), "--out", str(out), "--every", "4"]
    command += ["--crop-size", "64", "--crops-per-frame", "3", "--workers", "2"]
    moments = random.Random(0)
    for _ in range(6):
        process = subprocess.Popen(
            command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=moments.uniform(0.5, 2.5))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for path in out.rglob("*.parquet"):
            assert not path.name.startswith(".") or path.suffix != ".parquet"
        if (out / "dataset.json").exists():
            json.loads((out / "dataset.json").read_text())
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert digests(dataset.root) == digests(out)
    assert not list(out.rglob(".*"))


def test_the_seed_moves_the_crops_and_nothing_else(dataset, films, tmp_path):
    other = extract([str(films)], tmp_path / "seeded", OPTIONS.model_copy(update={"seed": 7}), workers=1)
    first, second = framekit.manifest.open(dataset.root), framekit.manifest.open(other.root)
    assert first.frames().equals(second.frames())
    places = [m.pairs(["crop_x", "crop_y"]).to_pylist() for m in (first, second)]
    assert places[0] != places[1]


def test_other_options_are_refused_and_named(dataset, films):
    with pytest.raises(CommandError, match=r"--every 4 → 5.*another --out"):
        extract([str(films)], dataset.root, OPTIONS.model_copy(update={"every": 5}), workers=1)


def test_a_folder_with_something_else_in_it_is_left_alone(films, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(CommandError, match="is no dataset"):
        extract([str(films)], tmp_path, OPTIONS, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_films_are_reported_and_the_good_ones_done(films, tmp_path, workers):
    folder = tmp_path / "mixed"
    shutil.copytree(films, folder)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.avi").write_text("no film\n" * 100)
    (folder / "cut.mp4").write_bytes((films / "one.mp4").read_bytes()[:3000])
    run = extract([str(folder)], tmp_path / "out", OPTIONS, workers=workers)
    assert {Path(problem.path).name for problem in run.problems} == {"empty.mp4", "text.avi", "cut.mp4"}
    assert [source.id[:3] for source in run.info.sources] == ["one", "two"]
    assert verify(framekit.manifest.open(run.root)) == []


def test_two_films_of_one_name_and_one_film_under_two_names(films, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    shutil.copy(films / "one.mp4", tmp_path / "a/film.mp4")
    shutil.copy(films / "two.mkv", tmp_path / "b/film.mkv")
    shutil.copy(films / "one.mp4", tmp_path / "b/copy.mp4")
    run = extract([str(tmp_path / "a"), str(tmp_path / "b")], tmp_path / "out", OPTIONS, workers=1)
    assert len(run.info.sources) == 2
    assert len({source.id for source in run.info.sources}) == 2
    assert any("has the content of" in note for note in run.notes)


def test_the_same_film_in_another_codec_gives_near_duplicates_across_films(tmp_path):
    frames = [numbered_frame(n // 8, seed=3) for n in range(64)]
    write_film(tmp_path / "a.mp4", frames)
    write_film(tmp_path / "b.avi", frames, codec="mpeg4", options={"b": "3000000"})
    run = extract([str(tmp_path)], tmp_path / "out", OPTIONS, workers=1)
    manifest = framekit.manifest.open(run.root)
    sources = [drop.because_of.split(":")[0] != item.split(":")[0] for item, drop in manifest.dropped.items()]
    assert sum(sources) >= 8
    assert run.info.totals["frames_kept"] == 8


def test_black_frames_and_small_frames_are_left_out_with_their_reason(tmp_path):
    black = [np.zeros((240, 320, 3), np.uint8)] * 8
    write_film(tmp_path / "fade.mp4", [*black, *(numbered_frame(1) for _ in range(8))])
    run = extract([str(tmp_path / "fade.mp4")], tmp_path / "fade", OPTIONS, workers=1)
    assert run.dropped == {"flat": 2, "near-duplicate": 1}
    large = OPTIONS.model_copy(update={"crop_size": 256})
    run = extract([str(tmp_path / "fade.mp4")], tmp_path / "large", large, workers=1)
    # Nothing stands for a held drawing of which nothing can be cut: that is why each of its frames is out.
    assert run.dropped == {"flat": 2, "smaller than the crop": 2}
    assert run.info.totals["pairs"] == 0


def test_frame_height_shrinks_and_records_the_scale(films, tmp_path):
    options = OPTIONS.model_copy(update={"frame_height": 120})
    run = extract([str(films / "one.mp4")], tmp_path / "out", options, workers=1)
    rows = framekit.manifest.open(run.root).pairs(["scale", "crop_x", "crop_y"]).to_pylist()
    assert {row["scale"] for row in rows} == {0.5}
    assert max(row["crop_x"] for row in rows) <= 160 - 64
    assert max(row["crop_y"] for row in rows) <= 120 - 64


def test_every_second_crop_at_another_height(films, tmp_path):
    plain = extract([str(films / "one.mp4")], tmp_path / "plain", OPTIONS, workers=1)
    options = OPTIONS.model_copy(update={"second_height": 120})
    run = extract([str(films / "one.mp4")], tmp_path / "out", options, workers=1)
    columns = ["pair_id", "crop_index", "scale", "crop_x", "crop_y"]
    before = {row["pair_id"]: row for row in framekit.manifest.open(plain.root).pairs(columns).to_pylist()}
    rows = framekit.manifest.open(run.root).pairs(columns).to_pylist()
    assert {(row["crop_index"] % 2, row["scale"]) for row in rows} == {(0, 1.0), (1, 0.5)}
    assert all(row == before[row["pair_id"]] for row in rows if row["crop_index"] % 2 == 0)


def test_resize_squashes_whole_frames_one_row_each(films, tmp_path):
    options = ExtractOptions.model_validate(
        OPTIONS.model_dump(exclude={"crops_per_frame"}) | {"resize": True}
    )
    assert options.crops_per_frame == 1
    run = extract([str(films / "one.mp4")], tmp_path / "out", options, workers=1)
    manifest = framekit.manifest.open(run.root)
    assert manifest.info.options["resize"] is True
    rows = manifest.pairs(["frame_id", "crop_index", "crop_x", "crop_y", "scale"]).to_pylist()
    assert {tuple(row.values())[1:] for row in rows} == {(0, 0, 0, None)}
    assert len({row["frame_id"] for row in rows}) == len(rows) == run.info.totals["frames_kept"]
    oracle = every_by_full_decode(films / "one.mp4", 4)
    frame = oracle[int(rows[0]["frame_id"].rpartition(":")[2])][1]
    assert np.array_equal(manifest[0].image, cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA))
    assert any(note.startswith("--resize: whole frames were squashed") for note in run.notes)
    assert "each a whole frame squashed" in (run.root / "README.md").read_text()
    assert audit(run.root).figures.resizing is None, "nothing here was cut: no crop could be compared"


def test_photos_have_groups_and_no_smoothed_half(tmp_path):
    for group in ("people", "animals"):
        (tmp_path / "photos" / group).mkdir(parents=True)
        for number in range(2):
            image = numbered_frame(number, seed=len(group))
            cv2.imwrite(str(tmp_path / "photos" / group / f"{number}.png"), image[..., ::-1])
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    options = OPTIONS.model_copy(update={"smooth": False})
    run = extract([str(tmp_path / "photos")], tmp_path / "out", options, workers=1)
    manifest = framekit.manifest.open(run.root)
    assert manifest.pairs(["group"])["group"].to_pylist() == ["animals"] * 6 + ["people"] * 6
    assert all(pair.smoothed is None for pair in manifest)
    assert manifest.frames(["name"])["name"].to_pylist()[0] == "animals/0.png"
    assert run.problems[0].what.startswith("damaged in 1 place: broken.jpg")
    assert not manifest.has_smoothed


@pytest.mark.parametrize("encoding", ["jpeg:90", "webp:80"])
def test_lossy_encodings_stay_near_the_crop(films, tmp_path, encoding):
    options = OPTIONS.model_copy(update={"encoding": encoding})
    lossy = framekit.manifest.open(
        extract([str(films / "one.mp4")], tmp_path / "lossy", options, workers=1).root
    )
    exact = framekit.manifest.open(
        extract([str(films / "one.mp4")], tmp_path / "exact", OPTIONS, workers=1).root
    )
    for ours, theirs in zip(lossy, exact, strict=True):
        assert ours.pair_id == theirs.pair_id
        assert np.abs(ours.image.astype(int) - theirs.image).mean() < 8
    assert verify(lossy) == []


def test_interrupted_work_is_a_dataset_that_opens(films, tmp_path):
    out = tmp_path / "begun"
    command = [sys.executable, "-m", "framekit.cli", "extract", str(films), "--out", str(out), "--every", "1"]
    process = subprocess.Popen(
        [*command, "--crop-size", "64"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    until((out / "dataset.json").exists, process)
    process.kill()
    process.wait()
    assert framekit.manifest.open(out).info.options["every"] == 1


def test_decoded_thumbnails_show_the_frame(manifest):
    row = manifest.frames(["frame_id", "frame_number"]).to_pylist()[5]
    thumbnail = decode(manifest.thumbnails([row["frame_id"]])[row["frame_id"]])
    assert thumbnail.shape == (192, 256, 3)
    shown = cv2.resize(thumbnail, (320, 240), interpolation=cv2.INTER_NEAREST)
    assert number_of(shown) == row["frame_number"] // 8


def test_smoothing_is_of_the_stored_crop(manifest):
    pair = manifest[3]
    assert np.array_equal(pair.smoothed, smooth_edges(pair.image))


def test_a_film_of_one_frame(tmp_path):
    path = numbered_film(tmp_path / "one-frame.mp4", 1)
    run = extract([str(path)], tmp_path / "out", OPTIONS, workers=1)
    assert run.info.totals["frames_sampled"] == run.info.totals["frames_kept"] == 1


def test_what_stands_for_a_duplicate_is_never_left_out_itself(tmp_path):
    # a, then b for long, then a sharper a again: the first a is dropped for the second over the whole film
    soft = [cv2.GaussianBlur(numbered_frame(1), (0, 0), 1.2)] * 8
    write_film(tmp_path / "a.mp4", [*soft, *[numbered_frame(2)] * 8, *[numbered_frame(1)] * 8])
    run = extract([str(tmp_path / "a.mp4")], tmp_path / "out", OPTIONS, workers=1)
    manifest = framekit.manifest.open(run.root)
    assert run.info.totals["frames_kept"] == 2
    assert all(drop.because_of not in manifest.dropped for drop in manifest.dropped.values())


def test_problems_of_an_earlier_run_stay_on_record_but_fail_only_that_run(films, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    out = tmp_path / "out"
    first = extract([str(films / "one.mp4"), str(tmp_path / "broken.mp4")], out, OPTIONS, workers=1)
    assert len(first.problems) == 1
    second = extract([str(films / "two.mkv")], out, OPTIONS, workers=1)
    assert second.problems == []
    assert [Path(problem.path).name for problem in second.info.problems] == ["broken.mp4"]
    shutil.copy(films / "two.mkv", tmp_path / "broken.mp4")
    mended = extract([str(tmp_path / "broken.mp4")], out, OPTIONS, workers=1)
    assert mended.info.problems == []


def test_a_shard_of_another_source_is_not_taken_for_ones_own(films, tmp_path):
    run = extract([str(films / "one.mp4")], tmp_path / "first", OPTIONS, workers=1)
    twin = shutil.copy(films / "two.mkv", tmp_path / f"{run.info.sources[0].id}-x.mkv")
    both = extract([str(films / "one.mp4"), str(twin)], tmp_path / "both", OPTIONS, workers=1)
    assert len({shard.path for shard in both.info.shards}) == len(both.info.shards) == 4


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_does_not_wait_for_the_films_under_way(tmp_path, stop):
    frames = [numbered_frame(n % 50, width=640, height=480) for n in range(50)] * 10
    for name in ("a.mp4", "b.mp4"):
        write_film(
            tmp_path / name, frames, options={"preset": "ultrafast", "crf": "30"}, rate=24 + (name == "b.mp4")
        )
    command = [sys.executable, "-m", "framekit.cli", "extract", str(tmp_path), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*command, "--every", "1", "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: list((tmp_path / "out").glob("pairs/.framekit-*")), process)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Run the same command again" in errors and "Traceback" not in errors
    assert not list((tmp_path / "out").glob("pairs/*.parquet")), "it had not waited for a film"
    assert _group_ends(process.pid), "a worker is left behind"


def _group_ends(group: int) -> bool:
    """Whether all processes of a group are gone within some seconds."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
    return False


def test_a_picture_that_breaks_its_decoder_or_is_not_there_costs_only_itself(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "good.png"), numbered_frame(1))
    Image.new("RGB", (64, 64)).save(
        folder / "exif.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40
    )
    (folder / "link.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "page.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    os.mkfifo(folder / "pipe.jpg")
    run = extract([str(folder)], tmp_path / "out", OPTIONS, workers=1)
    assert framekit.manifest.open(run.root).frames(["name"])["name"].to_pylist()[-1] == "good.png"
    assert run.problems[0].what.startswith(("damaged in 3 places", "damaged in 4 places"))


def test_a_film_that_moved_is_known_by_its_content(films, tmp_path):
    out = tmp_path / "out"
    extract([str(films / "one.mp4")], out, OPTIONS, workers=1)
    shutil.copy(films / "one.mp4", tmp_path / "renamed.mp4")
    run = extract([str(tmp_path / "renamed.mp4")], out, OPTIONS, workers=1)
    assert run.done_before == 1
    assert [source.id[:4] for source in run.info.sources] == ["one-"]


def test_the_same_film_under_two_names_has_one_name_whatever_the_order(films, tmp_path):
    names = [str(films / "one.mp4"), str(shutil.copy(films / "one.mp4", tmp_path / "copy.mp4"))]
    runs = [
        extract(order, tmp_path / f"out{i}", OPTIONS, workers=1)
        for i, order in enumerate([names, names[::-1]])
    ]
    assert digests(runs[0].root) == digests(runs[1].root)


def test_lost_and_cut_shards_are_made_again(dataset, films, tmp_path):
    for lost in ("frames", "pairs"):
        for mend in (Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:1000])):
            out = tmp_path / "copy"
            shutil.copytree(dataset.root, out)
            mend(next((out / lost).iterdir()))
            extract([str(films)], out, OPTIONS, workers=1)
            assert digests(out) == digests(dataset.root)
            shutil.rmtree(out)


def test_damage_is_not_taken_for_what_was_written(dataset, films, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(dataset.root, out)
    path = next((out / "frames").iterdir())
    data = bytearray(path.read_bytes())
    data[data.find(b"\xff\xd8\xff") + 40] ^= 0xFF  # in a thumbnail
    path.write_bytes(data)
    assert len(verify(framekit.manifest.open(out))) >= 1
    extract([str(films)], out, OPTIONS, workers=1)
    assert len(verify(framekit.manifest.open(out))) >= 1


def test_lost_decisions_are_said_and_made_again(dataset, films, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(dataset.root, out)
    (out / "decisions.parquet").unlink()
    with pytest.raises(FramekitError, match=r"decisions\.parquet: is missing"):
        len(framekit.manifest.open(out))
    extract([str(films)], out, OPTIONS, workers=1)
    assert digests(out) == digests(dataset.root)
    (out / "decisions.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(FramekitError, match="move it away"):
        extract([str(films)], out, OPTIONS, workers=1)


def test_an_empty_beginning_can_be_gone_on_with(films, tmp_path):
    out = tmp_path / "out"
    run = extract([str(films / "one.mp4")], out, OPTIONS, workers=1)
    for folder in ("frames", "pairs"):
        shutil.rmtree(out / folder)
    (out / "decisions.parquet").unlink()
    assert extract([str(films / "one.mp4")], out, OPTIONS, workers=1).info.totals == run.info.totals


def test_an_empty_folder_among_others_is_only_noted(films, tmp_path):
    (tmp_path / "empty").mkdir()
    run = extract([str(films / "one.mp4"), str(tmp_path / "empty")], tmp_path / "out", OPTIONS, workers=1)
    assert any("holds neither films nor pictures" in note for note in run.notes)


def test_a_worker_that_dies_costs_nothing(dataset, films, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "framekit.cli", "extract", str(films), "--out", str(out), "--every", "4"]
    command += ["--crop-size", "64", "--crops-per-frame", "3", "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    until(lambda: list(out.glob("pairs/.framekit*")), process)
    # They are forked from a process that is a child of the run's own.
    workers = [worker for child in children_of(process.pid) for worker in children_of(child)]
    os.kill(workers[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert digests(out) == digests(dataset.root)


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    frames = [numbered_frame(n % 50, width=640, height=480) for n in range(50)] * 10
    for number in range(2):
        write_film(tmp_path / f"{number}.mp4", frames, options={"preset": "ultrafast"}, rate=24 + number)
    command = [sys.executable, "-m", "framekit.cli", "extract", str(tmp_path), "--out", str(tmp_path / "out")]
    process = subprocess.Popen([*command, "--every", "1", "--workers", "2"], start_new_session=True)
    until(lambda: list((tmp_path / "out").glob("pairs/.framekit-*")), process)
    process.kill()
    process.wait()
    assert _group_ends(process.pid), "a worker goes on"


def test_a_very_long_hold_is_taken_up_anew_and_still_gives_one_picture(tmp_path, monkeypatch):
    monkeypatch.setattr("framekit.extraction.samples.LONGEST_RUN", 5)
    write_film(tmp_path / "still.mp4", [numbered_frame(1)] * 48)
    run = extract([str(tmp_path / "still.mp4")], tmp_path / "out", OPTIONS, workers=1)
    assert run.info.totals["frames_kept"] == 1
    assert run.dropped == {"near-duplicate": 11}


def test_a_film_of_zeros_without_end_is_given_up(films, tmp_path, monkeypatch):
    """As a download leaves it that reserved its room and was cut short."""
    monkeypatch.setattr("framekit.sources.film.PATIENCE", 1.0)
    film = tmp_path / "sparse.mkv"
    data = (films / "two.mkv").read_bytes()
    film.write_bytes(data[: len(data) * 2 // 3])
    os.truncate(film, 1 << 40)
    made = extract([str(film)], tmp_path / "d", ExtractOptions(every=4, crop_size=64), workers=1)
    assert made.info.totals["frames"] > 10
    assert "nothing to be found in it for 1 seconds" in made.problems[0].what


def test_a_film_that_is_cut_short_is_said_so(films, tmp_path):
    data = (films / "two.mkv").read_bytes()
    (tmp_path / "half.mkv").write_bytes(data[: len(data) // 2])
    made = extract([str(tmp_path / "half.mkv"), str(films / "two.mkv")], tmp_path / "d", OPTIONS, workers=1)
    said = [note for note in made.notes if "cut short" in note]
    assert len(said) == 1
    assert "half.mkv holds" in said[0]
    assert "about 64" in said[0]
