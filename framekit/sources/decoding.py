"""From a film and a sampling to pictures: exactly the frames wanted, and no more decoded than they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from framekit.errors import FramekitError
from framekit.sources.codecs.coded import Unclear
from framekit.sources.deinterlacing import deinterlaced
from framekit.sources.film import fraction, open_film, pixel_aspect
from framekit.sources.frames import (
    CannotSeek,
    Decoded,
    Shown,
    Unexpected,
    every_frame,
    mark_of,
    timed,
    wanted_frames,
)
from framekit.sources.letterbox import Box
from framekit.sources.picture import reformatted, to_rgb
from framekit.sources.sampling import USUAL_RATE, FrameTime, Sampling, Totals, frames_skipped, sampler
from framekit.sources.scenes import Shot, find_shots
from framekit.sources.telecine import KEPT, NTSC, without_telecine
from framekit.sources.timeline import Timeline, read_timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

SCENE_WIDTH = 256
"""Pixels: width of the pictures that shots are found on."""
WITHOUT_ASPECT = ("mpegts", "mpeg", "mpegvideo", "h264", "hevc")
"""Containers, and streams without one, in which only the stream itself states the shape of a pixel."""
ASPECTS = (Fraction(1, 10), Fraction(10))
"""Between these an aspect is no nonsense."""


@dataclass(frozen=True)
class Place:
    """Where a sampled picture comes from.

    Attributes:
        number: Place in display order from 0; for stills the place in the sorted folder.
        pts: Presentation timestamp in the stream's time base, or None.
        seconds: Time since the film's first frame, or None for stills and films without timestamps.
        name: A still's path inside its folder, or None for films.
    """

    number: int
    pts: int | None = None
    seconds: float | None = None
    name: str | None = None


@dataclass(frozen=True)
class Picture:
    """A sampled picture: its place, and `image`, (H, W, 3) uint8 RGB, upright, with square pixels."""

    place: Place
    image: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Look:
    """How frames become pictures.

    Attributes:
        deinterlace: `auto` for frames that are flagged as interlaced, `on` for all, `off` for none.
        inverse_telecine: Take film frames back out of 3:2 pulldown; frames are then numbered after it.
        box: What to keep of each picture when its black bars are cut off; None keeps all.
    """

    deinterlace: Literal["auto", "on", "off"] = "auto"
    inverse_telecine: bool = False
    box: Box | None = None


@dataclass(frozen=True)
class Approach:
    """How to go about decoding a film; the pictures are the same whichever way. See `approach_to`.

    Attributes:
        timeline: By which only what is needed is decoded; without one, everything.
        neighbours: Decode the frames beside each wanted one too, since deinterlacing looks at both.
        threads: Of the decoder, where a timeline tells which frames to expect of it: FFmpeg's frame threads
            lose frames around damage without a word.
        hwaccel: A kind of device to decode on, as `cuda`, or None.
        seek: Jump to where decoding begins, with a timeline; else everything before it is read.
    """

    timeline: Timeline | None = None
    neighbours: bool = False
    threads: int = 1
    hwaccel: str | None = None
    seek: bool = True


SEQUENTIAL = Approach()
"""Decode everything, by one thread."""


class Surprise(FramekitError):
    """The film is not what its packets promised: begin anew with `approach`.

    Of the pictures given so far the last ones may be wrong already: damage shows in what follows it.
    """

    def __init__(self, what: str, approach: Approach) -> None:
        super().__init__(what, advice="decode it from its start again, with this error's approach")
        self.approach = approach


def film_pictures(
    path: Path,
    sampling: Sampling,
    *,
    decoded: Decoded,
    look: Look = Look(),
    approach: Approach = SEQUENTIAL,
) -> Iterator[Picture]:
    """Give the pictures of a film that a sampling takes, as a full decode would number and show them.

    Damage is counted in `decoded` and decoding goes on after it.

    Args:
        path: The film.
        sampling: Which frames.
        decoded: Is counted up.
        look: How they are made into pictures.
        approach: How to go about it.

    Raises:
        FramekitError: The film cannot be opened.
        Surprise: Begin anew with the approach in the error.
    """
    timeline = None if look.inverse_telecine else approach.timeline
    takes = sampler_of(path, sampling, timeline, look, on_frames=decoded.on_frames)
    if timeline is None:
        yield from _all_gone_through(path, takes, decoded, look, approach)
    else:
        numbers = [time.number for time in timeline.times() if takes(time)]
        yield from pictures_at(path, numbers, decoded=decoded, look=look, approach=approach)


def pictures_at(
    path: Path,
    numbers: Sequence[int],
    *,
    decoded: Decoded,
    look: Look = Look(),
    approach: Approach = SEQUENTIAL,
    span: range | None = None,
) -> Iterator[Picture]:
    """Give the pictures of a film that have these numbers; see `film_pictures`.

    Args:
        path: The film.
        numbers: In display order from 0; those that there are not give nothing.
        decoded: Is counted up.
        look: How they are made into pictures.
        approach: How to go about it.
        span: The frames that count as gone through, where there is a timeline; all of the film by default.

    Raises:
        FramekitError: The film cannot be opened.
        Surprise: Begin anew with the approach in the error.
    """
    timeline = None if look.inverse_telecine else approach.timeline
    if timeline is None:
        taken = set(numbers)
        yield from _all_gone_through(path, lambda time: time.number in taken, decoded, look, approach)
        return
    with open_film(path, threads=approach.threads, hwaccel=approach.hwaccel, strict=True) as film:
        container, stream = film
        decoded.decoder = decoder_of(stream, approach.hwaccel)
        shown = wanted_frames(
            container,
            stream,
            timeline,
            numbers,
            decoded=decoded,
            span=span,
            neighbours=approach.neighbours,
            seek=approach.seek,
        )
        try:
            yield from _pictures(container, stream, shown, look, approach)
        except CannotSeek as error:
            raise Surprise(error.what, replace(approach, seek=False)) from None
        except Unexpected as error:
            raise Surprise(error.what, replace(approach, timeline=None)) from None


def _all_gone_through(
    path: Path, takes: Callable[[FrameTime], bool], decoded: Decoded, look: Look, approach: Approach
) -> Iterator[Picture]:
    """The pictures of the frames that `takes` picks, asked once for each; everything is decoded."""
    with open_film(path, hwaccel=approach.hwaccel) as (container, stream):
        decoded.decoder = decoder_of(stream, approach.hwaccel)
        frames = _timed_frames(container, stream, decoded, look)
        shown = (Shown(time, takes(time), frame) for time, frame in frames)
        yield from _pictures(container, stream, shown, look, replace(approach, timeline=None))


def _pictures(
    container: InputContainer, stream: VideoStream, shown: Iterator[Shown], look: Look, approach: Approach
) -> Iterator[Picture]:
    aspect_of = _aspects(container, stream)
    for before, now, after in _with_neighbours(shown):
        if now.wanted:
            _check_neighbours(now, look, approach)
            frame = _whole(before, now.frame, after, look)
            yield Picture(_place(now), _cut(to_rgb(frame, aspect_of(now.frame)), look.box))
            # Held on to, it would change what memory the decoder uses, and what damage leaves in it.
            del frame


def timeline_of(
    path: Path, *, on_frames: Callable[[int], None] = lambda _: None
) -> tuple[Timeline | None, str]:
    """A film's timeline, or None and why its packets don't tell it: then everything has to be decoded.

    Args:
        path: The film.
        on_frames: Told 0 now and then, as a sign of life.

    Raises:
        FramekitError: The film cannot be opened.
    """
    with open_film(path) as (container, stream):
        try:
            return read_timeline(container, stream, on_packet=lambda: on_frames(0)), ""
        except Unclear as why:
            return None, str(why)


def sampler_of(
    path: Path,
    sampling: Sampling,
    timeline: Timeline | None,
    look: Look = Look(),
    *,
    on_frames: Callable[[int], None] = lambda _: None,
) -> Callable[[FrameTime], bool]:
    """Says of each frame of a film, asked in display order, whether it is taken.

    Decodes the whole film once more for its shots, and for its length if no timeline tells it.

    Args:
        path: The film.
        sampling: Which frames.
        timeline: The film's, if it has one.
        look: Frames are numbered after inverse telecine.
        on_frames: Told 0 now and then, as a sign of life.
    """
    rate = _rate(path)
    totals = shots = None
    if sampling.needs_totals:
        times = timeline.times() if timeline else _decoded_times(path, look, on_frames)
        totals = totals_of(list(times), sampling, rate)
    if sampling.needs_scenes:
        shots = shots_of(path, look, on_frames=on_frames)
    return sampler(sampling, totals=totals, shots=shots, frame_rate=rate)


def shots_of(
    path: Path, look: Look = Look(), *, on_frames: Callable[[int], None] = lambda _: None
) -> list[Shot]:
    """The shots of a film, which is decoded as a whole for them.

    Args:
        path: The film.
        look: Frames are numbered after inverse telecine.
        on_frames: Told 0 at each frame, as a sign of life.

    Raises:
        FramekitError: The film cannot be opened.
    """
    return find_shots(_small_pictures(path, look, on_frames), frame_rate=_rate(path) or USUAL_RATE)


def _rate(path: Path) -> Fraction | None:
    with open_film(path) as (_, stream):
        return fraction(stream.average_rate)


def decoder_of(stream: VideoStream, hwaccel: str | None) -> str:
    """What decodes a stream: `h264`, or `h264 (cuda)` where the device does take it."""
    context = stream.codec_context
    return f"{context.name} ({hwaccel})" if hwaccel and context.is_hwaccel else context.name


def totals_of(times: list[FrameTime], sampling: Sampling, rate: Fraction | None) -> Totals:
    """Totals of a film with these frames; the last one lasts as long as they do on average."""
    frame = 1 / (rate or USUAL_RATE)
    last = max((time.seconds for time in times if time.seconds is not None), default=(len(times) - 1) * frame)
    totals = Totals(len(times), last + frame)
    if sampling.count is None or not sampling.skip:
        return totals
    return replace(totals, skipped=frames_skipped(sampling, times, totals=totals, frame_rate=rate))


def _decoded_times(path: Path, look: Look, on_frames: Callable[[int], None]) -> Iterator[FrameTime]:
    counted = Decoded()
    with open_film(path) as (container, stream):
        for time, _ in _timed_frames(container, stream, counted, look):
            on_frames(0)
            yield time


def _small_pictures(
    path: Path, look: Look, on_frames: Callable[[int], None]
) -> Iterator[tuple[int, np.ndarray]]:
    """(number, (h, w, 3) uint8 RGB) of every frame, all of the first one's size."""
    size: tuple[int, int] | None = None
    with open_film(path) as (container, stream):
        for number, frame in enumerate(_film_frames(container, stream, Decoded(), look)):
            on_frames(0)
            size = size or (SCENE_WIDTH, max(2, round(SCENE_WIDTH * frame.height / frame.width)))
            small = reformatted(frame, width=size[0], height=size[1], format="rgb24", interpolation="AREA")
            yield number, small.to_ndarray()


def _timed_frames(
    container: InputContainer, stream: VideoStream, decoded: Decoded, look: Look
) -> Iterator[tuple[FrameTime, VideoFrame]]:
    """All frames of a film with their times; see `timed`."""
    rate = fraction(stream.average_rate)
    frames = _film_frames(container, stream, decoded, look)
    if look.inverse_telecine:  # which stamps its frames itself
        return timed(frames, decoded, frame_rate=rate and rate * KEPT)
    return timed(frames, decoded, frame_rate=rate, by_dts=container.format.name == "avi")


def _aspects(container: InputContainer, stream: VideoStream) -> Callable[[VideoFrame], Fraction]:
    """Says of each frame the width of a pixel over its height.

    Where the container states one, it is the film's; else it may change midway, as when two recordings were
    joined. A timeline's films have one throughout, and their frames carry none.
    """
    films = pixel_aspect(stream)
    if container.format.name not in WITHOUT_ASPECT:
        return lambda _: films

    def aspect_of(frame: VideoFrame) -> Fraction:
        stated = mark_of(frame).aspect
        return stated if stated and ASPECTS[0] <= stated <= ASPECTS[1] else films

    return aspect_of


def _film_frames(
    container: InputContainer, stream: VideoStream, decoded: Decoded, look: Look
) -> Iterator[VideoFrame]:
    frames = every_frame(container, stream, decoded)
    return (
        without_telecine(frames, rate=fraction(stream.average_rate) or NTSC)
        if look.inverse_telecine
        else frames
    )


def _with_neighbours(shown: Iterable[Shown]) -> Iterator[tuple[VideoFrame | None, Shown, VideoFrame | None]]:
    """Each frame with those right before and after it, where they are at hand."""
    before: Shown | None = None
    now: Shown | None = None
    for after in chain(shown, [None]):
        if now is not None:
            yield _beside(now, before, -1), now, _beside(now, after, 1)
        before, now = now, after


def _beside(now: Shown, other: Shown | None, step: int) -> VideoFrame | None:
    return other.frame if other is not None and other.time.number == now.time.number + step else None


def _check_neighbours(now: Shown, look: Look, approach: Approach) -> None:
    if approach.timeline is not None and not approach.neighbours and _is_deinterlaced(now.frame, look):
        raise Surprise("its frames are interlaced", replace(approach, neighbours=True))


def _is_deinterlaced(frame: VideoFrame, look: Look) -> bool:
    if look.inverse_telecine or look.deinterlace == "off":
        return False
    return look.deinterlace == "on" or frame.interlaced_frame


def _whole(before: VideoFrame | None, frame: VideoFrame, after: VideoFrame | None, look: Look) -> VideoFrame:
    if not _is_deinterlaced(frame, look):
        return frame
    return deinterlaced(before, frame, after, unflagged=look.deinterlace == "on")


def _place(shown: Shown) -> Place:
    time = shown.time
    return Place(time.number, shown.frame.pts, None if time.seconds is None else float(time.seconds))


def _cut(image: np.ndarray, box: Box | None) -> np.ndarray:
    """Pictures of another size, after a film changed midway, are left whole."""
    if box is None or not box.fits(image.shape[1], image.shape[0]):
        return image
    return np.ascontiguousarray(box.cut(image))
