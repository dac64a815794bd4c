"""A look over a film before it is sampled: its black bars, and whether it was telecined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from framekit.errors import FramekitError
from framekit.sources.decoding import timeline_of, totals_of
from framekit.sources.film import FilmFacts, open_film, packets_of, pixel_aspect
from framekit.sources.frames import Decoded, every_frame
from framekit.sources.letterbox import Box, find_bars
from framekit.sources.picture import to_rgb
from framekit.sources.sampling import USUAL_RATE, FrameTime, Sampling, expected_pictures
from framekit.sources.telecine import find_pulldown
from framekit.sources.timeline import Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

PICTURES = 48
"""Keyframes to look at, spread over the film: each is decoded alone."""
FEW = 6
"""Fewer keyframes than this say too little: then some frames of the `BEGINNING` are looked at instead."""
BEGINNING, STEP = 300, 25
TELECINED_RATES = (29, 31)
"""Frames per second between which 24 frames of film may have been spread over 30."""
CADENCE_AT, CADENCE_FRAMES = (240, 0), 120
"""It is looked for in so many frames, first after some seconds: films begin with black and titles."""


@dataclass(frozen=True)
class Survey:
    """What a look over a film found.

    Attributes:
        timeline: By which only what is needed has to be decoded; or None.
        why: Why everything has to be decoded; empty when there is a timeline.
        box: What is inside the black bars; None where there are none.
        telecine: How 24 frames a second were spread over 30: `fields`, `frames`, or None.
    """

    timeline: Timeline | None
    why: str
    box: Box | None
    telecine: Literal["fields", "frames"] | None

    def as_json(self) -> dict[str, Any]:
        """For a manifest: plain values."""
        return {
            "decoding": f"everything: {self.why}" if self.why else "what is needed",
            "frames": self.timeline.frames if self.timeline else None,
            "letterbox": str(self.box) if self.box else None,
            "telecine": self.telecine,
        }


def survey(
    path: Path,
    facts: FilmFacts,
    *,
    letterbox: str = "auto",
    on_frames: Callable[[int], None] = lambda _: None,
) -> Survey:
    """Look over a film.

    Args:
        path: The film.
        facts: From its header.
        letterbox: `auto` looks for black bars, `off` takes none, `W:H:X:Y` is taken as it is.
        on_frames: Told 0 now and then, as a sign of life.

    Raises:
        FramekitError: The film cannot be opened, or the box is larger than its picture.
    """
    timeline, why = timeline_of(path, on_frames=on_frames)
    box = None
    if letterbox == "auto":
        box = find_box(path, timeline)
    elif letterbox != "off":
        box = Box.parse(letterbox)
        if not box.fits(facts.width, facts.height):
            size = f"{facts.width}×{facts.height}"
            raise FramekitError(f"its picture of {size} has no room for --letterbox {letterbox}", where=path)
    return Survey(timeline, why, box, find_telecine(path, facts))


def pictures_to_expect(found: Survey, facts: FilmFacts, sampling: Sampling) -> int | None:
    """How many frames a sampling takes of a film: exact by its timeline, else by what its header states.

    Returns:
        None where only decoding can tell.
    """
    if sampling.needs_scenes or not (found.timeline or (facts.stated_frames and not sampling.keyframes)):
        return None
    if found.timeline:
        times = list(found.timeline.times())
    else:
        frame = 1 / (facts.rate or USUAL_RATE)
        times = [FrameTime(number, number * frame, False) for number in range(facts.stated_frames)]
    totals = totals_of(times, sampling, facts.rate) if sampling.needs_totals else None
    return expected_pictures(sampling, times, totals=totals, frame_rate=facts.rate)


def find_box(path: Path, timeline: Timeline | None) -> Box | None:
    """The box inside a film's black bars; None where there are none, or the film changes size midway.

    Raises:
        FramekitError: The film cannot be opened.
    """
    keyframes = _count_keyframes(path) if timeline is None else int(timeline.keyframes.sum())
    return find_bars(_keyframes(path, keyframes) if keyframes >= FEW else _beginning(path))


def find_telecine(path: Path, facts: FilmFacts) -> Literal["fields", "frames"] | None:
    """How a film of 24 frames a second was spread over 30, if it was; see `find_pulldown`.

    Raises:
        FramekitError: The film cannot be opened.
    """
    if not TELECINED_RATES[0] <= (facts.rate or 0) <= TELECINED_RATES[1]:
        return None
    for start in CADENCE_AT:
        with open_film(path) as (container, stream):
            frames = every_frame(container, stream, Decoded())
            found = find_pulldown(islice(frames, start, start + CADENCE_FRAMES))
        if found:
            return found
    return None


def _count_keyframes(path: Path) -> int:
    with open_film(path) as (container, stream):
        return sum(1 for _ in _keyframe_packets(container, stream))


def _keyframes(path: Path, count: int) -> Iterator[np.ndarray]:
    """Some of a film's `count` keyframes, evenly spread, each decoded alone."""
    from av.error import FFmpegError

    chosen = {(2 * part + 1) * count // (2 * PICTURES) for part in range(PICTURES)}
    with open_film(path) as (container, stream):
        context, aspect = stream.codec_context, pixel_aspect(stream)
        for number, packet in enumerate(_keyframe_packets(container, stream)):
            if number not in chosen:
                continue
            with suppress(FFmpegError):  # damage shows when the film is decoded
                for frame in [*context.decode(packet), *context.decode(None)]:
                    yield to_rgb(frame, aspect)
            context.flush_buffers()


def _keyframe_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """As many as can be read."""
    from av.error import FFmpegError

    with suppress(FFmpegError):
        for packet in packets_of(container, stream):
            if packet.size and packet.is_keyframe:
                yield packet


def _beginning(path: Path) -> Iterator[np.ndarray]:
    with open_film(path) as (container, stream):
        aspect = pixel_aspect(stream)
        for frame in islice(every_frame(container, stream, Decoded()), 0, BEGINNING, STEP):
            yield to_rgb(frame, aspect)
