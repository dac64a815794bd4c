"""Progress on anything over a second: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from framekit.errors import printable

SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Shows how far a job is, on standard error.

    Args:
        title: What is being done, in a word or two.
        total: Units to do; None when unknown.
        unit: What is counted, in the plural ("frames").

    Examples:
        >>> with Progress("extract", total=1440, unit="frames") as progress:
        ...     progress.advance(50)
    """

    def __init__(self, title: str, *, total: float | None, unit: str) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = 0.0
        self.note = ""
        self._started = time.monotonic()
        self._first = 0.0
        self._shown = self._started
        self._bar = _TerminalBar(self) if sys.stderr.isatty() else None

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        elif kind is None and time.monotonic() - self._started > 1:
            self._print_line()

    def start_at(self, done: float) -> None:
        """Begin at `done` units that an earlier run did: they don't count towards the rate."""
        self._first = self.done = done
        self._show()

    def advance(self, units: float = 1, note: str | None = None) -> None:
        """Count `units` more as done; `note` is shown behind the figures."""
        self.done += units
        self.note = self.note if note is None else printable(note)
        self._show()

    @property
    def rate(self) -> float:
        """Units per second since the start."""
        return (self.done - self._first) / max(time.monotonic() - self._started, 1e-9)

    @property
    def figures(self) -> str:
        """`300/1440 frames (21%), 95 frames/s, 0:12 left`."""
        parts = [f"{self.done:,.0f} {self.unit}"]
        if self.total:
            parts = [f"{self.done:,.0f}/{self.total:,.0f} {self.unit} ({min(self.done / self.total, 1):.0%})"]
        if self.done > self._first:
            parts.append(f"{_three_digits(self.rate)} {self.unit}/s")
            if self.total and self.done < self.total:
                parts.append(f"{clock((self.total - self.done) / self.rate)} left")
        return ", ".join(parts + ([self.note] if self.note else []))

    def _show(self) -> None:
        if self._bar:
            self._bar.update()
        elif time.monotonic() - self._shown >= SECONDS_BETWEEN_LINES:
            self._print_line()

    def _print_line(self) -> None:
        self._shown = time.monotonic()
        print(f"{self.title}: {self.figures}", file=sys.stderr, flush=True)


class _TerminalBar:
    """The rich half of Progress."""

    def __init__(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._progress = progress
        self._rich = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[figures]}", markup=False),
            console=Console(stderr=True),
        )
        self._task = self._rich.add_task(progress.title, total=progress.total, figures="")

    def start(self) -> None:
        self._rich.start()

    def stop(self) -> None:
        self.update()
        self._rich.stop()

    def update(self) -> None:
        self._rich.update(
            self._task,
            completed=self._progress.done,
            total=self._progress.total,
            figures=self._progress.figures,
        )


def clock(seconds: float) -> str:
    """`75` → `1:15`, `3700` → `1:01:40`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
