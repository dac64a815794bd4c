"""Real films lose by the default limits what no one would want; composed credits and logos are found."""

import itertools
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from framekit.images.hashing import small_grey
from framekit.images.overlay import Overlay
from framekit.images.quality import measure
from framekit.images.rules import left_out
from framekit.images.transitions import transition
from framekit.options import Limits
from framekit.sources.decoding import Look, film_pictures
from framekit.sources.film import read_facts
from framekit.sources.frames import Decoded
from framekit.sources.sampling import Sampling, parse_skip
from framekit.sources.survey import survey

LINES = (
    "Directed by",
    "Background Artists",
    "Ink and Paint",
    "Music and Story",
    "Sound Editor",
    "Special Thanks to",
)


@lru_cache(maxsize=1)  # tests of one film stand together
def pictures(film: Path, sampling: Sampling, letterbox: str = "auto") -> dict[int, np.ndarray]:
    """(H, W, 3) uint8 pictures by number, bars cut off."""
    look = Look("auto", False, survey(film, read_facts(film), letterbox=letterbox).box)
    taken = film_pictures(film, sampling, decoded=Decoded(), look=look)
    return {picture.place.number: picture.image for picture in taken}


def reasons(images: list[np.ndarray]) -> list[str | None]:
    """Why pictures that follow on each other are left out by default; None for those that stay."""
    smalls = [None, *map(small_grey, images), None]
    found: list[str | None] = []
    for image, before, small, after in zip(images, smalls, smalls[1:], smalls[2:], strict=False):
        assert small is not None
        told = measure(image)._asdict() | transition(before, small, after)._asdict()
        measures = {name: np.array([value], float) for name, value in told.items()}
        found.extend(left_out(measures, Limits().frame_rules(), 1))
    return found


def left_out_of(film: Path, sampling: Sampling) -> dict[int, str]:
    taken = pictures(film, sampling)
    found = zip(taken, reasons(list(taken.values())), strict=True)
    return {number: why for number, why in found if why is not None}


def keyframes(real_data: Path, name: str) -> list[np.ndarray]:
    return list(pictures(real_data / "films" / name, Sampling(keyframes=True)).values())


def written(image: np.ndarray, count: int, size: int, *, top: int, ink: int = 245) -> np.ndarray:
    """The picture with `count` lines of credits in the middle, outlined like subtitles."""
    page = Image.fromarray(image)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    for number, line in enumerate(itertools.islice(itertools.cycle(LINES), count)):
        place = image.shape[1] / 2, top + number * 1.5 * size
        pen.text(place, line, (ink,) * 3, font, "mt", stroke_width=2, stroke_fill=(255 - ink,) * 3)
    return np.asarray(page)


@pytest.mark.real
@pytest.mark.parametrize(
    ("clip", "faded"),
    [("easter", {180}), ("sandbox", {180}), ("splash", {180}), ("xmas", {180}), ("skateboarding", {180})],
)
def test_the_end_of_a_fade_is_left_out_and_nothing_else(real_data, clip, faded):
    assert left_out_of(real_data / f"films/pennychip/{clip}.mp4", Sampling(every=12)).keys() == faded


@pytest.mark.real
def test_frames_of_one_dark_colour_are_left_out(real_data):
    flashes = Sampling(every=12, skip=(parse_skip("0-35.3"), parse_skip("40.2-end")))
    found = left_out_of(real_data / "films/popeye/sindbad-1.mkv", flashes)
    assert found == {852: "flat", 960: "flat"}


@pytest.mark.real
def test_pictures_without_neighbours_stay(real_data):
    photos = sorted((real_data / "photos").rglob("*.jpg"))[::6]
    images = [cv2.imread(str(photo))[..., ::-1].copy() for photo in photos]
    assert images
    assert not any(reasons([image])[0] for image in images)


@pytest.mark.parametrize("size", [28, 36, 64])
@pytest.mark.parametrize("ground", [(0, 0, 0), (12, 10, 30), (240, 240, 235)])
def test_credits_on_one_colour_are_left_out(size, ground):
    ink = 245 if sum(ground) < 300 else 10
    for count in (2, 6) if size < 64 else (1, 3):
        page = np.full((720, 1280, 3), ground, np.uint8)
        assert reasons([written(page, count, size, top=100, ink=ink)]) == ["credits"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("film", "sampling"),
    [
        ("steamboat-willie.mp4", Sampling(every=48)),
        ("synfig/syn_dragon_10.flv", Sampling(every=12)),  # a river by night
        ("pennychip/stargazing.mp4", Sampling(every=24)),
        ("big-buck-bunny.ts", Sampling(keyframes=True)),
    ],
)
def test_night_and_bright_sky_stay(real_data, film, sampling):
    assert left_out_of(real_data / "films" / film, sampling) == {}


@pytest.mark.real
def test_scenes_with_subtitles_stay(real_data):
    for image in keyframes(real_data, "big-buck-bunny.ts")[::3]:
        for scene in (image, (0.3 * image).astype(np.uint8)):  # by day and by night
            assert reasons([written(scene, 2, 40, top=590)]) == [None]


def found_in(images: list[np.ndarray]) -> tuple[float, float, float, float] | None:
    overlay = Overlay()
    for image in images:
        overlay.add(image)
    return overlay.box()


@pytest.mark.real
@pytest.mark.parametrize("strength", [0.3, 0.8])
def test_a_logo_over_a_film_is_found_within_a_few_pixels(real_data, strength):
    marked = []
    for image in keyframes(real_data, "big-buck-bunny.ts"):
        logo = image.copy()
        cv2.rectangle(logo, (1120, 40), (1219, 89), (255, 255, 255), 6)
        marked.append(cv2.addWeighted(logo, strength, image, 1 - strength, 0))
    found = found_in(marked)
    assert found is not None
    assert np.array(found) * (640, 360, 640, 360) == pytest.approx((558, 18, 53, 28), abs=4)


@pytest.mark.real
@pytest.mark.parametrize("film", ["big-buck-bunny.ts", "popeye/sindbad-2.mkv"])
def test_films_without_a_logo_have_none(real_data, film):
    assert found_in(keyframes(real_data, film)) is None


@pytest.mark.real
def test_the_mark_that_real_clips_bear_is_found(real_data):
    clips = sorted((real_data / "films/pennychip").glob("*.mp4"))
    late = Sampling(every=168, skip=(parse_skip("0-6.5"),))  # they open on the same scene
    marked = [image for clip in clips for image in pictures(clip, late, "off").values()]
    found = found_in(marked)
    assert found is not None
    assert np.array(found) * (640, 360, 640, 360) == pytest.approx((598, 335, 34, 16), abs=4)
