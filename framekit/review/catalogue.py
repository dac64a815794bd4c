"""All frames of a dataset in columns: filtered, sorted, counted. Pure; nothing is written."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from framekit.errors import CommandError
from framekit.manifest import Manifest
from framekit.manifest.decisions import Decision
from framekit.manifest.groups import near_duplicates
from framekit.review.words import Words

ABOUT = {
    "brightness": "mean luma, 0 to 255",
    "contrast": "standard deviation of luma",
    "luma_p1": "level that 1 % of the pixels don't exceed",
    "luma_p50": "level that half of the pixels don't exceed",
    "luma_p99": "level that 99 % of the pixels don't exceed",
    "entropy": "of the histogram of luma, bits",
    "sharpness": "variance of the Laplacian",
    "edge_density": "share of edge pixels",
    "flatness": "share of blocks without detail",
    "colourfulness": "0 for grey, 60 quite colourful",
    "blockiness": "of compression; 1 for none",
    "combing": "percent of pixels with the teeth of interlaced motion",
    "noise": "grain in flat areas, levels",
    "text": "share under lines of text",
    "fade": "how far it has faded to black or white",
    "dissolve": "how much a mix of its neighbours explains",
    "pan_x": "the camera's move, in widths",
    "pan_y": "the camera's move, in heights",
    "zoom": "size of things over that in the sample before",
}
"""Measures that frames may be filtered and sorted by."""
NEW_LINE = np.uint32(1 << 31)
"""Marks, sorted by group, the first frame of each group and the first one of none."""
MINE = "by hand"


@dataclass(frozen=True)
class View:
    """Which frames to show, in which order; what is empty or None does not matter.

    Attributes:
        source: Places in the list of sources, any of them.
        start, stop: Seconds in the film, both included.
        state: `in`, `out`, or `mine` where a person spoke.
        reason: Why they are left out, any of these.
        measure: Name of a measure, from `low` to `high`.
        content: Content groups, any of them.
        group: A frame; those of its group of near-duplicates.
        duplicates: Only those in a group.
        text: Part of a frame_id or of a still's name.
        sort: `order`, `group` or a measure.
        descending: The other way round; frames without the measure stay last.
    """

    source: tuple[int, ...] = ()
    start: float | None = None
    stop: float | None = None
    state: str = ""
    reason: tuple[str, ...] = ()
    measure: str = ""
    low: float | None = None
    high: float | None = None
    content: tuple[str, ...] = ()
    group: int | None = None
    duplicates: bool = False
    text: str = ""
    sort: str = "order"
    descending: bool = False


@dataclass
class Crops:
    """All pairs that were cut, those of each frame together in the order of their indexes.

    Attributes:
        first: (N + 1,) int64: where the pairs of frame n begin.
        place: (P,) int64: their places in the reader of all pairs.
        ids: (P,) pair_ids.
        columns: (P,) crop_index, crop_x, crop_y, crop_size, scale.
    """

    first: np.ndarray
    place: np.ndarray
    ids: pa.Array
    columns: dict[str, np.ndarray] = field(repr=False)

    @classmethod
    def of(cls, manifest: Manifest, frame_ids: pa.Array) -> Crops:
        """Those of a dataset, left out or not."""
        names = ["crop_index", "crop_x", "crop_y", "crop_size", "scale"]
        pairs = manifest.undecided.pairs(["pair_id", "frame_id", *names])
        rows = pc.fill_null(pc.index_in(pairs["frame_id"], value_set=frame_ids), -1).to_numpy()
        indexes = pc.fill_null(pairs["crop_index"], 0).to_numpy()
        order = np.lexsort((indexes, rows))
        order = order[rows[order] >= 0]  # pairs of frames that are not there are for `framekit verify`
        first = np.searchsorted(rows[order], np.arange(len(frame_ids) + 1))
        ids = pairs["pair_id"].combine_chunks().take(pa.array(order))
        columns = {name: pc.fill_null(pairs[name], 0).to_numpy()[order] for name in names}
        return cls(first, order, ids, columns)

    def of_frame(self, row: int) -> range:
        """Places here of a frame's pairs."""
        return range(int(self.first[row]), int(self.first[row + 1]))


class Catalogue:
    """The frames of a dataset, and what is said of them.

    Args:
        manifest: The dataset, whole.
        words: What rules and persons say.
    """

    def __init__(self, manifest: Manifest, words: Words) -> None:
        self.manifest, self.words = manifest, words
        table = manifest.frames().combine_chunks()
        self._table = table.drop_columns(["signature"])
        self.ids: list[str] = table["frame_id"].to_pylist()
        self.row_of = {id_: row for row, id_ in enumerate(self.ids)}
        known = {source.id: place for place, source in enumerate(manifest.info.sources)}
        names = dict.fromkeys(table["source"].unique().drop_null().to_pylist())
        self.sources: list[str] = [*known, *(name for name in names if name not in known)]
        places = pa.array(self.sources, pa.string())
        self.source = pc.fill_null(pc.index_in(table["source"], value_set=places), 0).to_numpy()
        self.seconds = _floats(table["seconds"])
        self.measures = {name: _floats(table[name]) for name in ABOUT}
        self.measures = {name: values for name, values in self.measures.items() if np.isfinite(values).any()}
        self.crops = Crops.of(manifest, pa.array(self.ids, pa.string()))
        self._find_groups()
        self.refresh()

    def __len__(self) -> int:
        return len(self.ids)

    def _find_groups(self) -> None:
        """Groups stay what they are while they are looked at: one kept by hand does not leave its group."""
        frames = self._table.select(["frame_id", "duplicate_of"])
        self.group = np.full(len(self), -1, np.int64)
        self.members: dict[int, np.ndarray] = {}
        for group in near_duplicates(self.manifest, frames, because_of=self.words.because_of()):
            rows = np.array([self.row_of[id_] for id_ in (group.kept, *group.others)])
            self.group[rows] = rows[0]
            self.members[int(rows[0])] = rows

    def refresh(self, rows: list[int] | None = None) -> None:
        """Take over what is said now, of some frames or of all."""
        if rows is None:
            self.is_in = np.ones(len(self), bool)
            self.person = np.zeros(len(self), np.int8)  # 1 keeps, -1 leaves out, 0 says nothing
            self.reason: dict[int, str] = {}
            rows = [self.row_of[item] for item in self.words.items() if item in self.row_of]
        for row in rows:
            word, said = self.words.of(self.ids[row])
            self.is_in[row] = word is None or bool(word.keep)
            self.person[row] = 0 if said is None else 1 if said else -1
            self.reason.pop(row, None)
            if word is not None and not word.keep:
                self.reason[row] = word.reason or MINE
        self.__dict__.pop("_reasons", None)

    @cached_property
    def _reasons(self) -> tuple[list[str], np.ndarray]:
        """The reasons there are, and which one each frame has; -1 for none."""
        names = list(dict.fromkeys(self.reason.values()))
        number = {name: place for place, name in enumerate(names)}
        codes = np.full(len(self), -1, np.int64)
        codes[list(self.reason)] = [number[reason] for reason in self.reason.values()]
        return names, codes

    @cached_property
    def content(self) -> dict[str, np.ndarray]:
        """Content group → (N,) bool: frames that show it; empty where no tagger looked."""
        lists = self._table["content"].combine_chunks()
        rows, names = pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists)
        found = {}
        for name in sorted(filter(None, names.unique().to_pylist())):
            shows = np.zeros(len(self), bool)
            shows[rows[pc.fill_null(pc.equal(names, name), False).to_numpy(zero_copy_only=False)]] = True
            found[name] = shows
        return found

    def rows(self, view: View) -> np.ndarray:
        """(M,) uint32: the frames of a view in its order, with `NEW_LINE` where it is sorted by group.

        Raises:
            CommandError: The dataset has no such source, measure, content or frame.
        """
        rows = np.flatnonzero(self._shown(view))
        if view.sort == "group":
            return self._by_group(rows)
        if view.sort == "order":
            return (rows[::-1] if view.descending else rows).astype(np.uint32)
        values = self._measure(view.sort)[rows]
        values = -values if view.descending else values
        return rows[np.argsort(values, kind="stable")].astype(np.uint32)  # not-a-number comes last

    def _shown(self, view: View) -> np.ndarray:
        shown = np.ones(len(self), bool)
        if view.source:
            if not all(0 <= place < len(self.sources) for place in view.source):
                raise CommandError("no such source")
            shown &= np.isin(self.source, view.source)
        shown &= _between(self.seconds, view.start, view.stop)
        if view.state:
            states = {"in": self.is_in, "out": ~self.is_in, "mine": self.person != 0}
            shown &= states[view.state] if view.state in states else _refuse("state", view.state)
        if view.reason:
            names, codes = self._reasons
            shown &= np.isin(codes, [names.index(name) for name in view.reason if name in names])
        if view.measure:
            shown &= _between(self._measure(view.measure), view.low, view.high)
        if view.content:
            for name in view.content:
                _ = self.content[name] if name in self.content else _refuse("content", name)
            shown &= np.any([self.content[name] for name in view.content], axis=0)
        if view.group is not None:
            shown &= self._is_of_group(view.group)
        if view.duplicates:
            shown &= self.group >= 0
        if view.text:
            shown &= self._mentions(view.text)
        return shown

    def _is_of_group(self, row: int) -> np.ndarray:
        if not 0 <= row < len(self):
            _refuse("frame", row)
        if self.group[row] < 0:
            return np.arange(len(self)) == row
        return self.group == self.group[row]

    def _mentions(self, text: str) -> np.ndarray:
        found = np.zeros(len(self), bool)
        for name in ("frame_id", "name"):
            there = pc.match_substring(self._table[name], text, ignore_case=True)
            found |= pc.fill_null(there, False).to_numpy()
        return found

    def _measure(self, name: str) -> np.ndarray:
        return self.measures[name] if name in self.measures else _refuse("measure", name)

    def _by_group(self, rows: np.ndarray) -> np.ndarray:
        """Largest groups first, the kept one first in each; then frames of no group."""
        place = np.full(len(self), -1, np.int64)
        ends = 0
        for members in self.members.values():  # largest first
            place[members] = np.arange(ends, ends + len(members))
            ends += len(members)
        grouped, alone = rows[self.group[rows] >= 0], rows[self.group[rows] < 0]
        grouped = grouped[np.argsort(place[grouped])]
        leaders = self.group[grouped]
        marks = np.concatenate([np.diff(leaders, prepend=-1) != 0, np.arange(len(alone)) == 0])
        found = np.concatenate([grouped, alone]).astype(np.uint32)
        found[marks] |= NEW_LINE
        return found

    # What the page is told ------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Of the dataset: sources, what is left out and why, measures, content."""
        names, codes = self._reasons
        counts = np.bincount(codes[codes >= 0], minlength=len(names)).tolist()
        reasons = Counter(dict(zip(names, counts, strict=True)))
        content = {name: int(shows.sum()) for name, shows in self.content.items()}
        return {
            "name": self.manifest.root.name,
            "frames": len(self),
            "in": int(self.is_in.sum()),
            "mine": int((self.person != 0).sum()),
            "pairs": len(self.crops.place),
            "crop_size": self.manifest.info.options.get("crop_size"),
            "smoothed": self.manifest.has_smoothed,
            "sources": self._sources(),
            "reasons": {name: count for name, count in reasons.most_common() if count},
            "measures": [
                {
                    "name": name,
                    "low": _number(np.nanmin(values)),
                    "high": _number(np.nanmax(values)),
                    "about": ABOUT[name],
                }
                for name, values in self.measures.items()
            ],
            "content": content or None,
            "groups": len(self.members),
        }

    def _sources(self) -> list[dict[str, Any]]:
        known = {source.id: source for source in self.manifest.info.sources}
        short = Counter(id_.rpartition("-")[0] for id_ in self.sources)
        counts = np.bincount(self.source, minlength=len(self.sources)).tolist()
        told = []
        for place, id_ in enumerate(self.sources):
            seconds = self.seconds[self.source == place]
            seconds = seconds[np.isfinite(seconds)]
            source, name = known.get(id_), id_.rpartition("-")[0]
            told.append(
                {
                    "name": name if name and short[name] == 1 else id_,
                    "id": id_,
                    "path": source.path if source else "",
                    "kind": source.kind if source else "film",
                    "frames": counts[place],
                    "seconds": float(seconds.max()) if len(seconds) else None,
                }
            )
        return told

    def told(self, row: int) -> dict[str, Any]:
        """Of a frame, as the grid needs it."""
        plain = {name: self._table[name][row].as_py() for name in ("frame_number", "name", "width", "height")}
        leader = int(self.group[row])
        return {
            "row": row,
            "id": self.ids[row],
            "source": int(self.source[row]),
            "number": plain.pop("frame_number"),
            **plain,
            "seconds": _number(self.seconds[row]),
            "in": bool(self.is_in[row]),
            "reason": self.reason.get(row),
            "person": {1: True, -1: False}.get(int(self.person[row])),
            "group": leader if leader >= 0 else None,
            "members": len(self.members[leader]) if leader >= 0 else 0,
            "pairs": len(self.crops.of_frame(row)),
        }

    def told_all(self, row: int) -> dict[str, Any]:
        """Of a frame, all there is."""
        columns = ("fingerprint", "pts", "content", "tags", "hash")
        plain = {name: self._table[name][row].as_py() for name in columns}
        members = self.members.get(int(self.group[row])) if self.group[row] >= 0 else None
        return self.told(row) | {
            "fingerprint": plain["fingerprint"],
            "pts": plain["pts"],
            "hash": None if plain["hash"] is None else f"{plain['hash']:016x}",
            "measures": {name: _number(values[row]) for name, values in self.measures.items()},
            "content": plain["content"],
            "tags": _tags(plain["tags"]),
            "rules": [self._rule(word) for word in self.words.rules.get(self.ids[row], [])],
            "history": [_said(word) for word in self.words.people.get(self.ids[row], [])],
            "crops": [self._crop(place) for place in self.crops.of_frame(row)],
            "group": None
            if members is None
            else [{"row": int(other), "distance": self._distance(other, members[0])} for other in members],
        }

    def _rule(self, word: Decision) -> dict[str, Any]:
        because_of = self.row_of.get(word.because_of or "")
        return {"reason": word.reason, "by": word.by, "because_of": because_of}

    def _crop(self, place: int) -> dict[str, Any]:
        word, _ = self.words.of(self.crops.ids[place].as_py())
        columns = {
            name.removeprefix("crop_"): values[place].item() for name, values in self.crops.columns.items()
        }
        out = word is not None and not word.keep
        return columns | {
            "pair_id": self.crops.ids[place].as_py(),
            "in": not out,
            "reason": (word.reason or MINE) if word is not None and out else None,
            "smoothed": self.manifest.has_smoothed,
        }

    def _distance(self, first: int, second: int) -> int | None:
        hashes = [self._table["hash"][int(row)].as_py() for row in (first, second)]
        return None if None in hashes else (hashes[0] ^ hashes[1]).bit_count()


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy()


def _between(values: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    """Where values lie from `low` to `high`; not-a-number lies nowhere."""
    inside = np.ones(len(values), bool)
    if low is not None:
        inside &= values >= low
    if high is not None:
        inside &= values <= high
    return inside


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _refuse(what: str, name: object) -> Any:
    raise CommandError(f"no such {what}: {name}")


def _tags(text: str | None) -> dict[str, float] | None:
    """A stranger's manifest may hold anything here."""
    try:
        tags = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(tags, dict):
        return None
    return {str(tag): float(p) for tag, p in tags.items() if isinstance(p, int | float) and np.isfinite(p)}


def _said(word: Decision) -> dict[str, Any]:
    at = word.at.isoformat() if word.at else None
    return {"keep": word.keep, "reason": word.reason, "by": word.by, "at": at}
