import cv2
import numpy as np
import pytest

from framekit.images.edges import edge_mask, smooth_edges
from tests.oracles.edge_smoothing import smooth_edges_pixel_by_pixel


def drawing(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Flat colours with black outlines, some of them on the border."""
    generator = np.random.default_rng(seed)
    image = np.full((height, width, 3), generator.integers(120, 255, 3), np.uint8)
    for _ in range(4):
        centre = (int(generator.integers(0, width)), int(generator.integers(0, height)))
        radius = int(generator.integers(2, max(3, min(height, width) // 2)))
        cv2.circle(image, centre, radius, generator.integers(0, 255, 3).tolist(), -1)
        cv2.circle(image, centre, radius, (0, 0, 0), 2)
    return image


@pytest.mark.parametrize(
    "shape", [(64, 64), (33, 50), (7, 61), (5, 5), (3, 40), (40, 2), (1, 30), (30, 1), (1, 1)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_pixel_by_pixel_oracle(shape, seed):
    for image in (drawing(*shape, seed), np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)):
        fast, slow = smooth_edges(image), smooth_edges_pixel_by_pixel(image)
        assert np.abs(fast.astype(int) - slow).max() <= 1


def test_edges_on_the_outermost_pixels_are_smoothed():
    image = np.full((32, 32, 3), 230, np.uint8)
    image[:, 1:3] = 0  # a line one pixel from the border
    image[30:, :] = 0
    assert np.abs(smooth_edges(image).astype(int) - smooth_edges_pixel_by_pixel(image)).max() <= 1
    assert edge_mask(image)[:, 0].all()
    assert (smooth_edges(image)[:28, 0] < 230).all()


def test_only_the_surroundings_of_edges_change():
    image = drawing(64, 64)
    before = image.copy()
    smoothed = smooth_edges(image)
    far = edge_mask(image) == 0
    assert (smoothed[far] == image[far]).all()
    assert (smoothed[~far] != image[~far]).any()
    assert (image == before).all(), "the input must not be written to"


def test_a_picture_without_edges_is_returned_unchanged():
    image = np.full((20, 20, 3), 77, np.uint8)
    assert (smooth_edges(image) == image).all()
