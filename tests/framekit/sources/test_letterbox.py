"""Black bars are found to two pixels where a film has them, and nowhere else."""

import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from framekit.images.hashing import distance, perceptual_hash, small_grey
from framekit.sources.film import pixel_aspect
from framekit.sources.letterbox import Box, find_bars
from framekit.sources.picture import to_rgb
from pipelines.demo_film import film_truth, frames
from tests.films import write_film

SIZE = (640, 360)
SECONDS = 15.0
DATA = Path(os.environ.get("FRAMEKIT_TEST_DATA", "nowhere"))
real = pytest.mark.skipif(not DATA.is_dir(), reason="FRAMEKIT_TEST_DATA does not point at the real films")

BARS = {  # top, bottom, left, right
    "letterbox": (44, 44, 0, 0),
    "pillarbox": (0, 0, 80, 80),
    "both": (44, 44, 80, 80),
    "odd": (31, 32, 0, 0),
    "narrow left": (0, 0, 5, 0),
    "edge between pixels": (0, 0, 79, 81),
}
GOOD_AND_BAD = {
    "x264 crf 18": ("film.mp4", {"codec": "libx264", "options": {"crf": "18"}}),
    "x264 crf 38": ("film.mp4", {"codec": "libx264", "options": {"crf": "38", "preset": "veryfast"}}),
    "mpeg2 coarse": ("film.ts", {"codec": "mpeg2video", "options": {"qmin": "12", "qscale": "12"}}),
    "mpeg4 coarse": ("film.avi", {"codec": "mpeg4", "options": {"qmin": "12", "qscale": "12"}}),
}


@pytest.fixture(scope="module")
def film() -> list[np.ndarray]:
    """Every sixth frame of the demo film, without bars."""
    return [image for number, image in enumerate(frames(seconds=SECONDS, size=SIZE)) if number % 6 == 0]


def with_bars(film: list[np.ndarray], bars: tuple[int, int, int, int], black: int = 0) -> list[np.ndarray]:
    top, bottom, left, right = bars
    barred = []
    for picture in film:
        image = np.full_like(picture, black)
        inner = np.s_[top : image.shape[0] - bottom, left : image.shape[1] - right]
        image[inner] = picture[inner]
        barred.append(image)
    return barred


def box_of(bars: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> Box:
    top, bottom, left, right = bars
    return Box(size[0] - left - right, size[1] - top - bottom, left, top)


def sides(box: Box) -> np.ndarray:
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height])


def inside_by(found: Box, truth: Box) -> np.ndarray:
    """How many pixels further in than the truth each of the four edges is."""
    return (sides(found) - sides(truth)) * [1, 1, -1, -1]


def decoded(path: Path, step: int = 1) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        numbered = enumerate(container.decode(stream))
        return [to_rgb(frame, pixel_aspect(stream)) for number, frame in numbered if number % step == 0]


@pytest.mark.parametrize("kind", BARS)
def test_bars_are_found_to_the_pixel_where_nothing_is_lost(film, kind):
    assert find_bars(with_bars(film, BARS[kind])) == box_of(BARS[kind])


def test_the_demo_films_own_letterbox_is_found():
    pictures = (
        image
        for number, image in enumerate(frames(seconds=SECONDS, size=SIZE, letterbox=True))
        if number % 6 == 0
    )
    x, y, width, height = film_truth(seconds=SECONDS, size=SIZE, letterbox=True).picture_box
    assert find_bars(pictures) == Box(width, height, x, y)


@pytest.mark.parametrize("quality", GOOD_AND_BAD)
@pytest.mark.parametrize("kind", BARS)
def test_bars_of_a_lossy_film_are_found_to_two_pixels_and_no_dark_line_stays(film, kind, quality, tmp_path):
    name, how = GOOD_AND_BAD[quality]
    pictures = decoded(write_film(tmp_path / name, with_bars(film, BARS[kind]), **how))
    truth, found = box_of(BARS[kind]), find_bars(pictures)
    assert found is not None
    assert (np.abs(inside_by(found, truth)) <= 2).all(), found
    assert (inside_by(found, truth) >= 0).all(), f"{found} leaves bar in"


def test_an_edge_that_falls_within_a_pixel_is_cut_behind_it(film):
    pictures = with_bars(film, (0, 0, 80, 80))
    for image in pictures:
        image[:, 80] = image[:, 80] // 3
    assert find_bars(pictures) == box_of((0, 0, 81, 80))


def test_black_at_16_is_black(film):
    assert find_bars(with_bars(film, BARS["letterbox"], black=16)) == box_of(BARS["letterbox"])


def test_subtitles_in_a_bar_are_cut_off_with_it(film):
    pictures = with_bars(film, BARS["letterbox"])
    words = "Ahoy there! I said what she wrote you never come back now".split()
    for number, image in enumerate(pictures):
        if number % 3:
            text = " ".join(words[(number * step) % len(words)] for step in range(1, 4 + number % 4))
            width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 1)[0][0]
            where = ((SIZE[0] - width) // 2, 345)
            cv2.putText(image, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 1, cv2.LINE_AA)
    assert find_bars(pictures) == box_of(BARS["letterbox"])


def test_a_mark_that_stays_in_a_bar_makes_it_picture(film):
    pictures = with_bars(film, BARS["letterbox"])
    for image in pictures:
        image[330:345, 560:610] = 200
    assert find_bars(pictures) is None


def test_a_film_without_bars_has_none(film):
    assert find_bars(film) is None


@pytest.mark.parametrize("full", [0.05, 0.15, 0.5, 0.8])
def test_a_frame_around_only_some_scenes_is_no_bar(film, full):
    boxed = with_bars(film, BARS["both"])
    start = 12
    stop = start + round(full * len(film))
    assert find_bars(boxed[:start] + film[start:stop] + boxed[stop:]) is None


def test_one_flash_does_not_hide_the_bars(film):
    pictures = with_bars(film, BARS["letterbox"])
    pictures[20] = np.full_like(pictures[20], 255)
    assert find_bars(pictures) == box_of(BARS["letterbox"])


def night(number: int, ground: bool = False) -> np.ndarray:
    """A black sky with a moon that wanders and stars that stay; on request, with lit and level snow below."""
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    stars = np.random.default_rng(1).integers(0, (SIZE[0], 240), (60, 2))
    for x, y in stars if not ground else []:
        image[y, x] = 220
    cv2.circle(image, (100 + 8 * number, 150), 40, (240, 240, 200), -1, cv2.LINE_AA)
    if ground:
        image[250:] = (150, 160, 190)
    return image


@pytest.mark.parametrize("ground", [False, True])
def test_a_night_film_has_no_bars(ground):
    assert find_bars(night(number, ground) for number in range(40)) is None


def test_a_dark_scene_does_not_widen_the_bars(film):
    pictures = with_bars(film, BARS["letterbox"])
    dark = [night(number) // 8 for number in range(len(film) // 2)]
    assert find_bars(pictures[: len(film) // 2] + dark) == box_of(BARS["letterbox"])


@pytest.mark.parametrize("shape", ["round", "across"])
def test_a_vignette_is_no_bar(film, shape):
    y, x = np.mgrid[-1 : 1 : SIZE[1] * 1j, -1 : 1 : SIZE[0] * 1j]
    far = np.hypot(x, y) if shape == "round" else np.abs(x)
    light = np.clip((1.0 - far) / 0.4, 0, 1)[..., None]
    assert find_bars((image * light).astype(np.uint8) for image in film) is None


@pytest.mark.parametrize("count", [0, 1, 4])
def test_few_pictures_are_no_evidence(film, count):
    assert find_bars(with_bars(film, BARS["letterbox"])[30 : 30 + count]) is None


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (64, 48)])
def test_all_black_tiny_or_both_has_no_bars(size):
    assert find_bars(np.zeros((*size, 3), np.uint8) for _ in range(30)) is None
    assert find_bars(np.full((*size, 3), 200, np.uint8) for _ in range(30)) is None


def test_pictures_of_several_sizes_have_no_common_bars(film):
    barred = with_bars(film, BARS["letterbox"])
    assert find_bars([*barred, barred[0][:-2]]) is None


def test_pictures_are_gone_through_once_and_left_as_they_were(film):
    pictures = with_bars(film, BARS["letterbox"])
    for image in pictures:
        image.flags.writeable = False
    assert find_bars(iter(pictures)) == box_of(BARS["letterbox"])


def test_hashes_of_cut_pictures_are_those_of_the_film_without_bars(film):
    bars = BARS["letterbox"]
    box = box_of(bars)
    found = find_bars(with_bars(film, bars))
    for barred, picture in zip(with_bars(film, bars), film, strict=True):
        wanted = perceptual_hash(small_grey(box.cut(picture)))
        assert distance(perceptual_hash(small_grey(found.cut(barred))), wanted) == 0


@real
@pytest.mark.real
def test_steamboat_willie_has_bars_at_the_sides():
    found = find_bars(decoded(DATA / "films/steamboat-willie.mp4", 12))
    # Seen on enlarged frames: column 138 is half bar, 139 the first of the picture, 714 the last, 715 half.
    assert found is not None
    assert (np.abs(sides(found) - [139, 0, 715, 480]) <= 2).all(), found
    assert (found.y, found.height) == (0, 480)


WITHOUT_BARS = (
    "films/popeye/sindbad-1.mkv 50",
    "films/popeye/sindbad-2.mkv 50",
    "films/big-buck-bunny.ts 50",
    "films/pennychip/stargazing.mp4 12",
    "films/pennychip/xmas.mp4 12",
    "films/pennychip/retro_gaming.mp4 12",
    "films/pennychip/outro.mp4 12",
    "films/synfig/syn_dragon_10.flv 2",
    "films/synfig/syn_flame.mp4 4",
    "films/synfig/syn_forest_on_fire__1passCBR15.mp4 12",
    "films/synfig/syn_glyphs_2x_crf13k.mp4 12",
    *(
        f"oddities/{name} 2"
        for name in (
            "BA_MW_D_P_LOST.264",
            "SVA_BA1_B.264",
            "animated.gif",
            "av1_video.mkv",
            "bt2020_10bit.mp4",
            "h264_10bits.mp4",
            "h265_10bits.mp4",
            "interlaced_tff_pal.mpg",
            "no_duration.webm",
            "popeye_sd_sar8x9.mkv",
            "roadtrip-vp92-10bit.webm",
            "rotated.mp4",
            "sine_stereo_mp2.mpg",
            "test_non_zero_start.mp4",
            "testsrc2_mpeg4.avi",
            "testsrc2_vp9.webm",
            "vfr.mp4",
        )
    ),
)


@real
@pytest.mark.real
@pytest.mark.parametrize("film", WITHOUT_BARS)
def test_real_films_without_bars_have_none(film):
    name, step = film.split()
    assert find_bars(decoded(DATA / name, int(step))) is None


def test_a_box_is_written_as_it_is_read():
    box = Box(1280, 544, 0, 88)
    assert str(box) == "1280:544:0:88"
    assert Box.parse(str(box)) == box


@pytest.mark.parametrize("text", ["", "1280:544", "1280:544:0:-8", "a:b:c:d", "1280:544:0:88:1", "٣:3:3:3"])
def test_what_is_no_box_is_refused_with_what_it_should_be(text):
    with pytest.raises(ValueError, match=r"is not W:H:X:Y in pixels, such as 1280:544:0:88"):
        Box.parse(text)


@pytest.mark.parametrize("text", ["0:544:0:88", "1280:0:0:88"])
def test_an_empty_box_is_refused(text):
    with pytest.raises(ValueError, match="the box is empty"):
        Box.parse(text)


def test_a_box_cuts_a_view_and_only_what_it_fits():
    image = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    box = Box(3, 2, 4, 1)
    cut = box.cut(image)
    assert cut.base is not None
    assert np.array_equal(cut, image[1:3, 4:7])
    assert box.fits(7, 3)
    assert not box.fits(6, 3)
    assert not box.fits(7, 2)
    with pytest.raises(ValueError, match="3:2:4:1 does not fit a picture of 6x6"):
        box.cut(image[:, :6])
