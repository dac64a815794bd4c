"""Pictures as bytes: what comes back is RGB, whatever the file held."""

import cv2
import numpy as np
import pytest

from framekit.errors import FramekitError
from framekit.images.encoding import decode, encode

COLOUR = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize(
    "image",
    [
        COLOUR,
        COLOUR[..., 0],
        np.dstack([COLOUR, COLOUR[..., 0]]),
        COLOUR.astype(np.uint16) * 257,
    ],
    ids=["colour", "grey", "with alpha", "16 bits"],
)
def test_pictures_are_what_a_decode_to_bgr_gives_turned_round(image, suffix):
    if suffix != ".png" and image.dtype == np.uint16:
        pytest.skip("8 bits only")
    data = cv2.imencode(suffix, image)[1]
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    for encoded in (data, data.tobytes()):
        decoded = decode(encoded)
        assert (decoded.shape, decoded.dtype) == ((24, 32, 3), np.uint8)
        assert np.array_equal(decoded, bgr[..., ::-1])


def test_png_keeps_every_level():
    assert np.array_equal(decode(encode(COLOUR)), COLOUR)


@pytest.mark.parametrize("data", [None, b"", np.empty(0, np.uint8), b"no picture"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(FramekitError, match="bytes that are no picture"):
        decode(data)


def test_a_header_that_claims_gigapixels_is_refused():
    data = bytearray(encode(COLOUR))
    data[16:24] = (2**30).to_bytes(4, "big") * 2  # width and height in a PNG's first chunk
    with pytest.raises(FramekitError, match="no picture"):
        decode(bytes(data))
