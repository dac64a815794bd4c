"""Two processes that share a batch take the steps that one takes on the whole of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cartoongan.devices import make_fabric, resolved
from cartoongan.features import load_features
from cartoongan.options import TrainOptions
from cartoongan.processes import in_processes
from cartoongan.schedules import Phases
from cartoongan.steps import Training

STEPS, INIT_STEPS = 3, 1
KINDS = {
    "paper": {},
    "authors": {"preset": "authors", "fake_pool": 2, "clip_gradients": 1.0},
    "more": {"norm": "layer", "r1": 0.1, "gram": 1.0, "colour": 1.0, "tv": 1.0, "ema": 0.9, "accumulate": 2},
}
LITTLE = 1e-9
"""A rate at which weights hardly move: Adam's first steps would turn rounding into whole ones."""


def take_steps(options: TrainOptions, kinds: dict[str, dict[str, Any]]) -> dict[str, list[Any]]:
    """What each kind finds in a few steps: losses, accuracies and gradient norms of every step."""
    torch.set_num_threads(1)
    found: dict[str, list[Any]] = {}
    for name, changes in kinds.items():
        values = options.model_dump() | TrainOptions(**changes).model_dump(
            include={*changes, "norm", "padding", "adversarial"}
        )
        chosen = resolved(TrainOptions(**values | {"lr": LITTLE, "lr_init": None})).options
        fabric = make_fabric(chosen)
        fabric.launch()
        training = Training(chosen, load_features(chosen), fabric, Phases(1, INIT_STEPS, 0, STEPS, 0))
        found[name] = [describe(training, batch, step) for step, batch in enumerate(shares(training))]
    return found


def describe(training: Training, batch: dict[str, Tensor], step: int) -> dict[str, dict[str, float]]:
    losses = training.step(batch, step)
    generator = training.states()["generator"]
    means = {name: float(value.double().sum()) for name, value in generator.items() if "running" in name}
    return {
        "raw": losses.raw,
        "accuracy": losses.d_accuracy,
        "norms": losses.gradient_norms,
        "statistics": means,
    }


def shares(training: Training) -> list[dict[str, Tensor]]:
    """This process's part of batches of 4."""
    fabric, some = training._fabric, torch.Generator().manual_seed(2)
    size = 4 // fabric.world_size
    mine = slice(fabric.global_rank * size, (fabric.global_rank + 1) * size)
    kinds = ("photos", "cartoons", "smoothed")
    return [
        {
            kind: torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=some)[mine]
            for kind in (kinds if step >= INIT_STEPS else kinds[:1])
        }
        for step in range(STEPS)
    ]


def test_two_processes_find_what_one_does(small: TrainOptions) -> None:
    options = TrainOptions(**{**small.model_dump(), "batch_size": 4, "device": "cpu"})
    alone = take_steps(options, KINDS)
    together = in_processes(2, take_steps, options.model_copy(update={"devices": 2}), KINDS)
    for name, steps in alone.items():
        for one, two in zip(steps, together[name], strict=True):
            for group, values in one.items():
                assert two[group] == pytest.approx(values, rel=1e-4, abs=1e-5), (name, group)
