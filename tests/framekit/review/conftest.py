"""A small dataset to review."""

import shutil

import pytest

from framekit.extraction.extract import extract
from framekit.options import ExtractOptions
from tests.films import numbered_film

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="package")
def two_films(tmp_path_factory):
    """Two films: 24 frames of drawings that are held, and under a hostile name 12 of which each is alone."""
    folder = tmp_path_factory.mktemp("films")
    numbered_film(folder / "one.mp4", 96, seed=1, hold=8)
    numbered_film(folder / f"{HOSTILE}.mkv", 48, seed=2)
    out = tmp_path_factory.mktemp("reviewed") / "dataset"
    extract([str(folder)], out, ExtractOptions(every=4, crop_size=96, crops_per_frame=2), workers=1)
    return out


@pytest.fixture
def dataset(two_films, tmp_path):
    """A copy that a test may decide about."""
    return shutil.copytree(two_films, tmp_path / "dataset")
