"""How measures are distributed, with the frames and crops that one would look at first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from framekit.audit import about, commands, plots
from framekit.audit.about import About
from framekit.audit.answers import meeting, number
from framekit.audit.measures import Distribution, rounded
from framekit.audit.plots import Plot
from framekit.audit.sheet import Sheet, Shown
from framekit.images.rules import parse_rule

WORST = 4
LEFT_OUT_AT_ONCE = 0.01
"""Share of the frames or crops that a command beside a measure leaves out, about."""


@dataclass(frozen=True)
class Card:
    """A measure.

    Attributes:
        name: As rules call it.
        worst: Pictures, each with its value.
        command: Leaves out about a hundredth, and `count` tells how many that is; empty where there is none.
    """

    name: str
    about: About
    found: Distribution
    plot: Plot
    worst: list[tuple[Shown, str]]
    command: str
    count: int
    of_crops: bool


def quality(sheet: Sheet) -> dict[str, Any]:
    """Cards of all measures that were taken, of frames and of crops."""
    figures, crops = sheet.audit.figures, sheet.rows.crops
    of_frames = [
        _card(sheet, name, its, figures.measures[name], of_crops=False)
        for name, its in about.FRAMES.items()
        if name in figures.measures
    ]
    of_crops = [
        _card(sheet, name, its, figures.crop_measures[name], of_crops=True)
        for name, its in about.CROPS.items()
        if name in figures.crop_measures and (name != "overlay" or crops.measures[name].any())
    ]
    return {"frame_cards": of_frames, "crop_cards": of_crops}


def _card(sheet: Sheet, name: str, its: About, found: Distribution, *, of_crops: bool) -> Card:
    frames, crops = sheet.rows.frames, sheet.rows.crops
    values = crops.measures[name] if of_crops else frames.measures[name]
    among = np.arange(len(crops)) if of_crops else np.flatnonzero(frames.kept)
    show = sheet.crop if of_crops else sheet.frame
    worst = [(show(at), number(values[at])) for at in worst_of(values, among, its, found.median)]
    written = f"crop.{name}" if of_crops else name
    rule = worst_hundredth(written, values[among], its)
    file = written.replace(".", "-").replace("_", "-")
    return Card(
        name=written,
        about=its,
        found=found,
        plot=sheet.drawn(plots.histogram(file, f"{its.title}: {its.means}", found)),
        worst=worst,
        command=commands.dedup(sheet.rows, leave_out=rule) if rule else "",
        count=int(meeting(parse_rule(rule), sheet.rows).sum()) if rule else 0,
        of_crops=of_crops,
    )


def worst_of(values: np.ndarray, among: np.ndarray, its: About, median: float) -> list[int]:
    """The positions that one would look at first; what lies in the middle is no worst.

    Args:
        values: (N,) of the measure.
        among: Positions.
        its: Where the worst lie.
        median: Of all.
    """
    told = among[np.isfinite(values[among])]
    sign = 1 if its.worst == "lowest" else -1
    order = told[np.argsort(sign * values[told], kind="stable")][:WORST]
    return [int(at) for at in order if sign * values[at] < sign * median]


def worst_hundredth(name: str, values: np.ndarray, its: About) -> str:
    """A rule that leaves out about the worst hundredth; empty where no limit does.

    Where as many and more share the very worst value, as crops without any edge do, it is these.
    """
    told = np.sort(values[np.isfinite(values)])
    if its.worst == "highest":
        told = -told[::-1]
    if len(told) < 2 or told[0] == told[len(told) // 2]:
        return ""
    count = max(1, round(len(told) * LEFT_OUT_AT_ONCE))
    ties = told[count] == told[0]
    limit = float(told[0]) if ties else rounded(float(told[count]))
    below = (told <= limit) if ties else (told < limit)
    if not below.any() or (not ties and below.sum() > 3 * count):
        return ""
    sign = "<" if its.worst == "lowest" else ">"
    written = np.format_float_positional(limit if its.worst == "lowest" else -limit, trim="-")
    return f"{name}{sign}{'=' if ties else ''}{written}"
