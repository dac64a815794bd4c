"""What follows from shards and limits: decisions, split, totals, card. Written anew whenever these change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framekit.errors import FramekitError
from framekit.extraction.deciding import NOT_CUT, rule_decisions
from framekit.extraction.later import without_pairs
from framekit.extraction.segment import UNCUTTABLE
from framekit.extraction.splitting import write_split
from framekit.files import write_text
from framekit.manifest.card import card
from framekit.manifest.decisions import locked, unknown_items, write_rules
from framekit.manifest.reading import SPLIT, Manifest, read_info, read_sides
from framekit.manifest.schema import DatasetInfo, Split
from framekit.manifest.writing import write_info
from framekit.options import Limits
from framekit.storage.paths import path_of
from framekit.validating import validated

DATASET_LOCK = "dataset.json.lock"
"""Held while dataset.json is read, changed and put back."""
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
        split = self.info.split and self.info.split.model_dump() | {"pairs": self.sides}
        return {"dataset": str(self.root), "split": split, **facts}


def settle(root: Path, info: DatasetInfo, *, rules: bool = True, split_anew: bool = False) -> Settled:
    """Decide what the dataset's limits leave out; its split, totals and card follow.

    Args:
        root: The dataset's folder.
        info: Its dataset.json; totals are put in, and it is not written.
        rules: Decide by rules again; else only what persons said is new.
        split_anew: Forget the sides that frames have.

    Raises:
        FramekitError: A shard is damaged, or a film is not at hand whose shots the split needs.
    """
    if rules:
        write_rules(root, rule_decisions(Manifest(root, info), limits_of(info)))
    if info.split:
        write_split(root, info, info.split, limits_of(info), anew=split_anew)
    manifest = Manifest(root, info)
    ids = manifest.frames(["frame_id"])["frame_id"].to_pylist()
    dropped = Counter(manifest.dropped[id_].reason for id_ in ids if id_ in manifest.dropped)
    in_shards = sum(shard.rows for shard in info.shards if shard.path.startswith("pairs/"))
    alone = without_pairs(manifest)
    info.totals |= {
        "frames_to_cut": dropped[NOT_CUT] + sum(reason not in UNCUTTABLE for reason in alone.values()),
        "frames_sampled": len(ids),
        "frames_kept": len(ids) - sum(dropped.values()),
        "pairs": len(manifest),
        "pairs_left_out": in_shards - len(manifest),
        "bytes": sum(shard.bytes for shard in info.shards),
    }
    info.dropped = dict(sorted(dropped.items()))
    write_text(root / "README.md", card(info))
    sides = manifest.sides if info.split else {}
    return Settled(root, info, dropped, sides, list(_notes(manifest, sides, alone)))


def decide_again(root: str | Path, limits: Limits) -> Settled:
    """Decide again what is left out of the dataset in folder `root`, without any film.

    Args:
        root: The dataset's folder.
        limits: Those that were given take the place of the dataset's own; the others stay.

    Raises:
        FramekitError: There is no dataset, or it is damaged.
    """
    root = path_of(root)
    read_info(root)
    with locked(root, DATASET_LOCK):
        info = read_info(root)
        info.options |= limits.model_dump(mode="json", include=limits.model_fields_set)
        settled = settle(root, info)
        write_info(root, info)
    return settled


def after_decisions(root: Path) -> Settled:
    """Bring totals, card and split of the dataset in folder `root` in line with what persons decided.

    Raises:
        FramekitError: There is no dataset, or it is damaged.
    """
    with locked(root, DATASET_LOCK):
        info = read_info(root)
        settled = settle(root, info, rules=False)
        write_info(root, info)
    return settled


def split(root: str | Path, spec: Split) -> Settled:
    """Split the dataset in folder `root` into a train and a test side.

    Asked for the same split again, frames keep their sides.

    Raises:
        CommandError: It can't be split this way.
        FramekitError: There is no dataset, it is damaged, or a film is not at hand whose shots are needed.
    """
    root = path_of(root)
    read_info(root)
    with locked(root, DATASET_LOCK):
        info = read_info(root)
        anew = info.split != spec or not _has_sides(root)
        info.split = spec
        settled = settle(root, info, split_anew=anew)
        write_info(root, info)
    return settled


def _has_sides(root: Path) -> bool:
    try:
        return read_sides(root / SPLIT, "assigned") is not None
    except FramekitError:
        return False


def limits_of(info: DatasetInfo) -> Limits:
    """The limits that a dataset is decided by."""
    return validated(
        Limits, {name: info.options[name] for name in Limits.model_fields if name in info.options}
    )


def _notes(manifest: Manifest, sides: dict[str, int], alone: dict[str, str]) -> Iterator[str]:
    if not manifest.info.finished:
        yield "the extraction is not finished: run the same framekit extract again"
    unknown = unknown_items(manifest)
    if unknown:
        named = ", ".join(unknown[:NAMED]) + (" …" if len(unknown) > NAMED else "")
        yield f"{len(unknown):,} decisions are about frames or pairs that are not here: {named}"
    yield from _notes_without_pairs(manifest, alone)
    split = manifest.info.split
    if not split:
        return
    share = sides["test"] / max(1, sum(sides.values()))
    if abs(share - split.test) > 0.05 or not sides["test"] or not sides["train"]:
        asked = f"where {split.test:.1%} of the frames with pairs was asked for"
        holds = f"the test side holds {share:.1%} of the pairs"
        yield f"{holds} {asked}: what stays together, {split.by}s, comes no nearer"


def _notes_without_pairs(manifest: Manifest, alone: dict[str, str]) -> Iterator[str]:
    """Of frames that are wanted and that have no pairs; `alone` are those that no rule leaves out for it."""
    never = sum(reason in UNCUTTABLE for reason in alone.values())
    to_cut = manifest.info.totals["frames_to_cut"]
    if to_cut:
        wanted = f"{to_cut:,} frames that are wanted, or like one that is, have no pairs yet"
        yield f"{wanted}: run the same framekit extract again to cut them"
    if never:
        yield f"{never:,} frames that are to be kept give no pairs: {' or '.join(UNCUTTABLE)}"
