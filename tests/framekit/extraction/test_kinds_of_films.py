"""What extraction makes of films that need more than decoding: bars, fields, telecine, codes, other sizes."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from framekit.extraction.extract import Extraction, extract
from framekit.images.hashing import distance
from framekit.options import ExtractOptions
from pipelines.demo_film import draw_film
from tests.odd_films import ODD_FILMS


def extracted(folder, *films, **options) -> Extraction:
    made = ExtractOptions(crops_per_frame=1, crop_size=64, **options)
    return extract([str(film) for film in films], folder, made, workers=1)


def frames_of(made: Extraction):
    paths = sorted((made.root / "frames").glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).drop(["thumbnail"]).to_pylist()]


def test_a_film_with_bars_gives_the_hashes_of_the_film_without(tmp_path):
    (tmp_path / "bars").mkdir()
    (tmp_path / "whole").mkdir()
    truth = draw_film(tmp_path / "bars/film.mkv", seconds=12, letterbox=True, size=(640, 360))
    draw_film(tmp_path / "whole/film.mkv", seconds=12, letterbox=False, size=(640, 360))
    options = {"every": 12, "dedup_distance": 0}
    bars = extracted(tmp_path / "1", tmp_path / "bars/film.mkv", **options)
    x, y, width, height = truth.picture_box
    [facts] = [source.facts for source in bars.info.sources]
    assert facts["letterbox"] == f"{width}:{height}:{x}:{y}"
    by_hand = extracted(tmp_path / "2", tmp_path / "whole/film.mkv", letterbox=facts["letterbox"], **options)
    off = extracted(tmp_path / "3", tmp_path / "bars/film.mkv", letterbox="off", **options)
    assert {(row["width"], row["height"]) for row in frames_of(bars)} == {(width, height)}
    assert {(row["width"], row["height"]) for row in frames_of(off)} == {(640, 360)}
    away = [distance(a["hash"], b["hash"]) for a, b in zip(frames_of(bars), frames_of(by_hand), strict=True)]
    assert np.mean(away) <= 1
    assert max(away) <= 4


def test_a_box_that_does_not_fit_is_said_of_the_film_that_it_does_not_fit(tmp_path, films):
    made = extracted(tmp_path / "set", films / "one.mp4", letterbox="1280:720:0:0")
    assert "its picture of 320×240 has no room for --letterbox 1280:720:0:0" in made.problems[0].what
    assert not made.info.sources


def test_interlaced_films_are_mended(tmp_path):
    film = ODD_FILMS["mpeg2_interlaced"](tmp_path)
    mended = extracted(tmp_path / "auto", film, every=30)
    combed = extracted(tmp_path / "off", film, every=30, deinterlace="off")
    assert [source.facts["interlaced"] for source in mended.info.sources] == [True]
    assert [row["frame_number"] for row in frames_of(mended)] == [0, 30, 60, 90]
    assert all(
        a["sharpness"] != b["sharpness"] for a, b in zip(frames_of(mended), frames_of(combed), strict=True)
    )


def test_each_size_of_a_film_that_changes_midway_is_taken(tmp_path):
    made = extracted(tmp_path / "set", ODD_FILMS["size_changes"](tmp_path), every=20)
    sizes = [(row["width"], row["height"]) for row in frames_of(made)]
    assert len(set(sizes)) == 2
    assert sizes == sorted(sizes)
    assert made.info.sources[0].facts["decoding"].startswith("everything: ")


def test_each_size_of_a_film_that_changes_midway_is_taken_out_of_telecine(tmp_path):
    film = ODD_FILMS["size_changes"](tmp_path)
    made = extracted(tmp_path / "set", film, every=16, inverse_telecine=True)
    assert [(row["frame_number"], row["width"]) for row in frames_of(made)] == [
        (number, 320 if number < 48 else 480) for number in range(0, 96, 16)
    ]


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="the ffmpeg program encrypts the film")
def test_an_encrypted_film_is_said_to_be_so(tmp_path):
    made = extracted(tmp_path / "set", ODD_FILMS["encrypted_mp4"](tmp_path))
    assert "encrypted" in made.problems[0].what


def test_what_telecine_did_is_said_and_undone(tmp_path, real_data):
    film = real_data / "oddities/popeye_sd_sar8x9.mkv"
    as_it_is = extracted(tmp_path / "1", film, count=4)
    assert any("--inverse-telecine takes it back" in note for note in as_it_is.notes)
    back = extracted(tmp_path / "2", film, count=4, inverse_telecine=True)
    assert not back.notes
    assert as_it_is.info.totals["frames"] == 1800
    assert back.info.totals["frames"] == 1440


def test_a_device_that_is_not_there_is_said_and_done_without(tmp_path, films):
    options = ExtractOptions(every=20, crop_size=64)
    made = extract([str(films / "one.mp4")], tmp_path / "set", options, workers=1, hwaccel="vdpau")
    assert made.notes == [f"vdpau could not be had; decoded in software: {films / 'one.mp4'}"]
    assert made.info.sources[0].facts["decoder"] == "h264"


@pytest.mark.parametrize("way", [{"seconds": 1.0}, {"count": 4}, {"keyframes": True}, {"scenes": True}])
def test_every_way_to_sample_makes_a_dataset(tmp_path, films, way):
    made = extracted(tmp_path / "set", films / "one.mp4", **way)
    assert not made.problems
    assert made.info.totals["frames"] == 96
    assert made.info.totals["pairs"] >= 1


def test_when_no_frame_is_taken_it_is_said_why(tmp_path, films):
    made = extracted(tmp_path / "set", films / "one.mp4", skip=("0-end",))
    assert "none of its 96 frames is taken" in made.problems[0].what
