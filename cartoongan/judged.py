"""Pictures that generators are judged on: which of a dataset, and what groups photos fall into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import framekit.manifest
from framekit.errors import FramekitError, printable
from framekit.manifest import Manifest, Pair

MOST_GROUPS = 24
ALL = "all"
"""What figures of all photos go by; no group does."""
OTHER, UNTAGGED = "other", "untagged"


@dataclass(frozen=True)
class Chosen:
    """Some pictures of a dataset, that stand for it.

    Attributes:
        manifest: The dataset, or its test side.
        positions: (N,) int64, rising, among its pairs.
        side: `test`, or `all` where the dataset is not split.
        frames: frame_id of each.
    """

    manifest: Manifest
    positions: np.ndarray
    side: str
    frames: list[str]

    def __len__(self) -> int:
        return len(self.positions)

    def pairs(self) -> Iterator[Pair]:
        """Pictures in order, read as they are needed."""
        return self.manifest.reader(smoothed=False).gather(self.positions)

    def as_json(self) -> dict[str, object]:
        """What was looked at, for reports."""
        return {
            "dataset": printable(self.manifest.root.name),
            "digest": self.manifest.digest,
            "side": self.side,
            "pictures": len(self),
            "pairs": len(self.manifest),
            "frames": len(set(self.frames)),
        }


def choose(dataset: str | Path, at_most: int) -> Chosen:
    """Choose pictures of a dataset: of its test side where it is split, every frame once before any twice.

    Raises:
        FramekitError: There is no dataset, or nothing in it.
    """
    whole = framekit.manifest.open(dataset)
    side = "test" if whole.info.split else "all"
    manifest = whole.test if whole.info.split else whole
    frames = manifest.pairs(["frame_id"])["frame_id"].to_pylist()
    if not frames:
        advice = "see what was left out, and why: framekit audit"
        where = " on the test side" if whole.info.split else ""
        raise FramekitError(f"no pictures{where}", where=dataset, advice=advice)
    seen: Counter[str] = Counter()
    rounds: dict[int, list[int]] = {}
    for position, frame in enumerate(frames):
        rounds.setdefault(seen[frame], []).append(position)
        seen[frame] += 1
    taken: list[int] = []
    for number in sorted(rounds):
        taken += _spread(rounds[number], at_most - len(taken))
    positions = np.sort(np.array(taken, np.int64))
    return Chosen(manifest, positions, side, [frames[position] for position in positions])


def groups(chosen: Chosen) -> tuple[str, dict[str, np.ndarray]]:
    """What photos are grouped by (`content`, `folder` or `source`), and name → (n,) places in `chosen`.

    By the content that an image tagger found, where one was asked (`framekit extract --tagger`): then a photo
    stands in each group that it belongs to. Else by the first subfolder; else by source. Of more than 24
    groups the smallest are put together.
    """
    table = chosen.manifest.frames(["frame_id", "content"])
    content = dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    rows = chosen.manifest.pairs(["group", "source"]).take(chosen.positions)
    folders, sources = rows["group"].to_pylist(), rows["source"].to_pylist()
    if any(content.get(frame) is not None for frame in chosen.frames):
        by, names = "content", [_content(content.get(frame)) for frame in chosen.frames]
    elif any(folders):
        by, names = "folder", [[folder or OTHER] for folder in folders]
    else:
        paths = {source.id: Path(source.path).name for source in chosen.manifest.info.sources}
        by, names = "source", [[paths.get(source) or source or OTHER] for source in sources]
    sizes = Counter(name for some in names for name in some)
    kept = {name for name, _ in sizes.most_common(MOST_GROUPS)}
    found: dict[str, list[int]] = {}
    for place, some in enumerate(names):
        for name in dict.fromkeys(name if name in kept else OTHER for name in some):
            found.setdefault(f"{by} {ALL}" if name == ALL else printable(name), []).append(place)
    return by, {name: np.array(found[name]) for name in sorted(found)}


def _content(tagged: list[str] | None) -> list[str]:
    return [UNTAGGED] if tagged is None else tagged or [OTHER]


def _spread(values: list[int], count: int) -> list[int]:
    """At most `count` of `values`, evenly chosen."""
    count = min(max(count, 0), len(values))
    return [values[index * len(values) // count] for index in range(count)]
