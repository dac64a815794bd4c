"""What is told beforehand is what a real step then does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from cartoongan.devices import make_fabric, resolved
from cartoongan.estimate import PHASES, needs_of, speed_of
from cartoongan.features import VGGFeatures, load_features
from cartoongan.options import TrainOptions
from cartoongan.steps import Training


def chosen(small: TrainOptions, **changes: Any) -> TrainOptions:
    return resolved(TrainOptions(**{**small.model_dump(), "device": "cpu", **changes})).options


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"norm": "layer", "generator": "light", "upsampling": "resize", "spectral_norm": True},
        {"accumulate": 2, "fake_pool": 3, "ema": 0.9, "gram": 1.0, "colour": 1.0, "tv": 1.0},
    ],
)
def test_arithmetic_and_what_stays_are_those_of_a_real_step(
    changes: dict[str, Any], small: TrainOptions
) -> None:
    options = chosen(small, **changes)
    needs = needs_of(options, load_features(options))
    training = Training(options, load_features(options), make_fabric(options), PHASES)
    size = options.batch_size, 3, options.crop_size, options.crop_size
    batch = {kind: torch.zeros(size, dtype=torch.uint8) for kind in ("photos", "cartoons", "smoothed")}
    flop = []
    for step, pictures in enumerate(({"photos": batch["photos"]}, batch)):
        with FlopCounterMode(display=False) as counter:
            training.step(pictures, step)
        flop.append(counter.get_total_flops())
    assert [needs.init_flop, needs.main_flop] == flop
    held = [*tree_leaves(training.states()), *training.features.state_dict().values(), *batch.values()]
    held += [value.grad for net in (training.generator, training.discriminator) for value in net.parameters()]
    size_held = sum({id(t): t.untyped_storage().nbytes() for t in held if isinstance(t, Tensor)}.values())
    assert needs.between == pytest.approx(size_held, rel=0.1)
    assert needs.peak > needs.between


def test_what_lowers_memory_is_seen(small: TrainOptions) -> None:
    def peak(**changes: Any) -> int:
        options = chosen(small, **{"batch_size": 8, "crop_size": 64, **changes})
        return needs_of(options, load_features(options)).peak

    whole = peak()
    assert peak(batch_size=4) < 0.7 * whole
    assert peak(crop_size=32) < 0.5 * whole
    assert peak(accumulate=4) < 0.6 * whole
    assert peak(activation_checkpointing=True) < 0.9 * whole
    assert peak(precision="bf16") < 0.8 * whole


def test_a_process_of_several_needs_its_share(small: TrainOptions) -> None:
    options = chosen(small, batch_size=8)
    features = load_features(options)
    assert needs_of(options, features, processes=2).main_flop == pytest.approx(
        needs_of(options, features).main_flop / 2
    )


@pytest.mark.parametrize("preset", ["paper", "authors", "report"])
def test_every_preset_can_be_counted_at_full_size(preset: str) -> None:
    options = resolved(TrainOptions(preset=preset, device="cpu", precision="fp32")).options
    needs = needs_of(options, VGGFeatures(None))
    assert 4e12 < needs.main_flop < 5.5e12 and 3e9 < needs.peak < 6e9


def test_small_steps_are_timed_and_large_ones_worked_out(
    small: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cartoongan.estimate.MEASURED", 0.05)
    options = chosen(small)
    features = load_features(options)
    needs = needs_of(options, features)
    timed = speed_of(options, features, needs)
    assert timed.words.startswith("timed") and min(timed.init_seconds, timed.main_seconds) > 0
    monkeypatch.setattr("cartoongan.estimate.WORTH_TIMING", 0.0)
    told = speed_of(options, features, needs)
    assert "TFLOP a step" in told.words
    assert told.main_seconds / told.init_seconds == pytest.approx(needs.main_flop / needs.init_flop)
