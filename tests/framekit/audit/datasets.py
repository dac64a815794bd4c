"""A dataset by construction that has a bit of everything: films, stills, reasons, content, a split, shots."""

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from framekit.images.encoding import encode
from framekit.images.likeness import SIZE
from framekit.images.rules import FRAME_MEASURES, QUALITY
from framekit.manifest.decisions import drop, write_rules
from framekit.manifest.schema import FRAMES, PAIRS, SCENES, SCHEMA_VERSION, DatasetInfo, SourceInfo
from framekit.manifest.writing import write_info
from tests.framekit.manifest.datasets import written

HOSTILE = "<img src=x onerror=alert(1)>"
FILMS = ("heidi-0000000a", "ponyo-0000000b", "empty-0000000d")
STILLS = "photos-0000000c"
SIDE, WIDTH, HEIGHT = 32, 96, 64
REASONS = ("near-duplicate", "flat", "noise>6", "a logo")


def varied(root: Path, frames: int = 30, *, seed: int = 0, smooth: bool = True, split: bool = True) -> Path:
    """Write it: `frames` frames of each source but the last film, which gave none."""
    chance = np.random.default_rng(seed)
    shards, rules, sides = [], [], {}
    for source in (*FILMS[:2], STILLS):
        rows = [_frame(source, number, chance) for number in range(frames)]
        shards.append(written(root, f"frames/{source}-00000-of-00001.parquet", FRAMES, rows))
        cut = [row for row in rows if row["reason"] is None]
        pairs = [_pair(row, index, chance, smooth=smooth) for row in cut for index in range(2)]
        shards.append(written(root, f"pairs/{source}-00000-of-00001.parquet", PAIRS, pairs))
        for row in rows:
            reason = row["reason"] or chance.choice([*REASONS, ""], p=[0.1, 0.05, 0.05, 0.05, 0.75])
            if reason:
                like = f"{source}:0" if reason == "near-duplicate" and row["frame_number"] else None
                rules.append(drop(row["frame_id"], reason, by="rule:x", because_of=like))
            sides[row["frame_id"]] = chance.choice(["train", "test", None], p=[0.7, 0.2, 0.1])
        rules += [drop(pair["pair_id"], "crop.noise>3", by="rule:x") for pair in pairs[:1]]
    write_rules(root, rules)
    _write_tables(root, sides if split else None, frames)
    info = DatasetInfo(
        schema_version=SCHEMA_VERSION,
        framekit_version="test",
        options={
            "every": 12,
            "hash": "phash",
            "dedup_distance": 6,
            "smooth": smooth,
            "leave_out": ["noise>6"],
        },
        sources=[_source(source) for source in (*FILMS, STILLS)],
        shards=shards,
        problems=[{"path": "films/broken.mkv", "what": "not a film"}],
        finished=True,
    )
    write_info(root, info)
    if split:
        whole = info.model_dump() | {"split": {"by": "film", "test": 0.1, "seed": 0}}
        write_info(root, DatasetInfo.model_validate(whole))
    return root


def _source(source):
    path = {FILMS[0]: f"films/{HOSTILE}.mkv", STILLS: "photos"}.get(source, f"films/{source}.mkv")
    facts = {"seconds": 31.5} if source == FILMS[0] else {}
    if source == FILMS[1]:
        facts = {"overlay": [0.75, 0.75, 0.2, 0.2]}
    return SourceInfo(
        id=source, path=path, kind="stills" if source == STILLS else "film", fingerprint=source, facts=facts
    )


def _identity(source, number):
    still = source == STILLS
    return {
        "frame_id": f"{source}:{number}",
        "source": source,
        "fingerprint": source,
        "frame_number": number * 12,
        "seconds": None if still else number + 0.25,
        "name": f"people/{number}.jpg" if still else None,
        "group": ("people" if number % 3 else "cats") if still else None,
    }


def _measures(names, chance):
    measures = {name: float(np.float32(chance.gamma(2, 20))) for name in names}
    return measures | {"noise": None if chance.random() < 0.2 else float(np.float32(chance.random() * 8))}


def _frame(source, number, chance):
    content = list(chance.choice(["people", "animals", "other"], 2, replace=False))
    smaller = chance.random() < 0.1
    return dict.fromkeys(FRAMES.names) | _identity(source, number) | _measures(FRAME_MEASURES, chance) | {
        "width": WIDTH,
        "height": HEIGHT,
        "hash": int(chance.integers(0, 2**63)),
        "signature": chance.integers(0, 256, SIZE, np.uint8).tobytes(),
        "content": content if chance.random() < 0.7 else None,
        "reason": "smaller than the crop" if smaller else None,
        "thumbnail": {"bytes": encode(drawing(chance, 54, 96), "jpeg:85"), "path": "t.jpg"},
    }  # fmt: skip


def _pair(frame, index, chance, *, smooth):
    image = drawing(chance, SIDE, SIDE)
    x, y = (int(chance.integers(0, side - SIDE + 1)) for side in (WIDTH, HEIGHT))
    place = {"crop_index": index, "crop_x": x, "crop_y": y, "crop_size": SIDE, "scale": 1.0, "seed": 0}
    half = {"bytes": encode(cv2.blur(image, (5, 5))), "path": "s.png"} if smooth else None
    identity = {name: frame[name] for name in PAIRS.names if name in frame and name not in QUALITY}
    return dict.fromkeys(PAIRS.names) | identity | place | _measures(QUALITY, chance) | {
        "pair_id": f"{frame['frame_id']}#{index}",
        "edge_density": 0.0 if chance.random() < 0.2 else float(np.float32(chance.random())),
        "image": {"bytes": encode(image), "path": "i.png"},
        "smoothed": half,
    }  # fmt: skip


def drawing(chance, height, width):
    """(H, W, 3) uint8 RGB: dark outlines on flat colours."""
    image = np.full((height, width, 3), chance.integers(120, 255, 3), np.uint8)
    for _ in range(4):
        centre = (int(chance.integers(0, width)), int(chance.integers(0, height)))
        radius = int(chance.integers(3, max(4, height // 3)))
        cv2.circle(image, centre, radius, chance.integers(0, 255, 3).tolist(), -1)
        cv2.circle(image, centre, radius, (10, 10, 10), 1)
    return image


def _write_tables(root, sides, frames):
    if sides is not None:
        table = {"frame_id": list(sides), "split": pa.array(sides.values(), pa.string())}
        pq.write_table(pa.table(table), root / "split.parquet")
    shots = [
        {"source": source, "scene": scene, "start": start, "stop": start + 60}
        for source in FILMS[:2]
        for scene, start in enumerate(range(0, frames * 12, 60))
    ]
    pq.write_table(pa.Table.from_pylist(shots, SCENES), root / "scenes.parquet")
