"""Videos come out as cartoons of every frame, at its time, upright, with sound and subtitles as they were."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from cartoongan import videos
from cartoongan.looks import as_array
from cartoongan.options import StylizeOptions
from cartoongan.stylize import Stylizer, stylize_paths
from framekit.errors import CommandError
from framekit.sources.decoding import film_pictures
from framekit.sources.frames import Decoded
from framekit.sources.picture import to_rgb
from framekit.sources.sampling import Sampling
from tests.films import number_of, numbered_film, numbered_frame, write_film

ROOT = Path(__file__).parents[2]


class Echo(torch.nn.Module):
    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return photos


def echo(**options: Any) -> Stylizer:
    return Stylizer(Echo(), torch.device("cpu"), StylizeOptions(**options))  # type: ignore[arg-type]


def pictures_of(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """(seconds, RGB) of all frames, by the decoder alone."""
    with av.open(str(path)) as film:
        return [(frame.pts * Fraction(frame.time_base), to_rgb(frame)) for frame in film.decode(video=0)]


def packets_of(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as film:
        stream = next(stream for stream in film.streams if stream.type == kind)
        return [(p.pts * Fraction(p.time_base), bytes(p)) for p in film.demux(stream) if p.dts is not None]


UNEVEN = (0, 40, 50, 250, 255, 400)


def with_sound(path: Path, milliseconds: Sequence[int] = UNEVEN, disposition: int = 0) -> Path:
    """A film of some frame times, with a tone."""
    with av.open(str(path), "w") as film:
        video: Any = film.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.codec_context.time_base = video.time_base = Fraction(1, 1000)
        sound: Any = film.add_stream("aac", rate=48_000)
        sound.disposition = disposition
        for number, at in enumerate(milliseconds):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            film.mux(video.encode(frame))
        film.mux(video.encode())
        tone = np.sin(np.arange(48 * (milliseconds[-1] + 100)) / 20)[None].astype(np.float32)
        audio = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        audio.rate, audio.pts, audio.time_base = 48_000, 0, Fraction(1, 48_000)
        film.mux(sound.encode(audio))
        film.mux(sound.encode())
    return path


@pytest.mark.parametrize("name", ["film.mkv", "film.mp4", "film.mov"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_frames_keep_their_time_and_sound_is_copied(name: str, batch_size: int, tmp_path: Path) -> None:
    film = with_sound(tmp_path / name)
    summary = stylize_paths(echo(batch_size=batch_size), [film], tmp_path / "out" / name)
    assert (summary.written, summary.failed) == ([tmp_path / "out" / name], [])
    was, made = pictures_of(film), pictures_of(tmp_path / "out" / name)
    assert [time for time, _ in made] == [time for time, _ in was]
    assert [number_of(picture) for _, picture in made] == [0, 1, 2, 3, 4, 5]
    assert packets_of(tmp_path / "out" / name, "audio") == packets_of(film, "audio")


def test_where_recordings_were_joined_times_go_on(tmp_path: Path) -> None:
    once, twice, place = tmp_path / "once.ts", tmp_path / "twice.ts", tmp_path / "out.mkv"
    times = range(0, 3_000, 200)
    twice.write_bytes(with_sound(once, times).read_bytes() * 2)  # its times begin anew in the middle
    assert not stylize_paths(echo(), [twice], place).failed
    shown = [float(seconds) for seconds, _ in pictures_of(place)]
    heard = [float(seconds) for seconds, _ in packets_of(place, "audio")]
    steps = np.diff(shown)
    assert len(shown) == 2 * len(times)
    assert np.delete(steps, len(times) - 1) == pytest.approx(0.2, abs=2e-3)
    assert 0 < steps[len(times) - 1] <= 0.2
    assert heard == sorted(set(heard))
    assert heard[-1] - heard[0] == pytest.approx(shown[-1] - shown[0], abs=0.3)


def test_frames_of_an_avi_keep_even_steps(odd_film: Callable[[str], Path], tmp_path: Path) -> None:
    """AVI has no times of showing: B-frames come with those of decoding, out of order."""
    place = tmp_path / "out.mkv"
    assert not stylize_paths(echo(), [odd_film("h264_avi")], place).failed
    steps = np.diff([float(seconds) for seconds, _ in pictures_of(place)])
    assert steps == pytest.approx(steps.mean(), abs=2e-3)


SUBTITLES = """1
00:00:00,000 --> 00:00:00,900
one speaks for long

2
00:00:00,200 --> 00:00:00,300
another falls in

3
00:00:00,400 --> 00:00:00,500
and again
"""


def test_subtitles_that_overlap_keep_their_times(tmp_path: Path) -> None:
    words, both = tmp_path / "words.srt", tmp_path / "both.mkv"
    words.write_text(SUBTITLES)
    with av.open(str(words)) as texts, av.open(str(both), "w") as film:
        video: Any = film.add_stream("libx264", rate=5)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        copy = film.add_stream_from_template(texts.streams.subtitles[0])
        for number in range(5):
            film.mux(video.encode(av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")))
        film.mux(video.encode())
        for packet in texts.demux():
            if packet.dts is not None:
                packet.stream = copy
                film.mux(packet)
    assert not stylize_paths(echo(), [both], tmp_path / "out.mkv").failed
    times = [seconds for seconds, _ in packets_of(tmp_path / "out.mkv", "subtitle")]
    assert times == [0, Fraction(1, 5), Fraction(2, 5)]


def test_what_streams_are_for_is_kept(tmp_path: Path) -> None:
    from av.stream import Disposition

    film = with_sound(tmp_path / "film.mkv", disposition=int(Disposition.comment))
    assert not stylize_paths(echo(), [film], tmp_path / "out.mkv").failed
    with av.open(str(tmp_path / "out.mkv")) as made:
        assert made.streams.audio[0].disposition & Disposition.comment


def test_colours_stay_and_are_tagged(tmp_path: Path) -> None:
    film = numbered_film(tmp_path / "film.mp4", 3, options={"crf": "4"})  # untagged, SD: BT.601
    stylize_paths(echo(crf=4), [film], tmp_path / "out.mp4")
    for (_, was), (_, made) in zip(pictures_of(film), pictures_of(tmp_path / "out.mp4"), strict=True):
        apart = np.abs(was.astype(int) - made)
        assert np.median(apart) <= 1 and apart.mean() < 3  # 4:2:0 twice
    with av.open(str(tmp_path / "out.mp4")) as made_film:
        frame = next(made_film.decode(video=0))
        assert (int(frame.colorspace), int(frame.color_range), int(frame.color_primaries)) == (1, 1, 1)


def test_pixels_become_square_and_odd_sizes_even(tmp_path: Path) -> None:
    wide = numbered_film(tmp_path / "wide.mp4", 2, pixel_aspect=Fraction(4, 3))
    odd = write_film(
        tmp_path / "odd.webm", [numbered_frame(0, width=207, height=121)] * 2, codec="libvpx-vp9"
    )
    stylize_paths(echo(), [wide, odd], tmp_path / "out")
    assert pictures_of(tmp_path / "out" / "wide.mp4")[0][1].shape == (240, 428, 3)  # 426.7 square ones
    assert pictures_of(tmp_path / "out" / "odd.webm")[0][1].shape == (122, 208, 3)


def test_the_same_options_give_the_same_bytes(tmp_path: Path) -> None:
    film = with_sound(tmp_path / "film.mkv")
    for name in ("a.mkv", "b.mkv"):
        stylize_paths(echo(smooth=0.5), [film], tmp_path / name)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_bad_films_are_told_and_the_others_made(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.mp4").write_bytes(b"")
    (tmp_path / "in" / "text.mkv").write_text("no film")
    numbered_film(tmp_path / "in" / "good.avi", 2)
    summary = stylize_paths(echo(), [tmp_path / "in"], tmp_path / "out")
    assert [path.name for path in summary.written] == ["good.mkv"]  # no sound in it
    assert [name for name in ("empty", "text") if any(name in line for line in summary.failed)] == [
        "empty",
        "text",
    ]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.mkv"]


def test_a_film_that_breaks_off_gives_what_there_is(tmp_path: Path) -> None:
    film = numbered_film(tmp_path / "film.mkv", 30, options={"g": "5", "bf": "0"})
    film.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
    summary = stylize_paths(echo(), [film], tmp_path / "out.mkv")
    assert not summary.failed
    assert 10 < summary.videos[tmp_path / "out.mkv"].frames < 30


@pytest.mark.parametrize(
    ("out", "options", "words"),
    [
        ("film.mp4", {}, "another --out"),
        ("cartoon.png", {}, "videos are not written as .png"),
        ("cartoon.avi", {}, "videos are not written as .avi"),
        ("cartoon.webm", {"encoder": "libx264"}, "not for webm"),
        ("cartoon.mkv", {"encoder": "mpeg4", "crf": 3}, "mpeg4 has none"),
        ("cartoon.mkv", {"encoder": "libx264", "crf": 60}, "libx264 has 51 at most"),
    ],
)
def test_what_cannot_be_is_refused(out: str, options: dict[str, Any], words: str, tmp_path: Path) -> None:
    film = numbered_film(tmp_path / "film.mp4", 1)
    before = film.read_bytes()
    with pytest.raises(CommandError, match=words):
        stylize_paths(echo(**options), [film], tmp_path / out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"] and film.read_bytes() == before


def test_sound_that_a_container_does_not_take_is_told(tmp_path: Path) -> None:
    film = with_sound(tmp_path / "film.mkv")
    summary = stylize_paths(echo(), [film], tmp_path / "out.webm")
    assert summary.videos[tmp_path / "out.webm"].notes == ["sound left out: webm takes no aac; .mkv may"]
    assert len(pictures_of(tmp_path / "out.webm")) == 6


def test_a_stop_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = numbered_film(tmp_path / "film.mp4", 9)

    class Stopping(Echo):
        calls = 0

        def forward(self, photos: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls == 5:
                raise KeyboardInterrupt
            return photos

    with pytest.raises(KeyboardInterrupt):
        stylize_paths(Stylizer(Stopping(), torch.device("cpu")), [film], tmp_path / "out")  # type: ignore[arg-type]
    assert not list((tmp_path / "out").iterdir())


FULL_DISK = """
import resource, sys, torch
from cartoongan.stylize import Stylizer, stylize_paths
class Echo(torch.nn.Module):
    def forward(self, photos): return photos
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
print(stylize_paths(Stylizer(Echo(), torch.device("cpu")), [sys.argv[1]], sys.argv[2]).failed)
"""


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    film = numbered_film(tmp_path / "film.mkv", 24)
    assert film.stat().st_size > 60_000 and resource.RLIMIT_FSIZE is not None
    place = tmp_path / "out" / "film.mkv"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(film), str(place)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{place}: File too large" in done.stdout, done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_without_the_film_library_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = numbered_film(tmp_path / "film.mkv", 1)
    monkeypatch.setitem(sys.modules, "av", None)
    summary = stylize_paths(echo(), [film], tmp_path / "out")
    assert summary.failed == [f"{film}: videos need av, which is not installed. pip install av"]


def test_encoders_are_taken_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "_encodes", lambda name: name in ("mpeg4", "libsvtav1"))
    assert videos.encoder_for(Path("a.mp4"), StylizeOptions()) == "libsvtav1"
    assert videos.encoder_for(Path("a.mkv"), StylizeOptions(encoder="mpeg4")) == "mpeg4"
    with pytest.raises(CommandError, match=r"^a\.mp4: .*here are: libsvtav1, mpeg4"):
        videos.encoder_for(Path("a.mp4"), StylizeOptions(encoder="libx264"))


def test_an_encoder_that_does_not_suit_the_last_of_many_films_is_told_before_the_first(
    tmp_path: Path,
) -> None:
    (tmp_path / "in").mkdir()
    for name, codec in (("a.mp4", "libx264"), ("z.webm", "libvpx")):
        numbered_film(tmp_path / "in" / name, 2, codec=codec)
    with pytest.raises(CommandError, match=r"z\.webm: --encoder libx264: .*not for webm"):
        stylize_paths(echo(encoder="libx264"), [tmp_path / "in"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Watching(Echo):
    """Gives photos back, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[np.ndarray] = []

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        self.seen += [as_array(photos[n : n + 1], np.dtype(np.uint8))[0] for n in range(len(photos))]
        return photos


def seen_of(film: Path, out: Path) -> list[np.ndarray]:
    """What the generator was shown of a film, without the lines that were added for its strides."""
    watching = Watching()
    stylize_paths(Stylizer(watching, torch.device("cpu")), [film], out)  # type: ignore[arg-type]
    return watching.seen


def test_the_generator_sees_what_the_dataset_has(odd_film: Callable[[str], Path], tmp_path: Path) -> None:
    """Interlaced frames made whole, as `framekit extract` makes them."""
    film = odd_film("mpeg2_interlaced")
    wanted = [each.image for each in film_pictures(film, Sampling(every=1), decoded=Decoded())]
    seen = seen_of(film, tmp_path / "out.mkv")
    assert len(seen) == len(wanted) > 3
    assert all(np.array_equal(a, b) for a, b in zip(seen, wanted, strict=True))


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "out"),
    [("rotated.mp4", "mp4"), ("sample_with_ssa_subtitles.mkv", "mkv"), ("sine_stereo_mp2.mpg", "mkv")],
)
def test_real_films_keep_times_sound_and_subtitles(
    name: str, out: str, real_data: Path, tmp_path: Path
) -> None:
    film, place = real_data / "oddities" / name, tmp_path / f"out.{out}"
    assert not stylize_paths(echo(), [film], place).failed
    was, made = pictures_of(film), pictures_of(place)
    assert [float(time) for time, _ in made] == pytest.approx([float(time) for time, _ in was], abs=6e-4)
    height, width = was[0][1].shape[:2]
    assert made[0][1].shape[:2] == (height + height % 2, width + width % 2)
    for kind in ("audio", "subtitle"):
        with av.open(str(film)) as opened:
            if any(stream.type == kind for stream in opened.streams):
                assert [data for _, data in packets_of(place, kind)] == [
                    data for _, data in packets_of(film, kind)
                ]


def test_mpeg4_takes_films_that_count_finer_than_it_can(tmp_path: Path) -> None:
    film = numbered_film(tmp_path / "film.ts", 5)  # in 90,000ths of a second
    assert not stylize_paths(echo(encoder="mpeg4"), [film], tmp_path / "out.mp4").failed
    times = [[time for time, _ in pictures_of(path)] for path in (film, tmp_path / "out.mp4")]
    assert [float(time - times[1][0]) for time in times[1]] == pytest.approx(
        [float(time - times[0][0]) for time in times[0]], abs=1e-4
    )
