"""The figures of a dataset: what came from where and when, what was left out and why, how it looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from framekit.audit.rows import Frames, Rows

Item = TypeVar("Item")

QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
BINS = 32
"""Of a histogram."""
TAILS = (0.005, 0.995)
"""Quantiles between which a histogram's bins lie; what is beyond them counts in the first and the last."""
SKEWED = 0.12
"""Part of the way from the lowest to the highest bin at which the median stands where most lies low."""
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
"""Seconds that a bin of a film's timeline may span."""
MOST_BINS = 60
DETAILED = 1_000
"""Sources of which details are told."""
LARGEST_SHOTS = 6
"""Shots that are named."""


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    part: int
    whole: int

    @property
    def share(self) -> float:
        """Between 0 and 1; 0 of none is 0."""
        return self.part / self.whole if self.whole else 0.0


@dataclass(frozen=True)
class Timeline:
    """What the parts of a film gave, from its start, each part `step` seconds long.

    Attributes:
        sampled, kept: Frames.
        pairs: Pairs that are in.
    """

    step: int
    sampled: list[int]
    kept: list[int]
    pairs: list[int]


@dataclass
class SourceFigures:
    """What one source gave.

    Attributes:
        sampled, kept: Frames.
        pairs: Pairs that are in.
        dropped: Frames left out, by reason, most frequent first.
        seconds: Length of a film as far as it is known.
        timeline: None for stills and films without times.
        medians: Of each measure over the frames that are kept. These and the timeline only of the `DETAILED`
            sources that gave most.
    """

    id: str
    path: str
    kind: str
    sampled: int = 0
    kept: int = 0
    pairs: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None
    timeline: Timeline | None = None
    medians: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Distribution:
    """How a measure is distributed.

    Attributes:
        quantiles: Those of `QUANTILES` of what is kept.
        edges: Of the histogram's bins.
        kept, left_out: How many are in each bin.
        unmeasured: How many of those that are kept it was not measured of.
    """

    quantiles: list[float]
    edges: list[float]
    kept: list[int]
    left_out: list[int]
    unmeasured: int

    @property
    def median(self) -> float:
        """Of what is kept."""
        return self.quantiles[3]


@dataclass(frozen=True)
class Shot:
    """A shot of a film: its first and last sampled frame, and the pairs that they and those between gave."""

    source: str
    first: str
    last: str
    pairs: int


@dataclass(frozen=True)
class Shots:
    """How pairs are spread over the shots of films.

    Attributes:
        shots: How many are known.
        with_pairs: How many of them gave pairs.
        largest_tenth: Share of the pairs that comes from the tenth of these shots that gave most.
        largest: The shots that gave most.
    """

    shots: int
    with_pairs: int
    largest_tenth: float
    largest: list[Shot]


@dataclass(frozen=True)
class Balance:
    """How evenly pairs come from films.

    Attributes:
        largest: Id of the source that gave most pairs.
        largest_share: Its share.
        effective: How many sources of equal size would be as even: e to the entropy of the shares.
    """

    largest: str | None
    largest_share: float
    effective: float


@dataclass(frozen=True)
class Counts:
    """What a dataset holds.

    Attributes:
        sampled, kept: Frames.
        pairs: Pairs that are in.
        without_pairs: Frames that are kept and have no pairs.
        dropped: Frames left out, by reason, most frequent first.
        pairs_dropped: Pairs left out while their frames are in, by reason.
        groups: Pairs by content group (subfolder of photos); empty for films.
        content: Kept frames that show each content group, by an image tagger; None where it saw none of them.
        content_of: Kept frames that it saw.
        split: Pairs on each side of the split; None where the dataset is not split.
    """

    sampled: int
    kept: int
    pairs: int
    without_pairs: int
    dropped: dict[str, int]
    pairs_dropped: dict[str, int]
    groups: dict[str, int]
    content: dict[str, int] | None
    content_of: int
    split: dict[str, int] | None


def count(rows: Rows) -> Counts:
    """Count what a dataset holds."""
    frames, crops = rows.frames, rows.crops
    with_pairs = np.zeros(len(frames), bool)
    with_pairs[crops.frame[crops.frame >= 0]] = True
    content, seen = None, int((frames.kept & frames.told).sum())
    if frames.content is not None and seen:
        content = _most(
            Counter({name: int(shows[frames.kept].sum()) for name, shows in frames.content.items()})
        )
    split = None
    if frames.side is not None:
        sides = Counter(frames.side[crops.frame[crops.frame >= 0]].tolist())
        known = {side: sides[side] for side in ("train", "test")}
        split = known | {"neither": len(crops) - sum(known.values())}
    frame_ids, dropped = frames.row_of, rows.manifest.dropped
    of_pairs = Counter(
        word.reason or "by hand"
        for item, word in dropped.items()
        if item not in frame_ids
        and (frame := frame_ids.get(item.rpartition("#")[0])) is not None
        and frames.kept[frame]
    )
    return Counts(
        sampled=len(frames),
        kept=int(frames.kept.sum()),
        pairs=len(crops),
        without_pairs=int((frames.kept & ~with_pairs).sum()),
        dropped=_most(Counter(frames.reasons[~frames.kept].tolist())),
        pairs_dropped=_most(of_pairs),
        groups=_most(Counter(group for group in crops.groups.tolist() if group is not None)),
        content=content,
        content_of=seen,
        split=split,
    )


def _most(counter: Counter[str]) -> dict[str, int]:
    """Most frequent first, those of one frequency by name."""
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def source_figures(rows: Rows) -> list[SourceFigures]:
    """What each source gave, in their order."""
    frames, crops = rows.frames, rows.crops
    pairs_of_frame = np.bincount(crops.frame[crops.frame >= 0], minlength=len(frames))
    pairs = np.bincount(crops.source[crops.source >= 0], minlength=len(rows.sources))
    order = np.argsort(frames.source, kind="stable")
    starts = np.searchsorted(frames.source[order], np.arange(len(rows.sources) + 1))
    detailed = set(np.argsort(-pairs, kind="stable")[:DETAILED].tolist())
    figures = []
    for place, source in enumerate(rows.sources):
        of = order[starts[place] : starts[place + 1]]
        kept = of[frames.kept[of]]
        seconds = _length(source.facts.get("seconds"), frames.seconds[of])
        found = SourceFigures(source.id, source.path, source.kind)
        found.sampled, found.kept, found.pairs = len(of), len(kept), int(pairs[place])
        found.dropped = _most(Counter(frames.reasons[of[~frames.kept[of]]].tolist()))
        found.seconds = seconds
        if place in detailed:
            found.timeline = _timeline(frames, of, pairs_of_frame, seconds)
            found.medians = _medians(frames, kept)
        figures.append(found)
    return figures


def _medians(frames: Frames, kept: np.ndarray) -> dict[str, float]:
    return {
        name: rounded(float(np.median(values[kept][told])))
        for name, values in frames.measures.items()
        if (told := np.isfinite(values[kept])).any()
    }


def _length(stated: object, seconds: np.ndarray) -> float | None:
    """Of a film: as its header says, and at least to the last frame taken."""
    last = float(np.nanmax(seconds)) if np.isfinite(seconds).any() else None
    said = float(stated) if isinstance(stated, int | float) and 0 < stated < 1e7 else None
    known = [length for length in (last, said) if length is not None]
    return round(max(known), 3) if known and last is not None else None


def _timeline(frames: Frames, of: np.ndarray, pairs: np.ndarray, seconds: float | None) -> Timeline | None:
    of = of[np.isfinite(frames.seconds[of])]
    if seconds is None or not len(of):
        return None
    step = next((step for step in STEPS if seconds <= step * MOST_BINS), None)
    step = step or int(-(-seconds // (MOST_BINS * 600)) * 600)
    bins = max(1, int(np.ceil(seconds / step)))
    place = (frames.seconds[of] // step).clip(0, bins - 1).astype(np.int64)

    def counted(weights: np.ndarray) -> list[int]:
        sums: list[int] = np.bincount(place, weights, bins).astype(int).tolist()
        return sums

    return Timeline(step, counted(np.ones(len(of))), counted(frames.kept[of]), counted(pairs[of]))


def balance(sources: list[SourceFigures]) -> Balance:
    """How evenly pairs come from sources."""
    pairs = np.array([source.pairs for source in sources], np.float64)
    if not pairs.sum():
        return Balance(None, 0.0, 0.0)
    shares = pairs / pairs.sum()
    there = shares[shares > 0]
    largest = int(np.argmax(shares))
    effective = float(np.exp(-(there * np.log(there)).sum()))
    return Balance(sources[largest].id, rounded(float(shares[largest])), rounded(effective))


def shots(rows: Rows) -> Shots | None:
    """How pairs are spread over shots; None where shots are not known."""
    if not rows.scenes.num_rows:
        return None
    frames, crops = rows.frames, rows.crops
    pairs = np.bincount(crops.frame[crops.frame >= 0], minlength=len(frames))
    names = np.array(rows.scenes["source"].to_pylist(), object)
    starts = rows.scenes["start"].to_numpy()
    found: list[Shot] = []
    for place, source in enumerate(rows.sources):
        of_film = np.sort(starts[names == source.id])
        of = np.flatnonzero(frames.source == place)
        if not len(of_film) or not len(of):
            continue
        shot = np.searchsorted(of_film, frames.number[of], side="right")
        order = np.argsort(shot, kind="stable")
        for members in np.split(of[order], np.flatnonzero(np.diff(shot[order])) + 1):
            ends = frames.ids[members[0]], frames.ids[members[-1]]
            found.append(Shot(source.id, *ends, int(pairs[members].sum())))
    giving = sorted((shot for shot in found if shot.pairs), key=lambda shot: -shot.pairs)
    total = sum(shot.pairs for shot in giving)
    tenth = sum(shot.pairs for shot in giving[: -(-len(giving) // 10)])
    share = rounded(tenth / total) if total else 0.0
    return Shots(rows.scenes.num_rows, len(giving), share, giving[:LARGEST_SHOTS])


def distributions(measures: dict[str, np.ndarray], kept: np.ndarray) -> dict[str, Distribution]:
    """How each measure is distributed; those that nothing that is kept has are left out.

    Args:
        measures: (N,) of each; NaN where it was not measured.
        kept: (N,) bool.
    """
    return {
        name: _distribution(values, kept)
        for name, values in measures.items()
        if np.isfinite(values[kept]).any()
    }


def _distribution(values: np.ndarray, kept: np.ndarray) -> Distribution:
    told = np.isfinite(values)
    inside, outside = values[kept & told], values[~kept & told]
    edges = bin_edges(inside)
    counts = [np.histogram(part.clip(edges[0], edges[-1]), edges)[0].tolist() for part in (inside, outside)]
    return Distribution(
        quantiles=[rounded(float(value)) for value in np.quantile(inside, QUANTILES)],
        edges=[rounded(float(edge)) for edge in edges],
        kept=counts[0],
        left_out=counts[1],
        unmeasured=int((kept & ~told).sum()),
    )


def bin_edges(values: np.ndarray) -> np.ndarray:
    """(BINS + 1,) edges of a histogram's bins; narrower towards the lower end where most lies there."""
    low, median, high = np.quantile(values, (TAILS[0], 0.5, TAILS[1]))
    if not low < high:
        low, high = float(values.min()), float(values.max())
    if not low < high:
        high = low + 1
    steps = np.linspace(0, 1, BINS + 1)
    return low + (high - low) * (steps**3 if median - low < SKEWED * (high - low) else steps)


def spread(values: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of `values`, evenly chosen."""
    count = min(count, len(values))
    return [values[at * len(values) // count] for at in range(count)]


def rounded(value: float) -> float:
    """To four digits that count."""
    return float(f"{value:.4g}")
