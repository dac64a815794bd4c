"""Videos to videos: every frame a cartoon, at its time; sound and subtitles as they are.

The one module of cartoongan that knows films; it imports the film library only when there is a film to turn.
A thread decodes ahead, another encodes behind, and the generator is kept busy between them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cartoongan.handing import Behind, ahead
from cartoongan.places import CONTAINERS
from cartoongan.steady import Flicker, Steadier
from framekit.errors import CommandError, FramekitError, printable
from framekit.files import NO_ROOM, whole_file
from framekit.terminal.progress import Progress

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from cartoongan.options import StylizeOptions
    from cartoongan.stylize import Stylizer
    from framekit.sources.film import FilmFacts

ENCODERS: dict[str, tuple[str, ...]] = {
    "webm": ("libvpx-vp9", "libsvtav1"),
    "other": ("libx264", "libopenh264", "libsvtav1", "libvpx-vp9", "mpeg4"),
}
"""What may encode, the first that is here; FFmpeg is built with some or others."""
QUALITY: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18", "preset": "medium"},
    "libsvtav1": {"crf": "28", "preset": "8"},
    "libvpx-vp9": {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
    "libopenh264": {"b": "8000000"},
    "mpeg4": {"q": "3", "b": "8000000"},
}
MOST_CRF = {"libx264": 51, "libsvtav1": 63, "libvpx-vp9": 63}
"""Of those that have it."""
THREADS = 4
"""Of the encoder. Fixed: with another number x264 writes other bytes."""
ROOM = 8
"""Frames that wait before the generator, and behind it."""
MPEG4_FINEST = Fraction(1, 60_000)
"""MPEG-4 has 16 bits for this; by 60,000 most frame rates divide."""
BT709, LIMITED = 1, 1


class Frame(NamedTuple):
    """A picture of a film.

    Attributes:
        rgb: (H, W, 3) uint8, upright, with square pixels.
        pts, duration: In units of the film's time base.
    """

    rgb: np.ndarray
    pts: int
    duration: int


@dataclass(frozen=True)
class VideoFigures:
    """What became of a film.

    Attributes:
        frames: Written.
        encoder: That encoded them.
        flicker: None where nothing in the film stood still.
        notes: What the file that was written lacks, one line each.
    """

    frames: int
    encoder: str
    flicker: Flicker | None
    notes: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """For a person, in one line."""
        words = f"{self.frames:,} frames by {self.encoder}"
        if self.flicker is None:
            return words
        before = self.flicker.alone
        smoothed = "" if self.flicker.shown == before else f", {before:.2f} without --smooth"
        return f"{words}; flicker {self.flicker.shown:.2f} levels{smoothed}"


def stylize_video(stylizer: Stylizer, source: Path, place: Path, *, replace: bool = True) -> VideoFigures:
    """Make a video of cartoons at `place`, whole or not at all.

    Args:
        stylizer: What makes them.
        source: The film.
        place: Its ending says the container, a key of `CONTAINERS`.
        replace: Whether a file that is there when the film is done goes.

    Raises:
        FileExistsError: One is there, and is not to be replaced.
        FramekitError: `source` is no film, or breaks off before the first frame, or `place` cannot hold it.
        OSError: The disk takes no more.
        MemoryError: A frame is too large.
    """
    try:
        import av
        from av.error import FFmpegError

        from framekit.sources.film import open_film, read_facts, reason
    except ImportError as error:
        raise FramekitError(
            f"videos need {error.name}, which is not installed", where=source, advice="pip install av"
        ) from None
    av.logging.set_level(None)
    facts = read_facts(source)
    place.parent.mkdir(parents=True, exist_ok=True)
    with open_film(source) as (film, video), whole_file(place, replace=replace) as temporary:
        try:
            options = {"fflags": "+bitexact"}  # else Matroska writes the date and random numbers
            kind = CONTAINERS[place.suffix.lower()]
            with av.open(str(temporary), "w", format=kind, container_options=options) as made:
                job = _Job(stylizer, film, video, made, place, facts=facts)
                return job.carry_out(source)
        except FFmpegError as error:
            if error.errno in NO_ROOM:
                raise OSError(error.errno, error.strerror, str(place)) from error
            raise FramekitError(f"cannot be written ({reason(error)})", where=place) from error


def encoder_for(place: Path, options: StylizeOptions) -> str:
    """The encoder of a video at `place`: as asked for, or the first that this build of FFmpeg has.

    Raises:
        CommandError: It is not here, the container does not take it, or it has no --crf and that is given.
    """
    from av.codec import codecs_available

    kind, asked = CONTAINERS[place.suffix.lower()], options.encoder
    fitting = ENCODERS["webm" if kind == "webm" else "other"]
    here = [name for name in fitting if name in codecs_available and _encodes(name)]
    chosen = here[0] if asked == "auto" and here else asked
    if chosen not in here:
        what = f"--encoder {asked}: not in this FFmpeg, or not for {kind}"
        raise CommandError(what, where=place, advice=f"here are: {', '.join(here) or 'none'}")
    if options.crf is not None and chosen not in MOST_CRF:
        raise CommandError(f"--crf: {chosen} has none", where=place, advice="leave it out")
    if options.crf is not None and options.crf > MOST_CRF[chosen]:
        raise CommandError(f"--crf {options.crf}: {chosen} has {MOST_CRF[chosen]} at most", where=place)
    return chosen


def _encodes(name: str) -> bool:
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    try:
        Codec(name, "w")
    except UnknownCodecError:
        return False
    return True


class _Job:
    """One film on its way through.

    Args:
        stylizer: What makes cartoons.
        film, video: Read by the thread ahead alone.
        made: Written by the thread behind alone, once it is set up.
        place: Where it will be.
        facts: What its header says.
    """

    def __init__(
        self,
        stylizer: Stylizer,
        film: InputContainer,
        video: VideoStream,
        made: OutputContainer,
        place: Path,
        *,
        facts: FilmFacts,
    ) -> None:
        self._stylizer, self._film, self._video, self._made = stylizer, film, video, made
        self._time_base = Fraction(video.time_base or Fraction(1, 1000))
        self._kind = CONTAINERS[place.suffix.lower()]
        self._encoder = encoder_for(place, stylizer.options)
        if self._encoder == "mpeg4" and self._time_base.denominator > MPEG4_FINEST.denominator:
            self._time_base = MPEG4_FINEST
        self._out: Any = None
        self._size, self._total = (facts.width, facts.height), facts.stated_frames or None
        self.notes: list[str] = []
        self._damaged = self._frames = 0
        self._times = _Times(film, video)
        self._last: int | None = None
        self._ends: dict[int, tuple[int, int, int]] = {}  # of each copied stream, and what is added to it

    def carry_out(self, source: Path) -> VideoFigures:
        self._out = self._add_video()
        copied = self._add_others()
        steadier = Steadier(self._stylizer.options.smooth)
        items = ahead(self._read(copied), ROOM)
        try:
            with (
                Progress(f"stylize {source.name}", total=self._total, unit="frames") as progress,
                Behind(self._write, ROOM) as behind,
            ):
                others = _split(items, behind.put)
                for frame in _cartoons(others, self._stylizer, steadier):
                    behind.put(frame)
                    progress.advance()
        finally:
            items.close()  # type: ignore[attr-defined]
        if not self._frames:
            raise FramekitError("no picture could be decoded", where=source, advice="leave it out")
        self._made.mux(self._out.encode())
        if self._damaged:
            self.notes.append(f"{self._damaged} damaged packets left out")
        return VideoFigures(self._frames, self._encoder, steadier.figure(), self.notes)

    def _add_video(self) -> Any:
        from av.codec.context import Flags

        from framekit.sources.film import fraction

        options = dict(QUALITY[self._encoder])
        crf = self._stylizer.options.crf
        if crf is not None:
            options["crf"] = str(crf)
        rate = fraction(self._video.average_rate) or fraction(self._video.guessed_rate) or Fraction(25)
        out: Any = self._made.add_stream(self._encoder, rate=rate, options=options)
        out.width, out.height = (side + side % 2 for side in self._size)
        out.pix_fmt = "yuv420p"
        context = out.codec_context
        context.time_base = out.time_base = self._time_base
        context.thread_count = THREADS
        context.flags |= Flags.bitexact
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED
        return out

    def _add_others(self) -> dict[int, Stream]:
        """The streams to copy to, by the index of those that they are copies of."""
        copied: dict[int, Stream] = {}
        for stream in self._film.streams:
            if stream.type not in ("audio", "subtitle"):
                continue
            name = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
            if name not in self._made.supported_codecs:
                kind = {"audio": "sound", "subtitle": "subtitles"}[stream.type]
                advice = "" if self._kind == "matroska" else "; .mkv may"
                self.notes.append(printable(f"{kind} left out: {self._kind} takes no {name}{advice}"))
                continue
            copied[stream.index] = out = self._made.add_stream_from_template(stream)
            out.metadata.update({k: v for k, v in stream.metadata.items() if k in ("language", "title")})
            out.disposition = stream.disposition
        return copied

    def _read(self, copied: dict[int, Stream]) -> Iterator[Frame | Packet]:
        """Frames as pictures, and the packets of all that is copied, in the order of the file."""
        from av.error import EOFError as EndOfFilm
        from av.error import FFmpegError

        from framekit.sources.film import packets_of

        between: deque[VideoFrame | None] = deque([None, None], 2)  # the last but one, and the last
        wanted = [self._video, *(self._film.streams[index] for index in copied)]
        try:
            for packet in packets_of(self._film, wanted):
                if packet.stream.index != self._video.index:
                    if packet.dts is not None:
                        self._let_rise(packet)
                        packet.stream = copied[packet.stream.index]
                        yield packet
                    continue
                try:
                    frames: Iterable[Any] = packet.decode()
                except EndOfFilm:
                    continue
                except FFmpegError:
                    self._damaged += 1
                    continue
                for frame in frames:
                    yield from self._last_of(between, frame)
        except FFmpegError as error:
            self.notes.append(f"the film breaks off ({error.strerror})")
        yield from self._last_of(between, None)

    def _let_rise(self, packet: Packet) -> None:
        """Where times of what is copied fall, as where recordings were joined, they go on after what was."""
        due = packet.dts or 0
        last, end, shift = self._ends.get(packet.stream.index, (due, due, 0))
        if due + shift < last:  # not: before the end of the last, for subtitles may overlap
            shift = end - due
        packet.dts = due + shift
        if packet.pts is not None:
            packet.pts += shift
        self._ends[packet.stream.index] = packet.dts, packet.dts + (packet.duration or 1), shift

    def _last_of(self, between: deque[VideoFrame | None], after: VideoFrame | None) -> Iterator[Frame]:
        """The picture before `after`: an interlaced frame becomes whole by its neighbours on both sides."""
        from framekit.sources.deinterlacing import deinterlaced

        before, frame = between
        between.append(after)
        if frame is not None:
            made = self._picture(deinterlaced(before, frame, after))
            self._last = made.pts
            yield made

    def _picture(self, frame: VideoFrame) -> Frame:
        from framekit.sources.film import pixel_aspect
        from framekit.sources.picture import to_rgb

        step = max(1, round(1 / (self._time_base * (self._out.average_rate or 25))))
        base = Fraction(frame.time_base or self._time_base)
        pts = round(self._times.of(frame) / self._time_base)
        if self._last is not None:
            pts = max(pts, self._last + 1)
        rgb = to_rgb(frame, pixel_aspect(self._video))
        if (rgb.shape[1], rgb.shape[0]) != self._size:
            raise FramekitError("its pictures change their size midway", advice="cut it there first")
        return Frame(rgb, pts, round((frame.duration or 0) * base / self._time_base) or step)

    def _write(self, item: Frame | Packet) -> None:
        if not isinstance(item, Frame):
            self._made.mux(item)
            return
        from av.video.frame import VideoFrame

        from framekit.sources.picture import SCALING, reformatted

        rgb = _even(item.rgb)
        picture = reformatted(
            VideoFrame.from_ndarray(rgb, format="rgb24"),
            format="yuv420p",
            dst_colorspace=BT709,
            dst_color_range=LIMITED,
            interpolation=SCALING,
        )
        picture.pts, picture.time_base, picture.duration = item.pts, self._time_base, item.duration
        picture.color_primaries = picture.color_trc = BT709
        self._made.mux(self._out.encode(picture))
        self._frames += 1


class _Times:
    """When frames are shown, in seconds on the film's own clock: they rise, whatever it does.

    Args:
        film, video: As they are read.
    """

    def __init__(self, film: InputContainer, video: VideoStream) -> None:
        from framekit.sources.film import fraction
        from framekit.sources.sampling import USUAL_RATE, Clock

        rate = fraction(video.average_rate)
        self._clock, self._frame = Clock(rate), 1 / (rate or USUAL_RATE)
        self._by_dts = film.format.name == "avi"  # which has no other times
        self._start: Fraction | None = Fraction(0) if self._by_dts else None
        self._unstamped = 0

    def of(self, frame: VideoFrame) -> Fraction:
        """The time of the next frame."""
        ticks = frame.dts if self._by_dts else frame.pts
        stamp = ticks * Fraction(frame.time_base) if ticks is not None and frame.time_base else None
        time = self._clock.time(stamp)
        if time is None:
            self._unstamped += 1
            return (self._unstamped - 1) * self._frame
        if self._start is None:
            self._start = Fraction(0) if time or stamp is None else stamp
        return self._start + time


def _split(items: Iterator[Frame | Packet], put: Callable[[Any], None]) -> Iterator[Frame]:
    """The frames; packets go on by themselves."""
    for item in items:
        if isinstance(item, Frame):
            yield item
        else:
            put(item)


def _cartoons(frames: Iterable[Frame], stylizer: Stylizer, steadier: Steadier) -> Iterator[Frame]:
    """Frames as cartoons, in order. One batch is fetched from the device while it computes the next."""
    flying: deque[tuple[list[Frame], Callable[[], np.ndarray]]] = deque()
    for batch in _batches(frames, stylizer.options.batch_size):
        parts = list(stylizer.strips(np.stack([frame.rgb for frame in batch])))
        photos, made = (torch.cat(some, dim=2) for some in zip(*parts, strict=True))
        flying.append((batch, _fetched(steadier(photos, made))))
        if len(flying) > 1:
            yield from _landed(*flying.popleft())
    while flying:
        yield from _landed(*flying.popleft())


def _landed(batch: list[Frame], pixels: Callable[[], np.ndarray]) -> Iterator[Frame]:
    for frame, rgb in zip(batch, pixels(), strict=True):
        yield frame._replace(rgb=rgb)


def _fetched(pictures: Tensor) -> Callable[[], np.ndarray]:
    """Begin to copy pictures from the device; what is returned waits and gives (N, H, W, 3) uint8."""
    from cartoongan.networks import to_bytes

    pixels = to_bytes(pictures).permute(0, 2, 3, 1).contiguous()
    if pixels.device.type != "cuda":
        return lambda: pixels.cpu().numpy()
    here = torch.empty(pixels.shape, dtype=torch.uint8, pin_memory=True)
    here.copy_(pixels, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record()

    def wait() -> np.ndarray:
        copied.synchronize()
        return here.numpy()

    return wait


def _batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _even(rgb: np.ndarray) -> np.ndarray:
    """With its last column and row once more where their number is odd: 4:2:0 has pairs only."""
    odd = rgb.shape[0] % 2, rgb.shape[1] % 2
    return np.ascontiguousarray(
        np.pad(rgb, [(0, odd[0]), (0, odd[1]), (0, 0)], mode="edge") if any(odd) else rgb
    )
