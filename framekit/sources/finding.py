"""From what a user names (files, folders, globs) to films and image folders."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from framekit.errors import CommandError
from framekit.sources.stills import IMAGE_SUFFIXES

FILM_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *(
            "264",
            "265",
            "3gp",
            "asf",
            "avi",
            "divx",
            "f4v",
            "flv",
            "gif",
            "h264",
            "hevc",
            "ivf",
            "m2ts",
            "m4v",
        ),
        *(
            "mkv",
            "mov",
            "mp4",
            "mpeg",
            "mpg",
            "mts",
            "mxf",
            "ogv",
            "rm",
            "rmvb",
            "ts",
            "vob",
            "webm",
            "wmv",
            "y4m",
        ),
    )
)


@dataclass
class Found:
    """What a user's words stand for.

    Attributes:
        films: Film files, in the order found.
        stills: Folder → picture paths inside it, with forward slashes, sorted.
        left_out: Pictures that lie beside films, by folder: posters and covers, as a rule.
        ignored: Files in folders that are neither film nor picture.
    """

    films: list[Path] = field(default_factory=list)
    stills: dict[Path, list[str]] = field(default_factory=dict)
    left_out: dict[Path, int] = field(default_factory=dict)
    ignored: int = 0


def find_sources(words: Sequence[str]) -> Found:
    """Look up files, folders (searched through) and globs.

    A folder that holds films anywhere gives its films; a folder that holds pictures only is one source of
    stills. A file named outright is taken whatever its suffix.

    Raises:
        CommandError: Something isn't there, or a folder holds neither films nor pictures.
    """
    found = Found()
    for word in words:
        for path in _expand(word):
            if path.is_dir():
                _search(path, found)
            elif path.suffix.lower() in IMAGE_SUFFIXES:
                found.stills.setdefault(path.parent, []).append(path.name)
            else:
                found.films.append(path)
    found.films = list(dict.fromkeys(found.films))
    found.stills = {root: sorted(set(names)) for root, names in found.stills.items()}
    return found


def _expand(word: str) -> list[Path]:
    if Path(word).exists():
        return [Path(word)]
    matches = sorted(Path(match) for match in glob.glob(word, recursive=True))  # noqa: PTH207 - takes ** in a word
    if not matches:
        advice = "check the spelling; quote names with blanks or brackets"
        raise CommandError("no such file or folder", where=word, advice=advice)
    return matches


def _search(folder: Path, found: Found) -> None:
    films, pictures, others = [], [], 0
    for path in _files_below(folder):
        suffix = path.suffix.lower()
        if suffix in FILM_SUFFIXES:
            films.append(path)
        elif suffix in IMAGE_SUFFIXES:
            pictures.append(path.relative_to(folder).as_posix())
        else:
            others += 1
    if not films and not pictures:
        advice = "name a folder that holds films or pictures"
        raise CommandError("neither films nor pictures in this folder", where=folder, advice=advice)
    found.films += films
    found.ignored += others
    if films and pictures:
        found.left_out[folder] = len(pictures)
    elif pictures:
        found.stills.setdefault(folder, []).extend(pictures)


def _files_below(folder: Path) -> Iterator[Path]:
    """Every file below `folder` in a fixed order, without hidden ones; links to folders are not followed."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(here) / name
