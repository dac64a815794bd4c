"""Films: opening one, and the facts that its header states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framekit.errors import CommandError, FramekitError
from framekit.sources.picture import matrix_of, quarter_turns, square_size
from framekit.storage.paths import RemotePath
from framekit.storage.ranges import RangeFile

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_SIDE, MAX_PIXELS = 16_384, 16_384 * 8_704
"""A picture that claims more is damaged or hostile."""
PATIENCE = 60.0
"""Seconds without a packet after which a file is given up."""
PACKETS_BEFORE_A_PICTURE = 2_000
OTHER_FILES = frozenset(
    "alias_pix brender_pix concat dash dvdvideo hls image2 imf mlv rtp rtsp sap sdp vobsub "
    "avisynth vapoursynth webm_dash_manifest".split()
)
"""FFmpeg's readers of files that name other files, or addresses, and have them read in their place."""
LISTS = (b"ffconcat version", b"#EXTM3U", b"v=0", b"<MPD")
"""How such files begin."""
MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
RANGES = {1: "limited", 2: "full"}


@dataclass(frozen=True)
class FilmFacts:
    """What a film's header and first picture say; nothing here is counted from the content.

    Attributes:
        width, height: Of the upright picture in square pixels.
        coded_size: Width and height as stored.
        pixel_aspect: Width of a stored pixel over its height, as `16/15`.
        rotation: Counter-clockwise degrees that bring it upright: 0, 90, 180, 270.
        matrix, range: Colour tags as used; `untagged` says which ones were guessed.
        interlaced: Whether the first picture is flagged so.
        frame_rate: Average frames per second as `24000/1001`; empty when unknown.
        seconds: Stated duration; 0 when unknown.
        stated_frames: Stated or estimated number of frames; 0 when unknown. For progress only.
    """

    container: str
    codec: str
    width: int
    height: int
    coded_size: tuple[int, int]
    pixel_aspect: str
    rotation: int
    pixel_format: str
    matrix: str
    range: str
    untagged: bool
    interlaced: bool
    frame_rate: str
    seconds: float
    stated_frames: int

    @property
    def rate(self) -> Fraction | None:
        """Average frames per second; None when unknown."""
        return Fraction(self.frame_rate) if self.frame_rate else None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> FilmFacts:
        """The facts among what `as_json` gave, and perhaps more.

        Raises:
            KeyError: One is missing.
        """
        return cls(**{each.name: values[each.name] for each in fields(cls)})

    def as_json(self) -> dict[str, Any]:
        """The facts as plain JSON values."""
        return asdict(self) | {"coded_size": list(self.coded_size)}


@contextmanager
def open_film(
    path: Path, *, threads: int = 1, hwaccel: str | None = None, strict: bool = False
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a film and choose its video stream: the largest that is not cover art.

    With more than one thread FFmpeg loses the frames in flight around a damaged packet, at times without an
    error: only ask for them where it is known which frames to expect.

    Args:
        path: The film.
        threads: Of the decoder, where it runs in software.
        hwaccel: A kind of device to decode on; where it can't be had, the decoder runs in software.
        strict: Let the decoder raise an error over damage that it can tell, where it would go on with what is
            in its memory: what comes out would then depend on what was decoded before.

    Raises:
        FramekitError: It is not there, is no film, has no video stream, or claims an absurd size.
    """
    with _read_through(path) as file, _open_container(path, file, hwaccel) as container:
        stream = _main_video_stream(container, path)
        stream.thread_type = "FRAME" if threads > 1 else "NONE"
        stream.codec_context.thread_count = threads
        stream.codec_context.options = _decoder_options(stream.codec_context.name, strict=strict)
        yield container, stream


class _RemoteFilm:
    """A remote film as PyAV reads it.

    FFmpeg takes any error for the end of the film, or for damage. So what went wrong is kept for whoever
    opened it, and from there on nothing more comes.

    Attributes:
        name: As that of a local film: FFmpeg looks at its suffix.
        fault: What went wrong, if anything did.
    """

    def __init__(self, file: RangeFile, name: str) -> None:
        self._file, self.name = file, f"file:{name}"
        self.fault: BaseException | None = None

    def read(self, size: int) -> bytes:
        if self.fault is not None:
            return b""
        try:
            return self._file.read(size)
        except BaseException as error:  # Ctrl-C too: it would be lost inside FFmpeg
            self.fault = error
            return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def _read_through(path: Path) -> Iterator[_RemoteFilm | None]:
    """What a remote film is read through; None for a local one, which FFmpeg reads itself.

    Raises:
        FramekitError: It is not there, or something of it could not be had, whatever came of that.
    """
    try:
        file = _RemoteFilm(RangeFile(path), path.name) if isinstance(path, RemotePath) else None
    except FileNotFoundError:
        raise FramekitError("no such file", where=path) from None
    try:
        yield file
    except GeneratorExit:
        raise
    except Exception:
        if file is not None and file.fault is not None:
            raise file.fault from None
        raise
    if file is not None and file.fault is not None:
        raise file.fault


def _decoder_options(codec: str, *, strict: bool) -> dict[str, str]:
    options = {"max_pixels": str(MAX_PIXELS)}
    if strict and codec == "hevc":  # the others' decoders say so anyway, by error or by a frame's flag
        options["err_detect"] = "explode"
    return options


def check_device(hwaccel: str | None) -> None:
    """Make sure that FFmpeg knows a kind of device; whether there is one shows when a film is opened.

    Raises:
        CommandError: It doesn't.
    """
    from av.codec.hwaccel import HWDeviceType

    known = sorted(kind.name.lower() for kind in HWDeviceType if kind.value)
    if hwaccel is not None and hwaccel not in known:
        raise CommandError(f"--hwaccel {hwaccel} is no kind of device", advice=f"one of {', '.join(known)}")


def _open_container(path: Path, file: _RemoteFilm | None, hwaccel: str | None) -> InputContainer:
    import av
    import av.error
    from av.codec.hwaccel import HWAccel

    # Our own line says what is wrong, once. At any level but None, PyAV takes the GIL for each line that
    # FFmpeg logs, and locks up when a decoder with threads is let go.
    av.logging.set_level(None)
    if file is None and not path.exists():
        raise FramekitError("no such file", where=path)
    # Tags in broken UTF-8 must not stop a film; from PyAV 19 on they never do.
    options: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
    # No signal reaches FFmpeg while it looks for a packet, in gigabytes of zeros if need be.
    options["timeout"] = (PATIENCE, PATIENCE)
    options["container_options"] = {"format_whitelist": ",".join(sorted(av.formats_available - OTHER_FILES))}
    # The file: prefix keeps FFmpeg from taking a colon in a name for a protocol.
    name = file or f"file:{path}"
    if hwaccel is not None:
        with suppress(
            av.error.FFmpegError, ValueError
        ):  # the device; what is wrong with the film shows below
            return av.open(name, hwaccel=HWAccel(hwaccel), **options)
    if file is not None:
        file.seek(0)
    try:
        return av.open(name, **options)
    except (av.error.FFmpegError, ValueError) as error:
        raise FramekitError(
            _why_unreadable(path, error), where=path, advice="check it with a player, or leave it out"
        ) from None


def _why_unreadable(path: Path, error: BaseException) -> str:
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(64)
        if not head:
            return "the file is empty"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(LISTS):
        return "a list of other files, not a film"
    return f"not a film that FFmpeg can read ({reason(error)})"


def _main_video_stream(container: InputContainer, path: Path) -> VideoStream:
    from av.stream import Disposition

    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        what = "only cover art, no video stream" if container.streams.video else "no video stream"
        raise FramekitError(what, where=path, advice="leave it out")
    streams = [s for s in streams if s.codec_context is not None]
    if not streams:
        raise FramekitError("FFmpeg has no decoder for its video", where=path, advice="leave it out")
    stream = max(streams, key=lambda s: (s.width or 0) * (s.height or 0))  # the first of equals
    width, height = stream.width or 0, stream.height or 0
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        limit = f"{MAX_SIDE} a side and {MAX_PIXELS // 1_000_000} megapixels are the limit"
        raise FramekitError(
            f"claims to be {width}×{height} pixels; {limit}", where=path, advice="leave it out"
        )
    return stream


def packets_of(container: InputContainer, stream: VideoStream | list[Stream]) -> Iterator[Packet]:
    """Packets of one stream or several, and then an empty one, which brings out what a decoder holds back.

    Raises:
        FFmpegError: The file cannot be read on.
    """
    while True:
        try:
            yield from container.demux(stream)
        except IndexError:  # from PyAV: a packet of a stream that a transport stream began midway
            continue
        return


def read_facts(path: Path) -> FilmFacts:
    """Read a film's facts, decoding its first picture.

    Raises:
        FramekitError: As `open_film`, or nothing can be decoded.
    """
    with open_film(path) as (container, stream):
        frame = _first_frame(container, stream, path)
        if frame is None:
            raise FramekitError(
                f"no picture could be decoded ({stream.codec_context.name})",
                where=path,
                advice="the file is damaged, encrypted or cut short; leave it out",
            )
        aspect = pixel_aspect(stream)
        size = square_size(frame.width, frame.height, aspect)
        turns = quarter_turns(frame.rotation)
        return FilmFacts(
            container=container.format.name,
            codec=stream.codec_context.name,
            width=size[turns % 2],
            height=size[1 - turns % 2],
            coded_size=(frame.width, frame.height),
            pixel_aspect=str(aspect),
            rotation=turns * 90,
            pixel_format=frame.format.name,
            matrix=MATRICES.get(matrix_of(frame), str(matrix_of(frame))),
            range=RANGES.get(frame.color_range, "limited"),
            untagged=frame.colorspace == 2,
            interlaced=frame.interlaced_frame,
            frame_rate=str(fraction(stream.average_rate) or ""),
            seconds=round(_stated_seconds(container, stream), 3),
            stated_frames=_stated_frames(container, stream),
        )


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Width of a pixel over its height; 1 when the film doesn't say, or says nonsense."""
    aspect = fraction(stream.sample_aspect_ratio)
    return aspect if aspect and Fraction(1, 10) <= aspect <= 10 else Fraction(1)


def fraction(value: Any) -> Fraction | None:
    """A rational of PyAV's; what is unknown is None up to PyAV 18 and a false rational from 19 on."""
    return Fraction(value.numerator, value.denominator) if value else None


def reason(error: BaseException) -> str:
    """What FFmpeg says of an error, without number and path."""
    from av.error import ExitError

    if isinstance(error, ExitError):
        return f"nothing to be found in it for {PATIENCE:g} seconds"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame | None:
    from av.error import FFmpegError

    try:
        for tried, packet in enumerate(packets_of(container, stream)):
            if packet.has_sidedata(
                "encryption_info"
            ):  # a decoder may take what is left for pictures of noise
                raise FramekitError("it is encrypted", where=path, advice="leave it out")
            try:
                for frame in packet.decode():
                    return frame
            except FFmpegError:
                pass
            if tried > PACKETS_BEFORE_A_PICTURE:
                return None
    except FFmpegError:
        pass
    return None


def _stated_seconds(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1_000_000


def _stated_frames(container: InputContainer, stream: VideoStream) -> int:
    if stream.frames:
        return int(stream.frames)
    return round(_stated_seconds(container, stream) * float(stream.average_rate or 0))
