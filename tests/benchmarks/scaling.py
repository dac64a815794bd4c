"""How extraction scales: workers, Ray, memory, and what a run costs that finds everything done.

    python -m tests.benchmarks.scaling [--rounds 3] [--json]

- Four films, each five minutes of drawn 1080p with grain: by one worker, by two, and by two on a Ray that the
  run starts for itself, its start measured apart by a run on one very short film.
- One film of ten minutes, which is cut into segments: by one worker and by two.
- The largest resident memory of a process of each run.
- A run on a hundred short films that are all done, from the start of the program to its end.

Wall-clock seconds count here, so nothing else should run. Ways take turns within a round; the median of the
rounds counts. Every run is a program of its own.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.decode import RSS_UNIT, cached, draw, in_a_process, machine, note, repeat

ROUNDS = 3
FILMS, SHORT_FILMS = 4, 100
MINUTES = 5
SHORT_SECONDS = 3


class Cost(NamedTuple):
    """Of one run: seconds that passed, CPU seconds of it and its workers, bytes of its largest process."""

    wall: float
    cpu: float
    memory: int


@dataclass
class Result:
    """Median costs by way, and all rounds."""

    wall: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    rounds: dict[str, list[Cost]] = field(default_factory=dict)

    def add(self, costs: dict[str, list[Cost]]) -> None:
        self.rounds |= costs
        for name, each in costs.items():
            self.wall[name] = statistics.median(cost.wall for cost in each)
            self.cpu[name] = statistics.median(cost.cpu for cost in each)
            self.memory[name] = max(cost.memory for cost in each)


def retitled(film: Path, number: int, path: str) -> None:
    """The packets of a film under another title, so that it is another file."""
    import av

    with av.open(str(film)) as source, av.open(path, "w") as target:
        target.metadata["title"] = f"film {number}"
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)


def draw_short(path: str) -> None:
    from pipelines.demo_film import draw_film

    draw_film(Path(path), seconds=SHORT_SECONDS)


def extract(films: list[Path], out: Path, *more: str) -> Cost:
    """One run of the program."""
    started, before = time.perf_counter(), os.times()
    command = [sys.executable, "-m", "framekit.cli", "extract", *map(str, films), "--out", str(out), *more]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {said.decode()}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(time.perf_counter() - started, cpu, usage.ru_maxrss * RSS_UNIT)


def anew(films: list[Path], *more: str) -> Cost:
    folder = tempfile.mkdtemp(prefix="framekit-scaling-")
    try:
        return extract(films, Path(folder) / "dataset", *more)
    finally:
        shutil.rmtree(folder)


def in_turns(ways: dict[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            note(f"round {number + 1} of {rounds}: {name}")
            costs[name].append(way())
    return costs


def measure(rounds: int) -> Result:
    drawn = cached("drawn-1080p.mp4", draw)
    episode = cached(f"drawn-1080p-{MINUTES}-times.mp4", partial(repeat, drawn, how_often=MINUTES))
    films = [
        cached(f"drawn-1080p-{MINUTES}-{number}.mp4", partial(retitled, episode, number))
        for number in range(FILMS)
    ]
    long = cached("drawn-1080p-10-times.mp4", partial(repeat, drawn))
    short = cached("drawn-short.mp4", draw_short)
    many = [
        cached(f"drawn-short-{number}.mp4", partial(retitled, short, number)) for number in range(SHORT_FILMS)
    ]
    result = Result()
    on_ray = ("--executor", "ray", "--workers", "2")
    ways: dict[str, Callable[[], Cost]] = {
        "4 films, 1 worker": partial(anew, films, "--workers", "1"),
        "4 films, 2 workers": partial(anew, films, "--workers", "2"),
        "4 films, Ray, 2 workers": partial(anew, films, *on_ray),
        "1 short film, 1 worker": partial(anew, [short], "--workers", "1"),
        "1 short film, Ray": partial(anew, [short], *on_ray),
        "10 minutes, 1 worker": partial(anew, [long], "--workers", "1"),
        "10 minutes, 2 workers": partial(anew, [long], "--workers", "2"),
    }
    result.add(in_turns(ways, rounds))
    with tempfile.TemporaryDirectory(prefix="framekit-scaling-") as folder:
        note(f"{SHORT_FILMS} short films, once")
        extract(many, Path(folder) / "dataset")
        done = {f"{SHORT_FILMS} films, all done": partial(extract, many, Path(folder) / "dataset")}
        result.add(in_turns(done, rounds))
    return result


def told(result: Result) -> str:
    lines = [f"{'':<28}{'seconds':>9}{'CPU s':>9}{'largest process':>18}"]
    lines += [
        f"{name:<28}{result.wall[name]:9.1f}{result.cpu[name]:9.1f}{result.memory[name] / 1e6:15.0f} MB"
        for name in result.wall
    ]
    wall = result.wall
    four = wall["4 films, 1 worker"] / wall["4 films, 2 workers"]
    long = wall["10 minutes, 1 worker"] / wall["10 minutes, 2 workers"]
    start = wall["1 short film, Ray"] - wall["1 short film, 1 worker"]
    ray = (wall["4 films, Ray, 2 workers"] - start) / wall["4 films, 2 workers"] - 1
    lines += [
        f"\n4 films, 2 workers: {four:.2f} times as fast as one (aim 1.80)",
        f"10 minutes, 2 workers: {long:.2f} times as fast as one",
        f"Ray: {ray:+.0%} over the local pool (aim 15%), and {start:.1f} s to start it",
        f"{SHORT_FILMS} films that are done: {wall[f'{SHORT_FILMS} films, all done']:.2f} s (aim 2)",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result, on = measure(given.rounds), in_a_process(machine)
    print(json.dumps({"machine": on, **asdict(result)}) if given.json else f"{on}\n{told(result)}")


if __name__ == "__main__":
    main()
