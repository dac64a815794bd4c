"""Sampling from a whole list of frames, one rule after the other, as the docs say it."""

from collections.abc import Sequence
from fractions import Fraction
from math import floor

from framekit.sources.sampling import FrameTime, Sampling


def times_of(frames: Sequence[FrameTime], frame_rate: Fraction | None) -> list[Fraction]:
    """Seconds of each frame; without timestamps by its number."""
    return [f.number / (frame_rate or Fraction(25)) if f.seconds is None else f.seconds for f in frames]


def rising(stamps: Sequence[Fraction | None], frame: Fraction) -> list[Fraction | None]:
    """Times of frames that are stamped so and last for `frame` seconds, since the first one's."""
    unstamped = next((n for n, stamp in enumerate(stamps) if stamp is not None), len(stamps))
    times: list[Fraction | None] = [None] * unstamped
    zero = last = Fraction(0)  # where the film's clock stands at its start, and the time of the last frame
    for number, stamp in enumerate(stamps):
        if number < unstamped:
            continue
        if number == unstamped and stamp is not None:
            last = number * frame
            zero = stamp - last
        elif stamp is None:
            last += frame
        elif stamp - zero > last:
            last = stamp - zero
        elif stamp - zero + 1 >= last:  # late or twice, by a second at most
            last += frame / 2
        else:  # the clock was put back
            last += frame
            zero = stamp - last
        times.append(last)
    return times


def sampled(
    sampling: Sampling,
    frames: Sequence[FrameTime],
    *,
    end: Fraction,
    shots: Sequence[tuple[int, int]] = (),
    frame_rate: Fraction | None = None,
) -> list[int]:
    """Numbers of the frames taken of a film that ends at `end` seconds; shots are [start, stop)."""
    times = times_of(frames, frame_rate)
    outside = [
        number
        for number, time in enumerate(times)
        if not any(
            (skip.start if skip.start >= 0 else end + skip.start) <= time
            and (skip.stop is None or time < (skip.stop if skip.stop >= 0 else end + skip.stop))
            for skip in sampling.skip
        )
    ]
    if sampling.count is not None:
        parts = min(sampling.count, len(outside))
        return [outside[(2 * part + 1) * len(outside) // (2 * parts)] for part in range(parts)]
    chosen: set[int] = set()
    if sampling.every is not None:
        chosen = {number for number in range(len(frames)) if number % sampling.every == 0}
    if sampling.seconds is not None:
        marks = [k * sampling.seconds for k in range(int(max(times, default=0) / sampling.seconds) + 1)]
        chosen = {next(n for n, time in enumerate(times) if time >= mark) for mark in marks if frames}
    if sampling.keyframes:
        chosen = {frame.number for frame in frames if frame.keyframe}
    for start, stop in shots:
        parts = sampling.pictures_per_scene
        while parts > 1 and stop - start < 2 * 3 * parts:  # 3 frames from the cuts
            parts -= 1
        length = Fraction(stop - start, parts)
        chosen |= {floor(start + part * length + length / 2) for part in range(parts)}
    return sorted(chosen & set(outside))
