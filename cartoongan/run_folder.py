"""A run's folder: its options, its log as one JSON line a step, TensorBoard, sample grids, summary."""

from __future__ import annotations

import itertools
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image
from torch import Tensor

from cartoongan import checkpoints
from cartoongan.curves import History, read_history
from cartoongan.networks import to_bytes, to_signed
from cartoongan.options import TrainOptions
from framekit.errors import FramekitError
from framekit.files import UNFINISHED, clear_unfinished, whole_file, write_text
from framekit.validating import validated

OPTIONS, LOG, SUMMARY, CARD = "options.json", "log.jsonl", "run.json", "README.md"
LOCK = ".lock"
ALONE = "epoch", "images_per_second", "memory_gb"
"""Numbers of a line of the log that stand alone."""
SCORE = "style", "content"
"""Parts of a score, of which a line has all or none."""
TENSORBOARD, SAMPLES = "tensorboard", "samples"
ANOTHER_OUT = "begin again in another --out"


def holds_run(run: Path) -> bool:
    """Whether a run was begun in folder `run`."""
    return (run / OPTIONS).exists() or checkpoints.latest(run) is not None


def foreign(run: Path) -> Path | None:
    """Something in folder `run` that a run which was killed at its start has not left there."""
    there = sorted(run.iterdir()) if run.is_dir() else []
    return next((path for path in there if path.name != LOCK and not path.match(UNFINISHED)), None)


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Keep others from training in folder `run` meanwhile.

    Raises:
        FramekitError: Another process does.
    """
    lock = FileLock(run / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FramekitError(
            "is being trained by another process", where=run, advice="wait or stop it"
        ) from None
    except (OSError, NotImplementedError):  # a file system without locks
        yield
        return
    try:
        yield
    finally:
        lock.release()


def write_options(run: Path, options: TrainOptions, digests: dict[str, str]) -> None:
    """Write `options.json`: options without places on this machine, and digests of data and features."""
    values = options.model_dump(mode="json", exclude={"vgg_weights"})
    _write_json(run / OPTIONS, values | {"digests": digests})


def read_options(run: Path) -> tuple[TrainOptions, dict[str, str]]:
    """What `write_options` wrote.

    Raises:
        FramekitError: It is damaged, or of another version.
    """
    path = run / OPTIONS
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        digests = {str(name): str(digest) for name, digest in values.pop("digests").items()}
        return validated(TrainOptions, values), digests
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, FramekitError) as error:
        raise FramekitError("damaged, or of another version", where=path, advice=ANOTHER_OUT) from error


def clear_leftovers(run: Path) -> None:
    """Remove half-written files that a killed run left."""
    for folder in (run, run / checkpoints.FOLDER, run / SAMPLES):
        clear_unfinished(folder)


def summarised_steps(run: Path) -> int | None:
    """Of how many steps `run.json` and the model card tell; None where one is missing or damaged."""
    try:
        steps = json.loads((run / SUMMARY).read_text(encoding="utf-8"))["steps"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return steps if isinstance(steps, int) and (run / CARD).is_file() else None


def write_summary(run: Path, summary: dict[str, Any]) -> None:
    """Write `run.json`."""
    _write_json(run / SUMMARY, summary)


def write_samples(run: Path, step: int, photos: Tensor, generated: Tensor) -> Path:
    """Write a grid as PNG: photos above, what the generator makes of them below.

    Args:
        run: The run's folder.
        step: Steps done.
        photos: (N, 3, P, P) uint8 RGB.
        generated: (N, 3, P, P) float RGB in [-1, 1].
    """
    rows = [np.concatenate(list(_as_images(part)), axis=1) for part in (to_signed(photos), generated)]
    path = run / SAMPLES / f"step-{step:06}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        Image.fromarray(np.concatenate(rows, axis=0)).save(temporary, format="PNG")
    return path


def last_samples(run: Path) -> Path | None:
    """The grid after most steps; None where there is none yet."""
    grids = {path: re.fullmatch(r"step-(\d+)", path.stem) for path in (run / SAMPLES).glob("step-*.png")}
    found = [(int(match[1]), path) for path, match in grids.items() if match]
    return max(found)[1] if found else None


class Log:
    """`log.jsonl` and TensorBoard; what an earlier run left there after step `since` is dropped.

    Args:
        run: The run's folder.
        since: Steps done before.

    Attributes:
        history: All that the log tells, this run's lines and earlier ones.
    """

    def __init__(self, run: Path, *, since: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path = run / LOG
        _cut(path, since)
        self.history = read_history(path) if path.exists() else History()
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._board = SummaryWriter(str(run / TENSORBOARD), purge_step=since + 1)

    def write(self, line: Mapping[str, Any]) -> None:
        """Note a step: `step` (from 1), `phase`, and numbers, alone or by name."""
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self.history.add(line)
        for part, values in line.items():
            if isinstance(values, Mapping):
                for name, value in values.items():
                    self._board.add_scalar(
                        f"{part}/{name}", math.inf if value is None else value, line["step"]
                    )
            elif part in ALONE:
                self._board.add_scalar(f"run/{part}", values, line["step"])

    def close(self) -> None:
        """Write what is left."""
        self._file.close()
        self._board.close()


def _cut(path: Path, since: int) -> None:
    """Keep the log's lines up to step `since`; a killed run may have left later ones, or half a line."""
    if not path.exists():
        path.unlink(missing_ok=True)  # a link that leads nowhere, which writing would follow
        return
    lines = [_parsed(line) for line in path.read_bytes().splitlines()]
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines if _is_sound(line, since)))


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_sound(line: Any, since: int) -> bool:
    """Whether it is a line that a run wrote, up to step `since`."""
    if not isinstance(line, dict) or type(line.get("step")) is not int or not 1 <= line["step"] <= since:
        return False
    if line.get("phase") not in ("init", "main") or {*line.get("score", SCORE)} != {*SCORE}:
        return False
    named = {name: value for name, value in line.items() if name not in ("step", "phase", *ALONE)}
    alone = [line[name] for name in ALONE if name in line]
    return all(isinstance(part, dict) for part in named.values()) and all(
        value is None or (type(value) in (int, float) and abs(value) <= sys.float_info.max)
        for value in itertools.chain(alone, *(part.values() for part in named.values()))
    )


def _as_images(pictures: Tensor) -> np.ndarray:
    return to_bytes(pictures).permute(0, 2, 3, 1).cpu().numpy()


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")
