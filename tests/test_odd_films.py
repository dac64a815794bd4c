"""Each odd film has the property that its name claims, and its frames come in order."""

import os
from contextlib import nullcontext
from fractions import Fraction
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from framekit.errors import FramekitError
from framekit.sources.film import open_film, read_facts
from tests.films import number_of
from tests.odd_films import (
    COUNT,
    MIRRORS,
    NOISE,
    ODD_FILMS,
    RATE,
    REFUSED_ON_OPENING,
    SIZE,
    UNREADABLE,
    WRAP,
    Bits,
)

IDR, SPS, PPS = 5, 7, 8
CRA, RASL = 21, (8, 9)
LOST = {
    # film: the first frame that a full decode gives; those before it are hidden or have lost their references
    "edit_list_mp4": 30,
    "ts_starts_within_a_gop": 40,
    "hevc_starts_with_leading_pictures": 48,
    "h264_starts_with_leading_pictures": 24,
}

OUT_OF_COUNT = {"size_changes", "hevc_throws_pictures_away"}
"""These have tests of their own."""


def packets(path: Path) -> list[Any]:
    with open_film(path) as (container, stream):
        return [packet for packet in container.demux(stream) if packet.size]


def frames(path: Path) -> list[Any]:
    with open_film(path) as (container, stream):
        return list(container.decode(stream))


def numbers(path: Path) -> list[int]:
    return [number_of(frame.to_ndarray(format="rgb24")) for frame in frames(path)]


def extradata(path: Path) -> bytes:
    with open_film(path) as (_, stream):
        return stream.codec_context.extradata or b""


def nals(path: Path) -> list[list[bytes]]:
    """The NAL units of each packet, whether behind start codes or behind their lengths."""
    by_length = extradata(path)[:1] == b"\1"
    return [_by_length(bytes(p)) if by_length else _by_start_code(bytes(p)) for p in packets(path)]


def _by_length(data: bytes) -> list[bytes]:
    units = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        units.append(data[4:end])
        data = data[end:]
    return units


def _by_start_code(data: bytes) -> list[bytes]:
    return [unit for unit in data.split(b"\0\0\1")[1:] if unit]


def slices(path: Path) -> list[list[tuple[int, int]]]:
    """Of each packet of H.264 the slices: type (0 P, 1 B, 2 I) and nal_ref_idc."""
    found = []
    for units in nals(path):
        found.append([])
        for unit in units:
            if 1 <= unit[0] & 31 <= 5:
                header = Bits(unit[1:12])
                header.golomb()
                found[-1].append((header.golomb() % 5, unit[0] >> 5 & 3))
    return found


def parameter_sets(path: Path, kind: int) -> list[bytes]:
    """SPS or PPS from the packets, else from the avcC box."""
    found = [unit for units in nals(path) for unit in units if unit[0] & 31 == kind]
    if found:
        return found
    data = extradata(path)
    if data[:1] != b"\1":
        return [unit for unit in _by_start_code(data) if unit[0] & 31 == kind]
    sets, at = [], 5
    for mask in (31, 255):
        count, at = data[at] & mask, at + 1
        for _ in range(count):
            length = int.from_bytes(data[at : at + 2], "big")
            sets.append(data[at + 2 : at + 2 + length])
            at += 2 + length
    return [unit for unit in sets if unit[0] & 31 == kind]


def leading_pictures(path: Path) -> int:
    """Packets that follow a keyframe in the file and precede it on screen."""
    key, leading = None, 0
    for packet in packets(path):
        if packet.is_keyframe:
            key = packet.pts
        elif key is not None and packet.pts < key:
            leading += 1
    return leading


def keyframes(path: Path) -> int:
    return sum(packet.is_keyframe for packet in packets(path))


@pytest.mark.parametrize("name", sorted(set(ODD_FILMS) - UNREADABLE - NOISE - OUT_OF_COUNT))
def test_a_full_decode_gives_the_numbered_frames_in_order(odd_film, name):
    assert numbers(odd_film(name)) == list(range(LOST.get(name, 0), COUNT))


@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_what_cannot_be_read_says_so(odd_film, name):
    with pytest.raises(FramekitError):
        read_facts(odd_film(name))
    refused = pytest.raises(FramekitError) if name in REFUSED_ON_OPENING else nullcontext()
    with refused, open_film(odd_film(name)):
        pass


# --- H.264 ---


@pytest.mark.parametrize("name", ["h264_defaults", "h264_avi", "h264_flv", "h264_ts", "h264_raw", "h264_mkv"])
def test_b_frames(odd_film, name):
    assert any(kind == 1 for slices_ in slices(odd_film(name)) for kind, _ in slices_)


@pytest.mark.parametrize("name", ["h264_no_b_frames", "h264_avi_no_b_frames"])
def test_no_b_frames(odd_film, name):
    assert {kind for slices_ in slices(odd_film(name)) for kind, _ in slices_} == {0, 2}
    assert [p.pts for p in packets(odd_film(name))] == sorted(p.pts for p in packets(odd_film(name)))


@pytest.mark.parametrize(("kind", "referred_to"), [("none", False), ("strict", True), ("normal", True)])
def test_b_pyramid(odd_film, kind, referred_to):
    b_frames = [
        ref for slices_ in slices(odd_film(f"h264_b_pyramid_{kind}")) for type_, ref in slices_ if type_ == 1
    ]
    assert b_frames
    assert any(b_frames) == referred_to


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_open_gops(odd_film, container):
    assert leading_pictures(odd_film(f"h264_open_gop_{container}")) > 0
    assert keyframes(odd_film(f"h264_open_gop_{container}")) >= 4
    idrs = sum(
        unit[0] & 31 == IDR for units in nals(odd_film(f"h264_open_gop_{container}")) for unit in units
    )
    assert idrs == 1


@pytest.mark.parametrize("name", ["h264_closed_gop", "hevc_closed_gop", "mpeg2_closed_gop"])
def test_closed_gops(odd_film, name):
    assert leading_pictures(odd_film(name)) == 0
    assert keyframes(odd_film(name)) >= 5


def test_one_keyframe(odd_film):
    assert keyframes(odd_film("h264_one_keyframe")) == 1


def test_intra_refresh_has_recovery_points_but_one_idr(odd_film):
    path = odd_film("h264_intra_refresh")
    kinds = [unit[0] & 31 for units in nals(path) for unit in units]
    assert kinds.count(IDR) == 1
    assert all(2 not in [kind for kind, _ in slices_] for slices_ in slices(path)[1:]), "an I picture"
    assert sum(unit[:2] == b"\x06\x06" for units in nals(path) for unit in units) >= 4, "no recovery points"


def test_slices(odd_film):
    assert {len(slices_) for slices_ in slices(odd_film("h264_slices"))} == {4}


def picture_parameters(path: Path) -> tuple[int, int, int]:
    """entropy_coding_mode_flag, weighted_pred_flag, weighted_bipred_idc (ITU-T H.264 7.3.2.2)."""
    pps = Bits(parameter_sets(path, PPS)[0][1:])
    pps.golomb(), pps.golomb()
    cabac = pps.take(1)
    pps.take(1)
    pps.golomb(), pps.golomb(), pps.golomb()
    return cabac, pps.take(1), pps.take(2)


def test_weighted_prediction(odd_film):
    assert picture_parameters(odd_film("h264_weighted_prediction"))[1] == 1


def test_cavlc(odd_film):
    assert picture_parameters(odd_film("h264_cavlc"))[0] == 0
    assert picture_parameters(odd_film("h264_defaults"))[0] == 1


@pytest.mark.parametrize(("name", "pixels"), [("h264_444", "yuv444p"), ("h264_10bit", "yuv420p10le")])
def test_pixel_formats(odd_film, name, pixels):
    assert frames(odd_film(name))[0].format.name == pixels


@pytest.mark.parametrize(
    "name", ["h264_mbaff", "mpeg2_interlaced", "mpeg2_field_pictures", "mpeg2_field_packets"]
)
def test_interlaced(odd_film, name):
    assert all(frame.interlaced_frame for frame in frames(odd_film(name)))


def test_no_reordering_hint(odd_film):
    known, unknown = (
        parameter_sets(odd_film(name), SPS)[0] for name in ("h264_ts", "h264_without_reordering_hint")
    )
    assert len(unknown) < len(known)
    assert shown_out_of_order(odd_film("h264_without_reordering_hint"))


def shown_out_of_order(path: Path) -> bool:
    """Whether any packet is shown before one that stands in front of it."""
    return any(after.pts < before.pts for before, after in pairwise(packets(path)))


def test_a_raw_stream_has_no_timestamps(odd_film):
    assert all(packet.pts is None for packet in packets(odd_film("h264_raw")))


def test_h264_in_avi_does_not_say_its_order_of_display(odd_film):
    stamps = [packet.pts for packet in packets(odd_film("h264_avi"))]
    assert stamps == sorted(stamps), "B-frames, and yet every packet seems to be shown in its turn"


# --- HEVC ---


def hevc_units(path: Path) -> list[tuple[int, int]]:
    """NAL type and temporal id of every coded slice."""
    units = [unit for units in nals(path) for unit in units]
    return [(unit[0] >> 1 & 63, (unit[1] & 7) - 1) for unit in units if unit[0] >> 1 & 63 < 32]


@pytest.mark.parametrize("name", ["hevc_open_gop", "hevc_open_gop_ts"])
def test_hevc_open_gops(odd_film, name):
    kinds = [kind for kind, _ in hevc_units(odd_film(name))]
    assert kinds.count(CRA) >= 3
    assert any(kind in RASL for kind in kinds)
    assert leading_pictures(odd_film(name)) > 0


def test_hevc_temporal_layers(odd_film):
    assert {layer for _, layer in hevc_units(odd_film("hevc_temporal_layers"))} == {0, 1, 2}


def test_hevc_without_b_frames(odd_film):
    assert not shown_out_of_order(odd_film("hevc_no_b_frames"))


def test_hevc_starts_with_leading_pictures(odd_film):
    kinds = [kind for kind, _ in hevc_units(odd_film("hevc_starts_with_leading_pictures"))]
    assert kinds[0] == CRA
    assert kinds[1] in RASL
    assert leading_pictures(odd_film("hevc_starts_with_leading_pictures")) > 0


def test_h264_starts_with_leading_pictures(odd_film):
    path = odd_film("h264_starts_with_leading_pictures")
    assert not any(unit[0] & 31 == IDR for units in nals(path) for unit in units)
    first, second = packets(path)[:2]
    assert second.pts < first.pts
    assert len(packets(path)) > len(frames(path))


def test_hevc_throws_pictures_away(odd_film):
    path = odd_film("hevc_throws_pictures_away")
    assert len(packets(path)) == COUNT
    assert len(frames(path)) < COUNT


# --- what lasts beyond its picture ---


@pytest.mark.parametrize("name", ["hevc_transfer_once", "h264_transfer_once"])
def test_a_transfer_that_is_told_once_lasts(odd_film, name):
    assert sum(b"\x93\x01\x12" in bytes(packet) for packet in packets(odd_film(name))) == 1
    assert {int(frame.color_trc) for frame in frames(odd_film(name))} == {18}  # hybrid log-gamma


def test_an_orientation_that_is_told_once_lasts(odd_film):
    shown = frames(odd_film("hevc_orientation_once"))
    assert {abs(frame.rotation) for frame in shown} == {180}


def test_matrices_in_pictures(odd_film):
    data = odd_film("mpeg2_matrices_in_pictures").read_bytes()
    assert b"\0\0\1\xb5\x34" in data


def test_matrices_in_one_group(odd_film):
    shown = [bytes(packet) for packet in packets(odd_film("mpeg2_matrices_in_one_group"))]
    headers = [data.split(b"\0\0\1\xb3")[1] for data in shown if b"\0\0\1\xb3" in data]
    assert [header[7] & 3 for header in headers] == [0, 0, 1]
    assert sum(b"\0\0\1\xb8" in data for data in shown) > 3


# --- MPEG-2 and MPEG-4 ---


def test_mpeg2_progressive(odd_film):
    assert not any(frame.interlaced_frame for frame in frames(odd_film("mpeg2_progressive")))


def test_mpeg2_open_gops(odd_film):
    assert leading_pictures(odd_film("mpeg2_open_gop")) > 0


def picture_structures(data: bytes) -> list[int]:
    """1 top field, 2 bottom field, 3 frame, of each picture coding extension (ISO 13818-2 6.2.3.1)."""
    parts = data.split(b"\0\0\1\xb5")[1:]
    return [part[2] & 3 for part in parts if part[0] >> 4 == 8]


def test_mpeg2_field_pictures(odd_film):
    for packet in packets(odd_film("mpeg2_field_pictures")):
        assert picture_structures(bytes(packet)) == [1, 2]
    structures = [picture_structures(bytes(packet)) for packet in packets(odd_film("mpeg2_field_packets"))]
    assert structures == [[1], [2]] * COUNT
    for packet in packets(odd_film("mpeg2_interlaced")):
        assert picture_structures(bytes(packet)) == [3]


def test_program_stream_leaves_timestamps_out(odd_film):
    data = odd_film("mpeg2_program_stream").read_bytes()
    headers = data.split(b"\0\0\1\xe0")[1:]
    assert sum(header[3] >> 7 for header in headers) < COUNT


@pytest.mark.parametrize("name", ["mpeg4_avi", "mpeg4_mp4"])
def test_mpeg4_has_b_frames(odd_film, name):
    assert {int(frame.pict_type) for frame in frames(odd_film(name))} == {1, 2, 3}  # I, P, B


# --- other codecs ---

CODECS = {
    "vp8": "vp8",
    "vp9": "vp9",
    "vp9_hidden_frames": "vp9",
    "av1": "libdav1d",
    "mjpeg": "mjpeg",
    "prores": "prores",
    "ffv1": "ffv1",
    "gif": "gif",
}


@pytest.mark.parametrize("name", CODECS)
def test_codecs(odd_film, name):
    with open_film(odd_film(name)) as (_, stream):
        assert stream.codec_context.codec.name == CODECS[name]


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="priorities are asked for on Linux only")
def test_encoding_leaves_no_thread_in_real_time(odd_film):
    odd_film("av1")
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_vp9_hides_frames(odd_film):
    def frames_in(data: bytes) -> int:
        """VP9 Annex B: a superframe ends in an index whose first and last bytes are equal."""
        marker = data[-1]
        if marker >> 5 != 0b110:
            return 1
        count, size = (marker & 7) + 1, 2 + ((marker >> 3 & 3) + 1) * ((marker & 7) + 1)
        return count if data[-size] == marker else 1

    assert any(frames_in(bytes(packet)) > 1 for packet in packets(odd_film("vp9_hidden_frames")))


# --- time ---


@pytest.mark.parametrize("name", ["vfr_mp4", "vfr_mkv"])
def test_variable_frame_rate(odd_film, name):
    times = [frame.pts * frame.time_base for frame in frames(odd_film(name))]
    steps = {round(float(after - before), 3) for before, after in pairwise(times)}
    assert len(steps) >= 6


def test_an_edit_list_hides_frames(odd_film):
    assert sum(packet.is_discard for packet in packets(odd_film("edit_list_mp4"))) == 30
    assert len(packets(odd_film("edit_list_mp4"))) == COUNT


def test_late_clock(odd_film):
    first = packets(odd_film("ts_late_clock"))[0]
    assert first.pts * first.time_base >= 80_000


def test_the_clock_wraps(odd_film):
    data = odd_film("ts_clock_wraps").read_bytes()
    stamps = []
    for start in range(0, len(data), 188):
        place = data.find(b"\0\0\1\xe0", start, start + 188)
        if place >= 0 and data[place + 7] >> 7:
            raw = int.from_bytes(data[place + 9 : place + 14], "big")
            stamps.append(raw >> 33 << 30 & 7 << 30 | (raw >> 17 & 0x7FFF) << 15 | raw >> 1 & 0x7FFF)
    assert max(stamps) > (WRAP - 1) * 90_000
    assert min(stamps) < 2 * 90_000
    times = [frame.pts * frame.time_base for frame in frames(odd_film("ts_clock_wraps"))]
    assert all(
        abs(after - before - Fraction(1, RATE)) < Fraction(1, 1000) for before, after in pairwise(times)
    )


def test_starts_within_a_gop(odd_film):
    first = packets(odd_film("ts_starts_within_a_gop"))[0]
    assert not first.is_keyframe


def test_a_pts_comes_twice(odd_film):
    stamps = [packet.pts for packet in packets(odd_film("same_pts_twice"))]
    assert len(set(stamps)) == COUNT - 1


@pytest.mark.parametrize(
    ("name", "falls"), [("ts_clock_restarts", [60]), ("mpg_clock_restarts", [60]), ("same_pts_twice", [])]
)
def test_the_clock_restarts(odd_film, name, falls):
    stamps = [frame.pts for frame in frames(odd_film(name))]
    assert [number for number in range(1, COUNT) if stamps[number] < stamps[number - 1]] == falls


def test_stamps_out_of_order(odd_film):
    stamps = [frame.pts for frame in frames(odd_film("stamps_out_of_order"))]
    assert stamps != sorted(stamps)
    assert max(abs(stamp - round(1000 * n / RATE)) for n, stamp in enumerate(stamps)) < 200


# --- streams, sizes, geometry, colour ---


@pytest.mark.parametrize("name", ["cover_art_mp4", "cover_art_mkv"])
def test_cover_art_stands_beside_the_film(odd_film, name):
    with av.open(str(odd_film(name))) as container:
        cover = [bool(stream.disposition & 1024) for stream in container.streams.video]
        sizes = [stream.width for stream in container.streams.video]
    assert cover == [False, True]
    assert sizes == [SIZE[0], 640]


def test_two_streams(odd_film):
    with av.open(str(odd_film("two_video_streams"))) as container:
        assert [stream.width for stream in container.streams.video] == [192, SIZE[0]]


def test_the_size_changes(odd_film):
    shown = frames(odd_film("size_changes"))
    assert [frame.width for frame in shown] == [320] * 60 + [480] * 60
    assert [number_of(frame.to_ndarray(format="rgb24")) for frame in shown] == list(range(COUNT))


@pytest.mark.parametrize("name", ["rotated_90", "rotated_270"])
def test_rotation(odd_film, name):
    facts = read_facts(odd_film(name))
    assert (facts.width, facts.height) == (SIZE[1], SIZE[0])
    assert {read_facts(odd_film(other)).rotation for other in ("rotated_90", "rotated_270")} == {90, 270}


@pytest.mark.parametrize(("name", "aspect"), [("sar_16_15", "16/15"), ("sar_8_9", "8/9")])
def test_pixel_aspect(odd_film, name, aspect):
    assert read_facts(odd_film(name)).pixel_aspect == aspect


@pytest.mark.parametrize("name", sorted(MIRRORS))
def test_mirrored_films_have_a_display_matrix_that_mirrors(odd_film, name):
    matrix = np.frombuffer(bytes(frames(odd_film(name))[0].side_data["DISPLAYMATRIX"]), np.int32)
    assert tuple(matrix[[0, 1, 3, 4]] // 65536) == MIRRORS[name]


def test_the_pixel_aspect_changes_midway(odd_film):
    with open_film(odd_film("aspect_changes")) as (container, stream):
        aspects = []
        for packet in container.demux(stream):
            packet.decode()
            aspects.append(stream.codec_context.sample_aspect_ratio)
    assert [aspect for aspect, _ in groupby(aspects)] == [Fraction(16, 15), Fraction(64, 45)]


@pytest.mark.parametrize("name", ["limited", "full"])
def test_range(odd_film, name):
    assert read_facts(odd_film(f"{name}_range")).range == name


# --- nothing to decode ---


def test_an_encrypted_film_says_so_on_its_packets(odd_film):
    assert b"encv" in odd_film("encrypted_mp4").read_bytes()
    kinds = [
        {data.data_type for data in packet.iter_sidedata()} for packet in packets(odd_film("encrypted_mp4"))
    ]
    assert all("encryption_info" in found for found in kinds)


def test_a_film_without_frames_has_a_stream(odd_film):
    with av.open(str(odd_film("zero_frames_mp4"))) as container:
        assert len(container.streams.video) == 1
        assert not [packet for packet in container.demux(video=0) if packet.size]


def test_absurd_sizes_are_claimed(odd_film):
    sps = Bits(odd_film("absurd_size_h264").read_bytes().split(b"\0\0\1\x67")[1].replace(b"\0\0\3", b"\0\0"))
    assert sps.take(8) == 100
    sps.take(16)
    [sps.golomb() for _ in range(4)], sps.take(2)
    sps.golomb()
    if sps.golomb() == 0:
        sps.golomb()
    sps.golomb(), sps.take(1)
    assert (sps.golomb() + 1, sps.golomb() + 1) == (4096, 4096)
    assert b"\0\0\xff\xff\0\0\xff\xff" in odd_film("absurd_size_mp4").read_bytes()
