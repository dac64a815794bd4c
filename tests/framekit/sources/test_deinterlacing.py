from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest

from framekit.images.artefacts import combing
from framekit.sources.deinterlacing import deinterlaced
from framekit.sources.picture import to_rgb
from tests.films import filtered, numbered_frame


def luma(frame: av.VideoFrame) -> np.ndarray:
    return frame.to_ndarray()[: frame.height]


def neighbourhoods(frames):
    return zip([None, *frames[:-1]], frames, [*frames[1:], None], strict=True)


def drawings(count: int, *, pixel_format: str = "yuv420p") -> list[av.VideoFrame]:
    frames = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24").reformat(
            format=pixel_format
        )
        frame.pts, frame.time_base = number * 3, Fraction(1, 75)
        frames.append(frame)
    return frames


@pytest.fixture(scope="module")
def pal(real_data) -> list[av.VideoFrame]:
    with av.open(str(real_data / "oddities/interlaced_tff_pal.mpg")) as container:
        return list(container.decode(video=0))


def test_each_frame_is_what_one_graph_over_the_whole_film_gives(pal):
    continuous = filtered(pal, "bwdif", "mode=send_frame:deint=all")
    assert len(continuous) == len(pal) == 150
    for (before, frame, after), expected in zip(neighbourhoods(pal), continuous, strict=True):
        whole = deinterlaced(before, frame, after)
        assert np.array_equal(whole.to_ndarray(), expected.to_ndarray())
        assert (whole.pts, whole.time_base) == (frame.pts, frame.time_base)


def test_no_combing_is_left_on_a_real_interlaced_film(pal):
    stored = [combing(luma(frame)) for frame in pal]
    whole = [combing(luma(deinterlaced(*three))) for three in neighbourhoods(pal)]
    assert np.mean(stored) > 2
    assert max(stored) > 5
    assert np.mean(whole) < 0.03
    assert max(whole) < 0.1


def test_colours_shape_and_time_come_along(pal):
    frame, whole = pal[60], deinterlaced(*pal[59:62])
    assert not whole.interlaced_frame
    for tag in ("colorspace", "color_range", "color_trc", "color_primaries", "width", "height", "pts"):
        assert getattr(whole, tag) == getattr(frame, tag), tag
    assert to_rgb(whole, Fraction(16, 15)).shape == (576, 768, 3)


def test_the_frame_and_its_neighbours_are_left_as_they_were(pal):
    kept = [(frame.pts, frame.time_base, frame.to_ndarray().copy()) for frame in pal[:3]]
    first, again = deinterlaced(*pal[:3]), deinterlaced(*pal[:3])
    assert np.array_equal(first.to_ndarray(), again.to_ndarray())
    for frame, (pts, base, stored) in zip(pal, kept, strict=False):
        assert (frame.pts, frame.time_base) == (pts, base)
        assert np.array_equal(frame.to_ndarray(), stored)


def test_frames_not_flagged_are_given_back_unless_asked_for():
    before, frame, after = drawings(3)
    assert deinterlaced(before, frame, after) is frame
    assert deinterlaced(before, frame, after, unflagged=True) is not frame


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "nv12", "uyvy422", "gbrp", "gray"])
def test_every_place_in_a_film_matches_in_every_format(pixel_format):
    frames = drawings(5, pixel_format=pixel_format)
    continuous = filtered(frames, "bwdif", "mode=send_frame:deint=all")
    for three, expected in zip(neighbourhoods(frames), continuous, strict=True):
        whole = deinterlaced(*three, unflagged=True)
        assert np.array_equal(whole.to_ndarray(), expected.to_ndarray())


def test_a_film_of_one_frame_and_neighbours_of_another_size():
    frame, *_ = drawings(1)
    alone = deinterlaced(None, frame, None, unflagged=True)
    small = frame.reformat(width=160, height=120)
    assert np.array_equal(deinterlaced(small, frame, small, unflagged=True).to_ndarray(), alone.to_ndarray())


def test_frames_without_a_time_and_tiny_ones_do_no_harm():
    frame, *_ = drawings(1)
    frame.pts = None
    assert deinterlaced(frame, frame, frame, unflagged=True).pts is None
    tiny = frame.reformat(width=2, height=2)
    assert deinterlaced(None, tiny, None, unflagged=True) is tiny


def test_rotation_is_kept(real_data):
    with av.open(str(real_data / "oddities/rotated.mp4")) as container:
        three = list(islice(container.decode(video=0), 3))
    whole = deinterlaced(*three, unflagged=True)
    assert whole.rotation == three[1].rotation == 90
    assert to_rgb(whole).shape == to_rgb(three[1]).shape


def test_combing_counts_teeth_and_not_edges():
    picture = np.full((64, 64), 100, np.uint8)
    picture[20:40] = 200  # an edge is no tooth
    assert combing(picture) == 0
    picture[1::2, :32] = 160
    assert 40 < combing(picture) < 51
