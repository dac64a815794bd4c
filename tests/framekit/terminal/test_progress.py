import io
import sys

from framekit.terminal import progress as module
from framekit.terminal.progress import Progress, clock


def shown(monkeypatch, work, *, total=100.0, terminal=False):
    """What `work(progress, tick)` prints; `tick(seconds)` lets time pass."""
    now = [0.0]
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def tick(seconds):
        now[0] += seconds

    with Progress("extract", total=total, unit="frames") as progress:
        work(progress, tick)
    return stream.getvalue()


def test_plain_lines_with_rate_and_time_left(monkeypatch):
    def work(progress, tick):
        for _ in range(4):
            tick(5)
            progress.advance(10, "a.mkv")

    lines = shown(monkeypatch, work).splitlines()
    assert lines[0] == "extract: 10/100 frames (10%), 2 frames/s, 0:45 left, a.mkv"
    assert len(lines) == 5


def test_less_than_a_second_says_nothing(monkeypatch):
    assert shown(monkeypatch, lambda progress, tick: progress.advance(100)) == ""


def test_what_an_earlier_run_did_does_not_count_as_speed(monkeypatch):
    def work(progress, tick):
        progress.start_at(50)
        tick(10)
        progress.advance(10)

    assert "60/100 frames (60%), 1 frames/s, 0:40 left" in shown(monkeypatch, work)


def test_an_unknown_total_shows_count_and_rate(monkeypatch):
    def work(progress, tick):
        tick(10)
        progress.advance(1000)

    assert "extract: 1,000 frames, 100 frames/s" in shown(monkeypatch, work, total=None)


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    text = shown(monkeypatch, lambda progress, tick: progress.advance(100, "[red]a.mkv"), terminal=True)
    assert "100/100 frames" in text
    assert "[red]a.mkv" in text, "names are shown as they are, not read as markup"


def test_clock():
    assert (clock(5), clock(75), clock(3700)) == ("0:05", "1:15", "1:01:40")
