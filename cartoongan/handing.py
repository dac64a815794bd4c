"""Work handed to threads: what is read ahead, what is written behind. Order stays, queues are bounded."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE = 0.1  # seconds between looks whether the other side has given up


def ahead(items: Iterable[T], room: int) -> Iterator[T]:
    """The same items, made by a thread that is at most `room` ahead.

    What the thread raises is raised here, in its place. Closing this iterator ends the thread.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(room)
    stop = threading.Event()

    def put(entry: tuple[T | None, BaseException | None, bool]) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=PATIENCE)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item, None, False)):
                    return
        except BaseException as error:
            put((None, error, True))
        else:
            put((None, None, True))

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error, last = ready.get()
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()


class Behind(Generic[T]):
    """Takes items for `work`, which a thread calls with one after the other.

    As a context: when it ends well all items are done; when it ends by an error those that wait are dropped.

    Args:
        work: What is done with an item.
        room: How many may wait.
    """

    def __init__(self, work: Callable[[T], None], room: int) -> None:
        self._work = work
        self._waiting: queue.Queue[tuple[T | None, bool]] = queue.Queue(room)
        self._error: BaseException | None = None
        self._dropped = False
        self._thread = threading.Thread(target=self._run, name="behind", daemon=True)

    def __enter__(self) -> Behind[T]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dropped = kind is not None
        self._waiting.put((None, True))
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def put(self, item: T) -> None:
        """Hand over `item`; waits while there is no room.

        Raises:
            BaseException: What an item before it ended in.
        """
        if self._error is not None:
            raise self._error
        self._waiting.put((item, False))

    def _run(self) -> None:
        while True:  # to the end, whatever happens: whoever puts must never wait for ever
            item, last = self._waiting.get()
            if last:
                return
            if self._error is not None or self._dropped:
                continue
            try:
                self._work(item)  # type: ignore[arg-type]
            except BaseException as error:
                self._error = error
