"""Which phase a step belongs to, and its learning rate: functions of the step alone. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from cartoongan.options import TrainOptions


@dataclass(frozen=True)
class Phases:
    """How many steps a run's phases have. Steps are counted from 0.

    Attributes:
        steps_per_epoch: Steps in which every photo is seen.
        init_steps: Steps of the init phase.
        init_decay_steps: The last of these, in which the rate falls to 0.
        main_steps: Steps of the main phase, which follows.
        decay_steps: The last of these, in which the rate falls to 0.
    """

    steps_per_epoch: int
    init_steps: int
    init_decay_steps: int
    main_steps: int
    decay_steps: int

    @classmethod
    def of(cls, options: TrainOptions, steps_per_epoch: int) -> Phases:
        """The phases that `options` ask for; `max_steps` changes none of them."""
        init_decay = options.init_decay_epochs * steps_per_epoch
        init = options.init_epochs * steps_per_epoch + init_decay
        if options.init_steps is not None:
            init, init_decay = options.init_steps, 0
        decay = options.decay_epochs * steps_per_epoch
        return cls(steps_per_epoch, init, init_decay, options.epochs * steps_per_epoch + decay, decay)

    @property
    def total(self) -> int:
        """Steps of both phases."""
        return self.init_steps + self.main_steps


def learning_rate(step: int, options: TrainOptions, phases: Phases) -> float:
    """The rate of both Adams in step number `step`, counted from 0."""
    if step < phases.init_steps:
        rate = options.lr if options.lr_init is None else options.lr_init
        return rate * _falling(step, phases.init_steps, phases.init_decay_steps)
    step -= phases.init_steps
    drops = sum(step >= epoch * phases.steps_per_epoch for epoch in options.lr_milestones)
    return options.lr * options.lr_gamma**drops * _falling(step, phases.main_steps, phases.decay_steps)


def _falling(step: int, end: int, length: int) -> float:
    """1, and in the last `length` steps before `end` a line from 1 down to 0, which would be at `end`."""
    return min(1.0, max(end - step, 0) / length) if length else 1.0
