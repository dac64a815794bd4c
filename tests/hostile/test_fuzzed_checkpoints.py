"""Models of strangers: nothing in them is run or unpacks to more than it is; each is refused in a line."""

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from cartoongan import checkpoints
from cartoongan.checkpoints import load_generator, write_weights
from cartoongan.cli import main
from cartoongan.features import load_features
from cartoongan.networks import Generator
from cartoongan.options import GeneratorOptions, TrainOptions
from cartoongan.run_folder import Log, last_samples, read_options, summarised_steps
from cartoongan.stylize import load
from framekit.errors import FramekitError
from tests.hostile import children
from tests.hostile.spoiling import spoilt
from tests.hostile.uses import assert_is_a_line
from tests.traps import Trap

SMALL = GeneratorOptions(base_channels=4, residual_blocks=1)
EMPTY: dict[str, Any] = {
    "format": checkpoints.FORMAT,
    "step": 1,
    "options": {},
    "digests": {},
    "states": {"generator": {}},
    "statistics": {},
}
SEEDS = range(40)


def features_of(path: Path) -> object:
    return load_features(TrainOptions(vgg_weights=path))


def assert_refused(path: Path) -> None:
    """As a model and as weights of VGG19."""
    for reader in (load, features_of):
        with pytest.raises(FramekitError) as error:
            reader(path)
        assert_is_a_line(str(error.value))


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        return Generator(SMALL).state_dict()


@pytest.fixture(scope="module")
def model(weights, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    write_weights(path, weights, SMALL)
    return path


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.safetensors", "m.onnx", "m.npz"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_in_place_of_a_model_is_never_opened(name, protocol, tmp_path):
    (tmp_path / name).write_bytes(pickle.dumps(Trap(tmp_path / "ran"), protocol))
    assert_refused(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_code_among_weights_is_not_run(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1), "trap": Trap(tmp_path / "ran")}, tmp_path / "w.pth")
    arrays = {"features.0.weight": np.array([Trap(tmp_path / "ran")], object)}
    np.savez(tmp_path / "w.npz", allow_pickle=True, **arrays)
    for name in ("w.pth", "w.npz"):
        assert_refused(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_command_given_a_pickle_says_so_and_runs_nothing(tmp_path):
    (tmp_path / "m.pt").write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    (tmp_path / "photo.png").write_bytes(b"")
    words = (tmp_path / "m.pt", tmp_path / "photo.png", "--out", tmp_path / "out", "--device", "cpu")
    ended = children.run_here(main, "stylize", *words, codes=[1, 2])
    assert ended.stderr.count("\n") == 1 and "m.pt: cannot be read" in ended.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["bomb.pt", "bomb.pth"])
def test_weights_that_would_unpack_to_more_than_the_file_are_refused_before(name, tmp_path):
    saved = io.BytesIO()
    torch.save({"features.0.weight": torch.zeros(1)}, saved)
    with (
        zipfile.ZipFile(saved) as source,
        zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for entry in source.namelist():
            large = entry.endswith("data/0")
            bomb.writestr(entry, bytes(64 << 20) if large else source.read(entry))
    for reader in (load, features_of):
        with pytest.raises(FramekitError, match="ValueError"):
            reader(tmp_path / name)


def test_names_in_an_archive_lead_nowhere(tmp_path):
    (tmp_path / "in").mkdir()
    saved = io.BytesIO()
    torch.save(EMPTY, saved)
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(tmp_path / "in" / "m.pt", "w") as archive:
        for entry in source.namelist():
            archive.writestr(f"../{entry}", source.read(entry))
        archive.writestr("../evil", "x")
        archive.writestr(f"{tmp_path}/evil", "x")
    assert_refused(tmp_path / "in" / "m.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def shared_lists(depth: int) -> Any:
    """A hundred bytes of a pickle that are 10**depth texts when written out."""
    found: Any = "ha"
    for _ in range(depth):
        found = [found] * 10
    return found


@pytest.mark.parametrize("name", ["norm", "lr", "base_channels", "adversarial", "preset"])
def test_options_without_end_are_told_in_a_few_words(name, tmp_path):
    torch.save(EMPTY | {"options": {name: shared_lists(12)}}, tmp_path / "laughs.pt")
    with pytest.raises(FramekitError, match="options of another version"):
        load_generator(tmp_path / "laughs.pt")


@pytest.mark.parametrize(
    "changes",
    [
        {"options": {3: 1}},
        {"options": {("a",): 1}},
        {"options": {"lr": torch.zeros(1000)}},
        {"options": {"base_channels": 2**4000}},
        {"options": {"x" * 100_000: 1}},
        {"states": {"generator": {3: torch.zeros(1)}}},
        {"states": {"generator": {}, "average": {None: 1}}},
        {"statistics": {("a", 1): torch.zeros(1)}},
        {"step": 2**4000},
        {"step": float("nan")},
        {"digests": {"cartoons": 5}},
    ],
    ids=str,
)
def test_a_checkpoint_of_odd_things_is_refused_in_a_line(changes, tmp_path):
    torch.save(EMPTY | changes, tmp_path / "odd.pt")
    assert_refused(tmp_path / "odd.pt")


def safetensors(header: Any, body: bytes = bytes(8), length: int | None = None) -> bytes:
    words = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(words) if length is None else length) + words + body


def tensor(
    kind: str = "F32", shape: tuple[int, ...] = (2,), place: tuple[int, int] = (0, 8)
) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": place}


def with_options(text: str) -> dict[str, Any]:
    return {"a": tensor(), "__metadata__": {"options": text}}


LIES = {
    "no header": b"",
    "a header without end": safetensors({"a": tensor()}, length=2**63),
    "a header of all memory": safetensors({"a": tensor()}, length=2**64 - 1),
    "a header longer than the file": safetensors({"a": tensor()}, length=2**20),
    "tensors over each other": safetensors({"a": tensor(), "b": tensor()}),
    "tensors with a gap": safetensors({"a": tensor(place=(4, 12))}, bytes(12)),
    "tensors behind the end": safetensors({"a": tensor(place=(0, 2**60))}),
    "an end before its start": safetensors({"a": tensor(place=(8, 0))}),
    "a shape without end": safetensors({"a": tensor(shape=(2**62, 2**62))}),
    "a shape below nothing": safetensors({"a": tensor(shape=(-2,))}),
    "an unknown kind": safetensors({"a": tensor("X1")}),
    "a kind of another size": safetensors({"a": tensor("F64")}),
    "a kind that torch has not": safetensors({"a": tensor("F4", (16,))}),
    "a deep nest": safetensors(b"[" * 100_000),
    "options that are none": safetensors(with_options("null")),
    "options of a number": safetensors(with_options("3")),
    "options of a list": safetensors(with_options("[1]")),
    "a number of many digits": safetensors(with_options(f'{{"base_channels": {"9" * 5000}}}')),
    "not-a-number": safetensors(with_options('{"base_channels": NaN}')),
    "a network of all memory": safetensors(with_options('{"base_channels": 1024, "residual_blocks": 64}')),
    "metadata of numbers": safetensors({"__metadata__": {"options": 3}}, b""),
}


@pytest.mark.parametrize("lie", LIES)
def test_safetensors_that_lie_are_refused_in_a_line(lie, tmp_path):
    path = tmp_path / "lies.safetensors"
    path.write_bytes(LIES[lie])
    assert_refused(path)


def test_a_spoilt_model_is_a_model_or_refused_in_a_line(model, weights, tmp_path):
    torch.save(EMPTY | {"options": SMALL.model_dump(), "states": {"generator": weights}}, tmp_path / "m.pt")
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "g", [image("a")], [image("b")])
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    sound = {path.suffix: path.read_bytes() for path in (model, tmp_path / "m.pt", tmp_path / "m.onnx")}
    for suffix, data in sound.items():
        path = tmp_path / f"spoilt{suffix}"
        for found in spoilt(data, suffix, SEEDS):
            path.write_bytes(found)
            try:
                load(path)
            except FramekitError as error:
                assert_is_a_line(str(error))


def image(name: str, shape: tuple[Any, ...] = (1, 3, "h", "w")) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/hostname", "secret.bin", "in/../../secret.bin"])
def test_an_onnx_model_reads_no_other_files(place, tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    added = TensorProto(name="x", data_type=TensorProto.FLOAT, dims=[1])
    added.data_location = TensorProto.EXTERNAL
    added.external_data.add(key="location", value=place)
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "x"], ["b"])], "g", [image("a")], [image("b")], initializer=[added]
    )
    path = tmp_path / "in" / "m.onnx"
    path.parent.mkdir()
    path.write_bytes(helper.make_model(graph).SerializeToString())
    assert_refused(path)


RUN_FILES = {
    "nothing": b"",
    "no JSON": b"\xff{",
    "a deep nest": b"[" * 100_000,
    "a list": b"[]",
    "a number of many digits": b"9" * 5000,
    "null": b"null",
    "numbers": b'{"digests": 3, "steps": NaN, "step": 1e999}',
    "keys twice": b'{"digests": {}, "digests": [], "steps": {}, "step": []}',
    "controls": b'{"digests": {}, "norm": "\x1b[31m\\u202e"}',
    "half a letter": b'{"digests": {"a": "\\ud800"}, "norm": "\\ud800"}',
}


@pytest.mark.parametrize("content", RUN_FILES)
def test_the_papers_of_a_run_are_read_or_refused_in_a_line(content, tmp_path):
    for name in ("options.json", "log.jsonl", "run.json", "README.md"):
        (tmp_path / name).write_bytes(RUN_FILES[content])
    with pytest.raises(FramekitError) as error:
        read_options(tmp_path)
    assert_is_a_line(str(error.value))
    assert summarised_steps(tmp_path) is None
    log = Log(tmp_path, since=5)
    log.close()
    assert (tmp_path / "log.jsonl").read_bytes() == b""


@pytest.mark.parametrize("there", [True, False])
def test_a_log_that_is_a_link_is_not_followed(there, tmp_path):
    mine = tmp_path / "mine.jsonl"
    if there:
        mine.write_text("precious")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "log.jsonl").symlink_to(mine)
    log = Log(tmp_path / "in", since=0)
    log.write({"step": 1, "phase": "init", "loss": {"a": 1.0}})
    log.close()
    assert mine.exists() == there and (not there or mine.read_text() == "precious")
    assert (tmp_path / "in" / "log.jsonl").read_text().count("\n") == 1


def test_names_of_checkpoints_and_samples_are_not_believed(tmp_path):
    names = ["step-.pt", "step-１.pt", "step--1.pt", "step-1.pt.pt", "step-" + "9" * 200 + ".pt"]
    for folder, suffix in (("checkpoints", ".pt"), ("samples", ".png")):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name.replace(".pt", suffix)).write_bytes(b"no such thing")
    last_samples(tmp_path)
    with pytest.raises(FramekitError) as error:
        load(tmp_path)
    assert_is_a_line(str(error.value))
