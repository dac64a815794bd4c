"""How a stage is carried out: skipped when done, gone on with when interrupted, refused when it would clash.

What a stage was made with stands in a stamp, RUN/stages/<name>.json. Only what carries a stamp is ever
replaced or deleted: everything else in the run's folder is somebody's own.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from framekit.errors import CommandError, printable
from framekit.files import write_text
from framekit.terminal.commands import say

DISCARDED = ".discarded"


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
        name: Of the stage and its stamp.
        output: File or folder that it makes.
        made_with: Plain JSON values; when they differ from the stamp's the stage has to be made anew.
        make: Makes `output`, or goes on with what an earlier run left of it. Gives a line for each thing
            that failed while the rest was done.
        goal: Plain JSON values that may change without a new beginning: `make` then goes on.
        quick: It costs little, so it is made anew without asking when its options or inputs have changed.
    """

    name: str
    output: Path
    made_with: dict[str, Any]
    make: Callable[[], list[str] | None]
    goal: dict[str, Any] = field(default_factory=dict)
    quick: bool = False


@dataclass
class Stamp:
    """What is known of a stage that was begun.

    Attributes:
        files: Size in bytes of every file in the output, by its path there; filled when done.
        problems: One line for each thing that failed while the rest was done.
    """

    made_with: dict[str, Any]
    goal: dict[str, Any]
    done: bool = False
    files: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def carry_out(stage: Stage, root: Path, *, overwrite: bool) -> list[str]:
    """Carry out a stage unless it is done.

    Args:
        stage: What to make, inside `root`.
        root: The run's folder.
        overwrite: When it was made with other options or inputs, delete that and make it anew.

    Returns:
        A line for each thing that failed while the rest was done, also when that was in an earlier run.

    Raises:
        CommandError: The output was made with other options and `overwrite` is off, or is not ours.
    """
    path = root / "stages" / f"{stage.name}.json"
    stamp = _read(path)
    now = Stamp(_plain(stage.made_with), _plain(stage.goal))
    if stamp is None:
        refuse_what_is_not_ours(stage.output)
    elif stamp.made_with != now.made_with:
        if not (overwrite or stage.quick):
            raise _stale(stage, stamp, now)
        if not stage.quick:
            say(f"── {stage.name}: options or inputs have changed; deleting {printable(stage.output)}")
        _discard(stage.output, root)
    elif stamp.done and stamp.goal == now.goal and stamp.files == _files(stage.output):
        say(f"── {stage.name}: done already")
        return stamp.problems
    say(f"── {stage.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, now)
    now.problems = stage.make() or []
    now.done, now.files = True, _files(stage.output)
    _write(path, now)
    return now.problems


def clear_discarded(root: Path) -> None:
    """Finish deleting what an interrupted run was deleting."""
    shutil.rmtree(root / DISCARDED, ignore_errors=True)


def stamped(name: str, root: Path) -> bool:
    """Whether stage `name` was begun in a run's folder."""
    return (root / "stages" / f"{name}.json").exists()


def is_done(name: str, root: Path, output: Path, made_with: dict[str, Any]) -> bool:
    """Whether stage `name` was done with these values among others, and its output is as it was left."""
    stamp = _read(root / "stages" / f"{name}.json")
    if stamp is None or not stamp.done or stamp.files != _files(output):
        return False
    return all(stamp.made_with.get(key) == value for key, value in _plain(made_with).items())


def refuse_what_is_not_ours(output: Path) -> None:
    """Raise CommandError where a stage that was never begun would write over something."""
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise CommandError(
            "is there already and was not made by this recipe",
            where=output,
            advice="choose a new folder for the run with --set out=FOLDER",
        )


def _discard(output: Path, root: Path) -> None:
    """Delete an output. It is moved away first, so that half of it is never taken for the whole."""
    if not output.exists():
        return
    bin_ = root / DISCARDED
    bin_.mkdir(exist_ok=True)
    output.rename(bin_ / f"{output.name}.{os.getpid()}")
    clear_discarded(root)


def _files(output: Path) -> dict[str, int]:
    if output.is_file():
        return {"": output.stat().st_size}
    files = sorted(path for path in output.rglob("*") if path.is_file())
    return {printable(path.relative_to(output).as_posix()): path.stat().st_size for path in files}


def _read(path: Path) -> Stamp | None:
    try:
        stamp = json.loads(path.read_text(encoding="utf-8"))
        problems = [str(problem) for problem in stamp["problems"]]
        return Stamp(stamp["made_with"], stamp["goal"], stamp["done"] is True, stamp["files"], problems)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CommandError("is no stamp of a stage", where=path, advice="use another out folder") from None


def _write(path: Path, stamp: Stamp) -> None:
    write_text(path, json.dumps(asdict(stamp), indent=2, sort_keys=True) + "\n")


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(value))
    return plain


def _stale(stage: Stage, before: Stamp, now: Stamp) -> CommandError:
    changes = ", ".join(_changes(before.made_with, now.made_with))
    return CommandError(
        f"made before with other options or inputs ({changes})",
        where=stage.output,
        advice="use --set out=FOLDER to make it elsewhere, or --overwrite to delete it, and what follows "
        "from it, and make that anew",
    )


def _changes(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new)
        elif old != new:
            short = all(isinstance(value, int | float | str | None) for value in (old, new))
            yield f"{name}: {printable(old)} → {printable(new)}" if short else name
