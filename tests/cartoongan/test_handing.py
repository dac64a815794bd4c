"""Threads ahead and behind: order, errors, and ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cartoongan.handing import Behind, ahead


def test_order_stays() -> None:
    done: list[int] = []
    with Behind(done.append, 2) as behind:
        for number in ahead(range(50), 3):
            behind.put(number)
    assert done == list(range(50))


def test_an_error_ahead_comes_in_its_place() -> None:
    def breaking() -> Iterator[int]:
        yield 1
        raise OSError("odd")

    items = ahead(breaking(), 4)
    assert next(items) == 1
    with pytest.raises(OSError, match="odd"):
        next(items)


def test_an_error_behind_is_raised_and_nobody_waits() -> None:
    def breaking(_number: int) -> None:
        raise OSError("odd")

    with pytest.raises(OSError, match="odd"), Behind(breaking, 1) as behind:
        for number in range(100):
            behind.put(number)


def test_what_is_closed_ends_its_thread_and_reads_no_further() -> None:
    seen: list[int] = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            seen.append(number)
            yield number
            number += 1

    items = ahead(endless(), 3)
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert len(seen) <= 6
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_after_an_error_here_what_waits_is_dropped() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work(number: int) -> None:
        begun.set()
        go_on.wait(10)
        done.append(number)

    with pytest.raises(KeyboardInterrupt), Behind(work, 8) as behind:
        for number in range(4):
            behind.put(number)
        begun.wait(10)
        behind._dropped = True  # as the end of this block says, before the first item is done
        go_on.set()
        raise KeyboardInterrupt
    assert done == [0]
