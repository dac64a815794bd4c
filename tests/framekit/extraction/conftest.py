import pytest

from tests.films import numbered_film


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """A folder with two films, whose drawings are held for eight frames."""
    folder = tmp_path_factory.mktemp("films")
    numbered_film(folder / "one.mp4", 96, seed=1, hold=8)
    numbered_film(folder / "two.mkv", 64, seed=2, hold=8)
    return folder
