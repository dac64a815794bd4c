"""What counts as the same picture, and what does not."""

import cv2
import numpy as np
import pytest

from framekit.images import likeness
from framekit.images.hashing import perceptual_hash, small_grey
from framekit.images.likeness import (
    COLUMNS,
    MOVE,
    ROWS,
    SHIFT,
    SIZE,
    SPARED,
    TOLERANCE,
    agree,
    alike,
    is_flat,
    may_be_alike,
    signature,
    sketches,
)
from tests.films import numbered_frame
from tests.oracles.likeness import agree_by_solving

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


def pairs_about_the_limit(drawing, generator, count=3_000):
    """Signatures of drawings, noise, smooth pictures, edges; the same moved, shifted, spoilt, grainy."""
    windows = [drawing[top : top + 240, left : left + 400] for top in (0, 60, 120) for left in (0, 120, 240)]
    drawn = np.stack([signature(window) for window in windows])[generator.integers(0, 9, count // 4)]
    noise = generator.integers(0, 256, (count // 4, SIZE))
    coarse = generator.integers(0, 256, (count // 4, 3, 4, 3))
    smooth = np.stack([cv2.resize(cells.astype(np.uint8), (COLUMNS, ROWS)) for cells in coarse])
    edges = generator.choice([0, 255], (count // 4, 1, COLUMNS, 3)) * np.ones((1, ROWS, 1, 1), int)
    first = np.concatenate([made.reshape(-1, ROWS, COLUMNS, 3) for made in (drawn, noise, smooth, edges)])
    down, across = np.gradient(first.astype(float), axis=(1, 2))
    y, x = (MOVE * generator.choice([-1, -0.5, 0, 1], (2, count, 1, 1, 1))).clip(-MOVE, MOVE)
    shift = generator.integers(-SHIFT, SHIFT + 1, (count, 1, 1, 3)) * generator.integers(
        0, 2, (count, 1, 1, 1)
    )
    grain = generator.integers(-1, 2, first.shape) * generator.integers(0, TOLERANCE + 3, (count, 1, 1, 1))
    spoilt = (
        generator.random((count, ROWS, COLUMNS, 1)) < generator.choice([0, 1, 2, 4], (count, 1, 1, 1)) / 144
    )
    second = np.where(spoilt, 255 - first, first + y * down + x * across + shift + grain)
    return (made.round().clip(0, 255).astype(np.uint8).reshape(count, SIZE) for made in (first, second))


@pytest.mark.parametrize("still", [False, True])
def test_answers_are_those_of_numpy_s_gradient_solver_and_median(drawing, still):
    first, second = pairs_about_the_limit(drawing, np.random.default_rng(0))
    expected = agree_by_solving(first, second, still=still)
    assert 0.02 < expected.mean() < 0.9
    assert np.array_equal(agree(first, second, np.full(len(first), still)), expected)


@pytest.mark.parametrize("still", [False, True])
def test_sketches_refuse_nothing_that_agrees(drawing, still):
    first, second = pairs_about_the_limit(drawing, np.random.default_rng(1))
    agreeing = agree(first, second, np.full(len(first), still))
    refused = ~may_be_alike(sketches(first), sketches(second))
    assert not (agreeing & refused).any() and refused.any()
    assert np.array_equal(refused, ~may_be_alike(sketches(second), sketches(first)))


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize("spoilt, expected", [(SPARED, True), (SPARED + 1, False)])
@pytest.mark.parametrize("level", [0, 255])
def test_sketches_spare_as_many_cells_as_may_show_something_else(channel, spoilt, expected, level):
    flat = np.full((1, SIZE), 120, np.uint8)
    other = flat + np.uint8(SHIFT)
    cells = [place for place in likeness.SKETCHED if place % 3 == channel]
    other[0, cells[:spoilt]] = level
    made, others = sketches(flat), sketches(other)
    others[0, 1] = made[0, 1]  # else it would be the steep edges that open its reach
    assert may_be_alike(made, others).tolist() == [expected]


@pytest.mark.parametrize("shift, expected", [(SHIFT, True), (SHIFT + TOLERANCE + 3, False)])
@pytest.mark.parametrize("channel", range(3))
def test_sketches_refuse_another_colour(shift, expected, channel):
    flat = np.full((1, SIZE), 120, np.uint8)
    other = flat.copy()
    other[:, channel::3] += np.uint8(shift)
    for first, second in ((flat, other), (other, flat)):
        assert may_be_alike(sketches(first), sketches(second)).tolist() == [expected]


def test_the_reach_of_the_steepest_edges_fits_into_a_byte():
    rows, columns = np.indices((ROWS, COLUMNS))[..., None]
    boards = [rows // 2 + columns // 2, rows, columns, (rows > 0) & (columns > 0), rows + columns]
    steep = np.stack([255 * (board % 2) * np.ones(3, int) for board in boards]).astype(np.uint8)
    signatures = steep.reshape(-1, SIZE)
    cells = likeness._planes(signatures)
    reach = np.full_like(cells, TOLERANCE / 2)
    for slopes in likeness._slopes(cells, cells):
        reach[..., : likeness.COMPARED] += likeness.SLACK * np.abs(slopes) / 2
        reach[..., : likeness.COMPARED] += MOVE * np.abs(likeness._centred(slopes)) / 2
    reach = reach.transpose(0, 2, 1).reshape(-1, SIZE)[:, likeness.SKETCHED]
    assert reach.max() > 150 and (sketches(signatures)[:, 1] >= reach).all()


def test_a_drawing_is_not_flat(drawing):
    assert not is_flat(signature(drawing)[None]).any()


def test_no_pairs_give_no_answers():
    nothing, signatures = np.empty(0, np.uint64), np.empty((0, SIZE), np.uint8)
    assert alike(nothing, signatures, nothing, signatures, 6).shape == (0,)
    assert is_flat(signatures).shape == (0,)
