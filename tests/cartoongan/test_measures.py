"""Measures of cartoons, on pictures where the answer is known."""

import cv2
import numpy as np
import pytest

from cartoongan.measures import checkerboard, colour_shift, edge_gradient, flat_noise, mean_colour
from tests.cartoongan.datasets import drawing, photo


def grey(levels) -> np.ndarray:
    return np.repeat(np.asarray(levels, np.uint8)[:, :, None], 3, axis=2)


def step(low: int, high: int, width: int = 0, side: int = 64) -> np.ndarray:
    """Dark to bright from left to right, in a ramp of `width` pixels between them."""
    ramp = np.interp(np.arange(side), [side / 2 - 1, side / 2 + width], [low, high])
    return grey(np.tile(np.rint(ramp), (side, 1)))


def test_a_step_s_gradient_is_half_its_height_and_a_ramp_s_its_slope():
    # Central differences: (high - low) / 2 on both sides of a step.
    assert edge_gradient(step(50, 150)) == pytest.approx(50)
    assert edge_gradient(step(20, 220, width=9)) == pytest.approx(20)


def test_contrast_halved_halves_the_gradient():
    assert edge_gradient(step(100, 150)) == pytest.approx(edge_gradient(step(50, 150)) / 2)


@pytest.mark.parametrize("picture", [drawing(1, 96), photo(1, 96), step(0, 255)])
def test_blur_lowers_it_the_more_the_stronger(picture):
    found = [edge_gradient(cv2.GaussianBlur(picture, (0, 0), sigma)) for sigma in (0.5, 1, 2)]
    assert edge_gradient(picture) > found[0] > found[1] > found[2]


def test_no_edges_no_gradient():
    assert edge_gradient(grey(np.full((32, 32), 90))) is None
    assert edge_gradient(step(100, 104)) is None


@pytest.mark.parametrize("sigma", [2, 5, 10])
def test_added_noise_is_what_is_found(sigma):
    noise = np.random.default_rng(sigma).normal(0, sigma, (128, 128))
    flat = grey(np.clip(np.rint(128 + noise), 0, 255))
    assert flat_noise(flat) == pytest.approx(sigma, rel=0.15)
    assert flat_noise(grey(np.full((128, 128), 128))) == 0


def test_lines_are_no_noise():
    assert flat_noise(drawing(2, 128)) == 0


def test_mean_colours_in_lab():
    # sRGB white, and (255, 0, 0): L* 53.24, a* 80.09, b* 67.20 under D65.
    white, red = np.full((4, 4, 3), 255, np.uint8), np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert mean_colour(white) == pytest.approx([100, 0, 0], abs=0.05)
    assert mean_colour(red) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
    assert colour_shift(white, red) == pytest.approx(np.hypot(46.76, np.hypot(80.09, 67.20)), abs=0.1)


def test_colours_shift_by_a_tint_and_not_by_a_blur():
    picture = photo(3)
    tinted = np.clip(picture + np.array([0, 20, 0]), 0, 255).astype(np.uint8)
    assert colour_shift(picture, picture) == 0
    assert colour_shift(picture, tinted) > 5
    assert colour_shift(picture, cv2.blur(picture, (5, 5))) < 0.5


def tiles(strength: float, period: int, side: int = 256) -> np.ndarray:
    """Levels of a pattern that brightens every `period`th pixel, each way."""
    pattern = np.zeros((side, side))
    pattern[::period, ::period] = strength
    return pattern


def textured(seed: int, pattern: np.ndarray) -> np.ndarray:
    """Something like a picture: coarse blobs and fine grain, with `pattern` added."""
    generator = np.random.default_rng(seed)
    side = len(pattern)
    blobs = cv2.resize(generator.uniform(40, 200, (9, 9)), (side, side), interpolation=cv2.INTER_CUBIC)
    grain = generator.normal(0, 3, (side, side))
    return grey(np.clip(np.rint(blobs + grain + pattern), 0, 255))


@pytest.mark.parametrize("seed", range(3))
def test_white_noise_has_no_checkerboard(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (256, 256))
    assert checkerboard(grey(noise)) == pytest.approx(0, abs=0.6)
    assert checkerboard(textured(seed, np.zeros((256, 256)))) == pytest.approx(0, abs=0.8)


@pytest.mark.parametrize("period", [2, 4])
def test_a_checkerboard_shows_the_more_the_stronger(period):
    found = [checkerboard(textured(1, tiles(strength, period))) for strength in (0, 4, 8, 16)]
    assert found == sorted(found)
    assert found[3] > found[0] + 5


def test_a_pattern_that_is_not_the_stride_s_is_none():
    plain = checkerboard(textured(1, np.zeros((256, 256))))
    assert checkerboard(textured(1, tiles(16, 5))) < plain + 1.8
    assert checkerboard(textured(1, tiles(16, 4))) > plain + 5


def test_lines_and_flat_colours_are_no_checkerboard():
    assert checkerboard(grey(np.full((64, 64), 7))) == pytest.approx(0)
    assert checkerboard(step(20, 200, side=256)) < 3
    assert checkerboard(drawing(1, 256)) < 3


def test_its_power_is_the_slow_spectrum_s():
    """One block, by the definition of the transform."""
    from cartoongan.measures import BLOCK, _power

    luma = np.random.default_rng(0).uniform(0, 255, (BLOCK, BLOCK)).astype(np.float32)
    places = np.arange(BLOCK)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * places / BLOCK)
    windowed = (luma - luma.mean()) * hann[:, None] * hann[None, :]
    for v, u in ((0, 8), (8, 16), (3, 5)):
        waves = np.exp(-2j * np.pi * (v * places[:, None] + u * places[None, :]) / BLOCK)
        assert _power(luma)[v, u] == pytest.approx(abs((windowed * waves).sum()) ** 2, rel=1e-4)


def test_too_small_for_a_block():
    assert checkerboard(grey(np.zeros((31, 64)))) is None
