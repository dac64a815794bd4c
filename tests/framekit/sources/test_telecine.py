from fractions import Fraction
from itertools import islice

import av
import cv2
import numpy as np
import pytest

from framekit.sources.frames import Mark, mark_of
from framekit.sources.telecine import NTSC, find_pulldown, without_telecine
from tests.films import filtered

FILM = Fraction(24000, 1001)


def drawn(number: float) -> np.ndarray:
    """(H, W, 3) uint8: a disc on its way over a striped background."""
    image = np.full((240, 320, 3), 90, np.uint8)
    image[:, ::20] = 60
    centre = (int(30 + 5 * number) % 320, int(120 + 80 * np.sin(number / 7)))
    cv2.circle(image, centre, 30, (220, 180, 40), -1, cv2.LINE_AA)
    return image


def film(numbers, rate: Fraction = FILM) -> list[av.VideoFrame]:
    """A yuv420p frame for each number."""
    frames = []
    for place, number in enumerate(numbers):
        frame = av.VideoFrame.from_ndarray(drawn(number), format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = place, 1 / rate
        frames.append(frame)
    return frames


def telecined(frames: list[av.VideoFrame], first_field: str = "top") -> list[av.VideoFrame]:
    """3:2 pulldown by FFmpeg's own filter."""
    return filtered(frames, "telecine", f"first_field={first_field}")


def coded(path, frames: list[av.VideoFrame], codec: str, options: dict[str, str]) -> list[av.VideoFrame]:
    """What is left of frames after a lossy encoder."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=NTSC, options=options)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        for place, frame in enumerate(frames):
            copy = av.VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")
            copy.pts, copy.time_base = place, 1 / NTSC
            container.mux(stream.encode(copy))
        container.mux(stream.encode())
    return decoded(path)


def decoded(path, count: int = 200) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(islice(container.decode(video=0), count))


def interlaced(frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
    """Two frames in one: the upper lines of the first, the lower ones of the second."""
    woven = []
    for first, second in zip(frames[::2], frames[1::2], strict=False):
        lines = first.to_ndarray().copy()
        lines[1::2] = second.to_ndarray()[1::2]
        woven.append(av.VideoFrame.from_ndarray(lines, format="yuv420p"))
    return woven


def repeated(frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
    """Every fourth frame twice."""
    return [frame for place, frame in enumerate(frames) for _ in range(2 if place % 4 == 3 else 1)]


def psnr(one: av.VideoFrame, other: av.VideoFrame) -> float:
    return cv2.PSNR(one.to_ndarray(), other.to_ndarray())


@pytest.mark.parametrize("first_field", ["top", "bottom"])
@pytest.mark.parametrize("start", range(5))
def test_pulldown_is_recognised_wherever_the_cadence_starts(first_field, start):
    frames = telecined(film(range(40)), first_field)
    assert find_pulldown(frames[start : start + 40]) == "fields"


@pytest.mark.parametrize("hold", [2, 3])
@pytest.mark.parametrize("start", range(3))
def test_pulldown_of_a_film_drawn_on_twos_or_threes_is_recognised(hold, start):
    assert find_pulldown(telecined(film((n + start) // hold for n in range(120)))) == "fields"


@pytest.mark.parametrize(
    ("codec", "options"),
    [("mpeg2video", {"b": "1500000", "flags": "+ilme+ildct"}), ("libx264", {"crf": "28"})],
    ids=["mpeg2", "h264"],
)
def test_both_kinds_are_recognised_after_lossy_coding(tmp_path, codec, options):
    frames = film(range(60))
    assert find_pulldown(coded(tmp_path / "a.mkv", telecined(frames), codec, options)) == "fields"
    assert find_pulldown(coded(tmp_path / "b.mkv", repeated(frames), codec, options)) == "frames"


NOT_TELECINED = {
    "on ones": film(range(120)),
    "on twos": film(n // 2 for n in range(120)),
    "on threes": film(n // 3 for n in range(120)),
    "on fours": film(n // 4 for n in range(120)),
    "still": film([0] * 60),
    "slow": film(n / 20 for n in range(120)),
    "interlaced": interlaced(film(n / 2 for n in range(200))),
    "interlaced on twos": interlaced(film(n // 2 for n in range(200))),
    "interlaced on threes": interlaced(film(n // 3 for n in range(201))),
    "too short": telecined(film(range(24))),
}


@pytest.mark.parametrize("name", NOT_TELECINED)
def test_other_films_are_not_taken_for_telecined(name):
    assert find_pulldown(NOT_TELECINED[name]) is None


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_a_gop_of_five_is_no_cadence(tmp_path, codec):
    frames = coded(tmp_path / "a.mkv", NOT_TELECINED["on ones"], codec, {"g": "5", "b": "400000"})
    assert find_pulldown(frames) is None


def test_real_films_are_told_apart(real_data):
    sd = decoded(real_data / "oddities/popeye_sd_sar8x9.mkv")
    assert find_pulldown(sd) == find_pulldown(sd[:40]) == "frames"
    names = ["films/big-buck-bunny.ts", "films/steamboat-willie.mp4", "oddities/interlaced_tff_pal.mpg"]
    clips = sorted((real_data / "films/pennychip").iterdir())[::4]
    assert len(clips) == 4
    for path in [*(real_data / name for name in names), *clips]:
        frames = decoded(path, 80)
        assert find_pulldown(frames[:40]) is find_pulldown(frames[40:]) is find_pulldown(frames) is None, path


@pytest.mark.parametrize("first_field", ["top", "bottom"])
def test_inverse_telecine_gives_the_film_back(first_field):
    original = film(range(60))
    found = list(without_telecine(iter(telecined(original, first_field))))
    assert len(found) == 60
    assert min(psnr(*pair) for pair in zip(original, found, strict=True)) > 60
    assert not any(frame.interlaced_frame for frame in found)


def test_inverse_telecine_of_repeated_pictures_and_its_clock():
    original = film(range(60))
    video = repeated(original)
    for place in range(len(video)):
        video[place] = av.VideoFrame.from_ndarray(video[place].to_ndarray(), format="yuv420p")
        video[place].pts, video[place].time_base = 90_000 + 3003 * place, Fraction(1, 90_000)
    found = list(without_telecine(iter(video)))
    assert min(psnr(*pair) for pair in zip(original, found, strict=True)) > 60
    assert {frame.time_base for frame in found} == {Fraction(1, 90_000)}
    assert found[0].pts == 90_000
    steps = np.diff([frame.pts for frame in found])
    assert (np.abs(steps - 90_000 / FILM) < 1).all()


def test_inverse_telecine_of_a_real_film(real_data):
    video = decoded(real_data / "oddities/popeye_sd_sar8x9.mkv")
    found = list(without_telecine(iter(video)))
    assert len(found) == len(video) * 4 // 5
    assert find_pulldown(found) is None
    assert (int(found[9].colorspace), found[9].color_range) == (int(video[9].colorspace), 1)
    assert found[-1].pts <= video[-1].pts


def test_a_film_that_changes_its_size_is_begun_anew_there():
    original = film(range(40))
    small, large = telecined(original), []
    for place, frame in enumerate(telecined(original)):
        large.append(frame.reformat(width=640, height=480, interpolation="POINT"))
        large[-1].pts = len(small) + place
        large[-1].time_base = small[0].time_base
    found = list(without_telecine(iter(small + large)))
    assert [frame.width for frame in found] == [320] * 40 + [640] * 40
    assert min(psnr(*pair) for pair in zip(original, found[:40], strict=True)) > 60
    assert (np.diff([frame.pts for frame in found]) > 0).all()
    assert found[40].pts == len(small)


@pytest.mark.parametrize("other", ["yuv422p", "yuv420p10le"])
def test_a_film_that_changes_its_format_is_begun_anew_there(other):
    video = repeated(film(range(40)))
    changed = [frame.reformat(format=other) if n >= 25 else frame for n, frame in enumerate(video)]
    assert len(list(without_telecine(iter(changed)))) == 40


def test_frames_without_times_go_on_through_a_change_of_size():
    video = repeated(film(range(40)))
    video = [frame if n < 25 else frame.reformat(width=160, height=120) for n, frame in enumerate(video)]
    for frame in video:
        frame.pts = None
    stamps = [frame.pts for frame in without_telecine(iter(video))]
    assert (np.diff(stamps) > 0).all()


@pytest.mark.parametrize("key", range(10))
def test_a_keyframe_that_is_left_out_is_stood_for_by_the_next_one(key):
    video = film(n - (n + 1) // 5 for n in range(50))  # every fifth repeats the one before
    for place, frame in enumerate(video):
        frame.opaque = [Mark(place == key)]
    marked = [place for place, frame in enumerate(without_telecine(iter(video))) if mark_of(frame).keyframe]
    kept = [place for place in range(50) if place % 5 != 4]
    assert marked == [next(number for number, place in enumerate(kept) if place >= key)]


def test_nothing_comes_of_nothing():
    assert list(without_telecine(iter([]))) == []
    assert find_pulldown([]) is None
