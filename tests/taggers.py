"""Small image taggers made for tests: ONNX models and lists of tags in the layout of the WD taggers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MODEL, TAGS = "model.onnx", "selected_tags.csv"
RATINGS = ("general", "sensitive")
COLOURS = {"1girl": (255, 0, 0), "tree": (0, 255, 0), "sky": (0, 0, 255)}
"""What `colour_tagger` knows: the tag of a picture that is mostly of this RGB colour."""


def write_tagger(
    folder: Path,
    tags: Sequence[str],
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    *,
    input_shape: Sequence[int | str],
    width: int | None = None,
) -> Path:
    """Write a tagger whose graph leads from `input` to `output` through `nodes`.

    Args:
        folder: Made where missing.
        tags: General tags; the list gets the ratings before them and the character `momotaro` after them, so
            that a tagger has `len(tags) + 3` outputs.
        nodes: Of the graph.
        constants: Their arrays, by name.
        input_shape: As the model says it, a name for a dimension that is open.
        width: Outputs that the model says it has, when not the truth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = width or len(tags) + 3
    graph = helper.make_graph(
        list(nodes),
        "tagger",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [None, places])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / MODEL)
    write_tags(folder, tags)
    return folder


def write_tags(folder: Path, tags: Sequence[str]) -> None:
    rows = [(name, 9) for name in RATINGS] + [(name, 0) for name in tags] + [("momotaro", 4)]
    lines = [f"{number},{name},{category},1000" for number, (name, category) in enumerate(rows)]
    (folder / TAGS).write_text("\n".join(["tag_id,name,category,count", *lines]) + "\n", encoding="utf-8")


def mirror_tagger(folder: Path, side: int, *, channels_first: bool = False) -> Path:
    """A tagger whose tags are the picture that the model was given: `2_5_0` is row 2, column 5, channel 0.

    Their probabilities are its values over 255.
    """
    shape = (3, side, side) if channels_first else (side, side, 3)
    places = np.ndindex(*shape)
    ordered = [(y, x, c) for c, y, x in places] if channels_first else list(places)
    pads = np.array([0, 2, 0, 1], np.int64)  # ratings before, the character after
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("Div", ["flat", "white"], ["values"]),
        helper.make_node("Pad", ["values", "pads"], ["output"]),
    ]
    constants = {"white": np.float32(255), "pads": pads}
    tags = ["_".join(map(str, place)) for place in ordered]
    return write_tagger(folder, tags, nodes, constants, input_shape=("batch", *shape))


def colour_tagger(folder: Path, side: int = 16) -> Path:
    """A tagger that tells red, green and blue pictures apart by their mean colour, as `COLOURS` says."""
    weights = np.zeros((3, len(COLOURS) + 3), np.float32)
    for place, colour in enumerate(COLOURS.values(), 2):
        weights[:, place] = (np.array(colour[::-1], np.float32) - 85) / 2550  # BGR, as taggers take it
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["scores"]),
        helper.make_node("Add", ["scores", "bias"], ["shifted"]),
        helper.make_node("Sigmoid", ["shifted"], ["output"]),
    ]
    constants = {"weights": weights, "bias": np.full(len(COLOURS) + 3, -5, np.float32)}
    return write_tagger(folder, list(COLOURS), nodes, constants, input_shape=("batch", side, side, 3))


def random_tagger(folder: Path, side: int = 32, tags: int = 200) -> Path:
    """A small convolutional network with random weights: arithmetic enough for rounding to show."""
    generator = np.random.default_rng(4)
    constants = {
        "kernels": generator.normal(0, 0.01, (64, 3, 5, 5)).astype(np.float32),
        "deeper": generator.normal(0, 0.05, (128, 64, 3, 3)).astype(np.float32),
        "weights": generator.normal(0, 0.01, (128, tags + 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Transpose", ["input"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernels"], ["first"], strides=[2, 2]),
        helper.make_node("Relu", ["first"], ["bent"]),
        helper.make_node("Conv", ["bent", "deeper"], ["second"], strides=[2, 2]),
        helper.make_node("ReduceMean", ["second"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["scores"]),
        helper.make_node("Sigmoid", ["scores"], ["output"]),
    ]
    names = [f"tag_{number}" for number in range(tags)]
    return write_tagger(folder, names, nodes, constants, input_shape=("batch", side, side, 3))
