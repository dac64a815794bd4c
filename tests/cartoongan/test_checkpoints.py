"""Checkpoints are whole or not there, hold no code, and refuse what is foreign in one line."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from cartoongan import checkpoints
from cartoongan.checkpoints import Checkpoint, latest, load, load_generator, prune, ranked, save
from cartoongan.networks import Generator
from cartoongan.options import FREE_TO_CHANGE, GeneratorOptions, TrainOptions
from cartoongan.run_folder import clear_leftovers
from cartoongan.trainer import RunSummary
from framekit.errors import FramekitError
from tests.cartoongan.test_steps import build
from tests.traps import Trap


@pytest.fixture
def checkpoint(small: TrainOptions) -> Checkpoint:
    training = build(small)
    photos = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    digests = {"cartoons": "c", "photos": "p", "features": "f"}
    return Checkpoint(7, small, digests, training.states(), training.statistics([photos]))


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
    assert (back.step, back.digests) == (7, checkpoint.digests)
    changed = {name for name, value in back.options if value != getattr(checkpoint.options, name)}
    assert changed <= FREE_TO_CHANGE  # these are no part of what the run is
    assert same(back.statistics, checkpoint.statistics)
    assert same(dict(back.states), dict(checkpoint.states))


def test_bytes_do_not_depend_on_the_process(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = save(tmp_path / "one", checkpoint)
    monkeypatch.setattr(os, "getpid", lambda: 123456)  # part of the temporary file's name
    assert save(tmp_path / "other", checkpoint).read_bytes() == one.read_bytes()


def test_the_newest_and_the_best_are_kept_and_found_by_number(checkpoint: Checkpoint, tmp_path: Path) -> None:
    for step in (5, 999_999, 20, 30, 1_000_000):
        save(tmp_path, replace(checkpoint, step=step))
    scores = {5: 1.5, 20: 0.7, 30: 0.7, 1_000_000: 0.9, 40: 0.1}  # that of step 40 is not there
    assert ranked(tmp_path, scores) == [20, 30, 1_000_000, 5]
    prune(tmp_path, last=2, best=1, scores=scores)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-000020.pt", "step-1000000.pt", "step-999999.pt"]
    assert latest(tmp_path) == tmp_path / "checkpoints" / "step-1000000.pt"
    prune(tmp_path, last=1, best=0, scores=scores)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-1000000.pt"]


def test_a_folder_without_checkpoints_has_no_newest(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    with pytest.raises(FramekitError, match="no checkpoint here"):
        load_generator(tmp_path)


def test_a_write_that_breaks_off_leaves_the_checkpoint_before(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = save(tmp_path, checkpoint)

    def full_disk(_content: object, file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, replace(checkpoint, step=8))
    assert list((tmp_path / "checkpoints").iterdir()) == [before]


def test_a_process_killed_while_writing_leaves_no_checkpoint(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_content: object, file: BinaryIO) -> None:
        file.write(b"half")
        file.flush()
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
    clear_leftovers(tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_weights_that_are_no_numbers_are_not_saved(checkpoint: Checkpoint, tmp_path: Path) -> None:
    before = save(tmp_path, checkpoint)
    checkpoint.states["discriminator"]["layers.0.bias"][0] = torch.nan
    with pytest.raises(FramekitError, match="discriminator are no finite numbers"):
        save(tmp_path, replace(checkpoint, step=8))
    assert latest(tmp_path) == before


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"format": checkpoints.FORMAT, "step": Trap(tmp_path / "ran")}, tmp_path / "trap.pt")
    for loader in (load, load_generator):
        with pytest.raises(FramekitError, match=r"trap\.pt: cannot be read .*holds code"):
            loader(tmp_path / "trap.pt")
    assert not (tmp_path / "ran").exists()


EMPTY = {
    "format": checkpoints.FORMAT,
    "step": 1,
    "options": {},
    "digests": {},
    "states": {"generator": {}},
    "statistics": {},
}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "not a checkpoint of cartoongan"),
        ({"weight": torch.zeros(2)}, "not a checkpoint of cartoongan"),
        (
            {"format": checkpoints.FORMAT, "options": {}, "states": {}, "digests": {}, "statistics": {}},
            "damaged checkpoint: no step",
        ),
        (EMPTY | {"step": -1}, "damaged checkpoint: no step"),
        (EMPTY | {"step": True}, "damaged checkpoint: no step"),
        (EMPTY | {"states": {"generator": 5}}, "damaged checkpoint: no .*generator"),
        (EMPTY | {"options": {"norm": "x"}}, "options of another version"),
        (EMPTY | {"states": {"generator": {"out.0.bias": 5}}}, "weights do not fit"),
        (EMPTY | {"options": {"base_channels": 1024, "residual_blocks": 64}}, "weights do not fit"),
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


def test_the_export_says_what_it_is_and_no_more(finished: RunSummary) -> None:
    with safe_open(finished.generator, "pt") as file:
        options = json.loads(file.metadata()["options"])
    assert options == GeneratorOptions(base_channels=4, residual_blocks=1).model_dump()


def test_files_may_be_read_by_whom_the_umask_lets(finished: RunSummary) -> None:
    finished.run.joinpath("plain").touch()
    modes = {path.stat().st_mode for path in finished.run.iterdir() if path.is_file()}
    finished.run.joinpath("plain").unlink()
    assert len(modes) == 1 and finished.checkpoint.stat().st_mode in modes


def test_a_claim_of_size_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = {"options": '{"base_channels": 1024, "residual_blocks": 64}'}
    save_file({}, tmp_path / "huge.safetensors", metadata=metadata)
    torch.save(EMPTY | {"options": json.loads(metadata["options"])}, tmp_path / "huge.pt")

    def weightless(options: GeneratorOptions) -> Generator:
        assert torch.empty(0).device.type == "meta"
        return Generator(options)

    monkeypatch.setattr(checkpoints, "Generator", weightless)
    for name in ("huge.safetensors", "huge.pt"):
        with pytest.raises(FramekitError, match="do not fit"):
            load_generator(tmp_path / name)


def altered(checkpoint: Checkpoint, folder: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> Path:
    weights = dict(checkpoint.states["generator"])
    weights["out.0.weight"] = change(weights["out.0.weight"])
    content = EMPTY | {"options": {"base_channels": 4, "residual_blocks": 1}}
    torch.save(content | {"states": {"generator": weights}}, folder / "altered.pt")
    return folder / "altered.pt"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weight: weight.to(torch.complex64), "do not fit"),
        (lambda weight: weight.to(torch.int32), "do not fit"),
        (lambda weight: weight[:, :1], "do not fit"),
        (lambda weight: weight[:1, :1, :1, :1].expand_as(weight), "do not fit"),  # large in memory only
        (lambda weight: weight.to_sparse(), "do not fit"),
        (lambda weight: weight * torch.nan, "no finite numbers"),
    ],
)
def test_weights_of_another_kind_are_refused(
    change: Callable[[torch.Tensor], torch.Tensor], words: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    load_generator(altered(checkpoint, tmp_path, lambda weight: weight))
    with pytest.raises(FramekitError, match=words):
        load_generator(altered(checkpoint, tmp_path, change))


def test_a_compressed_checkpoint_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(save(tmp_path, checkpoint)) as source,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in source.namelist():
            bomb.writestr(name, source.read(name))
        bomb.writestr("archive/data/more", bytes(10**6))
    with pytest.raises(FramekitError, match="cannot be read"):
        load(tmp_path / "bomb.pt")


def test_reading_a_foreign_file_says_nothing_of_its_own(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/version", b"3\n")
        archive.writestr("script/constants.pkl", b"")
        archive.writestr("script/data.pkl", b"")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(FramekitError, match="cannot be read"):
            load(tmp_path / "script.pt")
    assert not said


def test_a_deep_nest_is_refused(tmp_path: Path) -> None:
    save_file({}, tmp_path / "deep.safetensors", metadata={"options": "[" * 100_000})
    with pytest.raises(FramekitError, match="not a generator"):
        load_generator(tmp_path / "deep.safetensors")


@pytest.mark.parametrize("metadata", [None, {"options": "{"}, {"options": '{"base_channels": 3}'}])
def test_other_safetensors_are_refused(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors", metadata=metadata)
    with pytest.raises(FramekitError, match=r"other\.safetensors: (not a generator|options of another)"):
        load_generator(tmp_path / "other.safetensors")
