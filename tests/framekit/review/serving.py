"""`framekit review` in a process of its own, and a browser to look at it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMAND = [sys.executable, "-m", "framekit.cli", "review"]
CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox"]


@dataclass
class Server:
    """A server that runs."""

    process: subprocess.Popen
    url: str
    root: Path

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(
    root: Path, prefix: Sequence[str] = (), cwd: Path | None = None, options: Sequence[str] = ()
) -> Iterator[Server]:
    """Serve the dataset in folder `root` until the block ends; `prefix` comes before the command."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "500"}
    process = subprocess.Popen(
        [*prefix, *COMMAND, str(root), "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=cwd,
    )
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if found := re.search(r"http://127\.0\.0\.1:\d+/\S+/", said):
                yield Server(process, found[0], root)
                return
        raise AssertionError(f"framekit review gave no address: {said}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
