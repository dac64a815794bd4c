"""The demo film does what its truth says, and encodes to the film that was drawn."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipelines import demo_film
from pipelines.demo_film import draw_film, exposure_sheet, film_truth, frames

SMALL = (320, 180)
SECONDS = 15.0


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return list(frames(seconds=SECONDS, size=SMALL))


@pytest.fixture(scope="module")
def truth() -> demo_film.FilmTruth:
    return film_truth(seconds=SECONDS, size=SMALL)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> demo_film.FilmTruth:
    return draw_film(tmp_path_factory.mktemp("film") / "demo.mp4", seconds=SECONDS, size=SMALL)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_the_whole_film_is_a_minute_in_many_shots_with_everything_a_film_has() -> None:
    truth = film_truth()
    assert (truth.frames, truth.rate, truth.path) == (1440, Fraction(24), None)
    assert len(truth.shots) >= 8
    assert {shot.kind for shot in truth.shots} == {"scene", "pan", "credits"}
    assert sum(stop - start >= 24 for start, stop in truth.holds) >= 4
    assert truth.pans and truth.fades and truth.credits
    assert truth.picture_box == (0, 0, 1280, 720)


def test_shots_cover_the_film_in_proportion() -> None:
    short, full = film_truth(seconds=SECONDS), film_truth()
    for truth in (short, full):
        edges = [truth.shots[0].start, *(shot.stop for shot in truth.shots)]
        assert [shot.start for shot in truth.shots] == edges[:-1]
        assert (edges[0], edges[-1]) == (0, truth.frames)
    for small, large in zip(short.shots, full.shots, strict=True):
        assert small.name == large.name
        assert abs(small.start - large.start * SECONDS / 60) <= 1


def test_pictures_are_what_they_are_said_to_be(
    pictures: list[np.ndarray], truth: demo_film.FilmTruth
) -> None:
    assert len(pictures) == truth.frames == len(exposure_sheet(SECONDS))
    assert {(picture.shape, picture.dtype) for picture in pictures} == {((180, 320, 3), np.dtype(np.uint8))}


def test_every_drawing_differs_from_the_one_before_and_is_held_exactly(
    pictures: list[np.ndarray], truth: demo_film.FilmTruth
) -> None:
    changes = [i + 1 for i, (a, b) in enumerate(pairwise(pictures)) if not np.array_equal(a, b)]
    assert [0, *changes] == list(truth.drawings)


def test_holds_are_the_long_runs_of_one_drawing(truth: demo_film.FilmTruth) -> None:
    ends = [*truth.drawings[1:], truth.frames]
    long = [run for run in zip(truth.drawings, ends, strict=True) if run[1] - run[0] >= demo_film.HELD]
    assert truth.holds == tuple(long)
    assert len(long) >= 3


def test_a_cut_changes_more_than_the_frames_around_it(
    pictures: list[np.ndarray], truth: demo_film.FilmTruth
) -> None:
    dark = {frame for start, stop in truth.fades for frame in range(start, stop)}
    hard = [shot.start for shot in truth.shots[1:] if not {*range(shot.start - 2, shot.start + 2)} & dark]
    assert len(hard) >= 8
    for cut in hard:
        jump = difference(pictures[cut - 1], pictures[cut])
        around = (
            difference(pictures[cut - 2], pictures[cut - 1]),
            difference(pictures[cut], pictures[cut + 1]),
        )
        assert jump > 20
        assert jump > 1.5 * max(around)


def test_fades_are_darker_towards_black_and_reach_it(
    pictures: list[np.ndarray], truth: demo_film.FilmTruth
) -> None:
    for start, stop in truth.fades:
        means = [float(picture.mean()) for picture in pictures[start:stop]]
        outwards = means if any(shot.stop == stop for shot in truth.shots) else means[::-1]
        assert outwards == sorted(outwards, reverse=True)
        assert outwards[-1] == 0
    assert all(picture.any() for i, picture in enumerate(pictures) if not _inside(i, truth.fades))


def _inside(frame: int, runs: tuple[tuple[int, int], ...]) -> bool:
    return any(start <= frame < stop for start, stop in runs)


def test_a_pan_moves_the_whole_picture_in_every_frame(
    pictures: list[np.ndarray], truth: demo_film.FilmTruth
) -> None:
    for start, stop in truth.pans:
        for before, after in pairwise(pictures[start + 1 : stop]):
            moved = (before != after).any(axis=2)
            assert moved.mean() > 0.05
            assert moved[:, :160].any() and moved[:, 160:].any()


def test_credits_roll_over_a_dark_ground(pictures: list[np.ndarray], truth: demo_film.FilmTruth) -> None:
    ((start, stop),) = truth.credits
    assert stop == truth.frames
    for picture in pictures[start:stop]:
        assert np.median(picture) < 64
    assert max(int(picture[:, :160].max()) for picture in pictures[start:stop]) > 200


def test_a_letterbox_covers_the_same_film(pictures: list[np.ndarray]) -> None:
    boxed = film_truth(seconds=SECONDS, size=SMALL, letterbox=True)
    x, y, w, h = boxed.picture_box
    assert (x, w, 2 * y + h) == (0, 320, 180)
    assert film_truth(letterbox=True).picture_box == (0, 88, 1280, 544)
    for number, (picture, whole) in enumerate(
        zip(frames(seconds=SECONDS, size=SMALL, letterbox=True), pictures, strict=True)
    ):
        assert not picture[:y].any() and not picture[y + h :].any(), number
        assert np.array_equal(picture[y : y + h], whole[y : y + h]), number


def test_the_same_film_every_time(pictures: list[np.ndarray]) -> None:
    for number, (again, picture) in enumerate(
        zip(frames(seconds=SECONDS, size=SMALL), pictures, strict=True)
    ):
        assert np.array_equal(again, picture), number


def test_every_scene_has_many_colours_and_ink_at_full_size() -> None:
    stage = demo_film.Stage((1280, 720))
    for board in demo_film.STORYBOARD:
        picture = board.scene(stage)(board.seconds * 0.6)
        assert len(np.unique(picture[::4, ::4].reshape(-1, 3), axis=0)) > 50, board.name
        if board.kind != "credits":
            assert (picture.max(axis=2) < 40).mean() > 0.01, board.name


def test_the_encoded_film_is_the_drawn_one(encoded: demo_film.FilmTruth, pictures: list[np.ndarray]) -> None:
    import av

    assert encoded.path is not None
    with av.open(encoded.path) as film:
        stream = film.streams.video[0]
        assert stream.average_rate == encoded.rate
        assert (stream.width, stream.height, stream.pix_fmt) == (320, 180, "yuv420p")
        decoded = [(frame.pts * frame.time_base, bt709(frame)) for frame in film.decode(stream)]
    assert len(decoded) == encoded.frames
    assert [time for time, _ in decoded] == [number / encoded.rate for number in range(encoded.frames)]
    errors = [np.abs(seen.astype(int) - drawn) for (_, seen), drawn in zip(decoded, pictures, strict=True)]
    assert max(error.mean() for error in errors) < 8  # edges lose some colour to 4:2:0,
    assert np.mean([np.median(error) for error in errors]) < 2  # flat colours nothing; BT.601 would give 3.5


def bt709(frame: object) -> np.ndarray:
    """RGB by the BT.709 matrix, limited range, written out (ITU-R BT.709-6, 3.2 to 3.5)."""
    planes = frame.to_ndarray(format="yuv420p").astype(float)  # type: ignore[attr-defined]
    luma = (planes[:180] - 16) / 219
    blue, red = (
        plane.reshape(90, 160).repeat(2, axis=0).repeat(2, axis=1)
        for plane in np.split((planes[180:] - 128) / 224, 2)
    )
    r, b = luma + 1.5748 * red, luma + 1.8556 * blue
    g = (luma - 0.2126 * r - 0.0722 * b) / 0.7152
    return np.clip(np.round(np.stack([r, g, b], axis=2) * 255), 0, 255).astype(np.uint8)


def test_the_encoded_film_says_bt709_limited_and_has_b_frames(encoded: demo_film.FilmTruth) -> None:
    import av

    assert encoded.path is not None
    with av.open(encoded.path) as film:
        stream = film.streams.video[0]
        coder = stream.codec_context
        assert (coder.colorspace, coder.color_primaries, coder.color_trc, coder.color_range) == (1, 1, 1, 1)
        first = [packet for packet in film.demux(stream) if packet.pts is not None][:60]
    if stream.codec_context.name == "h264":
        assert any(a.pts > b.pts for a, b in pairwise(first))


def test_progress_counts_to_the_last_frame(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    truth = draw_film(
        tmp_path / "a.mp4", seconds=4, size=(160, 90), progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(number + 1, truth.frames) for number in range(truth.frames)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_another_encoder_serves_where_libx264_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import av

    monkeypatch.setattr(demo_film, "_can_encode", lambda name: name == "mpeg4")
    truth = draw_film(tmp_path / "a.mp4", seconds=4, size=(160, 90))
    with av.open(tmp_path / "a.mp4") as film:
        assert film.streams.video[0].codec_context.name == "mpeg4"
        assert sum(1 for _ in film.decode(video=0)) == truth.frames


def test_a_missing_folder_is_refused_before_any_drawing(tmp_path: Path) -> None:
    drawn: list[int] = []
    with pytest.raises(FileNotFoundError, match="nowhere"):
        draw_film(tmp_path / "nowhere" / "a.mp4", size=SMALL, progress=lambda done, _: drawn.append(done))
    assert not drawn
    assert not list(tmp_path.iterdir())


def test_a_film_cut_short_leaves_nothing_and_keeps_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    target.write_bytes(b"old")

    def stop(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_film(target, seconds=4, size=(160, 90), progress=stop)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("size", [(1280, 544), (321, 181), (16, 9), (0, 0)])
def test_a_size_that_is_not_an_even_16_to_9_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}"):
        frames(size=size)


@pytest.mark.parametrize("seconds", [0.5, 1, -3])
def test_a_film_too_short_for_its_shots_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=f"seconds={seconds}"):
        frames(seconds=seconds, size=SMALL)


def test_the_command_line_draws_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo_film.main([str(tmp_path / "a.mp4"), "--seconds", "4", "--width", "160", "--letterbox"])
    assert (tmp_path / "a.mp4").stat().st_size > 0
    output = capsys.readouterr()
    assert output.out.startswith(str(tmp_path / "a.mp4")) and "13 shots" in output.out
    with pytest.raises(SystemExit):
        demo_film.main([str(tmp_path / "none" / "a.mp4")])
