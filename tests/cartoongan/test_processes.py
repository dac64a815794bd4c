"""Several processes: one result, one error, one stop, and none left behind."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from cartoongan import processes
from cartoongan.processes import in_processes
from framekit.errors import CommandError, FramekitError


def rank() -> int:
    return int(os.environ["LOCAL_RANK"])


def say_who(word: str) -> str:
    return f"{word} {rank()} of {os.environ['WORLD_SIZE']}"


def fail_second() -> None:
    if rank() == 1:
        raise CommandError("too large", where="crop", advice="use a smaller one")
    raise RuntimeError("connection closed by peer")


def be_killed() -> None:
    if rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("connection closed by peer")


def hang_while_another_fails() -> None:
    if rank() == 1:
        raise MemoryError("no memory for batches")
    signal.pause()


def wait_for_a_stop(folder: str) -> None:
    try:
        with Path(folder, "waiting").open("wb") as waiting:
            waiting.write(b".")
        signal.pause()
    except KeyboardInterrupt:
        Path(folder, f"stopped-{rank()}").touch()
        raise


def test_the_first_ones_result_comes_back() -> None:
    assert in_processes(2, say_who, "I am") == "I am 0 of 2"


def test_an_error_that_a_user_can_act_on_is_the_one_that_is_told() -> None:
    with pytest.raises(CommandError) as error:
        in_processes(2, fail_second)
    assert str(error.value) == "crop: too large. use a smaller one"


def test_a_process_that_was_killed_is_told() -> None:
    with pytest.raises(FramekitError, match=r"process 2 of 2 was killed \(SIGKILL\).*--resume"):
        in_processes(2, be_killed)


def test_who_hangs_when_another_has_failed_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE", 0.2)
    with pytest.raises(MemoryError, match="no memory for batches"):
        in_processes(2, hang_while_another_fails)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_reaches_all(kind: signal.Signals, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "waiting")

    def stop_when_all_wait() -> None:
        waiting = os.open(tmp_path / "waiting", os.O_RDWR)  # also for writing: so it never ends early
        for _ in "12":
            os.read(waiting, 1)
        os.kill(os.getpid(), kind)

    threading.Thread(target=stop_when_all_wait).start()
    before = signal.getsignal(kind)
    with pytest.raises(KeyboardInterrupt):
        in_processes(2, wait_for_a_stop, str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"waiting", "stopped-0", "stopped-1"}
    assert signal.getsignal(kind) == before
