"""Remote files read in ranges: jumps cost a request, reading on costs few, and memory has a bound."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framekit.storage.paths import RemotePath

BLOCK = 1 << 20
"""Bytes that are fetched at least, for a film."""
SMALL_BLOCK = 1 << 16
"""The same for a table, of which often little is wanted."""
AHEAD = 8
"""Blocks that are fetched at once where a file is read on and on."""
MOST = 8 << 20
"""Bytes of one request at most."""
KEPT = 24 << 20
"""Bytes that are kept of one open file."""


class RangeFile(io.RawIOBase):
    """A remote file, open to be read. What is read on in sequence is fetched ahead: 1, 2, 4, then 8 blocks.

    Args:
        path: The file.
        block: Bytes that are fetched at least, but for the end.
        ahead: Blocks that are fetched at once where it is read on and on; 1 for never more than asked for.

    Attributes:
        size: Bytes that it has.
        fetched: Bytes that were fetched so far.

    Raises:
        FileNotFoundError: It is not there.
        RemoteError: Its store cannot be asked; from `read` too.
    """

    def __init__(self, path: RemotePath, *, block: int = BLOCK, ahead: int = AHEAD) -> None:
        super().__init__()
        self._path, self._block, self._ahead = path, block, ahead
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._place = 0
        self.size = path.stat().st_size
        self.fetched = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where it is read next."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on elsewhere; nothing is fetched yet."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError(f"no byte stands at {start + offset}")
        self._place = start + offset
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        rest = max(0, self.size - self._place)
        left = rest if size is None or size < 0 else min(size, rest)
        parts = []
        while left:
            number, start = divmod(self._place, self._block)
            last = (self._place + left - 1) // self._block
            part = self._get(number, last)[start : start + left]
            parts.append(part)
            self._place += len(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readall(self) -> bytes:
        """All that is left."""
        return self.read()

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; fewer bytes only at the end."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _get(self, number: int, last: int) -> bytes:
        """A block, of which more up to number `last` will be wanted next."""
        if number not in self._blocks:
            self._fetch(number, last)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _fetch(self, first: int, last: int) -> None:
        before = 0
        while before < self._ahead and first - before - 1 in self._blocks:
            before += 1
        wanted = max(last + 1 - first, min(before + 1, self._ahead))
        wanted = min(wanted, max(1, MOST // self._block))
        stop = next((n for n in range(first + 1, first + wanted) if n in self._blocks), first + wanted)
        start = first * self._block
        data = self._path.read_range(start, min(stop * self._block, self.size))
        self.fetched += len(data)
        for number in range(first, stop):
            at = (number - first) * self._block
            if at < len(data):
                self._blocks[number] = data[at : at + self._block]
        while len(self._blocks) > max(2, KEPT // self._block):
            self._blocks.popitem(last=False)
