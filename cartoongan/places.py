"""Which files are stylized, and where what is made of them goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from cartoongan.pictures import ENDINGS
from framekit.errors import CommandError

PICTURES = frozenset(".avif .bmp .heic .heif .jfif .jpeg .jpg .png .ppm .tif .tiff .webp".split())
VIDEOS = frozenset(".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv".split())
"""What is taken from a folder; a file that is named itself is tried, whatever its name."""
CONTAINERS = {".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".webm": "webm"}
"""Videos that are written, and what FFmpeg calls them. Anything else becomes .mkv."""


def is_video(path: Path) -> bool:
    """Whether `path` is taken for a video: by its name."""
    return path.suffix.lower() in VIDEOS


def find_places(inputs: Sequence[Path], out: Path, kind: str = "png") -> list[tuple[Path, Path]]:
    """(source, its place) for every file in `inputs` and every picture and video in folders among them.

    Folders keep their inner paths. Two sources never share a place: the second `a.png` becomes `a-2.png`.

    Args:
        inputs: Files and folders.
        out: Folder, or for one file a name.
        kind: Format of pictures, a value of `pictures.ENDINGS`.

    Raises:
        CommandError: An input is not there, or holds nothing, or `out` would be written over an input.
    """
    found: dict[str, tuple[Path, Path]] = {}
    for source in inputs:
        if not source.exists():
            raise CommandError("no such file or folder", where=source)
        top = source if source.is_dir() else source.parent
        for path in _files_in(source, out) if source.is_dir() else [source]:
            found.setdefault(os.path.realpath(path), (path, path.relative_to(top)))
    if not found:
        raise CommandError("no pictures or videos found", where=inputs[0] if inputs else None)
    if len(found) == 1 and _names_a_file(out, video=is_video(next(iter(found.values()))[0])):
        places = [out]
    elif out.exists() and not out.is_dir():
        advice = "give a folder, or for one file a name with an ending of its kind, as .png"
        raise CommandError("is a file", where=out, advice=advice)
    else:
        places = [out / name for name in _distinct([_renamed(name, kind) for _, name in found.values()])]
    for place in places:
        if os.path.realpath(place) in found:
            raise CommandError("would be written over itself", where=place, advice="give another --out")
    return [(path, place) for (path, _), place in zip(found.values(), places, strict=True)]


def _is_taken(path: Path) -> bool:
    return path.suffix.lower() in PICTURES | VIDEOS


def _files_in(folder: Path, out: Path) -> list[Path]:
    """Pictures and videos in `folder` and below, in order, without hidden ones and those below `out`."""
    if os.path.realpath(folder) == os.path.realpath(out):
        raise CommandError("is the input folder too", where=out, advice="give another --out")
    closed: list[Path] = []
    walk = os.walk(folder, onerror=lambda error: closed.append(Path(error.filename)))
    names = [Path(parent, name) for parent, _, files in walk for name in files]
    inside = [path.relative_to(folder) for path in [*filter(_is_taken, names), *closed]]
    shown = [folder / path for path in sorted(inside) if not any(part.startswith(".") for part in path.parts)]
    # A link that leads nowhere is taken too, and a folder that is closed: they will fail with their reasons.
    lost = [path for path in shown if path in closed or (path.is_symlink() and not path.exists())]
    files = [path for path in shown if path in lost or path.is_file()]
    inside_out = os.path.realpath(out)
    return [path for path in files if not Path(os.path.realpath(path)).is_relative_to(inside_out)]


def _renamed(name: Path, kind: str) -> Path:
    """`name` with the ending of what is made of it."""
    if not is_video(name):
        return name.with_suffix(".jpg" if kind == "jpeg" else f".{kind}")
    return name if name.suffix.lower() in CONTAINERS else name.with_suffix(".mkv")


def _names_a_file(out: Path, *, video: bool) -> bool:
    """Whether `out` is one file's name; a folder's name may have a dot, too.

    Raises:
        CommandError: It names a file of another kind.
    """
    suffix = out.suffix.lower()
    if out.is_dir() or suffix not in {*Image.registered_extensions(), *ENDINGS, *CONTAINERS, *VIDEOS}:
        return False
    kinds = list(CONTAINERS if video else ENDINGS)
    if suffix not in kinds:
        what = "videos" if video else "pictures"
        raise CommandError(
            f"{what} are not written as {suffix}", where=out, advice=f"end the name in {', '.join(kinds)}"
        )
    return True


def _distinct(names: Sequence[Path]) -> list[Path]:
    """`names` with a number added where one was there before, upper and lower case taken as one."""
    taken: set[str] = set()
    distinct = []
    for name in names:
        number, candidate = 1, name
        while str(candidate).casefold() in taken:
            number += 1
            candidate = name.with_stem(f"{name.stem}-{number}")
        taken.add(str(candidate).casefold())
        distinct.append(candidate)
    return distinct
