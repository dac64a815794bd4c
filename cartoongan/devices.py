"""Which device computes, and what happens when its memory does not suffice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from framekit.errors import CommandError


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
