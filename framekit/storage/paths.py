"""Paths of files, local or remote: `s3://bucket/films` is used as a `pathlib.Path` is."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import unquote

from framekit.errors import CommandError
from framekit.storage.patience import RemoteError, patiently

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from framekit.storage.ranges import RangeFile

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
LOCAL = ("file", "local")
WEB = ("http", "https")
S3 = ("s3", "s3a")
WITH_HOST = (*WEB, "ftp", "sftp", "ssh", "smb", "webhdfs", "hdfs", "webdav", "dav")
"""Their addresses begin with a host, and may hold a user and a query that are no part of a file's name."""
FLAT = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory", *WEB)
"""Stores of objects: folders are there as soon as something lies in them."""
IN_ONE_PROCESS = ("memory",)
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "http": "http", "https": "http"}
"""Protocol → the extra of this package that brings what reads it."""
CONNECT_SECONDS, READ_SECONDS = 10, 20
PARTS_AT_ONCE = 2
"""Of a file of more than 100 MB that is put into S3: each is 50 MB in memory."""


def is_address(text: str) -> bool:
    """Whether a text is an address, as `s3://bucket/film.mkv`, and no local path."""
    return ADDRESS.match(text) is not None


def is_remote(path: Path) -> bool:
    """Whether a path from `path_of` is not on this machine's disks."""
    return isinstance(path, RemotePath)


def path_of(text: str | Path) -> Path:
    """A path from what a user wrote: local, or an address that fsspec knows.

    Nothing is connected to yet. What comes back for an address does what a `Path` does, as far as films and
    datasets need it.

    Raises:
        CommandError: The address is of a kind that is not known, or what reads that kind is not installed.
    """
    if not isinstance(text, str):
        return text
    match = ADDRESS.match(text)
    if match is None:
        return Path(text)
    protocol, rest = match[1].lower(), match[2]
    if protocol in LOCAL:
        return Path(rest)
    return cast(Path, _remote_path(protocol, rest))


def only_here(place: str | Path) -> bool:
    """Whether no other process sees what lies there, as in `memory://`."""
    match = ADDRESS.match(str(place))
    return match is not None and match[1].lower() in IN_ONE_PROCESS


def _remote_path(protocol: str, rest: str) -> RemotePath:
    address = f"{protocol}://{rest}"
    if "::" in rest:  # fsspec's chains: what is unpacked, cached, or read by way of a table of addresses
        raise CommandError("an address within another is not taken", where=protocol + "://…::…")
    clean = _without_secrets(protocol, rest)
    if not rest.strip("/") or clean.endswith(":"):
        raise CommandError("an address without a place in it", where=address)
    try:
        from fsspec.core import url_to_fs

        fs, key = url_to_fs(address, **_defaults(protocol))
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        advice = f"pip install 'cartoon-framekit[{extra}]' brings it" if extra else str(error)
        what = f"{protocol}:// addresses need a package that is not installed"
        raise CommandError(what, where=clean, advice=advice) from None
    except (ValueError, TypeError, AttributeError) as error:  # file systems that stand on others want more
        known = "not known" in str(error)
        what = f"addresses of the kind {protocol}:// are not known" if known else "is no address of a file"
        raise CommandError(what, where=clean, advice="see docs/remote.md") from None
    store = Store(protocol, dict(fs.storage_options))
    return RemotePath(store, clean, str(key).rstrip("/") if protocol not in WEB else str(key))


def _without_secrets(protocol: str, rest: str) -> str:
    """The address as it is shown and stored: without user, password and signature."""
    host, slash, path = rest.partition("/")
    user, at, place = host.rpartition("@")
    if at and protocol not in WITH_HOST and ":" in user:
        advice = "leave them to the store's own settings; see docs/remote.md"
        raise CommandError("an address with a password in it", where=f"{protocol}://{place}", advice=advice)
    if protocol in WITH_HOST:
        host, path = place, path.partition("?")[0].partition("#")[0]
        host = host.partition("?")[0]
    return f"{protocol}://{host}{slash}{path}".rstrip("/")


def _defaults(protocol: str) -> dict[str, Any]:
    """How a store is asked, where fsspec's own settings don't say.

    What was listed is never kept: other processes write. Whoever retries must know when to end, so the
    libraries' own patience is short, and `patiently` is on top of it.
    """
    from fsspec.config import conf

    options: dict[str, Any] = {"use_listings_cache": False}
    if protocol in S3:
        waits = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}
        options["max_concurrency"] = PARTS_AT_ONCE
        options["config_kwargs"] = {"retries": {"mode": "standard", "total_max_attempts": 2}, **waits}
    if protocol in WEB:
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
        options |= {"client_kwargs": {"timeout": timeout}, "headers": {"Accept-Encoding": "identity"}}
    if protocol in IN_ONE_PROCESS:
        options = {}
    return {name: value for name, value in options.items() if name not in conf.get(protocol, {})}


def sizes_in(folder: Path) -> dict[str, int]:
    """Bytes of the files right in a folder, by name; none where it is not there. One request, in a store."""
    if isinstance(folder, RemotePath):
        return folder.sizes()
    sizes = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                sizes[entry.name] = entry.stat().st_size
    return sizes


class Size(NamedTuple):
    """What `stat` tells of a remote file."""

    st_size: int


@dataclass(frozen=True)
class Store:
    """Where remote files lie, and how to get at it; cheap to send to another process.

    Attributes:
        protocol: As `s3`.
        options: Of fsspec's file system; may hold passwords.
    """

    protocol: str
    options: dict[str, Any] = field(repr=False, hash=False)

    @property
    def fs(self) -> AbstractFileSystem:
        """Fsspec's file system, which it makes once in each process and thread."""
        import fsspec

        fs = fsspec.filesystem(self.protocol, **self.options)
        if self.protocol in S3:
            fs.retries = 1  # else five times as often as botocore does, each with its time to wait
        return fs


class RemotePath:
    """A file or folder in a store, with the methods of `pathlib.Path` that films and datasets need.

    Each call asks the store, and asks it again for a while when the network or the store fails; then it
    raises `RemoteError`. Its text never holds a password or a signature.

    Args:
        store: Where it lies.
        text: Its address, without secrets.
        key: What the store calls it.
    """

    def __init__(self, store: Store, text: str, key: str) -> None:
        self.store, self._text, self.key = store, text, key

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"RemotePath({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and (self._text, self.key) == (other._text, other.key)

    def __hash__(self) -> int:
        return hash(self._text)

    def __lt__(self, other: object) -> bool:
        return self._text < str(other)

    def __truediv__(self, name: str) -> RemotePath:
        key = self.key.partition("?")[0] if self.store.protocol in WEB else self.key
        return RemotePath(self.store, f"{self._text}/{name}", f"{key.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """Its last part."""
        last = self._text.rpartition("/")[2]
        return unquote(last) if self.store.protocol in WEB else last

    @property
    def suffix(self) -> str:
        """From the last dot of its name on."""
        return Path(self.name).suffix

    @property
    def stem(self) -> str:
        """Its name without the suffix."""
        return Path(self.name).stem

    @property
    def parent(self) -> RemotePath:
        """The folder that it lies in."""
        key = self.key.partition("?")[0] if self.store.protocol in WEB else self.key
        above, slash, _ = self._text.rpartition("/")
        if above.endswith("/"):  # nothing is above a bucket
            return self
        return RemotePath(self.store, above, key.rpartition("/")[0]) if slash else self

    def with_name(self, name: str) -> RemotePath:
        """What lies beside it under another name."""
        return self.parent / name

    def resolve(self) -> RemotePath:
        """Itself: an address starts from nowhere else."""
        return self

    def info(self) -> dict[str, Any]:
        """What the store says of it.

        Raises:
            FileNotFoundError: It is not there.
            RemoteError: The store cannot be asked, or refuses.
        """
        found: dict[str, Any] = self._ask("info", self.key)
        return found

    def exists(self) -> bool:
        """Whether there is a file, or anything below it."""
        try:
            return bool(self.info())
        except FileNotFoundError:
            return False

    def is_file(self) -> bool:
        """Whether it is a file."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Whether it is a folder; in a store of objects, whether anything lies below it."""
        return self._kind() == "directory"

    def _kind(self) -> str | None:
        try:
            return str(self.info()["type"])
        except FileNotFoundError:
            return None

    def stat(self) -> Size:
        """Its size.

        Raises:
            FileNotFoundError: It is not there.
            RemoteError: It cannot be known.
        """
        size = self.info().get("size")
        if size is None:
            what, advice = "its server does not say how large it is", "download it first"
            raise RemoteError(what, where=self, advice=advice)
        return Size(int(size))

    def iterdir(self) -> Iterator[RemotePath]:
        """What lies right in it, sorted.

        Raises:
            FileNotFoundError: It is not there.
        """
        keys = {str(found["name"]).rstrip("/") for found in self._ask("ls", self.key, detail=True)}
        for key in sorted(keys - {self.key}):
            yield self / key.rpartition("/")[2]

    def sizes(self) -> dict[str, int]:
        """Bytes of the files right in it, by name; none where it is not there."""
        try:
            found = self._ask("ls", self.key, detail=True)
        except FileNotFoundError:
            return {}
        return {
            str(each["name"]).rpartition("/")[2]: int(each["size"])
            for each in found
            if each["type"] == "file"
        }

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """What matches a pattern without `**`, sorted; nothing where the folder is not there."""
        head, _, rest = pattern.partition("/")
        if not any(sign in head for sign in "*?["):
            within = self / head
            yield from within.glob(rest) if rest else filter(RemotePath.exists, [within])
            return
        try:
            children = list(self.iterdir())
        except FileNotFoundError:
            return
        for child in children:
            if fnmatchcase(child.name, head):
                yield from child.glob(rest) if rest else [child]

    def matching(self) -> dict[RemotePath, bool]:
        """What this path stands for as a pattern, `**` too, sorted; with whether it is a folder."""
        found = self._ask("glob", self.key, detail=True)
        before = self._text.removesuffix(self.key)
        kinds = {key.rstrip("/"): info["type"] for key, info in found.items()}
        return {RemotePath(self.store, before + key, key): kinds[key] == "directory" for key in sorted(kinds)}

    def names_below(self) -> list[str]:
        """Names of all files below it, with forward slashes, sorted."""
        found = self._ask("find", self.key)
        names = {key[len(self.key) :].strip("/") for key in found}
        return sorted(names - {""})  # an object may stand for the folder itself

    def rglob(self, pattern: str) -> Iterator[RemotePath]:
        """All files below it whose names match a pattern, sorted."""
        for name in self.names_below():
            if fnmatchcase(name.rpartition("/")[2], pattern):
                yield self / name

    def open(self, mode: str = "rb") -> RangeFile:
        """Open it to be read in ranges, forwards and with jumps."""
        from framekit.storage.ranges import RangeFile

        assert mode == "rb"
        return RangeFile(self)

    def read_range(self, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of it.

        Raises:
            FileNotFoundError: It is not there.
            RemoteError: They cannot be had.
        """

        def fetch() -> bytes:
            data: bytes = self.store.fs.cat_file(self.key, start=start, end=stop)
            if len(data) > stop - start:
                what = "its server gives whole files only, and no ranges of them"
                raise RemoteError(what, where=self, advice="download it first")
            if len(data) < stop - start:
                raise ConnectionError(f"{len(data)} bytes came where {stop - start} were asked for")
            return data

        return patiently(fetch, self)

    def read_bytes(self) -> bytes:
        """All of it."""
        data: bytes = self._ask("cat_file", self.key)
        return data

    def read_text(self, encoding: str = "utf-8") -> str:
        """All of it as text."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, data: bytes) -> None:
        """Put `data` there in one piece."""
        self._put("pipe_file", self.key, data)

    def create(self, data: bytes) -> None:
        """Put `data` there if nothing is there yet: in one step where the store can do that.

        Raises:
            FileExistsError: Something is there.
        """
        self._put("pipe_file", self.key, data, mode="create")

    def upload(self, local: Path) -> None:
        """Put a local file there: it is seen when it is whole."""
        self._put("put_file", str(local), self.key)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove it."""
        try:
            self._ask("rm_file", self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_below(self) -> None:
        """Remove it and all that lies below it."""
        self._ask("rm", self.key, recursive=True)

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:  # noqa: ARG002 - as a Path's
        """Make the folder, where the store has such a thing."""
        if self.store.protocol not in FLAT:
            self._ask("makedirs", self.key, exist_ok=True)

    def _ask(self, method: str, *words: Any, **more: Any) -> Any:
        try:
            return patiently(lambda: getattr(self.store.fs, method)(*words, **more), self)
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self)) from None

    def _put(self, method: str, *words: Any, **more: Any) -> None:
        try:
            self._ask(method, *words, **more)
        except FileNotFoundError:
            advice = "make the bucket, or name another"
            raise RemoteError("nothing can be put there: no such bucket", where=self, advice=advice) from None
