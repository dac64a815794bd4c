"""Runs in processes of their own: killed, stopped, shared by several. What comes out is always the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cartoongan import checkpoints
from cartoongan.options import TrainOptions
from cartoongan.planning import plan
from framekit.errors import CommandError
from tests.cartoongan.test_checkpoints import same
from tests.cartoongan.test_trainer import log_of

ROOT = Path(__file__).parents[2]

SCRIPT = """
import itertools, os, signal, subprocess, sys
from cartoongan.steps import Training

steps, real = itertools.count(1), Training.step

def step(self, batch, number):
    rank = int(os.environ.get("LOCAL_RANK", -1))
    if next(steps) == 3:
        {what}
    return real(self, batch, number)

Training.step = step
from cartoongan.cli import main
if __name__ == "__main__":
    main(sys.argv[1:])
"""
"""The command, with `what` done in the third step of each process."""


def command(run: Path, cartoons: Path, photos: Path, options: TrainOptions) -> list[str]:
    """The words after `cartoongan`, with all that differs from the paper."""
    plain = TrainOptions()
    given = {name: value for name, value in options if value != getattr(plain, name)}
    words = ["train", "--cartoons", str(cartoons), "--photos", str(photos), "--out", str(run)]
    for name, value in {"device": "cpu", **given}.items():
        flag = "--" + name.replace("_", "-")
        values = value if isinstance(value, tuple) else [value]
        words += [flag] if value is True else [part for one in values for part in (flag, str(one))]
    return words


def disturbed(what: str, words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Train in a process group, with `what` in step 3. Returns when all processes are gone: each of them
    holds the pipe of standard output."""
    (folder / "script.py").write_text(SCRIPT.format(what=what))
    program = [sys.executable, str(folder / "script.py"), *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        program,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        timeout=600,
        env=environment,
    )


def assert_same_run(run: Path, other: Path) -> None:
    """Checkpoint for checkpoint, line for line, grid for grid."""
    for path in (other / "checkpoints").iterdir():
        one, two = checkpoints.load(run / "checkpoints" / path.name), checkpoints.load(path)
        assert same(one.states, two.states) and same(one.statistics, two.statistics)
    assert log_of(run) == log_of(other)
    for path in [*(other / "samples").iterdir(), other / "generator.safetensors"]:
        assert (run / path.relative_to(other)).read_bytes() == path.read_bytes()


def assert_equal_but_for_rounding(run: Path, other: Path) -> None:
    """In the first steps; then Adam makes much of little, as between runs of one thread and of two."""
    lines = list(zip(log_of(run), log_of(other), strict=True))
    for line, wanted in lines[:4]:
        for part in ("raw", "total", "accuracy", "gradient_norm"):
            assert line.get(part, {}) == pytest.approx(wanted.get(part, {}), rel=1e-5, abs=1e-5)
    for line, wanted in lines[4:]:
        assert line["raw"] == pytest.approx(wanted["raw"], rel=0.1, abs=0.1)


@pytest.fixture(scope="module")
def varied(small: TrainOptions) -> TrainOptions:
    """All that a run carries from step to step."""
    changes = {
        **{"norm": "batch", "ema": 0.9, "fake_pool": 3, "adversarial": "lsgan", "spectral_norm": True},
        **{"lr_milestones": (1,), "lr": 2e-4, "max_steps": 9, "workers": 1, "scale_jitter": 0.2},
    }
    return TrainOptions(**{**small.model_dump(), **changes})


@pytest.fixture(scope="module")
def undisturbed(
    varied: TrainOptions, cartoons: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = disturbed("pass", command(folder / "run", cartoons, photos, varied), folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


TELLING = """
import os, sys, torch
from cartoongan.steps import Training
from cartoongan.run_folder import Log

def told(real):
    def telling(*given, **more):
        os.write(1, b".")
        result = real(*given, **more)
        os.write(1, b".")
        return result
    return telling

Training.step, Log.write, torch.save = told(Training.step), told(Log.write), told(torch.save)
from cartoongan.cli import main
main(sys.argv[1:])
"""
"""The command, with a dot before and after each step, line of the log and checkpoint."""


def test_killed_at_any_moment_and_resumed_is_bit_for_bit_never_stopped(
    undisturbed: Path, varied: TrainOptions, cartoons: Path, photos: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = [sys.executable, "-c", TELLING, *command(run, cartoons, photos, varied)]
    for dots in (1, 11, 16):  # in the first step, in a checkpoint, and wherever that is then
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            assert len(process.stdout.read(dots)) == dots
            process.kill()
        words = [*words, "--resume"] if "--resume" not in words else words
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_same_run(run, undisturbed)


@pytest.fixture(scope="module")
def shared(
    varied: TrainOptions, cartoons: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same run in two processes."""
    folder = tmp_path_factory.mktemp("shared")
    words = command(folder / "run", cartoons, photos, varied.model_copy(update={"devices": 2}))
    done = disturbed("pass", words, folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("computing: 2 processes on cpu") == done.stdout.count("trained 9 steps") == 1
    return folder / "run"


def test_two_processes_train_what_one_does(shared: Path, undisturbed: Path) -> None:
    assert_equal_but_for_rounding(shared, undisturbed)


def test_torchrun_trains_the_same(
    shared: Path, varied: TrainOptions, cartoons: Path, photos: Path, tmp_path: Path
) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "cartoongan"]
    words = [*launcher, *command(tmp_path / "run", cartoons, photos, varied)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained 9 steps") == 1
    assert_equal_but_for_rounding(tmp_path / "run", shared)


def test_two_processes_stopped_and_killed_go_on_bit_for_bit(
    shared: Path, varied: TrainOptions, cartoons: Path, photos: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = command(run, cartoons, photos, varied.model_copy(update={"devices": 2}))
    done = disturbed("if rank == 1: os.kill(os.getpid(), signal.SIGTERM)", words, tmp_path)
    assert_both_stopped(done, run, after=3)
    done = disturbed("if rank == 1: os.kill(os.getpid(), signal.SIGKILL)", [*words, "--resume"], tmp_path)
    assert done.returncode == 1, done.stderr
    assert "process 2 of 2 was killed (SIGKILL)" in done.stderr and "Traceback" not in done.stderr
    done = disturbed("pass", [*words, "--resume"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_run(run, shared)


def test_ctrl_c_stops_two_processes(
    varied: TrainOptions, cartoons: Path, photos: Path, tmp_path: Path
) -> None:
    words = command(tmp_path / "run", cartoons, photos, varied.model_copy(update={"devices": 2}))
    what = "if rank == 0: subprocess.run(['kill', '-INT', '--', f'-{os.getpgrp()}'])"
    assert_both_stopped(disturbed(what, words, tmp_path), tmp_path / "run", after=3)


def assert_both_stopped(done: subprocess.CompletedProcess[str], run: Path, *, after: int) -> None:
    """After the same step, which is one later where the signal reached the second process late."""
    assert done.returncode == 130, done.stderr
    assert done.stderr.count("--resume") == 1 and "Error" not in done.stderr
    newest = checkpoints.latest(run)
    assert newest
    step = checkpoints.load(newest).step
    assert step in (after, after + 1) and len(log_of(run)) == step


@pytest.mark.parametrize("kind", ["TERM", "INT"])
def test_a_stop_of_the_whole_group_is_a_stop(
    kind: str, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    what = f"subprocess.run(['kill', '-{kind}', '--', f'-{{os.getpgrp()}}'])"
    words = command(tmp_path / "run", cartoons, photos, small.model_copy(update={"workers": 3}))
    done = disturbed(what, words, tmp_path)
    assert done.returncode == 130, done.stderr
    assert "--resume" in done.stderr and "Error" not in done.stderr
    assert checkpoints.latest(tmp_path / "run") == tmp_path / "run" / "checkpoints" / "step-000003.pt"


@pytest.mark.parametrize(
    "what", ["os.kill(os.getpid(), signal.SIGKILL)", "raise RuntimeError", "raise KeyboardInterrupt"]
)
def test_no_worker_outlives_the_trainer(
    what: str, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    words = command(tmp_path / "run", cartoons, photos, small.model_copy(update={"workers": 3}))
    assert disturbed(what, words, tmp_path).returncode in (-9, 1, 130)


def test_several_processes_need_a_batch_that_they_can_share(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    with pytest.raises(
        CommandError, match=r"--batch-size 2 cannot be shared by 3 devices. give a multiple of 3"
    ):
        plan(cartoons, photos, tmp_path / "run", small.model_copy(update={"devices": 3}))
