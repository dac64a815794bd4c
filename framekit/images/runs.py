"""Runs of neighbouring samples that show one drawing: held still, or seen through a moving camera."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from framekit.images.likeness import alike
from framekit.images.motion import Move, combined, overlap

STILL = Move(0.0, 0.0, 1.0)


class Seen(NamedTuple):
    """What tells whether a sample shows what another one shows.

    Attributes:
        hash: Perceptual hash, 64 bits.
        signature: (432,) uint8 from `likeness.signature`.
        move: Of the camera since the sample before; None where it is another drawing.
        left_out: Whether a reason of its own leaves it out; then it stands alone.
    """

    hash: int
    signature: np.ndarray
    move: Move | None
    left_out: bool


class Runs:
    """Tells sample by sample where a run starts; asked in the order of a segment.

    A sample is measured against the first of its run, never against the one before: there are no chains.

    Args:
        max_distance: Bits of the hash in which near-duplicates may differ.
        min_overlap: Share of the frame that a moved camera must still show of the first.
        longest: Samples after which a run is taken up anew, so that memory stays bounded.
    """

    def __init__(self, max_distance: int, min_overlap: float, *, longest: int) -> None:
        self._max_distance, self._min_overlap, self._longest = max_distance, min_overlap, longest
        self._first: Seen | None = None
        self._moved: Move | None = STILL  # the camera, since the first
        self._length = 0

    def starts_with(self, sample: Seen) -> bool:
        """Whether this sample, the next one, starts a run."""
        if self._goes_on(sample):
            self._length += 1
            return False
        self._first, self._moved, self._length = sample, STILL, 1
        return True

    def _goes_on(self, sample: Seen) -> bool:
        first = self._first
        if first is None or first.left_out or sample.left_out or self._length >= self._longest:
            return False
        moved = self._moved and sample.move and combined(self._moved, sample.move)
        self._moved = moved
        if moved is not None and overlap(moved) >= self._min_overlap:
            return True
        hashes = np.array([[first.hash], [sample.hash]], np.uint64)
        near = alike(hashes[0], first.signature[None], hashes[1], sample.signature[None], self._max_distance)
        return bool(near[0])
