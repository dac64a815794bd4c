"""The audit in plain words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from framekit.audit.answers import percent
from framekit.audit.auditing import Figures
from framekit.errors import printable

LONGEST_NAME = 40
LISTED = 12
"""Reasons and groups that a line names."""
TOLD = ("brightness", "contrast", "sharpness")
"""Measures that are told here; the report has all."""


def report_lines(figures: Figures) -> Iterator[str]:
    """The report, line by line: what there is, what was left out, per source, what is worth doing."""
    return map(printable, _lines(figures))  # names and reasons are strangers'


def rule_lines(figures: Figures) -> Iterator[str]:
    """A line for each rule that was given and holds."""
    return (printable(f"{rule.rule}: {rule.shown}") for rule in figures.failed)


def _lines(figures: Figures) -> Iterator[str]:
    counts = figures.counts
    made_from = f"{counts.kept:,} of {counts.sampled:,} sampled frames"
    yield f"{figures.dataset}: {counts.pairs:,} pairs from {made_from}"
    if not figures.finished:
        yield "unfinished: the extraction was interrupted; run the same framekit extract again to complete it"
    if counts.dropped:
        yield "left out: " + _listed(counts.dropped)
    if counts.pairs_dropped:
        yield "pairs left out: " + _listed(counts.pairs_dropped)
    if counts.groups:
        yield "groups: " + _listed(counts.groups)
    if counts.content is None:
        yield "content: not measured; framekit extract --tagger tells people, animals and scenery apart"
    elif counts.content:
        shares = (f"{name} in {percent(count / counts.content_of)}" for name, count in counts.content.items())
        yield "content: " + ", ".join(shares) + f" of {counts.content_of:,} frames"
    if counts.split:
        yield "split: " + ", ".join(f"{count:,} pairs {side}" for side, count in counts.split.items())
    if figures.resizing:
        edges, lines = figures.resizing.edge_sharpness.left, figures.resizing.line_contrast.left
        yield (
            f"squashed to {figures.resizing.side} pixels, frames would have kept {percent(edges)} of their "
            f"edges' sharpness and {percent(lines)} of their lines' contrast"
        )
    yield ""
    width = min(LONGEST_NAME, max((len(s.id) for s in figures.sources), default=6))
    yield f"{'source':{width}}  sampled    kept   pairs  left out"
    for source in figures.sources:
        name = source.id if len(source.id) <= width else source.id[: width - 1] + "…"
        left_out = _listed(source.dropped)
        yield f"{name:{width}}  {source.sampled:7,} {source.kept:7,} {source.pairs:7,}  {left_out}"
    yield ""
    for name in TOLD:
        if name in figures.measures:
            _, low, _, median, _, high, _ = figures.measures[name].quantiles
            yield f"{name}: {median:g} in the middle, 90 % from {low:g} to {high:g}"
    yield from (f"damaged: {line}" for line in figures.damaged)
    yield from (f"note: {line}" for line in figures.notes)
    yield from (f"problem: {line}" for line in figures.problems)
    yield f"{figures.verdict.headline}. Worth doing:"
    for number, advice in enumerate(figures.advice, start=1):
        yield f"{number}. {advice.what}. {advice.why}"
        yield f"   {advice.command}"


def _listed(counts: dict[str, int]) -> str:
    named = [f"{count:,} {name}" for name, count in list(counts.items())[:LISTED]]
    return ", ".join([*named, *([f"{len(counts) - LISTED:,} others"] if len(counts) > LISTED else [])])
