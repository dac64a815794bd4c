"""What resizing costs: exact pieces of squashed frames, and measures with a known answer."""

import cv2
import numpy as np
import pytest

from framekit.audit.resizing import (
    LINE_DEPTH,
    costs,
    edge_sharpness,
    edges_of,
    enlarged,
    line_contrast,
    line_depth,
    piece_of,
    resizing,
    surroundings,
)
from framekit.audit.rows import read_rows
from tests.framekit.audit.datasets import HEIGHT, SIDE, WIDTH, drawing
from tests.oracles.audit import SlowAudit


def film_frame(height, width):
    return drawing(np.random.default_rng(1), height, width)


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (404, 719), (256, 300), (1080, 257)])
@pytest.mark.parametrize("place", [0.0, 0.37, 1.0])
def test_a_piece_is_that_part_of_the_squashed_frame(height, width, place):
    frame, side = film_frame(height, width), 256
    left, top = int((width - side) * place), int((height - side) * place)
    squashed = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
    piece = piece_of(frame[top : top + side, left : left + side], left, top, width, height)
    x, y = (
        round((start + at) / cell)
        for start, at, cell in zip((left, top), piece.box, piece.cell, strict=False)
    )
    rows, columns = piece.squashed.shape[:2]
    there = squashed[y : y + rows, x : x + columns].astype(int)
    assert np.abs(piece.squashed - there).max() <= 1
    # And no whole pixel of the squashed frame that lies in the crop is left out.
    assert (x - 1) * piece.cell[0] < left - 1e-6 or x == 0
    assert (x + columns + 1) * piece.cell[0] > left + side + 1e-6 or x + columns == side
    assert (y + rows + 1) * piece.cell[1] > top + side + 1e-6 or y + rows == side


def test_a_frame_of_the_crop_s_own_size_loses_nothing():
    crop = film_frame(64, 64)
    piece = piece_of(crop, 0, 0, 64, 64)
    assert np.array_equal(piece.squashed, crop)
    assert np.array_equal(enlarged(piece, 64), crop)


def test_a_crop_that_holds_no_whole_pixel_has_no_piece():
    assert piece_of(film_frame(16, 16), 3, 3, 400, 400) is None


def test_enlarged_pixels_stand_where_they_were():
    """A picture that is a plane stays one, whatever is squashed and enlarged again."""
    across = np.broadcast_to(np.arange(512) * 0.25, (384, 512))
    frame = np.repeat((across + 40)[..., None], 3, axis=2).round().astype(np.uint8)
    crop = frame[100:228, 201:329]
    away = enlarged(piece_of(crop, 201, 100, 512, 384), 128).astype(float) - crop
    assert np.abs(away[12:-12, 12:-12]).max() <= 1


@pytest.mark.parametrize(("levels", "pixels"), [(200, 10), (120, 4), (60, 20)])
def test_the_sharpness_of_a_ramp_is_its_levels_per_pixel(levels, pixels):
    ramp = np.interp(np.arange(80), (40 - pixels / 2, 40 + pixels / 2), (20, 20 + levels))
    grey = np.broadcast_to(ramp, (60, 80)).round().astype(np.uint8)
    middle = np.zeros(grey.shape, bool)
    middle[20:40, 40] = True
    assert edge_sharpness(grey, middle) == pytest.approx(levels / pixels, rel=0.06)
    assert edge_sharpness(grey.T.copy(), middle.T) == pytest.approx(levels / pixels, rel=0.06)


@pytest.mark.parametrize("width", [1, 3, 6])
def test_the_contrast_of_a_line_is_its_difference_from_what_is_beside_it(width):
    grey = np.full((60, 80), 200, np.uint8)
    grey[:, 40 : 40 + width] = 50
    grey[20:40, 10] = 170  # too pale to be a line
    lines = line_depth(grey, 15) >= LINE_DEPTH
    assert lines.sum() == 60 * width + 20
    lines[20:40, 10] = False
    assert line_contrast(grey, lines, 15) == 150


def test_what_is_wider_than_the_square_is_no_line():
    grey = np.full((60, 80), 200, np.uint8)
    grey[:, 30:60] = 50
    assert not line_depth(grey, 15).any()


def test_blur_lowers_both_and_the_more_the_stronger_it_is():
    grey = cv2.cvtColor(film_frame(256, 256), cv2.COLOR_RGB2GRAY)
    edges, lines = edges_of(grey), line_depth(grey, 15) >= LINE_DEPTH
    blurred = [grey, *(cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (0.7, 1.5, 3))]
    for values in (
        [edge_sharpness(picture, edges) for picture in blurred],
        [line_contrast(picture, lines, 15) for picture in blurred],
    ):
        assert values == sorted(values, reverse=True)
        assert values[-1] < 0.5 * values[0]


def test_a_thin_line_loses_what_its_share_of_a_pixel_says():
    """Two pixels of a frame of which five become one: the line keeps about two fifths of its depth."""
    frame = np.full((720, 1280, 3), 220, np.uint8)
    for x in range(102, 1280, 40):  # within one column of squashed pixels each
        frame[:, x : x + 2] = 20
    crop = frame[200:456, 300:556]
    piece = piece_of(crop, 300, 200, 1280, 720)
    assert surroundings(piece) == 15
    sharpness, contrast = costs(crop, piece)
    assert contrast.crops == 200
    assert contrast.left == pytest.approx(0.4, abs=0.08)
    assert sharpness.left < 0.5


def test_flat_pictures_tell_nothing():
    crop = np.full((64, 64, 3), 90, np.uint8)
    assert costs(crop, piece_of(crop, 10, 10, 200, 200)) == (None, None)


def test_a_dataset_s_cost_is_the_mean_over_its_crops(mixed, monkeypatch):
    monkeypatch.setattr("framekit.audit.resizing.SAMPLED", 10_000)  # all of them
    rows, slow = read_rows(mixed), SlowAudit(mixed)
    found = resizing(rows, [])
    assert (found.side, found.cell) == (SIDE, (WIDTH / SIDE, HEIGHT / SIDE))
    sizes = {row["frame_id"]: (row["width"], row["height"]) for row in slow.frames}
    sharpness, contrast = [], []
    for row, pair in zip(slow.pairs, slow.manifest, strict=True):
        piece = piece_of(pair.image, row["crop_x"], row["crop_y"], *sizes[row["frame_id"]])
        cost = costs(pair.image, piece)
        if None not in cost:
            sharpness.append(cost[0])
            contrast.append(cost[1])
    assert found.crops == len(sharpness) > 3
    for told, of in ((found.edge_sharpness, sharpness), (found.line_contrast, contrast)):
        assert told.crops == pytest.approx(np.mean([cost.crops for cost in of]), rel=1e-3)
        assert told.squashed == pytest.approx(np.mean([cost.squashed for cost in of]), rel=1e-3)
        assert told.left < 1
