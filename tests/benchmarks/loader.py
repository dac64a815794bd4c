"""Reading for training, against bare decoding of the same bytes and against a folder of PNGs, in one run.

    python -m tests.benchmarks.loader [--rows 100000] [--rounds 5] [--json]

What is compared, in CPU seconds (user and system, all threads), median of the rounds. Each round has a
process of its own and takes the pairs of another block of the stream, all ways the same ones in the same
order, by turns:

- bare: `cv2.imdecode(…, cv2.IMREAD_COLOR)` of both halves, from bytes that lie in memory, and no more.
- stream: `manifest.stream()`, a whole block, from the system's file cache, where the folders lie too.
- stream, from disk: the same before that, alone, after the system was asked to forget the files. What the
  disk takes of the CPU is in it.
- folder, cv2 and PIL: a plain torch `Dataset` over files, in a `DataLoader` without workers. These are a
  few hundred files only, and they give pictures, no ids.

Beside them: the time to the first batch of 8, random access by id, and the most memory of a stream over a
dataset and over an eighth of it. Pairs are 256 × 256 crops of the films that FRAMEKIT_TEST_DATA names, and
of one that is drawn where there are none, repeated until there are rows enough: 11 GB for 100,000, in a
folder of the system's temporary ones that stays for the next run.
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import NamedTuple

from tests.benchmarks.decode import REAL_FILMS, RSS_UNIT, cached, draw, in_a_process, machine, note

ROWS, ROUNDS, FILMS, BATCH, LOOKUPS = 100_000, 5, 8, 8, 200
SHARD_ROWS = 320
"""What a segment of 4,000 frames gives at four crops of every 50th."""
EVERY = 20
"""Frames between two that are sampled."""

TURN = 50
"""Pairs that one way gives before the next one's turn."""

BARE, STREAM, FROM_DISK = "cv2.imdecode, bytes in memory", "framekit stream", "framekit stream, from disk"
FOLDER_CV2, FOLDER_PIL = "folder of PNGs, cv2", "folder of PNGs, PIL"
NAMES = BARE, STREAM, FROM_DISK, FOLDER_CV2, FOLDER_PIL


class Places(NamedTuple):
    """Folders of what is measured: the dataset, an eighth of it, and the distinct crops as files."""

    whole: str
    eighth: str
    files: str


class Lookups(NamedTuple):
    """Milliseconds of random access: of the first call, and of each later one; and the decoding in these."""

    index: float
    cold: list[float]
    again: list[float]
    decoding: list[float]


# What is measured -----------------------------------------------------------------------------------------


def make_files(folder: str) -> None:
    """Crops of real films by a real extraction: `0.png`, `0-smoothed.png`, `1.png`, …"""
    import framekit.manifest
    from framekit.extraction.extract import extract
    from framekit.options import ExtractOptions

    data = Path(os.environ.get("FRAMEKIT_TEST_DATA", "nowhere"))
    films = [str(path) for name in REAL_FILMS if (path := data / name).exists()]
    films = films or [str(cached("drawn-1080p.mp4", draw))]
    Path(folder).mkdir()
    with tempfile.TemporaryDirectory() as out:
        extract(films, Path(out) / "dataset", ExtractOptions(every=EVERY), workers=1)
        pairs = framekit.manifest.open(Path(out) / "dataset").pairs(["image", "smoothed"])
        for number, row in enumerate(pairs.to_pylist()):
            (Path(folder) / f"{number}.png").write_bytes(row["image"]["bytes"])
            (Path(folder) / f"{number}-smoothed.png").write_bytes(row["smoothed"]["bytes"])


def make_dataset(files: Path, rows: int, folder: str) -> None:
    """Eight films of the crops over and over; row n of a film is crop n modulo the number of crops."""
    from framekit.manifest.decisions import write_rules
    from framekit.manifest.schema import PAIRS
    from framekit.manifest.writing import shard

    count = len(list(files.glob("*-smoothed.png")))
    crops = [
        {
            "crop_size": 256,
            "image": {"bytes": (files / f"{number}.png").read_bytes(), "path": "image.png"},
            "smoothed": {"bytes": (files / f"{number}-smoothed.png").read_bytes(), "path": "smoothed.png"},
        }
        for number in range(count)
    ]
    for film in range(FILMS):
        note(f"film {film + 1} of {FILMS}")
        source = f"film-{film:08x}"
        for number, start in enumerate(range(0, rows // FILMS, SHARD_ROWS)):
            with shard(Path(folder) / f"pairs/{source}-{number:04}.parquet", PAIRS) as writer:
                for row in range(start, min(start + SHARD_ROWS, rows // FILMS)):
                    ids = {"pair_id": f"{source}:{row}#0", "frame_id": f"{source}:{row}", "source": source}
                    writer.add(dict.fromkeys(PAIRS.names) | ids | {"frame_number": row} | crops[row % count])
                writer.close({})
    write_rules(Path(folder), [])
    describe(Path(folder))


def make_eighth(whole: Path, folder: str) -> None:
    """The first film alone, as links to the same files."""
    from framekit.manifest.decisions import write_rules

    (Path(folder) / "pairs").mkdir(parents=True)
    for shard in (whole / "pairs").glob("film-00000000-*"):
        os.link(shard, Path(folder) / "pairs" / shard.name)
    write_rules(Path(folder), [])
    describe(Path(folder))


def describe(root: Path) -> None:
    import pyarrow.parquet as pq

    from framekit.manifest.schema import SCHEMA_VERSION, DatasetInfo, ShardInfo
    from framekit.manifest.writing import write_info

    shards = [
        ShardInfo(
            path=f"pairs/{path.name}",
            rows=pq.read_metadata(path).num_rows,
            bytes=path.stat().st_size,
            sha256="0" * 64,
        )
        for path in sorted((root / "pairs").iterdir())
    ]
    info = DatasetInfo(schema_version=SCHEMA_VERSION, framekit_version="0", options={}, shards=shards)
    write_info(root, info)


def block(whole: str, files: str, number: int) -> tuple[list[str], list[int]]:
    """pair_ids of the first block of epoch `number`, and which crops they are."""
    import framekit.manifest
    from framekit.manifest import WINDOW, Shuffle

    manifest = framekit.manifest.open(whole)
    shuffle = Shuffle(manifest.reader().row_groups, seed=0, window=WINDOW)
    positions = next(shuffle.blocks(itertools.count(number * len(shuffle))))
    ids = manifest.pairs(["pair_id"])["pair_id"].take(positions).to_pylist()
    count = len(list(Path(files).glob("*-smoothed.png")))
    return ids, [int(id_.split(":")[1].split("#")[0]) % count for id_ in ids]


# Ways: each gives pair after pair ---------------------------------------------------------------------------


def bare(places: Places, crops: list[int]) -> Iterator[object]:
    import cv2
    import numpy as np

    data = [[path.read_bytes() for path in paths(places.files, crop)] for crop in crops]
    return (
        [cv2.imdecode(np.frombuffer(half, np.uint8), cv2.IMREAD_COLOR) for half in halves] for halves in data
    )


def folder(places: Places, crops: list[int], *, by: str) -> Iterator[object]:
    import cv2
    import numpy as np
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    def by_cv2(path: Path) -> np.ndarray:
        return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def by_pil(path: Path) -> np.ndarray:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))

    read = {"cv2": by_cv2, "PIL": by_pil}[by]

    class Folder(Dataset):
        def __getitem__(self, crop: int) -> list[np.ndarray]:
            return [read(path) for path in paths(places.files, crop)]

    return iter(DataLoader(Folder(), batch_size=None, sampler=crops, collate_fn=lambda pair: pair))


def paths(files: str, crop: int) -> tuple[Path, Path]:
    return Path(files) / f"{crop}.png", Path(files) / f"{crop}-smoothed.png"


def in_turns(places: Places, number: int) -> dict[str, float]:
    """CPU milliseconds of a pair each way, over the first block of epoch `number`."""
    import framekit.manifest

    ids, crops = block(places.whole, places.files, number)
    stream = framekit.manifest.open(places.whole).stream(epoch=number)
    forget(places.whole)
    from_disk = {FROM_DISK: islice(iter(stream), len(ids))}
    spent = turns(from_disk, len(ids))
    stream.seek(number)
    seen: list[str] = []
    ways = {
        BARE: bare(places, crops),
        STREAM: (seen.append(pair.pair_id) for pair in stream),
        FOLDER_CV2: folder(places, crops, by="cv2"),
        FOLDER_PIL: folder(places, crops, by="PIL"),
    }
    spent |= turns(ways, len(ids))
    assert seen == ids
    return {name: spent[name] / len(ids) * 1e3 for name in NAMES}


def forget(root: str) -> None:
    """Ask the system to drop a dataset's shards from its file cache."""
    for path in Path(root, "pairs").iterdir():
        if hasattr(os, "posix_fadvise"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def turns(ways: dict[str, Iterator[object]], pairs: int) -> dict[str, float]:
    """CPU seconds that each way takes for `pairs` pairs.

    `TURN` at a time, so that what else the machine does strikes all alike.
    """
    spent = dict.fromkeys(ways, 0.0)
    for pair in range(0, pairs, TURN):
        for name, way in ways.items():
            before = time.process_time()
            deque(islice(way, min(TURN, pairs - pair)), maxlen=0)
            spent[name] += time.process_time() - before
    return spent


# Beside them ----------------------------------------------------------------------------------------------


def first_batch(whole: str) -> tuple[float, float, float]:
    """Seconds from opening a dataset to its first batch; the same in CPU time; and of the imports before."""
    began = time.perf_counter()
    import framekit.images.encoding
    import framekit.manifest

    opened, cpu = time.perf_counter(), time.process_time()
    pairs = framekit.manifest.open(whole).stream()
    assert len(list(islice(pairs, BATCH))) == BATCH
    return time.perf_counter() - opened, time.process_time() - cpu, opened - began


def lookups(whole: str, seed: int) -> Lookups:
    import numpy as np

    import framekit.manifest
    from framekit.manifest import reading

    spent, decode = [0.0], reading.decode

    def timed(data: bytes | np.ndarray | None) -> np.ndarray:
        began = time.perf_counter()
        try:
            return decode(data)
        finally:
            spent[0] += time.perf_counter() - began

    reading.decode = timed
    manifest = framekit.manifest.open(whole)
    ids = manifest.pairs(["pair_id"])["pair_id"].to_pylist()
    began = time.perf_counter()
    manifest.pair(ids[0])
    index = time.perf_counter() - began
    chosen = np.random.default_rng(seed).choice(ids, LOOKUPS, replace=False).tolist()
    forget(whole)
    times: list[list[float]] = [[], []]
    decoding: list[float] = []
    for its in times:
        for id_ in chosen:
            began, spent[0] = time.perf_counter(), 0.0
            manifest.pair(id_)
            its.append((time.perf_counter() - began) * 1e3)
            decoding.append(spent[0] * 1e3)
    return Lookups(index * 1e3, *times, decoding[LOOKUPS:])


def peak(root: str, pairs: int) -> int:
    """Bytes of memory at most while a stream gives `pairs` pairs."""
    import framekit.manifest

    for _ in islice(framekit.manifest.open(root).stream(), pairs):
        pass
    return getrusage(RUSAGE_SELF).ru_maxrss * RSS_UNIT


# Running and telling --------------------------------------------------------------------------------------


def places_of(rows: int) -> Places:
    files = cached("loader-crops", make_files)
    whole = cached(f"loader-{rows}", partial(make_dataset, files, rows))
    return Places(str(whole), str(cached(f"loader-{rows}-eighth", partial(make_eighth, whole))), str(files))


def measure(places: Places, rounds: int) -> dict[str, object]:
    cpu: dict[str, list[float]] = {name: [] for name in NAMES}
    firsts, looked = [], []
    for number in range(rounds):
        note(f"round {number + 1} of {rounds}")
        for name, spent in in_a_process(partial(in_turns, places, number)).items():
            cpu[name].append(spent)
        firsts.append(in_a_process(partial(first_batch, places.whole)))
        looked.append(in_a_process(partial(lookups, places.whole, number)))
    note("memory, once")
    pairs = 2 * len(in_a_process(partial(block, places.whole, places.files, 0))[0])
    every = {name: [ms for its in looked for ms in getattr(its, name)] for name in Lookups._fields[1:]}
    return {
        "cpu_ms_per_pair": cpu,
        "first_batch_s": dict(
            zip(("wall", "cpu", "imports"), map(statistics.median, zip(*firsts, strict=True)), strict=True)
        ),
        "lookup_ms": {name: percentiles(values) for name, values in every.items()},
        "lookup_index_ms": statistics.median(its.index for its in looked),
        "peak_bytes": {
            name: in_a_process(partial(peak, root, pairs))
            for name, root in (("whole", places.whole), ("eighth", places.eighth))
        },
        "dataset_bytes": sum(path.stat().st_size for path in Path(places.whole, "pairs").iterdir()),
    }


def percentiles(values: list[float]) -> tuple[float, float, float]:
    """The 5th, 50th and 95th."""
    twentieths = statistics.quantiles(values, n=20)
    return twentieths[0], statistics.median(values), twentieths[-1]


def table(result: dict) -> Iterator[str]:
    cpu = result["cpu_ms_per_pair"]
    yield f"\n  {'pairs per CPU second':<32}{'to bare':>9}{'CPU ms a pair':>15}{'from to':>15}"
    for name, its in cpu.items():
        # Of each round by itself: what else the machine does changes from round to round.
        ratio = statistics.median(bare / ms for bare, ms in zip(cpu[BARE], its, strict=True))
        aim = "   aim: 0.90" if name == STREAM else ""
        spread = f"{min(its):.2f} {max(its):.2f}"
        yield f"  {name:<32}{ratio:9.2f}{statistics.median(its):15.2f}{spread:>15}{aim}"
    first, (index, looked) = result["first_batch_s"], (result["lookup_index_ms"], result["lookup_ms"])
    yield f"\n  first batch of {BATCH}: {first['wall']:.2f} s, CPU {first['cpu']:.2f} s   aim: 2 s"
    yield f"  (and before that {first['imports']:.2f} s of imports)"
    yield f"\n  a pair by its id, ms (5 %, median, 95 %)   aim: 5; index, once: {index:.0f}"
    for name, told in (("cold", "from disk"), ("again", "read before"), ("decoding", "of it decoding")):
        yield f"    {told:<20}" + "".join(f"{ms:8.2f}" for ms in looked[name])
    sizes = {"whole": result["dataset_bytes"], "eighth": result["dataset_bytes"] / FILMS}
    yield "\n  most memory over two blocks"
    for name, most in result["peak_bytes"].items():
        yield f"    {most / 1e6:6.0f} MB   dataset of {sizes[name] / 1e9:.1f} GB"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.loader", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--rows", type=int, default=ROWS, help=f"of the dataset ({ROWS:,})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"measurements of each way ({ROUNDS})")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    chosen = parser.parse_args()
    result = measure(places_of(chosen.rows), chosen.rounds)
    if chosen.json:
        print(json.dumps(machine() | {"rows": chosen.rows, "rounds": chosen.rounds} | result))
        return
    print(f"{chosen.rows:,} pairs; " + ", ".join(f"{k} {v}" for k, v in machine().items()))
    print("\n".join(table(result)))


if __name__ == "__main__":
    main()
