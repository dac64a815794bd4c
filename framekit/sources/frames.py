"""Frames of an open film in display order: all of them, or only those that wanted ones need decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from framekit.errors import FramekitError
from framekit.sources.film import fraction, packets_of, reason
from framekit.sources.sampling import Clock, FrameTime
from framekit.sources.timeline import Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PACKETS_WITHOUT_A_PICTURE = 5_000
"""After so many a film is given up: no decoder holds that many back."""


@dataclass
class Decoded:
    """What came out of a source so far: counted from the content, not read from its header.

    Attributes:
        frames: Pictures gone through, wanted or not; for stills the unreadable ones too.
        damage: One line for each thing that could not be read, at most ten; `damaged` counts all.
        decoder: What made the pictures, as `h264` or `h264 (cuda)`; empty for stills.
        on_frames: Told `frames` whenever it grows, and now and then while a film is looked over.
    """

    frames: int = 0
    damaged: int = 0
    damage: list[str] = field(default_factory=list)
    decoder: str = ""
    on_frames: Callable[[int], None] = field(default=lambda _: None, repr=False)

    def go_on_to(self, frames: int) -> None:
        """Count up to `frames`."""
        self.frames = frames
        self.on_frames(frames)

    def add_damage(self, what: str) -> None:
        """Count one thing that could not be read."""
        self.damaged += 1
        if len(self.damage) < 10:
            self.damage.append(what)


@dataclass(frozen=True, slots=True)
class Mark:
    """What a frame carries with it as its `opaque`: known of its packet, and of no use to FFmpeg.

    Attributes:
        keyframe: Whether the container marks its packet as a keyframe.
        aspect: Width of a pixel over its height, as the stream stated it at this packet; None when it didn't.
    """

    keyframe: bool
    aspect: Fraction | None = None


class Unexpected(FramekitError):
    """The decoder gave something else than the packets promised; says what."""


class Shown(NamedTuple):
    """A frame in display order, and whether it is wanted or only beside a wanted one."""

    time: FrameTime
    wanted: bool
    frame: VideoFrame


def every_frame(container: InputContainer, stream: VideoStream, decoded: Decoded) -> Iterator[VideoFrame]:
    """Decode everything; what cannot be read is counted in `decoded` and passed over.

    Frames carry a `Mark`, where the decoder passes it on; see `mark_of`.
    """
    from av.error import EOFError as EndOfStream
    from av.error import FFmpegError

    context = stream.codec_context
    context.copy_opaque = True
    barren = 0
    for packet in _readable(container, stream, decoded):
        keyframe = packet is not None and packet.is_keyframe
        note = [Mark(keyframe)]  # PyAV keeps it by its identity: each packet needs one of its own
        if packet is not None:
            packet.opaque = note
        barren += 1
        try:
            frames = context.decode(packet)
            # PyAV doesn't tell a frame's own aspect; the decoder's is that of the packet it has just read.
            note[0] = Mark(keyframe, fraction(context.sample_aspect_ratio))
            for frame in frames:
                barren = 0
                yield frame
        except EndOfStream:
            return
        except FFmpegError as error:
            decoded.add_damage(f"damaged packet after frame {decoded.frames}: {reason(error)}")
        if barren == PACKETS_WITHOUT_A_PICTURE:
            decoded.add_damage(f"given up after frame {decoded.frames}: {barren:,} packets without a picture")
            return


def _readable(container: InputContainer, stream: VideoStream, decoded: Decoded) -> Iterator[Packet | None]:
    """Packets as far as the file can be read, then what brings out the frames that a decoder holds back."""
    from av.error import FFmpegError

    try:
        yield from packets_of(container, stream)
    except FFmpegError as error:
        decoded.add_damage(f"unreadable after frame {decoded.frames}: {reason(error)}")
        yield None


def mark_of(frame: VideoFrame) -> Mark:
    """The mark that a frame carries; without one, what its decoder says of it."""
    carried: Any = frame.opaque
    return carried[0] if carried else Mark(bool(frame.key_frame))


def timed(
    frames: Iterator[VideoFrame], decoded: Decoded, *, frame_rate: Fraction | None, by_dts: bool = False
) -> Iterator[tuple[FrameTime, VideoFrame]]:
    """Number frames in display order, counting them in `decoded`, and give them times that rise.

    Args:
        frames: All frames of a film, from a decoder with one thread.
        decoded: Is counted up.
        frame_rate: Frames a second; see `Clock`.
        by_dts: Their times are those at which packets are due for decoding, as AVI has no others. FFmpeg
            gives a frame the one of the packet that brought it out.
    """
    clock = Clock(frame_rate)
    for frame in frames:
        ticks = frame.dts if by_dts else frame.pts
        stamp = ticks * Fraction(frame.time_base) if ticks is not None and frame.time_base else None
        time = FrameTime(decoded.frames, clock.time(stamp), mark_of(frame).keyframe)
        decoded.go_on_to(decoded.frames + 1)
        yield time, frame


def wanted_frames(
    container: InputContainer,
    stream: VideoStream,
    timeline: Timeline,
    takes: Callable[[FrameTime], bool],
    *,
    decoded: Decoded,
    neighbours: bool = False,
) -> Iterator[Shown]:
    """Decode the frames that `takes` picks, and of the others only what these need.

    Args:
        container: Open at its start.
        stream: Its video.
        timeline: Of this film.
        takes: Asked once for every frame of the film in display order.
        decoded: Is counted up.
        neighbours: Give the frames beside the wanted ones as well.

    Raises:
        Unexpected: The decoder gave something else than the timeline says.
    """
    taken = {time.number for time in timeline.times() if takes(time)}
    beside = {number + step for number in taken for step in (-1, 1)} if neighbours else set()
    numbers = sorted(number for number in taken | beside if 0 <= number < timeline.frames)
    by_pts = dict(zip(timeline.pts[timeline.in_display_order[numbers]].tolist(), numbers, strict=True))
    for frame in _fed_frames(container, stream, timeline, numbers, decoded):
        number = by_pts.get(frame.pts)
        if number is not None:
            yield Shown(timeline.time(number), number in taken, frame)


def _fed_frames(
    container: InputContainer,
    stream: VideoStream,
    timeline: Timeline,
    numbers: list[int],
    decoded: Decoded,
) -> Iterator[VideoFrame]:
    """Feed the decoder what the frames `numbers` need; every packet fed must give its frame and no other."""
    context = stream.codec_context
    owed: set[int | None] = set()
    feed = timeline.fed(numbers)
    packets = enumerate(_packets(container, stream))
    for place, afresh in feed:
        packet = next((packet for at, packet in packets if at == place), None)
        decoded.go_on_to(place + 1)
        if packet is None or packet.pts != timeline.pts[place]:
            raise Unexpected("the file is not what it was a moment ago")
        if afresh and place > 0:
            yield from _expected(_decode(context, None), owed)
            context.flush_buffers()
            if owed:
                raise Unexpected(f"{len(owed)} frames are missing")
        owed.add(packet.pts)
        yield from _expected(_decode(context, packet), owed)
    yield from _expected(_decode(context, None), owed)
    decoded.go_on_to(timeline.frames)
    if owed:
        raise Unexpected(f"{len(owed)} frames are missing")


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    from av.error import FFmpegError

    try:
        for packet in packets_of(container, stream):
            if packet.size:
                yield packet
    except FFmpegError as error:
        raise Unexpected(f"unreadable: {reason(error)}") from None


def _decode(context: VideoCodecContext, packet: Packet | None) -> list[VideoFrame]:
    from av.error import FFmpegError

    try:
        return context.decode(packet)
    except FFmpegError as error:
        raise Unexpected(f"damaged: {reason(error)}") from None


def _expected(frames: list[VideoFrame], owed: set[int | None]) -> Iterator[VideoFrame]:
    for frame in frames:
        if frame.pts not in owed or frame.is_corrupt:
            raise Unexpected("a frame is damaged, or came where none was due")
        owed.remove(frame.pts)
        yield frame
