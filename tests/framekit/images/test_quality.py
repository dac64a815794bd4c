import cv2
import numpy as np

from framekit.images.hashing import small_grey
from framekit.images.quality import measure
from tests.framekit.images.test_edges import drawing


def quality(image):
    return measure(image, small_grey(image))


def test_black_white_and_checks():
    black, white = np.zeros((90, 160, 3), np.uint8), np.full((90, 160, 3), 255, np.uint8)
    assert quality(black) == (0, 0, 0)
    assert quality(white) == (255, 0, 0)
    halves = black.copy()
    halves[:, 80:] = 255
    assert abs(quality(halves).brightness - 127.5) < 0.01
    assert abs(quality(halves).contrast - 127.5) < 0.01


def test_blur_lowers_sharpness():
    image = drawing(720, 1280)
    figures = [
        quality(cv2.GaussianBlur(image, (0, 0), sigma) if sigma else image).sharpness
        for sigma in (0, 1, 2, 4)
    ]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > 2 * figures[3]


def test_sharpness_compares_between_sizes():
    image = drawing(720, 1280)
    twice = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    assert abs(quality(twice).sharpness / quality(image).sharpness - 1) < 0.1
