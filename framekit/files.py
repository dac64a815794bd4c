"""Files that appear whole or not at all, and digests of files."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from framekit.storage.paths import RemotePath

WINDOW = 1 << 20  # bytes
UNFINISHED = ".framekit-*.tmp"
"""What `whole_file` calls the files that it has not finished."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""What a disk says that takes no more."""
UNWRITABLE = (*NO_ROOM, errno.EACCES, errno.EPERM, errno.EISDIR)


@contextmanager
def whole_file(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Give a temporary path to write to, on a local disk; it takes `path`'s place when the block ends well.

    It lies beside `path`. What is to go into a store lies in the system's folder for temporary files and is
    put there in one piece.

    Args:
        path: Where it is to be.
        replace: Whether a file that is there by then goes; on a local disk.

    Raises:
        FileExistsError: One is there, and is not to be replaced.
        OSError: It cannot be written; an error of the disk's names `path`.
    """
    if isinstance(path, RemotePath):
        with tempfile.TemporaryDirectory(prefix="framekit-") as folder:
            local = Path(folder) / path.name
            yield local
            path.upload(local)
        return
    # Not the name itself, which may be as long as the file system allows; and another one for each writer:
    # processes on two machines may have the same number.
    temporary = path.with_name(f".framekit-{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        _sync(temporary)
        if not replace:
            _leave(path, temporary)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno in UNWRITABLE and error.filename in (None, str(temporary), temporary):
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # what went wrong before says more
            temporary.unlink()


def _leave(path: Path, temporary: Path) -> None:
    """Take the name `path`, unless it is taken; where there are no hard links, it is only looked at."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, "is there already", str(path)) from None
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "is there already", str(path)) from None


def clear_unfinished(folder: Path) -> None:
    """Remove what a killed process left half-written in `folder`, not below it."""
    if isinstance(folder, RemotePath):
        return  # stores hold whole files only
    for remains in folder.glob(UNFINISHED):
        remains.unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that it holds."""
    if isinstance(folder, RemotePath):
        folder.remove_below()
    else:
        shutil.rmtree(folder)


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Else a power failure may forget a renaming; some file systems keep no folders open, or cannot do it."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint_of(path: Path) -> str:
    """32 hexadecimal digits that tell this content from another, at the cost of reading 3 MiB at most.

    BLAKE2b over the size and the first, middle and last MiB; all of it where the file is not larger.
    """
    size = path.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as file:
        if size <= 3 * WINDOW:
            digest.update(file.read())
        else:
            for start in (0, (size - WINDOW) // 2, size - WINDOW):
                file.seek(start)
                digest.update(file.read(WINDOW))
    return digest.hexdigest()
