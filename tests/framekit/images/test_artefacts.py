"""Blocks, noise and combing are found as strong as they were put in, and not where nothing was."""

import cv2
import numpy as np
import pytest

from framekit.images.artefacts import blockiness, combing, noise
from tests.framekit.images.test_edges import drawing
from tests.oracles.artefacts import combing_pixel_by_pixel, noise_of_all


def grey_drawing(height: int = 360, width: int = 640) -> np.ndarray:
    return cv2.cvtColor(drawing(height, width), cv2.COLOR_RGB2GRAY)


def shaded(height: int = 256, width: int = 256) -> np.ndarray:
    """Soft light, as a painted sky: what coarse coding breaks into blocks."""
    y, x = np.mgrid[:height, :width]
    return (110 + 60 * np.sin(y / 23 + x / 57) + 20 * np.cos(x / 31)).round().astype(np.uint8)


def coded(luma: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)


@pytest.mark.parametrize("phase", range(8))
def test_coarse_coding_shows_wherever_the_grid_begins(phase):
    assert blockiness(shaded()) < 1.5
    assert blockiness(coded(shaded(), 10)[phase:]) > 3


def test_blocks_show_after_stretching_to_square_pixels():
    stretched = cv2.resize(coded(shaded(), 10), (273, 256), interpolation=cv2.INTER_CUBIC)
    assert blockiness(stretched) > 3


def test_a_drawing_has_no_blocks():
    assert blockiness(grey_drawing()) < 1.5


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_noise_is_as_strong_as_it_was_made(sigma):
    grain = np.random.default_rng(0).normal(0, sigma, (360, 640))
    flat = np.rint(128 + grain).astype(np.uint8)
    assert noise(flat) == pytest.approx(sigma, rel=0.12)
    assert noise(flat) == pytest.approx(noise_of_all(flat[:120, :120]), rel=0.1)


def test_lines_and_texture_are_no_noise():
    grey = grey_drawing()
    grey[:, ::9] = 20
    grey[180:] = 200
    assert noise(grey) == 0


def test_combing_equals_the_pixel_by_pixel_oracle():
    luma = np.random.default_rng(0).integers(90, 130, (40, 60)).astype(np.uint8)
    luma[::2, 20:40] = 60
    assert combing(luma) == pytest.approx(combing_pixel_by_pixel(luma))
    assert combing(luma) > 5


def test_the_edge_of_a_level_surface_is_no_tooth():
    luma = np.full((60, 60), 80, np.uint8)
    luma[30:] = 200
    assert combing(luma) == 0
