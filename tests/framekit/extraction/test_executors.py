import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path

import pytest

from framekit.errors import CommandError
from framekit.extraction import executors, workers
from framekit.extraction.plan import Segment, Source, Unit
from framekit.extraction.spent import Spent

NAMES = ("hangs", "dies", "dies once", "fails", "one", "two")


def units(folder: Path = Path(), names: tuple[str, ...] = NAMES) -> deque[Unit]:
    sources = [Source(f"{name}-00000000", folder / f"{name}.mkv", "film", "0" * 32) for name in names]
    return deque(Segment(source, 0, 1) for source in sources)


def as_named(unit: Unit, on_frames: Callable[[int], None]) -> Spent:
    """Does what a film's name says, and keeps count of it beside the film."""
    path = unit.source.path
    before = path.read_text() if path.exists() else ""
    path.write_text(before + "x")
    if path.stem == "hangs":
        threading.Event().wait()
    if path.stem == "dies" or (path.stem == "dies once" and not before):
        os.kill(os.getpid(), signal.SIGKILL)
    if path.stem == "fails":
        raise ValueError(threading.Lock())
    on_frames(7)
    return Spent()


def test_what_hangs_or_kills_its_worker_costs_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", 1.0)
    seen: list[int] = []
    ended = executors._in_a_pool(units(tmp_path), as_named, 2, lambda _, frames: seen.append(frames))
    errors = {unit.source.path.stem: str(error or "") for unit, _, error in ended}
    assert {name for name, error in errors.items() if not error} == {"one", "two", "dies once"}
    assert "no progress for 1 seconds: given up" in errors["hangs"]
    assert "a worker process died over it" in errors["dies"]
    assert errors["fails"].startswith("ValueError: <unlocked _thread.lock")
    times = {path.stem: len(path.read_text()) for path in tmp_path.iterdir()}
    assert times == dict.fromkeys(NAMES, 1) | {"dies": 2, "dies once": 2}
    assert set(seen) == {0, 7}


def speak_at_length(_unit: Unit, _on_frames: Callable[[int], None]) -> bytes:
    return bytes(50 << 20)


def test_a_worker_that_dies_in_the_middle_of_a_word_is_not_waited_for():
    worker = executors._Worker(speak_at_length)
    worker.begin(units()[0])
    assert worker.listen() == 0
    connection.wait([worker.pipe])
    os.kill(worker._process.pid, signal.SIGKILL)
    assert worker.listen() is None
    worker.end()


def test_a_film_alone_without_progress_ends_the_program_with_a_line(tmp_path):
    program = (
        "from framekit.extraction import executors\n"
        "from tests.framekit.extraction.test_executors import as_named, units\n"
        "executors.PATIENCE = 0.5\n"
        "executors._in_this_process(units()[0], as_named, lambda *_: None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: hangs.mkv: no progress for 0.5 seconds: given up. leave it out; what was finished is kept\n"
    )


def test_an_address_of_a_cluster_contradicts_local():
    with pytest.raises(CommandError, match="--ray-address goes with --executor ray"):
        executors.executor_of("local", workers=1, ray_address="auto")


def test_a_missing_ray_is_said_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(executors, "find_spec", lambda _name: None)
    with pytest.raises(CommandError, match=r"pip install 'cartoon-framekit\[ray\]'"):
        executors.executor_of("ray", workers=1, ray_address=None)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are spawned")
def test_a_command_s_workers_are_forked_from_what_has_imported_all_and_are_counted(tmp_path):
    program = (
        "import os, pathlib, sys\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from framekit.extraction import workers\n"
        "from tests.framekit.extraction.test_executors import imported\n"
        "workers.prepare(pathlib.Path(sys.argv[1]), workers=2, executor=None, ray_address=None)\n"
        "with ProcessPoolExecutor(1, mp_context=workers.context()) as pool:\n"
        "    print(pool.submit(imported).result())\n"
        "workers.end()\n"
        "print(os.times().children_user > 0.1)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "new")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["True", "True"], done.stderr


def imported() -> bool:
    return {"framekit.extraction.segment", "scipy.fftpack", "av"} <= sys.modules.keys()


@pytest.mark.parametrize("how", [{"workers": 1}, {"executor": "ray"}, {"ray_address": "auto"}])
def test_otherwise_workers_are_spawned(tmp_path, how):
    workers.prepare(tmp_path, **{"workers": 2, "executor": None, "ray_address": None} | how)
    assert workers.context().get_start_method() == "spawn"
