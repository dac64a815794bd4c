"""Worker processes: how many there are by default, and how they come to be.

They are spawned: each is a new Python that imports what it needs. For a command, on Linux, they are forked
instead, from a process that has imported it once and does nothing else. It is begun while the command itself
is still being imported, where there is sure to be work. Programs that import framekit may have use for such a
process of their own.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from framekit.storage.paths import is_remote

IMPORTED = "framekit.extraction.preloaded"

_is_of_a_command = False


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare(out: Path, *, workers: int | None, executor: str | None, ray_address: str | None) -> None:
    """Have workers forked from here on; for programs that do nothing but extract.

    Where the dataset is a new one, what they need begins to be imported at once.

    Args:
        out: The dataset's folder.
        workers, executor, ray_address: As for `extract`.
    """
    global _is_of_a_command  # noqa: PLW0603 - a process is one or it is not
    local = executor != "ray" and not ray_address
    _is_of_a_command = sys.platform == "linux" and local and (workers or default_workers()) > 1
    if not _is_of_a_command:
        return
    atexit.register(end)
    forkserver.set_forkserver_preload([IMPORTED])
    if not is_remote(out) and not (out / "dataset.json").exists():
        _begin()


def context() -> BaseContext:
    """How workers of this process are started."""
    if not _is_of_a_command:
        return multiprocessing.get_context("spawn")
    _begin()
    return multiprocessing.get_context("forkserver")


def _begin() -> None:
    """Start the process that workers are forked from, if it is not there. Ctrl-C is not for it to handle."""
    resource_tracker.ensure_running()  # here, as it lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end() -> None:
    """End the process that workers are forked from; its CPU seconds and theirs then count as this one's.

    To be called when they have ended.
    """
    if not _is_of_a_command:
        return
    server: Any = forkserver._forkserver  # which else ends with this process, and is never waited for
    if server._forkserver_pid is not None:
        with suppress(ProcessLookupError):
            os.kill(server._forkserver_pid, signal.SIGKILL)  # it may be importing still
        server._stop()
