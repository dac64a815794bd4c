"""What a call of `train` would do: everything that can be is checked before anything is written."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import torch

import framekit.manifest
from cartoongan import checkpoints, run_folder
from cartoongan.data import check_data
from cartoongan.devices import Computing, free_memory, memory_errors, resolved
from cartoongan.features import VGGFeatures, check_features, features_at_hand, load_features
from cartoongan.networks import Discriminator, Generator, parameter_count
from cartoongan.options import TrainOptions
from cartoongan.schedules import Phases
from framekit.errors import CommandError, FramekitError, printable
from framekit.manifest import Manifest
from framekit.terminal.progress import clock

HOW_COMPUTED = ("device", "devices", "precision", "channels_last", "compile")
"""Of the options that may change when a run is resumed, those that change the last bits of what comes out."""
VGG_CHANNELS = 64
"""Feature maps of VGG19 in full size."""
MOST_BYTES = 200
"""Of all tensors of a step for each pixel and map; in fp32 it is some 130."""


@dataclass(frozen=True)
class Plan:
    """What a call of `train` would do, everything checked that can be without loading weights.

    Attributes:
        options: With nothing left to choose.
        computing: How they came about.
        total_steps: Steps in all.
        start: Checkpoint to go on from; None begins at step 0.
        start_step: Steps done so far.
        begun_with: Digests of data and features that the run was begun with; None for a new run.
        notes: What is well to know, a line each.
    """

    cartoons: Manifest
    photos: Manifest
    run: Path
    options: TrainOptions
    computing: Computing
    phases: Phases
    total_steps: int
    start: Path | None
    start_step: int
    begun_with: dict[str, str] | None
    notes: tuple[str, ...]

    @property
    def digests(self) -> dict[str, str]:
        """Of both datasets, by name."""
        return {"cartoons": self.cartoons.digest, "photos": self.photos.digest}

    @property
    def steps(self) -> tuple[int, int]:
        """Steps of each phase that are left to do."""
        init = min(self.phases.init_steps, self.total_steps)
        done = min(self.start_step, init), max(self.start_step - init, 0)
        return init - done[0], self.total_steps - init - done[1]

    def lines(self) -> list[str]:
        """The plan in words, one fact a line; reads and checks a given file of VGG weights."""
        options, phases = self.options, self.phases
        with torch.device("meta"):
            generator, discriminator = Generator(options), Discriminator(options)
        start = f"goes on after step {self.start_step}" if self.start_step else "starts anew"
        init = min(phases.init_steps, self.total_steps)
        return [
            f"cartoons       {len(self.cartoons):,} samples in {self.cartoons.root}",
            f"photos         {len(self.photos):,} samples in {self.photos.root}",
            f"generator      {parameter_count(generator):,} parameters",
            f"discriminator  {parameter_count(discriminator):,} parameters",
            f"content        {check_features(options)}",
            f"steps          {self.total_steps:,} of {options.batch_size} photos: "
            f"{phases.steps_per_epoch:,} an epoch, {init:,} init + {self.total_steps - init:,} main",
            f"computing      {self.computing.words}",
            f"run            {self.run}: {start}",
            *(f"note           {note}" for note in self.notes),
        ]

    def needs(self) -> list[str]:
        """Memory and time in words: counts a step and, where it takes seconds, does one.

        Raises:
            FramekitError: A step does not fit into memory.
        """
        from cartoongan.estimate import needs_of, speed_of

        check_memory(self)
        here = features_at_hand(self.options) if self.begun_with else None
        if self.begun_with and here and self.begun_with.get("features") != here.digest:
            raise other_features(self.run)
        processes = self.computing.processes
        # VGG19's own weights cost as much as any, and may not be here yet.
        features = load_features(self.options) if self.options.features else VGGFeatures(None)
        needs = needs_of(self.options, features, processes=processes)
        with memory_told(self):
            speed = speed_of(self.options, features, needs, processes=processes)
        init, main = self.steps
        seconds = init * speed.init_seconds + main * speed.main_seconds
        each = " on each device" if processes > 1 else ""
        timed = f"{speed.init_seconds:.2g} and {speed.main_seconds:.2g} s"
        return [
            f"memory         {needs.peak / 1e9:.2g} GB of tensors at most{each}, {needs.between / 1e9:.2g} "
            "of them between steps; the device's libraries need some more",
            f"arithmetic     {needs.init_flop / 1e12:.3g} TFLOP an init step, {needs.main_flop / 1e12:.3g} a "
            f"main step{each}",
            f"time           {_duration(seconds)} for {init:,} init and {main:,} main steps of {timed}, "
            "besides grids and checkpoints",
            f"               ({speed.words})",
        ]


def plan(
    cartoons: str | Path, photos: str | Path, out: str | Path, options: TrainOptions, *, resume: bool = False
) -> Plan:
    """Check all but weights, and count steps; nothing is written. As for `trainer.train`."""
    run = Path(out)
    computing = resolved(options)
    options = computing.options
    newest = _resume_point(run, resume=resume)
    # Of a dataset that is split, the test side is kept for measuring.
    cartoon_set, photo_set = framekit.manifest.open(cartoons).train, framekit.manifest.open(photos).train
    _check_place(run, cartoon_set, photo_set)
    check_data(cartoon_set, photo_set, options)
    phases = Phases.of(options, -(-len(photo_set) // options.batch_size))
    total = min(phases.total, options.max_steps or phases.total)
    if not total:
        raise CommandError("nothing to train: no init steps and no epochs", advice="give --epochs")
    notes = _notes(cartoon_set, photo_set, options)
    todo = functools.partial(Plan, cartoon_set, photo_set, run, options, computing, phases, total)
    if not resume:
        return todo(None, 0, None, notes)
    before, start_step = options, 0
    begun_with: dict[str, str] = {}
    if newest is None or (run / run_folder.OPTIONS).exists():
        before, begun_with = run_folder.read_options(run)
        notes += _changes(before, options)
    if newest:
        checkpoint = _loaded(newest)
        before, begun_with, start_step = checkpoint.options, checkpoint.digests, checkpoint.step
    found = todo(newest, start_step, begun_with, notes)
    _check_same_run(found, before)
    return found


def check_memory(todo: Plan) -> None:
    """Say before a run on a CPU that a step does not fit: Linux ends a program for it without a word.

    Raises:
        FramekitError: It cannot.
    """
    options, free = todo.options, free_memory()
    share = options.batch_size // todo.computing.processes
    values = options.batch_size * options.crop_size**2 * max(options.base_channels, VGG_CHANNELS)
    if options.device != "cpu" or free is None or values * MOST_BYTES < free:
        return
    from cartoongan.estimate import needs_of

    processes = todo.computing.processes
    peak = processes * needs_of(options, VGGFeatures(None), processes=processes).peak
    if peak > free:
        with memory_told(todo):
            needed = f"a step would take {peak / 1e9:.3g} GB, of which {free / 1e9:.2g} are free"
            raise MemoryError(f"{needed}: {_load(options, share)}")


@contextmanager
def memory_told(todo: Plan) -> Iterator[None]:
    """Where memory does not suffice, raise FramekitError that says what to lower."""
    options = todo.options
    share = options.batch_size // todo.computing.processes
    try:
        with memory_errors(_load(options, share)):
            yield
    except MemoryError as error:
        lighter = [
            *(["--activation-checkpointing"] if not options.activation_checkpointing else []),
            *(["--precision bf16"] if options.precision == "fp32" else []),
        ]
        smaller = [
            *([f"--accumulate {2 * options.accumulate}"] if 2 * options.accumulate <= share else []),
            *(["a smaller --batch-size"] if share > 1 else []),
            "a smaller --crop-size",
        ]
        begun = run_folder.holds_run(todo.run)
        advice = f"{'begin in another --out with' if begun else 'give'} {' or '.join(smaller)}"
        if lighter:
            also = ", which --resume allows too" if begun else ""
            advice = f"try {' and '.join(lighter)}{also}; or {advice}"
        raise FramekitError(f"out of memory: {error}", where=todo.run, advice=advice) from error


def _load(options: TrainOptions, share: int) -> str:
    return f"batches of {share} at {options.crop_size} pixels on {options.device}"


def other_features(run: Path) -> CommandError:
    """The error of a run that goes on with features that it was not begun with."""
    advice = "give the same weights, or the same module with the same weights"
    return CommandError("the run was begun with other features", where=run, advice=advice)


def _loaded(newest: Path) -> checkpoints.Checkpoint:
    try:
        return checkpoints.load(newest)
    except FramekitError as error:
        advice = "move it away: --resume then goes on from the checkpoint before"
        raise FramekitError(error.what, where=newest, advice=advice) from error


def _check_place(run: Path, *datasets: Manifest) -> None:
    """Raise CommandError where no run can be, or must not."""
    for root in (dataset.root for dataset in datasets):
        local = isinstance(root, type(run))  # and not in a store
        if local and Path(os.path.realpath(run)).is_relative_to(os.path.realpath(root)):
            raise CommandError("a run does not go into a dataset", where=run, advice="give another --out")
    there = next(folder for folder in (run, *run.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise CommandError("not a folder", where=there)
    if not os.access(there, os.W_OK):
        raise CommandError("cannot be written to", where=there, advice="give another --out")


def _resume_point(run: Path, *, resume: bool) -> Path | None:
    if run_folder.holds_run(run) and not resume:
        raise CommandError(
            "holds a run already", where=run, advice="go on with --resume, or give another --out"
        )
    if resume and not run_folder.holds_run(run):
        raise CommandError("no run to resume here", where=run, advice="leave out --resume to begin one")
    if not resume and (foreign := run_folder.foreign(run)):
        raise CommandError(
            f"holds something that is no run, as {printable(foreign.name)}",
            where=run,
            advice="give another --out",
        )
    return checkpoints.latest(run)


def _check_same_run(todo: Plan, before: TrainOptions) -> None:
    """Raise CommandError where `todo` would make another run out of the one begun with options `before`."""
    assert todo.begun_with is not None
    old, new = (_identity(options, todo.phases) for options in (before, todo.options))
    names = [name for name, value in new.items() if old.get(name) != value]
    was = {name: old.get(name, getattr(before, name, None)) for name in names}
    changed = [f"{name} ({was[name]} in the run, {new[name]} now)" for name in names]
    changed += [f"the {name}" for name, digest in todo.digests.items() if todo.begun_with.get(name) != digest]
    if changed:
        raise CommandError(
            f"not the run that was begun here; changed: {', '.join(changed)}",
            where=todo.run,
            advice="resume with what it was begun with, or give another --out",
        )
    if todo.start_step > todo.total_steps:
        raise CommandError(
            f"has done {todo.start_step} steps, more than the {todo.total_steps} now asked for",
            where=todo.run,
        )


def _identity(options: TrainOptions, phases: Phases) -> dict[str, Any]:
    """What makes a run this one, with its init phase in steps."""
    values = {name: value for name, value in options.fixed().items() if name != "init_epochs"}
    return values | {"init_steps": Phases.of(options, phases.steps_per_epoch).init_steps}


def _notes(cartoons: Manifest, photos: Manifest, options: TrainOptions) -> tuple[str, ...]:
    notes = []
    for name, manifest in (("cartoons", cartoons), ("photos", photos)):
        if len(manifest) < options.batch_size:
            few = f"{len(manifest)} {name} are fewer than a batch of {options.batch_size}"
            notes.append(f"{few}: some come twice in a step")
    if options.scale_jitter and pc.max(photos.pairs(["crop_size"])["crop_size"]).as_py() <= options.crop_size:
        notes.append(
            "--scale-jitter does nothing: photos are no larger than --crop-size; extract larger crops of them"
        )
    if options.untrained_features:
        notes.append("contents are compared by a VGG19 with random weights; results look worse")
    return tuple(notes)


def _changes(before: TrainOptions, now: TrainOptions) -> tuple[str, ...]:
    changed = [
        f"{name} {getattr(before, name)} → {getattr(now, name)}"
        for name in HOW_COMPUTED
        if getattr(before, name) != getattr(now, name)
    ]
    if not changed:
        return ()
    return (f"computed otherwise than before ({', '.join(changed)}): as good, but not bit for bit the same",)


def _duration(seconds: float) -> str:
    return f"about {seconds / 86400:.1f} days" if seconds > 2 * 86400 else f"about {clock(seconds)}"
