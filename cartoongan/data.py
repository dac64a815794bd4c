"""Training batches from datasets: what step number N sees is a function of the seed and of N, nothing else.

Each domain (photos, cartoons) is an endless stream: epoch after epoch, each in an order of its own, in which
whole row groups are read and shuffled together (`framekit.manifest.Shuffle`). Sample number n of a stream is
cropped and flipped by a seed made of (seed, domain, n). So a resumed run sees what it would have seen, with
any workers. Each worker holds only what its own steps need.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, tee
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from cartoongan.options import TrainOptions
from framekit.errors import CommandError, FramekitError
from framekit.manifest import WINDOW, Manifest, Pair, PairReader, Shuffle

PHOTOS, CARTOONS = 0, 1
"""Domains, as seeds know them."""
STOPS = (signal.SIGINT, signal.SIGTERM)
"""Signals that ask a run to stop."""


def check_data(cartoons: Manifest, photos: Manifest, options: TrainOptions) -> None:
    """Refuse what cannot be trained on.

    Raises:
        FramekitError: A dataset is empty, or the cartoons have no smoothed half.
        CommandError: Samples are smaller than the crop.
    """
    for name, manifest in (("cartoons", cartoons), ("photos", photos)):
        if not len(manifest):
            advice = "see what was left out, and why: framekit audit"
            raise FramekitError(
                f"no {name}: no pair is left in this dataset", where=manifest.root, advice=advice
            )
        sizes = manifest.pairs(["crop_size"])["crop_size"]
        small = pc.sum(pc.less(sizes, options.crop_size)).as_py()
        if small:
            raise CommandError(
                f"{small} of {len(manifest)} samples are smaller than --crop-size {options.crop_size} "
                f"(the smallest: {pc.min(sizes).as_py()})",
                where=manifest.root,
                advice="use a smaller --crop-size, or extract larger crops",
            )
    if not cartoons.has_smoothed:
        advice = "extract them again without --no-smooth"
        raise FramekitError(
            "cartoons need their edge-smoothed half, and this dataset has none",
            where=cartoons.root,
            advice=advice,
        )


class Samples:
    """One domain's endless stream of samples, cropped and flipped.

    Args:
        reader: The domain's pairs.
        domain: `PHOTOS` or `CARTOONS`.
        crop_size: Side of the square that is cut out of larger samples.
        seed: Of order, crops and flips.
        window: Row groups that are shuffled together.
    """

    def __init__(
        self, reader: PairReader, *, domain: int, crop_size: int, seed: int, window: int = WINDOW
    ) -> None:
        self._reader, self._domain = reader, domain
        self._crop_size, self._seed = crop_size, seed
        self._shuffle = Shuffle(reader.row_groups, seed=(seed, domain), window=window)

    def at(self, numbers: Iterable[int]) -> Iterator[dict[str, np.ndarray]]:
        """The samples at ascending `numbers` of the stream, which may be endless.

        `image`, and for cartoons `smoothed` cut alike: each (crop_size, crop_size, 3) uint8 RGB.

        Raises:
            FramekitError: A sample is damaged, too small, or has no smoothed half.
        """
        numbers, asked = tee(numbers)
        pairs = (pair for block in self._shuffle.blocks(asked) for pair in self._reader.gather(block))
        for number, pair in zip(numbers, pairs, strict=True):
            pictures = self._pictures(pair)
            seed = np.random.SeedSequence([self._seed, self._domain, number]).generate_state(1, np.uint64)[0]
            self._augment.set_random_seed(int(seed))
            yield self._augment(**pictures)

    def _pictures(self, pair: Pair) -> dict[str, np.ndarray]:
        if min(pair.image.shape[:2]) < self._crop_size:
            raise FramekitError(f"smaller than the crop of {self._crop_size} pixels", where=pair.pair_id)
        if self._domain == PHOTOS:
            return {"image": pair.image}
        if pair.smoothed is None:
            raise FramekitError(
                "no edge-smoothed half", where=pair.pair_id, advice="extract the cartoons again"
            )
        return {"image": pair.image, "smoothed": pair.smoothed}

    @cached_property
    def _augment(self) -> Any:
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
        import albumentations as A

        transforms = [A.RandomCrop(self._crop_size, self._crop_size), A.HorizontalFlip(p=0.5)]
        return A.Compose(transforms, additional_targets={"smoothed": "image"})


class Batches:
    """All that training steps see, counted from 0.

    Args:
        cartoons: Pairs with their smoothed halves.
        photos: Pairs; smoothed halves are not looked at.
        options: Batch, crop size and seed.
        init_steps: Steps at the start that need photos only.
    """

    def __init__(
        self, cartoons: PairReader, photos: PairReader, *, options: TrainOptions, init_steps: int
    ) -> None:
        self._batch_size, self._init_steps = options.batch_size, init_steps
        self._photos, self._cartoons = (
            Samples(reader, domain=domain, crop_size=options.crop_size, seed=options.seed)
            for reader, domain in ((photos, PHOTOS), (cartoons, CARTOONS))
        )

    def of(self, steps: range) -> Iterator[dict[str, Tensor]]:
        """(N, 3, P, P) uint8 RGB `photos` of each step, and after the init steps `cartoons` and `smoothed`.

        Raises:
            FramekitError: A sample could not be read.
        """
        size, main = self._batch_size, (step - self._init_steps for step in steps if step >= self._init_steps)
        photos = self._photos.at(_numbers(steps, size))
        cartoons = self._cartoons.at(_numbers(main, size))
        for step in steps:
            batch = {"photos": _stacked(photos, size)["image"]}
            if step >= self._init_steps:
                pairs = _stacked(cartoons, size)
                batch |= {"cartoons": pairs["image"], "smoothed": pairs["smoothed"]}
            yield batch


@dataclass
class _Steps(IterableDataset[dict[str, Tensor] | FramekitError]):
    """Batches of `steps`, or a worker's share of them: the loader asks its workers in turn."""

    batches: Batches
    steps: range

    def __iter__(self) -> Iterator[dict[str, Tensor] | FramekitError]:
        worker = get_worker_info()
        try:
            yield from self.batches.of(self.steps[worker.id :: worker.num_workers] if worker else self.steps)
        except FramekitError as error:
            yield error  # not raised: on its way out of a worker it would lose its one-line form


def stream(batches: Batches, *, start: int, stop: int, workers: int) -> Iterator[dict[str, Tensor]]:
    """Batches of steps `start` to `stop`, in order.

    Raises:
        FramekitError: A sample could not be read.
    """
    loader = DataLoader(
        _Steps(batches, range(start, stop)),
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_begin_worker,
        generator=torch.Generator(),  # else the loader draws a number from the global one
    )
    with _stops_held_back():
        loaded = iter(loader)
    for batch in loaded:
        if isinstance(batch, FramekitError):
            raise batch
        yield batch


def fixed_photos(photos: Manifest, *, count: int, crop_size: int) -> Tensor:
    """Centres of photos spread evenly over the dataset, for the sample grids: (N, 3, P, P) uint8 RGB."""
    reader = photos.reader(smoothed=False)
    places = np.linspace(0, len(reader) - 1, min(count, len(reader))).round().astype(int)
    pictures = [_centre(reader[int(place)], crop_size) for place in places]
    return torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())


def first_photos(photos: Manifest, options: TrainOptions, *, steps: int) -> list[Tensor]:
    """The photos of the first `steps` steps, as training sees them: each (N, 3, P, P) uint8 RGB."""
    reader = photos.reader(smoothed=False)
    samples = Samples(reader, domain=PHOTOS, crop_size=options.crop_size, seed=options.seed)
    found = samples.at(_numbers(range(steps), options.batch_size))
    return [_stacked(found, options.batch_size)["image"] for _ in range(steps)]


def _numbers(steps: Iterable[int], batch_size: int) -> Iterator[int]:
    """Numbers of the samples of `steps`."""
    return (step * batch_size + place for step in steps for place in range(batch_size))


def _stacked(samples: Iterator[dict[str, np.ndarray]], batch_size: int) -> dict[str, Tensor]:
    parts = list(islice(samples, batch_size))
    return {
        name: torch.from_numpy(np.stack([part[name] for part in parts]).transpose(0, 3, 1, 2).copy())
        for name in parts[0]
    }


def _centre(pair: Pair, size: int) -> np.ndarray:
    height, width = pair.image.shape[:2]
    if min(height, width) < size:
        raise FramekitError(f"smaller than the crop of {size} pixels", where=pair.pair_id)
    top, left = (height - size) // 2, (width - size) // 2
    return pair.image[top : top + size, left : left + size]


@contextmanager
def _stops_held_back() -> Iterator[None]:
    """Keep stops from processes that are begun meanwhile, until they ignore them themselves."""
    if not hasattr(signal, "sigwaitinfo"):  # only on Linux and its like
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(_number: int) -> None:
    # A stop may reach the whole process group. It is the trainer's to handle, between two steps, and until
    # then it wants its batches. A worker ends with its loader; torch sees to it when the trainer is gone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # SIGTERM stays held back
        threading.Thread(target=_end_when_told_by_the_trainer, daemon=True).start()
    else:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_when_told_by_the_trainer() -> None:
    # Python waits for its processes when it ends, after it has told them to: these must listen to it.
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
