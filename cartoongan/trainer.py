"""Training: two datasets in, a run folder out; a stopped run goes on exactly from its newest checkpoint."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

import framekit.manifest
from cartoongan import checkpoints, run_folder
from cartoongan.checkpoints import Checkpoint
from cartoongan.data import Batches, centres, check_data, first_photos, stream
from cartoongan.devices import memory_errors, pick_device
from cartoongan.features import check_features, load_features
from cartoongan.networks import Discriminator, Generator, parameter_count
from cartoongan.options import FREE_TO_CHANGE, TrainOptions
from cartoongan.processes import STOPS
from cartoongan.steps import Losses, Training
from framekit.errors import CommandError, FramekitError
from framekit.manifest import Manifest
from framekit.terminal.progress import Progress

STATISTICS_STEPS = 8
"""Batches over which the generator's batch-norm statistics are taken for use; more come no closer."""


@dataclass(frozen=True)
class Plan:
    """What a call of `train` would do, everything checked that can be without loading weights.

    Attributes:
        steps_per_epoch: Steps in which every photo is seen; the last may reach into the next pass.
        init_steps: Steps of the init phase.
        total_steps: Steps in all.
        start: Checkpoint to go on from.
        begun_with: Digests of data and features that the run was begun with; None for a new run.
    """

    cartoons: Manifest
    photos: Manifest
    run: Path
    options: TrainOptions
    device: torch.device
    steps_per_epoch: int
    init_steps: int
    total_steps: int
    start: Checkpoint | None
    begun_with: dict[str, str] | None

    @property
    def digests(self) -> dict[str, str]:
        """Of both datasets, by name."""
        return {"cartoons": self.cartoons.digest, "photos": self.photos.digest}

    def lines(self) -> list[str]:
        """The plan in words, one fact a line; reads and checks a given file of VGG weights."""
        options, per_epoch = self.options, self.steps_per_epoch
        with torch.device("meta"):
            generator, discriminator = Generator(options), Discriminator(options)
        start = f"goes on after step {self.start.step}" if self.start else "starts anew"
        main_steps = max(self.total_steps - self.init_steps, 0)
        return [
            f"cartoons       {len(self.cartoons):,} samples in {self.cartoons.root}",
            f"photos         {len(self.photos):,} samples in {self.photos.root}",
            f"generator      {parameter_count(generator):,} parameters",
            f"discriminator  {parameter_count(discriminator):,} parameters",
            f"content        {check_features(options)}",
            f"steps          {self.total_steps:,} of {options.batch_size} photos: {per_epoch:,} an epoch, "
            f"{min(self.init_steps, self.total_steps):,} init + {main_steps:,} main",
            f"device         {self.device}",
            f"run            {self.run}: {start}",
        ]


@dataclass(frozen=True)
class RunSummary:
    """What a call of `train` did.

    Attributes:
        run: The run's folder.
        steps: Steps done in all; `total_steps` unless it was stopped.
        resumed_from: Steps that were done before this call.
        seconds: Time spent on steps in this call.
        images_per_second: Photos per second in this call; None when no step was left to do.
        losses: Raw terms of the last step in this call, by name; empty when no step was left to do.
        checkpoint: The newest one.
        generator: The generator alone, as .safetensors.
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
    generator: Path
    samples: Path


def train(
    cartoons: str | Path,
    photos: str | Path,
    out: str | Path,
    options: TrainOptions | None = None,
    *,
    resume: bool = False,
) -> RunSummary:
    """Train a generator into run folder `out`.

    Args:
        cartoons: Dataset with edge-smoothed halves.
        photos: Dataset; smoothed halves are not looked at.
        out: Run folder; made when it is not there.
        options: The paper's when None.
        resume: Go on from the newest checkpoint in `out`; the result is what it had been without the stop.

    Raises:
        CommandError: `out` holds a run and `resume` is off, or the reverse, or the run is another one.
        FramekitError: A dataset or the weights are unfit, or a loss is no finite number any more.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after a checkpoint was saved.
    """
    return carry_out(plan(cartoons, photos, out, options or TrainOptions(), resume=resume))


def carry_out(todo: Plan) -> RunSummary:
    """Train as planned. Errors as for `train`."""
    features = load_features(todo.options)
    digests = todo.digests | {"features": features.digest}
    if todo.begun_with not in (None, digests):
        raise CommandError(
            "the run was begun with other VGG features", where=todo.run, advice="give the same file"
        )
    training = Training(todo.options, features, todo.device)
    if todo.start:
        training.restore(todo.start.states)
    done = todo.start.step if todo.start else 0
    photos = first_photos(todo.photos, todo.options, steps=STATISTICS_STEPS)
    return _Run(todo, training, digests, done, photos).go()


def plan(
    cartoons: str | Path, photos: str | Path, out: str | Path, options: TrainOptions, *, resume: bool = False
) -> Plan:
    """Check all but weights, and count steps; nothing is written. Arguments and errors as for `train`."""
    run = Path(out)
    device = pick_device(options.device)
    newest = _resume_point(run, resume=resume)
    # Of a dataset that is split, the test side is kept for measuring.
    cartoon_set, photo_set = framekit.manifest.open(cartoons).train, framekit.manifest.open(photos).train
    check_data(cartoon_set, photo_set, options)
    per_epoch = -(-len(photo_set) // options.batch_size)
    init_steps = _init_steps(options, per_epoch)
    total = init_steps + options.epochs * per_epoch
    total = min(total, options.max_steps or total)
    if not total:
        raise CommandError("nothing to train: no init steps and no epochs", advice="give --epochs")
    start = checkpoints.load(newest) if newest else None
    before, begun_with = options, None
    if start:
        before, begun_with = start.options, start.digests
    elif resume:
        before, begun_with = run_folder.read_options(run)
    todo = Plan(cartoon_set, photo_set, run, options, device, per_epoch, init_steps, total, start, begun_with)
    _check_same_run(todo, before)
    return todo


def _init_steps(options: TrainOptions, per_epoch: int) -> int:
    return options.init_epochs * per_epoch if options.init_steps is None else options.init_steps


def _resume_point(run: Path, *, resume: bool) -> Path | None:
    if run.exists() and not run.is_dir():
        raise CommandError("not a folder", where=run)
    if run_folder.holds_run(run) and not resume:
        raise CommandError(
            "holds a run already", where=run, advice="go on with --resume, or give another --out"
        )
    if resume and not run_folder.holds_run(run):
        raise CommandError("no run to resume here", where=run, advice="leave out --resume to begin one")
    return checkpoints.latest(run)


def _check_same_run(todo: Plan, before: TrainOptions) -> None:
    """Raise CommandError where `todo` would make another run out of the one begun with options `before`."""
    if todo.begun_with is None:
        return
    old, new = (_resolved(options, todo.steps_per_epoch) for options in (before, todo.options))
    changed = [f"{name} ({old[name]} in the run, {new[name]} now)" for name in new if old[name] != new[name]]
    changed += [f"the {name}" for name, digest in todo.digests.items() if todo.begun_with.get(name) != digest]
    if changed:
        raise CommandError(
            f"not the run that was begun here; changed: {', '.join(changed)}",
            where=todo.run,
            advice="resume with what it was begun with, or give another --out",
        )
    if todo.start and todo.start.step > todo.total_steps:
        raise CommandError(
            f"has done {todo.start.step} steps, more than the {todo.total_steps} now asked for",
            where=todo.run,
        )


def _resolved(options: TrainOptions, per_epoch: int) -> dict[str, Any]:
    """What makes a run this one, with its init phase in steps."""
    values = options.model_dump(mode="json", exclude=FREE_TO_CHANGE | {"init_epochs"})
    return values | {"init_steps": _init_steps(options, per_epoch)}


@dataclass
class _Run:
    """The loop over steps, and what it leaves in the run's folder."""

    plan: Plan
    training: Training
    digests: dict[str, str]
    done: int
    first_photos: list[torch.Tensor]
    last: dict[str, float] = field(default_factory=dict)
    step_began: float = 0.0
    statistics: dict[str, torch.Tensor] | None = None

    def go(self) -> RunSummary:
        run, options, first = self.plan.run, self.plan.options, self.done
        photos = centres(self.plan.photos, count=options.samples, crop_size=options.crop_size)
        run.mkdir(parents=True, exist_ok=True)
        run_folder.clear_leftovers(run)
        run_folder.write_options(run, options, self.digests)
        if not self.done:
            self._sample(photos)
        started = self.step_began = time.monotonic()
        with (
            run_folder.Log(run, since=self.done) as log,
            self._progress() as progress,
            _stop_request() as stop,
        ):
            for losses in self._steps():
                self._note(losses, log, progress)
                if stop.is_set():
                    self._save()
                    raise KeyboardInterrupt
                if self.done < self.plan.total_steps:
                    self._sample_and_save_when_due(photos)
        return self._finish(photos, first, time.monotonic() - started)

    def _steps(self) -> Iterator[Losses]:
        plan, options = self.plan, self.plan.options
        readers = plan.cartoons.reader(), plan.photos.reader(smoothed=False)
        batches = Batches(*readers, options=options, init_steps=plan.init_steps)
        for batch in stream(batches, start=self.done, stop=plan.total_steps, workers=options.workers):
            with self._memory_errors():
                losses = self.training.step(batch)
            if wrong := losses.not_finite():
                raise FramekitError(
                    f"step {self.done + 1}: no finite number any more: {', '.join(wrong)}",
                    where=plan.run,
                    advice=f"begin again in another --out with a lower --lr; {self._last_good()}",
                )
            self.done += 1
            self.statistics = None
            self.last = losses.raw
            yield losses

    def _last_good(self) -> str:
        path = checkpoints.latest(self.plan.run)
        return f"the last good checkpoint stays: {path}" if path else "there is no checkpoint yet"

    def _memory_errors(self) -> AbstractContextManager[None]:
        options = self.plan.options
        return memory_errors(f"batches of {options.batch_size} at {options.crop_size} pixels")

    def _progress(self) -> Progress:
        batch_size = self.plan.options.batch_size
        progress = Progress("train", total=self.plan.total_steps * batch_size, unit="images")
        progress.start_at(self.done * batch_size)
        return progress

    def _note(self, losses: Losses, log: run_folder.Log, progress: Progress) -> None:
        phase = "init" if self.done <= self.plan.init_steps else "main"
        now = time.monotonic()
        log.write(self.done, phase, losses, self.plan.options.batch_size / max(now - self.step_began, 1e-9))
        self.step_began = now
        totals = ", ".join(f"{name} {value:.3f}" for name, value in losses.totals.items())
        progress.advance(self.plan.options.batch_size, note=f"{phase} step {self.done}, {totals}")

    def _sample_and_save_when_due(self, photos: torch.Tensor) -> None:
        if self.done % self.plan.options.sample_every == 0:
            self._sample(photos)
        if self.done % self.plan.options.checkpoint_every == 0:
            self._save()

    def _sample(self, photos: torch.Tensor) -> Path:
        generated = self.training.generate(photos, self._statistics())
        return run_folder.write_samples(self.plan.run, self.done, photos, generated)

    def _save(self) -> Path:
        return checkpoints.save(self.plan.run, self._checkpoint())

    def _checkpoint(self) -> Checkpoint:
        states, statistics = self.training.states(), self._statistics()
        return Checkpoint(self.done, self.plan.options, self.digests, states, statistics)

    def _statistics(self) -> dict[str, torch.Tensor]:
        if self.statistics is None:
            with self._memory_errors():
                self.statistics = self.training.statistics(self.first_photos)
        return self.statistics

    def _finish(self, photos: torch.Tensor, first: int, seconds: float) -> RunSummary:
        run, images = self.plan.run, (self.done - first) * self.plan.options.batch_size
        checkpoint = self._save()
        generator = run / checkpoints.EXPORT
        checkpoints.export_generator(generator, self._checkpoint())
        summary = RunSummary(
            run=run,
            steps=self.done,
            total_steps=self.plan.total_steps,
            resumed_from=first,
            seconds=round(seconds, 3),
            images_per_second=round(images / seconds, 3) if images else None,
            losses=self.last,
            checkpoint=checkpoint,
            generator=generator,
            samples=self._sample(photos),
        )
        if images or not (run / run_folder.SUMMARY).exists():
            run_folder.write_summary(run, self._as_json(summary))
        return summary

    def _as_json(self, summary: RunSummary) -> dict[str, Any]:
        values = {
            name: str(value.relative_to(summary.run)) if isinstance(value, Path) else value
            for name, value in asdict(summary).items()
        }
        return values | {"digests": self.digests, "device": str(self.plan.device), "torch": torch.__version__}


@contextmanager
def _stop_request() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, for a stop between two steps; a second one stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
        yield asked
        return
    before = {kind: signal.getsignal(kind) for kind in STOPS}

    def ask(number: int, _frame: object) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    for kind in STOPS:
        signal.signal(kind, ask)
    try:
        yield asked
    finally:
        for kind in STOPS:
            signal.signal(kind, before[kind])
