"""Films of every kind for tests: each codec, container and habit that counting and decoding must survive.

`ODD_FILMS` maps a name to a builder `(folder) -> path`. Frames carry their numbers (`tests.films.number_of`),
and are `COUNT` where the kind does not ask for another number. `UNREADABLE` names those without a picture.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from tests.films import numbered_frame

COUNT = 120
SIZE = (320, 240)
RATE = 24
GOP = 24
CLOCK = 90_000  # of MPEG-TS, in Hz
# Drawings that share nothing would get no B-frames; threads would cut each frame into slices.
X264_ALWAYS = "b-adapt=0:threads=1:sliced-threads=0"
WRAP = Fraction(2**33, CLOCK)  # seconds after which its 33 bits start again

Builder = Callable[[Path], Path]
ODD_FILMS: dict[str, Builder] = {}
REFUSED_ON_OPENING = {"audio_only", "beyond_size_limit"}
UNREADABLE = REFUSED_ON_OPENING | {"zero_frames_mp4", "absurd_size_h264", "absurd_size_mp4"}
"""No picture comes from these, so opening them or reading their facts must fail in words."""
NOISE = {"encrypted_mp4"}
"""A decoder that does not look at packets' side data may get pictures of noise from these, or none."""


def odd(builder: Builder) -> Builder:
    ODD_FILMS[builder.__name__] = builder
    return builder


@cache
def drawings(count: int = COUNT, size: tuple[int, int] = SIZE, first: int = 0) -> list[np.ndarray]:
    width, height = size
    return [numbered_frame(number, width=width, height=height) for number in range(first, first + count)]


def encode(
    path: Path,
    codec: str = "libx264",
    *,
    images: list[np.ndarray] | None = None,
    options: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    muxing: dict[str, str] | None = None,
    times: Iterable[int] | None = None,
    start: Fraction = Fraction(0),
    prepare: Callable[[Any], object] = lambda coder: None,
    edit: Callable[[bytes], bytes] | None = None,
) -> Path:
    """Encode (H, W, 3) uint8 RGB images.

    Args:
        times: Of the frames in ms; without it they come at `RATE`.
        start: Seconds added to all timestamps when muxing.
        prepare: Sets what options cannot on the codec context.
        edit: Rewrites the bytes of each packet.
    """
    images = images or drawings()
    options = dict(options or {})
    if codec == "libx264":
        options["x264-params"] = f"{X264_ALWAYS}:{options.get('x264-params', '')}".rstrip(":")
    tick = Fraction(1, 1000) if times else Fraction(1, RATE)
    with own_priority(), av.open(str(path), "w", options=muxing or {}) as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = tick
        prepare(stream.codec_context)
        for pts, image in zip(times or range(len(images)), images, strict=False):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = pts, tick
            for packet in stream.encode(frame):
                container.mux(_moved(_edited(packet, edit, stream), start))
        for packet in stream.encode():
            container.mux(_moved(_edited(packet, edit, stream), start))
    return path


@contextmanager
def own_priority() -> Iterator[None]:
    """Gives the thread its priority back: SVT-AV1, run by root, makes it a real-time one."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def _edited(packet: Any, edit: Callable[[bytes], bytes] | None, stream: Any) -> Any:
    if edit is None:
        return packet
    fresh = av.Packet(edit(bytes(packet)))
    fresh.pts, fresh.dts, fresh.time_base = packet.pts, packet.dts, packet.time_base
    fresh.stream, fresh.is_keyframe = stream, packet.is_keyframe
    return fresh


def _moved(packet: Any, seconds: Fraction) -> Any:
    if seconds:
        packet.pts += round(seconds / packet.time_base)
        packet.dts += round(seconds / packet.time_base)
    return packet


def remux(
    source: Path,
    path: Path,
    *,
    pick: Callable[[list[Any]], list[Any]] = lambda packets: packets,
    start: Fraction = Fraction(0),
    muxing: dict[str, str] | None = None,
) -> Path:
    """Copy the packets that `pick` returns, moved by `start` seconds."""
    with av.open(str(source)) as old, av.open(str(path), "w", options=muxing or {}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in pick([packet for packet in old.demux(video=0) if packet.size]):
            packet.stream = stream
            new.mux(_moved(packet, start))
    return path


def ffmpeg(*words: object) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("needs the ffmpeg program, which PyAV does not bring")
    subprocess.run([program, "-v", "error", "-y", *map(str, words)], check=True)


# --- the plain kinds: a file name, a codec and its options ---

X264 = {
    "h264_defaults.mp4": "",
    "h264_no_b_frames.mp4": "bframes=0",
    "h264_b_pyramid_none.mkv": "bframes=5:b-pyramid=none",
    "h264_b_pyramid_strict.mkv": "bframes=5:b-pyramid=strict",
    "h264_b_pyramid_normal.mkv": "bframes=5:b-pyramid=normal",
    "h264_closed_gop.mp4": f"keyint={GOP}:scenecut=0",
    "h264_open_gop_mp4.mp4": f"keyint={GOP}:scenecut=0:open-gop=1",
    "h264_open_gop_mkv.mkv": f"keyint={GOP}:scenecut=0:open-gop=1",
    "h264_open_gop_ts.ts": f"keyint={GOP}:scenecut=0:open-gop=1",
    "h264_one_keyframe.mp4": "keyint=infinite:scenecut=0",
    "h264_intra_refresh.mkv": f"keyint={GOP}:intra-refresh=1:scenecut=0",
    "h264_slices.mp4": "slices=4",
    "h264_cavlc.mp4": "cabac=0",
    "h264_mbaff.mkv": "tff=1",
    "h264_mkv.mkv": "",
    "h264_ts.ts": f"keyint={GOP}",
    "h264_flv.flv": "",
    "h264_raw.264": f"keyint={GOP}",
    "h264_avi.avi": f"keyint={GOP}",
    "h264_avi_no_b_frames.avi": "bframes=0",
}
X265 = {
    "hevc_closed_gop.mp4": f"keyint={GOP}:min-keyint={GOP}:scenecut=0:open-gop=0",
    "hevc_open_gop.mkv": f"keyint={GOP}:min-keyint={GOP}:scenecut=0:open-gop=1:b-adapt=0",
    "hevc_open_gop_ts.ts": f"keyint={GOP}:min-keyint={GOP}:scenecut=0:open-gop=1:b-adapt=0",
    "hevc_temporal_layers.mkv": f"temporal-layers=3:bframes=7:b-pyramid=1:keyint={GOP}:rc-lookahead=20",
    "hevc_no_b_frames.mp4": "bframes=0",
}
MPEG2 = {"b": "4M", "g": "12", "bf": "2", "sc_threshold": "1000000000"}
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "h264_444.mkv": ("libx264", {"pixels": "yuv444p"}),
    "h264_10bit.mkv": ("libx264", {"pixels": "yuv420p10le"}),
    "mpeg2_progressive.ts": ("mpeg2video", {"options": {"b": "4M", "g": "12", "bf": "0"}}),
    "mpeg2_open_gop.ts": ("mpeg2video", {"options": MPEG2}),
    "mpeg2_closed_gop.ts": ("mpeg2video", {"options": MPEG2 | {"flags": "+cgop"}}),
    "mpeg2_interlaced.ts": ("mpeg2video", {"options": MPEG2 | {"flags": "+ilme+ildct"}}),
    "mpeg4_avi.avi": ("mpeg4", {"options": {"b": "4M", "bf": "2"}}),
    "mpeg4_mp4.mp4": ("mpeg4", {"options": {"b": "4M", "bf": "2"}}),
    "vp8.webm": ("libvpx", {"options": {"b": "1M", "deadline": "realtime", "cpu-used": "8"}}),
    "vp9.webm": ("libvpx-vp9", {"options": {"b": "1M", "deadline": "realtime", "cpu-used": "8"}}),
    "av1.mkv": ("libsvtav1", {"options": {"preset": "10", "crf": "40"}}),
    "mjpeg.avi": ("mjpeg", {"pixels": "yuvj420p"}),
    "prores.mov": ("prores_ks", {"pixels": "yuv422p10le"}),
    "ffv1.mkv": ("ffv1", {}),
    "gif.gif": ("gif", {"pixels": "rgb8"}),
}


def _register_plain(name: str, codec: str, more: dict[str, Any]) -> None:
    ODD_FILMS[Path(name).stem] = lambda folder: encode(folder / name, codec, **more)


for _name, _options in X264.items():
    _register_plain(_name, "libx264", {"options": {"preset": "fast", "x264-params": _options}})
for _name, _options in X265.items():
    _register_plain(
        _name, "libx265", {"options": {"preset": "ultrafast", "x265-params": f"{_options}:log-level=none"}}
    )
for _name, (_codec, _more) in OTHERS.items():
    _register_plain(_name, _codec, _more)


@odd
def h264_weighted_prediction(folder: Path) -> Path:
    """A film that fades up and down, so that predictions are weighted."""
    light = [0.8 + 0.2 * np.cos(number / 8) for number in range(COUNT)]
    images = [(image * share).astype(np.uint8) for image, share in zip(drawings(), light, strict=True)]
    options = {"preset": "fast", "x264-params": "weightp=2:weightb=1"}
    return encode(folder / "h264_weighted.mp4", images=images, options=options)


@odd
def vp9_hidden_frames(folder: Path) -> Path:
    """Alternate references that are never shown come from two passes, which needs the ffmpeg program."""
    source, path = encode(folder / "source.mkv", "ffv1"), folder / "hidden.webm"
    options = "-c:v libvpx-vp9 -b:v 500k -auto-alt-ref 1 -lag-in-frames 25 -deadline good -cpu-used 5".split()
    log = ("-passlogfile", folder / "passes")
    ffmpeg("-i", source, *options, "-pass", 1, *log, "-f", "null", "-")
    ffmpeg("-i", source, *options, "-pass", 2, *log, path)
    return path


# --- bits: H.264 parameter sets rewritten ---


class Bits:
    """The bits of a NAL unit, read from the front."""

    def __init__(self, data: bytes) -> None:
        self.bits = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def take(self, count: int) -> int:
        self.at += count
        return int(self.bits[self.at - count : self.at] or "0", 2)

    def golomb(self) -> int:
        """An unsigned Exp-Golomb number, ue(v)."""
        zeros = self.bits.index("1", self.at) - self.at
        self.at += zeros
        return self.take(zeros + 1) - 1


def golomb(value: int) -> str:
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def edit_sps(data: bytes, *, macroblocks: int | None = None, forget_reordering: bool = False) -> bytes:
    """Rewrite the sequence parameter sets of x264's 4:2:0 frames in an Annex B stream.

    Args:
        macroblocks: Claim this width and height, in macroblocks of 16 pixels.
        forget_reordering: Leave out bitstream_restriction, which states how far frames are reordered.
    """
    parts = data.split(b"\0\0\1")
    for place, nal in enumerate(parts[1:], 1):
        if nal[0] & 31 == 7:
            zeros = b"\0" if nal.endswith(b"\0") else b""  # of the next start code
            parts[place] = nal[:1] + _rewritten_sps(nal[1:], macroblocks, forget_reordering) + zeros
    return b"\0\0\1".join(parts)


def _rewritten_sps(data: bytes, macroblocks: int | None, forget_reordering: bool) -> bytes:
    """ITU-T H.264 7.3.2.1.1 and E.1.1, for the fields that x264 writes."""
    sps = Bits(data.replace(b"\0\0\3", b"\0\0").rstrip(b"\0"))
    profile = sps.take(24) >> 16
    sps.golomb()
    if profile >= 100:
        sps.golomb(), sps.golomb(), sps.golomb(), sps.take(2)
    sps.golomb()
    if sps.golomb() == 0:  # pic_order_cnt_type
        sps.golomb()
    sps.golomb(), sps.take(1)
    before = sps.at
    sps.golomb(), sps.golomb()
    after = sps.at
    if not sps.take(1):
        sps.take(1)
    sps.take(1)
    if sps.take(1):
        [sps.golomb() for _ in range(4)]
    end = _end_of_reordering(sps) if forget_reordering else sps.bits.rindex("1")
    size = sps.bits[before:after] if macroblocks is None else golomb(macroblocks - 1) * 2
    kept = sps.bits[:before] + size + sps.bits[after:end] + ("0" if forget_reordering else "") + "1"
    kept += "0" * (-len(kept) % 8)
    raw = int(kept, 2).to_bytes(len(kept) // 8, "big")
    return _escaped(raw)


def _end_of_reordering(sps: Bits) -> int:
    """Where bitstream_restriction_flag stands in the VUI."""
    assert sps.take(1)
    if sps.take(1) and sps.take(8) == 255:  # aspect ratio
        sps.take(32)
    if sps.take(1):  # overscan
        sps.take(1)
    if sps.take(1):  # video signal type
        sps.take(4)
        if sps.take(1):
            sps.take(24)
    if sps.take(1):  # chroma location
        sps.golomb(), sps.golomb()
    if sps.take(1):  # timing
        sps.take(65)
    assert sps.take(2) == 0, "no HRD expected"
    sps.take(1)
    return sps.at


def _escaped(raw: bytes) -> bytes:
    """Emulation prevention: no start code within a NAL unit."""
    escaped = bytearray()
    for byte in raw:
        if byte <= 3 and escaped[-2:] == b"\0\0":
            escaped.append(3)
        escaped.append(byte)
    return bytes(escaped)


@odd
def h264_without_reordering_hint(folder: Path) -> Path:
    options = {"x264-params": f"keyint={GOP}:bframes=3"}
    edit = partial(edit_sps, forget_reordering=True)
    return encode(folder / "h264_no_restriction.ts", options=options, edit=edit)


@odd
def absurd_size_h264(folder: Path) -> Path:
    """Raw H.264 whose header claims 65536×65536 pixels."""
    return encode(folder / "absurd.264", edit=partial(edit_sps, macroblocks=4096), images=drawings(8))


@odd
def absurd_size_mp4(folder: Path) -> Path:
    """MP4 whose sample entry and PNG frames claim 65535×65535 pixels."""
    path = encode(folder / "absurd.mp4", "png", pixels="rgb24", images=drawings(4))
    data = bytearray(path.read_bytes())
    entry = data.index(b"mp4v", data.index(b"stsd"))
    data[entry + 28 : entry + 32] = b"\xff" * 4
    stated = SIZE[0].to_bytes(4, "big") + SIZE[1].to_bytes(4, "big")
    path.write_bytes(data.replace(stated, b"\0\0\xff\xff\0\0\xff\xff"))
    return path


@odd
def beyond_size_limit(folder: Path) -> Path:
    """Honest, and wider than any film: 17000 pixels."""
    return encode(folder / "wide.mkv", "ffv1", images=[np.zeros((32, 17_000, 3), np.uint8)] * 2)


@odd
def wrong_size_mov(folder: Path) -> Path:
    """The sample entry claims 20000×10000 pixels; the frames themselves say 320×240."""
    path = encode(folder / "wrong_size.mov", "prores_ks", pixels="yuv422p10le")
    data = bytearray(path.read_bytes())
    entry = data.index(b"apc", data.index(b"stsd"))
    data[entry + 28 : entry + 32] = (20_000).to_bytes(2, "big") + (10_000).to_bytes(2, "big")
    path.write_bytes(data)
    return path


# --- MPEG-2 field pictures, which FFmpeg decodes but cannot encode ---

LUMA_SIZES = "100 00 01 101 110 1110 11110 111110 1111110".split()  # ISO 13818-2 table B.12
NO_CHROMA_CHANGE = "00" + "10"  # table B.13 for a difference of 0, then end of block
END_OF_BLOCK = "10"


def mpeg2_code(code: int, fields: Iterable[tuple[int, int]]) -> bytes:
    """A start code and its (value, bits) fields, padded with zeros."""
    bits = "".join(f"{value:0{length}b}" for value, length in fields)
    return _mpeg2_unit(code, bits)


def _mpeg2_unit(code: int, bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes([0, 0, 1, code]) + int(bits, 2).to_bytes(len(bits) // 8, "big")


def _slice(row: int, levels: np.ndarray) -> bytes:
    """One row of macroblocks; levels: (2, 2 * macroblocks) means of 8×8 blocks of luma."""
    bits, last = "000010", 128  # quantiser 1, no extra information; the DC predictor starts at mid-grey
    for x in range(0, levels.shape[1], 2):
        bits += "11"  # the next macroblock, intra
        for level in (*levels[0, x : x + 2], *levels[1, x : x + 2]):
            change, last = int(level) - last, int(level)
            size = abs(change).bit_length()
            bits += LUMA_SIZES[size]
            if size:
                bits += f"{change if change > 0 else change + (1 << size) - 1:0{size}b}"
            bits += END_OF_BLOCK
        bits += NO_CHROMA_CHANGE * 2
    return _mpeg2_unit(row + 1, bits)


def mpeg2_field_picture(image: np.ndarray, number: int, parity: int) -> bytes:
    """An intra picture of one field (0 top, 1 bottom) with one grey level a block."""
    field = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[parity::2]
    field = np.pad(field, ((0, -len(field) % 16), (0, 0)), mode="edge")
    levels = field.reshape(len(field) // 8, 8, -1, 8).mean(axis=(1, 3)).clip(16, 235)
    header = [(number % 1024, 10), (1, 3), (0xFFFF, 16), (0, 1)]
    extension = [(8, 4), (0xFFFF, 16), (0, 2), (parity + 1, 2), (0, 11)]
    rows = [_slice(row, levels[2 * row : 2 * row + 2]) for row in range(len(levels) // 2)]
    return mpeg2_code(0x00, header) + mpeg2_code(0xB5, extension) + b"".join(rows)


def mpeg2_sequence() -> bytes:
    """Header and extension: main profile, 25 frames a second, interlaced 4:2:0."""
    header = [(SIZE[0], 12), (SIZE[1], 12), (1, 4), (3, 4), (10_000, 18), (1, 1), (20, 10), (0, 3)]
    extension = [(1, 4), (0x48, 8), (0, 1), (1, 2), (0, 16), (1, 1), (0, 8), (0, 1), (0, 7)]
    return mpeg2_code(0xB3, header) + mpeg2_code(0xB5, extension)


@odd
def mpeg2_field_pictures(folder: Path) -> Path:
    """Every frame is two coded pictures, one a field."""
    path = folder / "mpeg2_fields.m2v"
    fields = [
        mpeg2_sequence() + mpeg2_field_picture(image, number, 0) + mpeg2_field_picture(image, number, 1)
        for number, image in enumerate(drawings())
    ]
    path.write_bytes(b"".join(fields) + b"\0\0\1\xb7")
    return path


@odd
def mpeg2_field_packets(folder: Path) -> Path:
    """Field pictures in Matroska with a packet for each field, as some recorders write them."""
    path = folder / "mpeg2_field_packets.mkv"
    with av.open(str(mpeg2_field_pictures(folder))) as raw, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(raw.streams.video[0])
        for number, image in enumerate(drawings()):
            for parity in (0, 1):
                data = b"" if parity else mpeg2_sequence()
                packet = av.Packet(data + mpeg2_field_picture(image, number, parity))
                packet.pts = packet.dts = number * 40 + parity * 20
                packet.time_base, packet.stream = Fraction(1, 1000), stream
                packet.is_keyframe = parity == 0
                container.mux(packet)
    return path


# --- what lasts beyond its picture ---

FLAT_MATRIX = "".join(f"{17:08b}" for _ in range(64))  # nearly the usual one: numbers stay legible
TO_HLG = bytes([147, 1, 18])  # ITU-T H.265 D.2.38: alternative transfer characteristics
UPSIDE_DOWN = bytes([47, 3, *int("000" + f"{1 << 15:016b}" + "11000", 2).to_bytes(3, "big")])  # D.2.17
HEVC_CLOSED = {"preset": "ultrafast", "x265-params": f"{X265['hevc_closed_gop.mp4']}:log-level=none"}


def _each(edit: Callable[[int, list[bytes]], Iterable[bytes]]) -> Callable[[bytes], bytes]:
    """An edit of packets by their numbers and units: these begin behind their start codes."""
    numbers = count()

    def edited(data: bytes) -> bytes:
        return b"".join(b"\0\0\1" + unit for unit in edit(next(numbers), data.split(b"\0\0\1")[1:]))

    return edited


def _told_once(header: bytes, message: bytes, kinds: Iterable[int]) -> Callable[[bytes], bytes]:
    """Put a unit of supplemental information into the first packet, in front of its slices."""
    unit = header + _escaped(message) + b"\x80"

    def edit(number: int, units: list[bytes]) -> list[bytes]:
        if number:
            return units
        place = next(at for at, each in enumerate(units) if each[0] in kinds)
        return [*units[:place], unit, *units[place:]]

    return _each(edit)


def _register_told_once(name: str, codec: str, options: dict[str, str], edit: tuple[Any, ...]) -> None:
    ODD_FILMS[name] = lambda folder: encode(
        folder / f"{name}.ts", codec, options=options, edit=_told_once(*edit)
    )


HEVC_SLICES = range(0, 44, 2)
_tags = "transfer=bt709:colorprim=bt709:colormatrix=bt709"
_register_told_once("hevc_transfer_once", "libx265", HEVC_CLOSED, (b"\x4e\1", TO_HLG, HEVC_SLICES))
_register_told_once("hevc_orientation_once", "libx265", HEVC_CLOSED, (b"\x4e\1", UPSIDE_DOWN, HEVC_SLICES))
_register_told_once(
    "h264_transfer_once",
    "libx264",
    {"x264-params": f"keyint={GOP}:{_tags}"},
    (b"\6", TO_HLG, (0x25, 0x45, 0x65)),
)


@odd
def hevc_throws_pictures_away(folder: Path) -> Path:
    """no_output_of_prior_pics_flag of all keyframes but the first (ITU-T H.265 7.4.7.1)."""

    def edit(number: int, units: list[bytes]) -> Iterator[bytes]:
        for unit in units:
            later_keyframe = number and unit[0] >> 1 in (19, 20)
            yield unit[:2] + bytes([unit[2] | 0x40]) + unit[3:] if later_keyframe else unit

    path = folder / "hevc_throws_away.ts"
    options = HEVC_CLOSED | {"x265-params": HEVC_CLOSED["x265-params"] + ":bframes=4:b-adapt=0"}
    return encode(path, "libx265", options=options, edit=_each(edit))


@odd
def mpeg2_matrices_in_pictures(folder: Path) -> Path:
    """B-frames bring a quantiser matrix, which lasts (ISO 13818-2 6.2.3.2)."""
    extension = _mpeg2_unit(0xB5, "0011" + "0" + "1" + FLAT_MATRIX + "00")[3:]

    def edit(_: int, units: list[bytes]) -> Iterator[bytes]:
        picture = next(unit for unit in units if unit[0] == 0)
        for unit in units:
            yield unit
            if unit[0] == 0xB5 and unit[1] >> 4 == 8 and picture[2] >> 3 & 7 == 3:
                yield extension

    return encode(folder / "matrices.ts", "mpeg2video", options=MPEG2, edit=_each(edit))


@odd
def mpeg2_matrices_in_one_group(folder: Path) -> Path:
    """The third sequence header brings a quantiser matrix, and there are none after it."""
    headers = count(1)

    def edit(_: int, units: list[bytes]) -> list[bytes]:
        header = next((unit for unit in units if unit[0] == 0xB3), None)
        number = next(headers) if header else 0
        if header is None or number < 3:
            return units
        kept = [unit for unit in units if unit[0] != 0xB3 and not (unit[0] == 0xB5 and unit[1] >> 4 < 3)]
        if number > 3:
            return kept
        bits = "".join(f"{byte:08b}" for byte in header[1:9])[:62] + "01" + FLAT_MATRIX
        extensions = [unit for unit in units if unit not in kept and unit != header]
        return [_mpeg2_unit(0xB3, bits)[3:], *extensions, *kept]

    return encode(folder / "one_group.ts", "mpeg2video", options=MPEG2, edit=_each(edit))


# --- time ---

IRREGULAR = np.cumsum([33 + 7 * (number % 5) + 250 * (number % 40 == 39) for number in range(COUNT)]).tolist()


@odd
def vfr_mp4(folder: Path) -> Path:
    return encode(folder / "vfr.mp4", times=IRREGULAR)


@odd
def vfr_mkv(folder: Path) -> Path:
    return encode(folder / "vfr.mkv", times=IRREGULAR)


@odd
def edit_list_mp4(folder: Path) -> Path:
    """An edit list hides the first 30 frames, which the kept ones need."""
    source = encode(folder / "whole.mp4", options={"x264-params": "keyint=60:scenecut=0"})
    return remux(source, folder / "edit_list.mp4", start=Fraction(-30, RATE), muxing={"use_editlist": "1"})


@odd
def ts_late_clock(folder: Path) -> Path:
    """The clock stands at 22 hours when the film starts."""
    return encode(folder / "late.ts", start=Fraction(80_000), muxing={"mpegts_copyts": "1"})


@odd
def ts_clock_wraps(folder: Path) -> Path:
    """The 33-bit clock starts again from 0 two seconds into the film."""
    return encode(folder / "wraps.ts", start=WRAP - 2, muxing={"mpegts_copyts": "1"})


@odd
def ts_starts_within_a_gop(folder: Path) -> Path:
    """A recording switched on between two keyframes."""
    whole = encode(folder / "whole.ts", options={"x264-params": "keyint=40:scenecut=0"}).read_bytes()
    path = folder / "cut.ts"
    path.write_bytes(whole[len(whole) // 8 // 188 * 188 :])
    return path


@odd
def hevc_starts_with_leading_pictures(folder: Path) -> Path:
    """From a later keyframe on, whose leading pictures have lost their references."""
    source = ODD_FILMS["hevc_open_gop"](folder)
    return remux(source, folder / "rasl.mkv", pick=from_open_keyframe)


@odd
def h264_starts_with_leading_pictures(folder: Path) -> Path:
    source = ODD_FILMS["h264_open_gop_mkv"](folder)
    return remux(source, folder / "leading.mkv", pick=from_open_keyframe)


def from_open_keyframe(packets: list[Any]) -> list[Any]:
    return next(
        packets[place:]
        for place, packet in enumerate(packets[:-1])
        if place and packet.is_keyframe and packets[place + 1].pts < packet.pts
    )


@odd
def same_pts_twice(folder: Path) -> Path:
    """Frames 60 and 61 have one timestamp."""

    def pick(packets: list[Any]) -> list[Any]:
        packets[60].pts = packets[61].pts
        return packets

    source = encode(folder / "no_b.mkv", options={"x264-params": "bframes=0"})
    return remux(source, folder / "same_pts.mkv", pick=pick)


def joined(path: Path, *parts: Path) -> Path:
    """Recordings copied one behind the other, byte for byte."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@odd
def ts_clock_restarts(folder: Path) -> Path:
    """Two recordings copied one behind the other, each by a clock of its own."""
    parts = [encode(folder / f"{n}.ts", images=drawings(60, first=n)) for n in (0, 60)]
    return joined(folder / "joined.ts", *parts)


@odd
def mpg_clock_restarts(folder: Path) -> Path:
    """The same as two program streams, as a disc's parts are joined."""
    parts = [
        encode(folder / f"{n}.mpg", "mpeg2video", images=drawings(60, first=n), options=MPEG2)
        for n in (0, 60)
    ]
    return joined(folder / "joined.mpg", *parts)


@odd
def stamps_out_of_order(folder: Path) -> Path:
    """Times of decoding taken for times of showing, as by copying from AVI to Matroska."""

    def pick(packets: list[Any]) -> list[Any]:
        for place, packet in enumerate(packets):
            packet.pts = packet.dts = round(place / RATE / packet.time_base)
        return packets

    options = {"x264-params": f"keyint={GOP}:bframes=3"}
    return remux(encode(folder / "in_order.mkv", options=options), folder / "out_of_order.mkv", pick=pick)


@odd
def mpeg2_program_stream(folder: Path) -> Path:
    """Frames so small that several begin in one PES packet, which states the timestamp of the first alone."""
    images = [image.copy() for image in drawings()]
    for image in images:
        image[16:] = 128
    return encode(folder / "program.mpg", "mpeg2video", images=images, options=MPEG2 | {"b": "100k"})


# --- streams and sizes ---


def jpeg(width: int, height: int) -> bytes:
    return cv2.imencode(".jpg", numbered_frame(0, width=width, height=height, seed=9))[1].tobytes()


def _with_cover(folder: Path, suffix: str, add_cover: Callable[[Any], Iterable[Any]]) -> Path:
    """A film and, larger than it, a cover: `add_cover` adds it to a container and gives its packets."""
    path = folder / f"cover{suffix}"
    source = encode(folder / f"film{suffix}")
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        film = new.add_stream_from_template(old.streams.video[0])
        new.mux(list(add_cover(new)))
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = film
                new.mux(packet)
    return path


@odd
def cover_art_mp4(folder: Path) -> Path:
    def add_cover(container: Any) -> Iterable[Any]:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 640, 640, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(numbered_frame(0, width=640, height=640, seed=9), format="rgb24")
        return [*cover.encode(image), *cover.encode()]

    return _with_cover(folder, ".mp4", add_cover)


@odd
def cover_art_mkv(folder: Path) -> Path:
    def add_cover(container: Any) -> Iterable[Any]:
        container.add_attachment("cover.jpg", "image/jpeg", jpeg(640, 640))
        return []

    return _with_cover(folder, ".mkv", add_cover)


@odd
def two_video_streams(folder: Path) -> Path:
    """A small stream first, the film proper second."""
    path = folder / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=RATE) for _ in range(2)]
        sizes = ((192, 144), SIZE)
        for stream, (stream.width, stream.height) in zip(streams, sizes, strict=True):
            stream.pix_fmt = "yuv420p"
        for number in range(COUNT):
            for stream, size in zip(streams, sizes, strict=True):
                image = drawings(COUNT, size)[number]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    return path


@odd
def size_changes(folder: Path) -> Path:
    """Two recordings copied one behind the other; the second is larger."""
    first = encode(folder / "first.ts", images=drawings(60))
    second = encode(folder / "second.ts", images=drawings(60, (480, 360), 60), start=Fraction(60, RATE))
    path = folder / "sizes.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


# --- geometry and colour ---


def _rotated(folder: Path, degrees: int) -> Path:
    matrix = {90: (0, 1, -1, 0), 270: (0, -1, 1, 0)}[degrees]
    return with_matrix(encode(folder / f"rotated_{degrees}.mp4"), matrix)


def with_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a display matrix into an MP4's track header (ISO 14496-12 8.3.2), in 16.16 fixed point."""
    a, b, c, d = ((value << 16).to_bytes(4, "big", signed=True) for value in matrix)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    zero = bytes(4)
    data[start : start + 24] = a + b + zero + c + d + zero
    path.write_bytes(data)
    return path


# Of a display matrix the four numbers that say where it takes right and down, as (right, down) each.
MIRRORS = {
    "mirrored_left_to_right": (-1, 0, 0, 1),
    "mirrored_top_to_bottom": (1, 0, 0, -1),
    "mirrored_on_its_side": (0, 1, 1, 0),
}


def _register_mirror(name: str, matrix: tuple[int, int, int, int]) -> None:
    ODD_FILMS[name] = lambda folder: with_matrix(encode(folder / f"{name}.mp4"), matrix)


for _name, _matrix in MIRRORS.items():
    _register_mirror(_name, _matrix)


@odd
def rotated_90(folder: Path) -> Path:
    return _rotated(folder, 90)


@odd
def rotated_270(folder: Path) -> Path:
    return _rotated(folder, 270)


def _with_aspect(name: str, aspect: Fraction) -> None:
    def prepare(coder: Any) -> None:
        coder.sample_aspect_ratio = aspect

    ODD_FILMS[name] = lambda folder: encode(folder / f"{name}.mkv", prepare=prepare)


_with_aspect("sar_16_15", Fraction(16, 15))
_with_aspect("sar_8_9", Fraction(8, 9))


@odd
def aspect_changes(folder: Path) -> Path:
    """Two recordings copied one behind the other, the second with wider pixels."""

    def part(first: int, aspect: Fraction) -> Path:
        def prepare(coder: Any) -> None:
            coder.sample_aspect_ratio = aspect

        images, start = drawings(60, first=first), 1 + Fraction(first, RATE)
        return encode(folder / f"{first}.ts", images=images, start=start, prepare=prepare)

    return joined(folder / "aspects.ts", part(0, Fraction(16, 15)), part(60, Fraction(64, 45)))


@odd
def limited_range(folder: Path) -> Path:
    return encode(folder / "limited.mp4", options={"x264-params": "range=tv:colormatrix=bt709"})


@odd
def full_range(folder: Path) -> Path:
    return encode(folder / "full.mp4", pixels="yuvj420p")


# --- nothing to decode ---


@odd
def zero_frames_mp4(folder: Path) -> Path:
    """A header, and not one packet."""
    path = folder / "zero.mp4"
    some = encode(folder / "some.mp4", images=drawings(4))
    with av.open(str(some)) as old, av.open(str(path), "w", options={"movflags": "empty_moov"}) as new:
        new.add_stream_from_template(old.streams.video[0])
        new.start_encoding()
    return path


@odd
def audio_only(folder: Path) -> Path:
    path = folder / "audio.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44_100)
        for start in range(0, 44_100, 1024):
            wave = np.sin(np.arange(start, start + 1024) / 16).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 44_100, start, Fraction(1, 44_100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@odd
def encrypted_mp4(folder: Path) -> Path:
    """Common Encryption; needs the ffmpeg program, or the test that asks for it is skipped."""
    source, path = encode(folder / "clear.mp4"), folder / "encrypted.mp4"
    key = "76a6c65c5ea762046bd749a2e632ccbb"
    scheme = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key, "-encryption_kid", key[::-1])
    ffmpeg("-i", source, "-c", "copy", *scheme, path)
    return path
