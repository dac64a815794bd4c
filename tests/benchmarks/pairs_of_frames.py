"""Labelled pairs of pictures from real films: near-duplicates of many kinds, and what only looks like one.

What can be had from a film as it is, is taken from it: held drawings, a mouth that moves, another pose, the
same background with something else before it, the next shot. The rest is made from its frames: other codecs,
sizes, bars, colours, grain, subtitles, small pans. All choices are drawn by seeded generators.
"""

import itertools
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np

from framekit.sources.decoding import Look, film_pictures
from framekit.sources.film import read_facts
from framekit.sources.frames import Decoded
from framekit.sources.sampling import Sampling
from framekit.sources.scenes import Shot, find_shots
from framekit.sources.survey import survey

HEIGHT = 480
"""Lines that frames are brought to first, where they have more."""
SMALL = (128, 72)
"""Width and height at which frames are compared to find pairs."""
CONTRAST = 4.0
"""Frames with less never reach the search for duplicates."""
AWAY_FROM_CUTS = 3
WINDOW = 8
"""Frames that are encoded before the one that is taken, which is the last of them."""
TRIALS = 150
"""Pairs of a film's frames that are looked at, for each pair of a kind that is asked for."""

NEAR = (
    "codec",
    "scaling",
    "bars cut",
    "colour shift",
    "grain",
    "subtitles",
    "mouth",
    "pan",
    "held drawing",
    "flat, altered",
)
APART = (
    "next shot",
    "same background",
    "other character",
    "other pose",
    "flat, similar",
    "random",
)


class Codec(NamedTuple):
    """An encoder's name and settings, of low quality, and the decoder for it."""

    encoder: str
    decoder: str
    options: dict[str, str]
    bit_rate: int | None = None


CODECS = (
    Codec("libx264", "h264", {"crf": "35", "preset": "veryfast"}),
    Codec("libx265", "hevc", {"crf": "36", "preset": "ultrafast", "x265-params": "log-level=none"}),
    Codec("libvpx-vp9", "vp9", {"crf": "48", "b": "0", "deadline": "realtime", "cpu-used": "8"}),
    Codec("mpeg2video", "mpeg2video", {}, 900_000),
)


class Pair(NamedTuple):
    """Two (H, W, 3) uint8 RGB pictures, the film of the first, and which kind of pair they are."""

    kind: str
    film: str
    first: np.ndarray
    second: np.ndarray


@dataclass(frozen=True)
class Frames:
    """What is known of a film's frames.

    Attributes:
        film: Name of the film that the file belongs to.
        pictures: (N, H, W, 3) uint8 RGB.
        small: (N, 72, 128, 3) uint8 RGB.
        shots: Between cuts.
    """

    film: str
    pictures: np.ndarray
    small: np.ndarray
    shots: list[Shot]

    def usable(self, shot: Shot) -> list[int]:
        numbers = range(shot.start + AWAY_FROM_CUTS, shot.stop - AWAY_FROM_CUTS)
        return [number for number in numbers if contrast(self.small[number]) >= CONTRAST]


def films(folder: Path) -> dict[str, list[Path]]:
    """Files of each film: the clips that share a look count as two films, each with half of them."""
    clips = sorted((folder / "pennychip").glob("*.mp4"))
    return {
        "popeye": sorted((folder / "popeye").glob("*.mkv")),
        "pennychip 1": clips[::2],
        "synfig": sorted((folder / "synfig").glob("syn_*")),
        "big-buck-bunny": [folder / "big-buck-bunny.ts"],
        "pennychip 2": clips[1::2],
        "steamboat": [folder / "steamboat-willie.mp4"],
    }


def pairs(folder: Path, per_kind: int, cache: Path, note: Callable[[str], None]) -> Iterator[Pair]:
    """Give pairs of each kind from each film, up to `per_kind` of each.

    Args:
        folder: Films.
        per_kind: Pairs of one kind from one film; a film that has fewer gives fewer.
        cache: Where decoded films are put, 11 GB; those that are there already are used.
        note: Told what is being done.
    """
    plates: dict[str, list[np.ndarray]] = {}
    plain: dict[str, list[np.ndarray]] = {}
    for film, paths in films(folder).items():
        plates[film], plain[film] = [], []
        for path in paths:
            note(f"{film}: {path.name}")
            generator = np.random.default_rng(zlib.crc32(path.name.encode()))
            count = -(-per_kind // len(paths))
            frames = look_over(path, film, cache)
            bases = some_frames(frames, count, generator)
            plates[film] += [frames.pictures[base] for base in bases]
            for kind, numbers in found_pairs(frames, count, generator).items():
                for first, second in numbers:
                    yield Pair(kind, film, frames.pictures[first], frames.pictures[second])
            for place, base in enumerate(bases):
                yield Pair("codec", film, frames.pictures[base], encoded(frames, base, CODECS[place % 4]))
                yield from altered(film, frames.pictures[base], generator)
            plain[film] += flat_parts(frames, bases, count, generator)
    yield from across_films(plates, plain, per_kind)


# Looking for pairs ----------------------------------------------------------------------------------------


def look_over(path: Path, film: str, cache: Path) -> Frames:
    """Decode a film, make small pictures of its frames and find its shots."""
    pictures = every_picture(path, cache)
    halves = [cv2.resize(picture, (256, 144), interpolation=cv2.INTER_AREA) for picture in pictures]
    shots = find_shots(enumerate(halves), frame_rate=read_facts(path).rate or Fraction(24))
    small = np.stack([cv2.resize(half, SMALL, interpolation=cv2.INTER_AREA) for half in halves])
    return Frames(film, pictures, small, shots)


def every_picture(path: Path, cache: Path) -> np.ndarray:
    """All pictures of a film, black bars cut, at most `HEIGHT` lines, even in size, from a file in `cache`.

    Returns:
        (N, H, W, 3) uint8 RGB, mapped from the disk.
    """
    name = f"{path.parent.name}-{path.name}"
    if not (found := list(cache.glob(f"{name}-*x*.rgb"))):
        box = survey(path, read_facts(path)).box
        part = cache / f"{name}.part"
        with part.open("wb") as file:
            for picture in film_pictures(path, Sampling(every=1), decoded=Decoded(), look=Look(box=box)):
                height, width = picture.image.shape[:2]
                lines = min(HEIGHT, height // 2 * 2)
                size = round(width * lines / height / 2) * 2, lines
                file.write(cv2.resize(picture.image, size, interpolation=cv2.INTER_AREA).tobytes())
        found = [part.rename(cache / f"{name}-{size[0]}x{size[1]}.rgb")]
    width, height = found[0].stem.rsplit("-", 1)[1].split("x")
    return np.memmap(found[0], np.uint8, "r").reshape(-1, int(height), int(width), 3)


def some_frames(frames: Frames, count: int, generator: np.random.Generator) -> list[int]:
    """Up to `count` frames, spread over the shots."""
    by_shot = [generator.permutation(numbers) for shot in frames.shots if (numbers := frames.usable(shot))]
    rounds = itertools.chain.from_iterable(itertools.zip_longest(*by_shot))
    return sorted(int(number) for number in itertools.islice((n for n in rounds if n is not None), count))


def found_pairs(
    frames: Frames, count: int, generator: np.random.Generator
) -> dict[str, list[tuple[int, int]]]:
    """Pairs of frame numbers by kind, as the film has them: held, mouth, pose, background, next shot."""
    found: dict[str, list[tuple[int, int]]] = {
        kind: [] for kind in ("held drawing", "mouth", "other pose", "same background")
    }
    shots = [numbers for shot in frames.shots if len(numbers := frames.usable(shot)) > 8]
    for trial in range(TRIALS * count if shots else 0):
        numbers = shots[trial % len(shots)]
        first = int(generator.choice(numbers))
        reach = (4, 12, len(numbers))[trial % 3]
        near = [number for number in numbers if 0 < abs(number - first) <= reach]
        if not near:
            continue
        second = int(generator.choice(near))
        kind = kind_of(frames.small[first], frames.small[second])
        if kind is None or len(found[kind]) >= count:
            continue
        before = [pair for pair in found[kind] if abs(pair[0] - first) < 6 and abs(pair[1] - second) < 6]
        if not before:
            found[kind].append((first, second))
    return found | {"next shot": next_shots(frames, count, generator)}


def kind_of(first: np.ndarray, second: np.ndarray) -> str | None:
    """What two frames of one shot are to each other, by the size of what moved; None where that is unclear.

    Args:
        first, second: (72, 128, 3) uint8 RGB.
    """
    apart = difference(first, second)
    if np.median(apart) > 2.5 or (apart > 8).mean() > 0.55:
        return None  # the camera moves, or the light changes
    if np.percentile(apart, 99.9) < 8:
        return "held drawing"
    moved = (apart > 20).astype(np.uint8)
    share = float(moved.mean())
    _, _, width, height = cv2.boundingRect((apart > 10).astype(np.uint8))
    if 0.001 <= share <= 0.015 and width * height <= 0.08 * moved.size:
        return "mouth"
    elsewhere = float((beyond(first, second) > 20).mean())
    if elsewhere >= 0.08:
        return "same background"
    return "other pose" if elsewhere >= 0.02 else None


def beyond(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(72, 128) uint8: how far two small pictures are apart for anything that moved by more than two pixels.

    That is 1.6 % of the width, so a figure that bobs as little as a near-duplicate may pan is no other pose.
    """
    near = np.ones((5, 5), np.uint8)
    a, b = cv2.blur(first, (3, 3)), cv2.blur(second, (3, 3))
    outside = [
        cv2.max(cv2.subtract(x, cv2.dilate(y, near)), cv2.subtract(cv2.erode(y, near), x))
        for x, y in ((a, b), (b, a))
    ]
    return cv2.max(*outside).max(axis=2)


def next_shots(frames: Frames, count: int, generator: np.random.Generator) -> list[tuple[int, int]]:
    """Frames of two shots close by: of those that show something else, the most similar in colours."""
    shots = [numbers for shot in frames.shots if (numbers := frames.usable(shot))]
    made = []
    for (i, here), (j, there) in itertools.combinations(enumerate(shots), 2):
        if j - i > 3:
            continue
        for _ in range(12):
            first, second = int(generator.choice(here)), int(generator.choice(there))
            if (difference(frames.small[first], frames.small[second]) > 24).mean() > 0.25:
                palette = np.abs(colours(frames.small[first]) - colours(frames.small[second])).sum()
                made.append((palette, first, second))
    return [(first, second) for _, first, second in sorted(made)[:count]]


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(72, 128) uint8: how far two small pictures are apart, in the channel where most, slightly blurred."""
    return cv2.absdiff(cv2.blur(first, (3, 3)), cv2.blur(second, (3, 3))).max(axis=2)


def colours(small: np.ndarray) -> np.ndarray:
    """(512,) share of pixels in each cell of an 8×8×8 colour cube."""
    codes = (small >> 5).astype(np.int64) @ np.array([64, 8, 1])
    return np.bincount(codes.ravel(), minlength=512) / codes.size


def contrast(image: np.ndarray) -> float:
    return float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).std())


# Making pairs ---------------------------------------------------------------------------------------------


def encoded(frames: Frames, base: int, codec: Codec) -> np.ndarray:
    """A frame as it comes out of a codec, which gets the few frames before it as well, as a film would."""
    images = frames.pictures[max(0, base - WINDOW + 1) : base + 1]
    encoder = av.CodecContext.create(codec.encoder, "w")
    encoder.height, encoder.width = images.shape[1:3]
    encoder.pix_fmt = "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(24), Fraction(1, 24)
    encoder.options = codec.options
    if codec.bit_rate:
        encoder.bit_rate = codec.bit_rate
    packets = []
    for number, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoder = av.CodecContext.create(codec.decoder, "r")
    decoder.extradata = encoder.extradata
    shown = list(itertools.chain.from_iterable(decoder.decode(packet) for packet in [*packets, None]))
    assert len(shown) == len(images), (codec.encoder, len(shown), len(images))
    return shown[-1].to_ndarray(format="rgb24")


def altered(film: str, image: np.ndarray, generator: np.random.Generator) -> Iterator[Pair]:
    """A picture beside what rips, television and restorers make of it."""
    yield Pair("scaling", film, image, scaled(image, generator))
    yield Pair("bars cut", film, image, bars_cut(image, generator))
    yield Pair("colour shift", film, image, recoloured(image, generator))
    yield Pair("grain", film, image, grained(image, generator))
    yield Pair("subtitles", film, image, subtitled(image, generator))
    yield Pair("pan", film, *panned(image, generator))


def scaled(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Brought to another number of lines, and to the nearest even width."""
    lines = int(generator.choice([144, 240, 288, 360, 720, 1080]))
    width = round(image.shape[1] * lines / image.shape[0] / 2) * 2
    way = cv2.INTER_AREA if lines < image.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(image, (width, lines), interpolation=way)


def bars_cut(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Boxed between black bars, then cut out again, up to two pixels wrong at each side."""
    boxed = cv2.copyMakeBorder(image, 60, 60, 60, 60, cv2.BORDER_CONSTANT)
    boxed = cv2.imdecode(cv2.imencode(".jpg", boxed, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_COLOR)
    top, bottom, left, right = (60 + int(wrong) for wrong in generator.integers(-2, 3, 4))
    return boxed[top:-bottom, left:-right]


def recoloured(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A slightly other gamma, contrast, brightness and white."""
    levels = np.arange(256) / 255
    shown = levels ** generator.uniform(0.88, 1.14) * generator.uniform(0.9, 1.1) * 255
    channels = shown[:, None] + generator.uniform(-10, 10) + generator.uniform(-6, 6, 3)
    return cv2.LUT(image, np.rint(channels).clip(0, 255).astype(np.uint8)[None])


def grained(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Film grain: noise in luma, a little soft."""
    grain = cv2.GaussianBlur(generator.normal(0, generator.uniform(8, 20), image.shape[:2]), (3, 3), 0)
    return np.rint(image + grain[..., None]).clip(0, 255).astype(np.uint8)


WORDS = "I never said that you should open the door before they come back from sea old friend wait".split()


def subtitled(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One or two lines of white, outlined text at the bottom."""
    made = image.copy()
    height, width = made.shape[:2]
    scale = height / 480 * generator.uniform(0.8, 1.0)
    lines = int(generator.integers(1, 3))
    for line in range(lines):
        text = ""
        for word in generator.choice(WORDS, 8):
            longer = f"{text} {word}".strip()
            size = cv2.getTextSize(longer, cv2.FONT_HERSHEY_DUPLEX, scale, 2)[0]
            if size[0] > 0.8 * width:
                break
            text, across = longer, size[0]
        place = (width - across) // 2, round(height * 0.94 - (lines - 1 - line) * 36 * scale)
        for colour, weight in (
            ((0, 0, 0), max(3, round(6 * scale))),
            ((255, 255, 255), max(1, round(2 * scale))),
        ):
            cv2.putText(made, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, colour, weight, cv2.LINE_AA)
    return made


def panned(image: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two windows on one picture, 1 to 2 % of its width or height apart."""
    height, width = image.shape[:2]
    angle, way = generator.uniform(0, 2 * np.pi), generator.uniform(0.01, 0.02)
    x, y = round(np.cos(angle) * way * width), round(np.sin(angle) * way * height)
    ax, ay, bx, by = max(0, -x), max(0, -y), max(0, x), max(0, y)
    wide, high = width - abs(x), height - abs(y)
    return image[ay : ay + high, ax : ax + wide], image[by : by + high, bx : bx + wide]


def flat_parts(
    frames: Frames, bases: list[int], count: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Parts of pictures, a third of them high, that have least contrast above what is left out as flat."""
    parts = []
    for base in bases:
        image = frames.pictures[base]
        height, width = image.shape[0] // 3, image.shape[1] // 3
        for _ in range(20):
            y, x = int(generator.integers(0, 2 * height)), int(generator.integers(0, 2 * width))
            part = image[y : y + height, x : x + width]
            parts.append((contrast(part), part))
    parts = [part for part in parts if CONTRAST + 0.5 <= part[0] <= 12]
    parts.sort(key=lambda part: part[0])
    return [cv2.resize(part, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC) for _, part in parts[:count]]


def across_films(
    plates: dict[str, list[np.ndarray]], plain: dict[str, list[np.ndarray]], per_kind: int
) -> Iterator[Pair]:
    """Pairs that need the pictures of all files: another film's character, nearly flat ones, random ones."""
    generator = np.random.default_rng(0)
    everything = [image for images in plates.values() for image in images]
    figures = {film: list(characters(images, generator)) for film, images in plates.items()}
    for film, images in plates.items():
        others = [cut for name, cuts in figures.items() if name.split()[0] != film.split()[0] for cut in cuts]
        for plate in images[:per_kind]:
            yield Pair("other character", film, plate, pasted(plate, *choice(others, generator), generator))
            other = choice(everything, generator)
            if (difference(small(plate), small(other)) > 24).mean() > 0.25:
                yield Pair("random", film, plate, other)
        for part in plain[film][:per_kind]:
            alter = choice([grained, recoloured, scaled, bars_cut], generator)
            yield Pair("flat, altered", film, part, alter(part, generator))
    yield from similar_flat_ones(plain, per_kind)


def choice(of: list[Any], generator: np.random.Generator) -> Any:
    return of[int(generator.integers(len(of)))]


def small(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, SMALL, interpolation=cv2.INTER_AREA)


def similar_flat_ones(plain: dict[str, list[np.ndarray]], per_kind: int) -> Iterator[Pair]:
    """Nearly flat pictures of one colour or so, most similar first, that are not pieces of one texture."""
    pool = [(film, part) for film, parts in plain.items() for part in parts]
    blurred = np.stack([cv2.blur(small(part), (15, 15)) for _, part in pool]).astype(np.float32)
    means = blurred.mean(axis=(1, 2))
    made: dict[str, list[tuple[float, int, int]]] = {film: [] for film in plain}
    for i, (film, _) in enumerate(pool):
        shifts = means - means[i]
        structure = np.abs(blurred - blurred[i] - shifts[:, None, None]).max(axis=3)
        for j in np.flatnonzero((structure > 10).mean(axis=(1, 2)) > 0.25):
            made[film].append((float(np.abs(shifts[j]).max()), i, int(j)))
    for film, found in made.items():
        used: set[int] = set()
        for _, i, j in sorted(found):
            if i not in used and len(used) < per_kind:
                used.add(i)
                yield Pair("flat, similar", film, pool[i][1], pool[j][1])


def characters(
    images: list[np.ndarray], generator: np.random.Generator, most: int = 12
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What stands in the middle of some pictures, each 320 pixels wide, cut out, with its mask."""
    for place in generator.permutation(len(images))[:most]:
        image = cv2.resize(images[place], (320, round(320 * images[place].shape[0] / images[place].shape[1])))
        height, width = image.shape[:2]
        mask = np.zeros((height, width), np.uint8)
        middle = (width // 4, height // 8, width // 2, height * 3 // 4)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        cv2.grabCut(image, mask, middle, *models, 2, cv2.GC_INIT_WITH_RECT)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask & 1)
        if len(stats) < 2:
            continue
        largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        if 0.08 <= stats[largest, cv2.CC_STAT_AREA] / mask.size <= 0.3:
            x, y, wide, high = stats[largest, :4]
            part = slice(y, y + high), slice(x, x + wide)
            yield image[part], (labels[part] == largest).astype(np.uint8)


def pasted(
    plate: np.ndarray, cut: np.ndarray, mask: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """A cut-out set into a picture, as large in it as it was in its own."""
    made = plate.copy()
    height, width = made.shape[:2]
    size = min(width, round(cut.shape[1] * width / 320)), min(height, round(cut.shape[0] * width / 320))
    cut, mask = cv2.resize(cut, size), cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    x, y = int(generator.integers(0, width - size[0] + 1)), height - size[1]
    where = made[y : y + size[1], x : x + size[0]]
    where[mask > 0] = cut[mask > 0]
    return made
