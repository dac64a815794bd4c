"""Units of work as Ray tasks: on a Ray of this machine, or on all nodes of a cluster."""

from __future__ import annotations

import io
import itertools
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast
from urllib.parse import urlsplit

from framekit import __version__
from framekit.errors import CommandError, FramekitError
from framekit.extraction import executors
from framekit.extraction.executors import SECONDS_BETWEEN_LOOKS, Job, OnFrames, Outcome
from framekit.extraction.plan import Segment, Unit
from framekit.extraction.shards import shard_paths
from framekit.extraction.spent import Spent
from framekit.terminal.commands import say

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else tasks that ask for no GPU could not decode on one
}
"""What Ray reads from the environment."""
STORE_BYTES = 200 << 20
"""For a local Ray's objects: units are, pictures are not. Its own default is a third of the memory."""
AHEAD = 2
"""Units handed over beyond the CPUs there are, so that none of them waits for the next one."""
TRIES = 3
"""Times that a unit is begun whose workers die; the last time it is alone."""
SECONDS_UNTIL_SEEN = 90
"""In which what other nodes wrote shows here: network file systems remember folders for a while."""
SECONDS_TO_CONNECT = 10
SECONDS_BETWEEN_COUNTS = 5
SECONDS_WITHOUT_A_CPU = 30


def run_on_ray(
    waiting: deque[Unit], job: Job, *, workers: int | None, address: str | None, on_frames: OnFrames
) -> Iterator[Outcome]:
    """Do all that is waiting as Ray tasks of one CPU each; otherwise like `executors.run_units`.

    A unit whose worker or node dies is done again elsewhere; one over which workers keep dying has failed.

    Args:
        waiting, job, on_frames: As for `run_units`.
        workers: Units at a time; None for as many as the cluster has CPUs.
        address: Of a cluster. Without one a Ray of this machine is started, and ended when all is done.

    Raises:
        CommandError: No cluster is there.
        FramekitError: A node has other versions than this machine, or does not share the dataset's folder.
    """
    if not waiting:
        return  # Ray takes seconds to start
    job, done = _absolute(job), []
    with _connected(address, workers), _Tasks(job, on_frames) as tasks:
        for outcome in _do_all(waiting, tasks, workers if address else None):
            if isinstance(outcome.result, Spent) and isinstance(outcome.unit, Segment):
                done.append(outcome.unit)
            yield outcome
    _wait_until_seen(job.root, done)


def _do_all(waiting: deque[Unit], tasks: _Tasks, workers: int | None) -> Iterator[Outcome]:
    room, deaths = _Room(workers), Counter[str]()
    suspects: deque[Unit] = deque()
    while waiting or suspects or tasks:
        while waiting and len(tasks) < room.now():
            tasks.start(waiting.popleft())
        if suspects and not tasks:
            tasks.start(suspects.popleft())
        for unit, answer in tasks.ended():
            if not isinstance(answer, _Died):
                yield answer.outcome_of(unit)
                continue
            deaths[unit.name] += 1
            if deaths[unit.name] >= TRIES:
                yield Outcome(unit, None, executors.worker_died(unit))
            else:
                (suspects if deaths[unit.name] == TRIES - 1 else waiting).appendleft(unit)
        yield from tasks.silent()


# On this machine ------------------------------------------------------------------------------------------


class _Died:
    """Instead of an answer: the worker of a unit or its node is no more."""


class _Ended(NamedTuple):
    """What a task gave."""

    result: list[Segment] | Spent | None
    error: Exception | None = None

    def outcome_of(self, unit: Unit) -> Outcome:
        """The same, with the source's path as it was given."""
        path, error = unit.source.path, self.error
        if isinstance(self.result, list):
            return Outcome(unit, [replace(each, source=unit.source) for each in self.result], None)
        if isinstance(error, OSError) and error.filename == str(absolute(path)):
            error.filename = str(path)
        return Outcome(unit, self.result, error)


@dataclass
class _Task:
    """A unit that was handed over; `heard` is None until a worker has begun it."""

    unit: Unit
    number: int
    heard: float | None = None


class _Tasks:
    """Tasks under way. As a context it cancels those that are, when it ends."""

    def __init__(self, job: Job, on_frames: OnFrames) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._on_frames = on_frames
        self._running: dict[Any, _Task] = {}
        self._numbers = itertools.count()
        self._idle_since, self._has_said_so = time.monotonic(), False
        # Here, where it lives as long as the run does; were it lost, it would start anew.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        kept = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Reports)
        self._reports: Any = cast(Any, kept).options(scheduling_strategy=here).remote()
        self._task: Any = ray.remote(num_cpus=1, max_retries=0)(_work)
        self._job, self._versions = ray.put(job), versions()

    def __enter__(self) -> _Tasks:
        return self

    def __exit__(self, *_: object) -> None:
        for ref in self._running:
            self._cancel(ref)

    def __len__(self) -> int:
        return len(self._running)

    def start(self, unit: Unit) -> None:
        task = _Task(unit, next(self._numbers))
        there = replace(unit, source=replace(unit.source, path=absolute(unit.source.path)))
        ref = self._task.remote(self._job, there, task.number, self._reports, self._versions)
        self._running[ref] = task

    def ended(self) -> Iterator[tuple[Unit, _Ended | _Died]]:
        """What has ended, after a short wait; passes on what workers report meanwhile."""
        import ray

        refs, _ = ray.wait(list(self._running), timeout=SECONDS_BETWEEN_LOOKS)
        with suppress(ray.exceptions.RayError):  # without reports a run only knows less of how far it is
            self._pass_on(ray.get(self._reports.take.remote()))
        for ref in refs:
            yield self._running.pop(ref).unit, _answer(ref)

    def silent(self) -> Iterator[Outcome]:
        """Give up those that were begun and of which nothing is heard any more."""
        now = time.monotonic()
        for ref, task in list(self._running.items()):
            if task.heard is not None and now - task.heard > executors.PATIENCE:
                self._cancel(ref)
                del self._running[ref]
                yield Outcome(task.unit, None, executors.given_up(task.unit))

    def _pass_on(self, reports: dict[int, int]) -> None:
        now = time.monotonic()
        for task in self._running.values():
            if task.number in reports:
                task.heard = now
                self._on_frames(task.unit, reports[task.number])
        if any(task.heard is not None for task in self._running.values()):
            self._idle_since = now
        elif now - self._idle_since > SECONDS_WITHOUT_A_CPU and not self._has_said_so:
            self._has_said_so = True
            say("note: waiting for the Ray cluster to have a free CPU; `ray status` says what it does")

    def _cancel(self, ref: Any) -> None:
        import ray

        with suppress(Exception):  # the cluster may be gone
            ray.cancel(ref, force=True)


class _Room:
    """How many units to hand over at a time: a cluster may grow and shrink."""

    def __init__(self, workers: int | None) -> None:
        self._workers, self._cpus, self._counted = workers, 0, float("-inf")

    def now(self) -> int:
        if self._workers:
            return self._workers
        if time.monotonic() > self._counted + SECONDS_BETWEEN_COUNTS:
            import ray

            self._counted, self._cpus = time.monotonic(), int(ray.cluster_resources().get("CPU", 0))
        return self._cpus + AHEAD


def _answer(ref: Any) -> _Ended | _Died:
    """What a task gave.

    Raises:
        FramekitError: The node is not fit for any unit.
    """
    import ray
    from ray import exceptions

    try:
        answer = ray.get(ref)
    except (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError):
        return _Died()
    except exceptions.ObjectLostError:  # what it gave was on a node that died
        return _Died()
    except exceptions.RayError as error:
        what = f"a node of the Ray cluster could not begin its work: {str(error).strip().splitlines()[-1]}"
        raise FramekitError(what, advice="install the same cartoon-framekit on all nodes") from error
    if isinstance(answer, _Unfit):
        raise answer
    return _Ended(None, answer) if isinstance(answer, Exception) else _Ended(answer)


def absolute(path: Path) -> Path:
    """A path that means the same in any process; an address does already."""
    return path.absolute() if isinstance(path, Path) else path


def _absolute(job: Job) -> Job:
    table = job.options.content_table
    options = job.options.model_copy(update={"content_table": table and str(Path(table).absolute())})
    tagger = absolute(job.tagger) if job.tagger else None
    return replace(job, options=options, root=absolute(job.root), tagger=tagger)


def _wait_until_seen(root: Path, segments: list[Segment]) -> None:
    """Wait until the shards of `segments`, which other nodes may have written, are there for this one too.

    Raises:
        FramekitError: They do not come.
    """
    started = time.monotonic()
    for path in (path for segment in segments for path in shard_paths(root, segment.name)):
        while not path.exists():
            if time.monotonic() - started > SECONDS_UNTIL_SEEN:
                what = f"{path.name} was written by another node and is not seen by this one"
                raise FramekitError(what, where=root, advice="put the dataset where all nodes see it")
            time.sleep(SECONDS_BETWEEN_LOOKS)


@contextmanager
def _connected(address: str | None, workers: int | None) -> Generator[None]:
    """Be connected to the cluster at `address`, or to a Ray that is started here.

    Where the caller is connected already, that connection is used and stays.
    """
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    import ray

    if ray.is_initialized():
        yield
        return
    if address:
        _check(address)
        options: dict[str, Any] = {"address": address}
    else:
        options = {"address": "local", "num_cpus": workers, "include_dashboard": False}
        options |= {"object_store_memory": STORE_BYTES}
    at_sigterm = signal.getsignal(signal.SIGTERM)
    with redirect_stdout(cast(TextIO, _WithoutRay(sys.stdout))):
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise _no_cluster(address, error) from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, at_sigterm)  # Ray's ends the program without a word
        try:
            yield
        finally:
            with redirect_stdout(io.StringIO()):  # what it kept to say in the end
                ray.shutdown()


def _check(address: str) -> None:
    """Ray itself asks for minutes where nobody answers.

    Raises:
        CommandError: Nobody does.
    """
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        host, port = parts.hostname, parts.port
        if host and port:
            socket.create_connection((host, port), timeout=SECONDS_TO_CONNECT).close()
    except (OSError, ValueError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str | None, error: Exception) -> FramekitError:
    cause = str(getattr(error, "strerror", None) or error or type(error).__name__).strip().splitlines()[0]
    if address is None:
        return FramekitError(f"Ray does not start: {cause}", advice="leave out --executor ray to do without")
    advice = "start one with `ray start --head`, or leave out --ray-address to use this machine alone"
    if os.environ.get("RAY_AUTH_MODE") is None and address != "auto":
        advice += ". A cluster that asks for a token is entered with RAY_AUTH_MODE=token in the environment"
    return CommandError(f"no Ray cluster at {address}: {cause}", advice=advice)


class _WithoutRay:
    """Standard output without what Ray's own threads say: with --json it is one object."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if threading.current_thread().name.startswith("ray_"):
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


# On a node ------------------------------------------------------------------------------------------------


class _Reports:
    """An actor that keeps what workers report until the run asks for it."""

    def __init__(self) -> None:
        self._frames: dict[int, int] = {}

    def tell(self, number: int, frames: int) -> None:
        self._frames[number] = frames

    def take(self) -> dict[int, int]:
        taken, self._frames = self._frames, {}
        return taken


class _Unfit(FramekitError):
    """A node is not fit for any unit of this run."""


def _work(
    job: Job, unit: Unit, number: int, reports: Any, here: dict[str, str]
) -> list[Segment] | Spent | Exception:
    """Do a unit; an error is given, not raised, since Ray would put it into another."""

    def tell(frames: int) -> None:
        reports.tell.remote(number, frames)

    try:
        tell(0)
        _check_node(job.root, here)
        import cv2

        cv2.setNumThreads(1)
        return job.do(unit, executors.seldom(tell))
    except Exception as error:
        return executors.fit_to_travel(error)


def _check_node(root: Path, here: dict[str, str]) -> None:
    """Whether what this node writes is what the one that asks for it would write, and where it would.

    Raises:
        _Unfit: It is not.
    """
    name = socket.gethostname()
    if not (root / "dataset.json").exists():
        advice = "put the dataset where all nodes see it, under the same path"
        raise _Unfit(f"the node {name} of the Ray cluster does not see it", where=root, advice=advice)
    other = [
        f"{key} {mine}, not {here.get(key)}" for key, mine in versions().items() if mine != here.get(key)
    ]
    if other:
        what = f"the node {name} of the Ray cluster has {'; '.join(other)}"
        raise _Unfit(
            what, advice="install the same versions on all nodes: the dataset's bytes depend on them"
        )


@cache
def versions() -> dict[str, str]:
    """Versions of all that the bytes of a dataset depend on."""
    import av
    import cv2
    import imagehash
    import numpy
    import PIL
    import pyarrow
    import scipy

    modules = (av, cv2, imagehash, numpy, PIL, pyarrow, scipy)
    return {"framekit": __version__} | {each.__name__: each.__version__ for each in modules}
