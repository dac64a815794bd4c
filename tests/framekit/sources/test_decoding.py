"""Pictures of films are those of a full decode: each odd film and real one, by every sampler."""

import random
import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from framekit.errors import FramekitError
from framekit.sources import frames as frames_module
from framekit.sources.decoding import (
    Approach,
    Look,
    Picture,
    Surprise,
    film_pictures,
    pictures_at,
    timeline_of,
)
from framekit.sources.frames import Decoded
from framekit.sources.sampling import Sampling, parse_skip
from pipelines.demo_film import draw_film
from tests.films import number_of, numbered_film
from tests.odd_films import COUNT, NOISE, ODD_FILMS, RATE, SIZE, UNREADABLE, encode
from tests.oracles.full_decode import FullDecode
from tests.oracles.sampled_pictures import differences, sampled_pictures

SAMPLINGS = {
    "every 1": Sampling(every=1),
    "every 7": Sampling(every=7),
    "every 50": Sampling(every=50),
    "seconds": Sampling(seconds=Fraction(7, 10)),
    "count": Sampling(count=9),
    "keyframes": Sampling(keyframes=True),
    "skip from the start": Sampling(every=5, skip=(parse_skip("0-1.5"),)),
    "skip from the end": Sampling(seconds=Fraction(1, 3), skip=(parse_skip("-1.5-end"),)),
    "count and skips": Sampling(count=5, skip=(parse_skip("0-1"), parse_skip("-2--1"))),
    "keyframes and a skip": Sampling(keyframes=True, skip=(parse_skip("1-2"),)),
}
FOR_LONG_FILMS = {
    "every 50": SAMPLINGS["every 50"],
    "count and skips": SAMPLINGS["count and skips"],
    "keyframes": SAMPLINGS["keyframes"],
}
ON_TWO_THREADS = {name: SAMPLINGS[name] for name in ("every 7", "keyframes")}
MPEG = ("h264_defaults", "h264_open_gop_mkv", "hevc_open_gop", "hevc_temporal_layers", "mpeg2_open_gop")
FOR_CLIPS = {"every 50": SAMPLINGS["every 50"]}
SCENES = {"scenes": Sampling(scenes=True, pictures_per_scene=2)}
LONG_FILMS = ("big-buck-bunny.ts", "steamboat-willie.mp4", "popeye/sindbad-1.mkv", "popeye/sindbad-2.mkv")


def wrong(path: Path, samplings: dict[str, Sampling], *, threads: int = 1) -> dict[str, list[str]]:
    """By sampling, what of a film's pictures is not as a full decode gives it."""
    approach, oracle = Approach(timeline=timeline_of(path)[0], threads=threads), FullDecode(path)
    numbers = {name: oracle.numbers(sampling) for name, sampling in samplings.items()}
    taken = oracle.taken(set().union(*numbers.values()))
    found = {
        name: differences(sampled_pictures(path, sampling, approach), oracle, numbers[name], taken)
        for name, sampling in samplings.items()
    }
    return {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize("name", sorted(set(ODD_FILMS) - UNREADABLE - NOISE))
def test_every_sampler_gives_what_a_full_decode_gives(odd_film, name):
    assert wrong(odd_film(name), SAMPLINGS) == {}


@pytest.mark.parametrize("name", [*MPEG, "h264_mbaff", "h264_weighted_prediction", "vp9"])
def test_two_threads_give_what_one_gives(odd_film, name):
    assert wrong(odd_film(name), ON_TWO_THREADS, threads=2) == {}


@pytest.mark.parametrize("name", ["h264_open_gop_ts", "mpeg2_interlaced", "vp9"])
def test_scenes_are_what_a_full_decode_gives(odd_film, name):
    assert wrong(odd_film(name), SCENES) == {}


@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_what_cannot_be_read_gives_no_pictures(odd_film, name):
    try:
        pictures = list(film_pictures(odd_film(name), Sampling(every=1), decoded=Decoded()))
    except FramekitError:
        return
    assert pictures == []


@pytest.mark.parametrize("name", ["h264_open_gop_mkv", "hevc_temporal_layers", "mpeg2_open_gop", "av1"])
@pytest.mark.parametrize("step", [1, 7, 50])
def test_frame_numbers_are_places_in_display_order(odd_film, name, step):
    path = odd_film(name)
    got = sampled_pictures(path, Sampling(every=step), Approach(timeline=timeline_of(path)[0]))
    assert [number_of(picture.image) for picture in got.pictures] == list(range(0, COUNT, step))
    assert [picture.place.number for picture in got.pictures] == list(range(0, COUNT, step))


@pytest.mark.parametrize("name", ["h264_defaults", "hevc_open_gop_ts", "mpeg2_closed_gop"])
def test_sound_films_hold_no_surprise(odd_film, name):
    timeline, _ = timeline_of(odd_film(name))
    assert sampled_pictures(odd_film(name), Sampling(every=7), Approach(timeline)).approach == Approach(
        timeline
    )


def test_interlaced_films_are_decoded_with_the_frames_beside_wanted_ones(odd_film):
    timeline, _ = timeline_of(odd_film("mpeg2_interlaced"))
    got = sampled_pictures(odd_film("mpeg2_interlaced"), Sampling(every=50), Approach(timeline))
    assert got.approach == Approach(timeline, neighbours=True)


def test_seconds_count_from_the_stream_s_start(odd_film):
    pictures = list(film_pictures(odd_film("ts_late_clock"), Sampling(every=24), decoded=Decoded()))
    assert [picture.place.seconds for picture in pictures] == pytest.approx([0, 1, 2, 3, 4], abs=1e-3)
    assert pictures[0].place.pts >= 80_000 * 90_000


def taken(path: Path, **sampling) -> list[Picture]:
    return list(film_pictures(path, Sampling(**sampling), decoded=Decoded()))


@pytest.mark.parametrize("name", ["ts_clock_restarts", "mpg_clock_restarts", "h264_avi", "mpeg4_avi"])
def test_time_goes_on_where_a_clock_restarts_or_stands_in_the_order_of_decoding(odd_film, name):
    path = odd_film(name)
    pictures = taken(path, every=1)
    assert [picture.place.seconds for picture in pictures] == pytest.approx(
        [number / RATE for number in range(COUNT)], abs=1e-3
    )
    assert numbers(taken(path, seconds=Fraction(1, 2))) == pytest.approx(list(range(0, COUNT, 12)), abs=1)
    assert numbers(taken(path, every=1, skip=(parse_skip("-1-end"),))) == list(range(COUNT - RATE))


def numbers(pictures: list[Picture]) -> list[int]:
    found = [picture.place.number for picture in pictures]
    assert [number_of(picture.image) for picture in pictures] == found
    return found


def test_stamps_stay_the_stream_s_own_where_its_clock_restarts(odd_film):
    stamps = [picture.place.pts for picture in taken(odd_film("ts_clock_restarts"), every=1)]
    assert stamps[60:] == stamps[:60]


def test_each_part_of_a_film_has_the_pixel_aspect_that_it_states(odd_film):
    widths = [picture.image.shape[1] for picture in taken(odd_film("aspect_changes"), every=1)]
    assert widths == [round(SIZE[0] * 16 / 15)] * 60 + [round(SIZE[0] * 64 / 45)] * 60


@pytest.mark.parametrize("name", ["size_changes", "aspect_changes", "ts_clock_restarts"])
def test_inverse_telecine_of_a_film_that_was_joined_runs_through(odd_film, name):
    decoded = Decoded()
    sampling, look = Sampling(every=1), Look(inverse_telecine=True)
    pictures = list(film_pictures(odd_film(name), sampling, decoded=decoded, look=look))
    assert len(pictures) == decoded.frames == COUNT * 4 // 5
    seconds = [picture.place.seconds for picture in pictures]
    assert all(before < after for before, after in pairwise(seconds))
    assert seconds[-1] == pytest.approx(COUNT / RATE, abs=0.2)
    shapes = [picture.image.shape for picture in pictures]
    assert len(set(shapes)) == (1 if name == "ts_clock_restarts" else 2)


def test_inverse_telecine_loses_no_keyframe(tmp_path):
    path = numbered_film(tmp_path / "keys.mkv", COUNT, options={"g": "8", "sc_threshold": "0"})
    look = Look(inverse_telecine=True)
    found = list(film_pictures(path, Sampling(keyframes=True), decoded=Decoded(), look=look))
    late = [number_of(picture.image) - 8 * key for key, picture in enumerate(found)]
    assert len(late) == COUNT // 8
    assert set(late) == {0, 1}


def test_a_damaged_film_gives_what_a_tolerant_full_decode_gives(tmp_path):
    whole = numbered_film(tmp_path / "whole.mkv", 100, options={"g": "20"})
    data = bytearray(whole.read_bytes())
    for place in range(len(data) // 3, len(data) // 3 + 4000, 7):
        data[place] ^= 0x5A
    path = tmp_path / "damaged.mkv"
    path.write_bytes(data)
    assert wrong(path, SAMPLINGS) == {}
    assert wrong(path, ON_TWO_THREADS, threads=2) == {}


def in_parts(path: Path, *, every: int, length: int) -> tuple[list[Picture], bool]:
    """Pictures of a film that has a timeline, span after span, each from a jump on, and whether all jumps led
    where they should."""
    timeline = timeline_of(path)[0]
    assert timeline is not None
    spans = timeline.spans(length)
    assert [start for start, _ in spans] == [0, *(stop for _, stop in spans[:-1])]
    pictures: list[Picture] = []
    jumped = True
    for start, stop in spans:
        numbers = [number for number in range(start, stop) if number % every == 0]
        approach = Approach(timeline=timeline)
        while True:
            decoded = Decoded()
            try:
                part = pictures_at(path, numbers, decoded=decoded, approach=approach, span=range(start, stop))
                taken = list(part)
            except Surprise as surprise:
                approach = surprise.approach
                assert approach.timeline is not None
                continue
            jumped &= approach.seek
            assert decoded.frames == stop - start
            pictures += taken
            break
    return pictures, jumped


def same(some: list[Picture], others: list[Picture]) -> bool:
    return [picture.place for picture in some] == [picture.place for picture in others] and all(
        (one.image == other.image).all() for one, other in zip(some, others, strict=True)
    )


def with_timeline(path: Path) -> bool:
    try:
        return timeline_of(path)[0] is not None
    except FramekitError:
        return False


@pytest.mark.parametrize("name", sorted(set(ODD_FILMS) - UNREADABLE - NOISE))
def test_parts_of_a_film_are_what_the_whole_gives(odd_film, monkeypatch, name):
    monkeypatch.setattr(frames_module, "WORTH_A_JUMP", 0)
    if not with_timeline(odd_film(name)):
        pytest.skip("without a timeline a film has no parts")
    sampled = sampled_pictures(odd_film(name), Sampling(every=3), Approach(timeline_of(odd_film(name))[0]))
    if sampled.approach.timeline is None:
        pytest.skip("its packets promise what it does not hold")
    assert same(in_parts(odd_film(name), every=3, length=12)[0], sampled.pictures)


@pytest.mark.real
@pytest.mark.parametrize("name", LONG_FILMS)
def test_parts_of_real_films_are_what_the_whole_gives(real_data, name):
    path = real_data / "films" / name
    whole = list(
        film_pictures(path, Sampling(every=50), decoded=Decoded(), approach=Approach(timeline_of(path)[0]))
    )
    parts, jumped = in_parts(path, every=50, length=300)
    assert same(parts, whole)
    assert jumped


def test_a_jump_that_leads_elsewhere_is_noticed(tmp_path, monkeypatch):
    path = numbered_film(tmp_path / "film.mp4", 96, options={"g": "8"})
    timeline = timeline_of(path)[0]
    assert timeline is not None
    monkeypatch.setattr(frames_module, "WORTH_A_JUMP", 0)
    monkeypatch.setattr(frames_module, "_packets_after", lambda container, stream, *_: iter([]))
    with pytest.raises(Surprise) as surprise:
        list(pictures_at(path, [80], decoded=Decoded(), approach=Approach(timeline)))
    assert not surprise.value.approach.seek
    pictures = list(pictures_at(path, [80], decoded=Decoded(), approach=surprise.value.approach))
    assert [number_of(picture.image) for picture in pictures] == [80]


@pytest.mark.real
def test_damage_is_counted_and_the_rest_decoded(real_data):
    path, decoded = real_data / "oddities/truncated_faststart.mp4", Decoded()
    pictures = list(film_pictures(path, Sampling(every=1), decoded=decoded))
    assert len(pictures) == decoded.frames == 60
    assert decoded.damaged == 1
    assert "damaged packet" in decoded.damage[0]


def test_a_picture_that_its_decoder_made_up_in_part_is_damage(tmp_path):
    path = encode(tmp_path / "film.mp4", "libx264", options={"g": "12"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = random.Random(0).randbytes(600)
    path.write_bytes(data)
    sampled = sampled_pictures(path, Sampling(every=1), Approach(timeline_of(path)[0]))
    assert len(sampled.pictures) == sampled.decoded.frames == COUNT
    assert 1 <= sampled.decoded.damaged <= 12
    assert re.fullmatch("frame [0-9]+ is damaged: parts of it are made up", sampled.decoded.damage[-1])


REFUSED_ODDITIES = ("cover_only.mp3", "empty.mp4", "truncated_nomoov.mp4")


@pytest.mark.real
@pytest.mark.parametrize("folder", ["oddities", "films/synfig"])
def test_real_oddities_give_what_a_full_decode_gives(real_data, folder):
    compared = 0
    for path in sorted((real_data / folder).iterdir()):
        if path.name in REFUSED_ODDITIES:
            with pytest.raises(FramekitError):
                timeline_of(path)
            continue
        assert wrong(path, FOR_LONG_FILMS) == {}, path
        compared += 1
    assert compared >= 4


@pytest.mark.real
@pytest.mark.parametrize("name", LONG_FILMS)
def test_real_films_give_what_a_full_decode_gives(real_data, name):
    assert wrong(real_data / "films" / name, FOR_LONG_FILMS) == {}


@pytest.mark.real
def test_real_clips_give_what_a_full_decode_gives(real_data):
    clips = sorted((real_data / "films/pennychip").iterdir())
    assert {clip.name: wrong(clip, FOR_CLIPS) for clip in clips} == {clip.name: {} for clip in clips}


def test_the_demo_film_gives_what_a_full_decode_gives(tmp_path):
    draw_film(tmp_path / "demo.mp4", seconds=8, size=(320, 180))
    assert wrong(tmp_path / "demo.mp4", SAMPLINGS | SCENES) == {}


def test_decoders_with_threads_are_let_go_without_a_lock(odd_film):
    """A surprise or an abandoned loop lets go of a decoder whose threads are at work, and may be logging."""
    path = odd_film("h264_mbaff")
    approach = Approach(timeline=timeline_of(path)[0], neighbours=True, threads=2)
    firsts = [
        next(film_pictures(path, Sampling(every=7), decoded=Decoded(), approach=approach)) for _ in range(300)
    ]
    assert {picture.place.number for picture in firsts} == {0}
