"""Scenes: where a film cuts, found by PySceneDetect's detectors on small pictures of its frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

SHORTEST_SHOT = Fraction(1, 2)
"""Seconds: what seems to cut sooner again is a flash."""
REPEATED = 0.5
"""Mean levels of 255 by which two encoded frames of one held drawing differ at most, at 256 pixels across."""


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames [start, stop) between two cuts."""

    start: int
    stop: int


def find_shots(
    frames: Iterable[tuple[int, np.ndarray]],
    *,
    frame_rate: Fraction,
    detector: Literal["adaptive", "content"] = "adaptive",
) -> list[Shot]:
    """Find the shots of a film; a few frames are held at a time.

    Cuts are where a frame differs from the one before by far more than its neighbours do (`adaptive`), or by
    more than a fixed amount (`content`). Frames that only repeat a drawing are not shown to that detector: on
    threes, the average over two frames either way would be of repeats alone, and each new drawing would seem
    a cut. Fades through black are where the mean falls below 12 levels. The thresholds are PySceneDetect's.

    Args:
        frames: Frame numbers without gaps, ascending, each with its (h, w, 3) uint8 RGB picture, all of one
            size; 256 pixels across are enough.
        frame_rate: Frames per second; half a second is the shortest shot.
        detector: What finds cuts.

    Returns:
        Shots in order; every frame is in exactly one. No frames, no shots.
    """
    import cv2
    from scenedetect import FrameTimecode
    from scenedetect.detectors import AdaptiveDetector, ContentDetector, ThresholdDetector

    shortest = max(1, round(frame_rate * SHORTEST_SHOT))
    kind = {"adaptive": AdaptiveDetector, "content": ContentDetector}[detector]
    cut_detector, fade_detector = kind(min_scene_len=shortest), ThresholdDetector(min_scene_len=shortest)
    numbers: list[int] = []  # the first and the one after the last
    cuts: list[int] = []
    fades: list[int] = []
    shown = None
    for number, image in frames:
        numbers = [numbers[0] if numbers else number, number + 1]
        time, picture = FrameTimecode(number, frame_rate), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        fades += [fade.frame_num for fade in fade_detector.process_frame(time, picture)]
        if shown is None or cv2.norm(picture, shown, cv2.NORM_L1) >= REPEATED * picture.size:
            cuts += [cut.frame_num for cut in cut_detector.process_frame(time, picture)]
            shown = picture
    if not numbers:
        return []
    # A cut out of or into black is a fade as well: the cut knows the frame.
    fades = [fade for fade in fades if all(abs(fade - cut) >= shortest for cut in cuts)]
    bounds = sorted({*numbers, *cuts, *fades})
    return [Shot(start, stop) for start, stop in itertools.pairwise(bounds)]
