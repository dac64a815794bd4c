"""Training batches from datasets: what step number N sees is a function of the seed and of N, nothing else.

Each domain (photos, cartoons) is an endless stream: epoch after epoch, each in an order of its own, in which
whole row groups are read and shuffled together (`framekit.manifest.Shuffle`). Sample number n of a stream is
cropped and flipped by a seed made of (seed, domain, n). So a resumed run sees what it would have seen, with
any workers, and several processes that share each step's batch see together what one alone would see. Each
worker holds only what its own steps need.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, tee
from typing import Any

import cv2
import numpy as np
import pyarrow.compute as pc
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from cartoongan.options import TrainOptions
from cartoongan.processes import stops_held_back
from framekit.errors import CommandError, FramekitError
from framekit.manifest import WINDOW, Manifest, Pair, PairReader, Shuffle

PHOTOS, CARTOONS = 0, 1
"""Domains, as seeds know them."""
LOOKED_AT = 16
"""Samples that are looked at before a run begins."""


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
    if not cartoons.has_smoothed or not all(_smoothed_are_there(cartoons)):
        advice = "extract them again without --no-smooth"
        raise FramekitError(
            "cartoons need their edge-smoothed half, and this dataset has none, or not everywhere",
            where=cartoons.root,
            advice=advice,
        )


def _smoothed_are_there(cartoons: Manifest) -> Iterator[bool]:
    """Whether samples here and there have their smoothed half, whatever dataset.json says, and can be read.

    All of them are seen to as they are read; but that is after the init phase, and late for a column that
    isn't there.
    """
    reader = cartoons.reader()
    for place in _spread(len(reader), LOOKED_AT):
        yield reader[place].smoothed is not None


def _spread(length: int, count: int) -> list[int]:
    """At most `count` places, spread evenly over `length`."""
    return np.linspace(0, length - 1, min(count, length)).round().astype(int).tolist()


class Samples:
    """One domain's endless stream of samples, cropped and flipped.

    Args:
        reader: The domain's pairs.
        domain: `PHOTOS` or `CARTOONS`.
        crop_size: Side of the square that comes out.
        seed: Of order, crops and flips.
        scale_jitter: Squares are cut out up to this share larger, as the sample allows, and shrunk.
        window: Row groups that are shuffled together.
    """

    def __init__(
        self,
        reader: PairReader,
        *,
        domain: int,
        crop_size: int,
        seed: int,
        scale_jitter: float = 0.0,
        window: int = WINDOW,
    ) -> None:
        self._reader, self._domain = reader, domain
        self._crop_size, self._seed, self._scale_jitter = crop_size, seed, scale_jitter
        self._shuffle = Shuffle(reader.row_groups, seed=(seed, domain), window=window)
        self._transforms: dict[tuple[int, int], Any] = {}

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
            augment = self._augment(*pair.image.shape[:2])
            augment.set_random_seed(int(seed))
            yield augment(**pictures)

    def _pictures(self, pair: Pair) -> dict[str, np.ndarray]:
        if min(pair.image.shape[:2]) < self._crop_size:
            raise FramekitError(f"smaller than the crop of {self._crop_size} pixels", where=pair.pair_id)
        if self._domain == PHOTOS:
            return {"image": pair.image}
        if pair.smoothed is None:
            raise FramekitError(
                "no edge-smoothed half", where=pair.pair_id, advice="extract the cartoons again"
            )
        if pair.smoothed.shape != pair.image.shape:
            raise FramekitError("its edge-smoothed half has another size", where=pair.pair_id)
        return {"image": pair.image, "smoothed": pair.smoothed}

    def _augment(self, height: int, width: int) -> Any:
        """What is done to a picture of that size, and alike to its smoothed half."""
        most = min(height, width, int(self._crop_size * (1 + self._scale_jitter)))
        if most == self._crop_size:
            height = width = 0  # every size is cut alike
        if (height, width) not in self._transforms:
            os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
            import albumentations as A

            size = self._crop_size, self._crop_size
            cut = A.RandomCrop(*size)
            if height:
                areas = self._crop_size**2 / (height * width), most**2 / (height * width)
                area_averages = cv2.INTER_AREA
                cut = A.RandomResizedCrop(size, scale=areas, ratio=(1, 1), interpolation=area_averages)
            transforms = [cut, A.HorizontalFlip(p=0.5)]
            self._transforms[height, width] = A.Compose(transforms, additional_targets={"smoothed": "image"})
        return self._transforms[height, width]


class Batches:
    """All that training steps see, counted from 0, or what one of several processes sees of it.

    Process r of R takes part r of each step's batch.

    Args:
        cartoons: Pairs with their smoothed halves.
        photos: Pairs; smoothed halves are not looked at.
        options: Batch, crop size and seed.
        init_steps: Steps at the start that need photos only.
        rank: Which process.
        ranks: Of how many; they divide the batch.
    """

    def __init__(
        self,
        cartoons: PairReader,
        photos: PairReader,
        *,
        options: TrainOptions,
        init_steps: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self._init_steps = init_steps
        self._batch_size = options.batch_size
        share = options.batch_size // ranks
        self._share = range(rank * share, (rank + 1) * share)
        self._photos, self._cartoons = (
            samples_of(photos, PHOTOS, options),
            samples_of(cartoons, CARTOONS, options),
        )

    def of(self, steps: range) -> Iterator[dict[str, Tensor]]:
        """(N, 3, P, P) uint8 RGB `photos` of each step, and after the init steps `cartoons` and `smoothed`.

        Raises:
            FramekitError: A sample could not be read.
        """
        main = (step - self._init_steps for step in steps if step >= self._init_steps)
        photos, cartoons = self._photos.at(self._numbers(steps)), self._cartoons.at(self._numbers(main))
        for step in steps:
            batch = {"photos": _stacked(photos, len(self._share))["image"]}
            if step >= self._init_steps:
                pairs = _stacked(cartoons, len(self._share))
                batch |= {"cartoons": pairs["image"], "smoothed": pairs["smoothed"]}
            yield batch

    def _numbers(self, steps: Iterable[int]) -> Iterator[int]:
        return (step * self._batch_size + place for step in steps for place in self._share)


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


def stream(
    batches: Batches, *, start: int, stop: int, workers: int, device: torch.device | None = None
) -> Iterator[dict[str, Tensor]]:
    """Batches of steps `start` to `stop`, in order; on a GPU, where `device` is one.

    A batch is on its way to the GPU while the step before computes.

    Raises:
        FramekitError: A sample could not be read.
    """
    on_gpu = device is not None and device.type == "cuda"
    loader = DataLoader(
        _Steps(batches, range(start, stop)),
        batch_size=None,
        num_workers=workers,
        pin_memory=on_gpu,
        worker_init_fn=_begin_worker,
        generator=torch.Generator(),  # else the loader draws a number from the global one
    )
    with stops_held_back():
        loaded = iter(loader)
    found = _unbroken(loaded)
    return _ahead(found, device) if device is not None and on_gpu else found


def _unbroken(loaded: Iterator[dict[str, Tensor] | FramekitError]) -> Iterator[dict[str, Tensor]]:
    try:
        for batch in loaded:
            if isinstance(batch, FramekitError):
                raise batch
            yield batch
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        advice = "memory, or a container's /dev/shm, was too small for it: try --workers 0"
        raise FramekitError("a process that reads samples was killed", advice=advice) from error


def _ahead(batches: Iterator[dict[str, Tensor]], device: torch.device) -> Iterator[dict[str, Tensor]]:
    """The same on `device`: each is sent, without waiting, before the one ahead of it is used."""
    sent: list[dict[str, Tensor]] = []
    for batch in batches:
        sent.append({name: part.to(device, non_blocking=True) for name, part in batch.items()})
        if len(sent) > 1:
            yield sent.pop(0)
    yield from sent


def centres(manifest: Manifest, *, count: int, crop_size: int) -> Tensor:
    """Centres of at most `count` samples, spread evenly over the dataset: (N, 3, P, P) uint8 RGB."""
    reader = manifest.reader(smoothed=False)
    pictures = [_centre(reader[place], crop_size) for place in _spread(len(reader), count)]
    return torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())


def first_photos(photos: Manifest, options: TrainOptions, *, steps: int) -> list[Tensor]:
    """The photos of the first `steps` steps, as training sees them: each (N, 3, P, P) uint8 RGB."""
    found = samples_of(photos.reader(smoothed=False), PHOTOS, options).at(range(steps * options.batch_size))
    return [_stacked(found, options.batch_size)["image"] for _ in range(steps)]


def samples_of(reader: PairReader, domain: int, options: TrainOptions) -> Samples:
    """A domain's samples as `options` ask for them: only photos are ever shrunk, a drawing's lines stay."""
    scale_jitter = options.scale_jitter if domain == PHOTOS else 0.0
    return Samples(
        reader, domain=domain, crop_size=options.crop_size, seed=options.seed, scale_jitter=scale_jitter
    )


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
