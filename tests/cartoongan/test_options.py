"""Presets are complete and the table's, any option changes one, and what cannot be is refused by name."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from cartoongan.options import FREE_TO_CHANGE, GeneratorOptions, TrainOptions
from cartoongan.presets import PRESETS, SOURCES, Preset, preset_lines
from framekit.errors import CommandError
from framekit.validating import validated

TABLE = {
    # adversarial, norm, padding, batch, crop, rates of init and main, milestones, init, main, pool, ω
    "paper": ("bce", "batch", "zero", 8, 256, None, 2e-4, (), (10, 0), (100, 0), 0, 10),
    "authors": ("lsgan", "instance-affine", "reflect", 8, 256, 2e-4, 1e-5, (), (10, 10), (100, 100), 50, 10),
    "report": ("bce", "instance", "zero", 8, 256, None, 2e-4, (50, 75), (10, 0), (100, 0), 0, 10),
}


@pytest.mark.parametrize("preset", TABLE)
def test_presets_are_the_tables(preset: str) -> None:
    options = TrainOptions(preset=preset)
    row = (
        options.adversarial,
        options.norm,
        options.padding,
        options.batch_size,
        options.crop_size,
        options.lr_init,
        options.lr,
        options.lr_milestones,
        (options.init_epochs, options.init_decay_epochs),
        (options.epochs, options.decay_epochs),
        options.fake_pool,
        options.omega,
    )
    assert row == TABLE[preset]


def test_presets_set_the_same_options_and_the_papers_are_the_defaults() -> None:
    assert set(PRESETS) == set(SOURCES) == set(get_args(Preset)) == set(TABLE)
    for values in PRESETS.values():
        assert values.keys() == PRESETS["paper"].keys() <= TrainOptions.model_fields.keys()
    defaults = {name: TrainOptions.model_fields[name].default for name in PRESETS["paper"]}
    assert defaults == PRESETS["paper"]
    assert TrainOptions() == TrainOptions(preset="paper")


@pytest.mark.parametrize("preset", PRESETS)
def test_any_single_option_changes_a_preset_and_nothing_else(preset: str) -> None:
    whole = TrainOptions(preset=preset).model_dump()
    for change in ({"norm": "layer"}, {"epochs": 3}, {"lr": 0.5}, {"lr_milestones": ()}, {"ema": 0.9}):
        assert TrainOptions(preset=preset, **change).model_dump() == whole | change


def test_what_was_dumped_comes_back_whatever_presets_become() -> None:
    options = TrainOptions(preset="authors", omega=3.0)
    for mode in ("python", "json"):
        values = options.model_dump(mode=mode)
        assert TrainOptions.model_validate(values) == options
        assert TrainOptions.model_validate(values | {"preset": "paper"}).norm == "instance-affine"


def test_the_help_says_what_each_preset_sets() -> None:
    text = "\n".join(preset_lines())
    for preset, source in SOURCES.items():
        assert f"{preset}: {source}" in text
    assert "--adversarial lsgan" in text and "--lr-milestones 50 --lr-milestones 75" in text
    assert text.count("--omega") == 1, "of the others only what differs"


def test_what_makes_a_run_is_all_that_is_not_free() -> None:
    options = TrainOptions(preset="report")
    assert options.fixed().keys() == set(TrainOptions.model_fields) - FREE_TO_CHANGE
    assert set(TrainOptions.model_fields) >= FREE_TO_CHANGE
    assert TrainOptions(preset="report", epochs=7).fixed() == options.fixed()
    falling = TrainOptions(preset="authors")
    assert TrainOptions(preset="authors", epochs=7).fixed() != falling.fixed(), "rates would fall elsewhere"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"preset": "mine"}, "preset: must be 'paper', 'authors' or 'report'"),
        ({"preset": ["paper"]}, "preset: must be"),
        ({"norm": "group"}, "norm: must be 'batch'"),
        ({"lr": float("nan")}, "lr"),
        ({"ema": 1.0}, "ema: must be less than 1"),
        ({"gram": -1}, "gram: must be greater than or equal to 0"),
        ({"lr_milestones": (0,)}, "lr_milestones: epochs are counted from 1"),
        ({"accumulate": 9}, "--accumulate 9 is larger than --batch-size 8"),
        ({"features": "a:b", "untrained_features": True}, "give either --features or --untrained-features"),
        ({"crop_size": 30}, "crop_size: must be a multiple of 4"),
        ({"base_channel": 4}, "base_channel: unknown option"),
    ],
)
def test_what_cannot_be_is_refused_by_name(values: dict[str, object], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        validated(TrainOptions, values)


def test_older_exports_are_the_papers_generators() -> None:
    """Which had two options: what was added since has the default that they were made with."""
    assert GeneratorOptions(base_channels=64, residual_blocks=8) == GeneratorOptions()


def test_milestones_are_in_order() -> None:
    assert TrainOptions(lr_milestones=(75, 50)).lr_milestones == (50, 75)
    with pytest.raises(ValidationError):
        TrainOptions(lr_milestones="50,75")
