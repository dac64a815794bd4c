"""Sampling by decoding everything: one thread, every frame counted, frames beside wanted ones kept."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import av.error
import numpy as np
from av.stream import Disposition

from framekit.sources.deinterlacing import deinterlaced
from framekit.sources.picture import to_rgb
from framekit.sources.sampling import FrameTime, Sampling, Totals, frames_skipped, sampler
from framekit.sources.scenes import Shot, find_shots
from tests.oracles.sampling import rising

USUAL_RATE = Fraction(25)
SCENE_WIDTH = 256
BARREN_PACKETS = 5_000  # after so many without a picture a film is given up


class TakenFrame(NamedTuple):
    """What a wanted frame must come out as; `image` is (H, W, 3) uint8 RGB."""

    pts: int | None
    seconds: Fraction | None
    image: np.ndarray


@dataclass
class FullDecode:
    """A film decoded as a whole: once for its times, and anew for pictures.

    Args:
        path: The film.
        kept: Frames to keep alive after each has been given, so that the decoder cannot write over them:
            parts that damage leaves undecoded come out differently with other memory.
        used: Decode it once before, so that the decoder has nothing but used memory.

    Attributes:
        times: Of its frames in display order.
        end: Seconds from the start of the first frame to the end of the last.
        frame_rate: The average, or None when unknown.
        damaged: How often something could not be read.
        concealed: Frames of which the decoder made up parts.

    Raises:
        av.error.FFmpegError: FFmpeg takes it for no film.
        ValueError: It has no video.
    """

    path: Path
    kept: int = 0
    used: bool = False
    times: list[FrameTime] = field(default_factory=list)
    end: Fraction = Fraction(0)
    frame_rate: Fraction | None = None
    damaged: int = 0
    concealed: int = 0
    _aspects: dict[int | None, Fraction] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with self._open() as container:
            rate = main_stream(container).average_rate
            self.frame_rate = Fraction(rate) if rate else None
            out_of_order = container.format.name == "avi"  # it states when to decode, not when to show
        tick = 1 / (self.frame_rate or USUAL_RATE)
        stamps, keyframes = [], []
        for frame in self.frames():
            has_time = frame.pts is not None and bool(frame.time_base)
            stamps.append(frame.pts * Fraction(frame.time_base) if has_time else None)
            keyframes.append(bool(frame.key_frame if frame.opaque is None else frame.opaque[0]))
        if out_of_order:
            stamps.sort()
        for seconds, keyframe in zip(rising(stamps, tick), keyframes, strict=True):
            self.times.append(FrameTime(len(self.times), seconds, keyframe))
        known = [time.seconds for time in self.times if time.seconds is not None]
        self.end = max(known, default=(len(self.times) - 1) * tick) + tick

    def frames(self) -> Iterator[Any]:
        """Every frame in display order; what cannot be read is counted and passed over."""
        with self._open() as container:
            stream = main_stream(container)
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = (
                1  # PyAV locks up when a thread of dav1d lets go of an `opaque`
            )
            stream.codec_context.copy_opaque = True
            # Width of a pixel over its height by pts; of None what holds for all other frames.
            self._aspects = {None: _sound(stream.sample_aspect_ratio) or Fraction(1)}
            packets = self._packets(container, stream)
            if self.used:
                packets = list(packets)
                list(self._decoded(packets, stream))
                stream.codec_context.flush_buffers()
            self.damaged = self.concealed = 0
            kept: deque[Any] = deque(maxlen=self.kept)
            for frame in self._decoded(packets, stream):
                kept.append(frame)
                yield frame

    def numbers(self, sampling: Sampling) -> list[int]:
        """Of the frames that a sampling takes."""
        rate, totals = self.frame_rate, Totals(len(self.times), self.end)
        skipped = frames_skipped(sampling, self.times, totals=totals, frame_rate=rate)
        totals = Totals(len(self.times), self.end, skipped)
        shots = self.shots() if sampling.scenes else None
        takes = sampler(sampling, totals=totals, shots=shots, frame_rate=rate)
        return [time.number for time in self.times if takes(time)]

    def taken(self, numbers: Iterable[int]) -> dict[int, TakenFrame]:
        """Frame number → frame; those flagged as interlaced are deinterlaced with the frames beside them."""
        aspects = dict(self._aspects)
        wanted, taken = set(numbers), {}
        before = now = None
        for number, after in enumerate(self._and_a_last_none(), -1):
            if number in wanted:
                frame = deinterlaced(before, now, after) if now.interlaced_frame else now
                image = to_rgb(frame, aspects.get(now.pts, aspects[None]))
                taken[number] = TakenFrame(now.pts, self.times[number].seconds, image)
            before, now = now, after
        return taken

    def shots(self) -> list[Shot]:
        """Its shots, found on all of its frames in small."""
        return find_shots(enumerate(self._small()), frame_rate=self.frame_rate or USUAL_RATE)

    def _small(self) -> Iterator[np.ndarray]:
        size = None
        for frame in self.frames():
            size = size or (SCENE_WIDTH, max(2, round(SCENE_WIDTH * frame.height / frame.width)))
            yield frame.reformat(*size, format="rgb24", interpolation="AREA").to_ndarray()

    def _and_a_last_none(self) -> Iterator[Any]:
        yield from self.frames()
        yield None

    def _decoded(self, packets: Iterable[Any], stream: Any) -> Iterator[Any]:
        barren = 0
        states = stream.container.format.name in ("mpegts", "mpeg", "mpegvideo", "h264", "hevc")
        for packet in packets:
            packet.opaque = [
                packet.is_keyframe
            ]  # PyAV keeps it by its id, so each must be an object of its own
            try:
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self.damaged += 1
                frames = []
            # A decoder with one thread has read the packet's headers by now.
            stated = _sound(stream.codec_context.sample_aspect_ratio) if states and packet.size else None
            if stated:
                self._aspects[packet.pts] = stated
            for frame in frames:
                self.concealed += frame.is_corrupt
                yield frame
            barren = 0 if frames else barren + 1
            if barren == BARREN_PACKETS:
                self.damaged += 1
                return

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield from container.demux(stream)
                except IndexError:  # PyAV's, over a packet of a stream that damage made up
                    continue
                return
        except av.error.FFmpegError:
            self.damaged += 1
            last = av.Packet()
            last.stream = stream
            yield last  # the decoder still holds frames from before the damage

    def _open(self) -> Any:
        options = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
        return av.open(f"file:{self.path}", **options)


def _sound(aspect: Any) -> Fraction | None:
    return Fraction(aspect) if aspect and Fraction(1, 10) <= aspect <= 10 else None


def main_stream(container: Any) -> Any:
    """The largest video stream that is not cover art."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    return max(streams, key=lambda stream: (stream.width or 0) * (stream.height or 0))


def every_by_full_decode(path: Path, step: int) -> dict[int, tuple[int | None, np.ndarray]]:
    """Frame number → (pts, (H, W, 3) uint8 RGB) of frames 0, step, 2·step, …; damage is passed over."""
    film = FullDecode(path)
    taken = film.taken(range(0, len(film.times), step))
    return {number: (frame.pts, frame.image) for number, frame in taken.items()}
