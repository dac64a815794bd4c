"""Timeline: from a film's packets alone to its frame numbers, and to what a wanted frame needs decoded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from framekit.sources.codecs.coded import Coded, HeaderReader, Unclear
from framekit.sources.film import packets_of
from framekit.sources.sampling import FrameTime

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

HEADER_CHECKS = {"h264": "h264_metadata", "hevc": "hevc_metadata", "mpeg2video": "mpeg2_metadata"}
"""FFmpeg's readers of headers by codec: they refuse what no decoder would take."""


class Fed(NamedTuple):
    """A packet to decode: its place in the stream, and whether the decoder starts afresh with it."""

    packet: int
    afresh: bool


@dataclass(frozen=True)
class Timeline:
    """The pictures of a film whose packets tell all about them; arrays in the order of the packets.

    Attributes:
        pts: int64, presentation timestamps in the stream's time base, each once.
        keyframes: bool, marked as a keyframe by the container.
        referenced: bool, other pictures may be predicted from it.
        restarts: bool, a decoder can begin here.
        leading: bool, follows a restart in the stream, is shown before it, and needs what came before it.
        sizes: int64, bytes of the packet.
        time_base: Seconds a tick.
    """

    pts: np.ndarray
    keyframes: np.ndarray
    referenced: np.ndarray
    restarts: np.ndarray
    leading: np.ndarray
    sizes: np.ndarray
    time_base: Fraction

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.pts)

    @cached_property
    def in_display_order(self) -> np.ndarray:
        """Frame number → place of its packet in the stream."""
        return np.argsort(self.pts)

    def time(self, number: int) -> FrameTime:
        """Time of a frame."""
        place = self.in_display_order[number]
        ticks = int(self.pts[place] - self.pts[self.in_display_order[0]])
        return FrameTime(number, ticks * self.time_base, bool(self.keyframes[place]))

    def times(self) -> Iterator[FrameTime]:
        """Times of all frames in display order."""
        return map(self.time, range(self.frames))

    @cached_property
    def place_of(self) -> dict[int, int]:
        """Timestamp → place of its packet in the stream."""
        return {int(pts): place for place, pts in enumerate(self.pts)}

    def spans(self, length: int) -> list[tuple[int, int]]:
        """Cut the film into about equal spans of about `length` frames, each from a restart on.

        Returns:
            Frame numbers [start, stop) of each; one span where the film has no restart to cut at.
        """
        number = np.empty(self.frames, np.int64)
        number[self.in_display_order] = np.arange(self.frames)
        restarts = np.sort(number[self.restarts])
        parts = max(1, round(self.frames / length))
        marks = [self.frames * part // parts for part in range(1, parts)]
        after = np.searchsorted(restarts, marks)
        cuts = {int(restarts[at]) for at in after if at < len(restarts)}
        return list(pairwise(sorted({0, *cuts, self.frames})))

    def fed(self, wanted: Collection[int]) -> list[Fed]:
        """The packets that a decoder needs, in order, to give the frames `wanted` exactly.

        Left out are pictures that nothing refers to, and the rest of a group of pictures after its last
        wanted one. Leading pictures need the whole group before theirs; where none is wanted, none is fed.

        Args:
            wanted: Frame numbers.
        """
        if not len(wanted):
            return []
        is_wanted = np.zeros(self.frames, bool)
        is_wanted[self.in_display_order[np.fromiter(wanted, np.int64, len(wanted))]] = True
        group = np.cumsum(self.restarts) - 1
        groups = int(group[-1]) + 1
        starts = np.flatnonzero(self.restarts)
        last = np.full(groups, -1)
        np.maximum.at(last, group[is_wanted], np.flatnonzero(is_wanted))
        leading_wanted = np.zeros(groups + 1, bool)
        leading_wanted[group[is_wanted & self.leading]] = True
        whole = leading_wanted[1:]  # the group after wants its leading pictures
        last[whole] = np.append(starts[1:], self.frames)[whole] - 1
        goes_on = np.append(False, whole[:-1])
        feed = (np.arange(self.frames) <= last[group]) & (self.referenced | is_wanted)
        feed &= ~self.leading | leading_wanted[group]
        afresh = np.zeros(self.frames, bool)
        afresh[starts[~goes_on]] = True
        return [Fed(int(place), bool(afresh[place])) for place in np.flatnonzero(feed)]


def read_timeline(
    container: InputContainer, stream: VideoStream, *, on_packet: Callable[[], None] = lambda: None
) -> Timeline:
    """Read all packets of a film, and decode none.

    Args:
        container: Open at its start.
        stream: Its video.
        on_packet: Called at each, as a sign of life.

    Raises:
        Unclear: They don't tell for certain which frames a full decode would give.
    """
    headers, check = _header_reader(stream), _header_check(stream)
    pts: list[int] = []
    keyframes = bytearray()
    coded: list[Coded] = []
    sizes: list[int] = []
    for packet in _packets(container, stream):
        if packet.size == 0:
            continue
        on_packet()
        _trust(packet)
        assert packet.pts is not None
        data = bytes(packet)
        coded.append(headers.read(data))
        pts.append(packet.pts)
        keyframes.append(packet.is_keyframe)
        sizes.append(packet.size)
        check(packet)
    if not pts:
        raise Unclear("it holds no packets")
    if not stream.time_base:
        raise Unclear("its packets have no times")
    time_base = Fraction(stream.time_base)
    _check_order(pts, coded, headers.reorder)
    return Timeline(
        np.array(pts, np.int64),
        np.array(keyframes, bool),
        np.array([each.referenced for each in coded], bool),
        np.array([each.restart for each in coded], bool),
        np.array([each.leading for each in coded], bool),
        np.array(sizes, np.int64),
        time_base,
    )


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    from av.error import FFmpegError

    try:
        yield from packets_of(container, stream)
    except FFmpegError:
        raise Unclear("the file cannot be read to its end") from None


def _trust(packet: Packet) -> None:
    if packet.pts is None:
        raise Unclear("its packets have no times")
    if packet.is_corrupt:
        raise Unclear("the file is damaged")
    if packet.is_discard:
        raise Unclear("an edit list hides some of its packets")
    if packet.has_sidedata("new_extradata"):
        raise Unclear("its parameters change midway")


def _header_reader(stream: VideoStream) -> HeaderReader:
    from framekit.sources.codecs.h264 import H264Headers
    from framekit.sources.codecs.hevc import HevcHeaders
    from framekit.sources.codecs.mpeg2 import Mpeg2Headers

    codec, extradata = stream.codec_context.name, bytes(stream.codec_context.extradata or b"")
    if codec == "h264":
        return H264Headers(extradata)
    if codec == "hevc":
        return HevcHeaders(extradata)
    if codec == "mpeg2video":
        return Mpeg2Headers()
    raise Unclear(f"{codec} packets do not tell what they need")


def _header_check(stream: VideoStream) -> Any:
    """A function that raises Unclear when FFmpeg's header reader refuses a packet; it empties the packet."""
    from av.bitstream import BitStreamFilterContext
    from av.error import FFmpegError

    def check(packet: Packet) -> None:
        try:
            reader.filter(packet)
        except FFmpegError:
            raise Unclear("a packet's headers are damaged") from None

    try:
        reader = BitStreamFilterContext(HEADER_CHECKS[stream.codec_context.name], in_stream=stream)
    except (FFmpegError, ValueError):
        raise Unclear("its parameter sets are damaged") from None
    return check


def _check_order(pts: list[int], coded: list[Coded], stated_reorder: int | None) -> None:
    """Times and picture order, two accounts of the same thing, must agree."""
    first_group = next((place for place, each in enumerate(coded) if each.restart and place), len(coded))
    if not coded[0].restart or any(each.leading for each in coded[:first_group]):
        raise Unclear("it does not start with a keyframe that stands alone")
    shown = sorted(range(len(coded)), key=lambda place: (coded[place].period, coded[place].order))
    if any(pts[one] >= pts[next_] for one, next_ in pairwise(shown)):
        raise Unclear("its times contradict the order of its pictures")
    if _reorder(shown) > (stated_reorder or 0):
        raise Unclear("it does not state how far its pictures are out of order")


def _reorder(shown: list[int]) -> int:
    """Most pictures that precede one in the stream and follow it on screen; `shown` is in display order."""
    number = np.empty(len(shown), np.int64)
    number[shown] = np.arange(len(shown))
    highest = np.maximum.accumulate(number)
    late = np.flatnonzero(number < highest)
    # Those ahead of a late picture lie within a short stretch before it.
    return max((int((number[max(0, at - 64) : at] > number[at]).sum()) for at in late), default=0)
