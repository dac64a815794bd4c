"""How well near-duplicates are told from pictures that only look alike, on labelled pairs from real films.

    python -m tests.benchmarks.duplicates [--per-kind 40] [--sheets FOLDER] [--json]

Pairs come from the films in the folder that FRAMEKIT_TEST_DATA names (see pairs_of_frames.py). Recall is the
share of near-duplicates that are found; precision is the share of what is found that is a near-duplicate.
Every kind of pair weighs the same, however many pairs of it there are; in a dataset far fewer pairs are hard
ones. Figures are also given for two halves of the films, `ONE_HALF` and the others, to show how much they
hang on the film. The constants of `framekit.images.likeness` were chosen with both in view: neither is a test
set.

imagededup is measured where it can be imported; it need not be.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from framekit.images.hashing import perceptual_hash, small_grey
from framekit.images.likeness import alike, is_flat, signature
from tests.benchmarks.other_library import imagededup_hasher
from tests.benchmarks.pairs_of_frames import APART, NEAR, Pair, pairs

HASHES = ("phash", "dhash", "whash", "average")
DISTANCES = range(21)
IMAGEDEDUP_DISTANCE = 10
"""imagededup's default `max_distance_threshold`."""
ONE_HALF = ("popeye", "pennychip 1", "synfig")
CACHE = Path(tempfile.gettempdir()) / "framekit-benchmarks"
SHEET = 48
"""Pairs of each kind on a contact sheet."""


@dataclass(frozen=True)
class Measured:
    """What is kept of N pairs.

    Attributes:
        kinds, films: (N,) str.
        hashes: (N, 2) uint64 of each kind of hash, and of `imagededup` where it is there.
        signatures: (N, 2, S) uint8.
    """

    kinds: np.ndarray
    films: np.ndarray
    hashes: dict[str, np.ndarray]
    signatures: np.ndarray

    def distances(self, name: str) -> np.ndarray:
        """(N,) bits that differ."""
        return np.bitwise_count(self.hashes[name][:, 0] ^ self.hashes[name][:, 1])

    def alike(self, name: str, max_distance: int) -> np.ndarray:
        """(N,) bool: what framekit takes for near-duplicates."""
        (a, b), (s, t) = self.hashes[name].T, self.signatures.swapaxes(0, 1)
        return alike(a, s, b, t, max_distance)

    def of(self, chosen: np.ndarray) -> "Measured":
        hashes = {name: values[chosen] for name, values in self.hashes.items()}
        return Measured(self.kinds[chosen], self.films[chosen], hashes, self.signatures[chosen])


def measure(found: Iterator[Pair], sheets: Path | None) -> Measured:
    """Hash and sign both pictures of each pair; draw contact sheets on the way."""
    hashers: dict[str, Callable[[np.ndarray], int]] = {
        kind: lambda image, kind=kind: perceptual_hash(small_grey(image), kind) for kind in HASHES
    }
    if other := imagededup_hasher():
        hashers["imagededup"] = lambda image: int(other.encode_image(image_array=image), 16)
    kinds, films, signatures = [], [], []
    hashes: dict[str, list[list[int]]] = defaultdict(list)
    shown: dict[str, list[np.ndarray]] = defaultdict(list)
    for pair in found:
        both = pair.first, pair.second
        kinds.append(pair.kind)
        films.append(pair.film)
        signatures.append([signature(image) for image in both])
        for name, hasher in hashers.items():
            hashes[name].append([hasher(image) for image in both])
        if sheets:
            shown[f"{pair.kind} - {pair.film}"].append(side_by_side(*both))
    for name, rows in shown.items() if sheets else ():
        cv2.imwrite(str(sheets / f"{name}.png"), contact_sheet(rows[:SHEET]))
    return Measured(
        np.array(kinds),
        np.array(films),
        {name: np.array(values, np.uint64) for name, values in hashes.items()},
        np.array(signatures),
    )


def side_by_side(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.hstack(
        [cv2.resize(image, (160, 90), interpolation=cv2.INTER_AREA) for image in (first, second)]
    )


def contact_sheet(rows: list[np.ndarray], across: int = 4) -> np.ndarray:
    """BGR picture of many pairs, a white line between them."""
    cells = [cv2.copyMakeBorder(row, 2, 2, 3, 3, cv2.BORDER_CONSTANT, value=(255,) * 3) for row in rows]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % across)
    lines = [np.hstack(cells[start : start + across]) for start in range(0, len(cells), across)]
    return cv2.cvtColor(np.vstack(lines), cv2.COLOR_RGB2BGR)


# Figures --------------------------------------------------------------------------------------------------


def shares(measured: Measured, said: np.ndarray) -> dict[str, float]:
    """Share of each kind's pairs that were said to be near-duplicates."""
    return {kind: float(said[of].mean()) for kind in (*NEAR, *APART) if (of := measured.kinds == kind).any()}


def precision_and_recall(by_kind: dict[str, float]) -> tuple[float, float]:
    """Both from the share of each kind that was said to be near-duplicates, each kind weighing the same."""
    right = sum(by_kind.get(kind, 0) for kind in NEAR)
    wrong = sum(by_kind.get(kind, 0) for kind in APART)
    kinds = sum(kind in by_kind for kind in NEAR)
    return right / (right + wrong) if right + wrong else 1.0, right / kinds if kinds else 0.0


def ways(measured: Measured) -> Iterator[tuple[str, int, Callable[[Measured], np.ndarray]]]:
    """Name, distance and decision of each way to tell near-duplicates."""
    for name in HASHES:
        for bits in DISTANCES:
            yield name, bits, lambda m, name=name, bits=bits: m.distances(name) <= bits
            yield f"{name}, checked", bits, lambda m, name=name, bits=bits: m.alike(name, bits)
    if "imagededup" in measured.hashes:
        bits = IMAGEDEDUP_DISTANCE
        yield "imagededup PHash", bits, lambda m: m.distances("imagededup") <= bits


def figures(measured: Measured) -> Iterator[dict[str, Any]]:
    one_half = np.isin(measured.films, ONE_HALF)
    parts = {"all": np.ones(len(measured.films), bool), "one half": one_half, "other half": ~one_half}
    for name, bits, way in ways(measured):
        row: dict[str, Any] = {"way": name, "distance": bits}
        for part, chosen in parts.items():
            some = measured.of(chosen)
            by_kind = shares(some, way(some))
            precision, recall = precision_and_recall(by_kind)
            row[part] = {"precision": precision, "recall": recall, "kinds": by_kind}
        yield row


def markdown(rows: list[dict[str, Any]], measured: Measured, default: tuple[str, int]) -> Iterator[str]:
    """Both tables of the documentation: precision / recall over distances, and by kind at chosen ones."""
    by_name: dict[tuple[str, int], dict[str, Any]] = {(row["way"], row["distance"]): row for row in rows}
    names = [way for name in HASHES for way in (name, f"{name}, checked")]
    yield "| bits | " + " | ".join(names) + " |"
    yield "|---:|" + "---|" * len(names)
    for bits in DISTANCES:
        cells = [by_name[name, bits]["all"] for name in names]
        texts = [f"{cell['precision']:.3f} / {cell['recall']:.3f}" for cell in cells]
        yield f"| {bits} | " + " | ".join(texts) + " |"
    yield ""
    best = [(name, best_distance(rows, name)) for name in HASHES] + [default]
    best += [("imagededup PHash", IMAGEDEDUP_DISTANCE)] if "imagededup" in measured.hashes else []
    yield "| said to be near-duplicates | pairs | " + " | ".join(f"{n} ≤ {bits}" for n, bits in best) + " |"
    yield "|---|---:|" + "---:|" * len(best)
    for kind in (*NEAR, *APART):
        texts = [f"{by_name[way]['all']['kinds'].get(kind, float('nan')):.3f}" for way in best]
        yield f"| {kind} | {(measured.kinds == kind).sum()} | " + " | ".join(texts) + " |"
    for part in ("all", "one half", "other half"):
        for what in ("precision", "recall"):
            texts = [f"{by_name[way][part][what]:.3f}" for way in best]
            yield f"| **{what}**, {part} | | " + " | ".join(texts) + " |"


def best_distance(rows: list[dict[str, Any]], name: str) -> int:
    """The distance at which a hash alone has its best F1."""

    def f1(row: dict[str, Any]) -> float:
        precision, recall = row["all"]["precision"], row["all"]["recall"]
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    return max((row for row in rows if row["way"] == name), key=f1)["distance"]


def cost(rounds: int = 200) -> float:
    """Milliseconds of CPU that one 1280×720 picture's signature takes."""
    image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    before = time.process_time()
    for _ in range(rounds):
        signature(image)
    return (time.process_time() - before) / rounds * 1000


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--per-kind", type=int, default=40, help="pairs of a kind from a film")
    parser.add_argument("--hash", choices=HASHES, default="phash")
    parser.add_argument("--distance", type=int, default=6, help="shown by kind")
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets, to check labels by eye")
    parser.add_argument(
        "--cache", type=Path, default=CACHE, help=f"folder for decoded films, 11 GB ({CACHE})"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    chosen = parser.parse_args()
    data = os.environ.get("FRAMEKIT_TEST_DATA")
    if not data:
        parser.error("FRAMEKIT_TEST_DATA names no folder")
    if chosen.sheets:
        chosen.sheets.mkdir(parents=True, exist_ok=True)
    chosen.cache.mkdir(parents=True, exist_ok=True)
    measured = measure(pairs(Path(data) / "films", chosen.per_kind, chosen.cache, note), chosen.sheets)
    if "imagededup" not in measured.hashes:
        note("imagededup is not installed: left out")
    rows = list(figures(measured))
    flat = shares(
        measured, is_flat(measured.signatures.reshape(-1, measured.signatures.shape[2])).reshape(-1, 2).any(1)
    )
    if chosen.json:
        print(json.dumps({"pairs": len(measured.kinds), "flat": flat, "signature_ms": cost(), "ways": rows}))
        return
    print("\n".join(markdown(rows, measured, (f"{chosen.hash}, checked", chosen.distance))))
    print(f"\n{len(measured.kinds):,} pairs; a signature takes {cost():.2f} ms of CPU")


if __name__ == "__main__":
    main()
