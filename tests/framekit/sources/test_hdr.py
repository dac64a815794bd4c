import av
import numpy as np
import pytest

from framekit.sources.hdr import HLG, PQ, to_sdr
from framekit.sources.picture import to_rgb
from tests.framekit.sources.test_picture import frame_of
from tests.oracles.yuv import pq_code, sdr_pixel, yuv_planes

TRANSFERS = {"pq": PQ, "hlg": HLG, "bt1886": 14}


def codes(values) -> np.ndarray:
    return np.rint(np.asarray(values, float) * 65535).astype(np.uint16)


def greys(count: int) -> np.ndarray:
    """(1, count, 3) uint16 from black to the top."""
    return codes(np.linspace(0, 1, count))[None, :, None].repeat(3, axis=2)


@pytest.mark.parametrize("name", TRANSFERS)
def test_every_colour_is_what_the_formulas_say(name):
    colours = np.random.default_rng(1).random((400, 3))
    colours[:40] = colours[:40, :1]  # greys
    mapped = to_sdr(codes(colours)[None], TRANSFERS[name], wide=True)[0]
    oracle = [sdr_pixel([float(c) / 65535 for c in codes(colour)], name) for colour in colours]
    assert np.abs(mapped.astype(int) - oracle).max() <= 1


@pytest.mark.parametrize("name", TRANSFERS)
@pytest.mark.parametrize("wide", [True, False])
def test_greys_stay_grey_and_brighter_never_gets_darker(name, wide):
    mapped = to_sdr(greys(4096), TRANSFERS[name], wide=wide)[0].astype(int)
    assert (mapped == mapped[:, :1]).all()
    assert (np.diff(mapped[:, 0]) >= 0).all()
    assert (mapped[0, 0], mapped[-1, 0]) == (0, 255)


@pytest.mark.parametrize(("transfer", "white"), [(PQ, pq_code(203)), (HLG, 0.75)])
def test_white_is_nearly_white_and_highlights_are_told_apart(transfer, white):
    ordinary = to_sdr(codes([[[white] * 3]]), transfer, wide=True).max()
    assert 225 <= ordinary <= 240
    above = to_sdr(codes([[[white + (0.752 - 0.581) / 2] * 3]]), transfer, wide=True).max()
    assert ordinary + 8 <= above < 255


def test_ordinary_greys_in_wide_primaries_keep_their_codes():
    mapped = to_sdr(greys(256), 1, wide=True)[0]
    assert (mapped == np.arange(256)[:, None]).all()


def hdr_frame(rgb: np.ndarray, *, transfer: int, primaries: int) -> av.VideoFrame:
    """A 10-bit BT.2020 frame of (H, W, 3) RGB codes in 0…1."""
    frame = frame_of(
        yuv_planes(255 * rgb, matrix=9, bits=10, full=False), "yuv444p10le", tag=9, tagged_range=1
    )
    frame.color_trc, frame.color_primaries = transfer, primaries
    return frame


@pytest.mark.parametrize("name", TRANSFERS)
def test_tagged_frames_are_converted_within_three_levels(name):
    low, high = {"pq": (0.35, 0.6), "hlg": (0.3, 0.7), "bt1886": (0.3, 0.8)}[name]
    colours = low + (high - low) * np.random.default_rng(2).random((64, 3))
    rgb = to_rgb(hdr_frame(colours[None].repeat(8, axis=0), transfer=TRANSFERS[name], primaries=9))
    oracle = np.array([sdr_pixel(list(colour), name) for colour in colours])
    inside = (oracle > 30) & (oracle < 255)  # near the edge of BT.709 a step of 10 bits is many levels
    assert inside.mean() > 0.5
    assert np.abs(rgb[4].astype(int) - oracle)[inside].max() <= 3


def test_frames_without_hdr_tags_are_left_alone():
    colours = np.random.default_rng(3).random((1, 64, 3)).repeat(8, axis=0)
    rgb = to_rgb(hdr_frame(colours, transfer=14, primaries=2))
    assert np.abs(rgb - 255 * colours).max() <= 3


def test_a_real_pq_film_is_tone_mapped(real_data):
    with av.open(str(real_data / "oddities/bt2020_10bit.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (int(frame.color_trc), int(frame.color_primaries)) == (PQ, 9)
    rgb = to_rgb(frame)
    red, green, blue = rgb[200, [20, 80, 180]]
    assert (red == (255, 0, 0)).all()
    assert (green == (0, 255, 0)).all()
    assert (blue[:2] <= 2).all()
    assert blue[2] == 255
