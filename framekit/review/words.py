"""What rules and persons say of a dataset's frames and crops: held in memory, saved at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from framekit.errors import FramekitError
from framekit.manifest.decisions import NAME, RULE, Decision, locked_file, put_at_end, read_words
from framekit.manifest.schema import DECISIONS
from framekit.manifest.writing import write_table
from framekit.storage.paths import is_remote

Last = Callable[[str], Decision | None]
"""Gives the last word of a person about an item."""
PATIENCE = 5.0
"""Seconds to wait for other programs that write decisions; they take milliseconds."""


class Words:
    """Decisions of a dataset, and words that are kept apart from it and count on top.

    Args:
        root: The dataset's folder.
        apart: A file for new words; by default they go into the dataset. It is made where it is not there.
        lacking: Whether the dataset may have no decisions yet, as where an extraction was interrupted.

    Attributes:
        rules, people: What rules and persons said of each item, oldest first.
        path: The file that new words go into.

    Raises:
        FramekitError: Decisions cannot be read, or `apart` cannot be made.
    """

    def __init__(self, root: Path, apart: Path | None = None, *, lacking: bool = False) -> None:
        self._dataset, self._lacking = root / NAME, lacking
        self._tables: dict[Path, pa.Table] = {}
        self._stamps: dict[Path, object] = {}
        self.path = self._dataset
        self.rules: dict[str, list[Decision]] = {}
        self.people: dict[str, list[Decision]] = {}
        if apart is None:
            self.reload()
        else:
            self.save_in(apart)

    def save_in(self, apart: Path) -> None:
        """From now on, put new words into the file `apart`; those that it holds count on top.

        Raises:
            FramekitError: It cannot be read or made.
        """
        if not apart.exists():
            try:
                write_table(apart, DECISIONS.empty_table())
            except OSError as error:
                advice = "give another file: --decisions FILE"
                raise FramekitError(
                    f"cannot be written ({error.strerror})", where=apart, advice=advice
                ) from None
        read_words(apart)
        self.path = apart  # only now: it can be read
        self.reload()

    def reload(self) -> None:
        """Read everything anew.

        Raises:
            FramekitError: Something cannot be read: then all stays as it was.
        """
        paths = list(dict.fromkeys([self._dataset, self.path]))
        stamps = {path: stamp_of(path) for path in paths}
        tables = {path: self._read(path) for path in paths}
        self._stamps, self._tables = stamps, tables
        self._sort()

    def _read(self, path: Path) -> pa.Table:
        lacking = self._lacking and path == self._dataset and not path.exists()
        return DECISIONS.empty_table() if lacking else read_words(path)

    def _sort(self) -> None:
        self.rules, self.people = {}, {}
        for path, table in self._tables.items():
            for word in map(
                Decision._make, zip(*(column.to_pylist() for column in table.columns), strict=True)
            ):
                of_rule = word.by.startswith(RULE)
                if of_rule and path == self._dataset:
                    self.rules.setdefault(word.item, []).append(word)
                elif not of_rule:
                    self.people.setdefault(word.item, []).append(word)

    @property
    def is_stale(self) -> bool:
        """Whether another program has written since; of what lies in a store that is not looked at."""
        return any(stamp_of(path) != stamp for path, stamp in self._stamps.items())

    def items(self) -> Iterator[str]:
        """All that something was said of."""
        yield from self.rules
        yield from (item for item in self.people if item not in self.rules)

    def last(self, item: str) -> Decision | None:
        """The last word of a person about an item, also one that takes back earlier ones."""
        said = self.people.get(item)
        return said[-1] if said else None

    def of(self, item: str) -> tuple[Decision | None, bool | None]:
        """The word that counts, and what a person says: keep or not, or nothing."""
        last = self.last(item)
        if last is not None and last.keep is not None:
            return last, last.keep
        said = self.rules.get(item)
        return (said[-1] if said else None), None

    def because_of(self) -> dict[str, str]:
        """Item → the frame that a rule left it out for."""
        return {item: said[-1].because_of for item, said in self.rules.items() if said[-1].because_of}

    def add(self, words_after: Callable[[Last], list[Decision]]) -> tuple[list[Decision], bool]:
        """Save words of persons, which may hang on those that are there when nobody else writes.

        Args:
            words_after: Gives them, when told what was said last.

        Returns:
            The words, and whether others had written meanwhile: then much may be new.

        Raises:
            FramekitError: They cannot be saved.
        """
        with locked_file(self.path, patience=PATIENCE):
            table = self._known()
            meanwhile = table is not self._tables[self.path]
            if meanwhile:
                self._tables[self.path] = table
                self._sort()
            said = words_after(self.last)
            self._tables[self.path] = put_at_end(self.path, table, said)
            self._stamps[self.path] = stamp_of(self.path)  # while nobody else writes
        for word in said:
            self.people.setdefault(word.item, []).append(word)
        return said, meanwhile

    def _known(self) -> pa.Table:
        """What the file of new words holds: the table at hand, unless somebody else has written it since."""
        at_hand, stamp = self._tables[self.path], stamp_of(self.path)
        if stamp is not None and stamp == self._stamps[self.path]:
            return at_hand
        table = read_words(self.path)
        return at_hand if table.equals(at_hand) else table


def stamp_of(path: Path) -> object:
    """What changes when a file is written anew; None for one that is not there, or lies in a store."""
    if is_remote(path):
        return None
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
