"""Several processes for one run: started and ended together, and asked to stop between two steps."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from framekit.errors import FramekitError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STOPS = (signal.SIGINT, signal.SIGTERM)
"""Signals that ask a run to stop."""
GRACE = 10.0
"""Seconds in which the other processes may end by themselves once one has failed."""

Result = TypeVar("Result")


def in_processes(count: int, function: Callable[..., Result], *arguments: Any) -> Result:
    """Call `function(*arguments)` in `count` new processes and return what the first of them returns.

    They find each other through `devices.make_fabric`. A stop is passed on to all of them; a second one ends
    them at once. When one fails the others are ended.

    Args:
        count: How many.
        function: At the top of a module, as for `multiprocessing`.
        arguments: Things that can be pickled.

    Raises:
        Exception: What one of them raised, the one that began it if several did.
        KeyboardInterrupt: They were asked to stop, and did.
        FramekitError: One of them was killed.
    """
    context = multiprocessing.get_context("spawn")
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    processes: list[BaseProcess] = []
    results: list[Connection] = []
    with stops_held_back():  # until they can handle them
        for rank in range(count):
            result, into = context.Pipe(duplex=False)
            variables = {**meeting, "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank), "NODE_RANK": "0"}
            process = context.Process(target=_begin, args=(into, variables, function, arguments))
            process.start()
            into.close()
            processes.append(process)
            results.append(result)
    with _stops_passed_on(processes) as stopped:
        outcomes = _collected(processes, results)
    if all(process.exitcode == 0 for process in processes):
        return outcomes[0]
    raise _cause(processes, outcomes, stopped=stopped.is_set())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def stop_request(fabric: Fabric) -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C or SIGTERM came, for a stop between two steps.

    All processes must call it alike; it tells all of them the same, whichever got the signal. In one process
    alone, a second signal stops at once.
    """
    import torch

    asked = threading.Event()
    alone = fabric.world_size == 1

    def agreed() -> bool:
        if alone:
            return asked.is_set()
        here = torch.tensor(float(asked.is_set()), device=fabric.device)
        return bool(fabric.all_reduce(here, reduce_op="max"))

    before = {kind: signal.getsignal(kind) for kind in STOPS}

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.set()
        if alone:  # else the terminal and whoever started us both pass on the same Ctrl-C
            signal.signal(number, before[signal.Signals(number)])

    with _on_stop(ask):
        yield agreed


@contextmanager
def _on_stop(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have stops handled so; in the main thread alone, as no other may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {kind: signal.signal(kind, handle) for kind in STOPS}
    try:
        yield
    finally:
        for kind, former in before.items():
            signal.signal(kind, former)


@contextmanager
def stops_held_back() -> Iterator[None]:
    """Keep stops from processes that are begun meanwhile, until they let them in."""
    if not hasattr(signal, "pthread_sigmask"):  # only on Linux and its like
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(
    into: Connection, variables: dict[str, str], function: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    """In the new process: call `function` and send what becomes of it."""
    os.environ.update(variables)
    for kind in STOPS:
        signal.signal(kind, _stop_once)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    threading.Thread(target=_stop_when_left_alone, daemon=True).start()
    outcome: Any
    try:
        outcome = function(*arguments)
    except (Exception, KeyboardInterrupt) as error:
        outcome = _sendable(error)
    into.send(outcome)
    into.close()
    if isinstance(outcome, BaseException):
        _leave_at_once()


def _leave_at_once() -> NoReturn:
    """End, whatever waits for the other processes: a connection to one that is gone must not keep us."""
    for worker in multiprocessing.active_children():
        worker.terminate()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _stop_once(_number: int, _frame: FrameType | None) -> NoReturn:
    for kind in STOPS:
        signal.signal(kind, signal.SIG_IGN)
    raise KeyboardInterrupt


def _stop_when_left_alone() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _sendable(error: BaseException) -> BaseException:
    if not isinstance(error, FramekitError | MemoryError | KeyboardInterrupt):
        error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # not every library's errors can be sent
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


@contextmanager
def _stops_passed_on(processes: Sequence[BaseProcess]) -> Iterator[threading.Event]:
    """Pass the first stop on to `processes`, and end them at the second; gives an event that tells of it."""
    asked = threading.Event()

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        for process in processes:
            (process.kill if asked.is_set() else process.terminate)()
        asked.set()

    with _on_stop(pass_on):
        try:
            yield asked
        finally:
            for process in processes:
                process.kill()  # nothing where it has ended
                process.join()


def _collected(processes: Sequence[BaseProcess], results: Sequence[Connection]) -> dict[int, Any]:
    """What each process sent, by rank, in the order in which it came; all of them have ended then."""
    outcomes: dict[int, Any] = {}
    silent, running = dict(enumerate(results)), dict(enumerate(processes))
    deadline: float | None = None
    while running:
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        wait([*silent.values(), *(process.sentinel for process in running.values())], timeout=left)
        for rank, result in list(silent.items()):
            if result.poll():
                del silent[rank]
                with suppress(EOFError, OSError):  # ended without a word
                    outcomes[rank] = result.recv()
        for rank, process in list(running.items()):
            if process.exitcode is not None:
                del running[rank]
                if process.exitcode:
                    deadline = deadline or time.monotonic() + GRACE
            elif deadline and time.monotonic() >= deadline:
                process.kill()
    return outcomes


def _cause(processes: Sequence[BaseProcess], outcomes: dict[int, Any], *, stopped: bool) -> BaseException:
    """What to tell, of all that the processes raised: the others' errors follow from the first one's end."""
    errors = [outcome for outcome in outcomes.values() if isinstance(outcome, BaseException)]
    ours = [error for error in errors if isinstance(error, FramekitError | MemoryError)]
    if ours:
        return ours[0]
    if stopped or any(isinstance(error, KeyboardInterrupt) for error in errors):
        return KeyboardInterrupt()
    for rank, process in enumerate(processes):
        if rank not in outcomes and (process.exitcode or 0) < 0:
            name = signal.Signals(-(process.exitcode or 0)).name
            advice = "the system may have run out of memory; go on with the same command and --resume"
            return FramekitError(f"process {rank + 1} of {len(processes)} was killed ({name})", advice=advice)
    return errors[0] if errors else RuntimeError("a process ended without a word")
