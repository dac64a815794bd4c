"""A training of thousands of steps holds no more memory at its end than soon after its start."""

import json
import math
from pathlib import Path
from statistics import median

import pytest

from tests.cartoongan.datasets import drawing, photo, write_dataset
from tests.cartoongan.small_features import PLACE
from tests.soak.memory import MB, held, needs_proc, run

FLAGS = [
    *("--base-channels", "4", "--residual-blocks", "1", "--crop-size", "32", "--batch-size", "2"),
    *("--init-steps", "2", "--samples", "2", "--features", PLACE),
    *("--device", "cpu", "--precision", "fp32", "--workers", "1"),
]
KEPT = 4
"""Checkpoints: the three newest and the best."""
RATIO, ALLOWANCE = 1.02, 20 * MB
"""How much more may be held at the end."""


class Watch:
    """To look with: the bytes that a run holds after each step, as far as its log is seen to grow."""

    def __init__(self, log: Path) -> None:
        self._log, self._read, self._steps = log, 0, 0
        self.held: dict[int, int] = {}

    def __call__(self, session: int) -> None:
        if not self._log.exists():
            return
        with self._log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        self._read += len(new)
        self._steps += new.count(b"\n")
        if new:
            self.held[self._steps] = held(session)

    def between(self, first: float, last: float) -> float:
        """The median over some steps."""
        return median(held for step, held in self.held.items() if first <= step <= last)


@needs_proc
@pytest.mark.parametrize("steps", [60, pytest.param(2_000, marks=pytest.mark.soak)])
def test_memory_does_not_grow_with_steps(steps, tmp_path):
    cartoons = write_dataset(tmp_path / "cartoons", [drawing(number) for number in range(20)], smooth=True)
    photos = write_dataset(tmp_path / "photos", [photo(number) for number in range(20)], smooth=False)
    out = tmp_path / "run"
    data = ["--cartoons", str(cartoons), "--photos", str(photos), "--out", str(out)]
    total, often = str(steps), str(steps // 10)  # a checkpoint and a grid are written before memory counts
    lengths = ["--epochs", total, "--max-steps", total, "--checkpoint-every", often, "--sample-every", often]
    watch = Watch(out / "log.jsonl")
    cost = run(["cartoongan", "train", *data, *FLAGS, *lengths], watch)
    early, late = watch.between(0.1 * steps, 0.2 * steps), watch.between(0.9 * steps, steps)
    print(
        f"{steps} steps: {early / MB:.1f} MB after a tenth, {late / MB:.1f} MB at the end, "
        f"{cost.wall:.0f} s, {cost.cpu:.0f} CPU s"
    )
    assert late <= RATIO * early + ALLOWANCE
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [*range(1, steps + 1)]
    assert all(math.isfinite(loss) for line in lines for loss in line["raw"].values())
    checkpoints = sorted(path.name for path in (out / "checkpoints").iterdir())
    assert KEPT - 1 <= len(checkpoints) <= KEPT
    assert checkpoints[-1] == f"step-{steps:06}.pt"
