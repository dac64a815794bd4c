"""A session of reviewing: what is decided, taken back, and told to all tabs."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from framekit.errors import CommandError, FramekitError, printable
from framekit.manifest import Manifest
from framekit.manifest.decisions import Decision, person
from framekit.manifest.reading import read_info
from framekit.manifest.thumbnails import Thumbnails
from framekit.review.catalogue import NEW_LINE, Catalogue, View
from framekit.review.saving import problem_of
from framekit.review.words import Last, Words, stamp_of

TOLD = 500
"""Frames of which an answer tells all."""
LISTED = 2_000
"""Changed frames that are named to other tabs; if there are more, they ask for everything anew."""
REMEMBERED = 1_000
"""Changes that are kept for other tabs."""
LONGEST_REASON = 200
INFO = "dataset.json"
ANOTHER = "another chosen"


class Refused(CommandError):
    """What was asked cannot be done now; `items` is what the page should know."""

    def __init__(self, what: str, *, items: int | None = None) -> None:
        super().__init__(what)
        self.items = items


@dataclass(frozen=True)
class Action:
    """What was decided in one go in one tab: the last word of a person about each item before it, or None."""

    what: str
    tab: str
    before: dict[str, Decision | None]


class Session:
    """One for each server. Its methods may be called from any thread.

    Args:
        manifest: The dataset.
        by: Who decides.
        apart: A file to save words in, in place of the dataset.

    Raises:
        FramekitError: The dataset or its decisions cannot be read.
    """

    def __init__(self, manifest: Manifest, *, by: str, apart: Path | None = None) -> None:
        self.by = person(by)
        self.lock = threading.RLock()
        self.words = Words(manifest.root, apart, lacking=not manifest.info.shards)
        self.catalogue = Catalogue(manifest, self.words)
        self.version = 1
        self._changes: list[tuple[int, list[int] | None]] = []
        self._actions: list[Action] = []
        self._said_at: dict[str, set[datetime]] = {}
        self._last_said = datetime.min.replace(tzinfo=UTC)
        self._thumbnails: Thumbnails = manifest.all_thumbnails()
        self._reader = manifest.undecided.reader()
        self._problem = problem_of(manifest.root) if apart is None else None
        self.decided = 0
        self._info_stamp = stamp_of(manifest.root / INFO)
        self.outdated = False

    # Told ------------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Of the dataset and of this session, as api/dataset tells it."""
        with self.lock:
            return self.catalogue.summary() | {
                "version": self.version,
                "by": self.by,
                "saving": self.saving(),
                "outdated": self.outdated,
            }

    def saving(self) -> dict[str, Any]:
        """Where words go, why they cannot be saved there, and where they could instead."""
        elsewhere = f"./{self._elsewhere().name}" if self._problem else None
        return {"where": printable(self.words.path), "problem": self._problem, "elsewhere": elsewhere}

    def _elsewhere(self) -> Path:
        name = re.sub(r"[^\w.-]", "_", self.catalogue.manifest.root.name).lstrip(".") or "dataset"
        return Path.cwd() / f"{name}-decisions.parquet"

    def save_elsewhere(self) -> dict[str, Any]:
        """Save words in the file that was offered, if the dataset takes none."""
        with self.lock:
            if self._problem:
                self.words.save_in(self._elsewhere())
                self._problem = None
                self._changed(None)
            return self.saving()

    def view(self, view: View) -> tuple[np.ndarray, int]:
        """Frames of a view, and the version that they are of."""
        with self.lock:
            return self.catalogue.rows(view), self.version

    def told(self, rows: Iterable[int]) -> list[dict[str, Any]]:
        """Of each of these frames, as the grid needs it."""
        with self.lock:
            return [self.catalogue.told(row) for row in self._checked(rows)]

    def told_all(self, row: int) -> dict[str, Any]:
        """Of a frame, all there is."""
        with self.lock:
            return self.catalogue.told_all(*self._checked([row]))

    def thumbnail(self, row: int) -> bytes | None:
        """A JPEG, or None.

        Raises:
            FramekitError: It cannot be read.
        """
        with self.lock:
            try:
                return self._thumbnails[self._checked([row])[0]]
            except (OSError, pa.ArrowException) as error:
                what = f"a thumbnail cannot be read ({error})"
                advice = "see what is damaged with: framekit verify"
                raise FramekitError(what, where=self.catalogue.manifest.root, advice=advice) from error

    def picture(self, row: int, index: int, *, smoothed: bool) -> bytes | None:
        """A crop of a frame, as it is stored, or None."""
        with self.lock:
            crops = self.catalogue.crops
            for place in crops.of_frame(*self._checked([row])):
                if crops.columns["crop_index"][place] == index:
                    return self._reader.encoded(int(crops.place[place]))[smoothed]
        return None

    def changes(self, since: int) -> dict[str, Any] | None:
        """What changed after a version; None for nothing."""
        with self.lock:
            if since >= self.version:
                return None
            later = [rows for version, rows in self._changes if version > since]
            known = len(later) == self.version - since and None not in later
            rows = sorted({row for rows in later for row in rows or ()})
            return {"version": self.version, "rows": rows if known and len(rows) <= LISTED else None}

    def look_for_others(self) -> None:
        """Take over what other programs have decided since, and notice where they changed the frames.

        Raises:
            FramekitError: Decisions cannot be read any more; those known before stay.
        """
        with self.lock:
            if self.words.is_stale:
                self.words.reload()
                self._changed(None)
            if not self.outdated and self._has_other_shards():
                self.outdated = True
                self._changed(None)

    def _has_other_shards(self) -> bool:
        """Whether the dataset was extracted or compacted since."""
        manifest = self.catalogue.manifest
        stamp = stamp_of(manifest.root / INFO)
        if stamp == self._info_stamp:
            return False
        self._info_stamp = stamp
        try:
            return read_info(manifest.root).shards != manifest.info.shards
        except FramekitError:
            return True

    # Decided ---------------------------------------------------------------------------------------------

    def decide(
        self,
        which: Iterable[int] | View,
        *,
        keep: bool | None,
        reason: str,
        expect: int | None,
        tab: str = "",
    ) -> dict[str, Any]:
        """Decide about frames, or about all frames of a view.

        Args:
            which: Frames, or a view.
            keep: False leaves them out, True keeps them, None takes back what persons said.
            reason: Why.
            expect: How many the person was told they are.
            tab: In which tab it is decided; there it can be undone.

        Raises:
            Refused: They are more or fewer by now.
            FramekitError: It cannot be saved.
        """
        with self.lock:
            if isinstance(which, View):
                rows = (self.catalogue.rows(which) & ~NEW_LINE).tolist()
            else:
                rows = list(dict.fromkeys(self._checked(which)))
            if expect is not None and expect != len(rows):
                raise Refused(f"the view has {len(rows):,} frames by now", items=len(rows))
            items = {self.catalogue.ids[row]: (keep, reason) for row in rows}
            return self._say(items, f"{_verb(keep)} {_counted(len(items), 'frame')}", rows, tab)

    def decide_crops(
        self, crops: Iterable[tuple[int, int]], *, keep: bool | None, reason: str, tab: str = ""
    ) -> dict[str, Any]:
        """Decide about crops, each given by its frame and its index."""
        with self.lock:
            items, rows = {}, []
            for row, index in crops:
                places = self.catalogue.crops.of_frame(*self._checked([row]))
                indexes = self.catalogue.crops.columns["crop_index"]
                found = [place for place in places if indexes[place] == index]
                if not found:
                    raise CommandError(f"frame {row} has no crop {index}")
                items[self.catalogue.crops.ids[found[0]].as_py()] = (keep, reason)
                rows.append(row)
            what = f"{_verb(keep)} {_counted(len(items), 'crop')}"
            return self._say(items, what, list(dict.fromkeys(rows)), tab)

    def keep_this(self, row: int, *, tab: str = "") -> dict[str, Any]:
        """Keep a frame of a group of near-duplicates, and leave the others out."""
        with self.lock:
            leader = int(self.catalogue.group[self._checked([row])[0]])
            if leader < 0:
                raise Refused("this frame has no near-duplicates")
            rows = self.catalogue.members[leader].tolist()
            items: dict[str, tuple[bool | None, str]] = {
                self.catalogue.ids[other]: (other == row, "" if other == row else ANOTHER) for other in rows
            }
            return self._say(items, f"keep one of {len(rows):,} near-duplicates", rows, tab)

    def undo(self, *, tab: str = "", anyone: bool = False) -> dict[str, Any]:
        """Take back the last action of a tab that was not taken back yet.

        Each item gets the word back that a person had said before; one of which somebody else spoke since,
        be it in another tab, is left alone.

        Args:
            tab: The tab.
            anyone: Take back the last action of the session, whichever tab it is of.

        Raises:
            Refused: There is nothing to take back; `items` is how many actions of other tabs there are.
            FramekitError: It cannot be saved.
        """
        with self.lock:
            action = next((its for its in reversed(self._actions) if anyone or its.tab == tab), None)
            if action is None:
                others = f"; the last of another tab: {self._actions[-1].what}" if self._actions else ""
                raise Refused(f"nothing to undo in this tab{others}", items=len(self._actions))
            said_at = self._said_at.get(action.tab, set())
            skipped = 0

            def back(last: Last) -> dict[str, tuple[bool | None, str]]:
                nonlocal skipped
                ours = [item for item in action.before if (word := last(item)) and word.at in said_at]
                skipped = len(action.before) - len(ours)
                words = {item: action.before[item] for item in ours}
                return {
                    item: (word.keep, word.reason) if word else (None, "") for item, word in words.items()
                }

            rows = [row for item in action.before if (row := self._row_of(item)) is not None]
            told = self._write(back, list(dict.fromkeys(rows)), action.tab)
            self._actions.remove(action)
            self.decided -= 1
            return told | {"what": action.what, "items": len(action.before) - skipped, "skipped": skipped}

    def _row_of(self, item: str) -> int | None:
        rows = self.catalogue.row_of
        return rows.get(item, rows.get(item.rpartition("#")[0]))

    def _say(
        self, items: dict[str, tuple[bool | None, str]], what: str, rows: list[int], tab: str
    ) -> dict[str, Any]:
        before: dict[str, Decision | None] = {}

        def remember(last: Last) -> dict[str, tuple[bool | None, str]]:
            before.update((item, last(item)) for item in items)
            return items

        told = self._write(remember, rows, tab)
        self._actions.append(Action(what, tab, before))
        self.decided += 1
        return told | {"what": what, "items": len(items)}

    def _write(
        self, items_after: Callable[[Last], dict[str, tuple[bool | None, str]]], rows: list[int], tab: str
    ) -> dict[str, Any]:
        """Save words of a tab; the answer tells of `rows`."""
        if self._problem:
            raise FramekitError(self._problem)
        now = self._last_said = max(datetime.now(UTC), self._last_said + timedelta(microseconds=1))

        def words_after(last: Last) -> list[Decision]:
            words = items_after(last).items()
            return [
                Decision(item, keep, _reason(keep, reason), self.by, None, now)
                for item, (keep, reason) in words
            ]

        _, meanwhile = self.words.add(words_after)
        self._said_at.setdefault(tab, set()).add(now)
        self._changed(None if meanwhile else rows)
        told = [self.catalogue.told(row) for row in rows[:TOLD]]
        return {"version": self.version, "rows": told}

    def _changed(self, rows: list[int] | None) -> None:
        self.catalogue.refresh(rows)
        self.version += 1
        self._changes.append((self.version, rows if rows is None or len(rows) <= LISTED else None))
        del self._changes[:-REMEMBERED]

    def _checked(self, rows: Iterable[int]) -> list[int]:
        found = list(rows)
        for row in found:
            if not 0 <= row < len(self.catalogue):
                raise CommandError(f"no frame {row}: there are {len(self.catalogue):,}")
        return found


def _reason(keep: bool | None, reason: str) -> str:
    reason = printable(reason.strip())[:LONGEST_REASON]
    return reason or ("by hand" if keep is not None else "")


def _verb(keep: bool | None) -> str:
    return {True: "keep", False: "drop", None: "take back what was said of"}[keep]


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
