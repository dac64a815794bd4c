"""Which frames: pure arithmetic on frame numbers, no film needed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count


def every(step: int) -> Iterator[int]:
    """Frame numbers 0, step, 2·step, … without end.

    Args:
        step: At least 1.
    """
    return count(0, step)


def expected(frames: int, step: int) -> int:
    """How many of the first `frames` frame numbers `every(step)` takes."""
    return -(-frames // step)
