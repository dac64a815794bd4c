"""The commands in processes of their own with little memory and time: crashes and hangs are seen."""

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from click.testing import CliRunner, Result

from tests.hostile.uses import UNPRINTABLE

LONGEST = 100
"""Seconds; a command needs a few of them, so beyond it hangs."""
MEMORY = 6 << 30
"""Bytes of addresses; libraries alone map some gigabytes."""
ALONE = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Each thread of a library maps memory of its own, on machines of many cores a great deal."""
FRAMEKIT, CARTOONGAN, PIPELINE = "framekit.cli", "cartoongan", "pipelines"


def run(
    program: str, *words: object, cwd: Path | None = None, codes: Sequence[int] = (0, 1, 2)
) -> subprocess.CompletedProcess[str]:
    """Run a command that must end by itself, in words that a terminal shows as they are."""
    ended = subprocess.run(
        [sys.executable, "-m", program, *map(os.fspath, map(_word, words))],
        capture_output=True,
        timeout=LONGEST,
        cwd=cwd,
        check=False,
        text=True,
        errors="surrogateescape",
        env=os.environ | ALONE | {"PYTHONPATH": _here()},
        preexec_fn=_in_little_memory,
    )
    _check(ended.returncode, codes, ended.stdout + ended.stderr)
    return ended


def run_here(command: click.Command, *words: object, codes: Sequence[int] = (0, 1, 2)) -> Result:
    """The same in this process: where neither a crash nor a hang is to be expected, it takes less time."""
    ended = CliRunner().invoke(command, list(map(str, words)))
    _check(ended.exit_code, codes, ended.output)
    return ended


def _check(code: int, codes: Sequence[int], said: str) -> None:
    assert code in codes, (code, said)
    assert "Traceback" not in said and "a fault in this program" not in said, said
    assert not UNPRINTABLE.search(said.replace("\n", "")), ascii(said)


def _word(word: object) -> str | os.PathLike[str]:
    return word if isinstance(word, os.PathLike) else str(word)


def _here() -> str:
    return str(Path(__file__).parents[2])


def _in_little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
