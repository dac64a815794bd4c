"""MPEG-1 and MPEG-2 video headers: ISO/IEC 13818-2, sections 6.2.2 and 6.2.3."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from framekit.sources.codecs.bits import START_CODE
from framekit.sources.codecs.coded import Coded, Unclear

PICTURE, SEQUENCE, EXTENSION, GROUP = 0x00, 0xB3, 0xB5, 0xB8
CODING_EXTENSION = 8
SLICES = range(0x01, 0xB0)
HARMLESS = (EXTENSION, GROUP, 0xB2, 0xB7)  # also user data and end of sequence
I, P, B = 1, 2, 3  # noqa: E741 - the standard's names of picture types
FRAME = 3


class Mpeg2Headers:
    """Reads the packets of one MPEG-1 or MPEG-2 stream, in decode order."""

    reorder: int | None = 1

    def __init__(self) -> None:
        self._format: bytes | None = None
        self._rows = 0
        self._period = -1
        self._references = -1, -1  # orders, in this group, of the last two referenced pictures

    def read(self, data: bytes) -> Coded:
        """See `HeaderReader.read`."""
        pictures: list[tuple[int, int]] = []
        codes: list[int] = []
        for code, body in _units(data):
            codes.append(code)
            if code == PICTURE:
                pictures.append((body[0] << 2 | body[1] >> 6, body[1] >> 3 & 7))
            elif code == SEQUENCE:
                self._keep(body[:4])
            elif code == EXTENSION and body[0] >> 4 == CODING_EXTENSION and body[2] & 3 != FRAME:
                raise Unclear("fields are coded apart, two packets a frame")
            elif code not in SLICES and code not in HARMLESS:
                raise Unclear("a damaged packet")
        if len(pictures) != 1 or pictures[0][1] not in (I, P, B):
            raise Unclear("a packet that does not hold exactly one picture")
        self._check_rows([code for code in codes if code in SLICES])
        return self._coded(*pictures[0], group=GROUP in codes)

    def _check_rows(self, rows: list[int]) -> None:
        """A slice's code is its row of blocks; a row that is not there makes a decoder drop the picture."""
        self._rows = self._rows or max(rows, default=0)
        steps = [after - before for before, after in pairwise([0, *rows])]
        if not rows or rows[0] != 1 or rows[-1] != self._rows or not set(steps) <= {0, 1}:
            raise Unclear("a packet that does not hold exactly one picture")

    def _keep(self, size_and_rate: bytes) -> None:
        if self._format not in (None, size_and_rate):
            raise Unclear("its parameters change midway")
        self._format = size_and_rate

    def _coded(self, order: int, kind: int, *, group: bool) -> Coded:
        self._period += group
        if self._format is None or self._period < 0 or (group and kind != I):
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


def _units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Start codes of a packet with the first bytes after each, 3 at least of headers."""
    places = [match.end() for match in START_CODE.finditer(data)]
    if not places or data[: places[0] - 3].strip(b"\0"):
        raise Unclear("a packet does not begin with a start code")
    for place, end in zip(places, [*(place - 3 for place in places[1:]), len(data)], strict=True):
        code, body = data[place : place + 1], data[place + 1 : min(end, place + 9)]
        if not code or (len(body) < 3 and code[0] in (PICTURE, SEQUENCE, EXTENSION)):
            raise Unclear("a damaged packet")
        yield code[0], body
