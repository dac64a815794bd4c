"""The dataset card: README.md of a dataset, in the form that the Hugging Face hub and viewer read."""

from __future__ import annotations

import json
from collections.abc import Mapping

from framekit.errors import printable
from framekit.manifest.schema import PAIRS, DatasetInfo

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
PATHS = ("tagger", "content_table")
"""Options that name files of the person who made the dataset."""


def card(info: DatasetInfo) -> str:
    """Write the card from what dataset.json holds."""
    totals = info.totals
    size = _size(totals.get("pairs", 0))
    sources = "\n".join(f"| {_cell(s.id)} | {s.kind} | {_what(s.facts)} |" for s in info.sources)
    options = json.dumps(info.options, indent=2, sort_keys=True)
    side = _cell(str(info.options.get("crop_size")))
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

{totals.get("pairs", 0):,} crops of {side}×{side} pixels in `image`, {half}, {_how(info.options)}
from {totals.get("frames_kept", 0):,} pictures.
Made by framekit {_cell(info.framekit_version)}; schema version {info.schema_version}.

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


def _how(options: Mapping[str, object]) -> str:
    """How the squares came about."""
    if options.get("resize") is True:
        return "each a whole frame squashed to a square"
    heights = [options.get(name) for name in ("frame_height", "second_height")]
    if not any(heights):
        return "cut at full resolution"
    first, second = heights
    shrunk = (
        f"cut from frames of {_cell(str(first))} pixels' height at most"
        if first
        else "cut at full resolution"
    )
    return shrunk + (f", every second one from frames of {_cell(str(second))}" if second else "")


def _cell(text: str) -> str:
    return printable(text).replace("|", "\\|").replace("<", "&lt;")


def _what(facts: dict[str, object]) -> str:
    if not facts:
        return "pictures"
    return _cell(
        f"{facts.get('width')}×{facts.get('height')}, {facts.get('codec')}, {facts.get('seconds')} s"
    )


def export_card(info: DatasetInfo, pairs: Mapping[str, int], sizes: Mapping[str, int]) -> str:
    """Write the card of an export for the hub, which holds no more than the pairs that are in.

    Args:
        info: dataset.json of the dataset.
        pairs: How many of them on each side that is there, in the order in which they are listed.
        sizes: Bytes of each side's files.
    """
    total, options = sum(pairs.values()), info.options
    side = _cell(str(options.get("crop_size")))
    style = _cell(str(options.get("style") or "framekit dataset"))
    half = "its edge-smoothed half in `smoothed`" if options.get("smooth", True) else "no smoothed half"
    files = "\n".join(f"  - split: {name}\n    path: data/{name}-*.parquet" for name in pairs)
    features = "\n".join(f"  - name: {name}\n    dtype: {kind}" for name, kind in _features())
    splits = "\n".join(
        f"  - name: {name}\n    num_bytes: {sizes[name]}\n    num_examples: {count}"
        for name, count in pairs.items()
    )
    sources = "\n".join(f"| {_cell(s.id)} | {s.kind} | {_what(s.facts)} |" for s in info.sources)
    made_with = {name: value for name, value in options.items() if name not in PATHS}
    return f"""---
configs:
- config_name: default
  data_files:
{files}
dataset_info:
  features:
{features}
  splits:
{splits}
  download_size: {sum(sizes.values())}
  dataset_size: {sum(sizes.values())}
size_categories:
- {_size(total)}
tags:
- cartoongan
- image-to-image
---

# {style}

{total:,} crops of {side}×{side} pixels in `image`, {half}, {_how(options)}:
{", ".join(f"{count:,} to {name}" for name, count in pairs.items())}.
Each row says where its crop comes from: source, frame number, time, place in the frame.
Made by framekit {_cell(info.framekit_version)}; schema version {info.schema_version}.

| source | kind | facts |
|---|---|---|
{sources}

The pictures belong to whoever owns the films. Keep this dataset private unless you may share them.

```json
{json.dumps(made_with, indent=2, sort_keys=True)}
```
"""


def _features() -> list[tuple[str, str]]:
    """Name and type of every column of pairs, as the hub calls them."""
    features = json.loads(PAIRS.metadata[b"huggingface"])["info"]["features"]
    return [(name, feature.get("dtype", "image")) for name, feature in features.items()]


def _size(pairs: int) -> str:
    return next((name for limit, name in SIZES if pairs < limit), "1M<n<10M")
