"""Groups of near-duplicates: the frame that is kept of each, and those that are left out for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from framekit.manifest.reading import Manifest


@dataclass(frozen=True)
class Group:
    """Near-duplicates.

    Attributes:
        kept: frame_id of the one that stands for the others; it may be left out itself, for another reason.
        others: frame_ids of the others, in the order of `Manifest.frames()`.
    """

    kept: str
    others: list[str]


def near_duplicates(
    manifest: Manifest, frames: pa.Table | None = None, *, because_of: Mapping[str, str] | None = None
) -> list[Group]:
    """The groups of near-duplicates in a dataset, largest first, those of one size in the order of frames.

    A frame stands under the one that it was last found to be like: what `decisions.parquet` says goes over
    the neighbour found while its film was decoded, and where that one has another for it, under that one.

    Args:
        manifest: The dataset.
        frames: `frame_id` and `duplicate_of` of its frames, where they are at hand.
        because_of: frame_id → the frame that it is left out for; as decisions leave it by default.

    Raises:
        ManifestError: A shard or decisions.parquet is damaged.
    """
    if frames is None:
        frames = manifest.frames(["frame_id", "duplicate_of"])
    ids = frames["frame_id"].to_pylist()
    like = dict(zip(ids, frames["duplicate_of"].to_pylist(), strict=True))
    if because_of is None:
        because_of = {id_: word.because_of for id_, word in manifest.dropped.items() if word.because_of}
    like |= {id_: other for id_, other in because_of.items() if id_ in like}
    members: dict[str, list[str]] = {}
    for id_ in ids:
        kept = _stands_for(id_, like)
        if kept != id_:
            members.setdefault(kept, []).append(id_)
    groups = [Group(kept, members[kept]) for kept in ids if kept in members]
    return sorted(groups, key=lambda group: -len(group.others))


def _stands_for(id_: str, like: dict[str, str | None]) -> str:
    """The frame at the end of the way; a stranger's manifest may lead in circles or to nowhere."""
    seen = {id_}
    while (other := like.get(id_)) and other in like and other not in seen:
        seen.add(other)
        id_ = other
    return id_
