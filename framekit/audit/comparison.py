"""Two datasets side by side: what is in both, where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from framekit.audit.answers import Figure, makes_sense, share_of
from framekit.audit.measures import Share, bin_edges, rounded
from framekit.audit.rows import Rows
from framekit.audit.rules import ISSUES
from framekit.audit.sameness import Common, find_common
from framekit.errors import printable
from framekit.images.rules import parse_rule

SHIFTS = 6
"""Measures that are named as those that differ most."""


@dataclass(frozen=True)
class Line:
    """A figure of both datasets."""

    name: str
    here: Figure
    there: Figure


@dataclass(frozen=True)
class Shift:
    """How differently a measure of frames is distributed.

    Attributes:
        here, there: Medians.
        distance: Largest difference of the cumulative distributions, 0 to 1 (Kolmogorov and Smirnov).
        edges: Of the bins of a histogram.
        shares_here, shares_there: Share of the frames in each bin.
    """

    measure: str
    here: float
    there: float
    distance: float
    edges: list[float]
    shares_here: list[float]
    shares_there: list[float]


@dataclass(frozen=True)
class Comparison:
    """Another dataset beside the audited one.

    Attributes:
        dataset: The other's folder.
        lines: Figures of both.
        shifts: The measures that differ most.
        options: Name → values here and there, of what they were made with, where they differ.
        sources_in_both, sources_here, sources_there: By content; ids here, and there for the last.
        common: Frames that are near-duplicates; None where hashes don't compare.
        notes: What was not as it should be with the other one.
    """

    dataset: str
    lines: list[Line]
    shifts: list[Shift]
    options: dict[str, tuple[Any, Any]]
    sources_in_both: list[str]
    sources_here: list[str]
    sources_there: list[str]
    common: Common | None
    notes: list[str]


def compare(rows: Rows, others: Rows) -> Comparison:
    """Hold a dataset against another one."""
    here, there = ({source.fingerprint: source.id for source in its.sources} for its in (rows, others))
    options, theirs = rows.manifest.info.options, others.manifest.info.options
    figures, their_figures = _figures(rows), _figures(others)
    return Comparison(
        dataset=str(others.root),
        lines=[
            Line(name, figures.get(name), their_figures.get(name))
            for name in dict.fromkeys([*figures, *their_figures])
        ],
        shifts=_shifts(rows, others),
        options={
            name: (options.get(name), theirs.get(name))
            for name in sorted({*options, *theirs})
            if options.get(name) != theirs.get(name)
        },
        sources_in_both=sorted(here[print_] for print_ in here.keys() & there.keys() if print_),
        sources_here=sorted(here[print_] for print_ in here.keys() - there.keys()),
        sources_there=sorted(there[print_] for print_ in there.keys() - here.keys()),
        common=find_common(rows, others),
        notes=[printable(line) for line in (*others.damaged, *others.notes)],
    )


def _figures(rows: Rows) -> dict[str, Figure]:
    frames = rows.frames
    kept = int(frames.kept.sum())
    content = {} if frames.content is None else frames.content
    told = int((frames.kept & frames.told).sum())
    return {
        "sources": len(rows.sources),
        "sampled frames": len(frames),
        "frames that are in": kept,
        "pairs": len(rows.crops),
        "left out": Share(len(frames) - kept, len(frames)) if len(frames) else None,
        **{
            name: share_of(parse_rule(rule), rows) for name, rule in ISSUES.items() if makes_sense(name, rows)
        },
        **{name: Share(int((shows & frames.kept).sum()), told) for name, shows in content.items()},
    }


def _shifts(rows: Rows, others: Rows) -> list[Shift]:
    shifts = []
    for name, values in rows.frames.measures.items():
        theirs = others.frames.measures.get(name)
        if theirs is None:
            continue
        a, b = (
            np.sort(column[frames.kept & np.isfinite(column)])
            for column, frames in ((values, rows.frames), (theirs, others.frames))
        )
        if len(a) and len(b):
            shifts.append(_shift(name, a, b))
    return sorted(shifts, key=lambda shift: (-shift.distance, shift.measure))[:SHIFTS]


def _shift(name: str, here: np.ndarray, there: np.ndarray) -> Shift:
    """Of two sorted samples."""
    both = np.concatenate([here, there])
    apart = np.abs(
        np.searchsorted(here, both, side="right") / len(here)
        - np.searchsorted(there, both, side="right") / len(there)
    )
    edges = bin_edges(both)
    shares = [np.histogram(side.clip(edges[0], edges[-1]), edges)[0] / len(side) for side in (here, there)]
    return Shift(
        name,
        rounded(float(np.median(here))),
        rounded(float(np.median(there))),
        rounded(float(apart.max())),
        [rounded(float(edge)) for edge in edges],
        *([rounded(float(share)) for share in side] for side in shares),
    )
