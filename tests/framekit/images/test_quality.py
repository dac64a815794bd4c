import cv2
import numpy as np
import pytest

from framekit.images.quality import colourfulness, flatness, measure
from tests.framekit.images.test_edges import drawing
from tests.oracles.quality import (
    colourfulness_by_formula,
    entropy_by_counting,
    flatness_block_by_block,
    percentile_by_sorting,
)


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_have_light_and_nothing_else(level):
    quality = measure(np.full((90, 160, 3), level, np.uint8))
    assert quality.brightness == quality.luma_p1 == quality.luma_p50 == quality.luma_p99 == level
    assert quality.contrast == quality.entropy == quality.sharpness == quality.edge_density == 0
    assert quality.colourfulness == quality.combing == quality.noise == quality.text == 0
    assert quality.flatness == quality.blockiness == 1


def test_halves_of_black_and_white():
    halves = np.zeros((90, 160, 3), np.uint8)
    halves[:, 80:] = 255
    quality = measure(halves)
    assert quality.brightness == quality.contrast == pytest.approx(127.5)
    assert quality.entropy == pytest.approx(1)
    assert (quality.luma_p1, quality.luma_p50, quality.luma_p99) == (0, 0, 255)


def test_blur_lowers_sharpness():
    image = drawing(720, 1280)
    figures = [
        measure(cv2.GaussianBlur(image, (0, 0), sigma) if sigma else image).sharpness
        for sigma in (0, 1, 2, 4)
    ]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > 2 * figures[3]


def test_frames_compare_between_sizes_and_crops_are_measured_as_they_are():
    image = drawing(720, 1280)
    twice = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    assert measure(twice).sharpness == pytest.approx(measure(image).sharpness, rel=0.1)
    assert measure(twice, scale="native").sharpness < 0.7 * measure(image, scale="native").sharpness


def test_light_detail_and_colour_equal_their_formulas():
    image = drawing(96, 136)
    image[:40] = np.random.default_rng(0).integers(100, 104, (40, 136, 3))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    quality = measure(image)
    assert quality.entropy == pytest.approx(entropy_by_counting(grey), abs=1e-4)
    for share, figure in ((0.01, quality.luma_p1), (0.5, quality.luma_p50), (0.99, quality.luma_p99)):
        assert figure == percentile_by_sorting(grey, share)
    assert flatness(grey) == flatness_block_by_block(grey)
    assert colourfulness(image) == pytest.approx(colourfulness_by_formula(image), rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (7, 5), (3, 40)])
def test_the_smallest_pictures_are_measured_too(shape):
    quality = measure(np.full((*shape, 3), 90, np.uint8))
    assert np.isfinite(quality).all()
    assert all(isinstance(figure, float) for figure in quality)
