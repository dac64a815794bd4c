"""Deciding again from what is stored: the same as while the film was decoded, and otherwise when asked to."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner

import framekit.manifest
import framekit.manifest.verifying
from framekit.cli import main
from framekit.errors import FramekitError
from framekit.extraction.deciding import NOT_CUT
from framekit.extraction.extract import extract
from framekit.extraction.settling import decide_again, split
from framekit.images.likeness import SIZE, alike
from framekit.manifest import decide
from framekit.manifest.schema import Split
from framekit.options import ExtractOptions, Limits
from tests.taggers import COLOURS, colour_tagger, random_tagger

OPTIONS = ExtractOptions(every=3, crop_size=96, crops_per_frame=2)


@pytest.fixture(scope="module")
def made(films, tmp_path_factory):
    out = tmp_path_factory.mktemp("decided") / "dataset"
    extract([str(films)], out, OPTIONS, workers=1)
    return out


@pytest.fixture
def dataset(made, tmp_path):
    """A copy that a test may decide about."""
    import shutil

    shutil.copytree(made, tmp_path / "dataset")
    return tmp_path / "dataset"


def bytes_of(dataset):
    return {path.name: path.read_bytes() for path in dataset.glob("*.parquet")}


def dropped(dataset):
    return framekit.manifest.open(dataset).dropped


def test_the_same_limits_decide_the_same_bytes(dataset):
    before = bytes_of(dataset)
    settled = decide_again(dataset, Limits())
    assert bytes_of(dataset) == before
    assert NOT_CUT not in settled.dropped
    assert settled.info.totals == framekit.manifest.open(dataset).info.totals


@pytest.mark.real
@pytest.mark.parametrize("name", ["popeye/sindbad-2.mkv", "pennychip/stargazing.mp4"])
def test_on_real_films_too_nothing_that_is_wanted_has_no_pairs(real_data, tmp_path, name):
    made = extract([str(real_data / "films" / name)], tmp_path / "d", OPTIONS.model_copy(update={"every": 6}))
    assert made.dropped["near-duplicate"]
    assert not made.dropped[NOT_CUT]


def test_other_limits_decide_otherwise_and_back_again(dataset):
    before = bytes_of(dataset)
    wider = decide_again(dataset, Limits(dedup_distance=40))
    assert wider.dropped["near-duplicate"] > Counter(d.reason for d in dropped(dataset).values())[NOT_CUT]
    assert len(framekit.manifest.open(dataset)) == wider.info.totals["pairs"]
    assert framekit.manifest.open(dataset).info.options["dedup_distance"] == 40
    decide_again(dataset, Limits(dedup_distance=OPTIONS.dedup_distance))
    assert bytes_of(dataset) == before


def test_a_frame_that_other_limits_want_and_that_has_no_pairs_is_not_cut_yet(films, tmp_path):
    made = extract([str(films)], tmp_path / "d", OPTIONS.model_copy(update={"min_contrast": 55}), workers=1)
    assert made.dropped["flat"]
    settled = decide_again(tmp_path / "d", Limits(min_contrast=6))
    assert settled.dropped[NOT_CUT]
    manifest = framekit.manifest.open(tmp_path / "d")
    with_pairs = set(manifest.undecided.pairs(["frame_id"])["frame_id"].to_pylist())
    assert not with_pairs & {item for item, why in manifest.dropped.items() if why.reason == NOT_CUT}


def test_rules_leave_out_frames_and_crops_by_any_measure(dataset):
    manifest = framekit.manifest.open(dataset)
    frames = manifest.frames(["frame_id", "sharpness"]).to_pylist()
    crops = manifest.pairs(["pair_id", "brightness"]).to_pylist()
    sharpness = round(float(np.median([row["sharpness"] for row in frames])), 3)
    brightness = round(float(np.median([row["brightness"] for row in crops])), 3)
    decide_again(dataset, Limits(leave_out=(f"sharpness<{sharpness}", f"crop.brightness>{brightness}")))
    out = dropped(dataset)
    soft = {row["frame_id"] for row in frames if row["sharpness"] < sharpness}
    bright = {row["pair_id"] for row in crops if row["brightness"] > brightness}
    assert soft
    assert bright
    assert {item for item, why in out.items() if why.reason.startswith("sharpness<")} == soft
    assert bright <= {item for item, why in out.items() if why.reason.startswith("crop.brightness>")}
    kept = framekit.manifest.open(dataset).pairs(["pair_id", "frame_id"]).to_pylist()
    assert not {row["pair_id"] for row in kept} & bright
    assert not {row["frame_id"] for row in kept} & soft


def test_a_person_stands_over_rules_and_rules_come_back(dataset):
    manifest = framekit.manifest.open(dataset)
    duplicate = next(item for item, why in manifest.dropped.items() if why.reason == "near-duplicate")
    kept = manifest.pairs(["frame_id"])["frame_id"][0].as_py()
    decide(dataset, [duplicate], keep=True, reason="the blink", by="ada")
    decide(dataset, [kept], keep=False, reason="logo", by="ada")
    decide_again(dataset, Limits(dedup_distance=3))
    assert duplicate not in dropped(dataset)
    assert dropped(dataset)[kept].reason == "logo"
    decide(dataset, [duplicate, kept], keep=None, reason="", by="ada")
    decide_again(dataset, Limits(dedup_distance=OPTIONS.dedup_distance))
    assert dropped(dataset) == manifest.dropped


def test_hashes_of_another_kind_are_refused(dataset, films, monkeypatch):
    monkeypatch.setattr("framekit.images.hashing.VERSION", 99)
    with pytest.raises(FramekitError, match="its hashes are phash-1, those of this dataset phash-99"):
        extract([str(films)], dataset, OPTIONS, workers=1)


def test_decisions_about_what_is_not_here_are_reported(dataset):
    import pyarrow.parquet as pq

    from framekit.manifest.decisions import drop
    from framekit.manifest.writing import write_decisions

    rows = pq.read_table(dataset / "decisions.parquet").to_pylist()
    write_decisions(dataset, [*rows, drop("gone-00000000:7", "logo", by="ada")])
    notes = decide_again(dataset, Limits()).notes
    assert any("gone-00000000:7" in note for note in notes)
    faults = framekit.manifest.verifying.verify(framekit.manifest.open(dataset))
    assert faults == ["decisions.parquet: gone-00000000:7: no frame or pair has this id"]


def test_the_command_line(dataset):
    def run(*words):
        result = CliRunner(catch_exceptions=False).invoke(main, [str(word) for word in words])
        return result.exit_code, result.stdout, result.stderr

    code, out, _ = run("dedup", dataset, "--distance", "12", "--json")
    assert code == 0
    assert json.loads(out)["totals"]["pairs"] == len(framekit.manifest.open(dataset))
    code, out, _ = run("split", dataset, "--by", "duplicate-group", "--test", "0.3", "--json")
    assert code == 0
    assert json.loads(out)["split"]["pairs"]["test"] == len(framekit.manifest.open(dataset).test) > 0
    frame = framekit.manifest.open(dataset).pairs(["frame_id"])["frame_id"][0].as_py()
    assert run("decide", dataset, frame, "--drop", "--reason", "logo", "--by", "ada")[0] == 0
    assert frame in dropped(dataset)
    code, out, _ = run("decide", dataset, frame)
    assert "leave out: logo, by ada at 20" in out
    code, _, err = run("decide", dataset, "nobody-00000000:1", "--keep")
    assert code == 2
    assert "nobody-00000000:1" in err
    code, _, err = run("dedup", dataset, "--leave-out", "nose>3")
    assert code == 2
    assert "no measure nose" in err
    code, _, err = run("dedup", dataset.parent / "nothing")
    assert code == 2


# Splits


def looks(frames):
    signatures = np.frombuffer(b"".join(frames["signature"].to_pylist()), np.uint8)
    return frames["hash"].to_numpy(), signatures.reshape(-1, SIZE)


def near(first, second):
    """Whether any frame of one table is a near-duplicate of one of the other."""
    hashes, signatures = looks(first)
    for hash_, signature in zip(*looks(second), strict=True):
        same = np.full(len(hashes), hash_), np.repeat(signature[None], len(hashes), 0)
        if alike(hashes, signatures, *same, OPTIONS.dedup_distance).any():
            return True
    return False


@pytest.mark.parametrize("by", ["film", "scene", "duplicate-group"])
def test_nothing_alike_and_no_shot_stands_on_both_sides(dataset, by):
    split(dataset, Split(by=by, test=0.3, seed=0))
    manifest = framekit.manifest.open(dataset)
    train, test = manifest.train.frames(), manifest.test.frames()
    assert test.num_rows
    import numpy as np

    columns = [
        (
            side["hash"].to_numpy(),
            np.frombuffer(b"".join(side["signature"].to_pylist()), np.uint8).reshape(-1, SIZE),
        )
        for side in (train, test)
    ]
    for hash_, signature in zip(*columns[1], strict=True):
        many = len(columns[0][0])
        near = alike(
            columns[0][0], columns[0][1], np.repeat(hash_, many), np.repeat(signature[None], many, 0), 6
        )
        assert not near.any()
    if by == "film":
        assert not set(train["source"].to_pylist()) & set(test["source"].to_pylist())


@pytest.mark.real
def test_no_shot_of_a_real_film_stands_on_both_sides(real_data, tmp_path):
    from framekit.sources.decoding import shots_of

    film = real_data / "films/big-buck-bunny.ts"
    extract([str(film)], tmp_path / "d", OPTIONS.model_copy(update={"every": 12}))
    settled = split(tmp_path / "d", Split(by="scene", test=0.2, seed=0))
    assert settled.sides["test"]
    manifest = framekit.manifest.open(tmp_path / "d")
    sides = [
        set(view.frames(["frame_number"])["frame_number"].to_pylist())
        for view in (manifest.train, manifest.test)
    ]
    shots = [set(range(shot.start, shot.stop)) for shot in shots_of(film)]
    assert len(shots) > 10
    assert not any(shot & sides[0] and shot & sides[1] for shot in shots)


def test_sides_stay_when_a_film_is_added(films, tmp_path):
    from tests.films import numbered_film

    extract([str(films)], tmp_path / "d", OPTIONS, workers=1)
    split(tmp_path / "d", Split(by="duplicate-group", test=0.3, seed=0))
    before = framekit.manifest.open(tmp_path / "d").split.to_pydict()
    numbered_film(tmp_path / "three.mp4", 60, seed=3, hold=4)
    extract([str(films), str(tmp_path / "three.mp4")], tmp_path / "d", OPTIONS, workers=1)
    after = framekit.manifest.open(tmp_path / "d").split.to_pydict()
    sides = dict(zip(after["frame_id"], after["split"], strict=True))
    assert {frame: sides[frame] for frame in before["frame_id"]} == dict(
        zip(before["frame_id"], before["split"], strict=True)
    )
    assert len(sides) > len(before["frame_id"])
    assert None not in set(after["split"])


def test_one_film_cannot_be_split_by_film_and_lost_films_not_by_scene(films, tmp_path):
    (tmp_path / "films").mkdir()
    film = tmp_path / "films" / "one.mp4"
    film.write_bytes((films / "one.mp4").read_bytes())
    extract([str(film)], tmp_path / "d", OPTIONS, workers=1)
    with pytest.raises(FramekitError, match="can't be split by film"):
        split(tmp_path / "d", Split(by="film", test=0.1, seed=0))
    film.unlink()
    with pytest.raises(FramekitError, match="is not there"):
        split(tmp_path / "d", Split(by="scene", test=0.1, seed=0))
    assert framekit.manifest.open(tmp_path / "d").info.split is None


@pytest.mark.real
def test_the_same_film_in_another_size_and_codec_counts_once(real_data, tmp_path):
    """The larger one is the sharper one, and what is kept of the smaller is what it alone shows."""
    import av

    source, smaller = real_data / "films/popeye/sindbad-1.mkv", tmp_path / "smaller.ts"
    with av.open(str(source)) as old, av.open(str(smaller), "w") as new:
        stream = new.add_stream("mpeg2video", rate=24, options={"b": "1500k"})
        stream.width, stream.height, stream.pix_fmt = 720, 536, "yuv420p"
        for frame in itertools.islice(old.decode(video=0), 480):
            small = frame.reformat(720, 536, "yuv420p")
            small.pts, small.time_base = frame.pts, frame.time_base
            new.mux(stream.encode(small))
        new.mux(stream.encode())
    options = ExtractOptions(every=24, skip=("20-end",), crop_size=256, crops_per_frame=1)
    extract([str(source), str(smaller)], tmp_path / "d", options)
    manifest = framekit.manifest.open(tmp_path / "d")
    rows = manifest.frames(["frame_id", "source", "frame_number"]).to_pylist()
    kept = [row for row in rows if row["frame_id"] not in manifest.dropped]
    of_smaller = [row for row in kept if row["source"].startswith("smaller")]
    assert len(rows) == 40
    assert len(of_smaller) <= 1
    for row in rows:
        word = manifest.dropped.get(row["frame_id"])
        if row["source"].startswith("smaller") and word:
            assert word.because_of.startswith("sindbad-1")


# Content


@pytest.fixture
def tagger(tmp_path):
    return colour_tagger(tmp_path / "tagger")


def test_a_tagger_says_what_frames_show(films, tagger, tmp_path):
    options = OPTIONS.model_copy(update={"tagger": str(tagger), "every": 8})
    for workers in (1, 2):
        extract([str(films)], tmp_path / str(workers), options, workers=workers)
    assert bytes_of(tmp_path / "1" / "frames") == bytes_of(tmp_path / "2" / "frames")
    manifest = framekit.manifest.open(tmp_path / "1")
    rows = manifest.frames(["tags", "content"]).to_pylist()
    assert all(row["content"] for row in rows)
    assert {"people", "greenery", "scenery", "other"} >= {group for row in rows for group in row["content"]}
    assert all(json.loads(row["tags"]).keys() <= {*COLOURS, "momotaro"} for row in rows)
    assert manifest.info.tagger.keys() == {"model.onnx", "selected_tags.csv", "content table"}


def test_without_a_tagger_content_is_not_measured(made):
    assert set(framekit.manifest.open(made).frames(["content"])["content"].to_pylist()) == {None}
    result = CliRunner(catch_exceptions=False).invoke(main, ["audit", str(made)])
    assert "content: not measured" in result.stdout


def test_another_tagger_or_none_is_refused_in_one_line(films, tagger, tmp_path):
    options = OPTIONS.model_copy(update={"tagger": str(tagger), "every": 8})
    with pytest.raises(FramekitError, match=r"model\.onnx"):
        extract([str(films)], tmp_path / "d", options.model_copy(update={"tagger": str(films)}), workers=1)
    extract([str(films)], tmp_path / "d", options, workers=1)
    for file in random_tagger(tmp_path / "other").iterdir():
        (tagger / file.name).write_bytes(file.read_bytes())
    with pytest.raises(FramekitError, match="not the image tagger that this dataset was made with"):
        extract([str(films)], tmp_path / "d", options, workers=1)


# What goes wrong


def run(*words):
    result = CliRunner(catch_exceptions=False).invoke(main, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("share", ["nan", "0", "1", "-0.5", "inf"])
def test_a_share_that_is_none_is_refused(dataset, share):
    code, _, err = run("split", dataset, "--test", share, "--by", "duplicate-group")
    assert code == 2
    assert "--test" in err
    assert framekit.manifest.open(dataset).info.split is None


def test_a_lost_or_damaged_split_never_lets_the_test_side_train(dataset):
    spec = Split(by="duplicate-group", test=0.3, seed=0)
    split(dataset, spec)
    sides = framekit.manifest.open(dataset).split.to_pydict()
    for damage in ("lost", b"garbage"):
        (dataset / "split.parquet").unlink()
        if isinstance(damage, bytes):
            (dataset / "split.parquet").write_bytes(damage)
        with pytest.raises(FramekitError, match="framekit split"):
            len(framekit.manifest.open(dataset).train)
        split(dataset, spec)  # which is the cure
        assert framekit.manifest.open(dataset).split.to_pydict() == sides


@pytest.mark.parametrize("column", ["item", "keep", "by", "reason"])
def test_decisions_without_a_column_are_refused(dataset, column):
    import pyarrow.parquet as pq

    table = pq.read_table(dataset / "decisions.parquet")
    pq.write_table(table.drop_columns([column]), dataset / "decisions.parquet")
    with pytest.raises(FramekitError, match="cannot be read"):
        len(framekit.manifest.open(dataset))


def test_a_side_that_is_empty_or_far_from_what_was_asked_is_said(dataset):
    settled = split(dataset, Split(by="duplicate-group", test=0.999, seed=0))
    assert settled.sides["train"]
    assert any("was asked for" in note for note in split(dataset, Split(by="film", test=0.01, seed=0)).notes)


def test_rules_by_hand_can_be_taken_back(dataset):
    before = bytes_of(dataset)
    assert run("dedup", dataset, "--leave-out", "brightness>=0")[0] == 0
    assert not len(framekit.manifest.open(dataset))
    assert run("dedup", dataset, "--leave-out", "none")[0] == 0
    assert bytes_of(dataset) == before


def test_what_stands_for_a_frame_is_kept_whatever_the_limits(dataset):
    for limits in (
        Limits(),
        Limits(dedup_distance=1, pan_overlap=1),
        Limits(dedup_distance=30),
        Limits(min_contrast=50),
    ):
        decide_again(dataset, limits)
        out = dropped(dataset)
        assert not {why.because_of for why in out.values()} & out.keys()


def test_frames_with_pairs_stand_for_those_without(films, tmp_path):
    made = extract([str(films)], tmp_path / "d", OPTIONS.model_copy(update={"min_contrast": 55}), workers=1)
    with_pairs = made.info.totals["pairs"]
    decide_again(tmp_path / "d", Limits(min_contrast=0, dedup_distance=30))
    manifest = framekit.manifest.open(tmp_path / "d")
    assert 0 < len(manifest) <= with_pairs
    assert not [i for i, why in manifest.dropped.items() if why.reason == NOT_CUT and why.because_of]


def test_a_decision_is_in_the_totals_and_asking_about_nothing_is_wrong(dataset):
    frame = framekit.manifest.open(dataset).pairs(["frame_id"])["frame_id"][0].as_py()
    assert run("decide", dataset, frame, "--drop")[0] == 0
    manifest = framekit.manifest.open(dataset)
    assert manifest.info.totals["pairs"] == len(manifest)
    assert frame in run("decide", dataset, f"{frame}#0")[1]
    assert run("decide", dataset, "nobody:1")[0] == 2
    assert run("decide", dataset, "--drop")[0] == 2


def test_commands_at_once_lose_nothing(dataset):
    import subprocess
    import sys

    program = [sys.executable, "-m", "framekit.cli"]
    commands = [
        ["dedup", str(dataset), "--distance", "3"],
        ["split", str(dataset), "--by", "duplicate-group"],
    ]
    running = [subprocess.Popen([*program, *words], stdout=subprocess.DEVNULL) for words in commands]
    assert [process.wait() for process in running] == [0, 0]
    info = framekit.manifest.open(dataset).info
    assert info.options["dedup_distance"] == 3
    assert info.split.by == "duplicate-group"
