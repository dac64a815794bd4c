"""Edge smoothing as the usual scripts do it: one pixel at a time."""

import cv2
import numpy as np


def smooth_edges_pixel_by_pixel(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB → the same, blurred at edges. Slow and obvious."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    edges = cv2.Canny(grey, 100, 200)
    height, width = grey.shape

    # What getGaussianKernel(5, 0) gives in the usual scripts: for sigma 0 OpenCV takes the binomial weights.
    weights = np.array([1, 4, 6, 4, 1]) / 16
    kernel = np.outer(weights, weights)

    result = image.copy()
    for y in range(height):
        for x in range(width):
            near_an_edge = any(
                edges[v, u]
                for v in range(max(y - 2, 0), min(y + 3, height))
                for u in range(max(x - 2, 0), min(x + 3, width))
            )
            if near_an_edge:
                total = np.zeros(3)
                for dy in range(-2, 3):
                    for dx in range(-2, 3):
                        pixel = image[_mirrored(y + dy, height), _mirrored(x + dx, width)]
                        total += kernel[dy + 2, dx + 2] * pixel
                result[y, x] = np.rint(total)
    return result


def _mirrored(index: int, size: int) -> int:
    if size == 1:
        return 0
    while not 0 <= index < size:
        index = -index if index < 0 else 2 * (size - 1) - index
    return index
