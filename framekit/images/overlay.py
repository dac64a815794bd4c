"""Static overlays: a channel's logo, the same pixels over shot after shot."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

Box = tuple[float, float, float, float]
"""Left, top, width and height, of the picture's sides as 1."""

WIDTH = 640
"""Pixels across at which pictures are looked at."""
STRONG = 4.0
"""Levels per pixel from which a gradient counts in full, so that one bright edge does not count for many."""
OTHER_SHOT = 0.5
"""Correlation of small pictures' detail below which another shot has begun."""
FEWEST_SHOTS = 8
STEADY = 0.75
"""Share of the shots, at full strength, that a gradient has to be in."""
REMEMBERED = 100
"""Shots that are known again when the film comes back to them; later ones are not."""
FEWEST_PIXELS = 40
"""Of an overlay at 640 pixels' width."""
REACH = 9
"""Pixels across which parts of one overlay are joined."""
SAME = 0.5
"""Overlap over the area of both from which two parts of a film show the same overlay."""
MARGIN, LARGEST, CORNER = 0.01, 0.3, 0.3
"""Shares of a side: an overlay keeps from the border by the first, as bars and rounded corners don't; it
spans at most the second; and its middle is no farther in than the third, both ways: in a corner. The scenery
that a film keeps coming back to mostly stands elsewhere."""


class Overlay:
    """Gathers pictures of one film in its order; memory does not grow with them.

    Within a shot gradients are averaged; over the shots their directed strength is, after cutting it off, so
    that a background counts once per shot and what one shot shows cannot outweigh the others. A shot that the
    film comes back to does not count again. What most shots share is no scenery. Averaging gradients finds
    watermarks also in Dekel et al. (CVPR 2017).
    """

    def __init__(self) -> None:
        self._shots = 0
        self._pictures = 0
        self._last: np.ndarray | None = None
        self._known: list[np.ndarray] = []
        self._is_new = True
        self._shot = np.zeros((0, 0, 2), np.float32)
        self._total = np.zeros((0, 0, 2), np.float32)

    def add(self, image: np.ndarray) -> None:
        """Take in the next picture.

        Args:
            image: (H, W, 3) uint8 RGB, of one size all through the film; another size is left out.
        """
        size = WIDTH, max(1, round(image.shape[0] * WIDTH / image.shape[1]))
        grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        if self._last is None:
            self._shot = np.zeros((*grey.shape, 2), np.float32)
            self._total = np.zeros_like(self._shot)
        elif grey.shape != self._total.shape[:2]:
            return
        detail = _detail(grey)
        if self._last is None or not _alike(detail, self._last):
            self._begin_shot(detail)
        self._last = detail
        if self._is_new:
            self._shot[..., 0] += cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125)
            self._shot[..., 1] += cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125)
            self._pictures += 1

    def _begin_shot(self, detail: np.ndarray) -> None:
        if self._pictures:
            self._total += self._strength()
            self._shots += 1
            self._shot[:] = self._pictures = 0
        self._is_new = not any(_alike(detail, known) for known in self._known)
        if self._is_new and len(self._known) < REMEMBERED:
            self._known.append(detail)

    @property
    def shots(self) -> int:
        """How many were looked at."""
        return self._shots + (self._pictures > 0)

    def box(self) -> Box | None:
        """Left, top, width and height of the overlay, of the picture's sides as 1; None without one.

        Nothing is told from fewer than eight shots.
        """
        if self.shots < FEWEST_SHOTS:
            return None
        mean = (self._total + self._strength()) / self.shots
        steady = (np.hypot(mean[..., 0], mean[..., 1]) >= STEADY).astype(np.uint8)
        joined = cv2.dilate(steady, np.ones((REACH, REACH), np.uint8))
        _, labels, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        pixels = np.bincount(labels[steady > 0], minlength=len(boxes))
        found = [
            (pixels[part], *cv2.boundingRect(np.where(labels == part, steady, 0).astype(np.uint8)))
            for part in np.flatnonzero(pixels >= FEWEST_PIXELS)
        ]
        height, width = steady.shape
        inside = [
            (count, x, y, w, h)
            for count, x, y, w, h in found
            if min(x / width, 1 - (x + w) / width, y / height, 1 - (y + h) / height) >= MARGIN
            and max(w / width, h / height) <= LARGEST
            and max(_from_side((x + w / 2) / width), _from_side((y + h / 2) / height)) <= CORNER
        ]
        if not inside:
            return None
        _, x, y, w, h = max(inside)
        return x / width, y / height, w / width, h / height

    def _strength(self) -> np.ndarray:
        return np.clip(self._shot / (STRONG * max(self._pictures, 1)), -1, 1)


def agreed(parts: Iterable[tuple[Box | None, int]]) -> Box | None:
    """The overlay of a film from those of its parts: what most of its shots show.

    Args:
        parts: Box of each part, and the number of its shots; parts of fewer than eight say nothing.

    Returns:
        A box around all that are about at the same place; None where they are in less than 3/4 of the shots.
    """
    known = [(box, shots) for box, shots in parts if shots >= FEWEST_SHOTS]
    found = [(box, shots) for box, shots in known if box is not None]
    best: tuple[int, list[Box]] = (0, [])
    for box, _ in found:
        same = [(other, shots) for other, shots in found if _overlap(box, other) >= SAME]
        best = max(best, (sum(shots for _, shots in same), [other for other, _ in same]))
    support, same_boxes = best
    if not same_boxes or support < STEADY * sum(shots for _, shots in known):
        return None
    left, top = (min(box[side] for box in same_boxes) for side in (0, 1))
    right, bottom = (max(box[side] + box[side + 2] for box in same_boxes) for side in (0, 1))
    return left, top, right - left, bottom - top


def covered(box: Box, crops: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Share of square crops that lies under an overlay.

    Args:
        box: The overlay.
        crops: (N, 3) left and top edge and side of each crop, in pixels of the picture that it was cut from.
        sizes: (N, 2) width and height of these pictures.

    Returns:
        (N,) float64, 0 to 1.
    """
    starts, sides = crops[:, :2], crops[:, 2:]
    box_starts, box_stops = box[:2] * sizes, np.add(box[:2], box[2:]) * sizes
    common = np.minimum(starts + sides, box_stops) - np.maximum(starts, box_starts)
    shares: np.ndarray = common.clip(0).prod(axis=1) / sides[:, 0] ** 2
    return shares


def _overlap(box: Box, other: Box) -> float:
    """Area that two boxes share over the area of both, 0 to 1."""
    across, down = (
        max(0.0, min(box[side] + box[side + 2], other[side] + other[side + 2]) - max(box[side], other[side]))
        for side in (0, 1)
    )
    return across * down / (box[2] * box[3] + other[2] * other[3] - across * down)


def _alike(detail: np.ndarray, other: np.ndarray) -> bool:
    return float((detail * other).mean()) >= OTHER_SHOT


def _from_side(place: float) -> float:
    return min(place, 1 - place)


def _detail(grey: np.ndarray) -> np.ndarray:
    """(36, 64) float32 of mean 0 and deviation 1, or all 0 for a flat picture."""
    small = cv2.resize(grey, (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)
    deviation = float(small.std())
    return (small - small.mean()) / deviation if deviation else np.zeros_like(small)
