"""What follows from shards and limits: decisions, split, totals, card. Written anew whenever these change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framekit.extraction.deciding import rule_decisions
from framekit.extraction.splitting import Spec, write_split
from framekit.manifest.card import card
from framekit.manifest.decisions import unknown_items, write_rules
from framekit.manifest.reading import Manifest, read_info
from framekit.manifest.schema import DatasetInfo
from framekit.manifest.writing import write_info, write_text
from framekit.options import Limits

NAMED = 3
"""Unknown ids that a note names."""


@dataclass
class Settled:
    """A dataset after it was decided or split again.

    Attributes:
        root: Its folder.
        info: Its dataset.json.
        dropped: Frames left out, counted by reason.
        sides: Pairs on each side of the split: train, test, neither. Empty where it is not split.
        notes: Things worth knowing.
    """

    root: Path
    info: DatasetInfo
    dropped: Counter[str] = field(default_factory=Counter)
    sides: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        facts = {"totals": self.info.totals, "dropped": dict(self.dropped), "notes": self.notes}
        split = self.info.split and self.info.split | {"pairs": self.sides}
        return {"dataset": str(self.root), "split": split, **facts}


def settle(root: Path, info: DatasetInfo, *, split_anew: bool = False) -> Settled:
    """Decide what the dataset's limits leave out; its split, totals and card follow.

    Args:
        root: The dataset's folder.
        info: Its dataset.json; totals are put in, and it is not written.
        split_anew: Forget the sides that frames have.

    Raises:
        FramekitError: A shard is damaged, or a film is not at hand whose shots the split needs.
    """
    write_rules(root, rule_decisions(Manifest(root, info), limits_of(info)))
    if info.split:
        write_split(root, info, Spec(**info.split), limits_of(info), anew=split_anew)
    manifest = Manifest(root, info)
    ids = manifest.frames(["frame_id"])["frame_id"].to_pylist()
    dropped = Counter(manifest.dropped[id_].reason for id_ in ids if id_ in manifest.dropped)
    in_shards = sum(shard.rows for shard in info.shards if shard.path.startswith("pairs/"))
    info.totals |= {
        "frames_sampled": len(ids),
        "frames_kept": len(ids) - sum(dropped.values()),
        "pairs": len(manifest),
        "pairs_left_out": in_shards - len(manifest),
        "bytes": sum(shard.bytes for shard in info.shards),
    }
    write_text(root / "README.md", card(info))
    sides = manifest.sides if info.split else {}
    return Settled(root, info, dropped, sides, list(_notes(manifest, sides)))


def decide_again(root: Path, limits: Limits) -> Settled:
    """Decide again what is left out of the dataset in folder `root`, without any film.

    Args:
        root: The dataset's folder.
        limits: Those that were given take the place of the dataset's own; the others stay.

    Raises:
        FramekitError: There is no dataset, or it is damaged.
    """
    info = read_info(root)
    info.options |= limits.model_dump(mode="json", include=limits.model_fields_set)
    settled = settle(root, info)
    write_info(root, info)
    return settled


def split(root: Path, spec: Spec) -> Settled:
    """Split the dataset in folder `root` into a train and a test side.

    Asked for the same split again, frames keep their sides.

    Raises:
        CommandError: It can't be split this way.
        FramekitError: There is no dataset, it is damaged, or a film is not at hand whose shots are needed.
    """
    info = read_info(root)
    before, info.split = info.split, spec._asdict()
    settled = settle(root, info, split_anew=before != info.split)
    write_info(root, info)
    return settled


def limits_of(info: DatasetInfo) -> Limits:
    """The limits that a dataset is decided by."""
    return Limits(**{name: info.options[name] for name in Limits.model_fields if name in info.options})


def _notes(manifest: Manifest, sides: dict[str, int]) -> Iterator[str]:
    unknown = unknown_items(manifest)
    if unknown:
        named = ", ".join(unknown[:NAMED]) + (" …" if len(unknown) > NAMED else "")
        yield f"{len(unknown):,} decisions are about frames or pairs that are not here: {named}"
    split = manifest.info.split
    if not split:
        return
    share = sides["test"] / max(1, sum(sides.values()))
    if abs(share - split["test"]) > max(0.05, split["test"] / 2):
        asked = f"the test side holds {share:.0%} of the pairs where {split['test']:.0%} was asked for"
        yield f"{asked}: what stays together, {split['by']}s, is too large to come nearer"
