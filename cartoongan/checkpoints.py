"""Checkpoints: all that a resume needs, whole or not at all. And the generator alone, for use.

Files hold tensors, numbers and text; nothing in them is ever run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cartoongan.networks import Generator
from cartoongan.options import TrainOptions
from framekit.errors import FramekitError, printable
from framekit.files import whole_file
from framekit.terminal.flags import validated

FORMAT = "cartoongan checkpoint 1"
KEPT = 3
"""Newest checkpoints that a run keeps."""
FOLDER, EXPORT = "checkpoints", "generator.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A run at one moment.

    Attributes:
        step: Steps done.
        options: What it was trained with.
        digests: Of `cartoons`, `photos` and `features`.
        states: From `steps.Training.states`.
    """

    step: int
    options: TrainOptions
    digests: dict[str, str]
    states: dict[str, Any]


def save(run: Path, checkpoint: Checkpoint) -> Path:
    """Write `checkpoint` into folder `run`, and remove all but the newest few.

    Raises:
        FramekitError: A weight is no finite number; the checkpoints before stay.
    """
    for name in ("generator", "discriminator"):
        if not all(value.isfinite().all() for value in checkpoint.states[name].values()):
            raise FramekitError(f"weights of the {name} are no finite numbers", advice="use a lower --lr")
    folder = run / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{checkpoint.step:06}.pt"
    content = {
        "format": FORMAT,
        "step": checkpoint.step,
        "options": public(checkpoint.options),
        "digests": checkpoint.digests,
        "states": checkpoint.states,
    }
    with whole_file(path) as temporary:
        torch.save(content, temporary)
    for old in _all(run)[:-KEPT]:
        old.unlink()
    return path


def latest(run: Path) -> Path | None:
    """The newest checkpoint of the run in folder `run`."""
    return next(reversed(_all(run)), None)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU.

    Raises:
        FramekitError: It is not there, damaged, of another version, or holds more than weights.
    """
    content = _read(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FramekitError("not a checkpoint of cartoongan train", where=path)
    kinds = {"step": int, "options": dict, "digests": dict, "states": dict}
    if wrong := [name for name, kind in kinds.items() if not isinstance(content.get(name), kind)]:
        raise FramekitError(f"damaged checkpoint: no {', '.join(wrong)}", where=path)
    options = _options(content["options"], path)
    return Checkpoint(content["step"], options, content["digests"], content["states"])


def clear_leftovers(run: Path) -> None:
    """Remove half-written files that a killed run left."""
    for path in (run / FOLDER).glob(".step-*.pt.*.tmp"):
        path.unlink(missing_ok=True)


def export_generator(path: Path, generator: Generator, options: TrainOptions) -> None:
    """Write the generator alone as .safetensors, with its options as metadata."""
    from safetensors.torch import save_file

    weights = {name: value.detach().cpu().contiguous() for name, value in generator.state_dict().items()}
    # One entry only: safetensors writes several in any order, and the file would differ from run to run.
    metadata = {"options": json.dumps(public(options), sort_keys=True)}
    with whole_file(path) as temporary:
        save_file(weights, temporary, metadata=metadata)


def load_generator(path: str | Path) -> Generator:
    """The generator of a run folder (its newest checkpoint), a checkpoint or a .safetensors file, for use.

    Raises:
        FramekitError: There is none, or it is no generator of cartoongan.
    """
    path = _model_file(Path(path))
    if path.suffix == ".safetensors":
        options, weights = _read_export(path)
    else:
        checkpoint = load(path)
        options, weights = checkpoint.options, checkpoint.states.get("generator", {})
    generator = Generator(options.base_channels, options.residual_blocks)
    try:
        generator.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise FramekitError("damaged: its weights do not fit its options", where=path) from error
    return generator.eval().requires_grad_(False)


def public(options: TrainOptions) -> dict[str, Any]:
    """Options as plain values, without places on this machine."""
    return options.model_dump(mode="json", exclude={"vgg_weights"})


def _all(run: Path) -> list[Path]:
    found = [(re.fullmatch(r"step-(\d+)\.pt", path.name), path) for path in (run / FOLDER).glob("step-*.pt")]
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]


def _model_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = latest(path) or path / EXPORT
    if not found.is_file():
        raise FramekitError("no checkpoint here", where=path, advice="train one with: cartoongan train")
    return found


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FramekitError("no such file", where=path)
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a stranger's file can fail in any way
        reason = "damaged, not a checkpoint, or one that holds code"
        raise FramekitError(f"cannot be read ({reason}: {type(error).__name__})", where=path) from error


def _read_export(path: Path) -> tuple[TrainOptions, Mapping[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FramekitError("no such file", where=path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        options = json.loads(metadata["options"])
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise FramekitError("not a generator of cartoongan", where=path) from error
    return _options(options, path), weights


def _options(values: Any, path: Path) -> TrainOptions:
    try:
        return validated(TrainOptions, values)
    except FramekitError as error:
        raise FramekitError(f"options of another version ({printable(error.what)})", where=path) from error
