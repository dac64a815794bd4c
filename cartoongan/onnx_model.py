"""A generator in an ONNX file, run by ONNX Runtime in place of PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cartoongan.options import GeneratorOptions
from framekit.errors import CommandError, FramekitError, reason_of
from framekit.validating import validated

OPTIONS = "cartoongan options"
"""Where our own files say what they are."""


class OnnxGenerator:
    """Takes and gives what `Generator` does.

    Args:
        path: A model with one input, (N, 3, H, W) float32 RGB in [-1, 1], and one output like it.

    Attributes:
        options: As the file says; the paper's where it says nothing.

    Raises:
        CommandError: ONNX Runtime is not here.
        FramekitError: There is no such file, or it holds no such model.
    """

    def __init__(self, path: Path) -> None:
        self._session = session_of(path)
        self._path = path
        takes, gives = self._session.get_inputs(), self._session.get_outputs()
        shapes = [value.shape for value in (*takes, *gives)]
        fits = len(takes) == len(gives) == 1 and all(len(s) == 4 and s[1] in (3, None) for s in shapes)
        if not fits or {takes[0].type, gives[0].type} != {"tensor(float)"}:
            raise FramekitError("not a model of pictures, (N, 3, H, W) float32 to the same", where=path)
        self._name = takes[0].name
        self.options = self._options()

    def to(self, *_: Any, **__: Any) -> OnnxGenerator:
        """Itself: it stays on the CPU."""
        return self

    def __call__(self, photos: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → the same shape and range."""
        try:
            made = self._session.run(None, {self._name: photos.contiguous().numpy()})[0]
        except Exception as error:  # whatever ONNX Runtime finds wrong with a stranger's model
            raise FramekitError(f"could not be run ({error!s:.200})", where=self._path) from error
        if made.shape != tuple(photos.shape):
            raise FramekitError(f"gives pictures of another size, {made.shape}", where=self._path)
        if not np.isfinite(made).all():
            raise FramekitError("gives values that are no finite numbers", where=self._path)
        return torch.from_numpy(made)

    def _options(self) -> GeneratorOptions:
        said = self._session.get_modelmeta().custom_metadata_map.get(OPTIONS)
        try:
            return validated(GeneratorOptions, json.loads(said)) if said else GeneratorOptions()
        except (FramekitError, ValueError, RecursionError) as error:
            raise FramekitError("options of another version", where=self._path) from error


def session_of(path: Path) -> Any:
    """ONNX Runtime's session of a file, on the CPU.

    Raises:
        CommandError: ONNX Runtime is not here.
        FramekitError: There is no such file, or it holds no model.
    """
    try:
        import onnxruntime
    except ImportError:
        advice = "pip install 'cartoon-framekit[export]'"
        raise CommandError("ONNX files need onnxruntime", where=path, advice=advice) from None
    onnxruntime.set_default_logger_severity(4)  # our own line says what is wrong
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        content = path.read_bytes()  # not the path: a file that names other files has no business here
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise FramekitError(reason_of(error), where=path) from error
    except Exception as error:  # whatever ONNX Runtime finds wrong with a stranger's model
        raise FramekitError("not an ONNX model that can be run here", where=path) from error
