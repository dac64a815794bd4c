"""Training: two datasets in, a run folder out; a stopped run goes on exactly from its newest checkpoint.

Several processes may share a run. All of them go through the same steps and hold the same networks; the first
one writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cartoongan import checkpoints
from cartoongan.data import Batches, first_photos, stream
from cartoongan.devices import make_fabric, started_by_torchrun
from cartoongan.features import Features, load_features
from cartoongan.options import TrainOptions
from cartoongan.planning import Plan, check_memory, memory_told, plan
from cartoongan.processes import in_processes, stop_request
from cartoongan.recording import Recorder, RunSummary
from cartoongan.steps import Losses, Training
from framekit.errors import CommandError, FramekitError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["RunSummary", "carry_out", "plan", "train"]


def train(
    cartoons: str | Path,
    photos: str | Path,
    out: str | Path,
    options: TrainOptions | None = None,
    *,
    resume: bool = False,
) -> RunSummary | None:
    """Train a generator into run folder `out`.

    With `options.devices` above 1 it starts as many processes by `multiprocessing`, so a script that calls it
    needs `if __name__ == "__main__":`.

    Args:
        cartoons: Dataset with edge-smoothed halves.
        photos: Dataset; smoothed halves are not looked at.
        out: Run folder; made when it is not there.
        options: The paper's when None.
        resume: Go on from the newest checkpoint in `out`; the result is what it had been without the stop.

    Returns:
        What was done; None in a process of torchrun that is not the first.

    Raises:
        CommandError: `out` holds a run and `resume` is off, or the reverse, or the run is another one.
        FramekitError: A dataset or the weights are unfit, memory does not suffice, or a loss is no finite
            number any more.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after a checkpoint was saved.
    """
    return carry_out(plan(cartoons, photos, out, options or TrainOptions(), resume=resume))


def carry_out(todo: Plan) -> RunSummary | None:
    """Train as planned. Returns and errors as for `train`."""
    check_memory(todo)
    if todo.computing.processes > 1 and not started_by_torchrun():
        return in_processes(todo.computing.processes, _carry_out_here, todo)
    return _carry_out_here(todo)


def _carry_out_here(todo: Plan) -> RunSummary | None:
    """What each process does."""
    with memory_told(todo):
        return _carried_out(todo)


def _carried_out(todo: Plan) -> RunSummary | None:
    fabric = make_fabric(todo.options)
    fabric.launch()
    with fabric.rank_zero_first():  # which downloads them, if need be
        features = load_features(todo.options)
    digests = todo.digests | {"features": features.digest}
    _check_digests(todo, digests, fabric)
    training = _training(todo, features, fabric)
    summary = None
    with nullcontext() if fabric.global_rank else Recorder(todo, training, fabric, digests) as recorder:
        fabric.barrier()
        with stop_request(fabric) as stopped:
            for step, losses in _steps(todo, training, fabric):
                if recorder:
                    recorder.note(step, losses)
                if stopped():
                    if recorder:
                        recorder.stop()
                    raise KeyboardInterrupt
        if recorder:
            summary = recorder.finish()
    if fabric.world_size > 1:
        fabric.barrier()
        torch.distributed.destroy_process_group()
    return summary


def _training(todo: Plan, features: Features, fabric: Fabric) -> Training:
    training = Training(todo.options, features, fabric, todo.phases)
    if todo.start:
        training.restore(checkpoints.load(todo.start).states)
    elif todo.options.normalise_features:
        (photos,) = first_photos(todo.photos, todo.options, steps=1)
        features.normalise(photos.to(fabric.device))
    return training


def _check_digests(todo: Plan, digests: dict[str, str], fabric: Fabric) -> None:
    if todo.begun_with not in (None, digests):
        raise CommandError(
            "the run was begun with other VGG features", where=todo.run, advice="give the same file"
        )
    if fabric.world_size == 1:
        return
    state = hashlib.sha256(repr((todo.start_step, sorted(digests.items()))).encode()).digest()
    here = int.from_bytes(state[:4])
    total = fabric.all_reduce(torch.tensor(here, device=fabric.device), reduce_op="sum")
    if total != here * fabric.world_size:
        advice = "all of them need the same datasets, weights and run folder, on a disk that they share"
        raise CommandError("the processes would not train the same run", where=todo.run, advice=advice)


def _steps(todo: Plan, training: Training, fabric: Fabric) -> Iterator[tuple[int, Losses]]:
    """Do what is left to do; gives each step's number, from 1, and what it found."""
    options = todo.options
    batches = Batches(
        todo.cartoons.reader(),
        todo.photos.reader(smoothed=False),
        options=options,
        init_steps=todo.phases.init_steps,
        rank=fabric.global_rank,
        ranks=fabric.world_size,
    )
    sent = stream(
        batches, start=todo.start_step, stop=todo.total_steps, workers=options.workers, device=fabric.device
    )
    for step, batch in enumerate(sent, todo.start_step):
        losses = training.step(batch, step)
        if wrong := losses.not_finite():
            raise _not_finite(todo, step + 1, wrong)
        yield step + 1, losses


def _not_finite(todo: Plan, step: int, wrong: list[str]) -> FramekitError:
    options = todo.options
    tries = [
        *(["--precision bf16 or fp32"] if options.precision == "fp16" else []),
        f"a lower --lr than {options.lr:g}",
        *([] if options.clip_gradients else ["--clip-gradients 1"]),
    ]
    path = checkpoints.latest(todo.run)
    stays = f"the last good checkpoint stays: {path}" if path else "there is no checkpoint yet"
    return FramekitError(
        f"step {step}: no finite number any more: {', '.join(wrong)}",
        where=todo.run,
        advice=f"begin again in another --out with {', or '.join(tries)}; {stays}",
    )
