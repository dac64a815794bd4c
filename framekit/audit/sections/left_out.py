"""What was left out and why, and the groups of near-duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from framekit.audit import commands, plots
from framekit.audit.about import REASONS
from framekit.audit.measures import Share, spread
from framekit.audit.sameness import DISTANCE
from framekit.audit.sheet import Sheet, Shown

SHOWN_REASONS, OF_A_REASON = 10, 8
SHOWN_TWINS = 6


@dataclass(frozen=True)
class Reason:
    """A reason with some of the frames that it leaves out."""

    name: str
    count: int
    means: str
    frames: list[Shown]


@dataclass(frozen=True)
class ShownGroup:
    """Near-duplicates: the one that is kept, and others with their distances from it."""

    size: int
    kept: Shown
    others: list[tuple[Shown, int | None]]


def left_out(sheet: Sheet) -> dict[str, Any]:
    """Reasons, most frequent first."""
    counts = sheet.audit.figures.counts
    named = list(counts.dropped.items())[:SHOWN_REASONS]
    others = sum(counts.dropped.values()) - sum(count for _, count in named)
    parts = [("kept", counts.kept, "kept"), *((name, count, "out") for name, count in named)]
    parts += [("other reasons", others, "out")]
    return {
        "reasons": [_reason(sheet, *its) for its in named],
        "other_reasons": Share(others, len(counts.dropped) - len(named)),
        "pairs_dropped": list(counts.pairs_dropped.items())[:SHOWN_REASONS],
        "left_out": Share(counts.sampled - counts.kept, counts.sampled),
        "reasons_plot": sheet.drawn(plots.shares("left-out", "Frames kept, and left out by reason", parts)),
    }


def _reason(sheet: Sheet, name: str, count: int) -> Reason:
    frames = sheet.rows.frames
    rows = np.flatnonzero(~frames.kept & (frames.reasons == name))
    is_rule = any(sign in name for sign in "<>")
    means = REASONS.get(name, "a rule of --leave-out" if is_rule else "a person's word")
    return Reason(name, count, means, sheet.frames(spread(rows.tolist(), OF_A_REASON)))


def duplicates(sheet: Sheet) -> dict[str, Any]:
    """The largest groups of near-duplicates, and what is in though it looks like another that is."""
    near, row_of = sheet.audit.figures.near_duplicates, sheet.rows.frames.row_of
    groups = [
        ShownGroup(
            size=group.size,
            kept=sheet.named(group.kept),
            others=[(sheet.frame(row_of[other.frame]), other.distance) for other in group.others],
        )
        for group in near.largest
    ]
    example = near.largest[0].others[0].frame if near.largest else ""
    return {
        "near": near,
        "distance": DISTANCE,
        "groups": groups,
        "still_in": [sheet.twins(twins) for twins in near.twins[:SHOWN_TWINS]],
        "keep_command": commands.command("framekit", "decide", sheet.rows.root, example, "--keep"),
    }
