"""A dataset's folder before a run: what stands there, whether it fits, and that nobody else works on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from framekit import __version__
from framekit.errors import CommandError
from framekit.files import UNFINISHED, remove_folder
from framekit.manifest.decisions import LockedError, locked
from framekit.manifest.reading import SPLIT, read_info
from framekit.manifest.schema import SCHEMA_VERSION, DatasetInfo
from framekit.options import ExtractOptions, Limits
from framekit.terminal.flags import flag_name
from framekit.validating import validated

LOCK = "extract.lock"
"""Held while shards are made; the file stays, the lock ends with its process."""


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Keep every other extraction away from the dataset in folder `out`, which is made if need be.

    Raises:
        LockedError: Another one is at work.
    """
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(locked(out, LOCK, patience=0))
        except LockedError:
            what = "another run is making shards of this dataset at this moment"
            advice = "wait until it is done, or end it, and run this command again"
            raise LockedError(what, where=out, advice=advice) from None
        yield


def check_out(out: Path, options: ExtractOptions, *, overwrite: bool = False) -> DatasetInfo:
    """The dataset that stands in folder `out`, or a new one's papers; nothing is written.

    Args:
        out: The dataset's folder.
        options: What is asked for.
        overwrite: With other options than the dataset's, new papers are given: it is to be made anew.

    Raises:
        CommandError: `out` holds something else, or a dataset with other options.
    """
    asked = options.model_dump(mode="json")
    new = DatasetInfo(schema_version=SCHEMA_VERSION, framekit_version=__version__, options=asked)
    if (out / "dataset.json").exists():
        info = read_info(out)
        other = _other_options(info, options)
        if other and not overwrite:
            _refuse(out, info, other, asked)
        return new.model_copy(update={"split": info.split}) if other else info
    if out.exists() and (not out.is_dir() or any(map(_is_something_else, out.iterdir()))):
        advice = "name a new folder for the dataset"
        raise CommandError("is there already and is no dataset", where=out, advice=advice)
    try:
        str(out).encode()
    except UnicodeEncodeError:
        raise CommandError("a dataset's folder needs a name in UTF-8", where=out) from None
    return new


def _is_something_else(path: Path) -> bool:
    """Whether a run that was killed before it wrote its first dataset.json would not have left this."""
    return path.suffix != ".lock" and not path.match(UNFINISHED)


def with_limits_of(info: DatasetInfo, options: ExtractOptions) -> ExtractOptions:
    """`options` with the dataset's limits where none are given: `framekit dedup` may have changed them."""
    given = options.model_fields_set
    kept = {
        name: info.options[name] for name in Limits.model_fields if name not in given and name in info.options
    }
    return validated(ExtractOptions, options.model_dump(mode="json") | kept)


def has_other_options(out: Path, options: ExtractOptions) -> bool:
    """Whether a dataset stands in folder `out` that was made with other options."""
    return (out / "dataset.json").exists() and bool(_other_options(read_info(out), options))


def clear_for_overwriting(out: Path) -> None:
    """Remove what follows from films and options; what persons decided stays.

    Shards go first: as long as dataset.json is there, it tells what they were made with.
    """
    for name in ("frames", "pairs"):
        if (out / name).is_dir():
            remove_folder(out / name)
    for name in (SPLIT, "scenes.parquet"):
        (out / name).unlink(missing_ok=True)


def _other_options(info: DatasetInfo, options: ExtractOptions) -> dict[str, object]:
    """Options that are not as the dataset's, by name, with the dataset's values."""
    made_with = ExtractOptions().model_dump(mode="json") | info.options
    asked = with_limits_of(info, options).model_dump(mode="json")
    return {name: made_with[name] for name in asked if made_with[name] != asked[name]}


def _refuse(out: Path, info: DatasetInfo, other: dict[str, object], asked: dict[str, object]) -> None:
    changes = ", ".join(f"{flag_name(name)} {value} → {asked[name]}" for name, value in other.items())
    shards = sum(shard.path.startswith("frames/") for shard in info.shards)
    what = f"this dataset was made with other options: {changes}"
    if set(other) <= set(Limits.model_fields):
        advice = "framekit dedup changes these without any film; or name a new folder by --out"
        raise CommandError(what, where=out, advice=advice)
    again = f"all that it holds, {shards:,} shards of {len(info.sources):,} sources, would be made again"
    advice = "give the same options to add to it, another --out to make a new one, or --overwrite"
    raise CommandError(f"{what}; {again}", where=out, advice=advice)
