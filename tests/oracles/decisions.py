"""What counts of a list of decisions, item by item and word by word."""

from __future__ import annotations

from typing import Any


def left_out(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Items that are left out and why; rows oldest first."""
    out = {}
    for item in {row["item"] for row in rows}:
        rules = [row for row in rows if row["item"] == item and row["by"].startswith("rule:")]
        people = [row for row in rows if row["item"] == item and not row["by"].startswith("rule:")]
        word = rules[-1] if rules else None
        if people and people[-1]["keep"] is not None:
            word = people[-1]
        if word is not None and word["keep"] is False:
            out[item] = word["reason"]
    return out


def pairs_left(pairs: list[dict[str, Any]], out: dict[str, str]) -> list[str]:
    """pair_ids of the pairs that are in: neither they nor their frames are left out."""
    return [row["pair_id"] for row in pairs if row["pair_id"] not in out and row["frame_id"] not in out]
