from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import av
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from framekit.sources.sampling import (
    Clock,
    FrameTime,
    Sampling,
    Skip,
    Totals,
    expected_pictures,
    frames_skipped,
    parse_skip,
    pictures_of_shot,
    sampler,
)
from framekit.sources.scenes import Shot
from tests.oracles.sampling import rising, sampled, times_of

RATES = [Fraction(12), Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60)]


@st.composite
def films(draw: st.DrawFn) -> list[FrameTime]:
    """Frames of a film: at a variable rate, or without timestamps."""
    gaps = draw(st.lists(st.fractions(Fraction(1, 120), 3, max_denominator=240), max_size=80))
    timed = draw(st.booleans())
    seconds = [sum(gaps[:number], Fraction(0)) for number in range(len(gaps))]
    return [FrameTime(n, time if timed else None, draw(st.booleans())) for n, time in enumerate(seconds)]


times = st.fractions(0, 60, max_denominator=4)
skips = st.builds(Skip, times | times.map(lambda t: -t), st.none() | times | times.map(lambda t: -t))


def take(
    wanted: Sampling,
    frames: Sequence[FrameTime],
    shots: Sequence[Shot] | None = None,
    frame_rate: Fraction | None = None,
) -> list[int]:
    """Numbers that the sampler takes, with the totals that it asks for."""
    totals = totals_of(wanted, frames, frame_rate) if wanted.needs_totals else None
    taken = sampler(wanted, totals=totals, shots=shots, frame_rate=frame_rate)
    numbers = [frame.number for frame in frames if taken(frame)]
    assert len(numbers) == expected_pictures(
        wanted, frames, totals=totals, shots=shots, frame_rate=frame_rate
    )
    return numbers


def totals_of(wanted: Sampling, frames: Sequence[FrameTime], frame_rate: Fraction | None) -> Totals:
    whole = Totals(len(frames), end_of(frames, frame_rate))
    skipped = frames_skipped(wanted, frames, totals=whole, frame_rate=frame_rate)
    return Totals(whole.frames, whole.seconds, skipped)


def end_of(frames: Sequence[FrameTime], frame_rate: Fraction | None) -> Fraction:
    return max(times_of(frames, frame_rate), default=Fraction(0)) + Fraction(1, 25)


@given(
    film=films(),
    wanted=st.one_of(
        st.builds(Sampling, every=st.integers(1, 30), skip=st.lists(skips, max_size=2).map(tuple)),
        st.builds(
            Sampling,
            seconds=st.fractions(Fraction(1, 100), 9, max_denominator=100),
            skip=st.lists(skips, max_size=2).map(tuple),
        ),
        st.builds(Sampling, count=st.integers(1, 100), skip=st.lists(skips, max_size=2).map(tuple)),
        st.builds(Sampling, keyframes=st.just(True), skip=st.lists(skips, max_size=2).map(tuple)),
    ),
    rate=st.none() | st.sampled_from(RATES),
)
def test_sampler_takes_what_the_oracle_takes(film, wanted, rate):
    assert take(wanted, film, frame_rate=rate) == sampled(
        wanted, film, end=end_of(film, rate), frame_rate=rate
    )


@given(
    film=films(),
    cuts=st.sets(st.integers(1, 79)),
    pictures=st.integers(1, 9),
    skip=st.lists(skips, max_size=2),
)
def test_scenes_take_what_the_oracle_takes(film, cuts, pictures, skip):
    bounds = [0, *sorted(cut for cut in cuts if cut < len(film)), len(film)] if film else []
    wanted = Sampling(scenes=True, pictures_per_scene=pictures, skip=tuple(skip))
    taken = take(wanted, film, [Shot(start, stop) for start, stop in pairwise(bounds)])
    assert taken == sampled(wanted, film, end=end_of(film, None), shots=list(pairwise(bounds)))


@given(st.integers(0, 500), st.integers(1, 500), st.integers(1, 40))
def test_pictures_of_a_shot_are_in_it_and_away_from_its_cuts(start, length, pictures):
    shot = Shot(start, start + length)
    numbers = pictures_of_shot(shot, pictures)
    assert 1 <= len(numbers) == len(set(numbers)) <= pictures
    assert all(shot.start <= number < shot.stop for number in numbers)
    if length >= 6 * pictures:
        assert len(numbers) == pictures
    if len(numbers) > 1 or length >= 6:
        assert all(number - shot.start >= 3 and shot.stop - number >= 3 for number in numbers)


@given(st.integers(1, 60), st.integers(0, 400))
def test_a_count_is_met_and_spread_evenly(count, frames):
    numbers = take(Sampling(count=count), [FrameTime(n, None, False) for n in range(frames)])
    assert len(numbers) == min(count, frames)
    steps = {after - before for before, after in pairwise(numbers)}
    assert not steps or max(steps) - min(steps) <= 1
    if numbers:
        before, after = numbers[0], frames - 1 - numbers[-1]
        assert abs(before - after) <= 1


@given(films(), st.fractions(Fraction(1, 50), 5, max_denominator=100))
def test_each_frame_taken_by_time_is_the_first_at_or_after_a_mark(film, step):
    seconds = times_of(film, None)
    for number in take(Sampling(seconds=step), film):
        mark = seconds[number] // step * step
        assert number == 0 or seconds[number - 1] < mark <= seconds[number]


@given(
    rate=st.sampled_from(RATES),
    start=st.fractions(0, 2, max_denominator=90_000),
    step=st.integers(100, 3_000),
    grid=st.sampled_from([1_000, 90_000]),
)
def test_rounded_timestamps_move_a_picture_by_one_frame_at_most_and_no_further_than_the_rounding(
    rate, start, step, grid
):
    exact = [number / rate for number in range(600)]
    rounded = [Fraction(round((start + time) * grid) - round(start * grid), grid) for time in exact]
    wanted = Sampling(seconds=Fraction(step, 1_000))  # on the grid
    by_exact, by_rounded = (
        take(wanted, [FrameTime(n, time, False) for n, time in enumerate(film)]) for film in (exact, rounded)
    )
    for mark, (right, number) in enumerate(zip(by_exact, by_rounded, strict=False)):
        assert number in (right, right - 1)
        assert exact[number] > mark * wanted.seconds - Fraction(1, grid)


@pytest.mark.parametrize("container", ["mkv", "mp4", "ts"])
@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(24)])
def test_containers_that_round_timestamps_give_the_same_frames(tmp_path, container, rate):
    """24 frames last whole milliseconds, 1.001 s: frames 0, 24, 48 are due at 0, 1.001, 2.002 s."""
    path = tmp_path / f"film.{container}"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(100):
            out.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        out.mux(stream.encode())
    with av.open(str(path)) as film:
        stamps = sorted((p.pts, p.time_base, p.is_keyframe) for p in film.demux(video=0) if p.pts is not None)
    first = stamps[0][0]
    frames = [FrameTime(n, (pts - first) * base, key) for n, (pts, base, key) in enumerate(stamps)]
    assert len(frames) == 100
    assert take(Sampling(seconds=24 / rate), frames) == [0, 24, 48, 72, 96]


stamps = st.lists(st.none() | st.fractions(-3, 9, max_denominator=48), max_size=60)


def clocked(stamped: Sequence[Fraction | None], rate: Fraction | None = None) -> list[Fraction | None]:
    clock = Clock(rate)
    return [clock.time(stamp) for stamp in stamped]


@given(stamps, st.none() | st.sampled_from(RATES))
def test_times_rise_and_are_what_the_oracle_says(stamped, rate):
    seconds = clocked(stamped, rate)
    assert seconds == rising(stamped, 1 / (rate or Fraction(25)))
    known = [time for time in seconds if time is not None]
    assert all(before < after for before, after in pairwise(known))
    assert all(time is None for time in seconds[: len(seconds) - len(known)])


@given(films(), st.fractions(-99, 99), st.sampled_from(RATES))
def test_stamps_that_rise_are_times_as_they_are(film, start, rate):
    seconds = times_of(film, None)
    assert clocked([start + time for time in seconds], rate) == seconds


@given(st.lists(st.integers(30, 90), min_size=1, max_size=5), st.integers(0, 99), st.sampled_from(RATES))
def test_a_clock_that_restarts_goes_on_frame_by_frame(parts, start, rate):
    stamped = [start + (100 + number) / rate for frames in parts for number in range(100 + frames)]
    assert clocked(stamped, rate) == [number / rate for number in range(len(stamped))]


@given(st.lists(st.integers(0, 7), min_size=50, max_size=200), st.sampled_from(RATES))
def test_stamps_out_of_order_or_twice_make_a_film_no_longer(late, rate):
    seconds = clocked([(number - by) / rate for number, by in enumerate(late)], rate)
    assert all(abs(time * rate - number) <= 20 for number, time in enumerate(seconds))


def test_a_pause_stays_and_frames_without_a_stamp_last_as_long_as_others():
    rate = Fraction(10)
    stamped = [None, None, 5, Fraction("5.1"), None, 60, None]
    assert clocked(stamped, rate) == [
        *(None, None, Fraction("0.2"), Fraction("0.3"), Fraction("0.4")),
        *(Fraction("55.2"), Fraction("55.3")),
    ]


def test_films_without_timestamps_go_by_number_and_rate():
    film = [FrameTime(number, None, False) for number in range(100)]
    assert take(Sampling(seconds=Fraction(1)), film) == [0, 25, 50, 75]
    assert take(Sampling(seconds=Fraction(1)), film, frame_rate=Fraction(40)) == [0, 40, 80]
    assert take(Sampling(every=20, skip=(parse_skip("1-2"),)), film) == [0, 20, 60, 80]


def test_a_long_frame_under_several_marks_is_taken_once():
    film = [FrameTime(n, Fraction(seconds), False) for n, seconds in enumerate([0, 1, 7, 8])]
    assert take(Sampling(seconds=Fraction(2)), film) == [0, 2, 3]


def test_a_count_is_of_the_frames_outside_the_skips():
    film = [FrameTime(number, Fraction(number), False) for number in range(20)]
    assert take(Sampling(count=5, skip=(parse_skip("0-10"),)), film) == [11, 13, 15, 17, 19]
    assert take(Sampling(count=99, skip=(parse_skip("1-end"),)), film) == [0]
    assert take(Sampling(count=3, skip=(parse_skip("0-end"),)), film) == []


def test_what_a_sampler_lacks_it_asks_for():
    rate = Fraction(25)
    with pytest.raises(ValueError, match="totals"):
        sampler(Sampling(count=3), totals=None, frame_rate=rate)
    with pytest.raises(ValueError, match="number skipped"):
        sampler(Sampling(count=3, skip=(Skip(Fraction(0), None),)), totals=Totals(9, rate), frame_rate=rate)
    with pytest.raises(ValueError, match="from the end"):
        sampler(Sampling(every=3, skip=(parse_skip("-9-end"),)), totals=None, frame_rate=rate)
    with pytest.raises(ValueError, match="shots"):
        sampler(Sampling(scenes=True), totals=None, frame_rate=rate)


@pytest.mark.parametrize(
    ("wanted", "totals", "scenes"),
    [
        (Sampling(every=1), False, False),
        (Sampling(every=1, skip=(parse_skip("9-end"),)), False, False),
        (Sampling(every=1, skip=(parse_skip("0-2"), parse_skip("0--9"))), True, False),
        (Sampling(seconds=Fraction(1), skip=(parse_skip("-9-end"),)), True, False),
        (Sampling(count=1), True, False),
        (Sampling(scenes=True), False, True),
    ],
)
def test_a_sampling_says_what_it_needs(wanted, totals, scenes):
    assert (wanted.needs_totals, wanted.needs_scenes) == (totals, scenes)


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("0-1:30", 0, 90),
        ("21:10-22:40", 1270, 1360),
        ("-2:00-end", -120, None),
        ("-1:30-end", -90, None),
        ("90.5-1:02:03.25", Fraction("90.5"), Fraction("3723.25")),
        ("-90--30", -90, -30),
        ("90:00-100:00", 5400, 6000),
        ("5:00--1:00", 300, -60),
    ],
)
def test_time_ranges_are_read_exactly(text, start, stop):
    assert parse_skip(text) == Skip(Fraction(start), None if stop is None else Fraction(stop))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *[(text, "does not end after it starts") for text in ("5-3", "5-5", "1:00-60", "-10--20")],
        *[(text, "is no time:") for text in ("1:3-9", "1:60-end", "0-1:60:00", "٣-4")],
        *[(text, "is no time range") for text in ("abc", "", "5", "1-", "-5", "end-5", "0-1e3", "0–5")],
        ("-0-end", "the end is called end"),
    ],
)  # fmt: skip
def test_nonsense_is_no_time_range(text, said):
    with pytest.raises(ValueError, match=said):
        parse_skip(text)


@given(st.integers(0, 10**5), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_hours_minutes_and_seconds_add_up(hours, minutes, seconds, thousandths):
    assume(hours or minutes or seconds or thousandths)
    text = f"0-{hours}:{minutes:02}:{seconds:02}.{thousandths:03}"
    assert parse_skip(text).stop == Fraction((hours * 60 + minutes) * 60 + seconds) + Fraction(
        thousandths, 1000
    )
