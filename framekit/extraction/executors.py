"""Executors do units of work, and only that: in this process, in a pool of processes, or on Ray."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from framekit.errors import CommandError, FramekitError
from framekit.extraction.plan import LookOver, Segment, Unit, cut_up
from framekit.extraction.spent import Spent
from framekit.extraction.workers import context, default_workers, end
from framekit.options import ExtractOptions
from framekit.sources.decoding import Approach
from framekit.terminal.commands import say

SECONDS_BETWEEN_REPORTS = SECONDS_BETWEEN_LOOKS = 0.2
PATIENCE = 600
"""Seconds without a sign of life from a worker."""
MOST_THREADS = 8
"""Of a decoder: each holds some frames, and beyond this they wait for one another."""

Work = Callable[..., "list[Segment] | Spent"]
"""`Job.do`: a unit, and what is told how many pictures of it are gone through."""
OnFrames = Callable[[Unit, int], None]
"""Told how many pictures of a unit are gone through so far."""


class Outcome(NamedTuple):
    """How a unit of work ended.

    Attributes:
        result: Segments for a source that was looked over, what it cost for a segment; None after an error.
    """

    unit: Unit
    result: list[Segment] | Spent | None
    error: Exception | None


@dataclass(frozen=True)
class Job:
    """What there is to do with every unit; goes to whichever process does it.

    Attributes:
        root: The dataset's folder.
        hwaccel: Kind of device to decode on, or None.
        tagger: Folder of the image tagger that the options ask for.
    """

    options: ExtractOptions
    root: Path
    hwaccel: str | None = None
    tagger: Path | None = None

    def do(self, unit: Unit, on_frames: Callable[[int], None], *, threads: int = 1) -> list[Segment] | Spent:
        """Look a source over, or extract a segment."""
        if isinstance(unit, LookOver):
            return cut_up(unit, self.options, on_frames=on_frames)
        from framekit.extraction.segment import extract_segment

        approach = Approach(hwaccel=self.hwaccel, threads=threads)
        return extract_segment(
            unit, self.options, self.root, on_frames, approach=approach, tagger=self.tagger
        )


class Executor(Protocol):
    """Does all units that are waiting, as a `Job` says; gives how each ended."""

    def __call__(self, waiting: deque[Unit], job: Job, *, on_frames: OnFrames) -> Iterator[Outcome]:
        """As `run_units` does."""


def run_units(waiting: deque[Unit], job: Job, *, workers: int, on_frames: OnFrames) -> Iterator[Outcome]:
    """Do all that is waiting; gives how each unit ended, in the order they end.

    Args:
        waiting: What to do, first things first. It is emptied, and whoever takes the outcomes may put more in
            or take some out. A failing unit does not stop the others.
        job: How.
        workers: Processes. With 1 everything is done in this one. What is alone is done in this one too, and
            a film's decoder has as many threads: never both.
        on_frames: For progress.
    """
    try:
        while waiting:
            if workers > 1 and len(waiting) > 1:
                yield from _in_a_pool(waiting, job.do, workers, on_frames)
            else:
                threads = min(workers, MOST_THREADS)
                with _opencv_on(threads):
                    outcome = _in_this_process(waiting.popleft(), partial(job.do, threads=threads), on_frames)
                yield outcome
    finally:
        end()


def executor_of(name: str | None, *, workers: int | None, ray_address: str | None) -> Executor:
    """What does units of work.

    Args:
        name: `local`, `ray`, or None for the one that the other arguments mean.
        workers: Units at a time. By default as many as there are cores, or CPUs in the cluster.
        ray_address: Of a Ray cluster.

    Raises:
        CommandError: The arguments contradict each other, or Ray is not installed.
    """
    if name == "local" and ray_address:
        raise CommandError("--ray-address goes with --executor ray, not with local")
    if name != "ray" and not ray_address:
        return partial(run_units, workers=workers or default_workers())
    if find_spec("ray") is None:
        advice = "pip install 'cartoon-framekit[ray]'"
        raise CommandError("--executor ray needs Ray, which is not installed", advice=advice)
    from framekit.extraction.on_ray import run_on_ray

    workers = workers or (None if ray_address else default_workers())
    return partial(run_on_ray, workers=workers, address=ray_address)


def _in_this_process(unit: Unit, work: Work, on_frames: OnFrames) -> Outcome:
    with _Watch(unit) as watch:
        try:
            return Outcome(unit, work(unit, partial(watch.passed_on, on_frames)), None)
        except Exception as error:
            return Outcome(unit, None, error)


@contextmanager
def _opencv_on(threads: int) -> Iterator[None]:
    """One worker is one core: OpenCV would take all there are."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class _Watch:
    """Ends the program over a unit that is silent for too long: nothing else stops a decoder."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._heard = time.monotonic()
        self._done = threading.Event()

    def __enter__(self) -> _Watch:
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def passed_on(self, on_frames: OnFrames, frames: int) -> None:
        self._heard = time.monotonic()
        on_frames(self._unit, frames)

    def _watch(self) -> None:
        while not self._done.wait(max(0.0, self._heard + PATIENCE - time.monotonic())):
            if time.monotonic() - self._heard > PATIENCE:
                say(f"error: {given_up(self._unit)}; what was finished is kept")
                os._exit(1)


def _in_a_pool(waiting: deque[Unit], work: Work, workers: int, on_frames: OnFrames) -> Iterator[Outcome]:
    """Take units off `waiting` and do them, until none is left.

    A unit that is silent for too long is given up, and its worker killed. One over which a worker dies is
    done again when all others are: alone, it shows whether it was the cause.
    """
    suspects: deque[Unit] = deque()
    deaths: set[str] = set()
    with _Pool(work) as pool:
        while waiting or suspects or pool.busy:
            while waiting and len(pool.busy) < workers:
                pool.begin(waiting.popleft())
            if suspects and not pool.busy:
                pool.begin(suspects.popleft())
            for unit, said in pool.heard():
                if isinstance(said, int):
                    on_frames(unit, said)
                elif said is not None:
                    yield Outcome(unit, *said)
                elif unit.name in deaths:
                    yield Outcome(unit, None, worker_died(unit))
                else:
                    deaths.add(unit.name)
                    suspects.append(unit)
            for unit in pool.silent():
                yield Outcome(unit, None, given_up(unit))


Said = int | tuple[list[Segment] | Spent | None, Exception | None] | None
"""By a worker: how many pictures of its unit are gone through, how it ended, or nothing any more: it died."""


class _Worker:
    """A process that does one unit at a time. It is told and heard over a pipe of its own, so that nothing of
    it, if it dies in the middle of a word, is in the way of others.

    Attributes:
        pipe: To it.
        unit: What it does; None while it waits.
        heard: When it last gave a sign of life; None until it has begun.
    """

    def __init__(self, work: Work) -> None:
        started: Any = context()
        self.pipe, theirs = started.Pipe()
        self._process = started.Process(target=_serve, args=(work, theirs), daemon=True)
        self._process.start()
        theirs.close()  # now its process alone holds that end, and its death ends what can be read here
        self.unit: Unit | None = None
        self.heard: float | None = None

    def begin(self, unit: Unit) -> None:
        self.unit, self.heard = unit, None
        with suppress(OSError):  # it has died, which is heard
            self.pipe.send(unit)

    def listen(self) -> Said:
        """What it says, once there is something."""
        try:
            said: Said = self.pipe.recv()
        except (EOFError, OSError):
            return None
        self.heard = time.monotonic()
        return said

    def end(self) -> None:
        """Shards under way are begun anew another time: nobody has to wait for them."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


class _Pool:
    """Workers, as many as are needed. As a context it ends them."""

    def __init__(self, work: Work) -> None:
        self._work, self._workers = work, list[_Worker]()

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()

    @property
    def busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.unit is not None]

    def begin(self, unit: Unit) -> None:
        """Have a unit done by a worker that waits, or by a new one."""
        idle = next((worker for worker in self._workers if worker.unit is None), None)
        if idle is None:
            idle = _Worker(self._work)
            self._workers.append(idle)
        idle.begin(unit)

    def heard(self) -> Iterator[tuple[Unit, Said]]:
        """What workers say within a short while, each with its unit."""
        busy = self.busy
        there = connection.wait([worker.pipe for worker in busy], SECONDS_BETWEEN_LOOKS)
        for worker in busy:
            if worker.pipe not in there or worker.unit is None:
                continue
            unit, said = worker.unit, worker.listen()
            if said is None:
                self._dismiss(worker)
            elif not isinstance(said, int):
                worker.unit = None
            yield unit, said

    def silent(self) -> Iterator[Unit]:
        """Units whose workers have been silent for too long; these are no more."""
        for worker in self.busy:
            if worker.unit is None or worker.heard is None:
                continue
            if time.monotonic() - worker.heard > PATIENCE:
                self._dismiss(worker)
                yield worker.unit

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.end()


def worker_died(unit: Unit) -> FramekitError:
    """The error of a unit that no worker survived."""
    what = "a worker process died over it (a crash in the decoder, or out of memory)"
    return FramekitError(what, where=unit.source.path, advice="leave it out")


def given_up(unit: Unit) -> FramekitError:
    """The error of a unit that was silent for `PATIENCE`."""
    what = f"no progress for {PATIENCE:g} seconds: given up"
    return FramekitError(what, where=unit.source.path, advice="leave it out")


def _serve(work: Work, pipe: Any) -> None:
    """What a worker does: units, one after the other, until its pipe ends."""
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    with suppress(EOFError, OSError):
        while True:
            unit = pipe.recv()
            pipe.send(0)
            ended: Said
            try:
                ended = work(unit, seldom(lambda frames: pipe.send(int(frames)))), None
            except Exception as error:
                ended = None, fit_to_travel(error)
            pipe.send(ended)


def _end_with_parent() -> None:
    """A worker whose parent was killed must not go on writing into the dataset."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def fit_to_travel(error: Exception) -> Exception:
    """The error, or what it says where it cannot be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return FramekitError(f"{type(error).__name__}: {error}")
    return error


def seldom(tell: Callable[[int], None]) -> Callable[[int], None]:
    """`tell`, but for calls that follow at once upon another."""
    told = 0.0

    def report(frames: int) -> None:
        nonlocal told
        if time.monotonic() > told + SECONDS_BETWEEN_REPORTS:
            told = time.monotonic()
            tell(frames)

    return report
