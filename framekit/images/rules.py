"""Rules: what a picture's measures say against it, as `noise>6` or `crop.sharpness<20`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from framekit.errors import FramekitError

if TYPE_CHECKING:
    import numpy as np

QUALITY = (
    "brightness",
    "contrast",
    "luma_p1",
    "luma_p50",
    "luma_p99",
    "entropy",
    "sharpness",
    "edge_density",
    "flatness",
    "colourfulness",
    "blockiness",
    "combing",
    "noise",
    "text",
)
"""Measures of `quality.Quality`, by name; they can be told here without loading what measures them."""
FRAME_MEASURES = (*QUALITY, "fade", "dissolve", "pan_x", "pan_y", "zoom")
CROP_MEASURES = (*QUALITY, "overlay")

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
WRITTEN = re.compile(r"\s*(crop\.)?([a-z][a-z0-9_]*)\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\s*", re.ASCII)


class Condition(NamedTuple):
    """A measure beyond a limit, as `text>0.1`."""

    measure: str
    comparison: str
    limit: float


class Rule(NamedTuple):
    """Leaves out what meets all its conditions.

    Attributes:
        reason: Why, as decisions and summaries say it.
        conditions: At least one.
        of_crops: Whether crops are looked at instead of frames.
    """

    reason: str
    conditions: tuple[Condition, ...]
    of_crops: bool = False


def parse_rule(text: str) -> Rule:
    """Read a rule as a person writes it: `MEASURE<LIMIT`, `crop.MEASURE>=LIMIT`.

    Raises:
        FramekitError: It is none, or there is no such measure; with what there is.
    """
    match = WRITTEN.fullmatch(text)
    if match is None:
        raise FramekitError(f"{text!r} is no rule", advice="write it as noise>6 or crop.sharpness<20")
    of_crops, measure, comparison, limit = match.groups()
    known = CROP_MEASURES if of_crops else FRAME_MEASURES
    if measure not in known:
        kind = "crops" if of_crops else "frames"
        raise FramekitError(f"{kind} have no measure {measure}", advice=f"there are {', '.join(known)}")
    condition = Condition(measure, comparison, float(limit))
    return Rule(f"{of_crops or ''}{measure}{comparison}{limit}", (condition,), bool(of_crops))


def left_out(measures: Mapping[str, np.ndarray], rules: Iterable[Rule], count: int) -> np.ndarray:
    """Why pictures are left out.

    Args:
        measures: (N,) of each measure that a rule names; NaN meets no condition.
        rules: The first that a picture meets counts.
        count: N.

    Returns:
        (N,) objects: a reason, or None.
    """
    import numpy as np

    reasons = np.full(count, None, object)
    for rule in reversed(list(rules)):
        met = np.ones(count, bool)
        for measure, comparison, limit in rule.conditions:
            met &= COMPARISONS[comparison](measures[measure], limit)
        reasons[met] = rule.reason
    return reasons
