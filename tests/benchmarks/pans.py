"""Pans and zooms over one painting: what `camera_move` finds of them, what it takes for one, what it costs.

    python -m tests.benchmarks.pans [--rounds 2] [--sheet FILE.png] [--json]

Films come from the folder that FRAMEKIT_TEST_DATA names.

- Made moves: two views of one frame, each with a figure (an ellipse cut from another frame) somewhere else in
  it, grain of its own and a JPEG of its own. Pans of 2 to 40 % and zooms of 2 to 30 %, both ways.
- Other shots: samples of different films.
- Neighbours: samples of the films themselves, 12 and 50 frames apart. `MOVING` says, by eye, between which of
  their frames the camera moves; a move found anywhere else, by a pair whose hashes differ, is a false alarm.
  `--sheet` draws all that was found among them, to look at.
"""

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from framekit.images.hashing import distance, perceptual_hash, small_grey
from framekit.images.motion import Move, camera_move, overlap
from framekit.sources.decoding import Look, Surprise, film_pictures
from framekit.sources.film import read_facts
from framekit.sources.frames import Decoded
from framekit.sources.sampling import Sampling
from framekit.sources.survey import survey

PANS = (0.02, 0.05, 0.10, 0.20, 0.30, 0.40)
ZOOMS = (1.02, 1.05, 1.10, 1.20, 1.30)
STEPS = (12, 50)
DISTANCE = 6
"""Bits up to which the hash already calls two pictures near-duplicates."""
CLOSE = 0.01
"""Share of the frame by which a found shift may be wrong; of 1, a found zoom."""
OTHERS = 2_000
"""Pairs of different shots for each round."""
GRAIN, JPEG = 3.0, 60
FIGURE = 0.2
"""Height of the figure, of the frame's."""
LIMITS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Overlaps from which a sample could be dropped."""

MOVING: dict[str, tuple[tuple[int, int], ...]] = {
    "big-buck-bunny": ((0, 100), (228, 290), (440, 480), (690, 870), (1410, 1440), (1700, 1790)),
    "locomotive": ((60, 110),),
    "outro": ((84, 180),),
    "reading": ((60, 110),),
    "sindbad-1": ((84, 330), (370, 530), (540, 735), (1080, 1145)),
    "sindbad-2": ((990, 1310),),
    "stargazing": ((96, 180),),
    "summer": ((50, 110),),
    "syn_dragon_10": ((0, 120),),
    "syn_forest_on_fire__1passCBR15": ((90, 145),),
    "syn_glyphs_2x_crf13k": ((0, 272),),
}


class Film(NamedTuple):
    """What is kept of a film: small pictures by frame number, and some whole ones."""

    name: str
    small: dict[int, np.ndarray]
    whole: list[np.ndarray]


class Found(NamedTuple):
    """A pair of neighbours whose hashes differ, and the move found between them."""

    film: str
    step: int
    first: int
    before: np.ndarray
    after: np.ndarray
    move: Move

    @property
    def is_real(self) -> bool:
        """Whether the camera moves there, by eye."""
        return any(start <= self.first and self.first + self.step <= end + self.step // 2
                   for start, end in MOVING.get(self.film, ()))  # fmt: skip


def read_films(folder: Path) -> Iterator[Film]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print(f"reading {path.name}", file=sys.stderr, flush=True)
        facts = read_facts(path)
        look = Look(box=survey(path, facts).box)
        film = Film(path.stem, {}, [])
        try:
            # Both steps are even.
            for picture in film_pictures(path, Sampling(every=2), decoded=Decoded(), look=look):
                number = picture.place.number
                if any(number % step == 0 for step in STEPS):
                    film.small[number] = small_grey(picture.image)
                if number % 96 == 0:
                    film.whole.append(picture.image)
        except Surprise as surprise:
            print(f"{path.name}: {surprise}", file=sys.stderr)
        yield film


def view(image: np.ndarray, centre: tuple[float, float], share: float) -> np.ndarray:
    """The part of a picture around a place, both in shares of it, at half its size."""
    height, width = image.shape[:2]
    size = round(width * share), round(height * share)
    part = cv2.getRectSubPix(image, size, (centre[0] * (width - 1), centre[1] * (height - 1)))
    return cv2.resize(part, (width // 2, height // 2), interpolation=cv2.INTER_AREA)


def spoilt(image: np.ndarray, figure: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The picture with a figure somewhere in it, grain, and a JPEG's losses, as a small grey one."""
    height, width = image.shape[:2]
    tall, wide = int(FIGURE * height), int(FIGURE * height * 0.7)
    y, x = int(generator.integers(0, height - tall)), int(generator.integers(0, width - wide))
    shape = np.zeros((tall, wide), np.uint8)
    cv2.ellipse(shape, (wide // 2, tall // 2), (wide // 2, tall // 2), 0, 0, 360, 255, -1)
    image = image.copy()
    cv2.copyTo(cv2.resize(figure, (wide, tall)), shape, image[y : y + tall, x : x + wide])
    grain = GRAIN * generator.standard_normal((*image.shape[:2], 1), np.float32)
    image = np.clip(image + grain, 0, 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG])[1]
    return small_grey(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB))


def made_pan(image: np.ndarray, size: float, generator: np.random.Generator) -> tuple[Any, Any, Move]:
    """Two views, and the move between them: along one axis, or aslant at half of it along the other."""
    aslant = generator.random() < 0.3
    shift = np.array([size, size / 2 if aslant else 0.0]) * generator.choice([-1, 1], 2)
    if not aslant and generator.random() < 0.3:
        shift = shift[::-1]
    share = 1 / (1 + size)
    half = shift * share / 2
    first, second = (0.5 + half[0], 0.5 + half[1]), (0.5 - half[0], 0.5 - half[1])
    return view(image, first, share), view(image, second, share), Move(*map(float, shift), 1.0)


def made_zoom(image: np.ndarray, size: float, generator: np.random.Generator) -> tuple[Any, Any, Move]:
    """A whole frame and a nearer view of it, in either order."""
    room = (1 - 1 / size) / 2
    off = generator.uniform(-room, room, 2)
    whole, near = view(image, (0.5, 0.5), 1.0), view(image, (0.5 + off[0], 0.5 + off[1]), 1 / size)
    if generator.random() < 0.5:
        return whole, near, Move(*map(float, -off * size), size)
    return near, whole, Move(*map(float, off), 1 / size)


def is_close(found: Move, truth: Move) -> bool:
    return all(abs(one - other) <= CLOSE for one, other in zip(found, truth, strict=True))


def made_moves(films: list[Film], rounds: int) -> Iterator[dict[str, Any]]:
    """For each kind and size: how many pairs, how many found, how many of those right."""
    frames = [image for film in films for image in film.whole if small_grey(image).std() >= 12]
    for kind, make, sizes in (("pan", made_pan, PANS), ("zoom", made_zoom, ZOOMS)):
        for size in sizes:
            generator = np.random.default_rng(round(size * 1000))
            found = right = hashed = 0
            for image in frames * rounds:
                first, second, truth = make(image, size, generator)
                figure = frames[int(generator.integers(len(frames)))]
                pair = [spoilt(each, figure, generator) for each in (first, second)]
                hashed += distance(*map(perceptual_hash, pair)) <= DISTANCE
                move = camera_move(*pair)
                found += move is not None
                right += move is not None and is_close(move, truth)
            pairs = len(frames) * rounds
            yield {
                "kind": kind,
                "size": size,
                "pairs": pairs,
                "by hash": hashed,
                "found": found,
                "right": right,
            }


def other_shots(films: list[Film], rounds: int) -> tuple[int, int]:
    """Pairs that are not of one shot, and how many were taken for a move."""
    generator = np.random.default_rng(0)
    # The clips of one series open on the same painting, so of these only frames from the later half.
    smalls = [(film.name, number, small) for film in films for number, small in film.small.items()
              if number % 12 == 0 and number >= 96]  # fmt: skip
    alarms = pairs = 0
    while pairs < OTHERS * rounds:
        (name, number, before), (other, later, after) = (
            smalls[i] for i in generator.integers(len(smalls), size=2)
        )
        if name == other:
            continue
        pairs += 1
        move = camera_move(before, after)
        if move is not None:
            print(f"other shot taken for a move: {name} {number}, {other} {later}, {move}", file=sys.stderr)
        alarms += move is not None
    return pairs, alarms


def neighbours(films: list[Film]) -> tuple[int, int, float, list[Found]]:
    """Pairs of neighbouring samples, those whose hashes differ, CPU seconds for one, and the moves found."""
    pairs, differing, found, spent = 0, 0, [], 0.0
    for film in films:
        for step in STEPS:
            numbers = [number for number in film.small if number % step == 0]
            for first, second in itertools.pairwise(numbers):
                before, after = film.small[first], film.small[second]
                pairs += 1
                if distance(perceptual_hash(before), perceptual_hash(after)) <= DISTANCE:
                    continue
                differing += 1
                started = time.process_time()
                move = camera_move(before, after)
                spent += time.process_time() - started
                if move:
                    found.append(Found(film.name, step, first, before, after, move))
    return pairs, differing, spent / max(1, differing), found


def sheet(found: list[Found], across: int = 6) -> np.ndarray:
    """All pairs found, before and after, with what was found below; false alarms underlined."""
    height, width = 72 + 18, 2 * 128 + 12
    drawn = np.zeros((-(-len(found) // across) * height, across * width), np.uint8)
    for place, one in enumerate(found):
        y, x = place // across * height, place % across * width
        drawn[y : y + 72, x : x + 256] = np.hstack([one.before, one.after])
        move = " ".join(f"{value:.2f}" for value in one.move)
        text = f"{one.film[:9]} {one.first}+{one.step} {move} o{overlap(one.move):.2f}"
        cv2.putText(drawn, text, (x, y + 84), cv2.FONT_HERSHEY_SIMPLEX, 0.33, 255, 1)
        if not one.is_real:
            drawn[y + 87 : y + 89, x : x + 256] = 255
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.pans", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=2, help="made pairs of each frame and size (2)")
    parser.add_argument("--sheet", type=Path, help="draw the neighbours found here")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    chosen = parser.parse_args()

    films = list(read_films(Path(os.environ["FRAMEKIT_TEST_DATA"]) / "films"))
    pairs, differing, cost, found = neighbours(films)
    if chosen.sheet and found:
        cv2.imwrite(str(chosen.sheet), sheet(found))
    others, alarms = other_shots(films, chosen.rounds)
    moves = list(made_moves(films, chosen.rounds))
    real = [one for one in found if one.is_real]
    dropped = {
        step: {
            limit: sum(one.step == step and overlap(one.move) >= limit for one in found) for limit in LIMITS
        }
        for step in STEPS
    }
    result = {
        "moves": moves,
        "other shots": {"pairs": others, "alarms": alarms},
        "neighbours": {"pairs": pairs, "hashes differ": differing, "found": len(found), "real": len(real)},
        "dropped": dropped,
        "ms": cost * 1e3,
    }
    if chosen.json:
        print(json.dumps(result))
        return
    print(f"{'made':<12}{'pairs':>7}{'by hash':>9}{'found':>8}{'right of found':>16}")
    for row in moves:
        name = f"{row['kind']} {row['size'] * 100 - (100 if row['kind'] == 'zoom' else 0):.0f} %"
        share = row["right"] / max(1, row["found"])
        print(f"{name:<12}{row['pairs']:>7}{row['by hash'] / row['pairs']:>9.1%}", end="")
        print(f"{row['found'] / row['pairs']:>8.1%}{share:>16.1%}")
    print(f"other shots: {alarms} of {others:,} taken for a move")
    print(
        f"neighbours: {pairs:,}, hashes differ in {differing}; moves in {len(found)}, "
        f"the camera moves by eye in {len(real)} of these"
    )
    for one in found:
        if not one.is_real:
            print(f"  none by eye: {one.film} {one.first}+{one.step} {one.move}")
    for step, counts in dropped.items():
        told = ", ".join(f"{limit}: {count}" for limit, count in counts.items())
        print(f"dropped at every {step} beyond what the hash drops, by least overlap: {told}")
    print(f"CPU {cost * 1e3:.2f} ms a pair of neighbours whose hashes differ")


if __name__ == "__main__":
    main()
