"""Executors do units of work, and only that: in this process, in a pool of processes, or on Ray."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from framekit.errors import CommandError, FramekitError
from framekit.extraction.plan import LookOver, Segment, Unit, cut_up
from framekit.extraction.spent import Spent
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
    while waiting:
        if workers > 1 and len(waiting) > 1:
            yield from _in_a_pool(waiting, job.do, workers, on_frames)
        else:
            threads = min(workers, MOST_THREADS)
            with _opencv_on(threads):
                outcome = _in_this_process(waiting.popleft(), partial(job.do, threads=threads), on_frames)
            yield outcome


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


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    while waiting:
        suspects = yield from _one_pool(waiting, work, workers, on_frames)
        # A worker died over one of these: alone, each shows whether it was the one.
        for unit in suspects:
            if (yield from _one_pool(deque([unit]), work, 1, on_frames)):
                yield Outcome(unit, None, worker_died(unit))


def _one_pool(
    waiting: deque[Unit], work: Work, workers: int, on_frames: OnFrames
) -> Generator[Outcome, None, list[Unit]]:
    """Take units off `waiting` and do them, until none is left or a worker dies.

    A unit that is silent for too long is given up, and its worker made to die.

    Returns:
        The units that were under way when a worker died.
    """
    context = multiprocessing.get_context("spawn")
    reports: Any = context.Queue()
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(reports,))
    running: dict[Future[list[Segment] | Spent], Unit] = {}
    heard: dict[str, float] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                unit = waiting.popleft()
                heard[unit.name] = time.monotonic()
                running[pool.submit(_work, work, unit)] = unit
            done, _ = wait(running, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
            _pass_on(reports, {unit.name: unit for unit in running.values()}, on_frames, heard)
            silent = [f for f, unit in running.items() if time.monotonic() - heard[unit.name] > PATIENCE]
            if silent and not done:
                _kill(set(multiprocessing.active_children()) - others)
                yield from [Outcome(unit, None, given_up(unit)) for unit in map(running.pop, silent)]
                return list(running.values())
            for future in done:
                if isinstance(future.exception(), BrokenProcessPool):
                    return list(running.values())
                yield _outcome(running.pop(future), future)
        return []
    except BrokenProcessPool:  # while one was handed over
        return [*running.values(), unit]
    except BaseException:
        # Shards under way are begun anew another time: nobody has to wait for them.
        _kill(set(multiprocessing.active_children()) - others)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def worker_died(unit: Unit) -> FramekitError:
    """The error of a unit that no worker survived."""
    what = "a worker process died over it (a crash in the decoder, or out of memory)"
    return FramekitError(what, where=unit.source.path, advice="leave it out")


def given_up(unit: Unit) -> FramekitError:
    """The error of a unit that was silent for `PATIENCE`."""
    what = f"no progress for {PATIENCE:g} seconds: given up"
    return FramekitError(what, where=unit.source.path, advice="leave it out")


def _kill(workers: Iterable[BaseProcess]) -> None:
    for worker in workers:
        worker.kill()


def _outcome(unit: Unit, future: Future[list[Segment] | Spent]) -> Outcome:
    error = future.exception()
    if error is None:
        return Outcome(unit, future.result(), None)
    if not isinstance(error, Exception):
        raise error
    return Outcome(unit, None, error)


def _pass_on(reports: Any, by_name: dict[str, Unit], on_frames: OnFrames, heard: dict[str, float]) -> None:
    while True:
        try:
            name, frames = reports.get_nowait()
        except queue.Empty:
            return
        heard[name] = time.monotonic()
        if name in by_name:
            on_frames(by_name[name], frames)


_reports: Any = None


def _start_worker(reports: Any) -> None:
    global _reports  # noqa: PLW0603 - a queue reaches a spawned worker through its initializer only
    _reports = reports
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """A worker whose parent was killed must not go on writing into the dataset."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(work: Work, unit: Unit) -> list[Segment] | Spent:
    return work(unit, seldom(lambda frames: _reports.put((unit.name, frames))))


def seldom(tell: Callable[[int], None]) -> Callable[[int], None]:
    """`tell`, but for calls that follow at once upon another."""
    told = 0.0

    def report(frames: int) -> None:
        nonlocal told
        if time.monotonic() > told + SECONDS_BETWEEN_REPORTS:
            told = time.monotonic()
            tell(frames)

    return report
