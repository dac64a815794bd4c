"""The dataset card: README.md of a dataset, in the form that the Hugging Face hub and viewer read."""

from __future__ import annotations

import json

from framekit.errors import printable
from framekit.manifest.schema import DatasetInfo

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def card(info: DatasetInfo) -> str:
    """Write the card from what dataset.json holds."""
    totals = info.totals
    size = next((name for limit, name in SIZES if totals.get("pairs", 0) < limit), "1M<n<10M")
    sources = "\n".join(f"| {_cell(s.id)} | {s.kind} | {_what(s.facts)} |" for s in info.sources)
    options = json.dumps(info.options, indent=2, sort_keys=True)
    side = info.options.get("crop_size")
    half = "its edge-smoothed half in `smoothed`" if info.options.get("smooth", True) else "no smoothed half"
    return f"""---
configs:
- config_name: pairs
  data_files: pairs/*.parquet
  default: true
- config_name: frames
  data_files: frames/*.parquet
size_categories:
- {size}
tags:
- cartoongan
- image-to-image
---

# {_cell(str(info.options.get("style") or "framekit dataset"))}

{totals.get("pairs", 0):,} crops of {side}×{side} pixels in `image`, {half}, cut at full resolution
from {totals.get("frames_kept", 0):,} pictures.
Made by framekit {info.framekit_version}; schema version {info.schema_version}.

`pairs/` has a row for every crop, `frames/` one for every sampled frame, kept or not. `decisions.parquet`
says which of them are left out and why. {totals.get("pairs_left_out", 0):,} of the crops in `pairs/` are left
out: framekit's reader passes over them, other readers don't.

| source | kind | facts |
|---|---|---|
{sources}

The pictures belong to whoever owns the films. Keep this dataset private unless you may share them.

```json
{options}
```
"""


def _cell(text: str) -> str:
    return printable(text).replace("|", "\\|").replace("<", "&lt;")


def _what(facts: dict[str, object]) -> str:
    if not facts:
        return "pictures"
    return _cell(
        f"{facts.get('width')}×{facts.get('height')}, {facts.get('codec')}, {facts.get('seconds')} s"
    )
