"""Locks: one process at a time changes things. On a disk it locks a file, in a store it makes an object."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from framekit.errors import FramekitError, reason_of
from framekit.storage.paths import RemotePath

PATIENCE = 30.0
"""Seconds to wait for others."""
REFRESHED = 10.0
"""Seconds after which a lock in a store is put there anew, as long as it is held."""
FORGOTTEN = 120.0
"""Seconds after which one that was not put there anew is taken over: its holder died."""
BETWEEN_LOOKS = 0.5


class LockedError(FramekitError):
    """Somebody else holds a lock."""


@contextmanager
def locked(path: Path, *, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock at `path`, after waiting up to `patience` seconds for others.

    On a disk it ends with its process, and the file stays. In a store it is an object that is made only where
    none is, in one step where the store can do that (S3 and Google's can); it is refreshed while it is held,
    and one that is not any more is taken over.

    Raises:
        LockedError: Somebody else holds it for too long, or took it over.
        FramekitError: It cannot be written.
    """
    if isinstance(path, RemotePath):
        with _Held(path, patience):
            yield
        return
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience, poll_interval=0.01)
    except Timeout:
        what = f"another process has held this lock for {patience:g} seconds"
        advice = "wait until it is done, or end it, and try again"
        raise LockedError(what, where=path, advice=advice) from None
    except OSError as error:
        advice = "a dataset in a folder that cannot be written to can be read only"
        raise FramekitError(f"cannot be locked ({reason_of(error)})", where=path, advice=advice) from error
    try:
        yield
    finally:
        lock.release()


class _Held:
    """A lock in a store."""

    def __init__(self, path: RemotePath, patience: float) -> None:
        self._path, self._patience = path, patience
        self._token = uuid.uuid4().hex
        self._done = threading.Event()
        self._lost = False

    def __enter__(self) -> None:
        self._acquire()
        self._thread = threading.Thread(target=self._refresh, daemon=True)
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._done.set()
        self._thread.join()
        try:
            ours = not self._lost and self._is_ours(_read(self._path))
            if ours:
                self._path.unlink(missing_ok=True)
        except FramekitError:
            if kind is None:
                raise
            return  # what went wrong before says more
        if not ours and kind is None:
            what = "another process took over this lock, as this one had not refreshed it in time"
            raise LockedError(what, where=self._path, advice="run the same command again")

    def _acquire(self) -> None:
        started = time.monotonic()
        seen: tuple[object, float] = None, started
        while True:
            if self._is_made():
                return
            there, now = _read(self._path), time.monotonic()
            if there != seen[0]:
                seen = there, now
            if there and "token" not in there:  # a local dataset's, which was copied with it
                self._path.unlink(missing_ok=True)
                continue
            forgotten = there and _age(there) > FORGOTTEN
            # Clocks of two machines may differ: what is refreshed while it is looked at is held.
            if forgotten and now - seen[1] > 1.5 * REFRESHED:
                self._path.unlink(missing_ok=True)
                continue
            if not forgotten and now - started > self._patience:
                raise LockedError(
                    f"another process has held this lock for {self._patience:g} seconds: {_holder(there)}",
                    where=self._path,
                    advice=f"wait until it is done; {FORGOTTEN / 60:g} minutes after it died, try again",
                )
            time.sleep(BETWEEN_LOOKS)

    def _is_made(self) -> bool:
        with suppress(FileExistsError):  # perhaps by this very call, whose answer was lost
            self._path.create(self._words())
        # Where a store makes what is there already anew, the last one has it.
        return self._is_ours(_read(self._path))

    def _refresh(self) -> None:
        while not self._done.wait(REFRESHED):
            try:
                if not self._is_ours(_read(self._path)):
                    self._lost = True
                    return
                self._path.write_bytes(self._words())
            except FramekitError:
                continue  # the lock lasts longer than a few failures

    def _words(self) -> bytes:
        who = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time(), "token": self._token}
        return json.dumps(who, sort_keys=True).encode()

    def _is_ours(self, there: dict[str, Any]) -> bool:
        return there.get("token") == self._token


def _read(path: RemotePath) -> dict[str, Any]:
    """What a lock says; nothing where there is none."""
    try:
        said = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        return {"time": 0}
    return said if isinstance(said, dict) else {"time": 0}


def _age(there: dict[str, Any]) -> float:
    since = there.get("time")
    return time.time() - since if isinstance(since, (int, float)) else FORGOTTEN + 1


def _holder(there: dict[str, Any]) -> str:
    return f"process {there.get('pid')} on {there.get('host')}"
