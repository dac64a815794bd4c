"""What stands beside each other: train and test, cartoons and photos, two datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from framekit.audit import about, plots
from framekit.audit.answers import Figure, percent
from framekit.audit.comparison import Comparison, Shift
from framekit.audit.measures import Share
from framekit.audit.plots import Plot
from framekit.audit.sheet import Sheet, ShownTwins

SHOWN_TWINS = 6


@dataclass(frozen=True)
class ShownLine:
    """A figure of two datasets in words, and whether they are far apart."""

    name: str
    here: str
    there: str
    differs: bool


@dataclass(frozen=True)
class ShownShift:
    """A measure that differs."""

    title: str
    shift: Shift
    plot: Plot


@dataclass(frozen=True)
class Beside:
    """Another dataset beside the audited one."""

    found: Comparison
    lines: list[ShownLine]
    twins: list[ShownTwins]
    shifts: list[ShownShift]


def split(sheet: Sheet) -> dict[str, Any]:
    """Near-duplicates on both sides of the split."""
    leaks = sheet.audit.figures.leaks
    return {
        "leaks": leaks,
        "leaking": [sheet.twins(twins) for twins in (leaks.twins[:SHOWN_TWINS] if leaks else ())],
        "is_split": sheet.rows.manifest.info.split is not None,
    }


def others(sheet: Sheet) -> dict[str, Any]:
    """The photos, and the dataset to compare with, where they were named."""
    figures = sheet.audit.figures
    found = {"photos": figures.photos, "against": figures.against}
    return {name: its and _beside(sheet, name, its) for name, its in found.items()}


def _beside(sheet: Sheet, name: str, found: Comparison) -> Beside:
    twins = found.common.twins[:SHOWN_TWINS] if found.common else []
    return Beside(
        found=found,
        lines=[
            ShownLine(line.name, told(line.here), told(line.there), far_apart(line.here, line.there))
            for line in found.lines
        ],
        twins=[sheet.twins(its, name) for its in twins],
        shifts=[_shift(sheet, name, shift) for shift in found.shifts],
    )


def _shift(sheet: Sheet, name: str, shift: Shift) -> ShownShift:
    title = about.FRAMES[shift.measure].title if shift.measure in about.FRAMES else shift.measure
    file = f"{name}-{shift.measure}".replace("_", "-")
    return ShownShift(
        title, shift, sheet.drawn(plots.shifted(file, f"{title} in this dataset and in the other", shift))
    )


def told(figure: Figure) -> str:
    """A figure for a table; a dash where it is not known."""
    if figure is None:
        return "–"
    return percent(figure.share) if isinstance(figure, Share) else f"{figure:,}"


def far_apart(here: Figure, there: Figure) -> bool:
    """Whether two figures are to be looked at: shares apart by five in a hundred, counts by a half."""
    if isinstance(here, Share) and isinstance(there, Share):
        return abs(here.share - there.share) >= 0.05
    if isinstance(here, int) and isinstance(there, int):
        return abs(here - there) > 0.5 * max(here, there)
    return False
