"""The page of all benchmarks, docs/results/benchmarks.md: `make bench`.

    python -m tests.benchmarks.page [--only NAME]... [--out FILE]

Each benchmark runs by itself, one after the other, by the command that stands in its rows. What it answered
is kept in bench/NAME.json; with `--only`, the others' rows are made from what is kept there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from framekit.files import write_text
from tests.benchmarks.decode import LONG_ENOUGH, machine, note

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "bench"
PAGE = ROOT / "docs" / "results" / "benchmarks.md"
LIBRARIES = ("torch", "imagededup")

Answer = dict[str, Any]


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        ratio: Ours over the other's, the median over rounds, or nothing where ours stands alone.
        aim: What the ratio, or the figure, should be.
    """

    what: str
    ours: str = ""
    other: str = ""
    against: str = ""
    ratio: float | None = None
    aim: str = ""


def compared(what: str, ours: float, other: float, unit: str, against: str, aim: str = "") -> Row:
    return Row(what, figure(ours, unit), figure(other, unit), against, ours / other, aim)


def by_rounds(
    what: str, ours: list[float], other: list[float], unit: str, against: str, aim: str = ""
) -> Row:
    """Medians; of ratios too, round by round, since what else a machine does changes between rounds."""
    ratio = statistics.median(one / its for one, its in zip(ours, other, strict=True))
    row = compared(what, statistics.median(ours), statistics.median(other), unit, against, aim)
    return row._replace(ratio=ratio)


def figure(value: float, unit: str) -> str:
    """At least three digits; whole numbers from a hundred on."""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def of_decode(answer: Answer) -> Iterator[Row]:
    loop, ffmpeg = "PyAV, every frame to RGB", "ffmpeg select, every 50"
    aims = {"framekit, every 50": "0.40", "framekit, every 5": "1.00", "framekit, keyframes": "0.10"}
    for film in answer["films"]:
        cpu, name = film["cpu"], f"{film['film']} ({film['about']}, {film['frames']:,} frames)"
        for way, aim in aims.items():
            what = f"sampling, {way.removeprefix('framekit, ')}: {name}"
            yield compared(what, cpu[way], cpu[loop], "s", loop, aim)
        if ffmpeg in cpu:
            aim, ours = "0.70" if film["frames"] >= LONG_ENOUGH else "", cpu["framekit extract --every 50"]
            yield compared(f"framekit extract, whole: {name}", ours, cpu[ffmpeg], "s", ffmpeg, aim)
    if at_length := answer["extract_to_ffmpeg_at_length"]:
        what = "framekit extract, whole: the drawn film ten times over, ten minutes"
        yield Row(what, against=ffmpeg, ratio=at_length, aim="0.70")


def of_script_route(answer: Answer) -> Iterator[Row]:
    ours, scripts = answer["ways"]["framekit"], answer["ways"]["scripts"]
    pairs = f"{ours['pairs']} pairs against {scripts['pairs']}"
    against = "ffmpeg to PNG, hash, resize, a loop over pixels"
    yield compared(f"film to pairs, {answer['film']} ({pairs})", ours["cpu"], scripts["cpu"], "s", against)


def of_edge_smoothing(answer: Answer) -> Iterator[Row]:
    ours, loop = answer["framekit_s"] * 1e3, answer["loop_s"] * 1e3
    yield compared("edge smoothing, 256×256", ours, loop, "ms", "a loop over pixels")


def of_grouping(answer: Answer) -> Iterator[Row]:
    costs = {(c["kind"], c["count"], c["way"]): c["cpu"] for c in answer["costs"]}
    for (kind, count, way), cpu in costs.items():
        if way in ("every leader", "imagededup"):
            what = f"near-duplicates among {count:,} hashes, {kind}"
            against = "every picture with every leader" if way == "every leader" else way
            yield compared(what, costs[kind, count, "groups"], cpu, "s", against)


def of_loader(answer: Answer) -> Iterator[Row]:
    cpu = answer["cpu_ms_per_pair"]
    ours = cpu["framekit stream"]
    aims = {"cv2.imdecode, bytes in memory": "1.11", "folder of PNGs, cv2": "", "folder of PNGs, PIL": ""}
    for way, aim in aims.items():
        yield by_rounds("reading a pair for training", ours, cpu[way], "ms", way, aim)
    first, again = answer["first_batch_s"]["wall"], answer["lookup_ms"]["again"][1]
    yield Row(f"first batch of {answer['rows']:,} pairs", figure(first, "s of wall time"), aim="2 s")
    yield Row("a pair by its id", figure(again, "ms of wall time"), aim="5 ms")


def of_training(answer: Answer) -> Iterator[Row]:
    found = answer["ways"]
    usual = found.pop("as it is usually written")
    unit, name = ("s", "cpu_s") if "cpu_s" in usual[0] else ("ms of the GPU", "ms")
    aims = {"ours, fp32": "0.62", "ours, bf16": "0.30"} if name == "cpu_s" else {}
    for way, rounds in found.items():
        ours, other = ([one[name] for one in its] for its in (rounds, usual))
        what = f"a training step, {way.removeprefix('ours, ')}"
        yield by_rounds(what, ours, other, unit, "the step as usually written", aims.get(way, ""))


def of_stylize(answer: Answer) -> Iterator[Row]:
    for row in answer["results"]:
        what, unit = f"a film stylized, {row['size']}, {row['precision']}", "s of wall time"
        made = compared(what, row["film_seconds"], row["bare_seconds"], unit, "the generator alone", "1.15")
        yield made._replace(ratio=row["ratio"])


def of_review_page(answer: Answer) -> Iterator[Row]:
    worst = answer["worst"]
    aims = {
        "first paint": "1,000 ms",
        "longest task while scrolling": "100 ms",
        "key to saved answer, median": "50 ms",
    }
    for name, aim in aims.items():
        yield Row(f"review page, 100,000 frames: {name}", figure(worst[name], "ms of wall time"), aim=aim)


def of_audit(answer: Answer) -> Iterator[Row]:
    aims = {"alone": "60 s, 2 GB, 15 MB"}
    for name, its in answer["costs"].items():
        size = f", {its['size']:.1f} MB" if its["size"] else ""
        ours = f"{its['cpu']:.0f} s, {its['peak'] / 1e3:.2f} GB{size}"
        yield Row(f"audit of 100,000 frames, 400,000 pairs: {name}", ours, aim=aims.get(name, ""))


BENCHMARKS: dict[str, tuple[str, Callable[[Answer], Iterator[Row]]]] = {
    # name: what it is told, its rows
    "decode": ("--rounds 2", of_decode),
    "script_route": ("", of_script_route),
    "edge_smoothing": ("", of_edge_smoothing),
    "grouping": ("--kinds uniform films --counts 5000 20000 --distances 6", of_grouping),
    "loader": ("--rounds 2", of_loader),
    "training": ("--rounds 1", of_training),
    "stylize": ("--size 480x270 --frames 6", of_stylize),
    "review_page": ("--rounds 1", of_review_page),
    "audit": ("--rounds 1", of_audit),
}


def command(name: str) -> str:
    return f"python -m tests.benchmarks.{name} {BENCHMARKS[name][0]}".strip()


def measure(name: str) -> None:
    """Run a benchmark and keep what it answers."""
    note(f"\n{command(name)}")
    words = [sys.executable, *command(name).split()[1:], "--json"]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    kept = {"at": f"{datetime.now(UTC):%Y-%m-%d}", "on": about(), "answer": json.loads(done.stdout)}
    KEPT.mkdir(exist_ok=True)
    write_text(KEPT / f"{name}.json", json.dumps(kept, indent=1))


def text() -> str:
    """The page, of all that is kept."""
    places = {name: KEPT / f"{name}.json" for name in BENCHMARKS}
    kept = {name: json.loads(place.read_text("utf-8")) for name, place in places.items() if place.exists()}
    machines = "; ".join(dict.fromkeys(its["on"] for its in kept.values()))
    return "\n".join([HEAD.format(about=machines, days=days(kept)), *table(kept), ""])


def table(kept: dict[str, Answer]) -> Iterator[str]:
    yield "| ratio | aim | what | framekit | the other | against | command |"
    yield "|---:|---:|---|---:|---:|---|---|"
    for name, its in kept.items():
        for row in BENCHMARKS[name][1](its["answer"]):
            ratio = "" if row.ratio is None else f"**{row.ratio:.3g}**"
            cells = ratio, row.aim, row.what, row.ours, row.other, row.against, f"`{command(name)}`"
            yield "| " + " | ".join(cells) + " |"


def about() -> str:
    """Machine and versions, in a line."""
    named = [value if name == "machine" else f"{name} {value}" for name, value in machine().items()]
    return ", ".join([*named, *others()])


def others() -> Iterator[str]:
    for name in LIBRARIES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} not installed, so left out"


def days(kept: dict[str, Answer]) -> str:
    return " and ".join(sorted({its["at"] for its in kept.values()}))


HEAD = """# What it costs

All figures of this page are made by `make bench`, which also writes it. A **ratio** is framekit's cost over
the other's, in the same run on the same machine: below 1, framekit costs less. Costs are CPU
time, of all threads and processes together, unless wall time is said. Ratios are medians over
rounds, and hold better than the medians of seconds beside them, which are this machine's.

{about}. Measured on {days}.
"""


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="measure these alone")
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args()
    for name in given.only or BENCHMARKS:
        measure(name)
        write_text(given.out, text())
    print(f"{given.out}")


if __name__ == "__main__":
    main()
