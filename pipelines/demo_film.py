"""The demo film: a one-minute cartoon drawn in code, and the truth about it.

    python -m pipelines.demo_film demo.mp4 [--letterbox] [--seconds 60] [--width 1280]

Like a drawn film it has cuts, pans, drawings shot on twos and threes, drawings held for seconds, fades and
credits. The storyboard below says where; the same table draws the film and tells the truth about it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import cv2
import numpy as np

from framekit.terminal.progress import Progress
from pipelines import demo_scenes as scenes
from pipelines.demo_drawing import Picture, Stage

if TYPE_CHECKING:
    from av.video.stream import VideoStream

RATE = Fraction(24)
HELD = 8  # frames; from here on a run of one drawing is a hold, below it is animation on twos or threes
BAR = Fraction(88, 720)  # of the height, above and below: a 1280x544 picture in 1280x720
ENCODERS = (
    ("libx264", {"preset": "veryfast"}),
    ("h264", {"b": "6M"}),
    ("libopenh264", {"b": "6M"}),
    ("mpeg4", {"b": "8M"}),
)

Run = tuple[int, int]


@dataclass(frozen=True)
class Board:
    """One row of the storyboard; times in seconds from the start of the shot."""

    name: str
    seconds: float
    scene: scenes.Scene
    kind: str = "scene"
    on: int = 2  # frames a drawing
    hold: tuple[float, float] = (0, 0)
    fade_in: float = 0
    fade_out: float = 0


STORYBOARD = (
    Board("valley", 5.0, scenes.valley, kind="pan", on=1, hold=(1.0, 1.5), fade_in=1.0),
    Board("garden", 4.5, scenes.garden, hold=(3.3, 4.5)),
    Board("child", 4.0, scenes.child_close, hold=(0.0, 1.5)),
    Board("walk", 5.5, scenes.walk),
    Board("cat", 3.5, scenes.cat_close, on=3, hold=(0.0, 1.2)),
    Board("flight", 4.5, scenes.flight),
    Board("shore", 4.5, scenes.shore, on=3, hold=(0.0, 1.0)),
    Board("sunset", 4.0, scenes.child_sunset, on=3, hold=(0.3, 2.6), fade_out=0.7),
    Board("city", 5.5, scenes.city, kind="pan", on=1, fade_in=0.7),
    Board("bedroom", 4.5, scenes.bedroom, on=3, hold=(2.4, 3.5)),
    Board("window", 4.0, scenes.window, hold=(0.0, 1.3)),
    Board("homecoming", 4.5, scenes.homecoming, fade_out=1.2),
    Board("credits", 6.0, scenes.end_credits, kind="credits", on=1, fade_out=0.8),
)


@dataclass(frozen=True)
class Shot:
    """Frames [start, stop) between two cuts; kind is "scene", "pan" or "credits"."""

    name: str
    start: int
    stop: int
    kind: str


@dataclass(frozen=True)
class FilmTruth:
    """What is known about a film because it was drawn that way; every run is frames [start, stop).

    Attributes:
        path: the film; None if it was not written.
        width, height: pixels.
        rate: frames a second.
        frames: how many.
        shots: one after the other, they cover the film.
        drawings: frames at which a new drawing appears; those between repeat it, exactly before encoding.
        holds: runs of at least ``HELD`` frames of one drawing.
        pans: where the camera moves over a wide painting.
        fades: frames darker than drawn, from and to black; the outermost one is all black.
        credits: where the credits roll.
        picture_box: x, y, width, height in pixels of the picture inside black bars, or of the whole frame.
    """

    path: Path | None
    width: int
    height: int
    rate: Fraction
    frames: int
    shots: tuple[Shot, ...]
    drawings: tuple[int, ...]
    holds: tuple[Run, ...]
    pans: tuple[Run, ...]
    fades: tuple[Run, ...]
    credits: tuple[Run, ...]
    picture_box: tuple[int, int, int, int]


class Exposure(NamedTuple):
    """One frame of the exposure sheet; equal neighbours are one drawing."""

    shot: int
    time: float  # seconds of the storyboard since the start of the shot, at which the scene is drawn
    level: float  # 0 black, 1 as drawn
    panning: bool


def exposure_sheet(seconds: float | None = None) -> list[Exposure]:
    """Which drawing each frame of the film shows.

    Args:
        seconds: length of the film; every shot, hold and fade keeps its share. None: as the storyboard says.
    """
    full = sum(board.seconds for board in STORYBOARD)
    speed = RATE * Fraction(seconds or full) / Fraction(full)  # frames to a second of the storyboard
    if speed * min(board.seconds for board in STORYBOARD) < 4:
        raise ValueError(f"seconds={seconds} leaves less than 4 frames for a shot; give at least 3")
    sheet: list[Exposure] = []
    clock = Fraction(0)
    for shot, board in enumerate(STORYBOARD):
        start, clock = round(clock * speed), clock + Fraction(board.seconds)
        sheet += _expose(shot, board, round(clock * speed) - start, float(speed))
    return sheet


def _expose(shot: int, board: Board, length: int, speed: float) -> Iterator[Exposure]:
    hold_start, hold_stop = (round(t * speed) for t in board.hold)
    fade_in, fade_out = round(board.fade_in * speed), round(board.fade_out * speed)
    for frame in range(length):
        if hold_start <= frame < hold_stop:
            drawn = hold_start
        else:
            since = hold_stop if frame >= hold_stop else 0
            drawn = frame - (frame - since) % board.on
        level = min(
            1.0, frame / fade_in if fade_in else 1, (length - 1 - frame) / fade_out if fade_out else 1
        )
        panning = board.kind == "pan" and frame >= hold_stop
        yield Exposure(shot, drawn / speed if level else 0.0, level, panning)


def _runs(sheet: list[Exposure], key: Callable[[Exposure], Hashable]) -> list[tuple[Any, int, int]]:
    """Maximal runs [start, stop) of neighbours with one key, as (key, start, stop)."""
    runs, start = [], 0
    for value, group in groupby(sheet, key):
        stop = start + sum(1 for _ in group)
        runs.append((value, start, stop))
        start = stop
    return runs


def _where(sheet: list[Exposure], true: Callable[[Exposure], bool]) -> tuple[Run, ...]:
    """The runs within one shot for which something is true."""
    return tuple(
        (start, stop) for (_, holds), start, stop in _runs(sheet, lambda e: (e.shot, true(e))) if holds
    )


def film_truth(
    *,
    seconds: float | None = None,
    letterbox: bool = False,
    size: tuple[int, int] = (1280, 720),
    path: Path | None = None,
) -> FilmTruth:
    """The truth about the film that ``frames`` and ``draw_film`` make of the same options.

    Raises:
        ValueError: the size is not an even 16:9 or the film is too short for its shots.
    """
    width, height = size
    if width * 9 != height * 16 or width % 2 or height % 2 or width < 160:
        raise ValueError(
            f"size={width}x{height}: the film is drawn in 16:9, even, 160 or more wide, such as 1280x720"
        )
    sheet = exposure_sheet(seconds)
    drawings = _runs(sheet, lambda e: e if e.level else None)  # black is black, over a cut too
    shots = tuple(
        Shot(STORYBOARD[shot].name, start, stop, STORYBOARD[shot].kind)
        for shot, start, stop in _runs(sheet, lambda e: e.shot)
    )
    holds = tuple((start, stop) for _, start, stop in drawings if stop - start >= HELD)
    bar = 2 * round(height * BAR / 2) if letterbox else 0
    return FilmTruth(
        path=path,
        width=width,
        height=height,
        rate=RATE,
        frames=len(sheet),
        shots=shots,
        drawings=tuple(start for _, start, _ in drawings),
        holds=holds,
        pans=_where(sheet, lambda e: e.panning),
        fades=_where(sheet, lambda e: e.level < 1),
        credits=_where(sheet, lambda e: STORYBOARD[e.shot].kind == "credits"),
        picture_box=(0, bar, width, height - 2 * bar),
    )


def frames(
    *, seconds: float | None = None, letterbox: bool = False, size: tuple[int, int] = (1280, 720)
) -> Iterator[Picture]:
    """Draw the film, picture by picture.

    Args:
        seconds: length of the film; every shot keeps its share. None: as the storyboard says, a minute.
        letterbox: cover the top and bottom with black bars.
        size: width and height in pixels, 16:9.

    Yields:
        (H, W, 3) uint8 RGB, read-only; a held drawing is the same array again.

    Raises:
        ValueError: the size is not an even 16:9 or the film is too short for its shots.
    """
    truth = film_truth(seconds=seconds, letterbox=letterbox, size=size)
    return _draw(exposure_sheet(seconds), Stage(size), truth.picture_box)


def _draw(sheet: list[Exposure], stage: Stage, box: tuple[int, int, int, int]) -> Iterator[Picture]:
    _, top, _, height = box
    for shot, exposures in groupby(sheet, lambda e: e.shot):
        scene = STORYBOARD[shot].scene(stage)
        for exposure, held in groupby(exposures):
            picture = scene(exposure.time)
            if exposure.level < 1:
                picture = cv2.convertScaleAbs(picture, alpha=exposure.level).astype(np.uint8, copy=False)
            picture[:top] = picture[top + height :] = 0
            picture.flags.writeable = False
            for _ in held:
                yield picture


def draw_film(
    path: str | os.PathLike[str],
    *,
    seconds: float | None = None,
    letterbox: bool = False,
    size: tuple[int, int] = (1280, 720),
    progress: Callable[[int, int], None] | None = None,
) -> FilmTruth:
    """Draw the film and write it as an ordinary H.264 MP4 (4:2:0, BT.709, limited range).

    It is written beside ``path`` under a temporary name and renamed when whole.

    Args:
        path: the film to write; an older file of that name is replaced.
        seconds: see ``frames``.
        letterbox: see ``frames``.
        size: see ``frames``.
        progress: called with frames done and frames in all, after each frame.

    Raises:
        FileNotFoundError: the folder of ``path`` does not exist.
        ValueError: see ``frames``.
    """
    target = Path(path)
    truth = film_truth(seconds=seconds, letterbox=letterbox, size=size, path=target)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"no folder {target.parent} to write {target.name} into; make it first")
    pictures = frames(seconds=seconds, letterbox=letterbox, size=size)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        _encode(part, pictures, truth, progress)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return truth


def _encode(
    part: Path, pictures: Iterator[Picture], truth: FilmTruth, progress: Callable[[int, int], None] | None
) -> None:
    import av
    from av.video.reformatter import ColorRange, Colorspace

    name, options = next((name, options) for name, options in ENCODERS if _can_encode(name))
    with av.open(part, "w", format="mp4") as container:
        stream = cast("VideoStream", container.add_stream(name, rate=truth.rate, options=options))
        stream.width, stream.height, stream.pix_fmt = truth.width, truth.height, "yuv420p"
        coder = stream.codec_context
        coder.color_primaries = coder.color_trc = coder.colorspace = 1  # BT.709
        coder.color_range = ColorRange.MPEG
        shown, frame = None, None
        for number, picture in enumerate(pictures):
            if frame is None or picture is not shown:
                drawn = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame = drawn.reformat(
                    format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
                )
                shown = picture
            frame.pts, frame.time_base = number, 1 / truth.rate
            container.mux(stream.encode(frame))
            if progress:
                progress(number + 1, truth.frames)
        container.mux(stream.encode())


def _can_encode(name: str) -> bool:
    import av

    try:
        av.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def main(arguments: list[str] | None = None) -> None:
    """Draw the film from the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.demo_film", description="Draw the demo film.")
    parser.add_argument("path", metavar="OUT.mp4", type=Path)
    parser.add_argument("--letterbox", action="store_true", help="cover the top and bottom with black bars")
    parser.add_argument("--seconds", type=float, help="length of the film (default: 60)")
    parser.add_argument("--width", type=int, default=1280, help="of the picture, 16:9 (default: 1280)")
    chosen = parser.parse_args(arguments)

    try:
        size = (chosen.width, chosen.width * 9 // 16)
        expected = film_truth(seconds=chosen.seconds, size=size)
        with Progress("draw", total=expected.frames, unit="frames") as progress:
            truth = draw_film(
                chosen.path,
                seconds=chosen.seconds,
                letterbox=chosen.letterbox,
                size=size,
                progress=lambda done, _total: progress.advance(done - progress.done),
            )
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(
        f"{chosen.path}: {len(truth.shots)} shots, {len(truth.drawings)} drawings, {len(truth.holds)} holds"
    )


if __name__ == "__main__":
    main()
