"""Samples: the stream is a function of seed and step, and both halves of a pair stay together."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import framekit.manifest
from cartoongan.data import CARTOONS, PHOTOS, Batches, Samples, centres, check_data, samples_of, stream
from cartoongan.options import TrainOptions
from framekit.errors import CommandError, FramekitError
from tests.cartoongan.datasets import SIDE, drawing, write_dataset


def coordinates(side: int, number: int) -> np.ndarray:
    """A picture in which every pixel says where it stands."""
    y, x = np.mgrid[:side, :side].astype(np.uint8)
    return np.dstack([y, x, np.full_like(x, number)])


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of coordinates; the smoothed half is marked in blue and nothing else."""
    images = [coordinates(SIDE, number) for number in range(4)]
    halves = [image + np.array([0, 0, 100], np.uint8) for image in images]
    return write_dataset(tmp_path_factory.mktemp("mapped"), images, smooth=True, halves=halves)


def samples(root: Path, domain: int, seed: int = 0) -> Samples:
    return Samples(framekit.manifest.open(root).reader(), domain=domain, crop_size=32, seed=seed)


def numbers_seen(images: Iterable[dict[str, np.ndarray]]) -> list[int]:
    """Which of the mapped pictures they are cut from."""
    return [int(image["image"][0, 0, 2]) for image in images]


def batches(cartoons: Path, photos: Path, options: TrainOptions, init_steps: int = 2) -> Batches:
    readers = (framekit.manifest.open(root).reader() for root in (cartoons, photos))
    return Batches(*readers, options=options, init_steps=init_steps)


def test_every_epoch_is_a_pass_in_an_order_of_its_own(mapped: Path) -> None:
    seen = numbers_seen(samples(mapped, PHOTOS).at(range(32)))
    epochs = [seen[start : start + 4] for start in range(0, 32, 4)]
    assert all(sorted(epoch) == [0, 1, 2, 3] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 3


def test_order_depends_on_seed_and_domain(mapped: Path) -> None:
    def order(seed: int, domain: int) -> list[int]:
        return numbers_seen(samples(mapped, domain, seed).at(range(20)))

    assert order(0, PHOTOS) == order(0, PHOTOS)
    assert order(0, PHOTOS) != order(1, PHOTOS)
    assert order(0, PHOTOS) != order(0, CARTOONS)


def test_a_sample_is_a_function_of_its_number(mapped: Path) -> None:
    whole = list(samples(mapped, CARTOONS).at(range(20)))
    for numbers in ([7], range(3, 9), range(1, 20, 3)):
        for number, sample in zip(numbers, samples(mapped, CARTOONS).at(numbers), strict=True):
            assert np.array_equal(sample["image"], whole[number]["image"])
            assert np.array_equal(sample["smoothed"], whole[number]["smoothed"])


def test_crop_and_flip_are_alike_for_both_halves(mapped: Path) -> None:
    for sample in samples(mapped, CARTOONS).at(range(40)):
        assert sample["image"].shape == sample["smoothed"].shape == (32, 32, 3)
        assert np.array_equal(sample["image"][..., :2], sample["smoothed"][..., :2])
        assert np.array_equal(sample["image"][..., 2] + 100, sample["smoothed"][..., 2])


def test_pictures_are_cut_and_mirrored_but_never_resized(mapped: Path) -> None:
    corners, flips = collections.Counter(), 0
    for sample in samples(mapped, PHOTOS).at(range(200)):
        image = sample["image"].astype(int)
        rows, columns = image[:, 0, 0], image[0, :, 1]
        assert np.array_equal(np.diff(rows), np.ones(31))
        flipped = columns[0] > columns[-1]
        assert np.array_equal(np.diff(columns), np.full(31, -1 if flipped else 1))
        corners[rows[0], columns.min()] += 1
        flips += flipped
    assert 70 < flips < 130
    assert len(corners) > 50  # of the 81 there are
    assert {row for row, _ in corners} == {column for _, column in corners} == set(range(SIDE - 32 + 1))


def test_photos_are_shrunk_by_the_jitter_and_never_squashed(mapped: Path, small: TrainOptions) -> None:
    options = small.model_copy(update={"scale_jitter": 0.5})  # up to 48 pixels, of which there are 40
    reader = framekit.manifest.open(mapped).reader()
    scales = []
    for sample in samples_of(reader, PHOTOS, options).at(range(100)):
        assert sample["image"].shape == (32, 32, 3)
        rows, columns = (np.ptp(sample["image"][..., axis].astype(int)) for axis in (0, 1))
        assert abs(rows - columns) <= 1
        scales.append(rows / 31)
    assert min(scales) < 1.05 and max(scales) > 1.2 and min(scales) >= 0.95 and max(scales) <= 40 / 31
    again = samples_of(reader, PHOTOS, options).at([99])
    assert np.array_equal(next(again)["image"], sample["image"])


def test_drawings_are_never_shrunk(mapped: Path, small: TrainOptions) -> None:
    reader, options = framekit.manifest.open(mapped).reader(), small.model_copy(update={"scale_jitter": 0.5})
    plain = samples_of(reader, CARTOONS, small).at(range(8))
    for one, other in zip(samples_of(reader, CARTOONS, options).at(range(8)), plain, strict=True):
        assert np.array_equal(one["image"], other["image"])


def test_processes_share_each_batch(cartoons: Path, photos: Path, small: TrainOptions) -> None:
    options = small.model_copy(update={"batch_size": 6})
    readers = [framekit.manifest.open(root).reader() for root in (cartoons, photos)]
    whole = Batches(*readers, options=options, init_steps=1).of(range(3))
    shares = [
        Batches(*readers, options=options, init_steps=1, rank=rank, ranks=3).of(range(3)) for rank in range(3)
    ]
    for batch, *parts in zip(whole, *shares, strict=True):
        for name, pictures in batch.items():
            assert torch.equal(pictures, torch.cat([part[name] for part in parts]))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more than this machine has cores
def test_step_n_sees_the_same_from_any_start_with_any_workers(
    cartoons: Path, photos: Path, small: TrainOptions
) -> None:
    source = batches(cartoons, photos, small)
    whole = list(stream(source, start=0, stop=6, workers=0))
    for start, workers in ((3, 0), (2, 2), (0, 3), (1, 4)):
        for wanted, got in zip(
            whole[start:], stream(source, start=start, stop=6, workers=workers), strict=True
        ):
            assert wanted.keys() == got.keys()
            assert all(torch.equal(wanted[name], got[name]) for name in wanted)


def test_init_steps_read_photos_only(cartoons: Path, photos: Path, small: TrainOptions) -> None:
    kinds = [set(batch) for batch in stream(batches(cartoons, photos, small), start=0, stop=4, workers=0)]
    assert kinds == [{"photos"}] * 2 + [{"photos", "cartoons", "smoothed"}] * 2


def test_batches_are_bytes_in_torch_order(cartoons: Path, photos: Path, small: TrainOptions) -> None:
    (batch,) = batches(cartoons, photos, small).of(range(2, 3))
    assert {part.shape for part in batch.values()} == {(2, 3, 32, 32)}
    assert {part.dtype for part in batch.values()} == {torch.uint8}
    assert batch["cartoons"][:, 0].float().mean() > batch["cartoons"][:, 2].float().mean() + 50  # red first


def test_fewer_cartoons_than_a_batch_wrap_around(photos: Path, small: TrainOptions, tmp_path: Path) -> None:
    few = write_dataset(tmp_path, [drawing(0)], smooth=True)
    options = small.model_copy(update={"batch_size": 3})
    check_data(framekit.manifest.open(few), framekit.manifest.open(photos), options)
    (batch,) = batches(few, photos, options, init_steps=0).of(range(1))
    assert len(batch["cartoons"]) == 3


@pytest.mark.parametrize("empty", ["cartoons", "photos"])
def test_an_empty_dataset_is_refused(
    empty: str, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    roots = {"cartoons": cartoons, "photos": photos, empty: write_dataset(tmp_path, [], smooth=True)}
    opened = {name: framekit.manifest.open(root) for name, root in roots.items()}
    with pytest.raises(FramekitError, match=f"{tmp_path}: no {empty}"):
        check_data(**opened, options=small)


def test_samples_smaller_than_the_crop_are_refused(photos: Path, small: TrainOptions, tmp_path: Path) -> None:
    mixed = write_dataset(tmp_path, [drawing(0), drawing(1, side=30)], smooth=True)
    with pytest.raises(CommandError, match=r"1 of 2 samples are smaller than --crop-size 32.*smallest: 30"):
        check_data(framekit.manifest.open(mixed), framekit.manifest.open(photos), small)


def test_cartoons_without_smoothed_halves_are_refused(photos: Path, small: TrainOptions) -> None:
    plain = framekit.manifest.open(photos)
    with pytest.raises(FramekitError, match="edge-smoothed"):
        check_data(plain, plain, small)


def test_halves_of_different_sizes_are_refused(photos: Path, small: TrainOptions, tmp_path: Path) -> None:
    odd = write_dataset(tmp_path, [drawing(0)], smooth=True, halves=[drawing(0, side=44)])
    source = batches(odd, photos, small, init_steps=0)
    with pytest.raises(FramekitError, match="drawn:0#0: its edge-smoothed half has another size"):
        next(source.of(range(1)))


@pytest.mark.parametrize("halves", ["none", "some", "no column"])
def test_halves_that_are_missing_are_seen_before_a_run(
    halves: str, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    """Though dataset.json says that they are there."""
    given = {"none": [None, None], "some": [drawing(0), None], "no column": [drawing(0), drawing(1)]}[halves]
    odd = write_dataset(tmp_path, [drawing(0), drawing(1)], smooth=True, halves=given)
    if halves == "no column":
        (path,) = odd.glob("pairs/*.parquet")
        pq.write_table(pq.read_table(path).drop_columns(["smoothed"]), path)
    with pytest.raises(FramekitError, match="cartoons need their edge-smoothed half"):
        check_data(framekit.manifest.open(odd), framekit.manifest.open(photos), small)


@pytest.mark.parametrize("workers", [0, 1])
def test_one_bad_sample_is_named_in_one_line(
    workers: int, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    bad = write_dataset(tmp_path, [drawing(0)], smooth=True, halves=[None])
    source = batches(bad, photos, small, init_steps=0)
    with pytest.raises(FramekitError) as error:
        list(stream(source, start=0, stop=1, workers=workers))
    assert str(error.value) == "drawn:0#0: no edge-smoothed half. extract the cartoons again"


def test_grid_photos_are_spread_over_the_dataset_and_cut_at_the_centre(mapped: Path) -> None:
    manifest = framekit.manifest.open(mapped)
    grid = centres(manifest, count=2, crop_size=32)
    assert grid.shape == (2, 3, 32, 32)
    assert grid[:, :, 0, 0].tolist() == [[4, 4, 0], [4, 4, 3]]
    assert len(centres(manifest, count=9, crop_size=32)) == 4


def test_photos_without_smoothed_halves_will_do(photos: Path) -> None:
    (sample,) = samples(photos, PHOTOS).at([0])
    assert set(sample) == {"image"}
