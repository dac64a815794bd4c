"""A logo over shot after shot is found where it is; scenery, bars and short films give none."""

import cv2
import numpy as np
import pytest

from framekit.images.overlay import Overlay, covered
from tests.framekit.images.test_edges import drawing

PLACE = (540, 24, 60, 30)  # x, y, width, height


def with_logo(image: np.ndarray, strength: float = 0.5) -> np.ndarray:
    x, y, width, height = PLACE
    logo = image.copy()
    cv2.rectangle(logo, (x, y), (x + width - 1, y + height - 1), (255, 255, 255), 4)
    cv2.putText(logo, "TV", (x + 12, y + 23), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 3)
    return cv2.addWeighted(logo, strength, image, 1 - strength, 0)


def shots(count: int) -> list[np.ndarray]:
    """Each shot twice."""
    return [drawing(360, 640, seed=number // 2) for number in range(2 * count)]


def box_of(images: list[np.ndarray]) -> tuple[float, float, float, float] | None:
    overlay = Overlay()
    for image in images:
        overlay.add(image)
    return overlay.box()


def test_a_half_transparent_logo_is_found_to_a_few_pixels():
    found = box_of([with_logo(image) for image in shots(12)])
    assert found is not None
    x, y, width, height = PLACE
    assert np.array(found) * (640, 360, 640, 360) == pytest.approx(
        (x - 2, y - 2, width + 4, height + 4), abs=4
    )  # half the line's width


def test_nothing_is_found_without_a_logo():
    assert box_of(shots(12)) is None


@pytest.mark.parametrize("images", [[], shots(3), shots(1) * 20], ids=["none", "three shots", "one shot"])
def test_nothing_is_told_from_few_shots(images):
    assert box_of([with_logo(image) for image in images]) is None


def test_black_bars_and_round_corners_are_no_overlay():
    mask = np.zeros((360, 640, 3), np.uint8)
    cv2.circle(mask, (320, 180), 300, (1, 1, 1), -1)
    mask[:40] = mask[-40:] = 0
    assert box_of([image * mask for image in shots(12)]) is None


def test_the_background_that_a_film_keeps_coming_back_to_is_no_overlay():
    back = drawing(360, 640, seed=99)
    assert box_of([back if number % 4 < 2 else image for number, image in enumerate(shots(12))]) is None


def test_a_picture_of_another_size_is_left_out():
    odd = [np.zeros((480, 640, 3), np.uint8)]
    images = [with_logo(image) for image in shots(12)]
    assert box_of(images + odd) == box_of(images)


def test_a_crop_s_share_under_an_overlay_is_its_pixels():
    box = (0.75, 0.5, 0.125, 0.25)  # of 640 × 360: from 480 to 560 across, from 180 to 270 down
    under = np.zeros((360, 640), bool)
    under[180:270, 480:560] = True
    crops = np.array([(0, 0, 64), (448, 200, 64), (500, 190, 32), (470, 150, 200), (0, 296, 64)], float)
    sizes = np.tile((640.0, 360.0), (len(crops), 1))
    expected = [under[int(y) : int(y + side), int(x) : int(x + side)].sum() / side**2 for x, y, side in crops]
    assert covered(box, crops, sizes) == pytest.approx(expected)
    assert covered(box, 2 * crops, 2 * sizes) == pytest.approx(expected)
