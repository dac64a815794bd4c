"""Fixtures that several packages' tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real films and photos; tests that ask for it skip without it."""
    folder = os.environ.get("FRAMEKIT_TEST_DATA")
    if not folder:
        pytest.skip("FRAMEKIT_TEST_DATA names no folder of real films")
    return Path(folder)
