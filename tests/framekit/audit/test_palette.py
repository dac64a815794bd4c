"""Colours of films."""

import numpy as np

from framekit.audit.palette import over_time, palette
from framekit.audit.rows import read_rows
from tests.framekit.audit.datasets import FILMS, STILLS


def stripes(*parts):
    """(1, 20, 100, 3): each colour over so many of a hundred columns."""
    columns = [colour for colour, width in parts for _ in range(width)]
    return np.broadcast_to(np.array(columns, np.uint8), (1, 20, 100, 3)).copy()


def test_the_colours_of_stripes_are_found_with_their_shares():
    found = palette(stripes(((255, 0, 0), 50), ((16, 32, 48), 30), ((250, 250, 250), 20)))
    assert [(its.colour, its.share) for its in found] == [
        ("#ff0000", 0.5),
        ("#102030", 0.3),
        ("#fafafa", 0.2),
    ]


def test_more_colours_than_asked_for_are_joined_by_likeness():
    parts = ((250, 0, 0), 30), ((240, 8, 8), 20), ((0, 0, 200), 30), ((8, 8, 190), 20)
    found = palette(stripes(*parts), colours=2)
    assert [its.share for its in found] == [0.5, 0.5]
    assert {its.colour[1] for its in found} == {"f", "0"}


def test_it_is_the_same_every_time():
    noise = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8)
    assert palette(noise) == palette(noise)


def test_colour_over_time_has_a_column_for_each_sample_of_a_short_film(mixed):
    rows = read_rows(mixed)
    assert over_time(rows, 0).shape == (9, 30, 3)
    assert over_time(rows, [source.id for source in rows.sources].index(STILLS)) is None
    assert over_time(rows, [source.id for source in rows.sources].index(FILMS[2])) is None


def test_every_source_that_gave_frames_has_a_palette(audited):
    assert [its.source for its in audited.figures.palettes] == [*FILMS[:2], STILLS]
    for its in audited.figures.palettes:
        assert abs(sum(colour.share for colour in its.colours) - 1) < 0.001
