from fractions import Fraction

import av
import numpy as np
import pytest

from framekit.sources.picture import quarter_turns, square_size, to_rgb

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 40), (128, 128, 128)]
KR_KB = {1: (0.2126, 0.0722), 5: (0.299, 0.114)}  # BT.709, BT.601


def yuv_frame(colour, *, matrix: int, tag: int, height: int) -> av.VideoFrame:
    """A limited-range yuv444p frame of one RGB colour, by the matrix written out, tagged with `tag`."""
    red, green, blue = (channel / 255 for channel in colour)
    kr, kb = KR_KB[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    planes = [
        16 + 219 * luma,
        128 + 224 * (blue - luma) / (2 * (1 - kb)),
        128 + 224 * (red - luma) / (2 * (1 - kr)),
    ]
    array = np.stack([np.full((height, 64), round(value), np.uint8) for value in planes])
    frame = av.VideoFrame.from_ndarray(array, format="yuv444p")
    frame.colorspace, frame.color_range = tag, 1
    return frame


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("matrix", "tag", "height"),
    [(1, 1, 64), (5, 5, 720), (5, 6, 720), (1, 2, 720), (5, 2, 576)],
    ids=["709", "601", "170m", "untagged HD is 709", "untagged SD is 601"],
)
def test_colours_come_out_as_they_were(colour, matrix, tag, height):
    rgb = to_rgb(yuv_frame(colour, matrix=matrix, tag=tag, height=height))
    assert np.abs(rgb.astype(int) - colour).max() <= 2


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(1), (720, 576)),
        (Fraction(16, 15), (768, 576)),
        (Fraction(8, 9), (640, 576)),
        (Fraction(1280, 1281), (720, 576)),
        (Fraction(135, 134), (720, 576)),
    ],
)
def test_pixels_are_made_square_but_not_for_a_rounding_error(aspect, size):
    assert square_size(720, 576, aspect) == size


@pytest.mark.parametrize(
    ("degrees", "turns"), [(0, 0), (90, 1), (-90, 3), (180, 2), (-180, 2), (270, 3), (-2147483648, 0)]
)
def test_rotation_is_whole_quarter_turns_and_nonsense_is_none(degrees, turns):
    assert quarter_turns(degrees) == turns
