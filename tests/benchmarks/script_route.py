"""A film to training pairs: `framekit extract` against the usual scripts, in CPU seconds, in one run.

    python -m tests.benchmarks.script_route [FILM] [--rounds 1] [--json]

- scripts: `tests/oracles/script_route.py`: ffmpeg dumps every 50th frame as a PNG, imagehash compares each
  with all that were kept, OpenCV squashes it to 256×256, a loop over its pixels blurs edges. A pair a frame.
- framekit: `framekit extract FILM --every 50`, start to end, hashes and measures of every frame included.
  Four pairs a frame, at the film's own size.

Both are processes of their own with all that they start. FILM is big-buck-bunny.ts in the folder that
FRAMEKIT_TEST_DATA names, or a drawn one where that is not there.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.decode import cached, draw, machine, note, run

SCRIPTS = """
import sys
from pathlib import Path
from tests.oracles.script_route import make_pairs
print(make_pairs(Path(sys.argv[1]), Path(sys.argv[2])))
"""
EXTRACT = "from framekit.cli import main; main()"


class Way(NamedTuple):
    """CPU seconds, and pairs that came out."""

    cpu: float
    pairs: int


def by_scripts(film: Path) -> Way:
    with tempfile.TemporaryDirectory() as folder:
        cost = run([sys.executable, "-c", SCRIPTS, str(film), folder])
        return Way(cost.cpu, len(list(Path(folder, "cartoon").iterdir())))


def by_framekit(film: Path) -> Way:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "dataset"
        cost = run([sys.executable, "-c", EXTRACT, "extract", str(film), "--out", str(out), "--every", "50"])
        return Way(cost.cpu, json.loads((out / "dataset.json").read_text())["totals"]["pairs"])


WAYS: dict[str, Callable[[Path], Way]] = {"scripts": by_scripts, "framekit": by_framekit}


def measured(film: Path, rounds: int) -> dict[str, Way]:
    """Of each way the median of its rounds, by turns."""
    found: dict[str, list[Way]] = {name: [] for name in WAYS}
    for number in range(rounds):
        for name, way in WAYS.items():
            note(f"round {number + 1} of {rounds}: {name}")
            found[name].append(way(film))
    return {
        name: Way(statistics.median(its.cpu for its in all_), all_[0].pairs) for name, all_ in found.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("film", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true", dest="as_json")
    asked = parser.parse_args()
    usual = Path(os.environ.get("FRAMEKIT_TEST_DATA", "nowhere")) / "films/big-buck-bunny.ts"
    film = asked.film or (usual if usual.exists() else cached("drawn-1080p.mp4", draw))
    found = measured(film, asked.rounds)
    if asked.as_json:
        ways = {name: way._asdict() for name, way in found.items()}
        print(json.dumps({"machine": machine(), "film": film.name, "ways": ways}))
        return
    print(film.name)
    for name, way in found.items():
        each = way.cpu / way.pairs
        print(f"  {name:10} {way.cpu:8.1f} s of CPU for {way.pairs:,} pairs, {each:.3f} s a pair")
    print(f"  the scripts take {found['scripts'].cpu / found['framekit'].cpu:.1f} times as long")


if __name__ == "__main__":
    main()
