"""Which frames: pure arithmetic on frame numbers and times, no film needed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from framekit.sources.scenes import Shot

USUAL_RATE = Fraction(25)
"""Frames per second of a film that knows neither times nor a rate."""
RESTART = Fraction(1)
"""Seconds: stamps that fall by more begin a clock anew; those that fall by less are out of order."""
FROM_CUTS = 3
"""Frames that a picture keeps away from the cuts of its shot: beside a cut, two shots may be mixed in one."""

SKIP = re.compile(r"(?P<start>{time})-(?P<stop>{time}|end)".format(time=r"-?(?:(?:\d+:)?\d+:)?\d+(?:\.\d+)?"))
TIME = re.compile(r"-?(?:\d+:[0-5]\d:[0-5]\d|\d+:[0-5]\d|\d+)(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class FrameTime:
    """One frame of a film, in display order.

    Attributes:
        number: From 0.
        seconds: Since the first frame, rising from frame to frame; None where the film has no timestamps.
        keyframe: Whether the container marks its packet as a keyframe.
    """

    number: int
    seconds: Fraction | None
    keyframe: bool


class Clock:
    """Gives frames times that rise, whatever the stamps of their film do.

    Films whose parts were joined by copying begin their stamps anew at each joint, and some stamp frames out
    of order or twice. Where stamps fall by more than a second, the clock goes on by one frame, and stays so
    much ahead of them. Where they stand still or fall by less, it goes on by half a frame until they have
    caught up, so that many such frames make no film longer. A jump forward is a pause, and stays.

    Args:
        frame_rate: Frames a second, which tells how long one lasts; 25 when unknown.
    """

    def __init__(self, frame_rate: Fraction | None) -> None:
        self._frame = 1 / (frame_rate or USUAL_RATE)
        self._unstamped = 0  # frames before the first stamp
        self._ahead = Fraction(0)  # of the stamps
        self._last: Fraction | None = None

    def time(self, stamp: Fraction | None) -> Fraction | None:
        """Time of the next frame in seconds since the first frame.

        Args:
            stamp: In seconds on the film's own clock; None where the frame has none.

        Returns:
            None as long as no frame had a stamp.
        """
        if self._last is not None:
            self._last = self._after(self._last, stamp)
        elif stamp is None:
            self._unstamped += 1
        else:
            self._last = self._unstamped * self._frame
            self._ahead = self._last - stamp
        return self._last

    def _after(self, last: Fraction, stamp: Fraction | None) -> Fraction:
        if stamp is None:
            return last + self._frame
        time = stamp + self._ahead
        if time > last:
            return time
        if time >= last - RESTART:
            return last + self._frame / 2
        self._ahead += last + self._frame - time
        return last + self._frame


@dataclass(frozen=True, slots=True)
class Totals:
    """What is known of a film once all of it has been gone through.

    Attributes:
        frames: How many there are.
        seconds: The end of the last frame, since the first frame's start.
        skipped: How many of the frames the skip ranges cover, as `frames_skipped` counts them; only a `count`
            that goes with skip ranges asks for it.
    """

    frames: int
    seconds: Fraction
    skipped: int | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """Times [start, stop) to leave out, in seconds; negative ones count from the end, None is the end."""

    start: Fraction
    stop: Fraction | None


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames of a film to take: one of the first five says how, the rest refines it.

    Attributes:
        every: Frames 0, N, 2·N, …
        seconds: The first frame at or after each of 0, S, 2·S, …
        count: So many, spread evenly over the frames that are not skipped; all of them where there are fewer.
        keyframes: The frames that the container marks as such.
        scenes: `pictures_per_scene` frames of each shot, away from its cuts.
        skip: Times to leave out.
    """

    every: int | None = None
    seconds: Fraction | None = None
    count: int | None = None
    keyframes: bool = False
    scenes: bool = False
    pictures_per_scene: int = 1
    skip: tuple[Skip, ...] = ()

    @property
    def needs_totals(self) -> bool:
        """Whether all of the film must have been gone through before its first frame can be judged."""
        from_end = any(skip.start < 0 or (skip.stop or 0) < 0 for skip in self.skip)
        return self.count is not None or from_end

    @property
    def needs_scenes(self) -> bool:
        """Whether the film's shots must be known."""
        return self.scenes


def parse_skip(text: str) -> Skip:
    """Read a time range: `0-1:30`, `21:10-22:40`, `90.5-1:02:03`, `-2:00-end`, `-2:00--0:30`.

    Times are seconds, m:ss or h:mm:ss, with a fraction if need be; a minus counts from the end.

    Raises:
        ValueError: It is no range, or it does not end after it starts.
    """
    parts = SKIP.fullmatch(text)
    if not parts:
        raise ValueError(f"{text!r} is no time range: START-END, as in 0-1:30, 21:10-22:40 or -2:00-end")
    start = _parse_time(parts["start"])
    stop = None if parts["stop"] == "end" else _parse_time(parts["stop"])
    if stop is not None and (start < 0) == (stop < 0) and stop <= start:
        raise ValueError(f"{text!r} does not end after it starts")
    return Skip(start, stop)


def _parse_time(text: str) -> Fraction:
    if not TIME.fullmatch(text):
        raise ValueError(f"{text!r} is no time: write seconds, m:ss or h:mm:ss, as in 90, 1:30 or 1:02:03.5")
    seconds = Fraction(0)
    for part in text.removeprefix("-").split(":"):
        seconds = seconds * 60 + Fraction(part)
    if not text.startswith("-"):
        return seconds
    if not seconds:
        raise ValueError(f"{text!r}: the end is called end")
    return -seconds


def sampler(
    sampling: Sampling,
    *,
    totals: Totals | None,
    shots: Sequence[Shot] | None = None,
    frame_rate: Fraction | None,
) -> Callable[[FrameTime], bool]:
    """A predicate that says which frames to take.

    It is to be called once for each frame, in display order; it may remember what came before. Frames are
    chosen from the whole film, then those in skip ranges are left out; a `count` is of those outside.

    Args:
        sampling: What is wanted.
        totals: Of the film, where `sampling.needs_totals`.
        shots: Of the film, where `sampling.needs_scenes`.
        frame_rate: Frames per second, for frames without a timestamp; 25 when unknown.

    Raises:
        ValueError: `totals` or `shots` are needed and missing.
    """
    skipped = _skipped(sampling, totals, frame_rate)
    chosen = _chosen(sampling, totals, shots, frame_rate)
    if sampling.count is not None:
        return lambda frame: not skipped(frame) and chosen(frame)  # `chosen` counts only those outside
    return lambda frame: chosen(frame) and not skipped(frame)


def expected_pictures(
    sampling: Sampling,
    frames: Iterable[FrameTime],
    *,
    totals: Totals | None,
    shots: Sequence[Shot] | None = None,
    frame_rate: Fraction | None,
) -> int:
    """How many of a film's frames `sampler` takes; see there."""
    return sum(map(sampler(sampling, totals=totals, shots=shots, frame_rate=frame_rate), frames))


def frames_skipped(
    sampling: Sampling, frames: Iterable[FrameTime], *, totals: Totals | None, frame_rate: Fraction | None
) -> int:
    """How many of a film's frames lie in skip ranges: what `Totals.skipped` holds.

    Raises:
        ValueError: A range counts from the end and there are no `totals`.
    """
    return sum(map(_skipped(sampling, totals, frame_rate), frames))


def pictures_of_shot(shot: Shot, pictures: int) -> list[int]:
    """Frame numbers in the middles of equal parts of a shot.

    They are at least 3 frames from either cut: where a shot is too short for that there are fewer, down to
    the one in its middle.
    """
    room = (shot.stop - shot.start) // (2 * FROM_CUTS)
    return _middles(shot.start, shot.stop, max(1, min(pictures, room)))


def _middles(start: int, stop: int, parts: int) -> list[int]:
    """The middle of each of `parts` equal parts of [start, stop); different ones if it is long enough."""
    return [start + (2 * part + 1) * (stop - start) // (2 * parts) for part in range(parts)]


def _time(frame: FrameTime, frame_rate: Fraction | None) -> Fraction:
    return frame.number / (frame_rate or USUAL_RATE) if frame.seconds is None else frame.seconds


def _skipped(
    sampling: Sampling, totals: Totals | None, frame_rate: Fraction | None
) -> Callable[[FrameTime], bool]:
    def from_start(time: Fraction) -> Fraction:
        if time >= 0:
            return time
        if totals is None:
            raise ValueError("a time from the end needs the film's totals")
        return totals.seconds + time

    ranges = [
        (from_start(skip.start), None if skip.stop is None else from_start(skip.stop))
        for skip in sampling.skip
    ]

    def skipped(frame: FrameTime) -> bool:
        time = _time(frame, frame_rate)
        return any(start <= time and (stop is None or time < stop) for start, stop in ranges)

    return skipped


def _chosen(
    sampling: Sampling, totals: Totals | None, shots: Sequence[Shot] | None, frame_rate: Fraction | None
) -> Callable[[FrameTime], bool]:
    if sampling.every is not None:
        step = sampling.every
        return lambda frame: frame.number % step == 0
    if sampling.seconds is not None:
        return _every_seconds(sampling.seconds, frame_rate)
    if sampling.count is not None:
        return _spread(sampling, totals)
    if sampling.keyframes:
        return lambda frame: frame.keyframe
    if shots is None:
        raise ValueError("to take frames by scene, the film's shots must be known")
    numbers = {n for shot in shots for n in pictures_of_shot(shot, sampling.pictures_per_scene)}
    return lambda frame: frame.number in numbers


def _every_seconds(step: Fraction, frame_rate: Fraction | None) -> Callable[[FrameTime], bool]:
    """The first frame at or after each of 0, step, 2·step, …

    There is no tolerance for containers that round timestamps (Matroska: to milliseconds). Rounding keeps
    order and leaves alone what lies on its grid, so a frame at or after a mark on the grid stays there. At
    worst the frame before is taken, when it lies less than a rounding step before the mark.
    """
    mark = Fraction(0)

    def chosen(frame: FrameTime) -> bool:
        nonlocal mark
        time = _time(frame, frame_rate)
        if time < mark:
            return False
        mark = (time // step + 1) * step
        return True

    return chosen


def _spread(sampling: Sampling, totals: Totals | None) -> Callable[[FrameTime], bool]:
    if totals is None or (sampling.skip and totals.skipped is None):
        raise ValueError("a count of frames needs the film's totals, and with skip ranges the number skipped")
    left = totals.frames - (totals.skipped or 0)
    ranks = set(_middles(0, left, min(sampling.count or 0, left)))
    rank = itertools.count()
    return lambda _: next(rank) in ranks
