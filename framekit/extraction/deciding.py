"""What the rules leave out of a dataset: reasons found while sampling, and near-duplicates over all of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from framekit.extraction.segment import DUPLICATE
from framekit.images.duplicates import group_near_identical, sharpest_of_groups
from framekit.manifest.decisions import drop


def rule_decisions(frames: pa.Table, max_distance: int) -> list[dict[str, Any]]:
    """Decision rows for frames that gave no pairs, and for near-duplicates among those that did.

    Args:
        frames: Rows of `schema.FRAMES` in source order, with frame_id, hash, sharpness, reason, duplicate_of.
        max_distance: Bits in which hashes of near-duplicates may differ.
    """
    with_pairs = frames.filter(pc.is_null(frames["reason"]))
    ids = with_pairs["frame_id"].to_pylist()
    firsts = group_near_identical(with_pairs["hash"].to_numpy(), max_distance)
    chosen = sharpest_of_groups(firsts, with_pairs["sharpness"].to_numpy())
    stands_for = {ids[i]: ids[chosen[i]] for i in np.flatnonzero(chosen != np.arange(len(ids)))}
    rows = []
    without_pairs = frames.filter(pc.is_valid(frames["reason"])).select(
        ["frame_id", "reason", "duplicate_of"]
    )
    for row in without_pairs.to_pylist():
        kept = stands_for.get(row["duplicate_of"], row["duplicate_of"])  # never one that is left out itself
        rows.append(drop(row["frame_id"], row["reason"], by=_rule(row["reason"]), because_of=kept))
    return rows + [
        drop(id_, DUPLICATE, by=_rule(DUPLICATE), because_of=kept) for id_, kept in stands_for.items()
    ]


def _rule(reason: str) -> str:
    return "rule:" + reason.replace(" ", "-")
