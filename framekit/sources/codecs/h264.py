"""H.264 headers: ITU-T H.264 (08/2021), 7.3.2.1 (SPS), 7.3.2.2 (PPS), 7.3.3 (slices) and 8.2.1 (order)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from framekit.sources.codecs.bits import Bits, messages, nal_units, unescaped
from framekit.sources.codecs.coded import Coded, DisplayOrder, LastingMessages, ParameterSets, Unclear

SLICE, IDR_SLICE, SEI, SPS, PPS, DELIMITER, FILLER = 1, 5, 6, 7, 8, 9, 12
WITHOUT_PICTURES = (DELIMITER, FILLER)
P, B, I = 0, 1, 2  # noqa: E741 - the standard's names of slice types
PROFILES_WITH_CHROMA = (44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244)
AVCC_BYTES = 5
"""Of an avcC box before its parameter sets."""
HEADER_BYTES = 160
"""More than any slice header takes."""


@dataclass(frozen=True)
class SequenceSet:
    """What slices need of a sequence parameter set."""

    frame_number_bits: int
    order_type: int
    order_bits: int
    frames_only: bool
    chroma: int
    separate_planes: bool
    extra_depth: int
    reorder: int | None


@dataclass(frozen=True)
class PictureSet:
    """What slices need of a picture parameter set."""

    sequence: int
    cabac: bool
    bottom_order: bool
    references: tuple[int, int]
    weighted: tuple[bool, bool]
    quantiser: int
    deblocking_control: bool
    redundant_pictures: bool


class Slice(NamedTuple):
    """A slice's place in its picture, and what all slices of one picture have in common."""

    first_block: int
    idr: bool
    referenced: bool
    frame_number: int
    order_low: int
    order_bottom: int
    sequence: int


class H264Headers:
    """Reads the packets of one H.264 stream, in decode order.

    Args:
        extradata: The stream's: an avcC box, or units with start codes, or nothing.

    Raises:
        Unclear: It holds what this reader doesn't know.
    """

    def __init__(self, extradata: bytes) -> None:
        self.reorder: int | None = None
        self._length_size = 0
        self._known = ParameterSets()
        self._sequences: dict[int, SequenceSet] = {}
        self._pictures: dict[int, PictureSet] = {}
        self._period = -1
        self._last_reference = 0  # frame_num of the last referenced picture
        self._order = DisplayOrder()
        self._lasting = LastingMessages()
        self._shown = 0  # pictures since the last IDR, where they are shown in the order of the stream
        if extradata[:1] == b"\1":
            self._length_size = (extradata[4] & 3) + 1 if len(extradata) > AVCC_BYTES else 0
        for unit in _units_before_pictures(extradata):
            if unit[0] & 31 == SEI:
                self._lasting.keep(messages(unit[1:]))
            else:
                self._keep(unit)

    def read(self, data: bytes) -> Coded:
        """See `HeaderReader.read`."""
        slices = []
        told: list[tuple[int, bytes]] = []
        for unit in nal_units(data, self._length_size):
            kind = unit[0] & 31
            if unit[0] & 0x80:
                raise Unclear("a damaged unit in a packet")
            if kind in (SLICE, IDR_SLICE):
                slices.append(self._slice(unit))
            elif kind in (SPS, PPS):
                self._keep(bytes(unit))
            elif kind == SEI:
                told += messages(bytes(unit[1:]))
            elif kind not in WITHOUT_PICTURES:
                raise Unclear(f"units of kind {kind} in its packets")
        if not slices or slices[0].first_block != 0 or len({each[1:] for each in slices}) > 1:
            raise Unclear("a packet that does not hold exactly one picture")
        if any(one.first_block >= next_.first_block for one, next_ in pairwise(slices)):
            raise Unclear("a picture's slices are out of order")
        self._lasting.check(told, restart=slices[0].idr)
        return self._coded(slices[0])

    def _coded(self, head: Slice) -> Coded:
        sequence = self._sequences[head.sequence]
        if head.idr:
            self._period += 1
            self._order.restart()
            self._shown = self._last_reference = 0
        elif self._period < 0:
            raise Unclear("it does not start with a keyframe that stands alone")
        if head.frame_number != (self._last_reference + (not head.idr)) % (1 << sequence.frame_number_bits):
            raise Unclear("frames are missing from the stream")
        if head.referenced:
            self._last_reference = head.frame_number
        self._shown += 1
        order = self._shown
        if sequence.order_type == 0:
            top = self._order.of(head.order_low, sequence.order_bits, counts=head.referenced)
            order = top + min(head.order_bottom, 0)
        return Coded(self._period, order, head.referenced, head.idr)

    def _keep(self, unit: bytes) -> None:
        bits = Bits(unescaped(unit[1:]))
        if unit[0] & 31 == SPS:
            number, sequence = _sequence_set(bits)
            self._sequences[number] = sequence
            self.reorder = sequence.reorder
        else:
            number, picture = _picture_set(bits)
            self._pictures[number] = picture
        self._known.keep(unit[0] & 31, number, unit)

    def _slice(self, unit: memoryview) -> Slice:
        idr, referenced = unit[0] & 31 == IDR_SLICE, bool(unit[0] & 0x60)
        bits = Bits(unescaped(bytes(unit[1:HEADER_BYTES])))
        first_block, kind = bits.golomb(), bits.golomb()
        picture = self._pictures.get(bits.golomb())
        sequence = self._sequences.get(picture.sequence) if picture else None
        if picture is None or sequence is None or kind > 9 or kind % 5 > I:
            raise Unclear("a slice that refers to nothing known")
        if idr and (kind % 5 != I or not referenced):
            raise Unclear("a damaged keyframe")
        bits.skip(2 if sequence.separate_planes else 0)
        frame_number = bits.unsigned(sequence.frame_number_bits)
        if not sequence.frames_only and bits.flag():
            raise Unclear("fields are coded apart, two packets a frame")
        if idr and bits.golomb() > 65_535:
            raise Unclear("a damaged keyframe")
        low = bottom = 0
        if sequence.order_type == 0:
            low = bits.unsigned(sequence.order_bits)
            bottom = bits.signed_golomb() if picture.bottom_order else 0
        if picture.redundant_pictures and bits.golomb():
            raise Unclear("redundant pictures")
        _check_rest(bits, kind % 5, sequence, picture, idr=idr, referenced=referenced)
        return Slice(first_block, idr, referenced, frame_number, low, bottom, picture.sequence)


def _check_rest(
    bits: Bits, kind: int, sequence: SequenceSet, picture: PictureSet, *, idr: bool, referenced: bool
) -> None:
    """Read a slice header to its end: a decoder drops a picture over any value out of range."""
    if kind == B:
        bits.flag()
    lists = {P: 1, B: 2, I: 0}[kind]
    counts = list(picture.references[:lists])
    if lists and bits.flag():
        counts = [bits.golomb() + 1 for _ in range(lists)]
    if any(count > 32 for count in counts):
        raise Unclear("a damaged slice header")
    for _ in range(lists):
        _check_list_changes(bits, 1 << sequence.frame_number_bits)
    if (kind == P and picture.weighted[0]) or (kind == B and picture.weighted[1]):
        _check_weights(bits, counts, colour=sequence.chroma != 0 and not sequence.separate_planes)
    if referenced:
        _check_marking(bits, idr=idr)
    if picture.cabac and kind != I and bits.golomb() > 2:
        raise Unclear("a damaged slice header")
    if not -sequence.extra_depth <= picture.quantiser + bits.signed_golomb() <= 51:
        raise Unclear("a damaged slice header")
    filtering = bits.golomb() if picture.deblocking_control else 1
    offsets = [bits.signed_golomb() for _ in range(2)] if filtering != 1 else []
    if filtering > 2 or any(abs(offset) > 6 for offset in offsets):
        raise Unclear("a damaged slice header")


def _check_list_changes(bits: Bits, highest: int) -> None:
    if not bits.flag():
        return
    for _ in range(33):
        change = bits.golomb()
        if change == 3:
            return
        if change > 2 or bits.golomb() >= highest:
            break
    raise Unclear("a damaged slice header")


def _check_weights(bits: Bits, counts: list[int], *, colour: bool) -> None:
    planes = (1, 2) if colour else (1,)
    if any(bits.golomb() > 7 for _ in planes):
        raise Unclear("a damaged slice header")
    for count in counts:
        for _ in range(count):
            for plane in planes:
                if bits.flag() and any(not -128 <= bits.signed_golomb() <= 127 for _ in range(2 * plane)):
                    raise Unclear("a damaged slice header")


def _check_marking(bits: Bits, *, idr: bool) -> None:
    if idr:
        bits.skip(2)  # the first throws away the pictures before, but FFmpeg shows them all the same
        return
    if not bits.flag():
        return
    for _ in range(66):
        operation = bits.golomb()
        if operation == 0:
            return
        if operation >= 5:
            raise Unclear("a picture that forgets all before it, or a damaged slice header")
        if operation in (1, 2, 3, 4) and bits.golomb() > 65_535:
            break
        if operation == 3 and bits.golomb() > 31:
            break
    raise Unclear("a damaged slice header")


def _units_before_pictures(extradata: bytes) -> Iterator[bytes]:
    if extradata[:1] != b"\1":
        if extradata:
            yield from (bytes(unit) for unit in nal_units(extradata, 0) if unit[0] & 31 in (SPS, PPS, SEI))
        return
    if len(extradata) <= AVCC_BYTES:
        raise Unclear("its parameter sets are cut short")
    place = AVCC_BYTES
    for mask in (0x1F, 0xFF):
        count, place = extradata[place : place + 1], place + 1
        for _ in range(int.from_bytes(count) & mask):
            size = int.from_bytes(extradata[place : place + 2])
            unit, place = extradata[place + 2 : place + 2 + size], place + 2 + size
            if not unit or place > len(extradata):
                raise Unclear("its parameter sets are cut short")
            yield unit
    if place > len(extradata):
        raise Unclear("its parameter sets are cut short")


def _sequence_set(bits: Bits) -> tuple[int, SequenceSet]:
    profile = bits.unsigned(8)
    bits.skip(16)
    number = bits.golomb()
    chroma, separate, depth = 1, False, 0
    if profile in PROFILES_WITH_CHROMA:
        chroma = bits.golomb()
        separate = chroma == 3 and bits.flag()
        depth = bits.golomb()
        bits.golomb()
        bits.flag()
        if bits.flag():
            _skip_scaling_lists(bits, 12 if chroma == 3 else 8)
    frame_number_bits = bits.golomb() + 4
    order_type = bits.golomb()
    order_bits = bits.golomb() + 4 if order_type == 0 else 0
    if order_type not in (0, 2) or max(frame_number_bits, order_bits) > 16 or depth > 6:
        raise Unclear("its display order is coded in a rare way")
    bits.golomb()
    if bits.flag():
        raise Unclear("frames may be missing from the stream by design")
    bits.golomb(), bits.golomb()
    frames_only = bits.flag()
    bits.skip(1 if frames_only else 2)
    if bits.flag():
        for _ in range(4):
            bits.golomb()
    reorder = _stated_reorder(bits) if bits.flag() else None
    made = SequenceSet(
        frame_number_bits, order_type, order_bits, frames_only, chroma, separate, 6 * depth, reorder
    )
    return number, made


def _skip_scaling_lists(bits: Bits, count: int) -> None:
    for index in range(count):
        if not bits.flag():
            continue
        last = next_ = 8
        for _ in range(16 if index < 6 else 64):
            if next_:
                next_ = (last + bits.signed_golomb()) % 256
            last = next_ or last


def _stated_reorder(bits: Bits) -> int | None:
    """max_num_reorder_frames at the end of the VUI (annex E), or None."""
    if bits.flag() and bits.unsigned(8) == 255:  # aspect
        bits.skip(32)
    if bits.flag():  # overscan
        bits.flag()
    if bits.flag():  # video signal
        bits.skip(4)
        bits.skip(24 if bits.flag() else 0)
    if bits.flag():  # chroma places
        bits.golomb(), bits.golomb()
    if bits.flag():  # timing
        bits.skip(65)
    nal, vcl = _skip_buffer(bits), _skip_buffer(bits)
    bits.skip(1 if nal or vcl else 0)
    bits.flag()
    if not bits.flag():
        return None
    bits.flag()
    for _ in range(4):
        bits.golomb()
    return bits.golomb()


def _skip_buffer(bits: Bits) -> bool:
    present = bits.flag()
    if present:
        count = bits.golomb() + 1
        bits.skip(8)
        for _ in range(min(count, 32)):
            bits.golomb(), bits.golomb(), bits.flag()
        bits.skip(20)
    return present


def _picture_set(bits: Bits) -> tuple[int, PictureSet]:
    number, sequence = bits.golomb(), bits.golomb()
    cabac, bottom_order = bits.flag(), bits.flag()
    if bits.golomb():
        raise Unclear("slice groups")
    references = bits.golomb() + 1, bits.golomb() + 1
    weighted = bits.flag(), bits.unsigned(2) == 1
    quantiser = 26 + bits.signed_golomb()
    bits.signed_golomb(), bits.signed_golomb()
    deblocking_control = bits.flag()
    bits.flag()
    redundant = bits.flag()
    made = PictureSet(
        sequence, cabac, bottom_order, references, weighted, quantiser, deblocking_control, redundant
    )
    return number, made
