"""HEVC headers: ITU-T H.265 (08/2021), sections 7.3.2 (parameter sets), 7.3.6 (slices) and 8.3.1 (order).

A slice header is read up to its reference picture set; that the rest of it is in order, FFmpeg's own header
reader (`hevc_metadata`) checks. A decoder drops a picture that names references it never had, so the sets are
followed (8.3.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from framekit.sources.codecs.bits import Bits, messages, nal_units, unescaped
from framekit.sources.codecs.coded import Coded, DisplayOrder, LastingMessages, ParameterSets, Unclear

VPS, SPS, PPS = 32, 33, 34
MESSAGES = (39, 40)  # supplemental information before and after a picture
HARMLESS = (35, 38)  # delimiter, filler
PICTURES = (*range(10), 16, 17, 18, 19, 20, 21)
RESTARTS = range(16, 22)
IDR = (19, 20)
CRA = 21
RASL = (8, 9)
LEADING = range(6, 10)
BEFORE_PICTURES = (VPS, SPS, PPS, *MESSAGES)
HVCC_BYTES = 23
"""Of an hvcC box before its parameter sets."""
HEADER_BYTES = 96
MOST_REFERENCES = 16


@dataclass(frozen=True)
class SequenceSet:
    """What slices need of a sequence parameter set."""

    order_bits: int
    separate_planes: bool
    address_bits: int
    highest_layer: int
    reorder: int
    reference_sets: tuple[tuple[int, ...], ...]
    long_term: bool


@dataclass(frozen=True)
class PictureSet:
    """What slices need of a picture parameter set."""

    sequence: int
    dependent_slices: bool
    output_flag: bool
    extra_bits: int


class Slice(NamedTuple):
    """What all slices of one picture have in common."""

    kind: int
    layer: int
    order_low: int
    sequence: int
    references: tuple[int, ...]  # display orders, relative to this picture's


class HevcHeaders:
    """Reads the packets of one HEVC stream, in decode order.

    Args:
        extradata: The stream's: an hvcC box, or units with start codes, or nothing.

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
        self._order = DisplayOrder()
        self._lasting = LastingMessages()
        self._held: set[int] = set()  # orders of the pictures that a decoder holds
        if extradata[:1] == b"\1":
            self._length_size = (extradata[21] & 3) + 1 if len(extradata) >= HVCC_BYTES else 0
        for unit in _units_before_pictures(extradata):
            if unit[0] >> 1 & 63 in MESSAGES:
                self._lasting.keep(messages(unit[2:]))
            else:
                self._keep(unit)

    def read(self, data: bytes) -> Coded:
        """See `HeaderReader.read`."""
        slices, firsts = [], 0
        told: list[tuple[int, bytes]] = []
        for unit in nal_units(data, self._length_size):
            kind = unit[0] >> 1 & 63
            if len(unit) < 3 or unit[0] & 0x81 or unit[1] >> 3 or not unit[1] & 7:
                raise Unclear("further layers, or a damaged unit, in a packet")
            if kind in PICTURES:
                slice_ = self._slice(unit, kind, firsts > 0)
                firsts += slice_ is not None and bool(unit[2] & 0x80)
                slices += [slice_] if slice_ else []
            elif kind in (VPS, SPS, PPS):
                self._keep(bytes(unit))
            elif kind in MESSAGES:
                told += messages(bytes(unit[2:]))
            elif kind not in HARMLESS:
                raise Unclear(f"units of kind {kind} in its packets")
        if firsts != 1 or len(set(slices)) != 1:
            raise Unclear("a packet that does not hold exactly one picture")
        self._lasting.check(told, restart=slices[0].kind in RESTARTS)
        return self._coded(slices[0])

    def _coded(self, head: Slice) -> Coded:
        kind, restart = head.kind, head.kind in RESTARTS
        if self._period < 0 and not restart:
            raise Unclear("it does not start with a keyframe")
        if restart and kind not in IDR and kind != CRA:
            raise Unclear("a spliced stream")
        starts_anew = kind in IDR or self._period < 0
        sequence = self._sequences[head.sequence]
        # Below 16 even kinds are referenced by no picture of their own sub-layer, but by higher ones.
        within_layer = kind >= 16 or kind % 2 == 1
        referenced = within_layer or head.layer < sequence.highest_layer
        if starts_anew:
            self._period += 1
            self._order.restart()
        counts = within_layer and head.layer == 0 and kind not in LEADING
        order = self._order.of(head.order_low, sequence.order_bits, counts=counts)
        needed = set() if starts_anew else {order + step for step in head.references}
        if not needed <= self._held:
            at_start = "it does not start with a keyframe that stands alone"
            raise Unclear(at_start if kind in RASL else "frames are missing from the stream")
        self._held = needed | {order}
        return Coded(self._period, order, referenced, restart, leading=kind in RASL)

    def _keep(self, unit: bytes) -> None:
        kind = unit[0] >> 1 & 63
        bits = Bits(unescaped(unit[2:]))
        number = 0
        if kind == SPS:
            number, sequence = _sequence_set(bits)
            self._sequences[number] = sequence
            self.reorder = sequence.reorder
        elif kind == PPS:
            number, picture = _picture_set(bits)
            self._pictures[number] = picture
        self._known.keep(kind, number, unit)

    def _slice(self, unit: memoryview, kind: int, after_first: bool) -> Slice | None:
        """None for a slice that goes on with the header of the one before."""
        bits = Bits(unescaped(bytes(unit[2:HEADER_BYTES])))
        first = bits.flag()
        if first == after_first:
            raise Unclear("a picture's slices are out of order")
        if kind in RESTARTS and bits.flag() and self._period >= 0:
            raise Unclear("a keyframe throws away pictures before it")
        picture = self._pictures.get(bits.golomb())
        sequence = self._sequences.get(picture.sequence) if picture else None
        if picture is None or sequence is None:
            raise Unclear("a slice that refers to nothing known")
        if not first:
            dependent = picture.dependent_slices and bits.flag()
            bits.skip(sequence.address_bits)
            if dependent:
                return None
        bits.skip(picture.extra_bits)
        if bits.golomb() > 2:
            raise Unclear("a damaged slice header")
        if picture.output_flag and not bits.flag():
            raise Unclear("pictures that are not shown")
        bits.skip(2 if sequence.separate_planes else 0)
        low, references = 0, tuple[int, ...]()
        if kind not in IDR:
            low, references = bits.unsigned(sequence.order_bits), _references(bits, sequence)
        return Slice(kind, (unit[1] & 7) - 1, low, picture.sequence, references)


def _units_before_pictures(extradata: bytes) -> Iterator[bytes]:
    if extradata[:1] != b"\1":
        if extradata:
            yield from (bytes(u) for u in nal_units(extradata, 0) if u[0] >> 1 & 63 in BEFORE_PICTURES)
        return
    if len(extradata) < HVCC_BYTES:
        raise Unclear("its parameter sets are cut short")
    place = HVCC_BYTES
    for _ in range(int.from_bytes(extradata[22:23])):
        count = int.from_bytes(extradata[place + 1 : place + 3])
        place += 3
        for _ in range(count):
            size = int.from_bytes(extradata[place : place + 2])
            unit, place = extradata[place + 2 : place + 2 + size], place + 2 + size
            if place > len(extradata):
                raise Unclear("its parameter sets are cut short")
            if unit[:1] and unit[0] >> 1 & 63 in BEFORE_PICTURES:
                yield unit


def _sequence_set(bits: Bits) -> tuple[int, SequenceSet]:
    bits.skip(4)
    sub_layers = bits.unsigned(3)
    bits.flag()
    _skip_profile(bits, sub_layers)
    number = bits.golomb()
    separate = bits.golomb() == 3 and bits.flag()
    width, height = bits.golomb(), bits.golomb()
    if bits.flag():
        for _ in range(4):
            bits.golomb()
    bits.golomb(), bits.golomb()
    order_bits = bits.golomb() + 4
    if order_bits > 16:
        raise Unclear("a damaged parameter set")
    reorder = 0
    for _ in range(1 if not bits.flag() else sub_layers + 1):
        bits.golomb()
        reorder = bits.golomb()
        bits.golomb()
    block = 1 << min(bits.golomb() + 3 + bits.golomb(), 6)
    address_bits = (-(-width // block) * -(-height // block) - 1).bit_length()
    for _ in range(4):
        bits.golomb()
    if bits.flag() and bits.flag():
        _skip_scaling_lists(bits)
    bits.skip(2)
    if bits.flag():
        bits.skip(8)
        bits.golomb(), bits.golomb(), bits.flag()
    sets: list[tuple[int, ...]] = []
    count = bits.golomb()
    for _ in range(min(count, 65)):
        sets.append(_reference_set(bits, sets, in_slice=False))
    long_term = bits.flag()
    if count > 64 or (long_term and bits.golomb()):
        raise Unclear("long-term references")
    return number, SequenceSet(
        order_bits, separate, address_bits, sub_layers, reorder, tuple(sets), long_term
    )


def _skip_scaling_lists(bits: Bits) -> None:
    """scaling_list_data, 7.3.4."""
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not bits.flag():
                bits.golomb()
                continue
            for _ in range(min(64, 1 << (4 + 2 * size)) + (size > 1)):
                bits.signed_golomb()


def _references(bits: Bits, sequence: SequenceSet) -> tuple[int, ...]:
    sets = sequence.reference_sets
    if not bits.flag():
        chosen = _reference_set(bits, sets, in_slice=True)
    else:
        place = bits.unsigned((len(sets) - 1).bit_length()) if len(sets) > 1 else 0
        if place >= len(sets):
            raise Unclear("a damaged slice header")
        chosen = sets[place]
    if sequence.long_term and bits.golomb():
        raise Unclear("long-term references")
    return chosen


def _reference_set(bits: Bits, before: Sequence[tuple[int, ...]], *, in_slice: bool) -> tuple[int, ...]:
    """st_ref_pic_set, 7.3.7 and 7.4.8: steps to earlier pictures, nearest first, then to later ones."""
    if before and bits.flag():
        back = bits.golomb() + 1 if in_slice else 1
        if back > len(before):
            raise Unclear("a damaged slice header")
        sign = -1 if bits.flag() else 1
        step = sign * (bits.golomb() + 1)
        candidates = [other + step for other in before[-back]] + [step]
        kept = {each for each in candidates if bits.flag() or bits.flag()} - {0}
        return (*sorted((k for k in kept if k < 0), reverse=True), *sorted(k for k in kept if k > 0))
    earlier, later = bits.golomb(), bits.golomb()
    if earlier + later > MOST_REFERENCES:
        raise Unclear("a damaged slice header")
    return (*_steps(bits, earlier, -1), *_steps(bits, later, 1))


def _steps(bits: Bits, count: int, sign: int) -> list[int]:
    steps, at = [], 0
    for _ in range(count):
        at += sign * (bits.golomb() + 1)
        bits.flag()
        steps.append(at)
    return steps


def _skip_profile(bits: Bits, sub_layers: int) -> None:
    """profile_tier_level, 7.3.3."""
    bits.skip(88 + 8)
    present = [(bits.flag(), bits.flag()) for _ in range(sub_layers)]
    bits.skip(2 * (8 - sub_layers) if sub_layers else 0)
    for profile, level in present:
        bits.skip((88 if profile else 0) + (8 if level else 0))


def _picture_set(bits: Bits) -> tuple[int, PictureSet]:
    number, sequence = bits.golomb(), bits.golomb()
    return number, PictureSet(sequence, bits.flag(), bits.flag(), bits.unsigned(3))
