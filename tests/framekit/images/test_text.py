"""Credits, titles and subtitles cover a share of the picture; drawings hardly do."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from framekit.images.text import text_share
from tests.framekit.images.test_edges import drawing

CREDITS = ["Directed by", "Animation and story", "Background artists", "Music and sound", "Colour design"]


def written(lines: list[str], *, size: int, ground: np.ndarray | int = 0, ink: int = 240, top: int = 60):
    """(360, 640) uint8 with lines of text in the middle."""
    picture = np.full((360, 640), ground, np.uint8) if isinstance(ground, int) else ground
    page = Image.fromarray(picture)
    pen = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        place = 320, top + number * round(1.6 * size)
        pen.text(place, line, ink, ImageFont.load_default(size), anchor="mt")
    return np.asarray(page)


@pytest.mark.parametrize("size", [16, 22, 32])
@pytest.mark.parametrize(("ground", "ink"), [(0, 240), (235, 10), (40, 200)])
def test_credits_are_found_in_both_colours(size, ground, ink):
    assert text_share(written(CREDITS, size=size, ground=ground, ink=ink)) > 0.03


def test_large_titles_are_found():
    assert text_share(written(["Steamboat"], size=80, top=140)) > 0.08


def test_subtitles_cover_their_lines():
    scene = cv2.GaussianBlur(cv2.cvtColor(drawing(360, 640), cv2.COLOR_RGB2GRAY), (0, 0), 3)
    scene[300:] = 90
    alone = text_share(scene)
    assert alone < text_share(written(["What are you doing here?"], size=22, ground=scene, top=315))


def test_nothing_is_read_into_an_empty_page_stripes_or_dots():
    page = np.full((360, 640), 255, np.uint8)
    assert text_share(page) == 0
    page[::12] = page[:, ::40] = 0
    assert text_share(page) == 0
    assert text_share(np.zeros((5, 5), np.uint8)) == 0
