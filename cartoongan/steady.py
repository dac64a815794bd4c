"""Videos that do not flicker: what of the last cartoon stays, and how much is left, in a figure.

All in levels of 255. x is the film, y what is shown, c the cartoon of a frame alone:

    d(t) = max over channels of |x(t) - x(t-1)|, averaged over 5×5 pixels
    g(t) = smooth · max(0, 1 - d(t) / 8)
    y(t) = c(t) + g(t) · (y(t-1) - c(t))

    U    = pixels and times with |x(t) - x(t-1)| <= 2 in every channel
    flicker(y) = mean over U of |y(t) - y(t-1)|  -  mean over U of |x(t) - x(t-1)|

So flicker is how much more the cartoon moves than the film, where the film stands still. 0 is as still.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CHANGED = 8.0
"""Levels from which on a pixel is another one, and nothing of the last cartoon stays."""
STILL = 2.0
"""Levels up to which a pixel is taken to be the same."""
SIDE = 5
LEVELS = 127.5
"""Levels of 255 in one unit of [-1, 1]."""


@dataclass(frozen=True)
class Flicker:
    """How much more than its film a video moves where the film stands still, in levels of 255.

    Attributes:
        alone: Of cartoons of frames alone.
        shown: Of what was written.
        still: Share of the film's pixels that stood still.
    """

    alone: float
    shown: float
    still: float


class Steadier:
    """Takes a film's cartoons in order; keeps the last, smooths, and measures.

    Args:
        smooth: In [0, 1); 0 only measures.
    """

    def __init__(self, smooth: float) -> None:
        self._smooth = smooth
        self._last: tuple[Tensor, Tensor, Tensor] | None = None
        self._sums: Tensor | None = None  # still pixels, moves of film, alone, shown; on their device
        self._pixels = 0

    def __call__(self, photos: Tensor, cartoons: Tensor) -> Tensor:
        """The next frames, (N, 3, H, W) in [-1, 1], and their cartoons → what is shown of these."""
        shown = [self._next(photos[n : n + 1], cartoons[n : n + 1]) for n in range(len(photos))]
        return torch.cat(shown)

    def _next(self, photo: Tensor, cartoon: Tensor) -> Tensor:
        shown = cartoon
        if self._last is not None:
            moved = (photo - self._last[0]).abs().mul_(LEVELS)
            most = moved.amax(1, keepdim=True)
            if self._smooth:
                near = F.avg_pool2d(most, SIDE, 1, SIDE // 2, count_include_pad=False)
                gate = (1 - near / CHANGED).clamp_(min=0).mul_(self._smooth)
                shown = torch.lerp(cartoon, self._last[2], gate)
            self._measure(most <= STILL + 0.5, moved, cartoon, shown)
        self._last = photo, cartoon, shown
        return shown

    def _measure(self, still: Tensor, moved: Tensor, cartoon: Tensor, shown: Tensor) -> None:
        assert self._last is not None
        moves = [
            moved,
            *((a - b).abs() * LEVELS for a, b in ((cartoon, self._last[1]), (shown, self._last[2]))),
        ]
        counted = still.sum(dtype=torch.float64)
        sums = torch.stack([counted, *((each * still).sum(dtype=torch.float64) / 3 for each in moves)])
        self._sums = sums if self._sums is None else self._sums + sums
        self._pixels += still.numel()

    def figure(self) -> Flicker | None:
        """What was measured; None where nothing stood still."""
        if self._sums is None:
            return None
        still, film, alone, shown = self._sums.tolist()
        if not still:
            return None
        return Flicker((alone - film) / still, (shown - film) / still, still / self._pixels)
