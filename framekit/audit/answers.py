"""The figures that rules may name, and what a rule's answer is for a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from framekit.audit.measures import Counts, Share, SourceFigures
from framekit.audit.rows import Rows
from framekit.audit.rules import CONTENT, ISSUES, OPEN_ENDED, DatasetRule, is_of_pairs
from framekit.audit.sameness import Common, NearDuplicates
from framekit.images.rules import COMPARISONS, Rule, parse_rule

Figure = Share | int | float | None
"""A share, a count, a median; None for what is not known."""


@dataclass(frozen=True)
class Answer:
    """What a rule found.

    Attributes:
        rule: As it was written.
        value: The figure; None where it is not known.
        holds: Whether it is beyond the limit. What is not known holds: a gate must not open for it.
        shown: The figure in words, or why it is not known.
    """

    rule: str
    value: float | None
    holds: bool
    shown: str


def named_figures(
    rows: Rows,
    counts: Counts,
    sources: list[SourceFigures],
    near: NearDuplicates,
    *,
    leaks: Common | None,
    overlap: Common | None,
) -> dict[str, Figure]:
    """All counts and shares by their names."""
    films = [source for source in sources if source.kind == "film" and source.pairs]
    # Subfolders tell what pictures show where one at least has the name of a content group.
    told = rows.frames.content is not None or np.isin(CONTENT, list(counts.groups)).any()
    content = {name: content_share(rows, name) for name in CONTENT} if told else {}
    most = max((source.pairs for source in films), default=0)
    return {
        "films": len(films),
        "frames": counts.kept,
        "pairs": counts.pairs,
        "leaks": None if leaks is None else leaks.first,
        "overlap": None if overlap is None else overlap.first,
        "duplicates": Share(near.still_in, counts.kept) if counts.kept else None,
        "dropped": Share(counts.sampled - counts.kept, counts.sampled) if counts.sampled else None,
        "largest-film": Share(most, sum(source.pairs for source in films)) if films else None,
        **{name: share_of(parse_rule(rule), rows) for name, rule in ISSUES.items()},
        **(dict.fromkeys(CONTENT) | content),
    }


def answer(
    rule: DatasetRule, rows: Rows, named: Mapping[str, Figure], medians: Mapping[str, float]
) -> Answer:
    """Ask a dataset.

    Args:
        rule: The rule.
        rows: The dataset.
        named: From `named_figures`.
        medians: Of measures by their names, those of crops as `crop.sharpness`.
    """
    found: Figure
    if rule.each is not None:
        found = share_of(rule.each, rows)
    elif (open_ended := OPEN_ENDED.fullmatch(rule.name)) is not None:
        kind, name = open_ended.groups()
        found = content_share(rows, name) if kind == "content" else _reason_share(rows, name)
    elif rule.name in named:
        found = named[rule.name]
    else:
        found = medians.get(rule.name)
    if found is None:
        why = _reasons_here(rows) if rule.name.startswith("dropped.") else why_unknown(rule.name)
        return Answer(rule.text, None, True, f"not known: {why}")
    value = found.share if isinstance(found, Share) else found
    return Answer(rule.text, value, rule.holds(value), shown(found, of_pairs=is_of_pairs(rule)))


def share_of(rule: Rule, rows: Rows) -> Share | None:
    """How many of the frames that are in, or of the pairs, meet a rule; None where none was measured so."""
    measures = rows.crops.measures if rule.of_crops else rows.frames.measures
    told = _counted(rule, rows)
    for condition in rule.conditions:
        told &= np.isfinite(measures.get(condition.measure, np.nan))
    return Share(int(meeting(rule, rows).sum()), int(told.sum())) if told.any() else None


def meeting(rule: Rule, rows: Rows) -> np.ndarray:
    """(N,) or (P,) bool: the frames that are in, or the pairs, that meet a rule; nothing unmeasured does."""
    measures = rows.crops.measures if rule.of_crops else rows.frames.measures
    met = _counted(rule, rows)
    for measure, comparison, limit in rule.conditions:
        met &= COMPARISONS[comparison](measures.get(measure, np.nan), limit)
    return met


def _counted(rule: Rule, rows: Rows) -> np.ndarray:
    return np.ones(len(rows.crops), bool) if rule.of_crops else rows.frames.kept.copy()


def content_share(rows: Rows, group: str) -> Share | None:
    """How many of the frames that are in show a content group, as a tagger or a still's subfolder says."""
    frames = rows.frames
    if frames.content is not None:
        told = frames.kept & frames.told
        shows = frames.content.get(group, np.zeros(len(frames), bool))
    else:
        told = frames.kept & (frames.groups != None)  # noqa: E711 - element by element
        shows = frames.groups == group
    return Share(int((shows & told).sum()), int(told.sum())) if told.any() else None


def _reason_share(rows: Rows, reason: str) -> Share | None:
    """How many of the sampled frames are left out for a reason, written with or without hyphens; None where
    neither a rule nor a person could have said so."""
    wanted = reason.strip().replace("-", " ")
    found = sum(str(its).replace("-", " ") == wanted for its in rows.frames.reasons if its is not None)
    if not found and wanted not in {its.replace("-", " ") for its in _own_reasons(rows)}:
        return None
    return Share(found, len(rows.frames)) if len(rows.frames) else None


def _own_reasons(rows: Rows) -> set[str]:
    """Reasons that framekit itself could have for leaving out a frame of this dataset."""
    from framekit.extraction.deciding import NOT_CUT
    from framekit.extraction.segment import DUPLICATE, UNCUTTABLE

    return {DUPLICATE, NOT_CUT, *UNCUTTABLE, *(rule.reason for rule in rows.options.frame_rules())}


def _reasons_here(rows: Rows) -> str:
    here = {str(its) for its in rows.frames.reasons if its is not None}
    return f"no such reason; there are {', '.join(sorted(here | _own_reasons(rows)))}"


def makes_sense(issue: str, rows: Rows) -> bool:
    """Whether an issue can be one: photos are not interlaced, and have no smoothed half."""
    if issue == "combed":
        return rows.films
    return issue != "lineless" or rows.manifest.has_smoothed


def why_unknown(name: str) -> str:
    """Why a figure may not be known, and what to do about it."""
    if name in CONTENT or name.startswith("content."):
        return "nothing says what frames show; framekit extract --tagger does"
    if name == "leaks":
        return "the dataset is not split; framekit split does it"
    if name == "overlap":
        return "no photos to compare with, or not all of them can be read; --photos names them"
    return "nothing that is in was measured so"


def shown(found: Share | float, *, of_pairs: bool = False) -> str:
    """A figure in words."""
    if isinstance(found, Share):
        return (
            f"{percent(found.share)} ({found.part:,} of {found.whole:,} {'pairs' if of_pairs else 'frames'})"
        )
    return f"{found:,}" if isinstance(found, int) else number(found)


def number(value: float) -> str:
    """To about three digits that count, never with an exponent."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 1 or not size:
        return f"{value:.3g}"
    return f"{value:.3g}" if size >= 0.0001 else "under 0.0001"


def percent(share: float) -> str:
    """With a decimal where it is small, and never rounded to none or to all."""
    if 0 < share < 0.001:
        return "under 0.1 %"
    if 0.999 < share < 1:
        return "over 99.9 %"
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")
