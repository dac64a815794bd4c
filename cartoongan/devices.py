"""Where and how a run computes: device, precision, memory layout, and what if memory does not suffice."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cartoongan.options import TrainOptions
from framekit.errors import CommandError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
"""As Fabric calls them: weights stay float32, and what is safe is computed in 16 bits."""
AMPERE, VOLTA = (8, 0), (7, 0)
"""Compute capabilities from which NVIDIA's GPUs compute in bf16 and in fp16."""


@dataclass(frozen=True)
class Computing:
    """How a run computes, with nothing left to choose.

    Attributes:
        options: With device, precision and channels_last as they will be.
        processes: That share each step's batch.
        words: What was chosen, and why where the options left it open.
    """

    options: TrainOptions
    processes: int
    words: str


def pick_device(name: str) -> torch.device:
    """The device called `name` (auto, cpu, cuda or mps); auto is a GPU where there is one.

    Raises:
        CommandError: This machine, or this build of torch, has no such device.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if not present[name]:
        raise CommandError(
            f"--device {name}: torch {torch.__version__} sees none here", advice="use --device auto"
        )
    return torch.device(name)


def resolved(options: TrainOptions) -> Computing:
    """`options` with everything chosen that they leave to the machine.

    Raises:
        CommandError: A device is not there, is too few, or cannot compute in the precision asked for.
    """
    kind = pick_device(options.device).type
    precision, why_precision = _precision(options.precision, kind)
    channels_last, why_layout = _channels_last(options.channels_last, kind, precision)
    processes = process_count(options)
    _check_number(options, kind, processes)
    parts = min(options.accumulate, options.batch_size // processes)
    words = [
        _device_words(kind, processes),
        precision + why_precision,
        f"channels {'last' if channels_last else 'first'}{why_layout}",
        *(["compiled"] if options.compile else []),
        *([f"{parts} parts a step"] if parts > 1 else []),
        *(["activations computed twice"] if options.activation_checkpointing else []),
    ]
    chosen = {"device": kind, "precision": precision, "channels_last": channels_last}
    return Computing(options.model_copy(update=chosen), processes, ", ".join(words))


def process_count(options: TrainOptions) -> int:
    """Processes that share a step's batch: torchrun's where it started this one."""
    return int(os.environ["WORLD_SIZE"]) if started_by_torchrun() else options.devices


def started_by_torchrun() -> bool:
    """Whether this process is one of several that torchrun started."""
    return torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()


def leads() -> bool:
    """Whether this process is the one that speaks: the first, where torchrun started several."""
    return not started_by_torchrun() or int(os.environ["RANK"]) == 0


def make_fabric(options: TrainOptions) -> Fabric:
    """Fabric for `resolved` options: of this process alone, or of one among several that find each other."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    processes = process_count(options)
    here = int(os.environ["LOCAL_WORLD_SIZE"]) if started_by_torchrun() else processes
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # the plan has said it already
    warnings.filterwarnings("ignore", message=".*all_gather is deprecated", module="lightning_fabric")
    # Named, so that no other cluster's variables are taken for this run's.
    environment = TorchElasticEnvironment() if started_by_torchrun() else LightningEnvironment()
    return Fabric(
        accelerator=options.device,
        devices=here,
        num_nodes=processes // here,
        strategy="ddp" if processes > 1 else "auto",
        precision=PRECISIONS[options.precision],
        plugins=[environment],
    )


def peak_memory(device: torch.device) -> int | None:
    """Bytes at most used so far: on a GPU by torch, else by this process; None where that isn't told."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_memory() -> int | None:
    """Bytes of memory that a program may still take; None where that isn't told, as beside Linux."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))))
    with suppress(OSError, ValueError):  # a container's own limit
        group = Path("/sys/fs/cgroup")
        most, taken = ((group / f"memory.{name}").read_text() for name in ("max", "current"))
        found.append(int(most) - int(taken))
    return max(min(found), 0) if found else None


@contextmanager
def memory_errors(what: str) -> Iterator[None]:
    """Raise MemoryError, naming `what` was to be computed, where torch runs out of memory.

    On a CPU torch says so by a plain RuntimeError.
    """
    try:
        yield
    except RuntimeError as error:
        if re.search("allocate memory|enough memory|out of memory", str(error)):
            raise MemoryError(f"no memory for {what}") from error
        raise


def _precision(asked: str, kind: str) -> tuple[str, str]:
    if asked == "fp16" and kind != "cuda":
        advice = "use --precision bf16 or fp32"
        raise CommandError(f"--precision fp16 needs an NVIDIA GPU, not {kind}", advice=advice)
    if asked != "auto":
        return asked, ""
    if kind == "cuda":
        capability = torch.cuda.get_device_capability()
        if capability >= AMPERE:
            return "bf16", " (auto: this GPU has it)"
        if capability >= VOLTA:
            return "fp16", " (auto: this GPU has no bf16)"
        return "fp32", " (auto: this GPU has nothing shorter)"
    if kind == "cpu" and _cpu_has_bf16():
        return "bf16", " (auto: this CPU has it)"
    return "fp32", f" (auto: no bf16 in this {kind.upper()})"


def _cpu_has_bf16() -> bool:
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # not in every torch
    return any(getattr(torch.cpu, name, bool)() for name in asked)


def _channels_last(asked: bool | None, kind: str, precision: str) -> tuple[bool, str]:
    if asked is not None:
        return asked, ""
    suits = kind == "cuda" and precision != "fp32"  # what its tensor cores take without turning it round
    return suits, " (auto)"


def _check_number(options: TrainOptions, kind: str, processes: int) -> None:
    if kind == "mps" and processes > 1:
        raise CommandError(f"--devices {processes}: there is one such device only, mps")
    here = int(os.environ["LOCAL_WORLD_SIZE"]) if started_by_torchrun() else processes
    if kind == "cuda" and here > torch.cuda.device_count():
        raise CommandError(f"--devices {here}: torch sees {torch.cuda.device_count()} GPUs here")
    if options.batch_size % processes:
        raise CommandError(
            f"--batch-size {options.batch_size} cannot be shared by {processes} devices",
            advice=f"give a multiple of {processes}",
        )


def _device_words(kind: str, processes: int) -> str:
    if kind == "cuda":
        present = torch.cuda.device_count()
        name = torch.cuda.get_device_name()
        if processes == 1:
            more = f"; {present} are here, --devices {present} takes all" if present > 1 else ""
            return f"cuda ({name}{more})"
        return f"{processes} × cuda ({name})"
    if processes > 1:
        return f"{processes} processes on {kind}"
    return f"cpu ({torch.get_num_threads()} threads)" if kind == "cpu" else kind
