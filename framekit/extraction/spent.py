"""What work costs: CPU seconds by stage, each second in one stage only."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Spent:
    """CPU seconds of this process, by stage; a stage within another one stops the outer one's clock.

    Attributes:
        seconds: Stage → CPU seconds.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._within: list[str] = []
        self._since = 0.0

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Count what the block costs as `stage`."""
        self._count()
        self._within.append(stage)
        try:
            yield
        finally:
            self._count()
            self._within.pop()

    def through(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """Give `items`, and count what making them costs as `stage`."""
        iterator = iter(items)
        while True:
            with self.on(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def add(self, other: Spent) -> None:
        """Count what was spent elsewhere too."""
        for stage, seconds in other.seconds.items():
            self.seconds[stage] += seconds

    def told(self) -> str:
        """In words: `42.0 CPU seconds: decode 61%, measure 20%, …`."""
        total = sum(self.seconds.values())
        parts = sorted(self.seconds.items(), key=lambda part: -part[1])
        shares = ", ".join(f"{stage} {seconds / total:.0%}" for stage, seconds in parts if seconds)
        return f"{total:,.1f} CPU seconds: {shares}"

    def _count(self) -> None:
        now = time.process_time()
        if self._within:
            self.seconds[self._within[-1]] += now - self._since
        self._since = now
