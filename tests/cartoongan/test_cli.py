"""The command: help without torch, walls that hold, exit codes, one-line errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cartoongan.cli import main
from cartoongan.options import TrainOptions
from cartoongan.trainer import RunSummary
from framekit import __version__
from tests.cartoongan.small_features import PLACE
from tests.films import numbered_film

ROOT = Path(__file__).parents[2]

FLAGS = [
    *("--base-channels", "4", "--residual-blocks", "1", "--crop-size", "32", "--batch-size", "2"),
    *("--init-steps", "1", "--max-steps", "2", "--samples", "2", "--workers", "0"),
    *("--features", PLACE, "--device", "cpu", "--precision", "fp32"),
]

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is not to be imported")

sys.meta_path.insert(0, Blocker())
sys.argv = ["cartoongan", *sys.argv[1:]]
from cartoongan.cli import main
main()
"""


def without(blocked: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that fails where one of `blocked` is imported."""
    command = [sys.executable, "-c", BLOCKER.format(blocked=blocked), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def data(cartoons: Path, photos: Path, out: Path) -> list[str]:
    return ["--cartoons", str(cartoons), "--photos", str(photos), "--out", str(out)]


def test_help_loads_nothing_heavy() -> None:
    heavy = {"torch", "albumentations", "cv2", "numpy", "pyarrow", "PIL", "tensorboard"}
    for command in ([], ["train"], ["stylize"], ["export"]):
        done = without(heavy, *command, "--help")
        assert done.returncode == 0, done.stderr
        assert f"cartoongan {(command or ['train'])[0]}" in done.stdout


def test_a_box_without_av_and_imagehash_trains_and_stylizes(
    cartoons: Path, photos: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = without({"av", "imagehash"}, "train", *data(cartoons, photos, run), *FLAGS)
    assert done.returncode == 0, done.stderr
    assert f"cartoongan stylize {run}" in done.stdout
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(tmp_path / "photo.png")
    done = without(
        {"av", "imagehash"}, "stylize", str(run), f"{tmp_path}/photo.png", "--out", f"{tmp_path}/out"
    )
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "out" / "photo.png").size == (7, 9)


def test_python_m_cartoongan_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cartoongan", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "stylize" in done.stdout


def test_every_option_is_a_flag_with_help() -> None:
    shown = CliRunner().invoke(main, ["train", "--help"]).stdout
    for name, field in TrainOptions.model_fields.items():
        assert "--" + name.replace("_", "-") in shown
        assert field.description


def test_dry_run_says_what_would_be_done_and_does_nothing(
    cartoons: Path, photos: Path, tmp_path: Path
) -> None:
    done = CliRunner().invoke(main, ["train", *data(cartoons, photos, tmp_path / "run"), *FLAGS, "--dry-run"])
    assert done.exit_code == 0, done.output
    words = ["5 samples", "7 samples", "2 of 2 photos: 4 an epoch, 1 init + 1 main", "omega = 10.0"]
    words += [
        "GB of tensors",
        "TFLOP an init step",
        "timed: a step of each phase",
        "fp32",
        "precision = fp32",
    ]
    for part in words:
        assert part in done.stdout
    assert not (tmp_path / "run").exists()


def test_dry_run_downloads_nothing(
    cartoons: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    flags = [*FLAGS[: FLAGS.index("--features")], "--device", "cpu", "--dry-run"]
    done = CliRunner().invoke(main, ["train", *data(cartoons, photos, tmp_path / "run"), *flags])
    assert done.exit_code == 0, done.output
    assert "to be downloaded from" in done.stdout and "TFLOP an init step" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_dry_run_counts_the_papers_parameters(cartoons: Path, photos: Path, tmp_path: Path) -> None:
    flags = ["--crop-size", "32", "--features", PLACE, "--dry-run"]
    done = CliRunner().invoke(main, ["train", *data(cartoons, photos, tmp_path / "run"), *flags])
    assert "11,124,931 parameters" in done.stdout and "1,129,025 parameters" in done.stdout


def test_dry_run_checks_the_weights(cartoons: Path, photos: Path, tmp_path: Path) -> None:
    flags = ["--crop-size", "32", "--vgg-weights", str(tmp_path / "none.pth"), "--dry-run"]
    done = CliRunner().invoke(main, ["train", *data(cartoons, photos, tmp_path / "run"), *flags])
    assert done.exit_code == 2 and "none.pth: no such file" in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--crop-size", "30"], "--crop-size: must be a multiple of 4"),
        (["--lr", "nan"], "--lr"),
        (["--vgg-weights", "x.pth"], "either --vgg-weights or --features"),
        (["--crop-size", "64"], "smaller than --crop-size 64"),
    ],
)
def test_wrong_values_exit_with_2(
    flags: list[str], words: str, cartoons: Path, photos: Path, tmp_path: Path
) -> None:
    done = CliRunner().invoke(main, ["train", *data(cartoons, photos, tmp_path / "run"), *FLAGS, *flags])
    assert done.exit_code == 2
    assert words in done.stderr and done.stderr.count("\n") == 1


def test_training_into_a_run_exits_with_2(finished: RunSummary, cartoons: Path, photos: Path) -> None:
    done = CliRunner().invoke(main, ["train", *data(cartoons, photos, finished.run), *FLAGS])
    assert done.exit_code == 2 and "--resume" in done.stderr


@pytest.mark.parametrize(
    ("where", "resumable"), [("trainer.load_features", False), ("steps.Training.step", True)]
)
def test_a_stop_exits_with_130_and_says_how_to_go_on(
    *,
    where: str,
    resumable: bool,
    cartoons: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ["train", *data(cartoons, photos, tmp_path / "run"), *FLAGS]
    with monkeypatch.context() as patch:
        # A second one: the first asks for a stop after the step.
        patch.setattr(f"cartoongan.{where}", lambda *_: [os.kill(os.getpid(), signal.SIGTERM) for _ in "12"])
        done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 130 and done.stderr.count("stopped") == 1
    assert ("--resume" in done.stderr) == resumable
    again = CliRunner().invoke(main, [*arguments, *(["--resume"] if resumable else [])])
    assert again.exit_code == 0, again.stderr


def test_the_version_is_framekits() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).stdout


def test_a_file_that_is_there_is_replaced_on_request_only(finished: RunSummary, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(tmp_path / "photo.jpg")
    (tmp_path / "photo.png").write_text("mine")
    command = ["stylize", str(finished.run), str(tmp_path / "photo.jpg"), "--out", str(tmp_path)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1 and "--overwrite" in done.stderr
    assert (tmp_path / "photo.png").read_text() == "mine"
    assert CliRunner().invoke(main, [*command, "--overwrite"]).exit_code == 0
    assert Image.open(tmp_path / "photo.png").size == (7, 9)


def test_stylize_exits_with_1_when_a_picture_failed(finished: RunSummary, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    inputs = [str(tmp_path / name) for name in ("bad.png", "good.png")]
    done = CliRunner().invoke(main, ["stylize", str(finished.run), *inputs, "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "bad.png: not a picture" in done.stderr and "made 1 cartoons" in done.stdout


def test_stylize_tells_its_figures_as_json(finished: RunSummary, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(tmp_path / "photo.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    film = numbered_film(tmp_path / "film.mp4", 3)
    inputs = [str(tmp_path / "photo.png"), str(tmp_path / "bad.png"), str(film)]
    words = [
        "stylize",
        str(finished.run),
        *inputs,
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
        "--json",
    ]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert [Path(path).name for path in told["written"]] == ["photo.png", "film.mp4"]
    assert len(told["failed"]) == 1 and "bad.png" in told["failed"][0]
    assert told["videos"][str(tmp_path / "out" / "film.mp4")]["frames"] == 3


def test_export_says_what_it_wrote(finished: RunSummary, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["export", str(finished.run), str(tmp_path / "g.safetensors"), "--json"])
    assert json.loads(done.stdout) == {"difference": None, "written": [str(tmp_path / "g.safetensors")]}
    again = CliRunner().invoke(main, ["export", str(finished.run), str(tmp_path / "g.safetensors")])
    assert again.exit_code == 2 and "--overwrite" in again.stderr
