"""What a program and all the processes that it starts hold of memory, read from /proc while it runs."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.processes import until

MB = 1_000_000
NOW, AT_MOST = "VmRSS:", "VmHWM:"
"""Lines of /proc/PID/status: what a process holds, and what it held when that was most."""
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""For PyTorch, whose threads otherwise wait for each other where others work too."""

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


class Cost(NamedTuple):
    """Of one run: seconds that passed, and CPU seconds of it and of all that it started."""

    wall: float
    cpu: float


def run(words: Sequence[str], look: Callable[[int], None] = lambda _: None) -> Cost:
    """Run `python -m WORDS` to its end, and all the while call `look` with the number of its session."""
    before, started = os.times(), time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, "-m", *words]
        environment = os.environ | ONE_THREAD
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)
        try:
            until(lambda: look(process.pid), process)
        finally:
            if process.returncode is None:  # a failing test leaves nobody behind
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said.seek(0)
        assert process.returncode == 0, said.read()
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(time.perf_counter() - started, cpu)


def held(session: int, when: str = NOW) -> int:
    """Bytes that the processes of a session hold; what they share counts once for each of them."""
    return sum(_bytes(int(path.name), when) for path in Path("/proc").glob("[0-9]*") if _is_of(path, session))


def _is_of(path: Path, session: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getsid(int(path.name)) == session
    return False


def _bytes(pid: int, line: str) -> int:
    with suppress(OSError):  # it has ended
        words = Path(f"/proc/{pid}/status").read_text().split()
        if line in words:  # which one that has ended and is not yet waited for has not
            return 1024 * int(words[words.index(line) + 1])
    return 0


class Peak:
    """To look with: the most that a session's processes can have held, each of them at its own worst."""

    bytes = 0

    def __call__(self, session: int) -> None:
        self.bytes = max(self.bytes, held(session, AT_MOST))
