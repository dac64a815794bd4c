"""The audit in plain words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from framekit.audit.measures import Figures
from framekit.errors import printable

FEW_PAIRS = 1_000
LONGEST_NAME = 40


def report_lines(figures: Figures) -> Iterator[str]:
    """The report, line by line: what there is, what was left out, per source, what is worth doing."""
    return map(printable, _lines(figures))  # names and reasons are strangers'


def _lines(figures: Figures) -> Iterator[str]:
    made_from = f"{figures.kept:,} of {figures.sampled:,} sampled frames"
    yield f"{figures.dataset}: {figures.pairs:,} pairs from {made_from}"
    if not figures.finished:
        yield "unfinished: the extraction was interrupted; run the same framekit extract again to complete it"
    if figures.dropped:
        yield "left out: " + ", ".join(f"{count:,} {reason}" for reason, count in figures.dropped.items())
    if figures.groups:
        yield "groups: " + ", ".join(f"{count:,} {group}" for group, count in figures.groups.items())
    if figures.content is None:
        yield "content: not measured; framekit extract --tagger tells people, animals and scenery apart"
    elif figures.content:
        shares = (f"{group} in {count / figures.kept:.0%}" for group, count in figures.content.items())
        yield "content: " + ", ".join(shares) + " of the frames"
    if figures.split:
        yield "split: " + ", ".join(f"{count:,} pairs {side}" for side, count in figures.split.items())
    yield ""
    width = min(LONGEST_NAME, max((len(s.id) for s in figures.sources), default=6))
    yield f"{'source':{width}}  sampled    kept   pairs  left out"
    for source in figures.sources:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in source.dropped.items())
        name = source.id if len(source.id) <= width else source.id[: width - 1] + "…"
        yield f"{name:{width}}  {source.sampled:7,} {source.kept:7,} {source.pairs:7,}  {reasons}"
    yield ""
    for name, (_, low, _, median, _, high, _) in figures.quantiles.items():
        yield f"{name}: {median:g} in the middle, 90 % from {low:g} to {high:g}"
    yield from (f"problem: {line}" for line in figures.problems)
    yield from (f"worth doing: {line}" for line in _advice(figures))


def _advice(figures: Figures) -> Iterator[str]:
    films = [source for source in figures.sources if source.kind == "film"]
    if not films:
        return
    if figures.pairs < FEW_PAIRS:
        yield (
            f"{figures.pairs:,} pairs are few for a style (the paper used some 4,000 to 6,000 pictures): "
            "add films, or take more frames with a smaller --every or more --crops-per-frame in a new dataset"
        )
    largest = max(films, key=lambda source: source.pairs, default=None)
    if largest and len(films) > 1 and largest.pairs > figures.pairs / 2:
        yield f"{largest.id} gives {largest.pairs / figures.pairs:.0%} of the pairs: add others for balance"
    duplicates = figures.dropped.get("near-duplicate", 0)
    if figures.sampled and duplicates > figures.sampled / 2:
        yield "more than half of the frames were near-duplicates: a larger --every costs less for the same"
