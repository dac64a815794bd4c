"""A full step of the main phase against the step as it is usually written, side by side.

    python -m tests.benchmarks.training [--rounds 2] [--preset paper] [--batch-size 8] [--json]

What is compared: the step in `tests/oracles/cartoongan_step.py`, in PyTorch's default precision, and ours in
what this machine has. Full-size networks, VGG19 with random weights, which cost what real ones do.

On a CPU: CPU seconds (user and system) of the first step of a fresh process, and the most memory of that
process. On one thread: several would spend the CPU's time on waiting for each other where others work too. A
round measures each way once before the next one begins, so that what else the machine does strikes all of
them alike; the ratio is the median over rounds. Beside them, how far the losses are from the reference's.

On CUDA: milliseconds a step by events, over many steps after some that warm up, while worker processes read
batches from a dataset on disk; the same without reading; the share of the card's peak that our arithmetic
reaches (MFU: floating-point operations as PyTorch counts them, of our step and not of the reference's
detours); and the most memory for each batch size, fp32 and bf16, with and without activation checkpointing.
`--rehearse` runs all this on a CPU: it shows that it works, and its figures mean nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import TYPE_CHECKING, Any

from tests.benchmarks.decode import RSS_UNIT, in_a_process, machine, note

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from cartoongan.options import TrainOptions

REFERENCE = "as it is usually written"
SAMPLES = 64
WARM_UP, STEPS = 5, 30
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
PEAKS = {"H200": 989.5, "H100": 989.5, "A100": 312, "L40S": 362, "RTX 4090": 165.2, "RTX 3090": 71}
"""TFLOP/s in bf16 without sparsity, by what is in the card's name; from the makers' data sheets."""

Step = Callable[[Mapping[str, "Tensor"]], Any]


# What is measured -----------------------------------------------------------------------------------------


def ways_on_cpu() -> dict[str, dict[str, Any]]:
    """What each way changes in the options."""
    from cartoongan.devices import resolved
    from cartoongan.options import TrainOptions

    best = resolved(TrainOptions(device="cpu")).options.precision
    return {
        REFERENCE: {"precision": "fp32"},
        "ours, fp32": {"precision": "fp32"},
        **({"ours, bf16": {"precision": "bf16"}} if best == "bf16" else {}),
    }


WAYS_ON_CUDA = {
    REFERENCE: {"precision": "fp32", "channels_last": False},
    "ours, fp32": {"precision": "fp32", "channels_last": False},
    "ours, bf16": {"precision": "bf16", "channels_last": False},
    "ours, bf16, channels last": {"precision": "bf16", "channels_last": True},
    "ours, bf16, channels last, compiled": {"precision": "bf16", "channels_last": True, "compile": True},
}
WAYS_TO_SAVE_MEMORY = {
    REFERENCE: {"precision": "fp32"},
    "ours, fp32": {"precision": "fp32"},
    "ours, bf16": {"precision": "bf16"},
    "ours, bf16, checkpointing": {"precision": "bf16", "activation_checkpointing": True},
}


def build(way: str, options: TrainOptions) -> Step:
    """A function that takes a batch of uint8 pictures through one step of `way` and gives what it found."""
    from cartoongan.devices import make_fabric, resolved
    from cartoongan.features import VGGFeatures
    from cartoongan.networks import to_signed
    from cartoongan.schedules import Phases
    from cartoongan.steps import Training
    from tests.oracles.cartoongan_step import VGG19, ReferenceStep, criterion_of

    chosen = resolved(options).options
    vgg = VGGFeatures(None)
    training = Training(chosen, vgg, make_fabric(chosen), Phases(1, 0, 0, 1_000_000, 0))
    if way != REFERENCE:
        return partial(training.step, step=0)
    reference = ReferenceStep(
        training.generator,
        training.discriminator,
        VGG19(vgg.state_dict()).to(training.device),
        lr=chosen.lr,
        omega=chosen.omega,
        criterion=criterion_of(chosen.adversarial),
    )
    device = training.device  # and the rest of it goes
    return lambda batch: reference(**{name: to_signed(part.to(device)) for name, part in batch.items()})


def random_batch(options: TrainOptions) -> dict[str, Tensor]:
    import torch

    size, some = (options.batch_size, 3, options.crop_size, options.crop_size), torch.Generator()
    some.manual_seed(0)
    kinds = ("photos", "cartoons", "smoothed")
    return {kind: torch.randint(0, 256, size, dtype=torch.uint8, generator=some) for kind in kinds}


def on_cpu(way: str, options: TrainOptions) -> dict[str, Any]:
    """CPU seconds of a step, the process's peak memory in bytes, and the losses."""
    import torch

    torch.set_num_threads(1)
    batch, step = random_batch(options), build(way, options)
    before = getrusage(RUSAGE_SELF)
    found = step(batch)
    losses = found if way == REFERENCE else found.raw
    after = getrusage(RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_s": spent, "peak_bytes": after.ru_maxrss * RSS_UNIT, "losses": losses}


def on_cuda(way: str, options: TrainOptions, folder: str, *, steps: int) -> dict[str, Any]:
    """Milliseconds of a step, with batches from disk and from memory, and bytes of memory at most."""
    import torch

    import framekit.manifest
    from cartoongan.data import Batches, stream
    from cartoongan.devices import peak_memory

    device = torch.device(options.device)
    readers = (framekit.manifest.open(Path(folder) / name).reader() for name in ("cartoons", "photos"))
    batches = Batches(*readers, options=options, init_steps=0)
    read = stream(batches, start=0, stop=WARM_UP + steps, workers=options.workers, device=device)
    step = build(way, options)
    from_disk = timed(step, read, steps, device)
    same = {name: part.to(device) for name, part in random_batch(options).items()}
    alone = timed(step, itertools.repeat(same), steps, device)
    return {"ms": from_disk, "ms_without_reading": alone, "peak_bytes": peak_memory(device)}


def timed(step: Step, batches: Iterator[Mapping[str, Tensor]], steps: int, device: torch.device) -> float:
    """Milliseconds a step by the device's events, after those that warm up."""
    import torch

    event = partial(torch.cuda.Event, enable_timing=True) if device.type == "cuda" else Moment
    begin, end = event(), event()
    for _ in range(WARM_UP):
        step(next(batches))
    begin.record()
    for _ in range(steps):
        step(next(batches))
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / steps


class Moment:
    """An event of a CPU, which has none: for rehearsals."""

    at = 0.0

    def record(self) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, end: Moment) -> float:
        return 1000 * (end.at - self.at)


def memory_of(way: str, options: TrainOptions) -> int | None:
    """Bytes at most in two steps; None where they do not fit."""
    import torch

    from cartoongan.devices import peak_memory

    try:
        step, batch = build(way, options), random_batch(options)
        for _ in range(2):
            step(batch)
    except torch.OutOfMemoryError:
        return None
    return peak_memory(torch.device(options.device))


def flop_of(options: TrainOptions) -> int:
    from cartoongan.estimate import needs_of
    from cartoongan.features import VGGFeatures

    return needs_of(options, VGGFeatures(None)).main_flop


def make_datasets(folder: str, side: int) -> None:
    """Drawings with smoothed halves, and noisy photos: they cost a decoder what real ones do, or more."""
    from tests.cartoongan.datasets import drawing, photo, write_dataset

    drawings, photos = ([make(number, side) for number in range(SAMPLES)] for make in (drawing, photo))
    write_dataset(Path(folder) / "cartoons", drawings, smooth=True)
    write_dataset(Path(folder) / "photos", photos, smooth=False)


# The run --------------------------------------------------------------------------------------------------


def by_turns(
    ways: dict[str, dict[str, Any]], options: TrainOptions, rounds: int, work: Callable[..., dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """What `work(way, options)` gives for each way in each round, each in a process of its own."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, changes in ways.items():
            note(f"round {number + 1} of {rounds}: {way}")
            found[way].append(in_a_process(partial(work, way, options.model_copy(update=changes))))
    return found


def measure_cuda(options: TrainOptions, rounds: int, steps: int) -> dict[str, Any]:
    ways = WAYS_ON_CUDA
    if options.device != "cuda":  # a rehearsal, which would spend its time on compiling
        ways = {way: changes for way, changes in ways.items() if "compile" not in changes}
    with tempfile.TemporaryDirectory() as folder:
        make_datasets(folder, options.crop_size)
        found = by_turns(ways, options, rounds, partial(on_cuda, folder=folder, steps=steps))
    memory: dict[str, dict[int, int | None]] = {}
    for way, changes in WAYS_TO_SAVE_MEMORY.items():
        for size in BATCH_SIZES:
            note(f"memory: {way}, batches of {size}")
            chosen = options.model_copy(update=changes | {"batch_size": size})
            memory.setdefault(way, {})[size] = in_a_process(partial(memory_of, way, chosen))
    return {"ways": found, "memory": memory, "flop": in_a_process(partial(flop_of, options))}


def cpu_table(result: dict[str, Any]) -> Iterator[str]:
    found = result["ways"]
    theirs = found[REFERENCE]
    yield f"  {'a step':<28}{'CPU s':>9}{'from':>9}{'to':>9}{'ratio':>8}{'GB':>7}{'losses differ by':>19}"
    for way, rounds in found.items():
        spent = [one["cpu_s"] for one in rounds]
        ratio = statistics.median(
            one["cpu_s"] / other["cpu_s"] for one, other in zip(rounds, theirs, strict=True)
        )
        aim = {"ours, fp32": "   aim: 0.62", "ours, bf16": "   aim: 0.30"}.get(way, "")
        peak = max(one["peak_bytes"] for one in rounds) / 1e9
        off = max(
            abs(one["losses"][name] - value)
            for one, other in zip(rounds, theirs, strict=True)
            for name, value in other["losses"].items()
        )
        yield (
            f"  {way:<28}{statistics.median(spent):9.1f}{min(spent):9.1f}{max(spent):9.1f}{ratio:8.3f}"
            f"{peak:7.1f}{off:19.7f}{aim}"
        )


def cuda_table(result: dict[str, Any], options: TrainOptions) -> Iterator[str]:
    found, flop = result["ways"], result["flop"]
    theirs = statistics.median(one["ms"] for one in found[REFERENCE])
    heads = f"{'ms':>8}{'not read':>10}{'photos/s':>10}{'times':>7}{'TFLOP/s':>9}{'MFU':>6}{'GB':>7}"
    yield f"  {'a step':<37}{heads}"
    for way, rounds in found.items():
        ms, alone = (statistics.median(one[name] for one in rounds) for name in ("ms", "ms_without_reading"))
        reached = flop / ms / 1e9
        share = f"{reached / result['peak']:.0%}" if result["peak"] else ""
        peak = max(one["peak_bytes"] for one in rounds) / 1e9
        aim = "   aim: 5 times" if way == list(found)[-1] else ""
        yield (
            f"  {way:<37}{ms:8.1f}{alone:10.1f}{1000 * options.batch_size / ms:10.1f}{theirs / ms:7.2f}"
            f"{reached:9.0f}{share:>6}{peak:7.1f}{aim}"
        )
    yield f"\n  {'most memory in GB, batches of':<37}" + "".join(f"{size:8}" for size in BATCH_SIZES)
    for way, sizes in result["memory"].items():
        cells = ("–" if size is None else f"{size / 1e9:.1f}" for size in sizes.values())
        yield f"  {way:<37}" + "".join(f"{cell:>8}" for cell in cells)


def card() -> tuple[str, float | None]:
    """Its name, and its peak in TFLOP/s where that is known."""
    import torch

    name = torch.cuda.get_device_name()
    return name, next((peak for part, peak in PEAKS.items() if part in name), None)


def main() -> None:
    """Print the tables."""
    from cartoongan.devices import pick_device
    from cartoongan.options import TrainOptions

    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.training", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each way (2)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"in a measurement on CUDA ({STEPS})")
    parser.add_argument("--preset", default="paper", choices=("paper", "authors", "report"))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--crop-size", type=int, default=256)
    parser.add_argument("--base-channels", type=int, default=64)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--peak-tflops", type=float, help="of the card in bf16, where this does not know it")
    parser.add_argument("--rehearse", action="store_true", help="what CUDA's part does, on a CPU")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    given = parser.parse_args()
    kept = ("preset", "batch_size", "crop_size", "base_channels")
    device = "cpu" if given.rehearse else pick_device(given.device).type
    options = TrainOptions(
        **{name: getattr(given, name) for name in kept},
        device=device,
        workers=min(8, os.cpu_count() or 1),
        fake_pool=0,  # which the reference has not
    )
    result: dict[str, Any] = {"machine": machine()["machine"], "torch": version("torch")}
    if device == "cuda" or given.rehearse:
        name, peak = (None, None) if given.rehearse else in_a_process(card)
        result |= {"card": name, "peak": given.peak_tflops or peak}
        result |= measure_cuda(options, given.rounds, given.steps)
        lines = cuda_table(result, options)
    else:
        result |= {"ways": by_turns(ways_on_cpu(), options, given.rounds, on_cpu)}
        lines = cpu_table(result)
    if given.json:
        print(json.dumps(result))
        return
    what = f"{given.preset}, batches of {given.batch_size}, {given.crop_size} × {given.crop_size}"
    print(f"{what}; {result.get('card') or result['machine']}, torch {result['torch']}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
