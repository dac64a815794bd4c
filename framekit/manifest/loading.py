"""Reading for training: pairs in a shuffled order that is near uniform and reads whole row groups, each once.

An epoch's order is made in two steps. All row groups with kept pairs are permuted, over all shards; then
every `window` of them in a row make a block, and the pairs of a block are shuffled. So only a block's bytes
need be in memory, and what is read is read in pieces of about 2 MB.

How near to uniform that is: where in the epoch a pair comes is uniform. Neighbours in a film (the rows of one
row group, about 18 pairs of 256 pixels, or 4 frames) always come within one block, about 1,100 pairs at the
default window; within it they are spread uniformly. So two pairs that follow each other are of one row group
with a chance of 1 in `window`, where a uniform shuffle has 1 in the number of all row groups; and a stretch
shorter than a block sees `window` row groups at random instead of all. A dataset of at most `window` row
groups is shuffled uniformly.

The order follows from the kept pairs, the row groups they lie in, the seed, the epoch and the window (and
NumPy's generator), and from nothing else: not from ranks, workers, or where one begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from framekit.manifest.reading import Pair, PairReader

WINDOW = 64
"""Row groups (of about 2 MB) that are shuffled together: 128 MB, and some 1,100 pairs of 256 pixels."""


class Shuffle:
    """The order of pairs, epoch after epoch without end. Index maths alone; nothing is read.

    Number n of the endless order is number n % len of epoch n // len.

    Args:
        sizes: Pairs in each row group, in the dataset's order; none is 0.
        seed: A whole number from 0, or several.
        window: Row groups that are shuffled together.

    Raises:
        ValueError: A window below 1, or a negative seed.
    """

    def __init__(self, sizes: Sequence[int] | np.ndarray, *, seed: int | Sequence[int], window: int) -> None:
        self._seed = [seed] if isinstance(seed, int) else list(seed)
        if window < 1 or min(self._seed, default=0) < 0:
            raise ValueError(f"a window from 1 and a seed from 0, not window={window} and seed={seed}")
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self._window = window
        self._last: _Epoch | None = None

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def blocks(self, numbers: Iterable[int]) -> Iterator[np.ndarray]:
        """Positions among the dataset's pairs of those at ascending `numbers`: an int64 array for each block.

        `numbers` may be endless: they are taken a block at a time.
        """
        for (epoch, block), its in groupby(numbers, self._block_of):
            order = self._shuffled(epoch, block)
            first = epoch * len(self) + self._first_of(epoch, block)
            yield order[np.fromiter(its, np.int64) - first]

    def _block_of(self, number: int) -> tuple[int, int]:
        epoch, place = divmod(number, len(self))
        return epoch, int(np.searchsorted(self._epoch(epoch).block_ends, place, side="right"))

    def _first_of(self, epoch: int, block: int) -> int:
        return int(self._epoch(epoch).block_ends[block - 1]) if block else 0

    def _epoch(self, number: int) -> _Epoch:
        if self._last is None or self._last.number != number:
            groups = np.random.default_rng([*self._seed, number, 1]).permutation(len(self._ends))
            sizes = np.diff(self._ends, prepend=0)[groups]
            ends = np.add.reduceat(sizes, np.arange(0, len(groups), self._window)).cumsum()
            self._last = _Epoch(number, groups, ends)
        return self._last

    def _shuffled(self, epoch: int, block: int) -> np.ndarray:
        """Positions of the pairs of a block, in their order."""
        groups = self._epoch(epoch).groups[block * self._window : (block + 1) * self._window]
        starts = np.concatenate([[0], self._ends])
        rows = np.concatenate([np.arange(starts[group], starts[group + 1]) for group in groups])
        return np.random.default_rng([*self._seed, epoch, 2 + block]).permutation(rows)


@dataclass(frozen=True)
class _Epoch:
    number: int
    groups: np.ndarray  # row groups in this epoch's order
    block_ends: np.ndarray  # pairs up to the end of each block


@dataclass(frozen=True)
class Share:
    """What one of several consumers takes of an epoch: some of its runs of `batch` pairs.

    Worker w of rank r takes runs r + ranks · w, and from there every (ranks · workers)-th. So when each rank
    takes a batch from its workers in turn, the batches of all ranks together follow each other in the epoch's
    order.

    Attributes:
        rank, ranks: Which process of how many.
        worker, workers: Which worker of how many in each process.
        batch: Pairs that one consumer takes in a row.
        even: Leave out the epoch's last pairs that don't make a batch for every rank; they are others in each
            epoch.

    Raises:
        ValueError: No such rank or worker, or an empty batch.
    """

    rank: int = 0
    ranks: int = 1
    worker: int = 0
    workers: int = 1
    batch: int = 1
    even: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.ranks or not 0 <= self.worker < self.workers:
            raise ValueError(
                f"rank {self.rank} of {self.ranks}, worker {self.worker} of {self.workers}: both count from 0"
            )
        if self.batch < 1:
            raise ValueError(f"a batch of {self.batch}; it must hold 1 pair or more")

    def stop(self, start: int, length: int) -> int:
        """Where an epoch of `length` pairs ends for all, when they begin at `start`."""
        return length - max(length - start, 0) % (self.ranks * self.batch) if self.even else length

    def places(self, start: int, length: int) -> Iterator[int]:
        """Places in an epoch of `length` pairs that this consumer takes from `start` on, ascending."""
        stop = self.stop(start, length)
        for first in self._firsts(start, stop):
            yield from range(first, min(first + self.batch, stop))

    def count(self, start: int, length: int) -> int:
        """How many `places` there are."""
        stop = self.stop(start, length)
        firsts = self._firsts(start, stop)
        return len(firsts) * self.batch - max(firsts[-1] + self.batch - stop, 0) if firsts else 0

    def _firsts(self, start: int, stop: int) -> range:
        mine = self.rank + self.ranks * self.worker
        return range(start + mine * self.batch, stop, self.ranks * self.workers * self.batch)


class PairStream(Iterable["Pair"]):
    """Pairs for training, an epoch at a time; `Manifest.stream` makes it.

    Iterating gives this consumer's pairs from where the stream stands to the end of the epoch, and leaves it
    at the start of the next. It stops and goes on like a file: what was given is not given again. Every pair
    comes once in an epoch, over all ranks and workers together; with `Share.even` all but a few at its end.

    Memory: the encoded bytes of this consumer's pairs in one block (128 MB at the default window for all
    ranks and workers together), one row group while it is read, and the footers of open shards (30 KB a row
    group). Pictures are decoded one by one. A stream is cheap to send to another process.

    Args:
        reader: The pairs.
        seed: Of the order, from 0.
        epoch: Where it stands, from 0.
        position: Pairs of that epoch that all ranks together have been given.
        window: Row groups that are shuffled together.
        share: What this consumer takes.

    Raises:
        ValueError: A negative seed, epoch or position, or a window below 1.
    """

    def __init__(
        self,
        reader: PairReader,
        *,
        seed: int = 0,
        epoch: int = 0,
        position: int = 0,
        window: int = WINDOW,
        share: Share | None = None,
    ) -> None:
        self._reader, self._seed, self._window = reader, seed, window
        self._share = share or Share()
        self._shuffle = Shuffle(reader.row_groups, seed=seed, window=window)
        self.seek(epoch, position)

    def __len__(self) -> int:
        """Pairs that this consumer is still to be given in this epoch."""
        return self._share.count(self._start, len(self._shuffle)) - self._given

    def __iter__(self) -> Iterator[Pair]:
        self.seek(*self._place())
        epoch, length = self._epoch, len(self._shuffle)
        numbers = (epoch * length + place for place in self._share.places(self._start, length))
        for positions in self._shuffle.blocks(numbers):
            for pair in self._reader.gather(positions):
                self._given += 1
                yield pair
        self.seek(epoch + 1)

    def seek(self, epoch: int, position: int = 0) -> None:
        """Go to a place in an epoch; at its end, to the start of the next.

        Raises:
            ValueError: One of them is negative.
        """
        if epoch < 0 or position < 0:
            raise ValueError(f"epoch and position count from 0; got epoch={epoch} and position={position}")
        self._epoch, self._start = self._normal(epoch, position)
        self._given = 0

    def state(self) -> dict[str, int]:
        """Where the stream stands, fit for JSON: `manifest.stream(**state)` goes on from there.

        It holds for all ranks once each has been given as many pairs, and for any number of ranks that goes
        on. Where workers read, the process that holds them knows more than their streams: after n batches of
        each rank, position is n · ranks · batch.

        Raises:
            ValueError: In a worker, or in the middle of a batch where that is no place for all ranks.
        """
        epoch, position = self._place()
        return {"seed": self._seed, "epoch": epoch, "position": position, "window": self._window}

    def for_worker(self, worker: int, workers: int) -> PairStream:
        """What one of several workers of this rank takes, from where the stream stands."""
        epoch, position = self._place()
        share = replace(self._share, worker=worker, workers=workers)
        return PairStream(
            self._reader, seed=self._seed, epoch=epoch, position=position, window=self._window, share=share
        )

    def _place(self) -> tuple[int, int]:
        share = self._share
        if self._given and share.workers > 1:
            raise ValueError("a worker's stream does not know what the other workers gave")
        if self._given % share.batch and (share.ranks > 1 or share.even):
            raise ValueError(
                f"{self._given % share.batch} pairs into a batch of {share.batch}: ask between batches"
            )
        return self._normal(self._epoch, self._start + self._given * share.ranks)

    def _normal(self, epoch: int, position: int) -> tuple[int, int]:
        over = position > 0 and self._share.stop(position, len(self._shuffle)) <= position
        return (epoch + 1, 0) if over else (epoch, position)
