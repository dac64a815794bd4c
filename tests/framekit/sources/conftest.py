"""Films that several tests of this room share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.odd_films import ODD_FILMS


@pytest.fixture(scope="session")
def odd_film(tmp_path_factory) -> Callable[[str], Path]:
    """Builds an odd film by its name, once a session."""
    made: dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in made:
            made[name] = ODD_FILMS[name](tmp_path_factory.mktemp(name))
        return made[name]

    return build
