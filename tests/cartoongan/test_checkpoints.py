"""Checkpoints are whole or not there, hold no code, and refuse what is foreign in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from cartoongan import checkpoints
from cartoongan.checkpoints import Checkpoint, latest, load, load_generator, save
from cartoongan.features import VGGFeatures
from cartoongan.options import TrainOptions
from cartoongan.steps import Training
from cartoongan.trainer import RunSummary
from framekit.errors import FramekitError


@pytest.fixture
def checkpoint(small: TrainOptions) -> Checkpoint:
    states = Training(small, VGGFeatures(None), torch.device("cpu")).states()
    return Checkpoint(7, small, {"cartoons": "c", "photos": "p", "features": "f"}, states)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_what_is_saved_comes_back(checkpoint: Checkpoint, tmp_path: Path) -> None:
    back = load(save(tmp_path, checkpoint))
    assert (back.step, back.options, back.digests) == (7, checkpoint.options, checkpoint.digests)
    assert same(dict(back.states), dict(checkpoint.states))


def test_the_newest_three_are_kept_and_found_by_number(checkpoint: Checkpoint, tmp_path: Path) -> None:
    for step in (5, 999_999, 20, 1_000_000):
        save(tmp_path, Checkpoint(step, checkpoint.options, checkpoint.digests, checkpoint.states))
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-000020.pt", "step-1000000.pt", "step-999999.pt"]
    assert latest(tmp_path) == tmp_path / "checkpoints" / "step-1000000.pt"


def test_a_folder_without_checkpoints_has_no_newest(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    with pytest.raises(FramekitError, match="no checkpoint here"):
        load_generator(tmp_path)


def test_a_write_that_breaks_off_leaves_the_checkpoint_before(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = save(tmp_path, checkpoint)

    def full_disk(_content: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, Checkpoint(8, checkpoint.options, checkpoint.digests, checkpoint.states))
    assert list((tmp_path / "checkpoints").iterdir()) == [before]


def test_a_process_killed_while_writing_leaves_no_checkpoint(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_content: object, path: Path) -> None:
        path.write_bytes(b"half")
        os._exit(9)

    child = os.fork()
    if not child:
        try:
            monkeypatch.setattr(torch, "save", killed)
            save(tmp_path, checkpoint)
        finally:
            os._exit(1)  # not reached when the write was killed
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert latest(tmp_path) is None
    checkpoints.clear_leftovers(tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_weights_that_are_no_numbers_are_not_saved(checkpoint: Checkpoint, tmp_path: Path) -> None:
    before = save(tmp_path, checkpoint)
    checkpoint.states["discriminator"]["layers.0.bias"][0] = torch.nan
    with pytest.raises(FramekitError, match="discriminator are no finite numbers"):
        save(tmp_path, Checkpoint(8, checkpoint.options, checkpoint.digests, checkpoint.states))
    assert latest(tmp_path) == before


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"format": checkpoints.FORMAT, "step": Trap(tmp_path / "ran")}, tmp_path / "trap.pt")
    for loader in (load, load_generator):
        with pytest.raises(FramekitError, match=r"trap\.pt: cannot be read .*holds code"):
            loader(tmp_path / "trap.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "not a checkpoint of cartoongan"),
        ({"weight": torch.zeros(2)}, "not a checkpoint of cartoongan"),
        (
            {"format": checkpoints.FORMAT, "options": {}, "states": {}, "digests": {}},
            "damaged checkpoint: no step",
        ),
        (
            {"format": checkpoints.FORMAT, "step": 1, "options": {"norm": "x"}, "states": {}, "digests": {}},
            "options of another version",
        ),
        (
            {
                "format": checkpoints.FORMAT,
                "step": 1,
                "options": {},
                "states": {"generator": 5},
                "digests": {},
            },
            "weights do not fit",
        ),
    ],
)
def test_foreign_checkpoints_are_refused_in_one_line(content: Any, words: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "foreign.pt")
    with pytest.raises(FramekitError, match=words) as error:
        load_generator(tmp_path / "foreign.pt")
    assert "\n" not in str(error.value) and "foreign.pt" in str(error.value)


def test_a_cut_off_checkpoint_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = save(tmp_path, checkpoint)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FramekitError, match="cannot be read"):
        load(path)


def test_the_export_is_the_generator_of_the_newest_checkpoint(finished: RunSummary) -> None:
    by_run, by_file, by_export = (
        load_generator(path).state_dict() for path in (finished.run, finished.checkpoint, finished.generator)
    )
    assert same(dict(by_run), dict(by_export)) and same(dict(by_file), dict(by_export))


def test_a_lone_export_in_a_folder_will_do(finished: RunSummary, tmp_path: Path) -> None:
    (tmp_path / "generator.safetensors").write_bytes(finished.generator.read_bytes())
    assert not load_generator(tmp_path).training


def test_the_export_says_how_it_was_trained_but_not_where(finished: RunSummary) -> None:
    with safe_open(finished.generator, "pt") as file:
        options = json.loads(file.metadata()["options"])
    assert options["base_channels"] == 4 and "vgg_weights" not in options


@pytest.mark.parametrize("metadata", [None, {"options": "{"}, {"options": '{"base_channels": 3}'}])
def test_other_safetensors_are_refused(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors", metadata=metadata)
    with pytest.raises(FramekitError, match=r"other\.safetensors: (not a generator|options of another)"):
        load_generator(tmp_path / "other.safetensors")
