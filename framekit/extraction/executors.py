"""Executors run segments, and only that: in this process, or in a pool of processes."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from framekit.errors import FramekitError
from framekit.extraction.plan import Segment
from framekit.options import ExtractOptions
from framekit.sources.decoding import Approach
from framekit.terminal.commands import say

SECONDS_BETWEEN_REPORTS = SECONDS_BETWEEN_LOOKS = 0.2
PATIENCE = 600
"""Seconds without a sign of life from a worker."""
MOST_THREADS = 8
"""Of a decoder: each holds some frames, and beyond this they wait for one another."""

OnFrames = Callable[[Segment, int], None]
"""Told how many pictures of a segment are decoded so far."""
Outcome = tuple[Segment, Exception | None]


def run_segments(
    segments: Sequence[Segment],
    options: ExtractOptions,
    root: Path,
    *,
    workers: int,
    hwaccel: str | None = None,
    tagger: Path | None = None,
    on_frames: OnFrames,
) -> Iterator[Outcome]:
    """Run `extract_segment` on each; gives every segment with its error or None, in the order they end.

    Args:
        segments: What to do; a failing one does not stop the others.
        options: How.
        root: The dataset's folder.
        workers: Processes; with 1 everything runs in this one. A film that is alone runs in this one too, and
            its decoder has as many threads: never both.
        hwaccel: Kind of device to decode on, or None.
        tagger: Folder of the image tagger that the options ask for.
        on_frames: For progress.
    """
    if workers > 1 and len(segments) > 1:
        extract = partial(_work, options, root, Approach(hwaccel=hwaccel), tagger=tagger)
        return _in_a_pool(segments, extract, min(workers, len(segments)), on_frames)
    approach = Approach(hwaccel=hwaccel, threads=min(workers, MOST_THREADS))
    return _in_this_process(segments, partial(_extract, options, root, approach, tagger=tagger), on_frames)


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _extract(
    options: ExtractOptions,
    root: Path,
    approach: Approach,
    segment: Segment,
    on_frames: Callable[[int], None],
    *,
    tagger: Path | None,
) -> None:
    from framekit.extraction.segment import extract_segment

    extract_segment(segment, options, root, on_frames, approach=approach, tagger=tagger)


def _in_this_process(
    segments: Sequence[Segment], extract: Callable[..., None], on_frames: OnFrames
) -> Iterator[Outcome]:
    for segment in segments:
        with _Watch(segment) as watch:
            try:
                extract(segment, partial(watch.passed_on, on_frames))
                outcome = None
            except Exception as error:
                outcome = error
        yield segment, outcome


class _Watch:
    """Ends the program over a segment that is silent for too long: nothing else stops a decoder."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._heard = time.monotonic()
        self._done = threading.Event()

    def __enter__(self) -> _Watch:
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def passed_on(self, on_frames: OnFrames, frames: int) -> None:
        self._heard = time.monotonic()
        on_frames(self._segment, frames)

    def _watch(self) -> None:
        while not self._done.wait(max(0.0, self._heard + PATIENCE - time.monotonic())):
            if time.monotonic() - self._heard > PATIENCE:
                say(f"error: {_given_up(self._segment)}; what was finished is kept")
                os._exit(1)


def _in_a_pool(
    segments: Sequence[Segment], work: Callable[[Segment], None], workers: int, on_frames: OnFrames
) -> Iterator[Outcome]:
    # Longest first, so that no worker is left alone with a long film at the end.
    waiting = deque(sorted(segments, key=lambda segment: -segment.pictures))
    while waiting:
        suspects = yield from _one_pool(waiting, work, workers, on_frames)
        # A worker died over one of these: alone, each shows whether it was the one.
        for segment in suspects:
            if (yield from _one_pool(deque([segment]), work, 1, on_frames)):
                what = "a worker process died over it (a crash in the decoder, or out of memory)"
                advice = "leave it out"
                yield segment, FramekitError(what, where=segment.source.path, advice=advice)


def _one_pool(
    waiting: deque[Segment], work: Callable[[Segment], None], workers: int, on_frames: OnFrames
) -> Generator[Outcome, None, list[Segment]]:
    """Take segments off `waiting` and run them, until none is left or a worker dies.

    A segment that is silent for too long is given up, and its worker made to die.

    Returns:
        The segments that were under way when a worker died.
    """
    context = multiprocessing.get_context("spawn")
    reports: Any = context.Queue()
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(reports,))
    running: dict[Future[None], Segment] = {}
    heard: dict[str, float] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                segment = waiting.popleft()
                heard[segment.name] = time.monotonic()
                running[pool.submit(work, segment)] = segment
            done, _ = wait(running, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
            _pass_on(reports, {segment.name: segment for segment in running.values()}, on_frames, heard)
            silent = [f for f, s in running.items() if time.monotonic() - heard[s.name] > PATIENCE]
            if silent and not done:
                _kill(set(multiprocessing.active_children()) - others)
                yield from [(segment, _given_up(segment)) for segment in map(running.pop, silent)]
                return list(running.values())
            for future in done:
                if isinstance(future.exception(), BrokenProcessPool):
                    return list(running.values())
                yield running.pop(future), _error(future)
        return []
    except BrokenProcessPool:  # while one was handed over
        return [*running.values(), segment]
    except BaseException:
        # Shards under way are begun anew another time: nobody has to wait for them.
        _kill(set(multiprocessing.active_children()) - others)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _given_up(segment: Segment) -> FramekitError:
    what = f"no progress for {PATIENCE:g} seconds: given up"
    return FramekitError(what, where=segment.source.path, advice="leave it out")


def _kill(workers: Iterable[BaseProcess]) -> None:
    for worker in workers:
        worker.kill()


def _error(future: Future[None]) -> Exception | None:
    error = future.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return error


def _pass_on(reports: Any, by_name: dict[str, Segment], on_frames: OnFrames, heard: dict[str, float]) -> None:
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


def _work(
    options: ExtractOptions, root: Path, approach: Approach, segment: Segment, *, tagger: Path | None
) -> None:
    told = 0.0

    def report(frames: int) -> None:
        nonlocal told
        if time.monotonic() > told + SECONDS_BETWEEN_REPORTS:
            told = time.monotonic()
            _reports.put((segment.name, frames))

    _extract(options, root, approach, segment, report, tagger=tagger)
