"""Programs that tests run beside themselves."""

import subprocess
from collections.abc import Callable
from contextlib import suppress

A_WHILE = 0.02
"""Seconds between two looks: to look all the time would take a core from what is waited for."""


def until(there: Callable[[], object], process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    """Wait until something is there, or the process that is to make it has ended."""
    while process.poll() is None and not there():
        with suppress(subprocess.TimeoutExpired):
            process.wait(A_WHILE)
