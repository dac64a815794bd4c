"""From a film and the frame numbers wanted to their pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from framekit.sources.film import open_film, pixel_aspect, reason
from framekit.sources.picture import to_rgb

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


@dataclass(frozen=True)
class Place:
    """Where a sampled picture comes from.

    Attributes:
        number: Place in display order from 0; for stills the place in the sorted folder.
        pts: Presentation timestamp in the stream's time base, or None.
        seconds: Time since the stream's start, or None for stills.
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


@dataclass
class Decoded:
    """What came out of a source so far: counted from the content, not read from its header.

    Attributes:
        frames: Pictures gone through, wanted or not; for stills the unreadable ones too.
        damage: One line for each thing that could not be read, at most ten; `damaged` counts all.
    """

    frames: int = 0
    damaged: int = 0
    damage: list[str] = field(default_factory=list)

    def add_damage(self, what: str) -> None:
        """Count one thing that could not be read."""
        self.damaged += 1
        if len(self.damage) < 10:
            self.damage.append(what)


def film_pictures(
    path: Path,
    wanted: Iterator[int],
    *,
    decoded: Decoded,
    on_frames: Callable[[int], None] = lambda _: None,
) -> Iterator[Picture]:
    """Decode a film from start to end and give the wanted pictures.

    A damaged packet is counted in `decoded` and decoding goes on after it.

    Args:
        path: The film.
        wanted: Ascending frame numbers.
        decoded: Is counted up.
        on_frames: Told the number of frames decoded so far.

    Raises:
        FramekitError: The film cannot be opened.
    """
    next_wanted = next(wanted, None)
    with open_film(path) as (container, stream):
        aspect, start = pixel_aspect(stream), stream.start_time or 0
        for frame in _all_frames(container, stream, decoded):
            number = decoded.frames
            decoded.frames += 1
            on_frames(decoded.frames)
            if number == next_wanted:
                next_wanted = next(wanted, None)
                seconds = None
                if frame.pts is not None and frame.time_base:
                    seconds = float((frame.pts - start) * frame.time_base)
                yield Picture(Place(number, frame.pts, seconds), to_rgb(frame, aspect))
            if next_wanted is None:
                return


def _all_frames(container: InputContainer, stream: VideoStream, decoded: Decoded) -> Iterator[VideoFrame]:
    """Every frame in display order; what cannot be read is counted and passed over."""
    from av.error import EOFError as EndOfStream
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError as error:
            decoded.add_damage(f"unreadable after frame {decoded.frames}: {reason(error)}")
            packet = None
        if packet is None:
            break
        try:
            yield from packet.decode()
        except EndOfStream:
            break
        except FFmpegError as error:
            decoded.add_damage(f"damaged packet after frame {decoded.frames}: {reason(error)}")
