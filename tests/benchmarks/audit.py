"""What an audit of a large dataset costs: `python -m tests.benchmarks.audit [DATASET] [--rounds 3] [--json]`.

Seconds of CPU, memory at its peak, and the report's size, of `framekit audit` in a process of its own, start
and imports included, on 100,000 frames and 400,000 pairs (`tests.benchmarks.large_dataset`):

- alone: words, figures and report.
- figures: `--json`, no report.
- beside two: with `--photos` and `--against`, both the dataset itself, so that every frame is found again.

Of several rounds, the median of CPU, the worst of memory and size.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.decode import machine, note
from tests.benchmarks.large_dataset import FRAMES, large_dataset

COMMAND = [sys.executable, "-m", "framekit.cli", "audit"]


def cost(words: list[str], out: Path) -> dict[str, float]:
    """CPU seconds, peak MB and MB of the report of one audit."""
    with subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"framekit audit ended with {process.returncode}"
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return {"cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024, "size": size / 1e6}


def measured(dataset: Path, rounds: int) -> dict[str, Any]:
    """Every way, round by round."""
    ways: dict[str, list[str]] = {
        "alone": [],
        "figures": ["--json"],
        "beside two": ["--photos", str(dataset), "--against", str(dataset)],
    }
    costs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, words in ways.items():
            note(f"round {number + 1} of {rounds}: {name}")
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "report"
                place = [] if "--json" in words else ["--out", str(out)]
                costs[name].append(cost([str(dataset), *words, *place], out))
    return {
        name: {
            "cpu": statistics.median(its["cpu"] for its in found),
            "peak": max(its["peak"] for its in found),
            "size": max(its["size"] for its in found),
        }
        for name, found in costs.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path, nargs="?", help="a dataset that is there")
    parser.add_argument("--frames", type=int, default=FRAMES, help="of the dataset that is made otherwise")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", dest="as_json")
    asked = parser.parse_args()
    found = measured(asked.dataset or large_dataset(asked.frames), asked.rounds)
    if asked.as_json:
        print(json.dumps({"machine": machine(), "costs": found}, indent=2))
        return
    for name, its in found.items():
        print(
            f"{name:12} {its['cpu']:6.1f} s of CPU, {its['peak']:7,.0f} MB at its peak, {its['size']:5.1f} MB"
        )


if __name__ == "__main__":
    main()
