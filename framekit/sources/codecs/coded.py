"""What is known of a coded picture, whatever its codec."""

from __future__ import annotations

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
