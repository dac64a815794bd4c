"""A film of two hours takes no more memory than a tenth of it, and nothing of it goes missing."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import framekit.manifest
from framekit.manifest import Manifest
from framekit.manifest.decisions import dropped
from tests.benchmarks.decode import DRAWN_RATE, DRAWN_SECONDS, cached, draw, repeat
from tests.films import numbered_frame, write_film
from tests.soak.memory import MB, Peak, needs_proc, run

EVERY = 50
CEILING = 1_200 * MB
"""For all processes together, each of them at its worst."""
RATIO, ALLOWANCE = 1.15, 30 * MB
"""How much more a longer film may take."""


class Extracted(NamedTuple):
    """A dataset, and the bytes that the program and its workers held at most."""

    dataset: Path
    peak: int


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A folder for films of gigabytes: it goes when the test ends."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def small_minute(room: Path) -> Path:
    drawings = [numbered_frame(number, width=384, height=256) for number in range(2 * DRAWN_SECONDS)]
    return write_film(room / "minute.mp4", [drawing for drawing in drawings for _ in range(DRAWN_RATE // 2)])


def drawn_minute(room: Path) -> Path:
    return cached("drawn-1080p.mp4", draw)


def extracted(minute: Path, minutes: int, room: Path) -> Extracted:
    """A minute, over and over, through the program as a user runs it, with two workers."""
    film, out, peak = room / f"{minutes}-minutes.mp4", room / f"{minutes}-minutes", Peak()
    repeat(minute, str(film), how_often=minutes)
    cost = run(["framekit.cli", "extract", str(film), "--out", str(out), "--workers", "2"], peak)
    told(f"extract, {minutes} minutes", peak, *cost)
    return Extracted(out, peak.bytes)


def verified(dataset: Path) -> int:
    peak = Peak()
    cost = run(["framekit.cli", "verify", str(dataset)], peak)
    told(f"verify {dataset.name}", peak, *cost)
    return peak.bytes


def told(what: str, peak: Peak, wall: float, cpu: float) -> None:
    print(f"{what}: {peak.bytes / MB:.0f} MB at most, {wall:.0f} s, {cpu:.0f} CPU s")


def check_account(manifest: Manifest, minutes: int) -> None:
    """Each frame that was to be sampled is in, or left out for a reason."""
    info, frames = manifest.info, minutes * DRAWN_SECONDS * DRAWN_RATE
    sampled = manifest.frames(["frame_id", "frame_number"])
    ids = set(sampled["frame_id"].to_pylist())
    left_out = ids & dropped(manifest.root).keys()
    assert sorted(sampled["frame_number"].to_pylist()) == [*range(0, frames, EVERY)]
    assert (info.totals["frames"], info.totals["frames_sampled"]) == (frames, len(ids))
    assert (info.totals["frames_kept"], sum(info.dropped.values())) == (len(ids - left_out), len(left_out))
    assert len(manifest) == info.totals["pairs"] > 0


@needs_proc
@pytest.mark.parametrize(
    ("draw_minute", "short", "long"),
    [
        pytest.param(small_minute, 1, 3, id="minutes"),
        pytest.param(drawn_minute, 12, 120, id="two-hours", marks=pytest.mark.soak),
    ],
)
def test_memory_does_not_grow_with_a_films_length(draw_minute, short, long, room):
    minute = draw_minute(room)
    of_short, of_long = (extracted(minute, minutes, room) for minutes in (short, long))
    assert of_long.peak <= CEILING
    assert of_long.peak <= RATIO * of_short.peak + ALLOWANCE
    check_account(framekit.manifest.open(of_long.dataset), long)
    assert verified(of_long.dataset) <= RATIO * verified(of_short.dataset) + ALLOWANCE
