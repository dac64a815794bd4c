"""Datasets to audit."""

import shutil

import pytest

from framekit.audit.auditing import audit
from framekit.extraction.extract import extract
from framekit.options import ExtractOptions
from tests.films import numbered_film
from tests.framekit.audit.datasets import HOSTILE, varied


@pytest.fixture(scope="package")
def mixed(tmp_path_factory):
    """A bit of everything; nobody changes it."""
    return varied(tmp_path_factory.mktemp("mixed") / "dataset")


@pytest.fixture(scope="package")
def audited(mixed):
    return audit(mixed)


@pytest.fixture
def dataset(mixed, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(mixed, tmp_path / "dataset")


@pytest.fixture(scope="package")
def films(tmp_path_factory):
    """From two films of drawings that are held, one with a name that no page may take for markup."""
    folder = tmp_path_factory.mktemp("films")
    numbered_film(folder / f"{HOSTILE}.mkv", 96, seed=1, hold=8)
    numbered_film(folder / "two.mp4", 48, seed=2)
    out = tmp_path_factory.mktemp("from-films") / "dataset"
    extract([str(folder)], out, ExtractOptions(every=4, crop_size=96, crops_per_frame=2), workers=1)
    return out
