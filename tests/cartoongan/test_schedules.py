"""Phases and learning rates, by hand."""

from __future__ import annotations

import pytest

from cartoongan.options import TrainOptions
from cartoongan.schedules import Phases, learning_rate


def rates(options: TrainOptions, per_epoch: int, *steps: int) -> list[float]:
    phases = Phases.of(options, per_epoch)
    return [learning_rate(step, options, phases) for step in steps]


def test_phases_are_counted_in_epochs() -> None:
    assert Phases.of(TrainOptions(), 7) == Phases(7, 70, 0, 700, 0)
    assert Phases.of(TrainOptions(preset="authors"), 7) == Phases(7, 140, 70, 1400, 700)
    assert Phases.of(TrainOptions(preset="authors"), 7).total == 1540


def test_exact_init_steps_take_the_place_of_both_kinds_of_epochs() -> None:
    phases = Phases.of(TrainOptions(preset="authors", init_steps=5), 7)
    assert (phases.init_steps, phases.init_decay_steps) == (5, 0)


def test_the_papers_rate_is_constant() -> None:
    assert set(rates(TrainOptions(), 3, 0, 29, 30, 31, 329, 1000)) == {2e-4}


def test_the_authors_rates_fall_in_a_line_in_each_phase() -> None:
    options = TrainOptions(preset="authors")
    # With 2 steps an epoch: init 20 at 2e-4 and 20 falling, main 200 at 1e-5 and 200 falling.
    assert rates(options, 2, 0, 19, 20, 21, 39) == pytest.approx([2e-4, 2e-4, 2e-4, 1.9e-4, 1e-5])
    assert rates(options, 2, 40, 239, 240, 340, 439) == pytest.approx([1e-5, 1e-5, 1e-5, 5e-6, 5e-8])
    assert rates(options, 2, 440, 999) == [0, 0]


def test_the_reports_rate_drops_after_50_and_75_epochs_of_the_main_phase() -> None:
    options = TrainOptions(preset="report", init_epochs=1)
    found = rates(options, 2, 0, 1, 2, 2 + 99, 2 + 100, 2 + 149, 2 + 150, 2 + 199)
    assert found == pytest.approx([2e-4, 2e-4, 2e-4, 2e-4, 2e-5, 2e-5, 2e-6, 2e-6])
    assert set(rates(TrainOptions(preset="report", lr_gamma=1), 2, 0, 150, 219)) == {2e-4}


def test_the_init_phase_may_have_a_rate_of_its_own() -> None:
    options = TrainOptions(lr=1e-3, lr_init=5e-4, init_steps=3)
    assert rates(options, 2, 0, 2, 3) == [5e-4, 5e-4, 1e-3]
    assert rates(options.model_copy(update={"lr_init": None}), 2, 0, 3) == [1e-3, 1e-3]


def test_the_end_of_a_run_changes_no_rate() -> None:
    for preset in ("paper", "authors", "report"):
        whole, cut = (TrainOptions(preset=preset, max_steps=end) for end in (None, 50))
        assert rates(whole, 2, *range(60)) == rates(cut, 2, *range(60))
