import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from framekit.errors import CommandError
from framekit.extraction import executors
from framekit.extraction.plan import Segment, Source, Unit
from framekit.extraction.spent import Spent

NAMES = ("hangs", "one", "two")


def units() -> deque[Unit]:
    sources = [Source(f"{name}-00000000", Path(f"{name}.mkv"), "film", "0" * 32) for name in NAMES]
    return deque(Segment(source, 0, 1) for source in sources)


def hang_over_one(unit: Unit, on_frames: Callable[[int], None]) -> Spent:
    if unit.source.path.stem == "hangs":
        threading.Event().wait()
    return Spent()


def test_a_film_without_progress_is_given_up_and_the_rest_is_done(monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", 8.0)
    outcomes = executors._in_a_pool(units(), hang_over_one, 2, lambda *_: None)
    errors = {unit.source.path.stem: error for unit, _, error in outcomes}
    assert sorted(errors) == sorted(NAMES)
    assert errors["one"] is None
    assert errors["two"] is None
    assert "no progress for 8 seconds: given up" in str(errors["hangs"])


def test_a_film_alone_without_progress_ends_the_program_with_a_line():
    program = (
        "from framekit.extraction import executors\n"
        "from tests.framekit.extraction.test_executors import hang_over_one, units\n"
        "executors.PATIENCE = 0.5\n"
        "executors._in_this_process(units()[0], hang_over_one, lambda *_: None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
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
