"""Pans and zooms: found where the camera moved, and only there."""

import cv2
import numpy as np
import pytest

from framekit.images.hashing import small_grey
from framekit.images.motion import Move, camera_move, combined, overlap
from tests.films import numbered_frame

HEIGHT, WIDTH = 1152, 2048
STILL = Move(0.0, 0.0, 1.0)
MOVES = [
    Move(0.02, 0.0, 1.0),
    Move(-0.05, 0.0, 1.0),
    Move(0.0, 0.1, 1.0),
    Move(0.2, -0.1, 1.0),
    Move(-0.4, 0.0, 1.0),
    Move(0.0, 0.0, 1.02),
    Move(0.0, 0.0, 1.3),
    Move(0.03, -0.02, 0.8),
    Move(-0.15, 0.05, 1.12),
]


def painting(seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 RGB: clouds of many sizes, with outlined things on them."""
    generator = np.random.default_rng(seed)
    layers = (
        cv2.resize(
            generator.normal(0, 30, (4 * 2**k, 7 * 2**k)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
        )
        / (k + 1)
        for k in range(6)
    )
    grey = np.clip(sum(layers) + 128, 0, 255).astype(np.uint8)
    image = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    for _ in range(60):
        centre = int(generator.integers(0, WIDTH)), int(generator.integers(0, HEIGHT))
        radius = int(generator.integers(20, 120))
        cv2.circle(image, centre, radius, generator.integers(0, 255, 3).tolist(), -1)
        cv2.circle(image, centre, radius, (0, 0, 0), 4)
    return image


def seen(image: np.ndarray, move: Move = STILL, *, size: tuple[int, int] = (640, 360)) -> np.ndarray:
    """What a camera on the middle third of a painting shows after a move, in small grey."""
    width, height = size
    scale = move.zoom * 3 * width / WIDTH
    onto = np.array(
        [
            [scale, 0, (0.5 + move.dx) * width - scale * WIDTH / 2],
            [0, scale, (0.5 + move.dy) * height - scale * HEIGHT / 2],
        ]
    )
    return small_grey(cv2.warpAffine(image, onto, size, flags=cv2.INTER_AREA))


def shown_by_both(move: Move) -> float:
    """Count: of a fine grid over the wider view's frame, the share that the other view shows too."""
    places = (np.arange(1000) + 0.5) / 1000 - 0.5
    inside = np.ones((1000, 1000), bool)
    for axis, shift in ((0, move.dy), (1, move.dx)):
        there = move.zoom * places + shift if move.zoom >= 1 else (places - shift) / move.zoom
        within = np.abs(there) <= 0.5
        inside &= within[:, None] if axis == 0 else within[None, :]
    return float(inside.mean())


@pytest.mark.parametrize("move", MOVES, ids=str)
def test_a_moved_camera_is_found(move):
    image = painting()
    found = camera_move(seen(image), seen(image, move))
    assert found is not None
    assert found == pytest.approx(move, abs=0.005)


@pytest.mark.parametrize("move", MOVES, ids=str)
def test_a_move_seen_backwards_is_undone(move):
    image = painting(1)
    back = camera_move(seen(image, move), seen(image))
    assert back is not None
    assert combined(move, back) == pytest.approx(STILL, abs=0.01)


def test_the_same_picture_has_not_moved():
    picture = seen(painting())
    assert camera_move(picture, picture) == pytest.approx(STILL, abs=1e-4)


def test_a_darker_picture_has_only_moved():
    before, after = (seen(painting(), move) for move in (STILL, Move(0.1, 0, 1)))
    assert camera_move(before, (after * 0.8).astype(np.uint8)) == pytest.approx(Move(0.1, 0, 1), abs=0.005)


def test_a_small_figure_may_walk_during_a_pan():
    before, after = (seen(painting(), move) for move in (STILL, Move(0.2, 0, 1)))
    before[40:52, 30:36] = after[40:52, 80:86] = 250
    assert camera_move(before, after) == pytest.approx(Move(0.2, 0, 1), abs=0.01)


def test_a_figure_acting_before_a_still_camera_is_no_move():
    before = seen(painting())
    after = before.copy()
    before[30:50, 30:45] = after[35:55, 50:65] = 250
    assert camera_move(before, after) is None


def test_a_figure_over_much_of_the_picture_is_no_move():
    before, after = (seen(painting(), move) for move in (STILL, Move(0.1, 0, 1)))
    before[10:, 20:80] = seen(painting(2))[10:, 20:80]
    after[10:, 20:80] = seen(painting(3))[10:, 20:80]
    assert camera_move(before, after) is None


def test_other_pictures_are_no_move():
    pictures = [seen(painting(seed)) for seed in range(6)] + [small_grey(numbered_frame(n)) for n in range(6)]
    for one, before in enumerate(pictures):
        for other, after in enumerate(pictures):
            assert one == other or camera_move(before, after) is None, (one, other)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("noise", [0, 1, 3, 30])
def test_nothing_drawn_tells_nothing(noise):
    generator = np.random.default_rng(0)
    before, after = np.clip(generator.normal(100, noise, (2, 72, 128)), 0, 255).astype(np.uint8)
    assert camera_move(before, after) is None


def test_along_a_lone_horizon_nothing_tells():
    generator = np.random.default_rng(0)
    sky = np.where(np.arange(72) < 40, 200, 80)[:, None] + generator.normal(0, 2, (2, 72, 128))
    before, after = np.clip(sky, 0, 255).astype(np.uint8)
    assert camera_move(before, np.roll(after, 3, axis=0)) is None


def test_pictures_are_left_as_they_were():
    before, after = (seen(painting(), move) for move in (STILL, Move(0.1, 0, 1)))
    copies = before.copy(), after.copy()
    camera_move(before, after)
    assert np.array_equal(before, copies[0]) and np.array_equal(after, copies[1])


@pytest.mark.parametrize("move", [*MOVES, STILL, Move(0.3, 0, 1.3), Move(0.2, 0.2, 0.7)], ids=str)
def test_overlap_counts_what_both_show(move):
    assert overlap(move) == pytest.approx(shown_by_both(move), abs=0.005)


def test_pictures_apart_share_nothing():
    assert overlap(Move(1.2, 0, 1)) == 0
    assert overlap(Move(1.2, 1.2, 1)) == 0


def test_moves_of_neighbours_add_up():
    place = np.array([0.1, -0.2])
    first, second = Move(0.1, 0.02, 1.1), Move(-0.05, 0.1, 0.9)
    for move in (first, second):
        place = move.zoom * place + (move.dx, move.dy)
    both = combined(first, second)
    assert both.zoom * np.array([0.1, -0.2]) + (both.dx, both.dy) == pytest.approx(place)


def test_real_pans_are_found_and_acting_is_not(real_data):
    """The camera goes towards two children at a telescope; it stands still at a sandbox and a television."""
    from framekit.sources.decoding import film_pictures
    from framekit.sources.frames import Decoded
    from framekit.sources.sampling import Sampling

    def smalls(name: str, numbers: tuple[int, int]) -> list[np.ndarray]:
        sampling = Sampling(every=12)
        pictures = film_pictures(real_data / "films" / name, sampling, decoded=Decoded())
        return [small_grey(picture.image) for picture in pictures if picture.place.number in numbers]

    assert camera_move(*smalls("pennychip/stargazing.mp4", (120, 132))) == pytest.approx(
        (0, 0, 1.135), abs=0.02
    )
    assert camera_move(*smalls("pennychip/sandbox.mp4", (144, 156))) is None
    assert camera_move(*smalls("pennychip/retro_gaming.mp4", (144, 156))) is None
