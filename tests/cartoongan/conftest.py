"""Small datasets, small options, and one finished run that many tests look at."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # bit-for-bit claims are about the CPU

import pytest
import torch

from cartoongan.options import TrainOptions
from cartoongan.trainer import RunSummary, train
from tests.cartoongan.datasets import drawing, photo, write_dataset
from tests.cartoongan.small_features import PLACE

torch.set_num_threads(1)

SMALL = TrainOptions(
    base_channels=4,
    residual_blocks=1,
    crop_size=32,
    batch_size=2,
    init_steps=2,
    max_steps=6,
    checkpoint_every=2,
    sample_every=3,
    samples=2,
    lr=2e-2,  # so that the few steps show
    features=PLACE,
    precision="fp32",  # whatever this machine has
    workers=0,
)


@pytest.fixture(scope="session")
def small() -> TrainOptions:
    return SMALL


@pytest.fixture(scope="session")
def cartoons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cartoons")
    return write_dataset(root, [drawing(number) for number in range(5)], smooth=True)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    return write_dataset(root, [photo(number) for number in range(7)], smooth=False)


@pytest.fixture(scope="session")
def finished(cartoons: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    """A run of `SMALL`, never stopped. Not to be changed."""
    summary = train(cartoons, photos, tmp_path_factory.mktemp("finished") / "run", SMALL)
    assert summary
    return summary


@pytest.fixture(scope="session")
def vgg_file() -> Path:
    """A real VGG19 up to conv4_4."""
    data = os.environ.get("FRAMEKIT_TEST_DATA")
    if not data:
        pytest.skip("FRAMEKIT_TEST_DATA does not say where the real data are")
    path = Path(data).parent / "weights" / "vgg19_to_conv4_4.safetensors"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path
