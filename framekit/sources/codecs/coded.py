"""What is known of a coded picture, whatever its codec."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Unclear(Exception):
    """The packets of a film do not tell for certain what a decoder will make of them; says why."""


@dataclass(frozen=True, slots=True)
class Coded:
    """One picture as its headers describe it.

    Attributes:
        period: Counts the pictures at which `order` starts anew.
        order: Place in display order within the period (picture order count).
        referenced: Whether other pictures may be predicted from it.
        restart: Whether a decoder can begin here: no picture that follows it in display order needs one
            that came before it.
        leading: Follows a restart in the stream, is shown before it, and may need pictures from before it.
    """

    period: int
    order: int
    referenced: bool
    restart: bool
    leading: bool = False


class DisplayOrder:
    """Counts pictures in display order by the low bits that their headers carry.

    H.264 calls it picture order count type 0 (ITU-T H.264, 8.2.1.1); H.265 has it alike (ITU-T H.265, 8.3.1).
    """

    def __init__(self) -> None:
        self._high = self._low = 0  # of the last picture that others count from

    def restart(self) -> None:
        """Count from 0 again."""
        self._high = self._low = 0

    def of(self, low: int, bits: int, *, counts: bool) -> int:
        """Order of the next picture in the stream.

        Args:
            low: The order's low `bits`.
            bits: How many.
            counts: Whether the pictures that follow count from this one.
        """
        high, half = self._high, 1 << (bits - 1)
        if self._low - low >= half:
            high += 2 * half
        elif low - self._low > half:
            high -= 2 * half
        if counts:
            self._high, self._low = high, low
        return high + low


class ParameterSets:
    """The parameter sets of a stream as they came, to notice one that changes midway."""

    def __init__(self) -> None:
        self._units: dict[tuple[int, int], bytes] = {}

    def keep(self, kind: int, number: int, unit: bytes) -> None:
        """Take in the set `number` of a kind of unit.

        Raises:
            Unclear: It says something else than before.
        """
        content = unit.rstrip(b"\0")
        if self._units.setdefault((kind, number), content) != content:
            raise Unclear("its parameters change midway")


class LastingMessages:
    """Supplemental information that a decoder goes by until told otherwise (annex D of both standards).

    A decoder that starts at a later keyframe knows only what that keyframe repeats.
    """

    KINDS = frozenset({19, 47, 147})
    """Film grain, display orientation and alternative transfer characteristics."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}
        self._before_all = True

    def keep(self, messages: Iterable[tuple[int, bytes]]) -> None:
        """Take in the messages of a stream's extradata."""
        self._known |= {kind: content for kind, content in messages if kind in self.KINDS}

    def check(self, messages: Iterable[tuple[int, bytes]], *, restart: bool) -> None:
        """Take in the messages of the next picture.

        Args:
            messages: Kind and content of each.
            restart: Whether a decoder can begin with the picture.

        Raises:
            Unclear: They are not what every keyframe says alike.
        """
        found = {kind: content for kind, content in messages if kind in self.KINDS}
        if self._before_all:
            self._known = self._known | found
            self._before_all = False
        if any(self._known.get(kind) != content for kind, content in found.items()) or (
            restart and found.keys() != self._known.keys()
        ):
            raise Unclear("its keyframes do not all say how pictures are to be shown")


class HeaderReader(Protocol):
    """Reads the headers of one stream's packets, in decode order."""

    reorder: int | None
    """How many pictures may precede another in the stream and follow it on screen, as stated; None when the
    stream doesn't say."""

    def read(self, data: bytes) -> Coded:
        """Describe the one picture in a packet.

        Raises:
            Unclear: It isn't exactly one whole picture, or its headers contradict those before.
        """
