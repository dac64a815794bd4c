"""`framekit doctor`: what it says of this machine is true, and what would go wrong is told."""

import importlib.metadata
import json
import os
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

from framekit import doctor
from framekit.cli import main


def run(*words):
    return CliRunner().invoke(main, ["doctor", *map(str, words)])


def test_a_machine_that_passes_these_tests_has_no_problems(tmp_path):
    done = run(tmp_path / "not" / "there")
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"GB free in {tmp_path}\n" in done.stdout
    assert f"PyAV {av.__version__}" in done.stdout and "h264, hevc" in done.stdout
    assert done.stdout.endswith("no problems found\n")


def test_json_has_the_versions_that_are_installed(tmp_path):
    said = json.loads(run(tmp_path, "--json").stdout)
    assert said["problems"] == []
    assert {"av", "numpy", "opencv-python-headless", "pyarrow"} <= set(said["versions"])
    assert all(importlib.metadata.version(name) == version for name, version in said["versions"].items())
    assert "mypy" not in said["versions"]  # what developers use is nobody's lack


def test_what_is_not_installed_is_told_with_its_extra(monkeypatch):
    version = importlib.metadata.version

    def without(name):
        if name in ("uvicorn", "pyarrow"):
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without)
    done = run()
    assert done.exit_code == 1
    assert "uvicorn; if you need that: pip install 'cartoon-framekit[review]'" in done.stdout
    assert "problem: not installed: pyarrow." in done.stderr


def test_two_builds_of_opencv_are_a_problem(monkeypatch):
    builds = ["opencv-python", "opencv-python-headless", "opencv-python"]
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"cv2": builds})
    done = run()
    assert done.exit_code == 1
    assert "pip uninstall opencv-python opencv-python-headless, then: pip install" in done.stderr


def test_little_room_is_a_problem(monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 3 * 10**9))
    assert "problem: only 3.0 GB free" in run(tmp_path).stderr


@pytest.mark.skipif(os.name != "posix", reason="a program by a script")
def test_a_gpu_that_torch_leaves_unused_is_a_problem(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!{sys.executable}\nprint('Some GPU, 81559 MiB, 570.1')\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    version = importlib.metadata.version
    for torch, problems in (("2.13.0+cpu", 1), ("2.13.0+cu130", 0)):
        monkeypatch.setattr(
            importlib.metadata,
            "version",
            lambda name, torch=torch: torch if name == "torch" else version(name),
        )
        found = doctor.examine(Path())
        assert found.facts["GPU"] == "Some GPU, 81559 MiB, 570.1"
        assert len(found.problems) == problems


def test_a_driver_that_fails_is_no_gpu(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert doctor.examine(tmp_path).facts["GPU"].startswith("none")
