import pytest

from framekit.extraction.extract import Extraction, extract
from framekit.options import ExtractOptions
from tests.films import numbered_film


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """A folder with two films, whose drawings are held for eight frames."""
    folder = tmp_path_factory.mktemp("films")
    numbered_film(folder / "one.mp4", 96, seed=1, hold=8)
    numbered_film(folder / "two.mkv", 64, seed=2, hold=8)
    return folder


@pytest.fixture(scope="session")
def made(films, tmp_path_factory) -> Extraction:
    """What one process makes of the two films; to be read, or copied."""
    out = tmp_path_factory.mktemp("made") / "dataset"
    return extract([str(films)], out, ExtractOptions(every=4, crop_size=64, crops_per_frame=3), workers=1)
