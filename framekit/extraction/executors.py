"""Executors run segments, and only that: in this process, or in a pool of processes."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from framekit.errors import FramekitError
from framekit.extraction.plan import Segment
from framekit.options import ExtractOptions

FRAMES_BETWEEN_REPORTS = 25
SECONDS_BETWEEN_LOOKS = 0.2

OnFrames = Callable[[Segment, int], None]
"""Told how many pictures of a segment are decoded so far."""
Outcome = tuple[Segment, Exception | None]


def run_segments(
    segments: Sequence[Segment], options: ExtractOptions, root: Path, *, workers: int, on_frames: OnFrames
) -> Iterator[Outcome]:
    """Run `extract_segment` on each; gives every segment with its error or None, in the order they end.

    Args:
        segments: What to do; a failing one does not stop the others.
        options: How.
        root: The dataset's folder.
        workers: Processes; with 1 everything runs in this one.
        on_frames: For progress.
    """
    if workers == 1 or len(segments) <= 1:
        return _in_this_process(segments, options, root, on_frames)
    return _in_a_pool(segments, options, root, min(workers, len(segments)), on_frames)


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_this_process(
    segments: Sequence[Segment], options: ExtractOptions, root: Path, on_frames: OnFrames
) -> Iterator[Outcome]:
    from framekit.extraction.segment import extract_segment

    for segment in segments:
        try:
            extract_segment(segment, options, root, partial(on_frames, segment))
            yield segment, None
        except Exception as error:
            yield segment, error


def _in_a_pool(
    segments: Sequence[Segment], options: ExtractOptions, root: Path, workers: int, on_frames: OnFrames
) -> Iterator[Outcome]:
    # Longest first, so that no worker is left alone with a long film at the end.
    waiting = deque(sorted(segments, key=lambda segment: -segment.pictures))
    while waiting:
        suspects = yield from _one_pool(waiting, options, root, workers, on_frames)
        # A worker died over one of these: alone, each shows whether it was the one.
        for segment in suspects:
            if (yield from _one_pool(deque([segment]), options, root, 1, on_frames)):
                yield (
                    segment,
                    FramekitError(
                        "a worker process died over it (a crash in the decoder, or out of memory)",
                        where=segment.source.path,
                        advice="run again with --workers 1, or leave it out",
                    ),
                )


def _one_pool(
    waiting: deque[Segment], options: ExtractOptions, root: Path, workers: int, on_frames: OnFrames
) -> Generator[Outcome, None, list[Segment]]:
    """Take segments off `waiting` and run them, until none is left or a worker dies.

    Returns:
        The segments that were under way when a worker died.
    """
    context = multiprocessing.get_context("spawn")
    reports: Any = context.Queue()
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(reports,))
    running: dict[Future[None], Segment] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                segment = waiting.popleft()
                running[pool.submit(_work, segment, options, root)] = segment
            done, _ = wait(running, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
            _pass_on(reports, {segment.name: segment for segment in running.values()}, on_frames)
            for future in done:
                if isinstance(future.exception(), BrokenProcessPool):
                    return list(running.values())
                yield running.pop(future), _error(future)
        return []
    except BrokenProcessPool:  # while one was handed over
        return [*running.values(), segment]
    except BaseException:
        # Shards under way are begun anew another time: nobody has to wait for them.
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _error(future: Future[None]) -> Exception | None:
    error = future.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return error


def _pass_on(reports: Any, by_name: dict[str, Segment], on_frames: OnFrames) -> None:
    while True:
        try:
            name, frames = reports.get_nowait()
        except queue.Empty:
            return
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


def _work(segment: Segment, options: ExtractOptions, root: Path) -> None:
    from framekit.extraction.segment import extract_segment

    def report(frames: int) -> None:
        if frames % FRAMES_BETWEEN_REPORTS == 0:
            _reports.put((segment.name, frames))

    extract_segment(segment, options, root, report)
