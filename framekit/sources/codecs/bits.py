"""Reading bits, Exp-Golomb numbers and NAL units."""

from __future__ import annotations

import re
from collections.abc import Iterator

from framekit.sources.codecs.coded import Unclear

START_CODE = re.compile(b"\0\0\1")
ESCAPE = b"\0\0\3"
UNESCAPED = re.compile(b"\0\0(?:[\1\2]|\0+[^\0])")
"""What no unit holds; a decoder takes it for the unit's end."""


class Bits:
    """A reader over the payload of a NAL unit or header, without its emulation prevention bytes.

    Raises:
        Unclear: More was asked for than there is.
    """

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def unsigned(self, count: int) -> int:
        """`count` bits, u(n) in the standards."""
        self._left -= count
        if self._left < 0:
            raise Unclear("a header is cut short")
        return self._value >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        """One bit."""
        return bool(self.unsigned(1))

    def skip(self, count: int) -> None:
        """Pass over `count` bits."""
        self.unsigned(count)

    def golomb(self) -> int:
        """An unsigned Exp-Golomb number, ue(v): ITU-T H.264 (08/2021), 9.1."""
        rest = self._value & ((1 << self._left) - 1)
        zeros = self._left - rest.bit_length()
        if zeros > 31:
            raise Unclear("a header holds a number that is too large")
        self.skip(zeros)
        return self.unsigned(zeros + 1) - 1

    def signed_golomb(self) -> int:
        """A signed Exp-Golomb number, se(v): ITU-T H.264 (08/2021), 9.1.1."""
        number = self.golomb()
        return (number + 1) // 2 if number % 2 else -(number // 2)


def unescaped(data: bytes) -> bytes:
    """A NAL unit's payload without the bytes 3 that keep start codes out of it."""
    return data.replace(ESCAPE, b"\0\0") if ESCAPE in data else data


def messages(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each message in a unit of supplemental information, as far as they are whole.

    ITU-T H.264 (08/2021) and H.265 (08/2021), 7.3.2.3 and 7.3.5: both write them alike.

    Args:
        payload: Of the unit, behind its header.
    """
    data, place = unescaped(payload), 0
    while len(data) - place > 2:
        kind, place = _summed(data, place)
        size, place = _summed(data, place)
        if place + size > len(data):
            return
        yield kind, data[place : place + size]
        place += size


def _summed(data: bytes, place: int) -> tuple[int, int]:
    """A number written as bytes of 255 and a last one, which add up; and the place behind it."""
    number = 0
    while data[place : place + 1] == b"\xff":
        number, place = number + 255, place + 1
    return number + int.from_bytes(data[place : place + 1]), place + 1


def nal_units(data: bytes, length_size: int) -> Iterator[memoryview]:
    """The NAL units of a packet.

    Args:
        data: The packet.
        length_size: Bytes of the length before each unit (1 to 4), or 0 for start codes (Annex B).

    Raises:
        Unclear: Lengths do not fit, or bytes lie outside of units.
    """
    view = memoryview(data)
    if length_size:
        place = 0
        while place < len(view):
            size = int.from_bytes(view[place : place + length_size], "big")
            place += length_size
            if size == 0 or place + size > len(view):
                raise Unclear("a packet's parts do not fit into it")
            if UNESCAPED.search(data, place, place + size):
                raise Unclear("a damaged unit in a packet")
            yield view[place : place + size]
            place += size
        return
    codes = [match.span() for match in START_CODE.finditer(data)]
    if not codes or data[: codes[0][0]].strip(b"\0"):
        raise Unclear("a packet does not begin with a start code")
    for (_, begin), (end, _) in zip(codes, [*codes[1:], (len(view), 0)], strict=True):
        if begin == end:
            raise Unclear("an empty unit in a packet")
        if UNESCAPED.search(data, begin, end):
            raise Unclear("a damaged unit in a packet")
        yield view[begin:end]
