"""What options leave to the machine is chosen, and said; what is not there is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cartoongan import devices
from cartoongan.devices import leads, make_fabric, process_count, resolved
from cartoongan.options import TrainOptions
from framekit.errors import CommandError


@pytest.fixture
def h100s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them, as torch would tell."""
    told = {
        "is_available": True,
        "device_count": 2,
        "get_device_name": "NVIDIA H100",
        "get_device_capability": (9, 0),
    }
    for name, value in told.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)


def words(**options: Any) -> str:
    return resolved(TrainOptions(**options)).words


def test_what_is_open_is_chosen_and_said_why() -> None:
    found = resolved(TrainOptions(device="cpu"))
    assert (found.options.device, found.options.channels_last, found.processes) == ("cpu", False, 1)
    assert found.options.precision in ("fp32", "bf16")
    assert "(auto: " in found.words and "channels first (auto)" in found.words


def test_what_is_given_is_taken() -> None:
    found = words(device="cpu", precision="bf16", channels_last=True, accumulate=2, compile=True)
    assert found.endswith("bf16, channels last, compiled, 2 parts a step")


def test_a_gpu_computes_in_what_it_has(h100s: None, monkeypatch: pytest.MonkeyPatch) -> None:
    there = "cuda (NVIDIA H100; 2 are here, --devices 2 takes all)"
    assert words() == f"{there}, bf16 (auto: this GPU has it), channels last (auto)"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert "fp16 (auto: this GPU has no bf16)" in words(devices=2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (6, 1))
    assert "fp32 (auto: this GPU has nothing shorter), channels first" in words()


def test_more_gpus_than_there_are_are_refused(h100s: None) -> None:
    with pytest.raises(CommandError, match="--devices 4: torch sees 2 GPUs here"):
        resolved(TrainOptions(devices=4))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"device": "cpu", "precision": "fp16"}, "--precision fp16 needs an NVIDIA GPU, not cpu"),
        ({"device": "mps"}, "--device mps: torch .* sees none here"),
        ({"device": "cpu", "devices": 3}, "--batch-size 8 cannot be shared by 3 devices"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        resolved(TrainOptions(**options))


def test_torchruns_number_of_processes_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert process_count(TrainOptions(devices=2)) == 2 and leads()
    for name, value in {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert process_count(TrainOptions()) == 1 and leads()  # somebody else's variables
    monkeypatch.setattr(devices, "started_by_torchrun", lambda: True)
    assert process_count(TrainOptions()) == 4 and not leads()


@pytest.mark.parametrize(("precision", "name"), [("fp32", "32-true"), ("bf16", "bf16-mixed")])
def test_fabric_computes_as_asked_for_and_says_nothing(
    precision: str, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    fabric = make_fabric(resolved(TrainOptions(device="cpu", precision=precision)).options)
    fabric.launch()
    assert (fabric.device, fabric.world_size) == (torch.device("cpu"), 1)
    assert fabric.strategy.precision.precision == name
    assert capfd.readouterr() == ("", "")
