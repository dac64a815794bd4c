"""What measuring a picture costs, in CPU milliseconds on one thread.

    python -m tests.benchmarks.quality [FILM] [--rounds 10]

Frames of a film (of big-buck-bunny.ts in the folder that FRAMEKIT_TEST_DATA names, unless another is given)
are brought to 1920×1080, and a square of 256 pixels is cut from each. Median and best of all calls.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from framekit.images.hashing import small_grey
from framekit.images.overlay import Overlay
from framekit.images.quality import measure
from framekit.images.transitions import transition

FRAMES, APART = 8, 60


def frames_of(film: Path) -> list[np.ndarray]:
    with av.open(str(film)) as container:
        taken = islice(container.decode(video=0), 0, FRAMES * APART, APART)
        return [cv2.resize(frame.to_ndarray(format="rgb24"), (1920, 1080)) for frame in taken]


def cost(calls: list[Callable[[], object]], rounds: int) -> tuple[float, float]:
    """Median and least CPU milliseconds of a call."""
    spent = []
    for call in calls * (rounds + 1):
        start = time.process_time()
        call()
        spent.append(1000 * (time.process_time() - start))
    spent = spent[len(calls) :]  # the first round warms up
    return statistics.median(spent), min(spent)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    film = given.film or Path(os.environ["FRAMEKIT_TEST_DATA"]) / "films/big-buck-bunny.ts"
    cv2.setNumThreads(1)
    frames = frames_of(film)
    crops = [np.ascontiguousarray(frame[400:656, 800:1056]) for frame in frames]
    smalls = [small_grey(frame) for frame in frames]
    overlay = Overlay()
    ways = {
        "frame of 1920×1080": [partial(measure, frame) for frame in frames],
        "crop of 256×256": [partial(measure, crop, scale="native") for crop in crops],
        "transition": [
            partial(transition, *three) for three in zip(smalls, smalls[1:], smalls[2:], strict=False)
        ],
        "overlay, a frame": [partial(overlay.add, frame) for frame in frames],
    }
    print(f"{'':20} {'median':>8} {'best':>8}  ms")
    for name, calls in ways.items():
        print(f"{name:20} {'{:8.2f} {:8.2f}'.format(*cost(calls, given.rounds))}")


if __name__ == "__main__":
    main()
