"""Exports do what the run does: ONNX, safetensors, the hub's folder, torch.hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cartoongan import checkpoints, exporting
from cartoongan.checkpoints import load_generator
from cartoongan.exporting import export
from cartoongan.networks import Generator
from cartoongan.options import GeneratorOptions, StylizeOptions
from cartoongan.stylize import load
from cartoongan.trainer import RunSummary
from framekit.errors import CommandError, FramekitError

ROOT = Path(__file__).parents[2]


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def saved(path: Path, **more: Any) -> Generator:
    generator = Generator(GeneratorOptions(base_channels=4, residual_blocks=1, **more)).eval()
    checkpoints.write_weights(path, generator.state_dict(), generator.options)
    return generator.requires_grad_(False)


@pytest.mark.parametrize("norm", ["batch", "instance", "instance-affine", "layer"])
@pytest.mark.parametrize(
    "more",
    [{}, {"padding": "reflect", "generator": "light"}, {"upsampling": "resize"}],
    ids=["plain", "light", "resize"],
)
def test_onnx_gives_what_pytorch_gives_at_any_size(norm: str, more: dict[str, str], tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    generator = saved(tmp_path / "g.safetensors", norm=norm, **more)
    done = export(tmp_path / "g.safetensors", tmp_path / "g.onnx")
    assert done.difference is not None and done.difference < 1e-3
    session = ort.InferenceSession(tmp_path / "g.onnx")
    for shape in ((1, 3, 16, 16), (3, 3, 20, 84)):
        made = session.run(None, {"photos": noise(*shape).numpy()})[0]
        assert np.abs(made - generator(noise(*shape)).numpy()).max() < 1e-3


def test_stylizing_by_an_onnx_file_is_stylizing_by_the_run(finished: RunSummary, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    export(finished.run, tmp_path / "model.onnx")
    photo = np.random.default_rng(0).integers(0, 256, (50, 61, 3), dtype=np.uint8)
    by_onnx, by_torch = load(tmp_path / "model.onnx"), load(finished.run, StylizeOptions(device="cpu"))
    assert np.abs(by_onnx(photo).astype(int) - by_torch(photo)).max() <= 1
    assert by_onnx._reach == by_torch._reach
    with pytest.raises(CommandError, match="not for ONNX"):
        load(tmp_path / "model.onnx", StylizeOptions(precision="bf16"))


def test_an_onnx_file_that_differs_is_not_written(
    finished: RunSummary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "TOLERANCE", -1)
    with pytest.raises(FramekitError, match="differ"):
        export(finished.run, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07"])
def test_what_is_no_onnx_model_is_refused(content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(FramekitError, match=r"bad\.onnx: not a"):
        load(tmp_path / "bad.onnx")
    with pytest.raises(FramekitError, match="No such file"):
        load(tmp_path / "none.onnx")


def one_node(place: Path, node: str, kind: str) -> Path:
    """An ONNX model of pictures that is one node, with outputs of a kind."""
    onnx = pytest.importorskip("onnx")
    shape = ["n", 3, "h", "w"]
    takes = onnx.helper.make_tensor_value_info("photos", onnx.TensorProto.FLOAT, shape)
    gives = onnx.helper.make_tensor_value_info("made", getattr(onnx.TensorProto, kind), shape)
    more = {"to": getattr(onnx.TensorProto, kind)} if node == "Cast" else {}
    nodes = [onnx.helper.make_node(node, ["photos"], ["made"], **more)]
    graph = onnx.helper.make_graph(nodes, "one", [takes], [gives])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), place)
    return place


@pytest.mark.parametrize("kind", ["STRING", "DOUBLE", "INT64"])
def test_a_model_that_gives_no_floats_is_refused(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(FramekitError, match="not a model of pictures"):
        load(one_node(tmp_path / "model.onnx", "Cast", kind))


def test_what_is_no_number_is_no_picture(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    stylizer = load(one_node(tmp_path / "model.onnx", "Log", "FLOAT"))
    with pytest.raises(FramekitError, match="no finite numbers"):
        stylizer(np.zeros((8, 8, 3), np.uint8))


def test_safetensors_are_the_runs_own(finished: RunSummary, tmp_path: Path) -> None:
    export(finished.run, tmp_path / "out" / "g.safetensors")
    assert (tmp_path / "out" / "g.safetensors").read_bytes() == finished.generator.read_bytes()


def test_the_hubs_folder_loads_and_tells_of_the_run(finished: RunSummary, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    from cartoongan.hub import HubGenerator

    export(finished.run, tmp_path / "model")
    loaded = HubGenerator.from_pretrained(tmp_path / "model").eval()
    photos = noise(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(loaded(photos), load_generator(finished.run)(photos))
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    digests = json.loads((finished.run / "run.json").read_text(encoding="utf-8"))["digests"]
    assert digests["photos"] in card and "## Licence" in card and "from_pretrained" in card
    assert "generator.safetensors" not in card
    loaded.save_pretrained(tmp_path / "again")
    again = HubGenerator.from_pretrained(tmp_path / "again").eval()
    with torch.no_grad():
        assert torch.equal(again(photos), loaded(photos))


def test_pickles_are_not_looked_for(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    from cartoongan.hub import HubGenerator

    (tmp_path / "config.json").write_text("{}")
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(FramekitError, match=r"no model\.safetensors"):
        HubGenerator.from_pretrained(tmp_path)


def test_weights_alone_get_a_card_that_says_what_is_missing(tmp_path: Path) -> None:
    saved(tmp_path / "g.safetensors")
    export(tmp_path / "g.safetensors", tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "say it here" in card and "## Licence" in card


def test_a_checkpoint_on_the_way_is_not_said_to_be_the_end(finished: RunSummary, tmp_path: Path) -> None:
    first = min((finished.run / "checkpoints").glob("step-*.pt"))
    export(first, tmp_path / "hub")
    card = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    assert "for 6 steps" not in card
    assert "Licence" in card
    export(finished.run, tmp_path / "end")
    card = (tmp_path / "end" / "README.md").read_text(encoding="utf-8")
    assert "for 6 steps" in card
    assert "curves.html" not in card


def test_a_card_that_is_no_text_costs_no_export(finished: RunSummary, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.run, run)
    (run / "README.md").write_bytes(b"\xff\xfe card")
    export(run, tmp_path / "hub")
    assert sorted(path.name for path in (tmp_path / "hub").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


def test_torch_hub_finds_it(finished: RunSummary) -> None:
    made = torch.hub.load(str(ROOT), "cartoongan", source="local", weights=str(finished.generator))
    photos = noise(1, 3, 8, 8)
    assert torch.equal(made(photos), load_generator(finished.generator)(photos))


def test_files_are_kept_and_endings_known(finished: RunSummary, tmp_path: Path) -> None:
    (tmp_path / "g.safetensors").write_text("mine")
    with pytest.raises(CommandError, match="is there already"):
        export(finished.run, tmp_path / "g.safetensors")
    with pytest.raises(CommandError, match=r"no kind of export: \.pth"):
        export(finished.run, tmp_path / "g.pth")
    with pytest.raises(CommandError, match="over itself"):
        export(finished.generator, finished.generator, overwrite=True)
    export(finished.run, tmp_path / "g.safetensors", overwrite=True)
    assert load_generator(tmp_path / "g.safetensors")
