"""From what a user names (files, folders, globs) to films and image folders."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from framekit.errors import CommandError, reason_of
from framekit.sources.stills import IMAGE_SUFFIXES
from framekit.storage.paths import WEB, RemotePath, is_remote, path_of

FILM_SUFFIXES = frozenset(
    ".264 .265 .3gp .asf .avi .divx .f4v .flv .gif .h264 .hevc .ivf .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg "
    ".mts .mxf .ogv .rm .rmvb .ts .vob .webm .wmv .y4m".split()
)


@dataclass
class Found:
    """What a user's words stand for.

    Attributes:
        films: Film files, in the order found.
        stills: Folder → picture paths inside it, with forward slashes, sorted.
        left_out: Pictures that lie beside films, by folder: posters and covers, as a rule.
        ignored: Files in folders, and matches of globs, that are neither film nor picture.
        empty: Folders that hold neither.
        closed: Folders that cannot be looked into, with the system's reason.
    """

    films: list[Path] = field(default_factory=list)
    stills: dict[Path, list[str]] = field(default_factory=dict)
    left_out: dict[Path, int] = field(default_factory=dict)
    ignored: int = 0
    empty: list[Path] = field(default_factory=list)
    closed: list[tuple[Path, OSError]] = field(default_factory=list)


def find_sources(words: Sequence[str]) -> Found:
    """Look up files, folders (searched through), globs, and addresses of these, as `s3://bucket/films`.

    A folder that holds films anywhere gives its films; a folder that holds pictures only is one source of
    stills. A file named outright is taken whatever its suffix.

    Raises:
        CommandError: Something isn't there, or nothing of it is a film or a picture.
        FramekitError: What is at an address cannot be reached.
    """
    found = Found()
    for word in words:
        if not word:
            raise CommandError("an empty name stands for no file or folder")
        if is_remote(path_of(word)):
            _add_remote(word, cast(RemotePath, path_of(word)), found)
            continue
        word = str(path_of(word))  # noqa: PLW2901 - file:// is local
        outright = os.path.lexists(word)
        for path in [Path(word)] if outright else _matches(word):
            if path.is_dir():
                _search(path, found)
            elif path.exists() and not path.is_file():
                raise CommandError("is no regular file", where=path)
            elif path.suffix.lower() in IMAGE_SUFFIXES:
                found.stills.setdefault(path.parent, []).append(path.name)
            elif outright or path.suffix.lower() in FILM_SUFFIXES:
                found.films.append(path)
            else:
                found.ignored += 1
    if not found.films and not found.stills:
        closed = "".join(f"; {path} cannot be read ({reason_of(error)})" for path, error in found.closed)
        raise CommandError(
            f"neither films nor pictures here{closed}",
            where=", ".join(str(path_of(word)) for word in words),
            advice="name films, or a folder that holds films or pictures",
        )
    found.films = list(dict.fromkeys(found.films))
    found.stills = {root: sorted(set(names)) for root, names in found.stills.items()}
    return found


def _matches(word: str) -> list[Path]:
    matches = sorted(Path(match) for match in glob.glob(word, recursive=True))  # noqa: PTH207 - takes ** in a word
    if not matches:
        advice = "check the spelling; quote names with blanks or brackets"
        raise CommandError("no such file or folder", where=word, advice=advice)
    return matches


def _add_remote(word: str, path: RemotePath, found: Found) -> None:
    """Look up one address: a film, a folder, or where folders can be listed a glob."""
    try:
        places = {path: path.info()["type"] == "directory"}
        outright = True
    except FileNotFoundError:
        places, outright = path.matching() if any(sign in word for sign in "*?[") else {}, False
    if not places:
        raise CommandError("no such file or folder", where=path, advice="check the spelling")
    for place, is_folder in places.items():
        if is_folder:
            _search(cast(Path, place), found)
        elif place.suffix.lower() in IMAGE_SUFFIXES:
            if place.store.protocol in WEB:
                raise CommandError(
                    "pictures are not taken from web servers", where=place, advice="download it"
                )
            found.stills.setdefault(cast(Path, place.parent), []).append(place.name)
        elif outright or place.suffix.lower() in FILM_SUFFIXES:
            found.films.append(cast(Path, place))
        else:
            found.ignored += 1


def _search(folder: Path, found: Found) -> None:
    films, pictures, others = [], [], 0
    closed: list[tuple[Path, OSError]] = []
    for name, path in _files_below(folder, closed):
        suffix = path.suffix.lower()
        if suffix in FILM_SUFFIXES:
            films.append(path)
        elif suffix in IMAGE_SUFFIXES:
            pictures.append(name)
        else:
            others += 1
    found.closed += closed
    if not films and not pictures and not closed:
        found.empty.append(folder)
    found.films += films
    found.ignored += others
    if films and pictures:
        found.left_out[folder] = len(pictures)
    elif pictures:
        found.stills.setdefault(folder, []).extend(pictures)


def _files_below(folder: Path, closed: list[tuple[Path, OSError]]) -> Iterator[tuple[str, Path]]:
    """Every file below `folder` in a fixed order, with its name there; without hidden ones.

    Links to folders are not followed. Folders that cannot be looked into are added to `closed`.
    """
    if isinstance(folder, RemotePath):
        for name in folder.names_below():
            if not any(part.startswith(".") for part in name.split("/")):
                yield name, cast(Path, folder / name)
        return

    def pass_by(error: OSError) -> None:
        closed.append((Path(error.filename), error))

    for here, folders, names in os.walk(folder, onerror=pass_by):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(here) / name
            # Broken links are given too, to be reported; pipes and devices would never end.
            if not name.startswith(".") and (path.is_file() or not path.exists()):
                yield path.relative_to(folder).as_posix(), path
