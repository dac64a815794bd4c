"""Where the sources of a dataset lie now: its papers tell their paths, and know them by fingerprints."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from framekit.errors import printable
from framekit.files import fingerprint_of
from framekit.manifest.schema import SourceInfo
from framekit.storage.paths import is_address, is_remote, path_of


def places_of(source: SourceInfo, root: Path, elsewhere: Path | None = None) -> list[Path]:
    """Where a source may lie: at its address, or at its path from here or from the dataset's own folder.

    Args:
        source: A film or an image folder.
        root: The dataset's folder.
        elsewhere: A folder to look through first for something of that name.
    """
    named = [] if elsewhere is None else sorted(_named(Path(source.path).name, elsewhere))
    if is_address(source.path):
        return [*named, path_of(source.path)]
    folders = [Path.cwd()] if is_remote(root) else [Path.cwd(), root.resolve().parent]
    return list(dict.fromkeys([*named, *(_shown_as(folder / source.path) for folder in folders)]))


def film_among(places: Iterable[Path], source: SourceInfo) -> Path | None:
    """The first of these places at which the very film lies; None where it lies at none."""
    return next((place for place in places if place.is_file() and _is(place, source)), None)


def _is(place: Path, source: SourceInfo) -> bool:
    try:
        return fingerprint_of(place) == source.fingerprint
    except OSError:
        return False


def _shown_as(path: Path) -> Path:
    """What the papers call `path`: names with line breaks or broken UTF-8 stand there as they are shown."""
    here = Path(path.anchor)
    for part in path.parts[len(here.parts) :]:
        if "\\" in part and not os.path.lexists(here / part):
            part = next((name for name in _names_in(here) if printable(name) == part), part)  # noqa: PLW2901
        here /= part
    return here


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except (OSError, ValueError):
        return []


def _named(name: str, folder: Path) -> Iterator[Path]:
    return (path for path in (folder, *folder.rglob("*")) if name and printable(path.name) == name)
