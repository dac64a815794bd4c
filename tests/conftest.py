"""Fixtures that several packages' tests share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.odd_films import ODD_FILMS


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real films and photos; tests that ask for it skip without it."""
    folder = os.environ.get("FRAMEKIT_TEST_DATA")
    if not folder:
        pytest.skip("FRAMEKIT_TEST_DATA names no folder of real films")
    return Path(folder)


@pytest.fixture(scope="session")
def odd_film(tmp_path_factory) -> Callable[[str], Path]:
    """Builds an odd film by its name, once a session."""
    made: dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in made:
            made[name] = ODD_FILMS[name](tmp_path_factory.mktemp(name))
        return made[name]

    return build
