"""One small dataset that was really extracted, of a film and of pictures; to be copied."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from framekit.extraction.extract import extract
from tests.films import numbered_film, numbered_frame
from tests.hostile.uses import OPTIONS

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    numbered_film(folder / "film.mp4", 24, seed=1, hold=2)
    (folder / "photos" / "people").mkdir(parents=True)
    for number in range(3):
        image = Image.fromarray(numbered_frame(number, width=96, height=64, seed=7))
        image.save(folder / "photos" / "people" / f"{number}.png")
    sources = [str(folder / "film.mp4"), str(folder / "photos")]
    extract(sources, folder / "dataset", OPTIONS, workers=1)
    return folder / "dataset"
