"""Frames that decisions want back and of which nothing was cut: which these are, and the work they make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from framekit.extraction.deciding import stored_frames, uncut, why_not_cut
from framekit.extraction.plan import LookOver, Source
from framekit.extraction.segment import UNCUTTABLE
from framekit.extraction.shards import Shards
from framekit.manifest.decisions import state
from framekit.manifest.reading import Manifest
from framekit.options import Limits


def without_pairs(manifest: Manifest) -> dict[str, str]:
    """frame_ids that decisions leave in and that have no pairs, with the reason for which there are none.

    Persons keep such frames, and compacting takes the pairs of frames that are wanted again later.

    Raises:
        FramekitError: The dataset is damaged.
    """
    ids = manifest.frames(["frame_id"])["frame_id"].to_pylist()
    reasons = zip(ids, why_not_cut(manifest), strict=True)
    return {id_: why for id_, why in reasons if why is not None and id_ not in manifest.dropped}


def wanted_back(manifest: Manifest, limits: Limits, sources: Iterable[Source]) -> list[LookOver]:
    """Work for the frames of `sources` that are wanted by rules or by persons and that have no pairs.

    Args:
        manifest: The dataset, decided.
        limits: By which it was decided.
        sources: Those that are at hand.

    Raises:
        FramekitError: The dataset is damaged.
    """
    words = state(manifest.root)
    by_rules = uncut(stored_frames(manifest), limits)
    wanted = {id_ for id_ in by_rules if id_ not in words or not _is_persons(words[id_].by)}
    wanted |= {id_ for id_, reason in without_pairs(manifest).items() if reason not in UNCUTTABLE}
    numbers: dict[str, list[int]] = defaultdict(list)
    for id_ in sorted(wanted):
        source, _, number = id_.rpartition(":")
        numbers[source].append(int(number))
    shards = Shards(manifest.root, manifest.info.shards)
    return [
        LookOver(
            source,
            wanted=tuple(sorted(numbers[source.id])),
            later=shards.later(source.id) + 1,
            in_one_piece=str(source.facts.get("decoding", "")).startswith("everything"),
        )
        for source in sources
        if source.id in numbers
    ]


def _is_persons(by: str) -> bool:
    return not by.startswith("rule:")
