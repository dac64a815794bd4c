"""Datasets by construction: reddish drawings with black lines, grey photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from framekit.files import sha256_of
from framekit.images.encoding import encode
from framekit.manifest.schema import PAIRS, SCHEMA_VERSION, DatasetInfo, ShardInfo
from framekit.manifest.writing import shard, write_decisions, write_info

SIDE = 40  # pixels: larger than the crop of 32, so that crops differ


def drawing(number: int, side: int = SIDE) -> np.ndarray:
    """A flat red with black lines."""
    image = np.full((side, side, 3), (200 + number % 5 * 10, 60, 50), np.uint8)
    for line in range(3):
        x = (number * 7 + line * 13) % side
        cv2.line(image, (x, 0), (side - x, side), (0, 0, 0), 2)
    return image


def photo(number: int, side: int = SIDE) -> np.ndarray:
    """Grey noise over a slope."""
    noise = np.random.default_rng(number).integers(0, 60, (side, side, 1))
    slope = np.linspace(20, 190, side).reshape(1, -1, 1)
    return np.repeat((noise + slope).astype(np.uint8), 3, axis=2)


def smoothed(image: np.ndarray) -> np.ndarray:
    """Something that stands for the edge-smoothed half."""
    return cv2.GaussianBlur(image, (5, 5), 0)


def write_dataset(
    root: Path,
    images: Sequence[np.ndarray],
    *,
    smooth: bool,
    halves: Sequence[np.ndarray | None] | None = None,
) -> Path:
    """A dataset in folder `root`; `halves` in the place of smoothed ones."""
    if halves is None:
        halves = [smoothed(image) if smooth else None for image in images]
    path = "pairs/drawn-0000.parquet"
    with shard(root / path, PAIRS) as writer:
        for number, (image, half) in enumerate(zip(images, halves, strict=True)):
            row = dict.fromkeys(PAIRS.names)
            row |= {
                "pair_id": f"drawn:{number}#0",
                "frame_id": f"drawn:{number}",
                "crop_size": image.shape[0],
            }
            row["image"] = {"bytes": encode(image), "path": f"{number}.png"}
            row["smoothed"] = (
                None if half is None else {"bytes": encode(half), "path": f"{number}-smoothed.png"}
            )
            writer.add(row)
        writer.close({})
    size, digest = (root / path).stat().st_size, sha256_of(root / path)
    shards = [ShardInfo(path=path, rows=len(images), bytes=size, sha256=digest)]
    write_decisions(root, [])
    options = {"smooth": smooth}
    write_info(
        root,
        DatasetInfo(schema_version=SCHEMA_VERSION, framekit_version="test", options=options, shards=shards),
    )
    return root
