"""Fades and cross-fades are told apart from motion, cuts and held drawings."""

import numpy as np
import pytest

from framekit.images.hashing import small_grey
from framekit.images.transitions import transition
from tests.framekit.images.test_edges import drawing


def shot(number: int) -> np.ndarray:
    return small_grey(drawing(360, 640, seed=number)).astype(np.float32)


def levels(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture).astype(np.uint8)


ONE, OTHER, THIRD = (levels(shot(number)) for number in (1, 2, 3))


@pytest.mark.parametrize("gain", [0.2, 0.5, 0.7])
@pytest.mark.parametrize("end", [0, 255])
def test_a_fade_is_as_far_as_its_contrast_fell(gain, end):
    faded = levels(gain * shot(1) + (1 - gain) * end)
    assert transition(ONE, faded, None).fade == pytest.approx(1 - gain, abs=0.05)
    assert transition(OTHER, faded, ONE).fade == pytest.approx(1 - gain, abs=0.05)


@pytest.mark.parametrize("weight", [0.3, 0.5, 0.7])
def test_a_mix_of_two_shots_is_a_cross_fade(weight):
    mixed = levels(weight * shot(1) + (1 - weight) * shot(2))
    assert transition(ONE, mixed, OTHER).dissolve > 0.9
    assert transition(ONE, mixed, OTHER).fade < 0.3


def test_nothing_is_told_of_holds_cuts_pans_and_a_lone_picture():
    panned = np.roll(ONE, 6, axis=1), np.roll(ONE, 12, axis=1)
    for before, small, after in [
        (None, ONE, None),
        (ONE, ONE, ONE),
        (ONE, ONE, OTHER),
        (ONE, OTHER, OTHER),
        (ONE, OTHER, THIRD),
        (ONE, *panned),
        (np.zeros_like(ONE), ONE, np.zeros_like(ONE)),
        (ONE, np.zeros_like(ONE), ONE),
    ]:
        assert transition(before, small, after) == (0, 0)


def test_less_contrast_in_the_same_light_is_no_fade():
    assert transition(ONE, levels(0.5 * shot(1) + 64), None).fade == 0
