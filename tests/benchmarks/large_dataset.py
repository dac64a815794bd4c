"""A dataset of 100,000 frames and 400,000 pairs, for what has to stay quick at that size.

    python -m tests.benchmarks.large_dataset

The rows of a real extraction from the demo film, again and again, as ten films of which each frame's measures
are a little different; one frame in five is a near-duplicate of one before it, some are flat or credits, and
shots last five samples on average. One film has a name that no page may take for markup. Crops are 64 × 64
JPEGs: all of it takes some 2 GB, in a folder of the system's temporary ones that stays for the next run.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.decode import cached, note

FRAMES, FILMS, CROPS = 100_000, 10, 4
EVERY, RATE = 24, 24
SHARD_ROWS = 1_000
SHOT = 5
"""Samples in a shot, on average."""
NAMES = ("<img src=x onerror=alert(1)>.mkv", "Ponyo & friends.mkv", "紅の豚.mkv")
LEFT_OUT = {"near-duplicate": 0.2, "flat": 0.05, "credits": 0.03}
"""Shares of the frames."""
CONTENT = ("people", "animals", "scenery")
MEASURED = ("brightness", "contrast", "sharpness", "entropy", "blockiness", "noise")


class Rows:
    """Rows of a real extraction from the demo film: frames that have all their pairs, and these."""

    def __init__(self) -> None:
        import framekit.manifest
        from framekit.extraction.extract import extract
        from framekit.options import ExtractOptions
        from pipelines.demo_film import draw_film

        options = ExtractOptions(
            every=6, crop_size=64, crops_per_frame=CROPS, encoding="jpeg:80", leave_out=()
        )
        with tempfile.TemporaryDirectory() as folder:
            film = Path(folder) / "film.mp4"
            draw_film(film, seconds=60)
            self.options = extract([str(film)], Path(folder) / "dataset", options, workers=1).info.options
            manifest = framekit.manifest.open(Path(folder) / "dataset")
            pairs: dict[str, list[dict[str, Any]]] = {}
            for pair in manifest.undecided.pairs([*_names("PAIRS")]).to_pylist():
                pairs.setdefault(pair["frame_id"], []).append(pair)
            frames = manifest.frames([*_names("FRAMES")]).to_pylist()
        self.frames = [frame for frame in frames if len(pairs.get(frame["frame_id"], ())) == CROPS]
        self.pairs = [pairs[frame["frame_id"]] for frame in self.frames]


def _names(table: str) -> list[str]:
    from framekit.manifest import schema

    return list(getattr(schema, table).names)


def make(frames: int, folder: str) -> None:
    """Write it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from framekit.manifest.card import card
    from framekit.manifest.decisions import drop, write_rules
    from framekit.manifest.schema import SCENES, SCHEMA_VERSION, DatasetInfo, SourceInfo
    from framekit.manifest.writing import write_info

    root, rows, chance = Path(folder), Rows(), np.random.default_rng(0)
    info = DatasetInfo(schema_version=SCHEMA_VERSION, framekit_version="benchmark", options=rows.options)
    rules, scenes = [], []
    for film in range(FILMS):
        note(f"film {film + 1} of {FILMS}")
        source = SourceInfo(
            id=f"film-{film}-{film:08x}",
            path="/films/" + (NAMES[film] if film < len(NAMES) else f"episode {film}.mkv"),
            kind="film",
            fingerprint=f"{film:032x}",
            facts={"duration": frames // FILMS * EVERY / RATE, "frames": frames // FILMS * EVERY},
        )
        info.sources.append(source)
        info.shards += _shards(root, source, rows, frames // FILMS, chance)
        for number in range(frames // FILMS):
            reason = chance.choice([*LEFT_OUT, ""], p=[*LEFT_OUT.values(), 1 - sum(LEFT_OUT.values())])
            like = f"{source.id}:{number // 8 * 8 * EVERY}" if reason == "near-duplicate" else None
            if reason and number % 8:
                item = f"{source.id}:{number * EVERY}"
                rules.append(drop(item, reason, by=f"rule:{reason}", because_of=like))
        cuts = np.flatnonzero(chance.random(frames // FILMS) < 1 / SHOT) * EVERY
        for scene, (start, stop) in enumerate(zip([0, *cuts], [*cuts, frames // FILMS * EVERY], strict=True)):
            if start < stop:
                scenes.append({"source": source.id, "scene": scene, "start": start, "stop": stop})
    write_rules(root, rules)
    pq.write_table(pa.Table.from_pylist(scenes, SCENES), root / "scenes.parquet")
    gone = {name: sum(rule["reason"] == name for rule in rules) for name in LEFT_OUT}
    info.dropped, info.finished = gone, True
    kept = frames - len(rules)
    info.totals = {"frames_sampled": frames, "frames_kept": kept, "pairs": kept * CROPS}
    info.totals["pairs_left_out"] = (frames - kept) * CROPS
    write_info(root, info)
    (root / "README.md").write_text(card(info), encoding="utf-8")


def _shards(root: Path, source: Any, rows: Rows, frames: int, chance: np.random.Generator) -> Iterator[Any]:
    from framekit.manifest.schema import FRAMES as FRAME_TABLE
    from framekit.manifest.schema import PAIRS, ShardInfo
    from framekit.manifest.writing import shard

    count = -(-frames // SHARD_ROWS)
    for number in range(count):
        name = f"{source.id}-{number:05}-of-{count:05}.parquet"
        with (
            shard(root / "frames" / name, FRAME_TABLE) as first,
            shard(root / "pairs" / name, PAIRS) as second,
        ):
            for place in range(number * SHARD_ROWS, min(frames, (number + 1) * SHARD_ROWS)):
                row = place % len(rows.frames)
                own = _identity(source, place) | _measures(rows.frames[row], chance)
                first.add(rows.frames[row] | own | _content(chance))
                for pair in rows.pairs[row]:
                    id_ = {"pair_id": f"{own['frame_id']}#{pair['crop_index']}", "hash": own["hash"]}
                    second.add(pair | _identity(source, place) | id_)
            first.close({})
            second.close({})
        for table, writer in (("frames", first), ("pairs", second)):
            yield ShardInfo(path=f"{table}/{name}", **writer.written)


def _identity(source: Any, place: int) -> dict[str, Any]:
    return {
        "frame_id": f"{source.id}:{place * EVERY}",
        "source": source.id,
        "fingerprint": source.fingerprint,
        "frame_number": place * EVERY,
        "pts": place * EVERY * 512,
        "seconds": place * EVERY / RATE,
    }


def _measures(row: dict[str, Any], chance: np.random.Generator) -> dict[str, Any]:
    """Like those of `row`; hash and colours differ in a few places."""
    factors = chance.normal(1, 0.1, len(MEASURED))
    measured = {name: row[name] * factor for name, factor in zip(MEASURED, factors, strict=True)}
    bits = int(np.bitwise_or.reduce(np.uint64(1) << chance.integers(0, 64, 12, np.uint64)))
    colours = np.frombuffer(row["signature"], np.uint8).astype(int) + chance.integers(-12, 13)
    return measured | {
        "hash": row["hash"] ^ bits,
        "signature": colours.clip(0, 255).astype(np.uint8).tobytes(),
        "duplicate_of": None,
        "reason": None,
    }


def _content(chance: np.random.Generator) -> dict[str, Any]:
    shown = [name for name, draw in zip(CONTENT, chance.random(len(CONTENT)), strict=True) if draw < 0.3]
    return {"content": shown or ["other"], "tags": '{"1girl": 0.9}'}


def large_dataset(frames: int = FRAMES) -> Path:
    """The dataset's folder, made where it is not there yet."""
    return cached(f"large-{frames}", partial(make, frames))


if __name__ == "__main__":
    print(large_dataset())
