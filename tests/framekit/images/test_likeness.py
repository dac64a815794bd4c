"""What counts as the same picture, and what does not."""

import cv2
import numpy as np
import pytest

from framekit.images import likeness
from framekit.images.hashing import perceptual_hash, small_grey
from framekit.images.likeness import SHIFT, SIZE, TOLERANCE, alike, is_flat, signature
from tests.films import numbered_frame

DISTANCE = 10


def judge(first, second, max_distance=DISTANCE):
    hashes = [np.array([perceptual_hash(small_grey(image))], np.uint64) for image in (first, second)]
    signatures = [signature(image)[None] for image in (first, second)]
    said = alike(hashes[0], signatures[0], hashes[1], signatures[1], max_distance)
    back = alike(hashes[1], signatures[1], hashes[0], signatures[0], max_distance)
    assert said.shape == (1,) and said.dtype == bool and said[0] == back[0]
    return bool(said[0])


@pytest.fixture
def drawing():
    return cv2.GaussianBlur(numbered_frame(7, width=640, height=360), (5, 5), 0)


@pytest.mark.parametrize("size", [(320, 180), (1280, 720), (719, 405)])
def test_a_signature_has_one_size_and_does_not_depend_on_the_picture_s(drawing, size):
    made = signature(cv2.resize(drawing, size, interpolation=cv2.INTER_AREA))
    assert made.shape == (SIZE,) and made.dtype == np.uint8
    assert np.abs(made.astype(int) - signature(drawing)).max() <= 4


def test_a_signature_holds_the_mean_colours_of_its_cells():
    image = np.zeros((90, 160, 3), np.uint8)
    image[:10, :10] = 255, 0, 0
    made = signature(image).reshape(9, 16, 3)
    assert made[0, 0].tolist() == cv2.cvtColor(image[:1, :1], cv2.COLOR_RGB2YCrCb)[0, 0].tolist()
    assert (made.reshape(-1, 3)[1:] == [0, 128, 128]).all()


def test_a_picture_is_like_itself_a_brighter_print_and_one_with_grain(drawing):
    grain = np.random.default_rng(0).normal(0, 12, drawing.shape)
    assert judge(drawing, drawing, 0)
    assert judge(drawing, (drawing.astype(int) + 8).clip(0, 255).astype(np.uint8))
    assert judge(drawing, (drawing + grain).clip(0, 255).astype(np.uint8))


def test_a_mouth_may_move_but_another_character_may_not_stand_there(drawing):
    speaks, other = drawing.copy(), drawing.copy()
    cv2.ellipse(speaks, (300, 200), (16, 9), 0, 0, 360, (90, 20, 20), -1)
    cv2.ellipse(other, (300, 220), (90, 130), 0, 0, 360, (90, 20, 20), -1)
    assert judge(drawing, speaks)
    assert not judge(drawing, other, 64)


def test_subtitles_may_stand_at_the_bottom_but_not_in_the_middle(drawing):
    low, high = drawing.copy(), drawing.copy()
    for made, line in ((low, 330), (high, 200)):
        for colour, weight in (((0, 0, 0), 6), ((255, 255, 255), 2)):
            cv2.putText(made, "I never said that you should wait", (60, line), 0, 0.9, colour, weight)
    assert judge(drawing, low)
    assert not judge(drawing, high, 64)


@pytest.mark.parametrize("x, y", [(0.012, 0), (0, 0.012), (-0.009, 0.009)])
def test_a_picture_may_have_moved_by_one_percent_but_not_by_ten(drawing, x, y):
    def window(times):
        left, top = 64 + round(512 * x * times), 36 + round(288 * y * times)
        return drawing[top : top + 288, left : left + 512]

    assert judge(window(0), window(1))
    assert not judge(window(0), window(8), 64)


def test_another_drawing_is_another_picture(drawing):
    assert not judge(drawing, numbered_frame(8, width=640, height=360), 64)


def test_the_hash_counts_where_pictures_are_not_flat(drawing):
    signatures = signature(drawing)[None]
    one, other = np.array([0], np.uint64), np.array([0b111], np.uint64)
    assert alike(one, signatures, other, signatures, 3).all()
    assert not alike(one, signatures, other, signatures, 2).any()


def test_flat_pictures_are_compared_by_colour_alone():
    skies = [np.full((360, 640, 3), colour, np.uint8) for colour in ((120, 160, 220), (60, 30, 30))]
    signatures = np.stack([signature(sky) for sky in skies])
    assert is_flat(signatures).all()
    noise = np.array([0, 2**64 - 1], np.uint64)
    assert alike(noise, signatures, noise[::-1], signatures, 0).all()
    assert not alike(noise, signatures, noise, signatures[::-1], 64).any()


@pytest.mark.parametrize(
    "change, cells, expected",
    [
        (SHIFT, 144, True),  # all of it is brighter
        (SHIFT + TOLERANCE + 1, 144, False),
        (TOLERANCE, 60, True),
        (TOLERANCE + 1, 2, True),  # two cells of 144 show something else
        (TOLERANCE + 1, 3, False),
        (-TOLERANCE - 1, 3, False),
    ],
)
@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize("last", [False, True])
def test_levels_by_which_what_agrees_with_a_flat_picture_may_differ(change, cells, expected, channel, last):
    flat = np.full((1, 144, 3), 120, np.uint8)
    other = flat.copy()
    other[:, 144 - cells if last else 0 :, channel][:, :cells] += np.uint8(change % 256)
    hashes, signatures = np.zeros(1, np.uint64), [made.reshape(1, SIZE) for made in (flat, other)]
    assert alike(hashes, signatures[0], ~hashes, signatures[1], 0).tolist() == [expected]


def test_answers_are_symmetric_and_the_same_for_many_pairs_as_for_each(drawing, monkeypatch):
    generator = np.random.default_rng(0)
    near = generator.normal(0, generator.uniform(0, 8, (60, 1)), (60, SIZE))
    some, flat = np.tile(signature(drawing), (40, 1)), np.full((20, SIZE), 90)
    first = np.concatenate([some, flat]).astype(np.uint8)
    second = (first + near).clip(0, 255).astype(np.uint8)
    hashes, others = (generator.integers(0, 16, 60, np.uint64) for _ in range(2))
    answers = alike(hashes, first, others, second, 2)
    assert 0 < answers[:40].sum() < 40 and 0 < answers[40:].sum() < 20
    assert alike(others, second, hashes, first, 2).tolist() == answers.tolist()
    monkeypatch.setattr(likeness, "AT_ONCE", 1)
    assert alike(hashes, first, others, second, 2).tolist() == answers.tolist()


def test_a_drawing_is_not_flat(drawing):
    assert not is_flat(signature(drawing)[None]).any()


def test_no_pairs_give_no_answers():
    nothing, signatures = np.empty(0, np.uint64), np.empty((0, SIZE), np.uint8)
    assert alike(nothing, signatures, nothing, signatures, 6).shape == (0,)
    assert is_flat(signatures).shape == (0,)
