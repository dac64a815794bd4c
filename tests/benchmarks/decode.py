"""Sampling a film, and the whole of `framekit extract`, against PyAV and the ffmpeg program, in one run.

    python -m tests.benchmarks.decode [--films FILM...] [--rounds 5] [--json]

What is compared, in CPU seconds (user and system, all threads), median of the rounds:

- PyAV, every frame to RGB: the usual loop, `for frame in container.decode(video=0): frame.to_ndarray(…)`.
- PyAV, decode only: the same without a conversion, on one thread.
- ffmpeg select: `ffmpeg -i FILM -vf select='not(mod(n\\,50))' -f null -`; it converts nothing.
- framekit: pictures as `film_pictures` gives them, its pass over the packets and conversion to RGB included.
- framekit extract: the program from start to end, with Python's own start, on its default number of workers.

Every measurement has a process of its own, and a round measures each way once before the next one begins, so
that what else the machine does strikes all of them alike. Loops are timed from after their imports, programs
whole. Films come from the folder that FRAMEKIT_TEST_DATA names, beside one that is drawn here: a minute of
1080p with grain, by x264's defaults, and ten times over to see whether memory grows with length.
"""

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from resource import RUSAGE_SELF, getrusage, struct_rusage
from typing import NamedTuple, TypeVar

# This process stays small: on Linux a child counts as its own peak what its parent held when it was started.

ROUNDS = 5
REAL_FILMS = (
    "films/big-buck-bunny.ts",
    "films/popeye/sindbad-1.mkv",
    "films/pennychip/carnival.mp4",
)
DRAWN_SIZE, DRAWN_SECONDS, DRAWN_RATE = (1920, 1080), 60, 24
GRAIN = 3.0
"""Standard deviation of the drawn film's grain, of 255."""
TIMES = 10
LONG_ENOUGH = 1_000
"""Frames from which a film counts as one of the longer ones."""
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes that `ru_maxrss` counts in."""

LOOP, DECODE, FFMPEG = "PyAV, every frame to RGB", "PyAV, decode only", "ffmpeg select, every 50"
EVERY_50, EVERY_5, KEYFRAMES = "framekit, every 50", "framekit, every 5", "framekit, keyframes"
EXTRACT = "framekit extract --every 50"


class Cost(NamedTuple):
    """What one measurement took.

    Attributes:
        cpu: Seconds, user and system.
        peak: Bytes of memory at most, of the process that took most.
        pictures: How many came out; 0 where nobody counted.
        fed: Packets that went into the decoder; 0 where nobody counted.
    """

    cpu: float
    peak: int
    pictures: int = 0
    fed: int = 0


Way = Callable[[Path], Cost]
Answer = TypeVar("Answer")


@dataclass
class Result:
    """Medians of all ways for one film."""

    film: str
    about: str
    frames: int
    cpu: dict[str, float]
    rounds: dict[str, list[float]]
    pictures: dict[str, int]
    fed: dict[str, int]

    def ratio(self, way: str, to: str) -> float | None:
        """CPU time of one way over that of another; None where either was not measured."""
        return self.cpu[way] / self.cpu[to] if way in self.cpu and to in self.cpu else None


# Ways -----------------------------------------------------------------------------------------------------


def loop(path: str, *, convert: bool) -> tuple[int, int]:
    """Pictures and packets of a full decode with PyAV."""
    import av

    frames = 0
    with av.open(path) as container:
        if not convert:
            container.streams.video[0].thread_type = "NONE"
        for frame in container.decode(video=0):
            frames += 1
            if convert:
                frame.to_ndarray(format="rgb24")
    return frames, frames


def sampled(path: str, **sampling: object) -> tuple[int, int]:
    """Pictures of framekit, and the packets that they took."""
    from framekit.sources.decoding import Approach, Surprise, film_pictures, timeline_of
    from framekit.sources.frames import Decoded
    from framekit.sources.sampling import Sampling

    film, chosen = Path(path), Sampling(**sampling)
    approach = Approach(timeline_of(film)[0])
    while True:
        decoded, numbers = Decoded(), []
        try:
            for picture in film_pictures(film, chosen, decoded=decoded, approach=approach):
                numbers.append(picture.place.number)
        except Surprise as surprise:
            approach = surprise.approach
        else:
            timeline = approach.timeline
            return len(numbers), len(timeline.fed(numbers)) if timeline else decoded.frames


def cost_of(work: Callable[[], tuple[int, int]]) -> Cost:
    """Run a loop in this process, whose imports are not counted."""
    import framekit.sources.decoding  # noqa: F401 - with all that it imports

    before = cpu_seconds(getrusage(RUSAGE_SELF))
    pictures, fed = work()
    after = getrusage(RUSAGE_SELF)
    return Cost(cpu_seconds(after) - before, after.ru_maxrss * RSS_UNIT, pictures, fed)


def in_a_process(work: Callable[[], Answer]) -> Answer:
    """Run a function in a fresh Python."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(work).result()


def python_way(work: Callable[..., tuple[int, int]], **options: object) -> Way:
    return lambda film: in_a_process(partial(cost_of, partial(work, str(film), **options)))


def ffmpeg_select(film: Path) -> Cost:
    selected = ["-an", "-vf", "select=not(mod(n\\,50))", "-fps_mode", "vfr", "-f", "null", "-"]
    return run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(film), *selected])


def extract(film: Path) -> Cost:
    program = [sys.executable, "-c", "from framekit.cli import main; main()"]
    with tempfile.TemporaryDirectory() as folder:
        return run([*program, "extract", str(film), "--out", f"{folder}/dataset", "--every", "50"])


def run(command: list[str]) -> Cost:
    """Run a program with all its children.

    Raises:
        RuntimeError: It failed; with what it said.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{command} failed: {said.read().decode(errors='replace')[-2000:]}")
    return Cost(cpu_seconds(usage), usage.ru_maxrss * RSS_UNIT)


def cpu_seconds(usage: struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def ways() -> dict[str, Way]:
    """All that can be measured here, by name."""
    made = {
        LOOP: python_way(loop, convert=True),
        DECODE: python_way(loop, convert=False),
        EVERY_50: python_way(sampled, every=50),
        EVERY_5: python_way(sampled, every=5),
        KEYFRAMES: python_way(sampled, keyframes=True),
        EXTRACT: extract,
    }
    return made | ({FFMPEG: ffmpeg_select} if shutil.which("ffmpeg") else {})


# Films ----------------------------------------------------------------------------------------------------


def cached(name: str, make: Callable[[str], None]) -> Path:
    """A file in a folder of the system's temporary ones that stays for the next run."""
    path = Path(tempfile.gettempdir()) / "framekit-benchmarks" / name
    if not path.exists():
        note(f"making {path}, once")
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(f"{os.getpid()}-{name}")
        in_a_process(partial(make, str(part)))
        part.replace(path)
    return path


def draw(path: str) -> None:
    """The demo film in 1080p with grain over it, encoded by x264's defaults."""
    import av
    import cv2
    import numpy as np

    from pipelines.demo_film import frames

    generator = np.random.default_rng(0)
    height, width = DRAWN_SIZE[1], DRAWN_SIZE[0]
    noise = generator.normal(128, GRAIN, (height + 64, width + 64, 1)).round().astype(np.uint8)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=DRAWN_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_type = "FRAME"  # else PyAV has x264 cut every picture into slices
        for picture in frames(seconds=DRAWN_SECONDS, size=DRAWN_SIZE):
            y, x = generator.integers(0, 64, 2)
            grain = cv2.merge([noise[y : y + height, x : x + width]] * 3)
            grained = cv2.addWeighted(picture, 1, grain, 1, -128)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grained, format="rgb24")))
        container.mux(stream.encode())


def repeat(film: Path, path: str, *, how_often: int = TIMES) -> None:
    """The packets of a film `how_often` over; its groups of pictures are closed, so that is a film."""
    import av

    with av.open(str(film)) as source, av.open(path, "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        length = round(DRAWN_SECONDS / stream.time_base)
        for times in range(how_often):
            source.seek(0)
            for packet in source.demux(stream):
                if packet.dts is None:
                    continue
                packet.pts += times * length
                packet.dts += times * length
                packet.stream = copy
                target.mux(packet)


def about(path: str) -> str:
    from framekit.sources.film import read_facts

    facts = read_facts(Path(path))
    return f"{facts.codec} {facts.width}×{facts.height}"


# Running and telling --------------------------------------------------------------------------------------


def measure_film(film: Path, rounds: int) -> Result:
    measured: dict[str, list[Cost]] = {name: [] for name in ways()}
    for number in range(rounds):
        note(f"{film.name}: round {number + 1} of {rounds}")
        for name, way in ways().items():
            measured[name].append(way(film))
    cpu = {name: [cost.cpu for cost in costs] for name, costs in measured.items()}
    return Result(
        film=film.name,
        about=in_a_process(partial(about, str(film))),
        frames=measured[LOOP][0].pictures,
        cpu={name: statistics.median(seconds) for name, seconds in cpu.items()},
        rounds=cpu,
        pictures={name: costs[0].pictures for name, costs in measured.items()},
        fed={name: costs[0].fed for name, costs in measured.items()},
    )


def table(result: Result) -> Iterator[str]:
    yield f"\n{result.film}: {result.about}, {result.frames:,} frames"
    yield f"  {'ratio to':<29}{'to RGB':>8}{'decode':>8}{'ffmpeg':>8}{'CPU s':>9}{'from to':>15}   fed"
    for way, seconds in result.cpu.items():
        ratios = "".join(
            f"{'-' if ratio is None else format(ratio, '.2f'):>8}"
            for ratio in (result.ratio(way, to) for to in (LOOP, DECODE, FFMPEG))
        )
        spread = f"{min(result.rounds[way]):.2f} {max(result.rounds[way]):.2f}"
        fed = result.fed[way]
        share = f"   {fed:,} ({fed / result.frames:.0%})" if fed else ""
        yield f"  {way:<29}{ratios}{seconds:9.2f}{spread:>15}{share}"


def summary(results: list[Result]) -> Iterator[str]:
    """The ratios that are aimed at, against both full decodes."""
    yield "\nover all films (median, worst)"
    for way, aim in (
        (EVERY_50, "aim: median 0.40, worst 0.65"),
        (KEYFRAMES, "aim: 0.10"),
        (EVERY_5, "aim: 1.00"),
    ):
        for to in (LOOP, DECODE):
            ratios = [ratio for result in results if (ratio := result.ratio(way, to))]
            yield f"  {way:<20} / {to:<25}{statistics.median(ratios):6.2f}{max(ratios):6.2f}   {aim}"
    longer = [
        (result.film, ratio)
        for result in results
        if result.frames >= LONG_ENOUGH and (ratio := result.ratio(EXTRACT, FFMPEG))
    ]
    for film, ratio in longer:
        yield f"  {EXTRACT} / {FFMPEG}{ratio:6.2f}   aim: 0.70   {film}"


def machine() -> dict[str, str]:
    """What the figures hold for."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        model = next(
            (x.split(":")[1].strip() for x in info.read_text().splitlines() if "model name" in x), model
        )
    said = "not installed, so left out"
    if shutil.which("ffmpeg"):
        said = subprocess.run(
            ["ffmpeg", "-version"], capture_output=True, text=True, check=True
        ).stdout.split()[2]
    return {
        "machine": f"{model}, {os.cpu_count()} cores, {platform.system()}",
        "Python": platform.python_version(),
        "ffmpeg": said,
        **{name: version(name) for name in ("av", "numpy", "opencv-python-headless", "pyarrow")},
    }


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.decode", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--films", nargs="+", type=Path, metavar="FILM", help="instead of the usual ones")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"measurements of each way ({ROUNDS})")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    chosen = parser.parse_args()

    drawn = cached("drawn-1080p.mp4", draw)
    longer = cached(f"drawn-1080p-{TIMES}-times.mp4", partial(repeat, drawn))
    data = Path(os.environ.get("FRAMEKIT_TEST_DATA", "nowhere"))
    usual = [path for name in REAL_FILMS if (path := data / name).exists()] + [drawn]
    if not chosen.json:
        print(
            f"CPU seconds, median of {chosen.rounds}; " + ", ".join(f"{k} {v}" for k, v in machine().items())
        )
    results = []
    for film in chosen.films or usual:
        results.append(measure_film(film, chosen.rounds))
        if not chosen.json:
            print("\n".join(table(results[-1])), flush=True)
    note(f"{TIMES} times as long, once")
    extracted = {film.name: extract(film) for film in (drawn, longer)}
    memory = {name: cost.peak for name, cost in extracted.items()}
    at_length = extracted[longer.name].cpu / ffmpeg_select(longer).cpu if shutil.which("ffmpeg") else None
    if chosen.json:
        films = [asdict(result) for result in results]
        long = {"peak_bytes": memory, "extract_to_ffmpeg_at_length": at_length}
        print(json.dumps(machine() | {"rounds": chosen.rounds, "films": films} | long))
        return
    print("\n".join(summary(results)))
    if at_length:
        print(f"  {EXTRACT} / {FFMPEG}{at_length:6.2f}   aim: 0.70   {longer.name}")
    print(f"\npeak memory of {EXTRACT} (aim: 600 MB, and no more for a longer film)")
    for name, peak in memory.items():
        print(f"  {peak / 1e6:6.0f} MB   {name}")


if __name__ == "__main__":
    main()
