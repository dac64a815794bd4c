"""Film that was spread over 29.97 frames a second: recognising it, and undoing it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain, groupby
from typing import TYPE_CHECKING, Literal

import numpy as np

from framekit.sources.frames import Mark, mark_of

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame

NTSC = Fraction(30000, 1001)
CYCLE = 5
"""Video frames for every four of film."""
KEPT = Fraction(CYCLE - 1, CYCLE)
ENOUGH = 40
"""Frames from which a cadence can be told from chance, where most of them move."""
MOVES = 0.5
"""Mean squared levels: what changes less from frame to frame is a still picture, and tells nothing."""
COLUMN_STEP = 4


def find_pulldown(frames: Iterable[VideoFrame]) -> Literal["fields", "frames"] | None:
    """Look for the cadence of 24 film frames spread over 30.

    With 3:2 pulldown, twice in five frames one field alone stays as it was. Where every fifth picture is the
    one before again, one step in five is smaller than those around it. Films drawn on twos, threes or fours
    hold their pictures too, but each of the five places in the cycle then moves as often as the others.

    Args:
        frames: Consecutive frames, at least 40 of them, better 120.

    Returns:
        `fields` for 3:2 pulldown, `frames` for repeated pictures, None for neither, or where too few frames
        move to tell. Repeated pictures of a film drawn on twos look like holds of two and three frames: None.
    """
    steps = _field_steps(frames)
    if len(steps) < ENOUGH - 1:
        return None
    top, bottom = steps.T
    if _keeps_one_field(top, bottom):
        return "fields"
    return "frames" if _repeats_a_picture((top + bottom) / 2) else None


def _field_steps(frames: Iterable[VideoFrame]) -> np.ndarray:
    """(frames - 1, 2) float64: mean squared change of the top and the bottom field since the frame before."""
    steps = []
    before = None
    for frame in frames:
        luma = frame.reformat(format="gray").to_ndarray()[:, ::COLUMN_STEP].astype(np.float32)
        if before is not None and before.shape == luma.shape:
            squares = (luma - before) ** 2
            steps.append((float(squares[0::2].mean()), float(squares[1::2].mean())))
        before = luma
    return np.array(steps, np.float64).reshape(-1, 2)


def _keeps_one_field(top: np.ndarray, bottom: np.ndarray) -> bool:
    """Whether the top field stays at one place of the cycle while the bottom moves, and vice versa."""
    larger = np.maximum(top, bottom)
    moving = np.flatnonzero(larger > MOVES)
    places = moving % CYCLE
    kept = []
    for field in (top, bottom):
        stays = field[moving] < 0.35 * larger[moving]
        found = [p for p in range(CYCLE) if (places == p).sum() >= 4 and stays[places == p].mean() >= 0.8]
        kept.append(set(found))
    return bool(kept[0]) and bool(kept[1]) and kept[0].isdisjoint(kept[1])


def _repeats_a_picture(steps: np.ndarray) -> bool:
    """Whether one place of the cycle moves clearly less than every other: by half, and by four deviations."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(steps, CYCLE // 2, mode="edge"), CYCLE).max(
        axis=1
    )
    moving = np.flatnonzero(around > MOVES)
    relative, places = steps[moving] / around[moving], moving % CYCLE
    groups = [relative[places == place] for place in range(CYCLE)]
    if min(map(len, groups)) < ENOUGH // CYCLE // 2:
        return False
    stillest, *others = sorted(groups, key=np.mean)
    return all(_clearly_less(stillest, other) for other in others)


def _clearly_less(low: np.ndarray, high: np.ndarray) -> bool:
    gap = high.mean() - low.mean()
    return bool(
        low.mean() < high.mean() / 2 and gap > 4 * np.sqrt(low.var() / len(low) + high.var() / len(high))
    )


def without_telecine(frames: Iterator[VideoFrame], *, rate: Fraction = NTSC) -> Iterator[VideoFrame]:
    """Give the film's own pictures back: four for every five frames, of either kind.

    FFmpeg's `fieldmatch` puts fields that belong together into one frame, `bwdif` mends the frames that stay
    combed, and `decimate` leaves out the most alike of every five. Which one that is depends on the frames
    around it, so a film must be run from its start.

    A frame that is left out hands its mark as a keyframe on to the next one that is not.

    Args:
        frames: All frames of a film in display order. Where their size or format changes, another film was
            joined on: it is begun anew.
        rate: Frames a second of the film as it is.

    Yields:
        Frames in the time base of the film, evenly spaced from its first pts on, or from the first one of
        another size, with 8 bits.
    """
    marks: deque[Mark] = deque()
    after = 0
    for _, alike in groupby(frames, key=_shape):
        first = next(alike)
        base = Fraction(first.time_base or 1 / rate)
        step = 1 / (KEPT * rate * base)
        start, given = after if first.pts is None else first.pts, 0
        graph = _inverse_telecine(first, base, rate)
        for frame in chain([first], alike, [None]):
            graph.vpush(_noted(frame, marks))
            for found in _pulled(graph):
                # `decimate` counts in whole frames from 0, which would round the film's start away.
                found.pts = start + round(given * step)
                found.time_base = base
                found.opaque = [_inherited(found, marks)]
                given += 1
                yield found
        after = start + round(given * step)


def _shape(frame: VideoFrame) -> tuple[int, int, str]:
    """What must not change within a graph: FFmpeg's filters would write beyond their buffers."""
    return frame.width, frame.height, frame.format.name


def _noted(frame: VideoFrame | None, marks: deque[Mark]) -> VideoFrame | None:
    """The frame, carrying a mark that is now the last of `marks`."""
    if frame is not None:
        marks.append(mark_of(frame))
        frame.opaque = [marks[-1]]
    return frame


def _inherited(frame: VideoFrame, marks: deque[Mark]) -> Mark:
    """The mark of a frame and of those left out before it; takes them from `marks`."""
    own = mark_of(frame)
    keyframe = own.keyframe
    while marks:
        mark = marks.popleft()
        keyframe |= mark.keyframe
        if mark is own:
            break
    return replace(own, keyframe=keyframe)


def _inverse_telecine(frame: VideoFrame, base: Fraction, rate: Fraction) -> Graph:
    import av.filter

    graph = av.filter.Graph()
    graph.threads = 1  # films run side by side
    source = graph.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base=str(base),
        frame_rate=str(rate),  # `decimate` refuses films without one
    )
    filters = [
        graph.add("fieldmatch", "order=auto:combmatch=full"),
        graph.add("bwdif", "mode=send_frame:deint=interlaced"),
        graph.add("decimate", f"cycle={CYCLE}"),
    ]
    graph.link_nodes(source, *filters, graph.add("buffersink"))
    graph.configure()
    return graph


def _pulled(graph: Graph) -> Iterator[VideoFrame]:
    """What the graph has ready."""
    from av.error import BlockingIOError as NothingYet
    from av.error import EOFError as EndOfStream

    while True:
        try:
            yield graph.vpull()
        except (NothingYet, EndOfStream):
            return
