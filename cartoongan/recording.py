"""What the first process of a run writes as it goes on: log, grids, curves, scored checkpoints, the model."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cartoongan import checkpoints, run_folder
from cartoongan.checkpoints import Checkpoint
from cartoongan.curves import write_curves
from cartoongan.data import centres, first_photos
from cartoongan.devices import peak_memory
from cartoongan.model_card import model_card
from cartoongan.planning import Plan
from cartoongan.scoring import PICTURES, Judge
from cartoongan.steps import Losses, Training
from framekit.files import write_text
from framekit.terminal.progress import Progress

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STATISTICS_STEPS = 8
"""Batches over which the generator's batch-norm statistics are taken for use; more come no closer."""
CURVES_SHARE = 0.02
"""Of a run's time that drawing curves may take: where epochs are short, not each of them is drawn."""


@dataclass(frozen=True)
class RunSummary:
    """What a call of `train` did.

    Attributes:
        run: The run's folder.
        steps: Steps done in all; `total_steps` unless it was stopped.
        resumed_from: Steps that were done before this call.
        seconds: Time spent in this call, on steps and on what is written.
        images_per_second: Photos per second in this call; None when no step was left to do.
        losses: Raw terms of the last step in this call, by name; empty when no step was left to do.
        checkpoint: The newest one.
        best: The one with the lowest score; None where none has one.
        score: Its score, style and content.
        generator: The generator alone, as .safetensors; with the weights of `checkpoint`.
        samples: The last sample grid.
    """

    run: Path
    steps: int
    total_steps: int
    resumed_from: int
    seconds: float
    images_per_second: float | None
    losses: dict[str, float]
    checkpoint: Path
    best: Path | None
    score: dict[str, float]
    generator: Path
    samples: Path


class Recorder:
    """Writes a run's folder; a context, in which the log is open and progress is shown.

    Args:
        plan: Of the run.
        training: Its networks.
        fabric: Where they are.
        digests: Of data and features.
    """

    def __init__(self, plan: Plan, training: Training, fabric: Fabric, digests: dict[str, str]) -> None:
        self._plan, self._training, self._fabric, self._digests = plan, training, fabric, digests
        self._run, self._options, self._done = plan.run, plan.options, plan.start_step
        options = plan.options
        self._photos = centres(plan.photos, count=options.samples, crop_size=options.crop_size)
        self._first_photos = first_photos(plan.photos, options, steps=STATISTICS_STEPS)
        self._losses: dict[str, float] = {}
        self._statistics: tuple[int, dict[str, Tensor]] | None = None
        self._drawn = _Pace(CURVES_SHARE)

    def __enter__(self) -> Recorder:
        run = self._run
        run.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            opened.enter_context(run_folder.held(run))
            run_folder.clear_leftovers(run)
            run_folder.write_options(run, self._options, self._digests)
            if not self._done:
                self._sample()
            self._log = run_folder.Log(run, since=self._done)
            opened.callback(self._log.close)
            batch_size, total = self._options.batch_size, self._plan.total_steps
            progress = Progress("train", total=total * batch_size, unit="images")
            self._progress = opened.enter_context(progress)
            self._progress.start_at(self._done * batch_size)
            self._opened = opened.pop_all()
        self._began = self._step_began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def note(self, step: int, losses: Losses) -> None:
        """Note a step that is done, `step` counted from 1, and write all that is due after it."""
        options, phases = self._options, self._plan.phases
        seconds = time.monotonic() - self._step_began
        self._done, self._losses = step, losses.raw
        last = step == self._plan.total_steps
        due = last or step % options.checkpoint_every == 0
        main = step > phases.init_steps
        line: dict[str, Any] = {
            "step": step,
            "epoch": (step - 1) // phases.steps_per_epoch + 1,
            "phase": "main" if main else "init",
            "raw": losses.raw,
            "weighted": losses.weighted,
            "total": losses.totals,
            "accuracy": losses.d_accuracy,
            # Infinite now and then in fp16: the scaler leaves such a step out and lowers itself.
            "gradient_norm": {k: v if math.isfinite(v) else None for k, v in losses.gradient_norms.items()},
            "learning_rate": losses.learning_rates,
            "images_per_second": round(options.batch_size / max(seconds, 1e-9), 3),
        }
        if peak := peak_memory(self._fabric.device):
            line["memory_gb"] = round(peak / 1e9, 3)
        if due and main and options.keep_best:
            line["score"] = self._score()
        self._log.write({name: value for name, value in line.items() if value != {}})
        totals = ", ".join(f"{name} {value:.3f}" for name, value in losses.totals.items())
        note = f"{line['phase']} step {step}, epoch {line['epoch']}, {totals}"
        self._progress.advance(options.batch_size, note=note)
        if not last:  # else `finish` does it
            self._write_what_is_due(due)
        self._step_began = time.monotonic()

    def stop(self) -> None:
        """Leave the run so that it can go on exactly from here."""
        self._save()
        self._draw()

    def finish(self) -> RunSummary:
        """Leave the run as it is when it is done."""
        checkpoint = self._save()
        samples = self._sample()
        self._draw()
        run, generator = self._run, self._run / checkpoints.EXPORT
        checkpoints.export_generator(generator, self._checkpoint())
        seconds = time.monotonic() - self._began
        images = (self._done - self._plan.start_step) * self._options.batch_size
        best = next(iter(checkpoints.ranked(run, self._scores())), None)
        summary = RunSummary(
            run=run,
            steps=self._done,
            total_steps=self._plan.total_steps,
            resumed_from=self._plan.start_step,
            seconds=round(seconds, 3),
            images_per_second=round(images / seconds, 3) if images else None,
            losses=self._losses,
            checkpoint=checkpoint,
            best=None if best is None else checkpoints.path_of(run, best),
            score={} if best is None else self._score_parts()[best],
            generator=generator,
            samples=samples,
        )
        if images or run_folder.summarised_steps(run) != self._done:
            write_text(run / run_folder.CARD, model_card(self._plan, self._digests, self._log.history, best))
            run_folder.write_summary(run, self._as_json(summary))
        return summary

    def _write_what_is_due(self, save: bool) -> None:
        if self._done % self._options.sample_every == 0:
            self._sample()
        if save:
            self._save()
        if self._done % self._plan.phases.steps_per_epoch == 0 and self._drawn.due:
            self._draw()

    def _sample(self) -> Path:
        generated = self._training.generate(self._photos, self._current_statistics())
        return run_folder.write_samples(self._run, self._done, self._photos, generated)

    def _draw(self) -> None:
        with self._drawn.timed():
            write_curves(self._run, self._log.history, run_folder.last_samples(self._run))

    def _save(self) -> Path:
        path = checkpoints.save(self._run, self._checkpoint())
        last, best = self._options.keep_last, self._options.keep_best
        checkpoints.prune(self._run, last=last, best=best, scores=self._scores())
        return path

    def _checkpoint(self) -> Checkpoint:
        states, statistics = self._training.states(), self._current_statistics()
        return Checkpoint(self._done, self._options, self._digests, states, statistics)

    def _current_statistics(self) -> dict[str, Tensor]:
        """Of the generator as it is now."""
        if self._statistics is None or self._statistics[0] != self._done:
            self._statistics = self._done, self._training.statistics(self._first_photos)
        return self._statistics[1]

    def _score(self) -> dict[str, float]:
        statistics = self._current_statistics()
        score = self._judge.score(lambda photos: self._training.generate(photos, statistics))
        return {"style": score.style, "content": score.content}

    @cached_property
    def _judge(self) -> Judge:
        plan, crop_size = self._plan, self._options.crop_size
        photos, cartoons = (
            centres(manifest, count=PICTURES, crop_size=crop_size)
            for manifest in (plan.photos, plan.cartoons)
        )
        return Judge(
            self._training.features,
            photos,
            cartoons,
            batch_size=max(self._options.batch_size // self._fabric.world_size, 1),
            device=self._fabric.device,
            autocast=self._fabric.autocast,
        )

    def _score_parts(self) -> dict[int, dict[str, float]]:
        """Every score of the run so far, by step."""
        found: dict[int, dict[str, float]] = {}
        for name, points in self._log.history.of("score").items():
            for step, value in points.tolist():
                found.setdefault(int(step), {})[name] = value
        return found

    def _scores(self) -> dict[int, float]:
        return {step: sum(parts.values()) for step, parts in self._score_parts().items()}

    def _as_json(self, summary: RunSummary) -> dict[str, Any]:
        values = {
            name: str(value.relative_to(summary.run)) if isinstance(value, Path) else value
            for name, value in asdict(summary).items()
        }
        computing = {"computing": self._plan.computing.words, "torch": torch.__version__}
        return values | {"digests": self._digests, "device": str(self._fabric.device), **computing}


class _Pace:
    """Keeps something that is done again and again to a share of the time."""

    def __init__(self, share: float) -> None:
        self._share, self._next = share, 0.0

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._next

    @contextmanager
    def timed(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        now = time.monotonic()
        self._next = now + (now - began) / self._share
