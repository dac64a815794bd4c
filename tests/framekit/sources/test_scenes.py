from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from framekit.sources.scenes import Shot, find_shots
from pipelines.demo_film import draw_film
from tests.films import numbered_frame

RATE = Fraction(24)
BIG_BUCK_BUNNY = [
    *[210, 324, 402, 543, 590, 644, 696, 806, 1051, 1093, 1301, 1405, 1624, 1756, 1829, 1894, 1979, 2467],
    *[2535, 2708, 2828, 2865, 2890],
]


def panned_shot(scene: int, length: int, *, hold: int = 2) -> list[np.ndarray]:
    """A camera that moves over a painting; each drawing stays for `hold` frames."""
    painting = cv2.GaussianBlur(numbered_frame(scene, width=1024, height=144, seed=3), (0, 0), 6)
    lefts = [4 * (frame // hold * hold) for frame in range(length)]
    return [np.ascontiguousarray(painting[:, left : left + 256]) for left in lefts]


def starts(shots: list[Shot]) -> list[int]:
    return [shot.start for shot in shots]


@pytest.mark.parametrize("hold", [1, 2, 3, 4])
def test_drawings_held_for_some_frames_are_no_cuts(hold):
    lengths = [36, 24, 60, 48]
    film = [picture for n, length in enumerate(lengths) for picture in panned_shot(n, length, hold=hold)]
    assert starts(find_shots(enumerate(film), frame_rate=RATE)) == [0, 36, 60, 120]


def test_the_demo_film_is_cut_where_it_was_drawn(tmp_path):
    truth = draw_film(tmp_path / "demo.mp4", size=(256, 144))
    shots = find_shots(small_pictures(tmp_path / "demo.mp4"), frame_rate=truth.rate)
    assert starts(shots) == [shot.start for shot in truth.shots]


@pytest.mark.parametrize("detector", ["adaptive", "content"])
@pytest.mark.parametrize("first", [0, 700])
@pytest.mark.parametrize("length", [1, 2, 5, 40])
def test_every_frame_is_in_exactly_one_shot(detector, first, length):
    film = panned_shot(0, length) + panned_shot(1, length)
    shots = find_shots(enumerate(film, first), frame_rate=RATE, detector=detector)
    assert shots[0].start == first
    assert shots[-1].stop == first + len(film)
    assert all(before.stop == after.start for before, after in pairwise(shots))
    assert all(shot.start < shot.stop for shot in shots)


def test_no_frames_have_no_shots():
    assert find_shots([], frame_rate=RATE) == []


def test_a_flash_makes_no_shots_of_its_own():
    film = panned_shot(0, 96)
    film[40:42] = [np.full_like(film[0], 255)] * 2
    assert all(shot.stop - shot.start >= 12 for shot in find_shots(enumerate(film), frame_rate=RATE))


def test_a_dissolve_is_not_found():
    """A limit of what finds cuts: two shots that melt into one another over a second count as one."""
    before, after = panned_shot(0, 72), panned_shot(1, 72)
    mixed = [cv2.addWeighted(before[i - 24], 1 - i / 24, after[i], i / 24, 0) for i in range(24)]
    film = before[:-24] + mixed + after[24:]
    assert len(find_shots(enumerate(film), frame_rate=RATE)) == 1


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "cuts"),
    [
        ("big-buck-bunny.ts", BIG_BUCK_BUNNY),
        ("popeye/sindbad-1.mkv", [74, 331, 530, 738, 1071, 1336]),
        ("popeye/sindbad-2.mkv", [567, 661, 994]),
    ],
)
def test_cuts_of_real_films(real_data, name, cuts):
    shots = find_shots(small_pictures(real_data / "films" / name), frame_rate=RATE)
    assert starts(shots) == [0, *cuts]


def small_pictures(path: Path):
    with av.open(str(path)) as film:
        for number, frame in enumerate(film.decode(video=0)):
            yield number, frame.reformat(width=256, height=144, format="rgb24").to_ndarray()
