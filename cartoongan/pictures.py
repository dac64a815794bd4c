"""Photos from strangers as RGB arrays, upright; and where the pictures made of them go."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from framekit.errors import CommandError, FramekitError
from framekit.files import whole_file

SUFFIXES = frozenset((".avif", ".bmp", ".jfif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"))
"""What is taken from a folder; a file that is named itself is tried whatever its name."""


@dataclass(frozen=True)
class Picture:
    """A picture as it is meant to be seen.

    Attributes:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8, 0 is transparent; None where all is opaque.
        profile: ICC profile that `rgb` is to be read by; None for sRGB.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes | None = None


def read_picture(path: Path) -> Picture:
    """Read a picture of any colour mode; of an animation the first frame.

    Raises:
        FramekitError: It is no picture, damaged, too large, or of a kind that has no 8-bit form.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata and 100 megapixels are fine here
            with Image.open(path) as file:
                upright = ImageOps.exif_transpose(file)
                return _as_picture(upright)
    except (Image.DecompressionBombError, Image.UnidentifiedImageError) as error:
        large = isinstance(error, Image.DecompressionBombError)
        raise FramekitError("too many pixels" if large else "not a picture", where=path) from error
    except (FileNotFoundError, PermissionError) as error:
        raise FramekitError(str(error.strerror).lower(), where=path) from error
    except MemoryError:
        raise
    except Exception as error:  # a stranger's file can fail in any way
        reason = str(error) or type(error).__name__
        raise FramekitError(f"cannot be read ({reason:.200})", where=path) from error


def write_png(path: Path, picture: Picture) -> None:
    """Write `picture` as PNG, whole or not at all, making folders as needed."""
    pixels = picture.rgb if picture.alpha is None else np.dstack([picture.rgb, picture.alpha])
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", icc_profile=picture.profile)


def find_pictures(inputs: Sequence[Path], out: Path) -> list[tuple[Path, Path]]:
    """(picture, its place below `out`) for every file in `inputs` and every picture in folders among them.

    Folders keep their inner paths. Two pictures never share a place: the second `a.png` becomes `a-2.png`.

    Raises:
        CommandError: An input is not there, or holds no picture, or `out` would be written over an input.
    """
    found: dict[str, tuple[Path, Path]] = {}
    for source in inputs:
        if not source.exists():
            raise CommandError("no such file or folder", where=source)
        top = source if source.is_dir() else source.parent
        for path in _pictures_in(source, out) if source.is_dir() else [source]:
            found.setdefault(os.path.realpath(path), (path, path.relative_to(top)))
    if not found:
        raise CommandError("no pictures found", where=inputs[0] if inputs else None)
    if len(found) == 1 and _names_a_picture(out):
        places = [out]
    elif out.exists() and not out.is_dir():
        advice = "give a folder, or for one photo a name that ends in .png"
        raise CommandError("is a file", where=out, advice=advice)
    else:
        names = [name.with_suffix(".png") for _, name in found.values()]
        places = [out / name for name in _distinct(names)]
    for place in places:
        if os.path.realpath(place) in found:
            raise CommandError("would be written over itself", where=place, advice="give another --out")
    return [(path, place) for (path, _), place in zip(found.values(), places, strict=True)]


def _as_picture(image: Image.Image) -> Picture:
    profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA", "P") else None
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255
        deep = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        rgb = np.repeat(np.rint(deep / 257).astype(np.uint8)[:, :, None], 3, axis=2)
        clear = image.info.get("transparency")  # one grey that stands for nothing
        return Picture(rgb, None if clear is None else np.where(deep == clear, 0, 255).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point pictures have no 8-bit form")
    if image.has_transparency_data:
        pixels = np.array(image.convert("RGBA"))
        return Picture(pixels[:, :, :3].copy(), pixels[:, :, 3].copy(), profile)
    return Picture(np.array(image.convert("RGB")), profile=profile)


def _pictures_in(folder: Path, out: Path) -> list[Path]:
    """Pictures in `folder` and below, in order, without hidden ones and without those below `out`."""
    if folder.resolve() == out.resolve():
        raise CommandError("is the input folder too", where=out, advice="give another --out")
    inside = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
    shown = [folder / path for path in sorted(inside) if not any(part.startswith(".") for part in path.parts)]
    # A link that leads nowhere is taken too: it will fail with its reason.
    files = [path for path in shown if path.is_file() or (path.is_symlink() and not path.exists())]
    inside_out = os.path.realpath(out)
    return [path for path in files if not Path(os.path.realpath(path)).is_relative_to(inside_out)]


def _names_a_picture(out: Path) -> bool:
    """Whether `out` is one picture's name; a folder's name may have a dot, too."""
    suffix = out.suffix.lower()
    if out.is_dir() or suffix not in Image.registered_extensions():
        return False
    if suffix != ".png":
        raise CommandError("pictures are written as PNG", where=out, advice="give a name that ends in .png")
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
