"""`framekit review`, in a process of its own or in this one, and a browser to look at it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import framekit.manifest

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


@dataclass
class Here:
    """A server in a thread of this process, which is there at once."""

    url: str
    root: Path
    session: object


@contextmanager
def serving_here(root: Path, by: str = "ada") -> Iterator[Here]:
    """Serve the dataset in folder `root` from this process until the block ends."""
    from framekit.review.server import listening, make_server
    from framekit.review.session import Session

    session = Session(framekit.manifest.open(root), by=by)
    ready = threading.Event()
    with listening(0) as listener:
        server, url = make_server(session, listener, ready=lambda *_: ready.set())
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            assert ready.wait(20)
            yield Here(url, root, session)
        finally:
            server.should_exit = server.force_exit = True
            thread.join(timeout=60)
