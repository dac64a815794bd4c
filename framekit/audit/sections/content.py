"""What frames show, as an image tagger or the subfolders of photos say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from framekit.audit import commands, plots
from framekit.audit.advice import TAGGER
from framekit.audit.answers import content_share
from framekit.audit.measures import Share, spread
from framekit.audit.plots import Plot
from framekit.audit.sheet import SHOWN_SOURCES, Sheet, Shown, film_name

SHOWN_GROUPS, OF_A_GROUP = 12, 4
SHADES = (0.0, 0.05, 0.15, 0.3, 0.5)
"""Shares from which a cell of a table is darker."""


@dataclass(frozen=True)
class Group:
    """A content group with some frames of it."""

    name: str
    share: Share
    plot: Plot
    frames: list[Shown]


@dataclass(frozen=True)
class Cell:
    """The share of a source's frames that are in a group, and how dark it is shown."""

    share: Share

    @property
    def shade(self) -> int:
        """0 to 5."""
        return int(np.searchsorted(SHADES, self.share.share, side="left"))


def content(sheet: Sheet) -> dict[str, Any]:
    """Content groups, and how they are spread over sources."""
    rows, counts = sheet.rows, sheet.audit.figures.counts
    names = list(counts.content or counts.groups)[:SHOWN_GROUPS]
    return {
        "by_tagger": rows.frames.content is not None,
        "groups_shown": [_group(sheet, name) for name in names],
        "content_table": _table(sheet, names),
        "tag_command": commands.extract_anew(rows, "-tagged", {"tagger": TAGGER}),
    }


def _shows(sheet: Sheet, name: str) -> np.ndarray:
    """(N,) bool."""
    frames = sheet.rows.frames
    found: np.ndarray = frames.groups == name if frames.content is None else frames.content[name]
    return found & frames.kept


def _group(sheet: Sheet, name: str) -> Group:
    share = content_share(sheet.rows, name) or Share(0, 0)
    parts = [(name, share.part, "kept"), ("others", share.whole - share.part, "ground")]
    plot = sheet.drawn(plots.shares("content", f"Frames that show {name}", parts))
    showing = spread(np.flatnonzero(_shows(sheet, name)).tolist(), OF_A_GROUP)
    return Group(name, share, plot, sheet.frames(showing))


def _table(sheet: Sheet, names: list[str]) -> list[tuple[str, list[Cell]]]:
    """A line of cells for each source, where there are several."""
    rows, frames = sheet.rows, sheet.rows.frames

    def counted(shows: np.ndarray) -> np.ndarray:
        return np.bincount(frames.source[shows & (frames.source >= 0)], minlength=len(rows.sources))

    kept = counted(frames.kept)
    if not names or np.count_nonzero(kept) < 2:
        return []
    largest = sorted(np.flatnonzero(kept).tolist(), key=lambda place: -kept[place])[:SHOWN_SOURCES]
    columns = [counted(_shows(sheet, name)) for name in names]
    return [
        (
            film_name(rows.sources[place].path),
            [Cell(Share(int(column[place]), int(kept[place]))) for column in columns],
        )
        for place in sorted(largest)
    ]
