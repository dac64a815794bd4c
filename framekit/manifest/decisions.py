"""Decisions: what is left out of the dataset and why, beside shards that never change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from framekit.errors import FramekitError
from framekit.manifest.schema import DECISIONS

NAME = "decisions.parquet"


class Dropped(NamedTuple):
    """Why an item is left out, and the frame that stands for it where it is a near-duplicate."""

    reason: str
    because_of: str | None


def drop(item: str, reason: str, *, by: str, because_of: str | None = None) -> dict[str, Any]:
    """A decision row that leaves a frame or a pair out.

    Args:
        item: A frame_id or pair_id.
        reason: Why, in a word or two; counted in summaries.
        by: `rule:<name>` or a person.
        because_of: The frame_id that stands for it, for near-duplicates.
    """
    return {"item": item, "keep": False, "reason": reason, "by": by, "because_of": because_of, "at": None}


def dropped(root: Path) -> dict[str, Dropped]:
    """Items left out of the dataset in folder `root`, and why. The last word on an item counts.

    Raises:
        FramekitError: decisions.parquet is missing or cannot be read.
    """
    state: dict[str, Dropped] = {}
    for row in _read(root).to_pylist():
        if row["keep"]:
            state.pop(row["item"], None)
        else:
            state[row["item"]] = Dropped(row["reason"], row["because_of"])
    return state


def by_people(root: Path) -> list[dict[str, Any]]:
    """Decision rows that persons made in the dataset in folder `root`, oldest first; rules are left out.

    Raises:
        FramekitError: decisions.parquet cannot be read.
    """
    if not (root / NAME).exists():
        return []
    return [row for row in _read(root).to_pylist() if not (row["by"] or "").startswith("rule:")]


def _read(root: Path) -> pa.Table:
    path = root / NAME
    try:
        return pq.read_table(path, schema=DECISIONS, partitioning=None)
    except FileNotFoundError:
        advice = "run the same framekit extract again: it writes the rules' decisions anew"
        raise FramekitError("is missing", where=path, advice=advice) from None
    except (OSError, pa.ArrowException) as error:
        advice = "move it away and run the same framekit extract again: it writes the rules' decisions anew"
        raise FramekitError(
            f"cannot be read ({str(error).splitlines()[0]})", where=path, advice=advice
        ) from error
