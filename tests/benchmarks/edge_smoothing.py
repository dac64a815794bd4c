"""Edge smoothing against the per-pixel loop of the usual scripts, in CPU seconds, side by side in one run.

python -m tests.benchmarks.edge_smoothing [--json]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np

from framekit.images.edges import smooth_edges
from pipelines.demo_film import frames
from tests.oracles.edge_smoothing import smooth_edges_pixel_by_pixel

ROUNDS = 3
SIDE = 256


def cpu_seconds(work: Callable[[], object], repeats: int) -> float:
    """CPU seconds that one call takes, over `repeats` calls."""
    started = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - started) / repeats


def main() -> None:
    """Print both times and their ratio, medians of three rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", dest="as_json")
    as_json = parser.parse_args().as_json
    cv2.setNumThreads(1)
    drawing = next(image for number, image in enumerate(frames(seconds=15)) if number == 30)
    crop = np.ascontiguousarray(drawing[200 : 200 + SIDE, 500 : 500 + SIDE])
    rounds = [
        (
            cpu_seconds(lambda: smooth_edges(crop), 200),
            cpu_seconds(lambda: smooth_edges_pixel_by_pixel(crop), 1),
        )
        for _ in range(ROUNDS)
    ]
    ours, loop = (statistics.median(times) for times in zip(*rounds, strict=True))
    difference = np.abs(smooth_edges(crop).astype(int) - smooth_edges_pixel_by_pixel(crop)).max()
    if as_json:
        print(json.dumps({"framekit_s": ours, "loop_s": loop, "largest_difference": int(difference)}))
        return
    print(f"edge smoothing of a {SIDE}×{SIDE} crop of the demo film, CPU time, median of {ROUNDS}")
    print(f"  framekit        {ours * 1e3:9.2f} ms")
    print(f"  per-pixel loop  {loop * 1e3:9.2f} ms   {loop / ours:,.0f} times as much")
    print(f"  largest difference {difference} of 255")


if __name__ == "__main__":
    main()
