"""Checkpoints: all that a resume needs, whole or not at all. And the generator alone, for use.

Files hold tensors, numbers and text; nothing in them is ever run.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from cartoongan.networks import Generator
from cartoongan.options import GeneratorOptions, TrainOptions
from cartoongan.tensors import load_tensors
from framekit.errors import FramekitError, printable
from framekit.files import whole_file
from framekit.validating import validated

FORMAT = "cartoongan checkpoint 3"
FOLDER, EXPORT = "checkpoints", "generator.safetensors"

Options = TypeVar("Options", bound=GeneratorOptions)


@dataclass(frozen=True)
class Checkpoint:
    """A run at one moment.

    Attributes:
        step: Steps done.
        options: What it was trained with.
        digests: Of `cartoons`, `photos` and `features`.
        states: From `steps.Training.states`: what a resume goes on with.
        statistics: From `steps.Training.statistics`: what the generator is used with.
    """

    step: int
    options: TrainOptions
    digests: dict[str, str]
    states: dict[str, Any]
    statistics: dict[str, Tensor]

    @property
    def generator(self) -> dict[str, Tensor]:
        """Weights of the generator, for use: their moving average where there is one."""
        return {**self.states.get("average", self.states["generator"]), **self.statistics}


def save(run: Path, checkpoint: Checkpoint) -> Path:
    """Write `checkpoint` into folder `run`.

    Raises:
        FramekitError: A weight is no finite number; the checkpoints before stay.
    """
    parts = {"generator": checkpoint.generator, "discriminator": checkpoint.states["discriminator"]}
    for name, weights in parts.items():
        if not _finite(weights):
            advice = "begin again in another --out with a lower --lr"
            raise FramekitError(f"weights of the {name} are no finite numbers", advice=advice)
    path = path_of(run, checkpoint.step)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "format": FORMAT,
        "step": checkpoint.step,
        "options": checkpoint.options.fixed(),
        "digests": checkpoint.digests,
        "states": checkpoint.states,
        "statistics": checkpoint.statistics,
    }
    content = _one_of_each(content)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)  # given a path it would write the path's name into the file
    return path


def _one_of_each(value: Any) -> Any:
    """The same with equal texts being one: pickle writes a text again that is equal and another."""
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        return {_one_of_each(key): _one_of_each(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_one_of_each, value))
    return value


def prune(run: Path, *, last: int, best: int, scores: Mapping[int, float]) -> None:
    """Remove checkpoints of folder `run`, all but the `last` newest and the `best` of lowest score.

    Args:
        run: The run's folder.
        last: How many of the newest to keep, at least 1.
        best: How many of the best to keep beside them.
        scores: By step; those without one are no best.
    """
    there = _all(run)
    kept = {*list(there)[-last:], *ranked(run, scores)[:best]}
    for step, path in there.items():
        if step not in kept:
            path.unlink()


def ranked(run: Path, scores: Mapping[int, float]) -> list[int]:
    """Steps of the checkpoints in folder `run` that have a score, best first."""
    return sorted((step for step in _all(run) if step in scores), key=lambda step: (scores[step], step))


def latest(run: Path) -> Path | None:
    """The newest checkpoint of the run in folder `run`."""
    return next(reversed(_all(run).values()), None)


def path_of(run: Path, step: int) -> Path:
    """Where the checkpoint of a run after `step` steps is."""
    return run / FOLDER / f"step-{step:06}.pt"


def load(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU.

    Raises:
        FramekitError: It is not there, damaged, of another version, or holds more than weights.
    """
    content = _read(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FramekitError("not a checkpoint of cartoongan train", where=path)
    kinds = {"step": int, "options": dict, "digests": dict, "states": dict, "statistics": dict}
    wrong = [name for name, kind in kinds.items() if type(content.get(name)) is not kind]
    states = {} if wrong else content["states"]
    networks = states.get("generator"), states.get("average", {})
    if wrong or content["step"] < 0 or not all(isinstance(weights, dict) for weights in networks):
        raise FramekitError(f"damaged checkpoint: no {', '.join(wrong) or 'step or generator'}", where=path)
    options = _options(TrainOptions, content["options"], path)
    return Checkpoint(content["step"], options, content["digests"], content["states"], content["statistics"])


def export_generator(path: Path, checkpoint: Checkpoint) -> None:
    """Write the generator alone as .safetensors; as metadata what it is, not how it was trained."""
    write_weights(path, checkpoint.generator, checkpoint.options)


def write_weights(path: Path, weights: Mapping[str, Tensor], options: GeneratorOptions) -> None:
    """Write a generator's weights as .safetensors, with the options that it is built by."""
    from safetensors.torch import save as serialised

    weights = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    kept = options.model_dump(include=set(GeneratorOptions.model_fields))
    # One entry only: safetensors writes several in any order, and the file would differ from run to run.
    content = serialised(dict(weights), metadata={"options": json.dumps(kept, sort_keys=True)})
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def load_generator(path: str | Path) -> Generator:
    """The generator of a run folder (its newest checkpoint), a checkpoint or a .safetensors file, for use.

    Raises:
        FramekitError: There is none, or it is no generator of cartoongan.
    """
    path = model_file(Path(path))
    options: GeneratorOptions
    weights: Mapping[str, Any]
    if path.suffix.lower() == ".safetensors":
        options, weights = _read_export(path)
    else:
        checkpoint = load(path)
        options, weights = checkpoint.options, checkpoint.generator
    with torch.device("meta"):  # takes no memory, whatever size a stranger's file claims
        generator = Generator(options)
    wanted = generator.state_dict()
    if weights.keys() != wanted.keys() or not all(_fits(weights[name], wanted[name]) for name in wanted):
        raise FramekitError("damaged: its weights do not fit its options", where=path)
    if not _finite(weights):
        raise FramekitError("damaged: weights that are no finite numbers", where=path)
    generator.load_state_dict(weights, assign=True)
    return generator.eval().requires_grad_(False)


def _fits(value: Any, wanted: Tensor) -> bool:
    return (
        isinstance(value, Tensor)
        and (value.shape, value.dtype, value.layout) == (wanted.shape, wanted.dtype, wanted.layout)
        and value.device.type == "cpu"
        and value.is_contiguous()  # so that all of its bytes are in the file
    )


def _finite(weights: Mapping[str, Tensor]) -> bool:
    return all(bool(value.isfinite().all()) for value in weights.values())


def _all(run: Path) -> dict[int, Path]:
    """Checkpoints by step, ascending."""
    found = [(re.fullmatch(r"step-(\d+)\.pt", path.name), path) for path in (run / FOLDER).glob("step-*.pt")]
    return dict(sorted((int(match[1]), path) for match, path in found if match))


def model_file(path: Path) -> Path:
    """The file that a generator is read from: `path`, or the newest checkpoint of a run folder.

    Raises:
        FramekitError: The folder has none.
    """
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
        return load_tensors(path)
    except Exception as error:  # a stranger's file can fail in any way
        reason = "damaged, not a checkpoint, or one that holds code"
        raise FramekitError(f"cannot be read ({reason}: {type(error).__name__})", where=path) from error


def _read_export(path: Path) -> tuple[GeneratorOptions, Mapping[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FramekitError("no such file", where=path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        options = json.loads(metadata["options"])
    except (SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
        raise FramekitError("not a generator of cartoongan", where=path) from error
    return _options(GeneratorOptions, options, path), weights


def _options(kind: type[Options], values: Any, path: Path) -> Options:
    try:
        return validated(kind, values)
    except (FramekitError, RecursionError) as error:
        reason = printable(getattr(error, "what", "nested too deeply"))
        raise FramekitError(f"options of another version ({reason:.200})", where=path) from error
