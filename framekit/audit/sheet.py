"""A report in the making: what its sections show frames, crops and plots with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np

from framekit.audit import plots
from framekit.audit.auditing import Audit
from framekit.audit.pictures import Picture, Pictures, middle
from framekit.audit.plots import Plot
from framekit.audit.rows import Rows
from framekit.audit.sameness import Twins

SHOWN_SOURCES = 40
"""Sources that tables and lists hold; audit.json holds all."""


@dataclass(frozen=True)
class Shown:
    """A frame or a crop: its picture where there is one, the film or the still that it is from, and when."""

    picture: Picture | None
    film: str
    when: str

    @property
    def where(self) -> str:
        """In words."""
        return f"{self.film} {self.when}".strip()


@dataclass(frozen=True)
class ShownTwins:
    """Two near-duplicates, and the bits in which their hashes differ."""

    first: Shown
    second: Shown
    distance: int


@dataclass
class Sheet:
    """What a report is made of.

    Attributes:
        plots: Drawings in the order in which they stand on the page.
    """

    audit: Audit
    plots: list[Plot] = field(default_factory=list)

    @property
    def rows(self) -> Rows:
        """The dataset."""
        return self.audit.rows

    @property
    def pictures(self) -> Pictures:
        """Its pictures."""
        return self.audit.pictures

    def frame(self, row: int) -> Shown:
        """The frame at a place among all."""
        return _frame(self.rows, self.pictures, row)

    def frames(self, rows: Iterable[int]) -> list[Shown]:
        """Frames at places among all."""
        return [self.frame(row) for row in rows]

    def named(self, frame_id: str) -> Shown:
        """The frame of an id."""
        return self.frame(self.rows.frames.row_of[frame_id])

    def twins(self, twins: Twins, other: str | None = None) -> ShownTwins:
        """Near-duplicates; the second is of another dataset where one is named: `photos`, `against`."""
        rows, pictures = (self.rows, self.pictures) if other is None else self.audit.others[other]
        second = _frame(rows, pictures, rows.frames.row_of[twins.second])
        return ShownTwins(self.named(twins.first), second, twins.distance)

    def crop(self, position: int) -> Shown:
        """The crop at a place among the pairs."""
        found, at = self.pictures.pair(position), self.origin(position)
        picture = None if found is None else self.pictures.encoded(middle(found[0]), "webp:90")
        return Shown(picture, at.film, at.when)

    def origin(self, position: int) -> Shown:
        """Where a pair comes from, without a picture."""
        frame = int(self.rows.crops.frame[position])
        if frame < 0:
            return Shown(None, str(self.rows.crops.ids[position].as_py()), "")
        return Shown(None, *_place(self.rows, frame))

    def drawn(self, plot: Plot) -> Plot:
        """A plot as it stands on the page; it gets a file, too."""
        plot = plots.numbered(plot, len(self.plots) + 1)
        self.plots.append(plot)
        return plot


def _frame(rows: Rows, pictures: Pictures, row: int) -> Shown:
    return Shown(pictures.frame(row), *_place(rows, row))


def _place(rows: Rows, row: int) -> tuple[str, str]:
    """The film and the time of a frame, or the still that it is."""
    frames = rows.frames
    name, seconds = frames.names[row], float(frames.seconds[row])
    if name is not None:
        return name, ""
    source = int(frames.source[row])
    film = film_name(rows.sources[source].path) if source >= 0 else frames.ids[row]
    if np.isnan(seconds):
        return film, f"frame {frames.number[row]:,}"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return film, (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{rest:04.1f}"


def film_name(path: str) -> str:
    """A film's file name."""
    return PurePath(path).name or path
