"""The figures of a dataset: what came from where, what was left out and why, how it looks."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from framekit.manifest import Manifest, ManifestError

MEASURES = ("brightness", "contrast", "sharpness")


@dataclass
class SourceFigures:
    """What one source gave.

    Attributes:
        sampled, kept: Frames.
        pairs: Pairs that are left in.
        dropped: Frames left out, by reason.
    """

    id: str
    path: str
    kind: str
    sampled: int = 0
    kept: int = 0
    pairs: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass
class Figures:
    """What a dataset holds.

    Attributes:
        sampled, kept: Frames.
        pairs: Pairs that are left in.
        dropped: Frames left out, by reason, most frequent first.
        groups: Pairs by content group (subfolder of photos); empty for films.
        content: Kept frames that show each content group, by an image tagger; None where none was asked.
        split: Pairs on each side of the split; None where the dataset is not split.
        quantiles: For each measure its 0, 5, 25, 50, 75, 95 and 100 % quantiles over kept frames.
        sources: What each source gave, in order.
        problems: One line for each source that failed in whole or in part.
        finished: Whether the extraction ran to its end; if not there is more than is counted here.
    """

    dataset: str
    sampled: int
    kept: int
    pairs: int
    dropped: dict[str, int]
    groups: dict[str, int]
    content: dict[str, int] | None
    split: dict[str, int] | None
    quantiles: dict[str, list[float]]
    sources: list[SourceFigures]
    problems: list[str]
    finished: bool

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def measure_dataset(manifest: Manifest) -> Figures:
    """Count and measure a dataset."""
    frames = manifest.frames(["frame_id", "source", "content", *MEASURES])
    pairs = manifest.pairs(["source", "group"])
    per_source = _by_source(manifest, frames, pairs)
    dropped: Counter[str] = Counter()
    for source in per_source:
        dropped.update(source.dropped)
    kept = np.array([id_ not in manifest.dropped for id_ in frames["frame_id"].to_pylist()], bool)
    groups = Counter(group for group in pairs["group"].to_pylist() if group is not None)
    return Figures(
        dataset=str(manifest.root),
        sampled=frames.num_rows,
        kept=int(kept.sum()),
        pairs=pairs.num_rows,
        dropped=dict(dropped.most_common()),
        groups=dict(groups.most_common()),
        content=_content(frames["content"].to_pylist(), kept),
        split=manifest.sides if manifest.info.split else None,
        quantiles={name: _quantiles(frames[name].to_numpy()[kept]) for name in MEASURES if kept.any()},
        sources=per_source,
        problems=[f"{problem.path}: {problem.what}" for problem in manifest.info.problems],
        finished=manifest.info.finished,
    )


def _content(content: list[list[str] | None], kept: np.ndarray) -> dict[str, int] | None:
    told = [groups for groups, stays in zip(content, kept, strict=True) if stays and groups is not None]
    if not told and kept.any():
        return None
    return dict(Counter(group for groups in told for group in groups).most_common())


def _by_source(manifest: Manifest, frames: pa.Table, pairs: pa.Table) -> list[SourceFigures]:
    figures = {s.id: SourceFigures(s.id, s.path, s.kind) for s in manifest.info.sources}
    unknown = set(frames["source"].to_pylist() + pairs["source"].to_pylist()) - figures.keys()
    if unknown:
        what = f"rows of sources that dataset.json does not know: {', '.join(sorted(map(str, unknown)))}"
        raise ManifestError(what, where=manifest.root, advice="see what else is wrong with: framekit verify")
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for id_, source in zip(frames["frame_id"].to_pylist(), frames["source"].to_pylist(), strict=True):
        figures[source].sampled += 1
        if id_ in manifest.dropped:
            reasons[source][manifest.dropped[id_].reason] += 1
        else:
            figures[source].kept += 1
    for source, count in Counter(pairs["source"].to_pylist()).items():
        figures[source].pairs = count
    for source, counts in reasons.items():
        figures[source].dropped = dict(counts.most_common())
    return list(figures.values())


def _quantiles(values: np.ndarray) -> list[float]:
    return [round(float(q), 2) for q in np.quantile(values, (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1))]
