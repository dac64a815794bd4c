"""Frames of an open film in display order: all of them, or only those that wanted ones need decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from framekit.errors import FramekitError
from framekit.sources.film import fraction, packets_of, reason
from framekit.sources.sampling import Clock, FrameTime
from framekit.sources.timeline import Fed, Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PACKETS_WITHOUT_A_PICTURE = 5_000
"""After so many a film is given up: no decoder holds that many back."""
WORTH_A_JUMP = 250
"""Packets; fewer are read at once and thrown away."""
SECONDS_BEFORE = (0, 1, 15)
"""How far before a packet it is jumped to, one after the other: some containers lead past it."""
LOOKED_THROUGH = 2_500
"""Packets after a jump among which the one that is looked for must be."""


@dataclass
class Decoded:
    """What came out of a source so far: counted from the content, not read from its header.

    Attributes:
        frames: Pictures gone through, wanted or not; for stills the unreadable ones too.
        damage: One line for each thing that could not be read, or only in part, at most ten.
        damaged: How many there are.
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
        """Count one thing that could not be read, or only in part."""
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


class CannotSeek(FramekitError):
    """A jump into a film did not lead where it should: read it from its start."""


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
                if frame.is_corrupt:
                    decoded.add_damage(f"frame {decoded.frames} is damaged: parts of it are made up")
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
    numbers: Sequence[int],
    *,
    decoded: Decoded,
    span: range | None = None,
    neighbours: bool = False,
    seek: bool = True,
) -> Iterator[Shown]:
    """Decode some frames of a film, and of the others only what these need.

    Args:
        container: Open at its start.
        stream: Its video.
        timeline: Of this film.
        numbers: Of the frames.
        decoded: Is counted up.
        span: The frames that are gone through, to count; all of the film by default.
        neighbours: Give the frames beside the wanted ones as well.
        seek: Jump to where decoding begins, where that is far into the film.

    Raises:
        CannotSeek: What is there after a jump is not what the timeline says.
        Unexpected: The decoder gave something else than the timeline says.
    """
    taken = set(numbers)
    beside = {number + step for number in taken for step in (-1, 1)} if neighbours else set()
    shown = sorted(number for number in taken | beside if 0 <= number < timeline.frames)
    by_pts = dict(zip(timeline.pts[timeline.in_display_order[shown]].tolist(), shown, strict=True))
    span = span or range(timeline.frames)
    feed = timeline.fed(shown)
    if feed:
        first = feed[0].packet if seek and feed[0].packet > WORTH_A_JUMP else 0
        packets = _packets_from(container, stream, timeline, first)
        for frame in _fed_frames(stream.codec_context, packets, feed, decoded, span):
            number = by_pts.get(frame.pts)
            if number is not None:
                yield Shown(timeline.time(number), number in taken, frame)
    decoded.go_on_to(len(span))


def _fed_frames(
    context: VideoCodecContext,
    packets: Iterator[tuple[int, Packet]],
    feed: list[Fed],
    decoded: Decoded,
    span: range,
) -> Iterator[VideoFrame]:
    """Feed the decoder what it needs; every packet fed must give its frame and no other."""
    owed: set[int | None] = set()
    for place, afresh in feed:
        packet = next((packet for at, packet in packets if at == place), None)
        if packet is None:
            raise Unexpected("the file is not what it was a moment ago")
        decoded.go_on_to(min(max(0, place + 1 - span.start), len(span)))
        if afresh and place > 0:
            yield from _expected(_decode(context, None), owed)
            context.flush_buffers()
            if owed:
                raise Unexpected(f"{len(owed)} frames are missing")
        owed.add(packet.pts)
        yield from _expected(_decode(context, packet), owed)
    yield from _expected(_decode(context, None), owed)
    if owed:
        raise Unexpected(f"{len(owed)} frames are missing")


def _packets_from(
    container: InputContainer, stream: VideoStream, timeline: Timeline, first: int
) -> Iterator[tuple[int, Packet]]:
    """Packets and their places in the stream, from place `first` on, or from an earlier one.

    They must follow on each other as the timeline says: then nothing was lost, wherever reading began.
    """
    packets = _packets(container, stream)
    if first:
        packets = _sought(container, stream, timeline, first)
    for place, packet in enumerate(packets, start=first):
        if place >= timeline.frames or packet.pts != timeline.pts[place]:
            what = "the file is not what it was a moment ago"
            raise CannotSeek(what) if first else Unexpected(what)
        yield place, packet


def _sought(
    container: InputContainer, stream: VideoStream, timeline: Timeline, first: int
) -> Iterator[Packet]:
    """Packets from place `first` on, which is known by its time and size.

    Raises:
        CannotSeek: It was not found.
    """
    assert stream.time_base
    for seconds in SECONDS_BEFORE:
        packets = _packets_after(container, stream, timeline.pts[first] - round(seconds / stream.time_base))
        # What stands right after a jump may be a part of a packet only: then its size is another.
        for packet in islice(packets, LOOKED_THROUGH):
            place = timeline.place_of.get(packet.pts or 0, timeline.frames)
            if place == first and packet.size == timeline.sizes[first]:
                yield packet
                yield from packets
                return
            if first <= place < timeline.frames:
                break
    raise CannotSeek("what stands where it was jumped to is not what was read before")


def _packets_after(container: InputContainer, stream: VideoStream, pts: int) -> Iterator[Packet]:
    from av.error import FFmpegError

    try:
        container.seek(int(pts), stream=stream, backward=True)
    except FFmpegError as error:
        raise CannotSeek(f"it cannot be jumped in: {reason(error)}") from None
    return _packets(container, stream)


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
