"""Photos from strangers as RGB arrays, upright; pictures written in several formats."""

from __future__ import annotations

import struct
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from framekit.errors import CommandError, FramekitError, printable
from framekit.files import whole_file

ENDINGS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".avif": "avif",
    ".heic": "heic",
}
"""What is written, and the format that each ending stands for."""
SAVING: dict[str, dict[str, Any]] = {
    "png": {},
    "jpeg": {"quality": 95, "subsampling": 0},
    "webp": {"quality": 92, "method": 4},
    "avif": {"quality": 85, "subsampling": "4:4:4"},
    "heic": {"quality": 85, "chroma": 444},
}
HEIC = (".heic", ".heif")
READ = frozenset("AVIF BMP GIF HEIF JPEG PNG PPM TIFF WEBP".split())
"""What Pillow may take a file for, whatever its name: no EPS, which would start Ghostscript."""
RGB16, RGBA16 = (16, 2), (16, 6)
"""Bits a channel and colour type of a PNG."""
BEFORE_CHUNKS = 33
"""Bytes of a PNG's signature and header."""
ORIENTATION = 0x0112
HOW_TO_HEIC = "pip install pillow-heif"


@dataclass(frozen=True)
class Picture:
    """A picture as it is meant to be seen.

    Attributes:
        rgb: (H, W, 3) uint8; uint16 of a 16-bit colour PNG.
        alpha: (H, W) of the same kind, 0 is transparent; None where all is opaque.
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
    if path.exists() and not path.is_file():
        reason = "cannot be looked into" if path.is_dir() else "not a file"  # a pipe would be waited for
        raise FramekitError(reason, where=path)
    if path.suffix.lower() in HEIC and not can_heic():
        raise FramekitError("HEIC needs pillow-heif", where=path, advice=HOW_TO_HEIC)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata and 100 megapixels are fine here
            with Image.open(path, formats=_formats()) as file:
                if (deep := _deep(path, file)) is not None:
                    return deep
                upright = ImageOps.exif_transpose(file)
                return _as_picture(upright)
    except (Image.DecompressionBombError, UnidentifiedImageError) as error:
        large = isinstance(error, Image.DecompressionBombError)
        raise FramekitError("too many pixels" if large else "not a picture", where=path) from error
    except (FileNotFoundError, PermissionError) as error:
        raise FramekitError(str(error.strerror).lower(), where=path) from error
    except MemoryError:
        raise
    except Exception as error:  # a stranger's file can fail in any way
        reason = str(error) or type(error).__name__
        raise FramekitError(f"cannot be read ({reason:.200})", where=path) from error


def write_picture(path: Path, picture: Picture, *, replace: bool = True) -> None:
    """Write `picture` in the format that the name ends in, whole or not at all, making folders as needed.

    16 bits a channel stay in PNG, and are rounded to 8 elsewhere. JPEG has no transparency: what is
    transparent is laid on white.

    Raises:
        FramekitError: The name ends in no format that can be written here, or the format cannot hold it.
        OSError: It cannot be written, or is there and not to be replaced.
    """
    kind = ENDINGS[path.suffix.lower()]
    check_format(kind, path)
    pixels = picture.rgb if picture.alpha is None else np.dstack([picture.rgb, picture.alpha])
    deep = pixels.dtype == np.uint16
    if deep and kind != "png":
        pixels, deep = np.rint(pixels / 257).astype(np.uint8), False
    if kind == "jpeg" and pixels.shape[2] == 4:
        share = pixels[..., 3:] / 255
        pixels = np.rint(pixels[..., :3] * share + 255 * (1 - share)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, replace=replace) as temporary:
        if deep:
            temporary.write_bytes(_deep_png(pixels, picture.profile))
            return
        name = "HEIF" if kind == "heic" else kind.upper()
        more = {} if picture.profile is None else {"icc_profile": picture.profile}
        try:
            Image.fromarray(pixels).save(temporary, format=name, **SAVING[kind], **more)
        except (ValueError, RuntimeError) as error:  # as Pillow and pillow-heif say that a format has limits
            what = f"{kind} cannot hold {pixels.shape[1]}×{pixels.shape[0]} pixels ({printable(error)})"
            raise FramekitError(what, where=path, advice="use --format png") from error


def check_format(kind: str, where: object = None) -> None:
    """Make sure that pictures can be written in format `kind`.

    Raises:
        CommandError: The library for it is not here.
    """
    Image.init()
    if kind == "heic" and not can_heic():
        raise CommandError("HEIC needs pillow-heif", where=where, advice=HOW_TO_HEIC)
    if kind != "heic" and kind.upper() not in Image.SAVE:
        raise CommandError(f"this Pillow cannot write {kind}", where=where, advice="use --format png")


def can_heic() -> bool:
    """Whether HEIC can be read and written here."""
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
        return True
    return False


def _formats() -> list[str]:
    Image.init()
    return sorted(READ & Image.OPEN.keys())


def _deep(path: Path, file: Image.Image) -> Picture | None:
    """A PNG of 16 bits a channel, which Pillow cuts to 8; None where it is not such a file."""
    if file.format != "PNG" or "transparency" in file.info:
        return None
    with path.open("rb") as opened:
        header = opened.read(BEFORE_CHUNKS)
    if tuple(header[24:26]) not in (RGB16, RGBA16) or file.getexif().get(ORIENTATION, 1) != 1:
        return None
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our own line says what is wrong
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("damaged")
    rgb = np.ascontiguousarray(pixels[..., 2::-1])
    return Picture(rgb, pixels[..., 3].copy() if pixels.shape[2] == 4 else None, file.info.get("icc_profile"))


def _deep_png(pixels: np.ndarray, profile: bytes | None) -> bytes:
    """(H, W, 3 or 4) uint16 as a PNG's bytes; OpenCV writes no profile, so it is put behind the header."""
    order = [2, 1, 0, 3][: pixels.shape[2]]
    content = cv2.imencode(".png", pixels[..., order])[1].tobytes()
    if profile is None:
        return content
    chunk = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return content[:BEFORE_CHUNKS] + whole + content[BEFORE_CHUNKS:]


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
