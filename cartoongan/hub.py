"""The generator as the Hugging Face hub knows models: config.json and model.safetensors, never a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import PyTorchModelHubMixin

from cartoongan.networks import Generator
from cartoongan.options import GeneratorOptions
from framekit.errors import FramekitError


class HubGenerator(
    Generator, PyTorchModelHubMixin, library_name="cartoongan", tags=["cartoongan", "image-to-image"]
):
    """`Generator` with `from_pretrained`, `save_pretrained` and `push_to_hub`.

    Args:
        options: Fields of `GeneratorOptions`, as config.json holds them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(GeneratorOptions(**options))

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **more: Any) -> Any:
        """As the mixin does, with one line where a folder holds no weights."""
        if Path(model_id).is_dir() and not (Path(model_id) / "model.safetensors").is_file():
            raise FramekitError("no model.safetensors here", where=model_id)
        return super()._from_pretrained(model_id=model_id, **more)

    @classmethod
    def _load_as_pickle(cls, *_: Any, **__: Any) -> Any:
        """Where there are no safetensors the mixin would take a pickle."""
        raise FramekitError("weights are taken from model.safetensors only")
