"""MPEG-1 and MPEG-2 video headers: ISO/IEC 13818-2, sections 6.2.2 and 6.2.3.

Quantiser matrices last until others come. So a film whose groups of pictures differ in theirs, or whose
pictures bring some of their own, can't be decoded from its middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from framekit.sources.codecs.bits import START_CODE, Bits
from framekit.sources.codecs.coded import Coded, Unclear

PICTURE, SEQUENCE, EXTENSION, GROUP = 0x00, 0xB3, 0xB5, 0xB8
MATRICES_EXTENSION, CODING_EXTENSION = 3, 8
SLICES = range(0x01, 0xB0)
HARMLESS = (EXTENSION, GROUP, 0xB2, 0xB7)  # also user data and end of sequence
I, P, B = 1, 2, 3  # noqa: E741 - the standard's names of picture types
FRAME = 3
BEFORE_MATRICES = 62
"""Bits of a sequence header before the flags that matrices follow."""


class Mpeg2Headers:
    """Reads the packets of one MPEG-1 or MPEG-2 stream, in decode order."""

    reorder: int | None = 1

    def __init__(self) -> None:
        self._sequence: tuple[bytes, ...] = ()  # header and extensions
        self._rows = 0
        self._period = -1
        self._references = -1, -1  # orders, in this group, of the last two referenced pictures

    def read(self, data: bytes) -> Coded:
        """See `HeaderReader.read`."""
        pictures: list[tuple[int, int]] = []
        sequence: list[bytes] = []
        codes: list[int] = []
        for code, body in _units(data):
            codes.append(code)
            if code == PICTURE:
                pictures.append((body[0] << 2 | body[1] >> 6, body[1] >> 3 & 7))
            elif code == SEQUENCE:
                sequence.append(body.rstrip(b"\0"))
            elif code == EXTENSION:
                _check_extension(body)
                if sequence and not pictures:
                    sequence.append(body.rstrip(b"\0"))
            elif code not in SLICES and code not in HARMLESS:
                raise Unclear("a damaged packet")
        if len(pictures) != 1 or pictures[0][1] not in (I, P, B):
            raise Unclear("a packet that does not hold exactly one picture")
        self._check_sequence(tuple(sequence), group=GROUP in codes)
        self._check_rows([code for code in codes if code in SLICES])
        return self._coded(*pictures[0], group=GROUP in codes)

    def _check_rows(self, rows: list[int]) -> None:
        """A slice's code is its row of blocks; a row that is not there makes a decoder drop the picture."""
        self._rows = self._rows or max(rows, default=0)
        steps = [after - before for before, after in pairwise([0, *rows])]
        if not rows or rows[0] != 1 or rows[-1] != self._rows or not set(steps) <= {0, 1}:
            raise Unclear("a packet that does not hold exactly one picture")

    def _check_sequence(self, sequence: tuple[bytes, ...], *, group: bool) -> None:
        if sequence and self._sequence not in ((), sequence):
            raise Unclear("its parameters change midway")
        self._sequence = sequence or self._sequence
        if group and not sequence and self._sequence and _has_matrices(self._sequence[0]):
            raise Unclear("its groups of pictures do not all state their parameters")

    def _coded(self, order: int, kind: int, *, group: bool) -> Coded:
        self._period += group
        if not self._sequence or self._period < 0 or (group and kind != I):
            raise Unclear("it does not start with a keyframe")
        before, last = (-1, -1) if group else self._references
        # A decoder goes by the kinds of pictures, not by their numbers; the two must agree.
        if kind == B and not before < order < last:
            raise Unclear("its pictures are numbered against their order")
        if kind == B:
            return Coded(self._period, order, referenced=False, restart=False, leading=before < 0)
        if order <= last:
            raise Unclear("its pictures are numbered against their order")
        self._references = last, order
        return Coded(self._period, order, referenced=True, restart=group)


def _check_extension(body: bytes) -> None:
    kind = body[0] >> 4
    if kind == MATRICES_EXTENSION:
        raise Unclear("its parameters change midway")
    if kind == CODING_EXTENSION and body[2] & 3 != FRAME:
        raise Unclear("fields are coded apart, two packets a frame")


def _has_matrices(header: bytes) -> bool:
    """Whether a sequence header brings a matrix for intra blocks, or for others."""
    bits = Bits(header.ljust(8, b"\0"))
    bits.skip(BEFORE_MATRICES)
    return bits.flag() or bits.flag()


def _units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Start codes of a packet with what is behind each: 3 bytes at least of headers, none of slices."""
    places = [match.end() for match in START_CODE.finditer(data)]
    if not places or data[: places[0] - 3].strip(b"\0"):
        raise Unclear("a packet does not begin with a start code")
    for place, end in zip(places, [*(place - 3 for place in places[1:]), len(data)], strict=True):
        code = data[place : place + 1]
        body = b"" if code and code[0] in SLICES else data[place + 1 : end]
        if not code or (len(body) < 3 and code[0] in (PICTURE, SEQUENCE, EXTENSION)):
            raise Unclear("a damaged packet")
        yield code[0], body
