"""Image folders: photos and drawings, as upright RGB pictures."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from framekit.errors import FramekitError, printable
from framekit.sources.decoding import Picture, Place
from framekit.sources.frames import Decoded
from framekit.storage.paths import RemotePath
from framekit.storage.patience import RemoteError

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".ppm"}
)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "PPM", "GIF")
"""What Pillow may take a file for, whatever its name: no EPS, which would start Ghostscript."""


def read_still(path: Path) -> np.ndarray:
    """Read an image file.

    Args:
        path: Any format that Pillow reads; EXIF orientation is applied, transparency laid on white.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        FramekitError: The file is no picture, is damaged, or is larger than Pillow's limit of 179 megapixels.
    """
    from PIL import Image, ImageOps

    # Outside: a network that fails says nothing of the picture.
    file = io.BytesIO(path.read_bytes()) if isinstance(path, RemotePath) else path
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=FORMATS) as image:
            return _as_rgb(ImageOps.exif_transpose(image))
    except MemoryError:
        raise
    except Exception as error:  # a stranger's file can make a decoder fail in any way
        raise FramekitError(f"not a picture that can be read ({error_line(error)})", where=path) from None


def _as_rgb(image: Image.Image) -> np.ndarray:
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255
        levels = np.rint(np.clip(np.asarray(image).astype(np.int64), 0, 65535) / 257)
        return np.repeat(levels.astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def error_line(error: BaseException) -> str:
    """The first line of an error's message, without the file's path."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return printable("no picture format that Pillow knows" if "cannot identify" in text else text)


def still_pictures(
    root: Path,
    names: list[str],
    *,
    start: int,
    stop: int,
    decoded: Decoded,
) -> Iterator[Picture]:
    """Read the pictures `names[start:stop]` of folder `root`; unreadable ones are counted in `decoded`."""
    for number in range(start, min(stop, len(names))):
        try:
            image = read_still(root / names[number])
        except RemoteError:
            raise
        except FramekitError as error:
            decoded.add_damage(f"{printable(names[number])}: {error.what}")
        else:
            yield Picture(Place(number, name=names[number]), image)
        decoded.go_on_to(decoded.frames + 1)


def group_of(name: str) -> str | None:
    """Content group of a still: its first subfolder, `people/a.jpg` → `people`; None without one."""
    first, slash, _ = name.partition("/")
    return first if slash else None
